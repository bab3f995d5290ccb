"""One face for speaking and listening: the mouth follows the own speech, the rest goes on."""

import contextlib
import math
from collections.abc import Callable

import numpy as np
import pytest
from engine_drive import MS, STILL, TICK, bounded_and_smooth, every, line_of_sight, listening, plans, run, spans, stack
from hypothesis import given
from hypothesis import strategies as st
from own_speech import PLACE, arriving, parts, pieces, sentence

from reactdiff_ros.actuation.robot.profile import load_profile, mouth_lead_s
from reactdiff_ros.actuation.simulate import Frames, simulate
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, MOUTH, SMILE, brows_raised
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.motion import SPEAKING_SPEED
from reactdiff_ros.types import EXPRESSION_CLASSES, ExpressionFrame, Mouth, SpeechState, TurnSignals

S = 1000 * MS
JAW = INDEX["jawOpen"]
OPENERS = [INDEX[n] for n in ("jawOpen", "mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
                              "mouthUpperUpRight", "tongueOut")]  # fmt: skip
LAUGHING = np.zeros((16, 58), np.float32)
LAUGHING[:, SMILE] = 0.6
LAUGHING[:, JAW] = 0.4


def state(now: int, phase: str, **other: object) -> SpeechState:
    return SpeechState(now, phase, **{"utterance": "u", **other})  # type: ignore[arg-type]


def times(frames: list[ExpressionFrame]) -> np.ndarray:
    return np.array([f.stamp_ns for f in frames])


