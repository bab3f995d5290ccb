"""Values to messages and back: nothing is lost, nothing that is not finite comes in."""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
msg = pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros import types as t  # noqa: E402
from reactdiff_ros.capture.decode import StampedBytes, sampled_sound  # noqa: E402
from reactdiff_ros.errors import MessageError  # noqa: E402
from reactdiff_ros.messages import (  # noqa: E402
    candidates_value,
    control_value,
    expression_value,
    fill_audio,
    fill_candidates,
    fill_control,
    fill_expression,
    fill_reaction,
    fill_speaker,
    gesture_value,
    reaction_value,
    sound_value,
    speaker_value,
)
from reactdiff_ros.nodes.perception_node import action_units  # noqa: E402
from reactdiff_ros.vocabulary import RANGES  # noqa: E402

NAN = float("nan")
f32 = st.floats(-8, 8, width=32)
unit = st.floats(0, 1, width=32)
stamp = st.integers(1, 2**31 * 10**9 - 1)
maybe = st.none() | stamp
text = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=12)


def floats(*shape, elements=f32):
    return arrays(np.float32, shape, elements=elements)


voices = st.builds(t.Voice, unit, st.booleans(), floats(26), f32, f32, f32 | st.just(NAN), f32)
affects = st.builds(t.Affect, st.sampled_from(t.EXPRESSION_CLASSES), floats(7, elements=unit), f32, f32)
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


