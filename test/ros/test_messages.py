"""Values to messages and back: nothing is lost, nothing that is not finite comes in, with and without ROS."""

import array
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from geometry_msgs.msg import Point, PoseStamped
from rclpy.serialization import deserialize_message, serialize_message

from reactdiff_ros import messages as m
from reactdiff_ros import msg
from reactdiff_ros import types as t
from reactdiff_ros.coefficients import MOUTH
from reactdiff_ros.errors import MessageError
from reactdiff_ros.settings import RANGES

NAN = float("nan")
f32 = st.floats(-8, 8, width=32)
unit = st.floats(0, 1, width=32)
stamp = st.integers(1, 2**31 * 10**9 - 1)
maybe = st.none() | stamp
text = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=12)


def floats(*shape, elements=f32):
    return arrays(np.float32, shape, elements=elements)


voices = st.builds(t.Voice, unit, st.booleans(), floats(26), f32, f32, f32 | st.just(NAN), f32, st.booleans())
affects = st.builds(t.Affect, st.sampled_from(t.EXPRESSION_CLASSES), floats(8, elements=unit), f32, f32)
frames = st.builds(
    t.SpeakerFrame,
    stamp, maybe, maybe, st.integers(-1, 2**31 - 1), st.booleans(), st.booleans(),
    floats(58), floats(58, elements=unit), unit, st.none() | st.builds(t.Gaze, f32, f32, unit), st.none() | floats(3),
    st.none() | affects, st.none() | voices, text,
)  # fmt: skip
plans = st.integers(1, 20).flatmap(
    lambda n: st.builds(
        t.Reaction,
        stamp, st.floats(1, 100, width=32), floats(n, 58), st.integers(1, n), st.booleans(), st.integers(0, 2**63),
        text, text, unit, maybe, maybe, st.integers(0, 15), st.none(), st.sampled_from(["hop", "evidence"]),
        st.sampled_from(["listening", "robot_speaking", "idle"]),
    )
)  # fmt: skip
faces = st.builds(
    t.ExpressionFrame,
    stamp, floats(58), st.sampled_from(["listening", "idle", "neutral"]), st.lists(text, max_size=4).map(tuple),
    maybe, maybe, maybe, maybe,
)  # fmt: skip
controls = st.builds(t.ListenerControl, *[f32 | st.just(NAN)] * len(RANGES), text)
mouths = st.integers(1, 30).flatmap(
    lambda n: st.builds(
        t.Mouth,
        text, stamp, *[floats(*shape, elements=unit) for shape in ((n, len(MOUTH)), (n,), (n,), (n,))],
        st.floats(10, 1000, width=32),
    )
)  # fmt: skip
rising = st.lists(unit, max_size=20).map(lambda values: np.sort(np.array(values, np.float32)))
timings = rising.flatmap(
    lambda starts: st.builds(
        t.SpeechTiming,
        text, stamp, st.sampled_from(get_args(t.Alphabet)),
        st.lists(text, min_size=len(starts), max_size=len(starts)).map(tuple),
        st.just(starts), st.just(starts + np.float32(0.5)),
    )
)  # fmt: skip
emotions = st.sampled_from(t.EXPRESSION_CLASSES)
states = st.builds(
    t.SpeechState, stamp, st.sampled_from(get_args(t.SpeechPhase)), text, text, maybe, maybe, emotions, unit
)
maybe_unit = unit | st.just(NAN)
turns = st.builds(t.TurnSignals, stamp, *[maybe_unit] * 7, f32 | st.just(NAN), maybe, maybe, text)
events = st.builds(t.TurnEvent, stamp, st.sampled_from(get_args(t.TurnEventKind)), unit, text)
persons = st.builds(t.PersonSeen, st.integers(-1, 2**31 - 1), st.none() | floats(3), unit, unit, unit)
people = st.builds(t.People, stamp, st.lists(persons, max_size=4).map(tuple), st.integers(-1, 99), unit, text)
KINDS = {
    "Mouth": (mouths, m.fill_mouth, m.mouth_value),
    "SpeechTiming": (timings, m.fill, m.timing_value),
    "SpeechState": (states, m.fill, m.speech_state_value),
    "TurnSignals": (turns, m.fill, m.turn_signals_value),
    "TurnEvent": (events, m.fill, m.turn_event_value),
    "SpeakerFrame": (frames, m.fill_speaker, m.speaker_value),
    "Reaction": (plans, m.fill_reaction, m.reaction_value),
    "ExpressionFrame": (faces, m.fill, m.expression_value),
    "ListenerControl": (controls, m.fill_control, m.control_value),
}


