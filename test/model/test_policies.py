"""The listeners without networks: contract, human delays and rates, controls and delay; who is there, own voice."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import speaker_frames
from hypothesis import given, settings
from hypothesis import strategies as st
from speaker_frames import SLOT, assert_face, drive, frame, voice

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX, SMILE
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.model.plan.level import HORIZON_FRAMES
from reactdiff_ros.model.policies import fallback_listener, make_listener
from reactdiff_ros.model.speaker.engagement import TAIL_S, OwnVoice
from reactdiff_ros.types import Affect, Gaze, ListenerControl, Reaction, SpeakerFrame, Voice

SIMPLE = ("rules", "mime", "random", "idle")
BROW = INDEX["browOuterUpLeft"]
NOD = math.radians(1.5)


def at(time_s: float) -> int:
    return round(time_s * 1e9)


def person(
    time_s: float, *, smile: float = 0.0, heard: Voice | None = None, face: bool = True, camera: bool = True,
    values: np.ndarray | None = None,
) -> SpeakerFrame:  # fmt: skip
    """A frame; `camera=False`: of sound alone; `face=False`: nobody is in the picture; `values`: the whole face."""
    made = frame(at(time_s), smile if face and camera else None, heard)
    if values is not None:
        made = replace(made, coefficients=values.astype(np.float32), confidence=np.full(58, 0.9, np.float32))
    return replace(made, picture_stamp_ns=at(time_s) if camera else None)


def talk(time_s: float, *, smile: float = 0.0, values: np.ndarray | None = None) -> SpeakerFrame:
    """Somebody who talks for 3.2 s, pauses for 0.8 s, and so on."""
    phase = time_s % 4.0
    pitch = 120.0 + 25.0 * float(np.sin(time_s * 2.1)) if phase < 3.2 else 0.0
    heard = voice(phase < 3.2, pause_s=max(phase - 3.2, 0.0), pitch_hz=pitch)
    return person(time_s, smile=smile, heard=heard, values=values)


def run(listener: Listener, seconds: float, make: Callable[[float], SpeakerFrame]) -> list[Reaction]:
    """Give 25 frames a second (`make` gets the time in s) and collect the plans."""
    return drive(listener, (make(i * 0.04) for i in range(round(seconds * 25))), None)


def shown(plans: list[Reaction]) -> tuple[np.ndarray, np.ndarray]:
    """What plans show: times in s and coefficients (n, 58)."""
    faces = speaker_frames.shown(plans)
    return plans[0].start_ns / 1e9 + 0.04 * np.arange(len(faces)), faces


def smile_of(faces: np.ndarray) -> np.ndarray:
    return faces[:, list(SMILE)].mean(axis=1)


def nods(faces: np.ndarray) -> int:
    """How often pitch is above 1.5 degrees; gaps under 0.4 s are one nod."""
    return int((np.diff(np.flatnonzero(faces[:, HEAD_PITCH] > NOD), prepend=-99) > 10).sum())


@pytest.mark.parametrize("policy", SIMPLE)
def test_contract_of_plans(policy: str) -> None:
    listener = make_listener(policy, seed=7)
    assert isinstance(listener, Listener)
    assert listener.plan(0) is None, "nothing was observed yet"
    plans = run(listener, 100, lambda t: talk(t, smile=0.6 * (t % 9 > 6)))
    for plan in plans:
        assert plan.coefficients.shape == (HORIZON_FRAMES, 58)
        assert_face(plan.coefficients)
        assert (plan.start_ns % SLOT, plan.policy, plan.engaged) == (0, policy, True)
    hops = np.diff([p.start_ns for p in plans])
    assert SLOT <= hops.min() <= hops.max() == 4 * SLOT
    assert sum(p.reason == "hop" for p in plans) > 0.8 * len(plans)
    assert listener.state().plans == len(plans)
    limit = 0.4 if policy == "mime" else 0.25  # the mime copies this speaker, whose smile is a step
    for old, new in itertools.pairwise(plans):
        join = (new.start_ns - old.start_ns) // SLOT
        joined = np.concatenate([old.coefficients[join - 1 : join], new.coefficients])
        assert np.abs(np.diff(joined[:, :52], axis=0)).max() < limit, "a plan continues the last one"
        assert np.abs(joined[1, 52:] - joined[0, 52:]).max() < 0.05


@pytest.mark.parametrize("policy", SIMPLE)
def test_same_seed_same_bits_also_after_a_reset_and_a_jump_back_in_time(policy: str) -> None:
    def faces(listener: Listener) -> np.ndarray:
        return shown(run(listener, 40, lambda t: talk(t, smile=0.5 * (t % 8 > 5))))[1]

    listener = make_listener(policy, seed=11)
    first = faces(listener)
    assert np.array_equal(first, faces(make_listener(policy, seed=11)))
    assert np.array_equal(first, faces(listener)), "time begins anew"
    listener.reset()
    assert np.array_equal(first, faces(listener))
    if policy in ("rules", "random"):
        assert not np.array_equal(first, faces(make_listener(policy, seed=12)))


def test_rules_mirrors_smiles_after_a_human_delay_in_a_share_of_cases() -> None:
    lags, amplitudes = [], []
    for seed in range(40):
        times, faces = shown(run(make_listener("rules", seed=seed), 9, lambda t: talk(t, smile=0.7 * (4 <= t < 5.2))))
        smile = smile_of(faces)
        assert smile[times < 4.3].max() == 0.0
        assert smile[-5:].max() < 0.02, "it ends"
        if smile.max() > 0.1:
            lags.append(float(times[np.argmax(smile > 0.02)]) - 4.0)
            amplitudes.append(float(smile.max()))
            assert np.diff(smile).max() / 0.04 < 4.0
    assert 0.35 <= len(lags) / 40 <= 0.75
    assert 0.5 <= np.median(lags) <= 0.85
    assert max(lags) <= 1.0
    assert 0.25 <= np.median(amplitudes) <= 0.7


def test_rules_waits_and_tilts_its_head_where_a_voice_falters_and_the_eyes_look_away() -> None:
    def smiles(time_s: float, *, falters: bool, averted: bool) -> SpeakerFrame:
        made = person(time_s, smile=0.6 * (time_s % 8 > 5), heard=voice(not falters or time_s % 1.1 < 0.6))
        return replace(made, gaze=Gaze(0.4 * averted, 0.0, 1.0 - averted))

    def answers(falters: bool, averted: bool) -> tuple[float, float]:
        """How much it smiles, and how far its head is tilted, rad."""
        listener = make_listener("rules", seed=5)
        _, faces = shown(run(listener, 400, partial(smiles, falters=falters, averted=averted)))
        return smile_of(faces).mean(), np.abs(faces[:, HEAD_ROLL]).mean()

    sincere, hesitant = answers(falters=False, averted=False), answers(falters=True, averted=True)
    assert hesitant[0] < 0.6 * sincere[0]
    assert hesitant[1] > 1.8 * sincere[1]
    for falters in (False, True):  # neither of both alone says so
        assert answers(falters, averted=not falters)[1] < 1.2 * sincere[1]


def test_without_a_microphone_a_moving_jaw_is_talk_and_silence_is_not_nodded_to() -> None:
    def count(seconds: float, make: Callable[[float], SpeakerFrame]) -> int:
        return nods(shown(run(make_listener("rules", seed=2), seconds, make))[1])

    def moves(time_s: float) -> SpeakerFrame:
        opening = 0.15 + 0.12 * np.sin(time_s * 22) if time_s % 4.0 < 3.2 else 0.0
        return person(time_s, values=np.eye(58)[INDEX["jawOpen"]] * opening)

    assert count(120, moves) >= 4
    assert count(60, lambda t: person(t)) == count(60, lambda t: person(t, heard=voice())) == 0


def test_mime_is_a_mirror_with_a_lag() -> None:
    face = np.zeros(58)
    face[[INDEX["mouthSmileLeft"], HEAD_YAW, HEAD_ROLL]] = 0.8, 0.3, 0.2
    listener = make_listener("mime", seed=0, config=ListenerConfig(mime_lag_s=0.6))
    times, faces = shown(run(listener, 6, lambda t: person(t, values=face * (t >= 3.0))))
    right = faces[:, INDEX["mouthSmileRight"]]
    assert 3.6 <= float(times[np.argmax(right > 0.4)]) <= 3.75
    assert right[-20] == pytest.approx(0.8, abs=0.01)
    assert faces[:, INDEX["mouthSmileLeft"]].max() == 0.0
    assert faces[-20, [HEAD_YAW, HEAD_ROLL]] == pytest.approx([-0.3, -0.2], abs=0.01)


def test_random_ignores_what_the_speaker_does_but_lives() -> None:
    calm = shown(run(make_listener("random", seed=4), 120, talk))[1]
    lively = shown(run(make_listener("random", seed=4), 120, lambda t: talk(t, smile=0.8)))[1]
    assert np.array_equal(calm, lively)
    assert 0.02 < float((smile_of(calm) > 0.15).mean()) < 0.4
    assert nods(calm) >= 4


@pytest.mark.parametrize(("policy", "examples"), [*((policy, 15) for policy in SIMPLE), ("model", 4)])
def test_wild_frames_make_no_wild_plan(policy: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(seed=st.integers(0, 2**32 - 1))
    def check(seed: int) -> None:
        rng, listener = np.random.default_rng(seed), make_listener(policy, seed=1)

        def wild(count: int) -> np.ndarray:
            values = rng.normal(size=count) * 10.0 ** rng.integers(-2, 30)
            bad = 1 + count // 20
            values[rng.integers(0, count, bad)] = rng.choice([np.nan, np.inf, -np.inf], bad)
            return values.astype(np.float32)

        for i in range(60):
            heard = replace(voice(pitch_hz=float(rng.choice([np.nan, 1e9]))), mfcc=wild(26), loudness_dbfs=wild(2)[0])
            seen = person(i * 0.04 + rng.uniform(-0.06, 0.06), heard=heard, values=wild(58))
            felt = Affect("happy", wild(8), *wild(2))
            listener.observe(replace(seen, confidence=rng.random(58).astype(np.float32), affect=felt))
            plan = listener.plan(i * SLOT)
            if plan is not None:
                assert_face(plan.coefficients)

    check()


def test_malformed_frames_are_refused_and_late_ones_dropped() -> None:
    listener = make_listener("rules", seed=1)
    with pytest.raises(MessageError, match="coefficients"):
        listener.observe(replace(person(0.0), coefficients=np.zeros(57, np.float32)))
    with pytest.raises(MessageError, match="confidence"):
        listener.observe(replace(person(0.0), confidence=np.zeros((1, 58), np.float32)))
    assert listener.plan(0) is None
    run(listener, 10, talk)
    listener.observe(talk(9.8))
    assert listener.state().dropped == 1


def test_wrong_names_and_settings_are_named_and_the_spare_listener_says_why_it_is_there() -> None:
    with pytest.raises(ConfigError, match="oracle"):
        make_listener("oracle", seed=0)
    for wrong in ({"hop_s": 9.0}, {"nodding": 2.0}, {"delay_s": -0.1}, {"attitude": float("inf")}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ListenerConfig(**wrong)
    spare = fallback_listener(seed=0, error="the model's weights are missing")
    assert (spare.name, spare.state().error) == ("rules", "the model's weights are missing")
    warm = make_listener("rules", seed=0, config=ListenerConfig(style="warm", attitude=0.0)).state().settings
    assert (warm["style"], warm["attitude"]) == ("warm", 0.0), "start values go before the style"


def speaker(time_s: float) -> SpeakerFrame:
    """Somebody who talks, smiles for 1.5 s every 8 s and raises the brows in between."""
    values = np.zeros(58)
    values[list(SMILE)] = 0.6 * (time_s % 8 > 6.5)
    values[[INDEX["browInnerUp"], BROW, INDEX["browOuterUpRight"]]] = 0.7 * (2.0 < time_s % 8 < 3.0)
    return talk(time_s, values=values)


@pytest.mark.parametrize(("control", "least", "measure"), [
    ("attitude", -1.0, lambda faces: smile_of(faces).mean()),
    ("responsiveness", 0.0, lambda faces: smile_of(faces).mean()),
    ("smiling", -1.0, lambda faces: smile_of(faces).mean()),
    ("nodding", -1.0, lambda faces: (faces[:, HEAD_PITCH] > NOD).mean()),
    ("liveliness", -1.0, lambda faces: faces[:, BROW].mean() / 0.05 + np.abs(faces[:, HEAD_ROLL]).mean() / 0.01),
])  # fmt: skip
def test_each_control_acts_monotonically_on_the_rules(control, least, measure) -> None:
    sizes = []
    for value in (least, (least + 1.0) / 2, 1.0):
        faces = []
        for seed in range(2):
            listener = make_listener("rules", seed=seed, config=ListenerConfig(smile_share=0.35))
            listener.control(ListenerControl(**{control: value}))
            faces.append(shown(run(listener, 60, speaker))[1])
        sizes.append(measure(np.concatenate(faces)))
    assert all(b > 1.05 * a for a, b in itertools.pairwise(sizes)), sizes


@pytest.mark.parametrize("policy", ["rules", "mime"])
def test_delay_is_seen_later_and_answered_later(policy) -> None:
    lags = []
    for delay_s in (0.0, 0.4, 1.0):
        listener = make_listener(policy, seed=0, config=ListenerConfig(smile_share=1.0, delay_s=delay_s))
        times, faces = shown(run(listener, 9, lambda t: talk(t, smile=0.7 * (4 <= t < 7))))
        lags.append(float(times[np.argmax(smile_of(faces) > 0.1)]))
    assert np.subtract(lags, lags[0]) == pytest.approx([0.0, 0.4, 1.0], abs=0.1)


def test_with_a_delay_stamps_are_those_of_what_was_seen_but_who_leaves_is_missed_at_once() -> None:
    listener = make_listener("rules", seed=1, config=ListenerConfig(delay_s=0.6))
    plans = run(listener, 8, lambda t: talk(t) if t < 5.0 else person(t, face=False, heard=voice()))
    ages = [p.start_ns - p.picture_stamp_ns for p in plans if p.picture_stamp_ns is not None and p.start_ns < 5e9]
    assert min(ages) > 0.6e9
    assert max(ages) < 0.9e9
    assert next(p.start_ns for p in plans if p.start_ns > 5e9 and not p.engaged) < 6e9


# Who is there, and the robot's own voice


def between(plans: list[Reaction], begin_s: float, end_s: float) -> list[Reaction]:
    return [p for p in plans if begin_s * 1e9 < p.start_ns < end_s * 1e9]


@pytest.mark.parametrize(
    ("robot", "other", "clean"), [((3.08, 7.0), (0.0, 3.0), False), ((1.0, 7.0), (3.0, 5.0), True)]
)
def test_no_nod_while_the_robot_speaks_nor_at_its_last_words_also_none_that_was_planned(robot, other, clean) -> None:
    """It is heard as a voice, and a little longer, unless its echo is cancelled: then the other is heard over it."""
    keen = ListenerConfig(nod_rate_per_min=12.0, smile_share=1.0, responsiveness=1.0, nodding=1.0)
    heard = [other] if clean else [other, (robot[0], robot[1] + 0.35)]
    planned = 0
    for seed in range(6):
        listener = make_listener("rules", seed=seed, config=keen)

        def frames(time_s: float, listener: Listener = listener) -> SpeakerFrame:
            if robot[0] <= time_s < robot[1] + 0.04:
                listener.robot_speaking(time_s < robot[1], at(time_s))
            speaking = any(begin <= time_s < end for begin, end in heard)
            pause_s = min((time_s - end for _, end in heard if end <= time_s), default=0.0)
            return person(time_s, heard=replace(voice(speaking, pitch_hz=120.0, pause_s=pause_s), clean=clean))

        plans = run(listener, 12, frames)
        times, faces = shown(plans)
        meanwhile = (times > robot[0] + 0.3) & (times < robot[1] + 5 * (not clean))
        assert faces[meanwhile, HEAD_PITCH].max() < NOD
        assert {p.turn for p in between(plans, robot[0] + 0.3, 6.9)} == {"robot_speaking"}
        assert {p.turn for p in between(plans, 7.2, 11)} == {"listening"}
        unheard = {p.sound_stamp_ns is None for p in between(plans, robot[0] + 0.32, 6.9 if clean else 7.2)}
        assert unheard == {not clean}
        planned += any(p.coefficients[:, HEAD_PITCH].max() > NOD for p in between(plans, 3.0, 3.13))
    assert clean or planned >= 2


def test_counts_do_not_reach_back_into_the_robots_speech() -> None:
    own = OwnVoice(timeout_s=1.0)

    def heard(time_s: float, **values: float) -> Voice | None:
        return own.cleaned(person(time_s, heard=replace(voice(True), **values))).voice

    own.speaking(True, at(0.0))
    own.speaking(False, at(1.0))
    assert own.deaf(at(1.0 + TAIL_S - 0.04))
    assert not own.deaf(at(1.0 + TAIL_S + 0.04))
    assert heard(1.2) is None
    assert heard(2.0, utterance_s=1.9, pause_s=0.0).utterance_s == pytest.approx(0.5)
    assert math.isnan(heard(2.0, utterance_s=0.0, pause_s=0.9).pause_s)
    assert heard(4.0, utterance_s=0.0, pause_s=0.9).pause_s == pytest.approx(0.9)


def test_after_the_robots_question_it_waits_for_the_answer() -> None:
    """A monologue of the robot's of 30 s ends: the other, silent and still meanwhile, is not taken for absent."""
    listener = make_listener("rules", seed=1)

    def make(time_s: float) -> SpeakerFrame:
        listener.robot_speaking(time_s < 30.0, at(time_s))
        return person(time_s, heard=voice(time_s < 30.0))

    plans = run(listener, 60, make)
    assert {p.engaged for p in between(plans, 0, 48)} == {True}
    assert {p.engaged for p in between(plans, 52, 60)} == {False}


