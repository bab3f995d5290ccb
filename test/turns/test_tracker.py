"""The tracker: a 20 Hz grid, events in their order, bad input, the same for the same; its read-out and network."""

import importlib.util
import math
from collections import defaultdict
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from conversations import READOUT, START_NS, converse, frame, kinds, ns, voice
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ConfigError, WeightsError
from reactdiff_ros.turns.config import TurnsConfig
from reactdiff_ros.turns.readout import read_readout, written
from reactdiff_ros.turns.smart_turn import RATE_HZ, SmartTurn, find_network, log_mel
from reactdiff_ros.turns.tracker import TurnTracker
from reactdiff_ros.types import SpeechState

DUPLEX = TurnsConfig(full_duplex=True)
PROBABILITIES = ("p_speaking", "p_eot", "p_now", "p_future", "p_backchannel", "p_user_starts", "p_barge_in")


USER = {
    "user_started": ("silent", "turn"), "user_backchannel": ("silent", "silent"), "eot_eager": ("turn", "eager"),
    "eot_cancelled": ("eager", "turn"), "eot": ("eager", "silent"),
}  # fmt: skip
"""Before and after each event of the user."""


def check_order(events):
    """No end without a start, each end after an eager one that was not cancelled, robot's starts and stops in turn."""
    user, robot = "silent", "robot_stopped"
    for event in events:
        assert 0.0 <= event.confidence <= 1.0
        if event.kind.startswith("robot_"):
            assert event.kind != robot
            robot = event.kind
        elif event.kind in USER:
            assert user == USER[event.kind][0], event
            user = USER[event.kind][1]


def at_s(step):
    """When a step was, in seconds of its conversation."""
    return (step.signals.stamp_ns - START_NS) / NS


def noticed_ns(steps):
    """When the first barge-in was noticed."""
    return next(step.signals.stamp_ns for step in steps if "barge_in" in kinds(step.events))