def same(a, b):
    """Equal, NaN included, through nested values and arrays."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if hasattr(a, "__slots__") and hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, n), getattr(b, n)) for n in a.__dataclass_fields__)
    return a == b or (isinstance(a, float) and isinstance(b, float) and np.isnan(a) and np.isnan(b))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_round_trip_loses_nothing(data):
    there_and_back = [
        (frames, fill_speaker, msg.SpeakerFrame, speaker_value),
        (plans, fill_reaction, msg.Reaction, reaction_value),
        (faces, fill_expression, msg.ExpressionFrame, expression_value),
        (controls, fill_control, msg.ListenerControl, control_value),
    ]
    values, fill, kind, back = data.draw(st.sampled_from(there_and_back))
    value = data.draw(values)
    assert same(value, back(fill(kind(), value)))


@given(stamp, st.integers(8000, 96000), st.integers(1, 4), st.integers(0, 400))
def test_sound_round_trip(stamp_ns, rate, channels, count):
    samples = np.random.default_rng(count).integers(-32768, 32767, (count, channels), np.int16)
    sound = t.Sound(stamp_ns, rate, samples)
    assert same(sound, sound_value(fill_audio(msg.AudioChunk(), sound, "mic")))


def test_what_is_in_no_frame_names_none():
    """TF tools look for every frame that a header names."""
    face = t.ExpressionFrame(5, np.zeros(58, np.float32), "idle", (), None, None, None, None)
    assert fill_expression(msg.ExpressionFrame(), face).header.frame_id == ""


def test_candidates_round_trip():
    candidates = np.random.default_rng(1).random((4, 16, 58), np.float32)
    plan = t.Reaction(5, 25.0, candidates[2], 4, True, 1, "model", "cpu", 0.01, 4, None, 2, candidates)
    values, chosen = candidates_value(fill_candidates(msg.ReactionCandidates(), plan))
    assert np.array_equal(values, candidates)
    assert chosen == 2
    assert fill_reaction(msg.Reaction(), plan).candidate_count == 4


@pytest.mark.parametrize("bad", [NAN, float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "field",
    ["coefficients", "confidence", "neutral_confidence", "gaze_yaw", "gaze_contact", "valence", "position",
     "voice.mfcc", "voice.pitch_hz", "voice.speech_probability"],
)  # fmt: skip
def test_speaker_frame_that_is_not_finite_is_refused(field, bad):
    message = msg.SpeakerFrame(gaze_observed=True, position_observed=True, affect_observed=True, expression="happy")
    message.voice.observed = True
    assert speaker_value(message).gaze is not None
    target = message
    if field.startswith("voice."):
        target, field = message.voice, field.partition(".")[2]
    if field == "position":
        message.position.y = bad
    elif isinstance(getattr(target, field), float):
        setattr(target, field, bad)
    else:
        getattr(target, field)[3] = bad
    with pytest.raises(MessageError, match="finite"):
        speaker_value(message)


def plan_message(**fields):
    values = {"frame_rate": 25.0, "horizon": 2, "commit": 1, "coefficients": array.array("f", [0.0] * 116)} | fields
    return msg.Reaction(**values)


@pytest.mark.parametrize(
    "fields",
    [
        {"horizon": 0},
        {"horizon": 3},
        {"horizon": 60000},
        {"commit": 0},
        {"commit": 3},
        {"frame_rate": 0.0},
        {"frame_rate": NAN},
        {"compute_time": NAN},
        {"coefficients": array.array("f", [NAN] * 116)},
    ],
)
def test_plan_that_cannot_be_is_refused(fields):
    assert reaction_value(plan_message()).coefficients.shape == (2, 58)
    with pytest.raises(MessageError):
        reaction_value(plan_message(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"sample_rate": 0},
        {"sample_rate": 4_000_000},
        {"channels": 0},
        {"channels": 33},
        {"channels": 2},
        {"sample_rate": 8000},
    ],
)
def test_sound_that_cannot_be_is_refused(fields):
    values = {"sample_rate": 16000, "channels": 1, "samples": array.array("h", [1] * 8001)}
    assert sound_value(msg.AudioChunk(**values)).samples.shape == (8001, 1)
    with pytest.raises(MessageError):
        sound_value(msg.AudioChunk(**(values | fields)))


def test_control_keeps_nan_and_refuses_infinity():
    assert np.isnan(control_value(msg.ListenerControl(attitude=NAN)).attitude)
    with pytest.raises(MessageError):
        control_value(msg.ListenerControl(attitude=float("inf")))


def test_a_control_says_only_what_it_was_given():
    control = control_value(msg.ListenerControl(nodding=0.5, style="warm"))
    assert (control.nodding, control.style) == (0.5, "warm")
    assert all(np.isnan(getattr(control, name)) for name in RANGES if name != "nodding")


def test_gesture_has_a_name_and_a_strength():
    assert gesture_value(msg.Gesture(name=" Brow raise ")) == ("brow_raise", 1.0)
    assert gesture_value(msg.Gesture(name="nod", strength=0.5)) == ("nod", 0.5)
    for strength in (-0.1, 2.1, NAN, float("inf")):
        with pytest.raises(MessageError, match="0 to 2"):
            gesture_value(msg.Gesture(name="nod", strength=strength))


def test_unknown_mode_or_expression_is_refused():
    with pytest.raises(MessageError, match="mode"):
        expression_value(msg.ExpressionFrame(mode="asleep"))
    with pytest.raises(MessageError, match="expression"):
        speaker_value(msg.SpeakerFrame(affect_observed=True, expression="hungry"))


# Messages of packages that are not on every machine: their fields as published.


def stamped(**fields):
    return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=7)), **fields)


def test_bytes_of_the_ros_drivers_package():
    source = StampedBytes()
    message = stamped(audio=SimpleNamespace(data=array.array("B", np.array([1, -2], "<i2").tobytes())))
    assert source.sound(message).samples.tolist() == [[1], [-2]]
    info = {"sample_rate": 48000, "channels": 2, "coding_format": "WAVE", "sample_format": "S16LE"}
    source.on_info(SimpleNamespace(**info))
    sound = source.sound(message)
    assert (sound.rate_hz, sound.samples.tolist(), sound.stamp_ns) == (48000, [[1, -2]], 7)
    source.on_info(SimpleNamespace(**(info | {"coding_format": "mp3"})))
    with pytest.raises(MessageError, match="mp3"):
        source.sound(message)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("int16_data", [5, -5], [5, -5]),
        ("float32_data", [1.0, -0.5], [32767, -16383]),
        ("int32_data", [5 << 16, -(5 << 16)], [5, -5]),
        ("int8_data", [1, -1], [256, -256]),
        ("uint8_data", [128, 129], [0, 256]),
    ],
)
def test_samples_of_the_other_package(name, values, expected):
    names = ("int16_data", "float32_data", "int32_data", "int8_data", "uint8_data")
    data = SimpleNamespace(**({key: [] for key in names} | {name: values}))
    info = SimpleNamespace(rate=16000, channels=1)
    message = stamped(audio=SimpleNamespace(audio_data=data, info=info))
    assert sampled_sound(message).samples[:, 0].tolist() == expected


@pytest.mark.parametrize("values", [[], [NAN]])
def test_sound_of_the_other_package_that_cannot_be(values):
    names = ("int16_data", "int32_data", "int8_data", "uint8_data")
    data = SimpleNamespace(**{key: [] for key in names}, float32_data=values)
    message = stamped(audio=SimpleNamespace(audio_data=data, info=SimpleNamespace(rate=16000, channels=1)))
    with pytest.raises(MessageError):
        sampled_sound(message)


def test_action_units_follow_the_coefficients_and_their_confidence():
    from reactdiff_ros.coefficients import INDEX

    values, confidence = np.zeros(58, np.float32), np.ones(58, np.float32)
    values[INDEX["mouthSmileLeft"]], values[INDEX["mouthSmileRight"]] = 0.4, 0.8
    confidence[INDEX["mouthSmileRight"]] = 0.25
    frame = t.SpeakerFrame(1, 1, None, 1, True, True, values, confidence, 1.0, None, None, None, None)
    intensity, sure = action_units(frame)
    assert intensity.shape == sure.shape == (99,)
    assert intensity[12] == pytest.approx(0.6)
    assert sure[12] == pytest.approx(0.25)
    assert intensity.sum() == pytest.approx(0.6)
