"""Own sound to a mouth: the same bits for any chunking, still in silence, whatever comes in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError, WeightsError
from reactdiff_ros.speech.lips import LOOK_AHEAD_S, Lips, LipWeights, read_weights
from reactdiff_ros.speech.visemes import JAW
from reactdiff_ros.types import Mouth, Sound, SpeechTiming
from reactdiff_ros.whole_file import write_arrays

START_NS = 5 * NS


@pytest.fixture(scope="module")
def weights() -> LipWeights:
    return read_weights()


def speech(seconds: float = 2.0, rate: int = 16000, seed: int = 0) -> NDArray[np.int16]:
    """Buzz with formants that move, in syllables of a quarter of a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k * (1 + np.sin(2 * np.pi * 2 * t + k)) for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 4 * t), 0, 1)
    sound = 4000 * buzz * syllables / 3 + rng.normal(0, 30, len(t))
    return np.asarray(sound.clip(-32000, 32000), np.int16)[:, None]


def run(weights: LipWeights, samples: NDArray[np.int16], cuts: Sequence[int], rate: int = 16000) -> list[Mouth]:
    lips, found, at = Lips(weights), [], 0
    for cut in [*cuts, len(samples)]:
        found += lips.push(Sound(START_NS + at * NS // rate, rate, samples[at : at + cut]))
        at = min(at + cut, len(samples))
    return found + lips.flush()


def joined(tracks: Sequence[Mouth]) -> NDArray[np.float32]:
    return np.concatenate([np.column_stack([t.coefficients, t.closure, t.accent, t.level]) for t in tracks])


@pytest.mark.parametrize("rate", [8000, 22050, 192000])
def test_frames_of_any_rate_follow_each_other_from_the_first_sample(weights: LipWeights, rate: int) -> None:
    tracks = run(weights, speech(1.0, rate), [rate // 50] * 60, rate)
    at = START_NS
    for track in tracks:
        assert track.start_ns == at
        at += len(track.level) * NS // 100
    assert at - START_NS >= NS
    values = joined(tracks)
    assert np.isfinite(values).all()
    assert values[:100, JAW].max() > 0.03
    assert values[-1].max() < 0.02  # at rest in the end


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=40), st.sampled_from([16000, 22050]), st.integers(1, 3))
def test_any_chunking_gives_the_same_bits(weights: LipWeights, cuts: list[int], rate: int, channels: int) -> None:
    samples = np.repeat(speech(0.6, rate), channels, axis=1)
    parts = joined(run(weights, samples, cuts, rate))
    for whole in (run(weights, samples, [], rate), [Lips(weights).whole(Sound(START_NS, rate, samples))]):
        np.testing.assert_array_equal(joined(whole), parts)


def test_a_frame_is_known_as_soon_as_the_look_ahead_has_been_heard_and_depends_on_nothing_beyond(
    weights: LipWeights,
) -> None:
    assert LOOK_AHEAD_S <= 0.04
    lips, known, samples = Lips(weights), 0, speech(1.0)
    for at in range(0, 16000, 160):
        for track in lips.push(Sound(START_NS + at * NS // 16000, 16000, samples[at : at + 160])):
            known = (track.start_ns - START_NS) * 100 // NS + len(track.level)
        assert at / 16000 + 0.01 - known / 100 <= LOOK_AHEAD_S + 0.02
    other = samples.copy()
    other[8000:] = speech(1.0, seed=3)[:8000] // 2
    frames = int((0.5 - LOOK_AHEAD_S) * 100) - 1
    a, b = (joined(run(weights, x, [])) for x in (samples, other))
    np.testing.assert_array_equal(a[:frames], b[:frames])
    assert (a[frames:] != b[frames:]).any()


def test_a_still_mouth_in_silence(weights: LipWeights) -> None:
    quiet = np.random.default_rng(0).integers(-20, 20, (32000, 1)).astype(np.int16)  # -69 dBFS
    for samples in (np.zeros((32000, 1), np.int16), quiet):
        values = joined(run(weights, samples, []))
        assert values.max() == 0.0
    after = joined(run(weights, np.concatenate([speech(1.0), np.zeros((32000, 1), np.int16)]), []))
    assert after[150:, JAW].mean() <= 0.001


@settings(max_examples=10, deadline=None)
@given(st.binary(max_size=6000), st.integers(8000, 192_000))
def test_any_sound_gives_a_mouth_within_bounds(weights: LipWeights, data: bytes, rate: int) -> None:
    """Random bytes, then a square wave at full scale."""
    samples = np.frombuffer(data[: len(data) // 2 * 2], np.int16)[:, None]
    square = (np.sign(speech(0.3).astype(int)) * 32767).astype(np.int16)
    values = joined([*run(weights, samples, [], rate), *run(weights, square, [])])
    assert np.isfinite(values).all()
    assert ((values >= 0) & (values <= 1)).all()


def test_sound_of_a_wrong_rate_is_a_sentence_without_samples_nothing_and_a_gap_or_another_rate_a_beginning(
    weights: LipWeights,
) -> None:
    lips = Lips(weights)
    for rate in (7999, 192_001):
        with pytest.raises(MediaError, match="8000 to 192000"):
            lips.push(Sound(START_NS, rate, speech(0.1)))
    for samples in (np.zeros((0, 1), np.int16), np.zeros(100, np.int16), np.zeros((100, 0), np.int16)):
        assert lips.push(Sound(START_NS, 16000, samples)) == []
    assert lips.flush() == []
    for start_ns, rate in ((START_NS, 16000), (START_NS + 3 * NS, 16000), (START_NS + 3 * NS + NS // 2, 48000)):
        assert start_ns in [track.start_ns for track in lips.push(Sound(start_ns, rate, speech(0.5, rate)))]


def timing(symbols: str, start_ns: int = START_NS, length: float = 0.1) -> SpeechTiming:
    starts = np.arange(len(symbols), dtype=np.float32) * np.float32(length)
    return SpeechTiming("timed", start_ns, "ipa", tuple(symbols), starts, starts + np.float32(length))


def test_where_sounds_are_timed_the_table_speaks_alone(weights: LipWeights) -> None:
    said: list[str] = []
    lips = Lips(weights, said.append)
    for _ in range(3):
        table = lips.follow(timing("ma☃pa"))
    assert len(said) == 1, "a symbol that is not known is reported once"
    assert table.closure[5] >= 0.9
    tracks = [*lips.push(Sound(START_NS, 16000, speech(2.0))), *lips.flush()]
    assert min(track.start_ns for track in tracks) >= START_NS + len(table.level) * NS // 100
    assert sum(len(track.level) for track in tracks) > 100


def test_a_timing_that_ends_before_the_sound_is_completed_by_the_network(weights: LipWeights) -> None:
    sound = Sound(START_NS, 16000, speech(2.0))
    mouth = Lips(weights).whole(sound, timing("mama"))
    assert mouth.closure[5] >= 0.9
    assert mouth.coefficients[100:200, JAW].max() > 0.03
    early = Lips(weights).whole(Sound(START_NS, 16000, speech(0.5)), timing("mamamama" * 3))
    assert len(early.level) > 200  # the table goes on where the sound ended before it


def test_weights_that_are_missing_or_damaged(tmp_path: Path, weights: LipWeights) -> None:
    path, arrays = tmp_path / "lips.npz", weights.arrays()
    with pytest.raises(WeightsError, match="lips"):
        read_weights(path)
    for wrong in ({"out": arrays["out"][:, :-1]}, {"first": arrays["first"] * np.float16(np.nan)}):
        write_arrays(path, {**arrays, **wrong})
        with pytest.raises(WeightsError):
            read_weights(path)
    path.write_bytes(b"no archive")
    with pytest.raises(WeightsError):
        read_weights(path)