def sampled(mouth: Mouth, at_ns: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.interp(at_ns, mouth.start_ns + np.arange(len(values)) * 10 * MS, values, left=0.0, right=0.0)


@pytest.mark.parametrize(("phone_ms", "stream_ahead_ms"), [(60, None), (80, 0), (100, 40)])
def test_the_shown_mouth_is_that_of_the_sound_now_and_its_closures_are_closed(phone_ms, stream_ahead_ms) -> None:
    mouth = sentence(" apapatapo pia opa tipa  ", 1 * S, phone_ms=phone_ms)
    arrivals = [(700 * MS, mouth)] if stream_ahead_ms is None else pieces(mouth, ahead_ms=stream_ahead_ms)
    engine, seconds = ExpressionEngine(STILL, seed=1), 1.0 + len(mouth.level) / 100
    frames = run(engine, seconds, listening(engine), plans(engine, LAUGHING), arriving(engine, arrivals))
    faces, at = stack(frames), times(frames)
    closed = sampled(mouth, at, mouth.closure) > 0.98
    assert closed.sum() >= 5
    assert faces[np.ix_(closed, OPENERS)].max() < 0.03, "nothing opens a closed lip, also behind the limit of speed"
    spoken = (sampled(mouth, at, mouth.level) > 0.05) & (at > 1.1 * S)
    wanted = sampled(mouth, at, mouth.coefficients[:, PLACE["jawOpen"]] * (1.0 - mouth.closure))
    assert np.corrcoef(faces[spoken, JAW], wanted[spoken])[0, 1] > 0.99
    lags = [np.abs(np.roll(faces[:, JAW], lag)[spoken] - wanted[spoken]).mean() for lag in range(-3, 4)]
    assert int(np.argmin(lags)) == 3, "no delay"
    assert "speech" in frames[80].layers


def test_it_goes_on_reacting_while_it_speaks() -> None:
    engine, mouth = ExpressionEngine(STILL, seed=1), sentence("at" * 13, 1 * S)
    frames = run(engine, 2.8, listening(engine), plans(engine, LAUGHING), arriving(engine, [(0, mouth)]))
    assert frames[45].coefficients[SMILE[0]] == pytest.approx(0.6, abs=0.02)
    speaking = stack(frames[80:])
    assert speaking[:, SMILE[0]].mean() == pytest.approx(0.3, abs=0.03), "half of the smile is left"
    jaw = sampled(mouth, times(frames[80:]), mouth.coefficients[:, PLACE["jawOpen"]])
    assert np.abs(speaking[:, JAW] - jaw).max() < 0.03, "the jaw is that of the speech alone"


@pytest.mark.parametrize("end", ["stopping", "idle", "a newer track", "no more frames"])
def test_what_has_begun_ends_within_a_tenth_of_a_second_and_the_next_utterance_waits(end: str) -> None:
    """One is said until 0.4 s, two comes at 1 s; a track of what was stopped may still be on its way."""
    engine, one = ExpressionEngine(STILL, seed=1), sentence("a" * 11, 0, utterance="one")
    engine.on_mouth(Mouth("one", 0, *parts(one, slice(40))) if end == "no more frames" else one, 0)
    engine.on_mouth(sentence("a" * 11, 1 * S, utterance="two"), 0)
    if end == "a newer track":
        engine.on_mouth(sentence("     ", 400 * MS, utterance="one"), 0)

    def push(now: int) -> None:
        if end in ("stopping", "idle") and now == 400 * MS:
            engine.on_speech(state(now, end, utterance="one" if end == "stopping" else ""), now)
        if end == "stopping" and now == 460 * MS:
            engine.on_mouth(Mouth("one", now, *parts(one)), now)

    jaw = stack(run(engine, 2.0, push))[:, JAW]
    assert jaw[19] > 0.5
    assert jaw[26:49].max() < 0.005
    assert jaw[70] > 0.5
    assert engine.rejected == (end == "stopping")


@given(seed=st.integers(0, 2**32 - 1))
def test_any_tracks_in_any_order_leave_a_face_within_bounds_and_speed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    engine = ExpressionEngine(seed=seed % 7)
    faces, closed = [], []
    for i in range(80):
        now = i * TICK
        if rng.random() < 0.3:
            frames = int(rng.integers(1, 60))
            rows = rng.uniform(-0.5, 1.5, (frames, len(MOUTH))).astype(np.float32)
            marks = [np.full(frames, rng.choice([0.0, 0.5, 1.0, rng.random()]), np.float32) for _ in range(3)]
            start, rate = now + int(rng.integers(-400, 900)) * MS, float(rng.choice([25.0, 100.0, 200.0, 3.0]))
            with contextlib.suppress(MessageError):
                engine.on_mouth(Mouth(str(rng.integers(3)), start, rows, *marks, rate_hz=rate), now)
        if rng.random() < 0.2:
            phase = str(rng.choice(["idle", "preparing", "speaking", "stopping"]))
            times = [None if rng.random() < 0.3 else now + int(rng.integers(-900, 3000)) * MS for _ in range(2)]
            emotion = str(rng.choice(EXPRESSION_CLASSES))
            who = str(rng.integers(3))
            engine.on_speech(SpeechState(now, phase, who, "", *times, emotion, float(rng.uniform(0, 2))), now)  # type: ignore[arg-type]
        if rng.random() < 0.2:
            engine.on_robot_speaking(bool(rng.random() < 0.5), now)
        if rng.random() < 0.3:
            engine.on_turn(signals(now, **{n: float(rng.choice([np.nan, rng.random()])) for n in SIGNALS}), now)
        faces.append(engine.tick(now).coefficients)
        row = engine._speaking._row
        closed.append(row is not None and row[len(MOUTH)] > 0.999)
    shown = np.stack(faces)
    bounded_and_smooth(shown, speed=SPEAKING_SPEED)
    for i in range(4, 80):
        if all(closed[i - 4 : i + 1]):
            assert shown[i, OPENERS].max() < 0.01, "four ticks after any mouth the lips are closed"


def test_what_is_not_heard_yet_changes_no_face() -> None:
    """A track that differs later than the marks reach ahead leaves what is shown before it."""
    shown = []
    for text in ("o" * 12, "ap" * 6):
        engine = ExpressionEngine(seed=2)
        engine.on_mouth(sentence("tatatatatata" + text, 0), 0)
        shown.append(stack(run(engine, 2.0, listening(engine))))
    cut = (12 * 90 - 160 - 80) // 20
    assert np.array_equal(shown[0][:cut], shown[1][:cut])
    assert not np.array_equal(shown[0], shown[1])


def test_a_breath_before_the_first_word() -> None:
    engine = ExpressionEngine(STILL, seed=1)
    engine.tick(0)
    engine.on_speech(state(TICK, "preparing", start_ns=600 * MS), TICK)
    faces = stack(run(engine, 0.6, start_ns=TICK))
    assert faces[:, INDEX["headY"]].max() > 0.002
    assert np.degrees(faces[:, HEAD_PITCH].min()) < -0.5
    assert 0.02 < faces[:, JAW].max() < 0.08


def test_accents_get_few_small_nods_and_brows() -> None:
    """30 s of speech in phrases of 2 s, each with four accents, beside 30 s of listening."""
    speaker, listener = ExpressionEngine(STILL, seed=5), ExpressionEngine(STILL, seed=5)
    starts = [n * 2700 * MS for n in range(11)]
    phrases = [(start, sentence("tattattattattattatta", start + 200 * MS, utterance=str(start))) for start in starts]
    faces = stack(run(speaker, 30.0, listening(speaker), arriving(speaker, phrases)))
    still = stack(run(listener, 30.0, listening(listener)))
    assert 2 <= len(spans(brows_raised(faces) > 0.1)) <= 22, "one or two marks a phrase"
    assert brows_raised(faces).max() < 0.35
    moved, rested = (np.degrees(of[:, HEAD_PITCH]).std() for of in (faces, still))
    assert max(0.4, 2 * rested) < moved < 2.5


def test_the_emotion_of_an_utterance_is_a_slow_layer_that_goes_again() -> None:
    engine = ExpressionEngine(STILL, seed=1)
    happy = {"start_ns": 0, "end_ns": 3 * S, "emotion": "happy", "intensity": 1.0}
    speaks = every(200, lambda now: now < 3 * S and engine.on_speech(state(now, "speaking", **happy), now))
    smile = stack(run(engine, 9.0, speaks))[:, SMILE[0]]
    assert smile[5] < 0.2
    assert 0.4 < smile[100] < 0.7
    assert smile[-1] == 0.0
    assert np.abs(np.diff(smile)).max() < 0.04


def takes_turns(turn_s: float, period_s: float, seconds: float, end_ns: Callable[[int, int], int | None], seed=1):
    """Whether the look is at the person, and the seconds since a turn began; `end_ns`: its end, at a time and start."""
    engine, period = ExpressionEngine(STILL, seed=seed), round(period_s * S)

    def speak(now: int) -> None:
        turn, phase = divmod(now, period)
        spoken = state(now, "speaking", start_ns=now - phase, end_ns=end_ns(now, now - phase), utterance=str(turn))
        engine.on_speech(spoken if phase < turn_s * S else state(now, "idle", utterance=""), now)

    frames = run(engine, seconds, listening(engine), every(40, speak))
    return np.abs(np.degrees(line_of_sight(stack(frames))[0])) < 6.0, times(frames) % period / S


@pytest.mark.parametrize("known_end", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_gaze_of_one_who_speaks(known_end: bool) -> None:
    end_ns = lambda _, start: start + 8 * S if known_end else None  # noqa: E731
    seen = [takes_turns(8.0, 14.0, 150.0, end_ns, seed) for seed in range(3)]
    at_person, phase = (np.concatenate(values) for values in zip(*seen, strict=True))

    def share(begin: float, end: float) -> float:
        return float(at_person[(phase > begin) & (phase < end)].mean())

    assert 0.38 <= share(0, 8) <= 0.55, "while it speaks"
    assert share(0.5, 1.2) < 0.4, "away as a long turn begins"
    assert share(8.3, 8.9) > 0.9, "back at its end"
    assert not known_end or share(7.4, 8.0) > 0.9, "before it, where it is known"
    assert share(9.5, 14) > 0.7, "a listener again"


def test_a_short_turn_begins_without_a_look_away_and_an_end_that_moves_on_as_speech_streams_in_is_none() -> None:
    at_person, phase = takes_turns(1.2, 7.2, 126.0, lambda _, start: start + 1200 * MS)
    assert at_person[phase < 1.2].mean() > 0.6
    at_person, _ = takes_turns(500.0, 500.0, 126.0, lambda now, _: now + 400 * MS)
    assert 0.3 < at_person.mean() < 0.6


# ---- The other's turn

SIGNALS = ("p_speaking", "p_eot", "p_now", "p_future", "p_backchannel", "p_user_starts", "p_barge_in")


def signals(now: int, **given: float) -> TurnSignals:
    values = {**dict.fromkeys(SIGNALS, math.nan), **given}
    return TurnSignals(now, **values, silence_s=0.0, picture_stamp_ns=now, sound_stamp_ns=now, model="test")


NOTHING: dict[str, Callable[[ExpressionEngine, int], object]] = {
    "silence": lambda engine, now: engine.on_mouth(sentence("   ", now), now),
    "no utterance": lambda engine, now: engine.on_speech(state(now, "idle", utterance=""), now),
    "not known": lambda engine, now: engine.on_turn(signals(now), now),
    "too little": lambda engine, now: engine.on_turn(signals(now, p_eot=0.3, p_barge_in=0.9, p_backchannel=1.0), now),
}


@pytest.mark.parametrize("nothing", NOTHING)
def test_where_nothing_is_said_the_face_is_that_of_a_listener_bit_for_bit(nothing: str) -> None:
    plain, quiet = ExpressionEngine(seed=4), ExpressionEngine(seed=4)
    first = run(plain, 10.0, listening(plain), plans(plain, LAUGHING))
    more = every(200, lambda now: NOTHING[nothing](quiet, now))
    second = run(quiet, 10.0, listening(quiet), plans(quiet, LAUGHING), more)
    assert np.array_equal(stack(first), stack(second))
    assert [f.layers for f in first] == [f.layers for f in second]


def with_signals(seconds: float, *, seed: int = 1, robot: bool = False, **given: float) -> np.ndarray:
    """Faces; signals come from 2 s on."""
    engine = ExpressionEngine(STILL, seed=seed)
    turn = every(40, lambda now: now >= 2 * S and engine.on_turn(signals(now, **given), now))
    robots = every(200, lambda now: engine.on_robot_speaking(robot, now))
    return stack(run(engine, seconds, listening(engine), turn, robots))


@pytest.mark.parametrize(("robot", "signal", "raised"), [(False, "p_eot", 0.08), (True, "p_barge_in", 0.2)])
def test_an_ended_turn_or_a_barge_in_draws_the_look_and_raises_the_brows(robot, signal, raised) -> None:
    faces = np.concatenate([with_signals(4.0, seed=seed, robot=robot, **{signal: 0.9})[125:195] for seed in range(8)])
    assert (np.abs(np.degrees(line_of_sight(faces)[0])) < 6.0).mean() > 0.95
    assert brows_raised(faces).mean() > raised
    if not robot:
        late = with_signals(8.0, **{signal: 0.9})
        assert brows_raised(late)[-20:].max() < 0.02, "an answer that does not come is not waited for for ever"


def test_backchannels_are_nodded_where_asked_for_and_seldom() -> None:
    """At most every 5 s, two dips each."""
    engine = ExpressionEngine(ExpressionConfig(stillness=1.0, backchannel_nods=True), seed=1)
    turn = every(60, lambda now: engine.on_turn(signals(now, p_backchannel=float(now // S % 2)), now))
    pitch = np.degrees(stack(run(engine, 60.0, listening(engine), turn))[:, HEAD_PITCH])
    assert 6 <= len(spans(pitch > 1.5)) <= 24


JAWS = {"ohbot": "bottom_lip", "inmoov_head": "jaw", "generic_12servo": "jaw", "opsoro_ono": "mouth_middle"}


@pytest.mark.parametrize("robot", JAWS)
def test_a_servo_jaw_moves_with_the_sound(robot: str) -> None:
    """Its lag is made up for by a lead that the profile gives."""
    profile, joint = load_profile(robot), JAWS[robot]
    mouth = sentence("  ata pata tipa atatota pipapo fata tapo opatati apa  " * 2, 0, phone_ms=110)
    seconds, sign = len(mouth.level) / 100, np.sign(profile.joints[joint].map.sum["jawOpen"])
    grid, delays = np.arange(0.5, seconds - 0.5, 0.005), np.arange(-20, 50) * 0.005
    said = sampled(mouth, grid * 1e9, mouth.coefficients[:, PLACE["jawOpen"]] * (1.0 - mouth.closure))

    def followed(lead_s: float) -> tuple[float, float]:
        """r of the joint with the sound's jaw at no delay, and the delay of the best r in s (positive: late)."""
        engine = ExpressionEngine(ExpressionConfig(stillness=1.0, mouth_lead_s=lead_s), seed=1)
        engine.on_mouth(mouth, 0)
        frames = run(engine, seconds)
        blocks = list(simulate(profile, Frames(stack(frames), times(frames) / 1e9, 0)))
        moved = np.concatenate([block.command[:, list(profile.joints).index(joint)] for block in blocks])
        at = np.concatenate([block.time for block in blocks])
        r = [float(np.corrcoef(said, sign * np.interp(grid + delay, at, moved))[0, 1]) for delay in delays]
        return r[20], float(delays[np.argmax(r)])

    (late_r, late_s), (led_r, led_s) = followed(0.0), followed(mouth_lead_s(profile))
    assert late_s > 0.05, "without a lead it is late"
    assert abs(led_s) <= 0.04
    assert led_r > max(0.6, late_r + 0.1)
