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
from reactdiff_ros.speech.lips import LOOK_AHEAD_S, Lips, features_of, read_weights
from reactdiff_ros.speech.visemes import JAW
from reactdiff_ros.types import Mouth, Sound, SpeechTiming
from reactdiff_ros.whole_file import write_arrays

START_NS = 5 * NS
WEIGHTS = read_weights()


def speech(seconds: float = 2.0, rate: int = 16000, seed: int = 0) -> NDArray[np.int16]:
    """Buzz with formants that move, in syllables of a quarter of a second."""
    t = np.arange(int(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k * (1 + np.sin(2 * np.pi * 2 * t + k)) for k in range(1, 25))
    noise = np.random.default_rng(seed).normal(0, 30, len(t))
    sound = 4000 * buzz * np.clip(np.sin(2 * np.pi * 4 * t), 0, 1) / 3 + noise
    return np.asarray(sound.clip(-32000, 32000), np.int16)[:, None]


def tracks_of(samples: NDArray[np.int16], cuts: Sequence[int] = (), rate: int = 16000) -> list[Mouth]:
    lips, found, at = Lips(WEIGHTS), [], 0
    for cut in [*cuts, len(samples)]:
        found += lips.push(Sound(START_NS + at * NS // rate, rate, samples[at : at + cut]))
        at = min(at + cut, len(samples))
    return found + lips.flush()


def joined(tracks: Sequence[Mouth]) -> NDArray[np.float32]:
    return np.concatenate([np.column_stack([t.coefficients, t.closure, t.accent, t.level]) for t in tracks])


@pytest.mark.parametrize("rate", [8000, 22050, 192000])
def test_frames_of_any_rate_follow_each_other_from_the_first_sample(rate: int) -> None:
    tracks, at = tracks_of(speech(1.0, rate), [rate // 50] * 60, rate), START_NS
    for track in tracks:
        assert track.start_ns == at
        at += len(track.level) * NS // 100
    assert at - START_NS >= NS
    values = joined(tracks)
    assert values[:100, JAW].max() > 0.03
    assert values[-1].max() < 0.02  # at rest in the end


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=40), st.sampled_from([16000, 22050]), st.integers(1, 3))
def test_any_chunking_gives_the_same_bits(cuts: list[int], rate: int, channels: int) -> None:
    samples = np.repeat(speech(0.6, rate), channels, axis=1)
    parts = joined(tracks_of(samples, cuts, rate))
    for whole in (tracks_of(samples, rate=rate), [Lips(WEIGHTS).whole(Sound(START_NS, rate, samples))]):
        np.testing.assert_array_equal(joined(whole), parts)


def test_a_frame_is_known_as_soon_as_the_look_ahead_has_been_heard_and_depends_on_nothing_beyond() -> None:
    assert LOOK_AHEAD_S <= 0.04
    lips, known, samples = Lips(WEIGHTS), 0, speech(1.0)
    for at in range(0, 16000, 160):
        for track in lips.push(Sound(START_NS + at * NS // 16000, 16000, samples[at : at + 160])):
            known = (track.start_ns - START_NS) * 100 // NS + len(track.level)
        assert at / 16000 + 0.01 - known / 100 <= LOOK_AHEAD_S + 0.02
    other = samples.copy()
    other[8000:] = speech(1.0, seed=3)[:8000] // 2
    frames = int((0.5 - LOOK_AHEAD_S) * 100) - 1
    a, b = (joined(tracks_of(x)) for x in (samples, other))
    np.testing.assert_array_equal(a[:frames], b[:frames])
    assert (a[frames:] != b[frames:]).any()
    assert len(features_of(Sound(START_NS, 16000, samples))) == 100


def test_a_still_mouth_in_silence() -> None:
    silence = np.zeros((32000, 1), np.int16)
    quiet = np.random.default_rng(0).integers(-20, 20, (32000, 1)).astype(np.int16)  # -69 dBFS
    assert joined(tracks_of(silence)).max() == joined(tracks_of(quiet)).max() == 0.0
    assert joined(tracks_of(np.concatenate([speech(1.0), silence])))[150:, JAW].mean() <= 0.001


@settings(max_examples=10, deadline=None)
@given(st.binary(max_size=6000), st.integers(8000, 192_000))
def test_any_sound_gives_a_mouth_within_bounds(data: bytes, rate: int) -> None:
    """Random bytes, then a square wave at full scale."""
    samples = np.frombuffer(data[: len(data) // 2 * 2], np.int16)[:, None]
    square = (np.sign(speech(0.3).astype(int)) * 32767).astype(np.int16)
    values = joined([*tracks_of(samples, rate=rate), *tracks_of(square)])
    assert ((values >= 0) & (values <= 1)).all()


def test_a_wrong_rate_is_a_sentence_no_samples_are_nothing_and_a_gap_or_another_rate_begins_again() -> None:
    lips = Lips(WEIGHTS)
    for rate in (7999, 192_001):
        with pytest.raises(MediaError, match="8000 to 192000"):
            lips.push(Sound(START_NS, rate, speech(0.1)))
    for samples in (np.zeros((0, 1), np.int16), np.zeros(100, np.int16), np.zeros((100, 0), np.int16)):
        assert lips.push(Sound(START_NS, 16000, samples)) == []
    assert lips.flush() == []
    for start_ns, rate in ((START_NS, 16000), (START_NS + 3 * NS, 16000), (START_NS + 3 * NS + NS // 2, 48000)):
        assert start_ns in [track.start_ns for track in lips.push(Sound(start_ns, rate, speech(0.5, rate)))]


def timing(symbols: str) -> SpeechTiming:
    """Each of 0.1 s."""
    ends = np.arange(1, len(symbols) + 1, dtype=np.float32) / 10
    return SpeechTiming("timed", START_NS, "ipa", tuple(symbols), ends - np.float32(0.1), ends)


def test_where_sounds_are_timed_the_table_speaks_alone_and_the_network_goes_on_after_it() -> None:
    said: list[str] = []
    lips = Lips(WEIGHTS, said.append)
    for _ in range(3):
        table = lips.follow(timing("ma☃pa"))
    assert len(said) == 1, "a symbol that is not known is reported once"
    assert table.closure[5] >= 0.9
    sound = Sound(START_NS, 16000, speech(2.0))
    tracks = [*lips.push(sound), *lips.flush()]
    assert min(track.start_ns for track in tracks) >= START_NS + len(table.level) * NS // 100
    assert sum(len(track.level) for track in tracks) > 100
    whole = Lips(WEIGHTS).whole(sound, timing("mama"))
    assert whole.closure[5] >= 0.9
    assert whole.coefficients[100:200, JAW].max() > 0.03
    early = Lips(WEIGHTS).whole(Sound(START_NS, 16000, speech(0.5)), timing("mamamama" * 3))
    assert len(early.level) > 200, "the table goes on where the sound ended before it"


def test_weights_that_are_missing_or_damaged_are_one_sentence(tmp_path: Path) -> None:
    path, arrays = tmp_path / "lips.npz", WEIGHTS.arrays()
    damaged = [{"out": arrays["out"][:, :-1]}, {"first": arrays["first"] * np.float16(np.nan)}]
    for wrong in ({}, *damaged):
        if wrong:
            write_arrays(path, arrays | wrong)
        with pytest.raises(WeightsError, match="lips"):
            read_weights(path)