def same(a, b):
    """Equal, NaN included, through nested values and arrays."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__slots__") and hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, n), getattr(b, n)) for n in a.__dataclass_fields__)
    return a == b or (isinstance(a, float) and isinstance(b, float) and np.isnan(a) and np.isnan(b))


@pytest.mark.parametrize("name", KINDS)
def test_round_trip_loses_nothing_and_a_bag_has_the_same_bytes(name):
    interfaces = pytest.importorskip("reactdiff_ros.recordings.bags.interfaces", exc_type=ImportError)
    strategy, fill, back = KINDS[name]
    kind = getattr(msg, name)

    @settings(max_examples=25, deadline=None)
    @given(strategy)
    def check(value):
        theirs = fill(kind(), value)
        assert same(value, back(theirs))
        ours = interfaces.serialize(fill(interfaces.empty(f"reactdiff_ros/msg/{name}"), value))
        assert repr(deserialize_message(ours, kind)) == repr(deserialize_message(serialize_message(theirs), kind))
        read = interfaces.deserializer(f"reactdiff_ros/msg/{name}")(serialize_message(theirs))
        assert same(value, back(read))

    check()


@settings(max_examples=25, deadline=None)
@given(people, stamp, st.integers(8000, 96000), st.integers(1, 4), st.integers(0, 400), st.booleans())
def test_people_and_sound_round_trip(seen, stamp_ns, rate, channels, count, clean):
    assert same(seen, m.people_value(m.fill_people(msg.People(), seen, msg.Person)))
    samples = np.random.default_rng(count).integers(-32768, 32767, (count, channels), np.int16)
    sound = t.Sound(stamp_ns, rate, samples, clean)
    assert same(sound, m.sound_value(m.fill_audio(msg.AudioChunk(), sound, "mic")))


def test_candidates_and_explanations_round_trip_and_a_face_is_in_no_frame():
    candidates = np.random.default_rng(1).random((4, 16, 58), np.float32)
    plan = t.Reaction(5, 25.0, candidates[2], 4, True, 1, "model", "cpu", 0.01, 4, None, 2, candidates)
    values, chosen = m.candidates_value(m.fill_candidates(msg.ReactionCandidates(), plan))
    assert np.array_equal(values, candidates)
    assert (chosen, m.fill_reaction(msg.Reaction(), plan).candidate_count) == (2, 4)
    why = t.Explanation(7, ("plan", "face", "voice"), *np.arange(9, dtype=np.float32).reshape(3, 3))
    assert same(why, m.explanation_value(m.fill(msg.Explanation(), why)))
    face = t.ExpressionFrame(5, np.zeros(58, np.float32), "idle", (), None, None, None, None)
    assert m.fill(msg.ExpressionFrame(), face).header.frame_id == "", "TF tools look for every frame that is named"


# What cannot be is refused


def numbers(*values):
    return array.array("f", values)


PLAN = {"frame_rate": 25.0, "horizon": 2, "commit": 1, "coefficients": numbers(*[0.0] * 116)}
SOUND = {"sample_rate": 16000, "channels": 1, "samples": array.array("h", [1] * 8001)}
TIMES = {"alphabet": "ipa", "symbols": ["a"], "starts": numbers(0.1), "ends": numbers(0.2)}
MOUTH_OF_2 = {name: numbers(0.0, 0.0) for name in ("closure", "accent", "level")} | {
    "frame_rate": 100.0, "frames": 2, "coefficients": numbers(*[0.0] * 2 * len(MOUTH)),
}  # fmt: skip
SEEN = {"gaze_observed": True, "position_observed": True, "affect_observed": True, "expression": "happy"}
WHY = {"cues": ["a"], "smile": numbers(0.0), "brows": numbers(0.0), "nods_per_min": numbers(0.0)}


@pytest.mark.parametrize(("kind", "read", "good", "bad"), [
    *(("Reaction", m.reaction_value, PLAN, bad) for bad in (
        {"horizon": 0}, {"horizon": 3}, {"commit": 3}, {"frame_rate": NAN}, {"coefficients": numbers(*[NAN] * 116)},
    )),
    *(("AudioChunk", m.sound_value, SOUND, bad) for bad in (
        {"sample_rate": 4_000_000}, {"channels": 33}, {"channels": 2}, {"sample_rate": 8000},
    )),
    *(("SpeechTiming", m.timing_value, TIMES, bad) for bad in (
        {"symbols": ["a", "b"], "starts": numbers(0.2, 0.1), "ends": numbers(0.3, 0.3)}, {"ends": numbers(0.05)},
        {"starts": numbers(-0.1)}, {"ends": numbers(NAN)}, {"ends": numbers()}, {"alphabet": "klingon"},
    )),
    *(("Mouth", m.mouth_value, MOUTH_OF_2, {"frames": frames}) for frames in (0, 3, 60_000)),
    *(("Gesture", m.gesture_value, {"name": "nod"}, {"strength": bad}) for bad in (-0.1, 2.1, NAN)),
    ("Explanation", m.explanation_value, WHY, {"cues": ["a", "b"]}),
    ("ListenerControl", m.control_value, {"attitude": NAN}, {"attitude": math.inf}),
    ("ExpressionFrame", m.expression_value, {"mode": "idle"}, {"mode": "asleep"}),
    *(("SpeakerFrame", m.speaker_value, SEEN, bad) for bad in (
        {"expression": "hungry"}, {"coefficients": [0.0, NAN] * 29}, {"confidence": [0.0, 1.1] * 29},
        {"valence": NAN}, {"position": Point(y=math.inf)},
        {"voice": msg.Voice(observed=True, mfcc=[0.0, NAN] * 13)},
    )),
])  # fmt: skip
def test_a_message_that_cannot_be_is_refused(kind, read, good, bad):
    read(getattr(msg, kind)(**good))
    with pytest.raises(MessageError):
        read(getattr(msg, kind)(**(good | bad)))


# The head's pose

angle, metres = st.floats(-1.25, 1.25, width=32), st.floats(-0.25, 0.25, width=32)


def pose_message(*values):
    return m.fill_head_pose(PoseStamped(), t.HeadPose(5, np.array(values, np.float32)))


@given(st.tuples(angle, angle, angle, metres, metres, metres))
def test_head_pose_round_trip(values):
    found = m.head_pose_value(pose_message(*values))
    assert (found.stamp_ns, found.pose) == (5, pytest.approx(np.array(values, np.float32), abs=1e-6))


def test_the_head_turns_as_the_coefficients_say_and_what_is_no_pose_is_refused():
    """Pitch, yaw and roll of the face are about left (y), up (z) and forward (x) of REP-103."""
    for number, axis in enumerate("yzx"):
        turned = pose_message(*(0.2 * (np.arange(6) == number))).pose.orientation
        assert (turned.w, getattr(turned, axis)) == pytest.approx((math.cos(0.1), math.sin(0.1)))
    for part, field, value in (("position", "x", NAN), ("orientation", "w", NAN), ("orientation", "x", 5.0)):
        message = pose_message(*[0.0] * 6)
        setattr(getattr(message.pose, part), field, value)
        with pytest.raises(MessageError, match="pose of the head"):
            m.head_pose_value(message)
