"""Whatever a message says: a value or a sentence."""

import contextlib
import math
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fuzz_tools import examples, value_or_sentence
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros import messages
from reactdiff_ros.capture.decode import ENCODINGS, decode_image
from reactdiff_ros.capture.other_sound import StampedBytes, sampled_sound
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.settings import RANGES
from reactdiff_ros.types import EXPRESSION_CLASSES

FIELDS = ("int16_data", "float32_data", "int32_data", "int8_data", "uint8_data")
LARGEST = float(np.finfo(np.float32).max)
numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, LARGEST, -LARGEST, math.nan, math.inf, -math.inf, -100.0]),
    st.floats(width=32),
)
texts = st.one_of(st.sampled_from(["", "listening", "nod", "natural", "\0", "x" * 500]), st.text(max_size=30))
message = partial(st.builds, SimpleNamespace)
stamps = message(sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1))
headers = message(stamp=stamps, frame_id=texts)
flags = st.booleans()
counts = st.one_of(st.integers(0, 20), st.sampled_from([2**16, 2**31 - 1, 2**32 - 1]))


def mostly(size: int, value: float, others: list[tuple[int, float]]) -> Any:
    """(size,) float32 of one number, with some others."""
    result = np.full(size, value, np.float32)
    for i, other in others:
        result[i] = other
    return result


def array(size: int) -> st.SearchStrategy[Any]:
    return st.builds(partial(mostly, size), numbers, st.lists(st.tuples(st.integers(0, size - 1), numbers), max_size=3))


point = message(x=numbers, y=numbers, z=numbers)
voice = message(
    observed=flags, speaking=flags, speech_probability=numbers, mfcc=array(26),
    pitch_hz=numbers, loudness_dbfs=numbers, pause_s=numbers, utterance_s=numbers,
)  # fmt: skip
speaker = message(
    header=headers, picture_stamp=stamps, sound_stamp=stamps, person_id=st.integers(-(2**31), 2**31 - 1),
    face_present=flags, mesh_present=flags, coefficients=array(COEFFICIENT_COUNT),
    confidence=st.one_of(array(COEFFICIENT_COUNT), st.just(np.ones(COEFFICIENT_COUNT, np.float32))),
    neutral_confidence=numbers, gaze_observed=flags, gaze_yaw=numbers, gaze_pitch=numbers, gaze_contact=numbers,
    position_observed=flags, position=point, affect_observed=flags,
    expression=st.one_of(st.sampled_from(sorted(EXPRESSION_CLASSES)), texts),
    expression_probabilities=array(len(EXPRESSION_CLASSES)), valence=numbers, arousal=numbers, voice=voice,
)  # fmt: skip


@st.composite
def reactions(draw: st.DrawFn) -> Any:
    horizon = draw(st.one_of(st.integers(1, 16), counts))
    size = horizon * COEFFICIENT_COUNT if horizon <= 250 and draw(st.integers(0, 5)) else draw(st.integers(0, 300))
    return SimpleNamespace(
        header=draw(headers), frame_rate=draw(st.one_of(st.just(25.0), numbers)), horizon=horizon,
        commit=draw(st.one_of(st.just(1), counts)), engaged=draw(flags), seed=draw(counts), policy=draw(texts),
        backend=draw(texts), compute_time=draw(numbers), candidate=draw(counts), reason=draw(texts), turn=draw(texts),
        picture_stamp=draw(stamps), sound_stamp=draw(stamps), coefficients=np.full(size, draw(numbers), np.float32),
    )  # fmt: skip


MESSAGES = {
    "speaker": (messages.speaker_value, speaker),
    "gaze": (messages.gaze_value, message(header=headers, point=point)),
    "reaction": (messages.reaction_value, reactions()),
    "candidates": (messages.candidates_value, message(
        count=counts, horizon=counts, chosen=counts, frame_rate=numbers,
        coefficients=array(2 * COEFFICIENT_COUNT),
    )),
    "explanation": (messages.explanation_value, message(
        header=headers, cues=st.lists(texts, max_size=3), smile=array(3), brows=array(3),
        nods_per_min=array(3),
    )),
    "expression": (messages.expression_value, message(
        header=headers, mode=st.one_of(st.just("listening"), texts), layers=st.lists(texts, max_size=3),
        coefficients=array(COEFFICIENT_COUNT), picture_stamp=stamps, sound_stamp=stamps,
        reaction_picture_stamp=stamps, reaction_sound_stamp=stamps,
    )),
    "control": (messages.control_value, message(delay=numbers, style=texts, **dict.fromkeys(RANGES, numbers))),
    "gesture": (messages.gesture_value, message(name=texts, strength=numbers)),
    "sound": (messages.sound_value, message(
        header=headers, sample_rate=st.one_of(st.just(16000), counts), channels=st.one_of(st.integers(0, 4), counts),
        samples=st.lists(st.integers(-(2**15), 2**15 - 1), max_size=40).map(lambda v: np.array(v, np.int16)),
    )),
}  # fmt: skip


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_a_value_or_a_sentence(kind: str, tmp_path: Any) -> None:
    convert, strategy = MESSAGES[kind]

    def check(said: Any) -> None:
        value_or_sentence(lambda *_: convert(said), b"", tmp_path)

    given(strategy)(examples(60)(check))()


@given(
    st.one_of(st.sampled_from(ENCODINGS), texts), st.integers(-5, 70), st.integers(-5, 70),
    st.one_of(st.integers(-10, 300), counts), st.binary(max_size=400), st.booleans(), st.booleans(),
)  # fmt: skip
@examples(150)
def test_a_raw_picture_is_a_value_or_a_sentence(encoding, height, width, step, data, big, giant) -> None:
    if giant:
        height, width = height * 2**25, width * 2**25
    with contextlib.suppress(ReactdiffError):
        assert decode_image(encoding, height, width, step, data, big).shape == (height, width, 3)


@given(
    st.integers(-1, 2**31), st.integers(-1, 300), texts, texts, st.binary(max_size=60),
    st.sampled_from(FIELDS), st.lists(numbers, max_size=9),
)  # fmt: skip
@examples(100)
def test_sound_of_other_packages_is_a_value_or_a_sentence(rate, channels, coding, kind, data, field, values) -> None:
    source, header = StampedBytes(), SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0))
    source.on_info(SimpleNamespace(sample_rate=rate, channels=channels, coding_format=coding, sample_format=kind))
    fields: dict[str, Any] = {name: [] for name in FIELDS}
    with np.errstate(all="ignore"):
        typed = np.nan_to_num(np.array(values, np.float64), posinf=99.0, neginf=-99.0).clip(-100, 100)
    fields[field] = np.array(values, np.float32) if field == "float32_data" else typed.astype(field[:-5])
    audio = SimpleNamespace(audio_data=SimpleNamespace(**fields), info=SimpleNamespace(rate=rate, channels=channels))
    for read in (
        lambda: source.sound(SimpleNamespace(header=header, audio=SimpleNamespace(data=data))),
        lambda: sampled_sound(SimpleNamespace(header=header, audio=audio)),
    ):
        with contextlib.suppress(ReactdiffError):
            assert read().samples.shape[1] == channels