@pytest.mark.parametrize("policy", ["rules", "mime", "random", "idle"])
def test_nobody_there_is_idle_within_a_second_and_back(policy: str) -> None:
    come_and_go = lambda t: person(t, face=not 4 <= t < 8, smile=0.8, heard=voice())  # noqa: E731
    plans = run(make_listener(policy, seed=1), 12, come_and_go)
    gone = [p.start_ns / 1e9 for p in plans if not p.engaged and p.start_ns > 4e9]
    back = [p.start_ns / 1e9 for p in plans if p.engaged and p.start_ns > 8e9]
    assert 4.5 <= gone[0] <= 5.0
    assert back[0] <= 8.25
    assert not any(p.coefficients.any() for p in between(plans, 5.5, 7.9)), "an empty room gets a neutral plan"


def moving(time_s: float) -> SpeakerFrame:
    brows = 0.5 * (time_s > 15 and time_s % 4 < 1)
    return person(time_s, values=brows * np.eye(58)[INDEX["browInnerUp"]], heard=voice())


ROOMS = {
    "a face that moves": (30, moving, {(0.2, 30): True}),
    "a word": (30, lambda t: person(t, heard=voice(14 < t < 15)), {(0.2, 30): True}),
    "silence": (30, lambda t: person(t, heard=voice()), {(0.2, 19): True, (22, 30): False}),
    "no microphone": (40, lambda t: person(t), {(1, 40): True}),
    "speech without a camera": (
        20, lambda t: person(t, camera=False, heard=voice(2 <= t < 6)),
        {(0, 1.9): False, (2.3, 13): True, (14.5, 20): False},
    ),
    "loud music": (10, lambda t: person(t, camera=False, heard=voice(pitch_hz=220, loudness=-6)), {(0, 10): False}),
    "a camera that dies while speech goes on": (
        12, lambda t: person(t, camera=t < 5, heard=voice(True)), {(0.2, 12): True},
    ),
}  # fmt: skip
"""Seconds, frames, and whether someone is there between these times."""
"""Seconds, frames, and whether someone is there between these times."""


@pytest.mark.parametrize("room", ROOMS)
def test_a_missing_modality_is_neither_silence_nor_an_empty_room(room: str) -> None:
    seconds, make, engaged = ROOMS[room]
    plans = run(make_listener("rules", seed=1), seconds, make)
    for (begin, end), expected in engaged.items():
        assert {p.engaged for p in between(plans, begin, end)} == {expected}