def test_a_turn_starts_and_ends_once_and_its_end_is_the_likelier_the_longer_the_silence():
    steps, events = converse([(1.0, 3.0)])
    assert kinds(events) == ["user_started", "eot_eager", "eot"]
    assert [events[0].stamp_ns, events[2].stamp_ns] == pytest.approx([ns(1.0), ns(3.0)], abs=1e7)
    stamps = np.array([step.signals.stamp_ns for step in steps])
    assert set(np.diff(stamps)) == {NS // 20}
    assert not (stamps % (NS // 20)).any()
    values = [s.signals.p_eot for s in steps if 3.3 < at_s(s) < 4.9]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.01
    assert all(math.isnan(s.signals.p_eot) for s in steps if s.signals.silence_s == 0.0)
    config = TurnsConfig(eager_probability=0.01, end_probability=1.0, longest_silence_s=1.5)
    _, events = converse([(1.0, 2.0), (2.6, 3.5)], config=config)
    assert kinds(events) == ["user_started", "eot_eager", "eot_cancelled", "eot_eager", "eot"], "more words cancel"


def test_without_an_echo_canceller_the_robots_own_voice_is_no_ones():
    """The microphone hears the robot all the time: it is neither a turn, nor a barge-in, and there are no words."""
    steps, events = converse([(1.0, 4.2)], [(1.0, 4.0)])
    assert kinds(events) == ["robot_started", "robot_stopped"]
    over = [s.signals for s in steps if 1.1 < at_s(s) < 3.9]
    assert all(math.isnan(s.p_speaking) and math.isnan(s.p_barge_in) for s in over)


@pytest.mark.parametrize("how", [{"clean": True}, {"config": DUPLEX}], ids=["echo cancelled", "headset"])
def test_long_speech_over_the_robots_is_a_barge_in_and_short_speech_a_backchannel(how):
    steps, events = converse([(2.0, 4.5)], [(1.0, 6.0)], **how)
    assert kinds(events)[:3] == ["robot_started", "barge_in", "user_started"]
    assert events[1].utterance == "u0"
    assert ns(2.1) <= noticed_ns(steps) <= ns(2.5)
    _, events = converse([(2.0, 2.3)], [(1.0, 6.0)], **how)
    assert kinds(events) == ["robot_started", "user_backchannel", "robot_stopped"]
    # Pieces count together, as an echo canceller leaves them of someone who is as loud as the echo.
    steps, events = converse([(2.0, 2.25), (2.6, 2.85), (3.3, 4.5)], [(1.0, 6.0)], **how)
    assert kinds(events)[:4] == ["robot_started", "user_backchannel", "barge_in", "user_started"]
    assert noticed_ns(steps) < ns(2.9)
    tracker = TurnTracker(READOUT, DUPLEX)
    converse([(2.0, 4.5)], [(1.0, 6.0)], seconds=4.0, tracker=tracker, clean="clean" in how)
    assert tracker.floor.holder == "user", "who takes the floor has it while both speak"


def test_a_robot_that_begins_ends_the_turn_of_who_is_silent_and_leaves_it_to_who_goes_on():
    config = TurnsConfig(eager_probability=1.0, end_probability=1.0)
    steps, events = converse([(1.0, 2.0)], [(2.3, 4.0)], config=config)
    assert kinds(events) == ["user_started", "eot_eager", "eot", "robot_started", "robot_stopped"]
    now = {round(at_s(s), 2): s.signals.p_now for s in steps}
    assert now[3.3] < 0.2 < 0.8 < now[1.5], "who goes on"
    _, events = converse([(1.0, 5.0)], [(2.0, 4.0)], config=DUPLEX)
    assert kinds(events)[:2] == ["user_started", "robot_started"]
    assert "barge_in" in kinds(events)
    check_order(events)


def test_a_lost_microphone_ends_the_turn():
    tracker, events = TurnTracker(READOUT), []
    for t in np.arange(250) * 0.04:
        tracker.push_frame(frame(t, voice([(0.5, 100.0)], t) if t < 3.0 else None))
        events += [event for step in tracker.advance(ns(t)) for event in step.events]
    assert kinds(events) == ["user_started", "eot_eager", "eot"]


def test_a_robots_speech_is_when_it_is_heard_and_the_flag_of_a_labs_own_synthesis_lapses():
    """It begins when its sound is heard, not when it is announced, and ends with it."""
    near = partial(pytest.approx, abs=0.06e9)
    tracker, flagged = TurnTracker(READOUT), TurnTracker(READOUT)
    tracker.push_speech(SpeechState(ns(0.0), "speaking", "u7", "", ns(1.0), ns(2.0)))
    flagged.push_robot_speaking(True, ns(0.0))
    events = [e for k in range(80) for s in tracker.advance(ns(k * 0.05)) for e in s.events]
    heard = [("robot_started", near(ns(1.0)), "u7"), ("robot_stopped", near(ns(2.0)), "u7")]
    assert [(e.kind, e.stamp_ns, e.utterance) for e in events] == heard
    events = [e for k in range(60) for s in flagged.advance(ns(k * 0.05)) for e in s.events]
    assert kinds(events) == ["robot_started", "robot_stopped"]
    assert events[1].stamp_ns - events[0].stamp_ns == near(NS)


def test_the_network_is_asked_once_a_pause_and_its_answer_counts():
    tracker = TurnTracker(READOUT)
    asked, answers = [], {}
    for t in np.arange(200) * 0.04:
        tracker.push_frame(frame(t, voice([(0.5, 2.0), (3.0, 4.0)], t)))
        steps = tracker.advance(ns(t))
        answers |= {round(at_s(step), 2): step.features.network for step in steps}
        pause_ns = tracker.asks()
        if pause_ns is not None:
            asked.append(pause_ns)
            assert steps[-1].features.network is None
            tracker.push_answer(pause_ns, 0.9)
    assert asked == pytest.approx([ns(2.0), ns(4.0)], abs=5e6)
    assert answers[2.35] is not None
    assert answers[3.2] is None  # the next words are said, the answer was about the pause before


def test_the_same_input_gives_the_same_output_and_what_comes_later_changes_nothing_before():
    spans = [(0.5, 2.0), (2.4, 3.0), (5.0, 6.0)]
    first, second = (converse(spans, [(3.5, 4.8)], face=True)[0] for _ in range(2))
    assert repr(first) == repr(second)
    early, other = (converse([(0.5, 2.0), (2.4, end)], seconds=6.0)[0] for end in (3.0, 5.0))
    until = [k for k, s in enumerate(early) if s.signals.stamp_ns <= ns(3.0)]
    assert repr([early[k].signals for k in until]) == repr([other[k].signals for k in until])


def test_a_jump_back_is_a_new_conversation():
    tracker = TurnTracker(READOUT)
    converse([(0.5, 20.0)], seconds=5.0, tracker=tracker)
    tracker.push_frame(frame(0.0, voice([], 0.0)))
    assert math.isnan(tracker.advance(ns(0.01))[-1].signals.silence_s)
    _, events = converse([(0.5, 2.0)], seconds=5.0, tracker=tracker)
    assert kinds(events) == ["user_started", "eot_eager", "eot"]


INPUTS = st.tuples(
    st.sampled_from(["frame", "none", "speech", "flag", "answer"]), st.floats(-1.0, 20.0), st.booleans(),
    st.booleans(), st.one_of(st.floats(-2.0, 9.0), st.just(math.nan), st.just(math.inf)),
)  # fmt: skip


@given(st.lists(INPUTS, max_size=60), st.booleans(), st.booleans())
def test_any_order_of_any_input_gives_sound_signals_and_events(inputs, in_order, duplex):
    tracker = TurnTracker(READOUT, TurnsConfig(full_duplex=duplex))
    conversations = defaultdict(list)
    for kind, t, flag, other, number in sorted(inputs, key=lambda i: i[1]) if in_order else inputs:
        if kind in ("frame", "none"):
            heard = voice([(0.0, 30.0)] if flag else [], t)
            heard = replace(heard, pitch_hz=number, loudness_dbfs=number, pause_s=number, speech_probability=number)
            tracker.push_frame(frame(t, heard if kind == "frame" else None, face=other, contact=number, jaw=number))
        elif kind == "speech":
            phase, end_ns = "speaking" if flag else "idle", ns(t) if other else None
            tracker.push_speech(SpeechState(ns(t), phase, "u", "", ns(t), end_ns))
        elif kind == "flag":
            tracker.push_robot_speaking(flag, ns(t))
        else:
            tracker.push_answer(tracker.asks() or ns(t), number)
        floor = tracker.floor
        for step in tracker.advance(ns(t)):
            values = np.array([getattr(step.signals, name) for name in PROBABILITIES])
            assert ((values >= 0.0) & (values <= 1.0) | np.isnan(values)).all()
            assert not step.signals.silence_s < 0.0
            conversations[floor].extend(step.events)
    if len(conversations) == 1:  # without a jump back
        check_order(*conversations.values())


@given(st.lists(st.floats(0.1, 3.0), min_size=1, max_size=12), st.lists(st.floats(0.1, 3.0), max_size=8), st.booleans())
def test_events_of_any_conversation_are_consistent(user, robot, duplex):
    def spans(lengths, at):
        edges = at + np.cumsum(lengths)
        return [(float(b), float(e)) for b, e in zip(edges[::2], edges[1::2], strict=False)]

    config = TurnsConfig(full_duplex=duplex)
    _, events = converse(spans(user, 0.0), spans(robot, 0.5), seconds=min(sum(user) + 4.0, 24.0), config=config)
    check_order(events)


def test_impossible_settings_are_refused():
    for bad in ({"eager_probability": 0.95}, {"least_silence_s": 3.0}, {"end_probability": 0.0}):
        with pytest.raises(ConfigError):
            TurnsConfig(**bad)


def test_weights_are_read_as_they_were_written_and_damaged_ones_are_one_sentence(tmp_path):
    path = tmp_path / "readout.json"
    path.write_text(written(READOUT.heads, {"a": 1}))
    again = read_readout(path)
    features = converse([(1.0, 3.0)], seconds=5.0)[0][-1].features
    assert again.logit("eot", features) == pytest.approx(READOUT.logit("eot", features), abs=1e-4)
    assert again.about == {"a": 1}
    text = path.read_text()
    for old, new in (
        (text[100:], ""), ('"format": 1', '"format": 2'), ("silence_over_0.2_s", "other"),
        ('"bias": ', '"bias": 1e999, "was": '), (text, "[]"),
    ):  # fmt: skip
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(WeightsError, match=r"readout\.json"):
            read_readout(path)


# smart-turn: Whisper's features, where its file is looked for, and what a damaged one gives.


def noise(seconds, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(seconds * RATE_HZ).astype(np.float32)


def test_features_have_zeros_in_front_and_are_of_the_last_8_s():
    features = log_mel(noise(2))
    assert (features.shape, features.dtype) == ((80, 800), np.float32)
    assert features[:, 5:590].std(axis=1).max() < 1e-6 < 0.05 < features[:, 610:].std()
    assert np.isfinite(log_mel(np.zeros(0, np.float32))).all()
    sound = noise(9, 1)
    assert np.array_equal(log_mel(sound), log_mel(sound[RATE_HZ:]))
    assert np.allclose(log_mel(0.5 * sound), log_mel(sound), atol=1e-3)  # loudness does not count


def test_features_are_those_that_the_network_was_made_for_and_it_answers_with_a_probability():
    network = find_network("auto") or pytest.skip("pipecat-ai is not installed (requirements/turns.txt)")
    spec = importlib.util.spec_from_file_location("w", network.parents[1] / "_whisper_features.py")
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    sound = noise(3, 2)
    padded = np.pad(sound, (5 * RATE_HZ, 0))
    assert np.abs(theirs.compute_whisper_log_mel_features(padded) - log_mel(sound)).max() < 1e-5
    assert 0.0 <= SmartTurn(network).probability(np.zeros(RATE_HZ, np.float32)) <= 1.0


def test_a_missing_or_damaged_file_is_one_sentence(tmp_path):
    assert find_network("none") is None
    with pytest.raises(WeightsError, match=r"turns\.txt"):
        find_network(str(tmp_path / "nowhere.onnx"))
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"bad\.onnx"):
        SmartTurn(find_network(str(bad)))
