"""Timed speech sounds to a mouth: four alphabets, exact closures, and timings that are not what they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactdiff_ros.coefficients import MOUTH
from reactdiff_ros.speech.visemes import CLOSE, JAW, MOUTH_NAMES, NAMES, PARTING, phones_of, timed_mouth
from reactdiff_ros.types import MOUTH_RATE_HZ, Alphabet, SpeechTiming

PUCKER = MOUTH_NAMES.index("mouthPucker")
WORD: dict[Alphabet, tuple[str, ...]] = {
    "ipa": ("m", "ˈɑː", "p", "uː", "f", "ə"),
    "arpabet": ("M", "AA1", "P", "UW0", "F", "AX0"),
    "oculus": ("PP", "aa", "PP", "ou", "FF", "E"),
    "azure": ("21", "2", "21", "7", "18", "1"),
}


def timing(symbols: tuple[str, ...], alphabet: Alphabet = "ipa", length: float = 0.09) -> SpeechTiming:
    starts = np.arange(len(symbols), dtype=np.float32) * np.float32(length)
    return SpeechTiming("word", 10**9, alphabet, symbols, starts, starts + np.float32(length))


@pytest.mark.parametrize("alphabet", WORD)
def test_every_alphabet_shuts_the_lips_in_p_b_m_and_rounds_them_in_u(alphabet: Alphabet) -> None:
    mouth = timed_mouth(timing(WORD[alphabet], alphabet))
    for middle in (4, 22):
        assert mouth.closure[middle] >= 0.9
        assert mouth.coefficients[middle, CLOSE] == pytest.approx(mouth.coefficients[middle, JAW], abs=1e-6)
        assert mouth.coefficients[middle, list(PARTING)].max() < 0.02
    assert mouth.closure[13] == 0.0
    assert mouth.coefficients[13, JAW] > 0.25
    assert mouth.coefficients[31, PUCKER] > 0.3 > mouth.coefficients[13, PUCKER]
    assert 0.4 < mouth.closure[40] < 0.9  # the lip at the teeth


def test_closures_hold_in_fast_speech_and_curves_are_smooth_and_end_at_rest() -> None:
    symbols = ("ɑ", "p", "ɑ", "b", "ɔ", "m", "ɑ") * 4
    mouth = timed_mouth(timing(symbols, length=0.04))
    shut = [round((i + 0.5) * 4) for i, symbol in enumerate(symbols) if symbol in "pbm"]
    assert mouth.closure[shut].min() >= 0.9
    assert (mouth.coefficients[shut, JAW] - mouth.coefficients[shut, CLOSE]).max() < 0.03
    mouth = timed_mouth(timing(("h", "ə", "l", "ˈoʊ", "w", "ˈɜː", "l", "d")))
    assert np.abs(np.diff(mouth.coefficients, axis=0)).max() < 0.12
    assert mouth.coefficients[0].max() < 0.2
    assert mouth.coefficients[-1].max() < 0.05
    assert mouth.start_ns == 10**9


def test_neighbours_share_the_lips_and_overlapping_sounds_both_shape_them() -> None:
    """The t between two u is rounded, the t between two i is not."""
    rounded, spread = (timed_mouth(timing((v, "t", v))).coefficients[13, PUCKER] for v in ("u", "i"))
    assert rounded > 0.25 > 0.05 > spread
    starts, ends = np.array([0.0, 0.1], np.float32), np.array([0.4, 0.2], np.float32)
    mouth = timed_mouth(SpeechTiming("x", 0, "ipa", ("ɑ", "m"), starts, ends))
    assert mouth.closure[15] >= 0.9
    assert mouth.coefficients[30, JAW] > 0.3


def test_accents_come_from_stress_marks_else_from_length() -> None:
    marked = timed_mouth(timing(("t", "a", "t", "ˈa", "t", "a"))).accent
    assert marked[31] > 0.9 > 0.5 > marked[13]
    starts = np.array([0.0, 0.1, 0.2, 0.3, 0.6, 0.7], np.float32)
    long = SpeechTiming("x", 0, "oculus", ("DD", "aa", "DD", "aa", "DD", "aa"), starts, np.append(starts[1:], 0.8))
    assert timed_mouth(long).accent[45] > timed_mouth(long).accent[15]


def test_marks_with_times_of_their_own_lend_them_to_their_sound() -> None:
    phones = phones_of(timing(("m", "ˈ", "a", "ː", "p")))
    assert [NAMES[i] for i in phones.shape] == ["p", "a", "p"]
    np.testing.assert_allclose(phones.starts_s, [0.0, 0.09, 0.36], atol=1e-6)
    np.testing.assert_allclose(phones.ends_s, [0.09, 0.36, 0.45], atol=1e-6)
    assert phones.stress[1] == 1.0


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
    phones = phones_of(timing(symbols, alphabet))
    assert [NAMES[i] for i in phones.shape] == shapes.split()
    assert phones.unknown == ()


@pytest.mark.parametrize("alphabet", WORD)
def test_unknown_symbols_are_neutral_vowels_and_one_sentence_says_so(alphabet: Alphabet) -> None:
    said: list[str] = []
    strange = timing(("☃", "☃", "qqq!é中"), alphabet)
    timed_mouth(strange, said.append)
    assert "ə" in [NAMES[i] for i in phones_of(strange).shape]
    assert len(said) == 1
    assert "☃" in said[0]


def test_silence_and_no_symbols_rest() -> None:
    assert len(timed_mouth(timing(())).level) == 0
    mouth = timed_mouth(timing(("sil",) * 10, "oculus"))
    assert mouth.coefficients.max() == mouth.level.max() == 0.0


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
