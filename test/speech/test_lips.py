"""A mouth from timed speech sounds, of four alphabets, and from sound alone: the same bits for any chunking."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import MOUTH
from reactdiff_ros.errors import MediaError, WeightsError
from reactdiff_ros.speech.lips import LOOK_AHEAD_S, Lips, features_of, read_weights
from reactdiff_ros.speech.visemes import CLOSE, JAW, MOUTH_NAMES, NAMES, PARTING, phones_of, timed_mouth
from reactdiff_ros.types import MOUTH_RATE_HZ, Alphabet, Mouth, Sound, SpeechTiming
from reactdiff_ros.whole_file import write_arrays

START_NS = 5 * NS
WEIGHTS = read_weights()
PUCKER = MOUTH_NAMES.index("mouthPucker")
WORD: dict[Alphabet, tuple[str, ...]] = {
    "ipa": ("m", "ˈɑː", "p", "uː", "f", "ə"),
    "arpabet": ("M", "AA1", "P", "UW0", "F", "AX0"),
    "oculus": ("PP", "aa", "PP", "ou", "FF", "E"),
    "azure": ("21", "2", "21", "7", "18", "1"),
}


def timed(symbols: tuple[str, ...], alphabet: Alphabet = "ipa", length: float = 0.09) -> SpeechTiming:
    starts = np.arange(len(symbols), dtype=np.float32) * np.float32(length)
    return SpeechTiming("word", START_NS, alphabet, symbols, starts, starts + np.float32(length))


@pytest.mark.parametrize("alphabet", WORD)
def test_every_alphabet_shuts_the_lips_in_p_b_m_and_rounds_them_in_u(alphabet: Alphabet) -> None:
    mouth = timed_mouth(timed(WORD[alphabet], alphabet))
    for middle in (4, 22):
        assert mouth.closure[middle] >= 0.9
        assert mouth.coefficients[middle, CLOSE] == pytest.approx(mouth.coefficients[middle, JAW], abs=1e-6)
        assert mouth.coefficients[middle, list(PARTING)].max() < 0.02
    assert mouth.closure[13] == 0.0
    assert mouth.coefficients[13, JAW] > 0.25
    assert mouth.coefficients[31, PUCKER] > 0.3 > mouth.coefficients[13, PUCKER]
    assert 0.4 < mouth.closure[40] < 0.9  # the lip at the teeth


def test_closures_hold_in_fast_speech_and_curves_are_smooth_and_end_at_rest() -> None:
    mouth = timed_mouth(timed(tuple("ɑpɑbɔmɑ") * 4, length=0.04))
    shut = [4 * i + 2 for i, symbol in enumerate("ɑpɑbɔmɑ" * 4) if symbol in "pbm"]
    assert mouth.closure[shut].min() >= 0.9
    assert (mouth.coefficients[shut, JAW] - mouth.coefficients[shut, CLOSE]).max() < 0.03
    mouth = timed_mouth(timed(("h", "ə", "l", "ˈoʊ", "w", "ˈɜː", "l", "d")))
    assert np.abs(np.diff(mouth.coefficients, axis=0)).max() < 0.12
    assert mouth.coefficients[0].max() < 0.2
    assert mouth.coefficients[-1].max() < 0.05
    assert mouth.start_ns == START_NS


@pytest.mark.parametrize(
    ("alphabet", "symbols", "shapes"),
    [
        ("ipa", ("aɪ", "t͡ʃ", "ã", "tʲ", "kʷ", "ɛ̃", "a5", "a" * 100_000), "a ɪ t ʃ a t w ɛ a a"),
        ("arpabet", ("AY1", "CH", "SIL"), "a ɪ t ʃ silence"),
        ("ipa", ("m", " ", ",", "(en)", "_", "", "?", "a"), "p silence silence silence silence a"),
    ],
    ids=["diphthongs, affricates and marks", "arpabet", "pauses and espeak-ng's change of language"],
)
def test_symbols_have_these_shapes(alphabet: Alphabet, symbols: tuple[str, ...], shapes: str) -> None:
    phones = phones_of(timed(symbols, alphabet))
    assert [NAMES[i] for i in phones.shape] == shapes.split()
    assert phones.unknown == ()


def test_marks_lend_their_times_to_their_sound_and_unknown_symbols_are_neutral_vowels_and_reported() -> None:
    marked = phones_of(timed(("m", "ˈ", "a", "ː", "p")))
    assert [NAMES[i] for i in marked.shape] == ["p", "a", "p"]
    np.testing.assert_allclose([marked.starts_s, marked.ends_s], [[0.0, 0.09, 0.36], [0.09, 0.36, 0.45]], atol=1e-6)
    assert marked.stress[1] == 1.0
    accent = timed_mouth(timed(("t", "a", "t", "ˈa", "t", "a"))).accent
    assert accent[31] > 0.9 > 0.5 > accent[13]
    for alphabet in WORD:
        said: list[str] = []
        strange = timed(("☃", "☃", "qqq!é中"), alphabet)
        timed_mouth(strange, said.append)
        assert "ə" in [NAMES[i] for i in phones_of(strange).shape]
        assert [sentence.count("☃") > 0 for sentence in said] == [True]


TIMES = st.lists(st.floats(-5, 20, width=32) | st.sampled_from([float("nan"), float("inf"), 1e30]), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(WORD)), st.lists(st.text(max_size=6), max_size=20), TIMES, TIMES)
def test_any_timing_gives_a_finite_mouth_within_bounds(alphabet, symbols, starts, ends) -> None:
    """Times that overlap, run backwards, or are no times, and symbols that are none."""
    times = (np.array(x, np.float32) for x in (starts, ends))
    mouth = timed_mouth(SpeechTiming("x", 0, alphabet, tuple(symbols), *times))
    assert len(mouth.level) <= 31 * MOUTH_RATE_HZ, "begun by 20 s, cut after 10"
    assert mouth.coefficients.shape == (len(mouth.level), len(MOUTH))
    for track in (mouth.coefficients, mouth.closure, mouth.accent, mouth.level):
        assert track.dtype == np.float32
        assert ((track >= 0) & (track <= 1)).all()


# ---- From sound alone


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
    quiet = np.random.default_rng(0).integers(-20, 20, (32000, 1)).astype(np.int16)  # -69 dBFS
    assert joined(tracks_of(0 * quiet)).max() == joined(tracks_of(quiet)).max() == 0.0
    assert joined(tracks_of(np.concatenate([speech(1.0), 0 * quiet])))[150:, JAW].mean() <= 0.001


@settings(max_examples=10, deadline=None)
@given(st.binary(max_size=6000), st.integers(8000, 192_000))
def test_any_sound_gives_a_mouth_within_bounds(data: bytes, rate: int) -> None:
    """Random bytes, then a square wave at full scale."""
    samples = np.frombuffer(data[: len(data) // 2 * 2], np.int16)[:, None]
    values = joined([*tracks_of(samples, rate=rate), *tracks_of(np.sign(speech(0.3)) * np.int16(32767))])
    assert ((values >= 0) & (values <= 1)).all()


def test_a_wrong_rate_is_a_sentence_no_samples_are_nothing_and_a_gap_or_another_rate_begins_again() -> None:
    lips = Lips(WEIGHTS)
    for rate in (7999, 192_001):
        with pytest.raises(MediaError, match="8000 to 192000"):
            lips.push(Sound(START_NS, rate, speech(0.1)))
    for size in ((0, 1), (100,), (100, 0)):
        assert lips.push(Sound(START_NS, 16000, np.zeros(size, np.int16))) == []
    assert lips.flush() == []
    for start_ns, rate in ((START_NS, 16000), (START_NS + 3 * NS, 16000), (START_NS + 3 * NS + NS // 2, 48000)):
        assert start_ns in [track.start_ns for track in lips.push(Sound(start_ns, rate, speech(0.5, rate)))]


def test_where_sounds_are_timed_the_table_speaks_alone_and_the_network_goes_on_after_it() -> None:
    said: list[str] = []
    lips = Lips(WEIGHTS, said.append)
    for _ in range(3):
        table = lips.follow(timed(tuple("ma☃pa"), length=0.1))
    assert len(said) == 1, "a symbol that is not known is reported once"
    assert table.closure[5] >= 0.9
    sound = Sound(START_NS, 16000, speech(2.0))
    tracks = [*lips.push(sound), *lips.flush()]
    assert min(track.start_ns for track in tracks) >= START_NS + len(table.level) * NS // 100
    assert sum(len(track.level) for track in tracks) > 100
    whole = Lips(WEIGHTS).whole(sound, timed(tuple("mama"), length=0.1))
    assert whole.closure[5] >= 0.9
    assert whole.coefficients[100:200, JAW].max() > 0.03


def test_weights_that_are_missing_or_damaged_are_one_sentence(tmp_path: Path) -> None:
    arrays = WEIGHTS.arrays()
    write_arrays(tmp_path / "short", arrays | {"out": arrays["out"][:, :-1]})
    write_arrays(tmp_path / "nan", arrays | {"first": arrays["first"] * np.float16(np.nan)})
    for name in ("missing", "short", "nan"):
        with pytest.raises(WeightsError, match="lips"):
            read_weights(tmp_path / name)
