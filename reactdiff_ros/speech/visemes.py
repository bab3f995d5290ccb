"""Timed speech sounds to curves of jaw, lips and tongue: four alphabets, one table of mouth shapes, co-articulation.

Neighbouring sounds share the mouth by dominance (Cohen and Massaro 1993): each sound pulls every coefficient towards
its own target with a strength that is full while the sound lasts and fades exponentially before and after it. The
strength differs by sound and by articulator: the lips of p, b, m, f and v prevail over all vowels, while those of k or
h are free and take the shape of their neighbours.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, MOUTH, mouth_places
from reactdiff_ros.types import MOUTH_RATE_HZ, Alphabet, FloatArray, Mouth, SpeechTiming

BEFORE_S: Final = 0.055
"""Time constant of dominance before a sound."""
AFTER_S: Final = 0.075
"""After it."""
_REACH_S: Final = 0.4
"""Dominance further away than this is left out: below 1 %."""
STEP: Final = int(MOUTH_RATE_HZ)
"""Frames a second."""
_PARTS_S: Final = 0.03
"""Time in which lips close or open."""
MAX_S: Final = 3600.0
"""Symbols that are timed later than this are dropped."""
_LONGEST_S: Final = 10.0
"""A sound that is timed longer is cut here, so that one wrong time does not make a track of an hour."""
MOUTH_NAMES: Final = tuple(BLENDSHAPE_NAMES[i] for i in MOUTH)


@dataclass(frozen=True, slots=True)
class Shape:
    """A mouth shape. `targets`: of coefficients, "mouthStretch" for both sides; weights of dominance by articulator."""

    targets: Mapping[str, float]
    jaw: float = 0.8
    lips: float = 0.8
    tongue: float = 0.5
    rounding: float | None = None
    """Weight of funnel and pucker; None: as the lips'. The lips of p are shut, but round already if an u follows."""
    closure: float = 0.0
    """How firmly the lips are shut."""
    vowel: bool = False


def _vowel(jaw: float, **targets: float) -> Shape:
    return Shape({"jawOpen": jaw, **targets}, vowel=True)


SHAPES: Final[dict[str, Shape]] = {
    "silence": Shape({}, 0.5, 0.5),
    "p": Shape({"jawOpen": 0.02, "mouthPress": 0.45, "mouthRollLower": 0.25, "mouthRollUpper": 0.2,
                "mouthShrugLower": 0.1}, 0.8, 5.0, rounding=0.2, closure=1.0),
    "f": Shape({"jawOpen": 0.06, "mouthRollLower": 0.5, "mouthUpperUp": 0.22, "mouthShrugLower": 0.1},
               1.0, 5.0, rounding=0.4, closure=0.6),
    "θ": Shape({"jawOpen": 0.15, "tongueOut": 0.35, "mouthLowerDown": 0.2, "mouthUpperUp": 0.1}, 0.8, 0.4, 3.0),
    "t": Shape({"jawOpen": 0.1, "mouthLowerDown": 0.2, "mouthUpperUp": 0.1, "mouthStretch": 0.1}, 0.6, 0.2, 1.0),
    "s": Shape({"jawOpen": 0.05, "mouthStretch": 0.25, "mouthLowerDown": 0.25, "mouthUpperUp": 0.15}, 1.2, 0.4, 1.0),
    "ʃ": Shape({"jawOpen": 0.1, "mouthFunnel": 0.55, "mouthPucker": 0.2, "mouthUpperUp": 0.2, "mouthLowerDown": 0.2,
                "jawForward": 0.1}, 1.2, 1.5, 1.0),
    "k": Shape({"jawOpen": 0.2, "mouthLowerDown": 0.1}, 0.5, 0.1),
    "r": Shape({"jawOpen": 0.14, "mouthFunnel": 0.25, "mouthPucker": 0.3}, 0.8, 0.8),
    "l": Shape({"jawOpen": 0.22, "mouthLowerDown": 0.15, "mouthUpperUp": 0.1, "tongueOut": 0.06}, 0.7, 0.2, 2.0),
    "h": Shape({"jawOpen": 0.2}, 0.2, 0.05),
    "w": Shape({"jawOpen": 0.1, "mouthPucker": 0.8, "mouthFunnel": 0.25}, 1.0, 2.0),
    "j": Shape({"jawOpen": 0.1, "mouthStretch": 0.3, "mouthSmile": 0.15}, 0.8, 0.5),
    "a": _vowel(0.7, mouthLowerDown=0.35, mouthUpperUp=0.2, mouthStretch=0.1),
    "æ": _vowel(0.6, mouthLowerDown=0.35, mouthUpperUp=0.2, mouthStretch=0.25),
    "ɑ": _vowel(0.65, mouthLowerDown=0.3, mouthUpperUp=0.1),
    "ɛ": _vowel(0.42, mouthStretch=0.3, mouthLowerDown=0.3, mouthUpperUp=0.2, mouthSmile=0.1),
    "e": _vowel(0.32, mouthStretch=0.35, mouthLowerDown=0.28, mouthUpperUp=0.18, mouthSmile=0.15),
    "i": _vowel(0.16, mouthStretch=0.45, mouthSmile=0.2, mouthLowerDown=0.25, mouthUpperUp=0.15),
    "ɪ": _vowel(0.22, mouthStretch=0.3, mouthSmile=0.1, mouthLowerDown=0.2, mouthUpperUp=0.12),
    "ə": _vowel(0.3, mouthLowerDown=0.15, mouthUpperUp=0.08),
    "ɜ": _vowel(0.28, mouthFunnel=0.2, mouthPucker=0.2, mouthLowerDown=0.1),
    "ɔ": _vowel(0.5, mouthFunnel=0.45, mouthPucker=0.15),
    "o": _vowel(0.38, mouthFunnel=0.35, mouthPucker=0.45),
    "u": _vowel(0.18, mouthPucker=0.75, mouthFunnel=0.25),
    "ʊ": _vowel(0.22, mouthPucker=0.5, mouthFunnel=0.2),
    "y": _vowel(0.16, mouthPucker=0.7, mouthFunnel=0.2),
    "ø": _vowel(0.32, mouthPucker=0.45, mouthFunnel=0.35),
}  # fmt: skip
"""Keyed by a typical sound of each, in IPA. Targets follow the usual ARKit poses of the Oculus visemes."""
NAMES: Final = tuple(SHAPES)
SILENCE: Final = NAMES.index("silence")
UNKNOWN: Final = NAMES.index("ə")
"""What a symbol of no alphabet is shown as."""
VOWELS: Final = np.array([shape.vowel for shape in SHAPES.values()])
CLOSED: Final[FloatArray] = np.array([shape.closure for shape in SHAPES.values()], np.float32)

_SAME_IPA: Final = {
    "p": "p b m ɓ ɸ β ʙ ʘ", "f": "f v ɱ ʋ ⱱ", "θ": "θ ð", "t": "t d n ɾ ʈ ɖ ɳ ɲ ɗ ȶ ȡ ɽ ʇ ǀ",
    "s": "s z ɬ ɮ ʦ ʣ", "ʃ": "ʃ ʒ ʂ ʐ ɕ ʑ ɧ ʧ ʤ ʨ ʥ ꭧ", "k": "k g ɡ ŋ x ɣ q ɢ χ ʁ ɴ ʀ ɰ ħ ʕ ʡ ʢ c ɟ ç ʝ ɠ ʛ ʄ",
    "r": "ɹ ɻ r ɺ", "l": "l ɭ ʎ ʟ ɫ ɬ ǁ", "h": "h ɦ ʔ ʜ", "w": "w ʍ ɥ", "j": "j", "a": "a ɐ ɶ", "æ": "æ", "ɑ": "ɑ ʌ ɒ",
    "ɛ": "ɛ œ̃", "e": "e ɘ", "i": "i", "ɪ": "ɪ ɨ ᵻ ʏ̈", "ə": "ə ɤ ɚ", "ɜ": "ɜ ɝ ɞ ɵ", "ɔ": "ɔ", "o": "o",
    "u": "u ɯ", "ʊ": "ʊ ᵿ ʉ", "y": "y ʏ", "ø": "ø œ",
}  # fmt: skip
_ARPABET: Final = {
    "p": "P B M EM BCL PCL", "f": "F V", "θ": "TH DH", "t": "T D N EN DX NX TCL DCL", "s": "S Z", "ʃ": "SH ZH",
    "t ʃ": "CH JH", "k": "K G NG ENG KCL GCL", "r": "R", "l": "L EL", "h": "HH HV Q", "w": "W WH", "j": "Y",
    "æ": "AE", "ɑ": "AA AH", "ɔ": "AO", "ɛ": "EH", "i": "IY", "ɪ": "IH IX", "ə": "AX AX-H", "ɜ": "ER AXR", "u": "UW",
    "ʊ": "UH UX", "a ʊ": "AW", "a ɪ": "AY", "ɛ ɪ": "EY", "ɔ ɪ": "OY", "o ʊ": "OW",
    "silence": "SIL SP SPN PAU SSIL H# BRTH NSN LAUGH EPI NOISE",
}  # fmt: skip
_OCULUS: Final = {
    "silence": "SIL", "p": "PP", "f": "FF", "θ": "TH", "t": "DD NN", "k": "KK", "ʃ": "CH", "s": "SS", "r": "RR",
    "a": "AA", "ɛ": "E", "i": "I IH", "o": "O OH", "u": "U OU",
}  # fmt: skip
_AZURE: Final = (
    "silence", "ə", "ɑ", "ɔ", "ɛ", "ɜ", "i", "u", "o", "a ʊ", "ɔ ɪ", "a ɪ", "h", "r", "l", "s", "ʃ", "θ", "f", "t", "k",
    "p",
)  # fmt: skip
"""By viseme id 0 to 21."""
_STRESS: Final = {"ˈ": 1.0, "'": 1.0, "ˌ": 0.5}
_LONG: Final = "ːˑ"
_ROUND: Final = "ʷ"
_MARKS: Final = frozenset('ʲʰⁿˡˠˤ˞ʼʱʴʵʶ˥˦˧˨˩↗↘↑↓ꜛꜜ‿͡|‖-_^$#"0123456789ʋ̩'.replace("ʋ", ""))
"""Marks of IPA, espeak-ng and piper that change no mouth."""
_PAUSES: Final = frozenset(" .,;:!?…—–()[]{}¿¡«»“”")


def _keyed(table: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    return {symbol: _indices(names) for names, symbols in table.items() for symbol in symbols.split()}


def _indices(names: str) -> tuple[int, ...]:
    return tuple(NAMES.index(name) for name in names.split())


_OF: Final[dict[Alphabet, dict[str, tuple[int, ...]]]] = {
    "ipa": _keyed(_SAME_IPA),
    "arpabet": _keyed(_ARPABET),
    "oculus": _keyed(_OCULUS),
    "azure": {str(i): _indices(names) for i, names in enumerate(_AZURE)},
}


@dataclass(frozen=True, slots=True)
class Phones:
    """Sounds of an utterance in the table's shapes, in the order of their beginning."""

    shape: NDArray[np.intp]
    """(N,) of NAMES."""
    starts_s: NDArray[np.float64]
    ends_s: NDArray[np.float64]
    stress: FloatArray
    """(N,) 0..1 of vowels; NaN where the alphabet has no stress marks in this utterance."""
    unknown: tuple[str, ...] = ()
    """Symbols of no known sound."""

    def closures(self) -> NDArray[np.float64]:
        """(C, 2) when the lips are shut by p, b or m, s; sounds that follow each other ("mp") shut them once."""
        shut = CLOSED[self.shape] >= 1.0
        joined: list[list[float]] = []
        for start, end in zip(self.starts_s[shut].tolist(), self.ends_s[shut].tolist(), strict=True):
            if joined and start - joined[-1][1] <= _PARTS_S:
                joined[-1][1] = max(joined[-1][1], end)
            else:
                joined.append([start, end])
        return np.array(joined, np.float64).reshape(-1, 2)


def phones_of(timing: SpeechTiming) -> Phones:
    """The sounds of a timing. Times need not be in order and may overlap; an unknown symbol becomes a neutral vowel.

    Diphthongs and affricates are split: their first part takes 55 % of the time. Stress and length marks that have
    times of their own (piper) lend them to the sound that they belong to.
    """
    table = _OF[timing.alphabet]
    ipa = timing.alphabet == "ipa"
    found: list[tuple[float, float, int, float]] = []
    unknown: dict[str, None] = {}
    marked = False
    stress, since = 0.0, np.nan
    for symbol, start, end in zip(timing.symbols, timing.starts_s.tolist(), timing.ends_s.tolist(), strict=False):
        if not (0.0 <= start <= MAX_S) or end != end:
            continue
        end = min(max(end, start), start + _LONGEST_S)
        if ipa:
            shapes, given, long, strange = _read_ipa(symbol, table)
            if not shapes and not strange:  # a mark with its own time
                if given:
                    stress, marked = given, True
                    since = start if since != since else since
                elif long and found:
                    found[-1] = (found[-1][0], max(end, found[-1][1]), found[-1][2], found[-1][3])
                continue
        else:
            name = symbol.strip().upper()
            digit = name[-1:] if timing.alphabet == "arpabet" and name[-1:] in ("0", "1", "2") else ""
            given = {"1": 1.0, "2": 0.5}.get(digit, 0.0)
            marked |= bool(digit)
            shapes = table.get(name[: len(name) - len(digit)], ())
            strange = not shapes and bool(name)
            shapes = shapes or (() if name else (SILENCE,))
        if strange:
            unknown[symbol[:20]] = None
            shapes = shapes or (UNKNOWN,)
        stress = max(stress, given)
        marked |= ipa and given > 0.0
        if since == since:
            start, since = min(since, start), np.nan
        cuts = [start, end] if len(shapes) == 1 else [start, *_cuts(start, end, len(shapes))]
        for shape, a, b in zip(shapes, cuts[:-1], cuts[1:], strict=True):
            found.append((a, b, shape, stress if VOWELS[shape] else 0.0))
        if any(VOWELS[shape] for shape in shapes) or SILENCE in shapes:
            stress = 0.0
    rows = np.array(found, np.float64).reshape(-1, 4)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    stressed = rows[:, 3].astype(np.float32) if marked else np.full(len(rows), np.nan, np.float32)
    return Phones(rows[:, 2].astype(np.intp), rows[:, 0], rows[:, 1], stressed, tuple(unknown))


def _cuts(start: float, end: float, count: int) -> list[float]:
    return [start + (end - start) * (0.55 if count == 2 else 1.0 / count) * (i + 1) for i in range(count - 1)] + [end]


@cache
def _decomposed(symbol: str) -> str:
    return unicodedata.normalize("NFD", symbol)


def _read_ipa(symbol: str, table: Mapping[str, tuple[int, ...]]) -> tuple[tuple[int, ...], float, bool, bool]:
    """Shapes, stress, whether it has a length mark, and whether there is something unknown in it."""
    shapes: list[int] = []
    stress, long, strange = 0.0, False, False
    if symbol.startswith("(") and symbol.endswith(")"):  # espeak-ng's change of language
        return (), 0.0, False, False
    for letter in _decomposed(symbol[:40]):
        if letter in table:
            shapes += table[letter]
        elif letter in _STRESS:
            stress = max(stress, _STRESS[letter])
        elif letter in _LONG:
            long = True
        elif letter == _ROUND:
            shapes = [*shapes[:-1], NAMES.index("w")] if shapes else shapes
        elif letter in _PAUSES or letter.isspace():
            shapes = shapes or [SILENCE]
        elif letter not in _MARKS and not unicodedata.combining(letter):
            strange = True
    if SILENCE in shapes and len(shapes) > 1:
        shapes = [shape for shape in shapes if shape != SILENCE]
    merged = [shape for i, shape in enumerate(shapes) if i == 0 or shape != shapes[i - 1]]
    return tuple(merged or ([SILENCE] if not symbol else [])), stress, long, strange


@cache
def _tables() -> tuple[NDArray[Any], NDArray[Any]]:
    """Targets and weights of all shapes, (shapes, coefficients of the mouth)."""
    targets, weights = np.zeros((2, len(NAMES), len(MOUTH)))
    for row, shape in enumerate(SHAPES.values()):
        for name, value in shape.targets.items():
            targets[row, mouth_places(name)] = value
        for column, name in enumerate(MOUTH_NAMES):
            jaw, tongue = name.startswith("jaw"), name.startswith("tongue")
            round_ = name in ("mouthFunnel", "mouthPucker") and shape.rounding is not None
            lips = shape.rounding if round_ else shape.lips
            weights[row, column] = shape.jaw if jaw else shape.tongue if tongue else lips
    return targets, weights


def curves_of(phones: Phones, frames: int, utterance: str = "", start_ns: int = 0) -> Mouth:
    """The mouth that makes these sounds, frame i at i / MOUTH_RATE_HZ seconds after `start_ns`.

    `mouthClose` follows `jawOpen` under a closure and whatever would part the lips is taken away, so they meet exactly
    wherever the jaw is.
    """
    targets, weights = _tables()
    gains = _gains(phones)
    pull, strength = np.zeros((2, frames, len(NAMES)))
    closure, accent, level = np.zeros((3, frames))
    strength[:, SILENCE] = 1e-3  # far from every sound the mouth rests
    prominence = _prominence(phones)
    for start, end in _pauses(phones, frames):
        first, dominance = _dominance(start, end, frames)
        strength[first : first + len(dominance), SILENCE] += dominance
    rows = zip(phones.shape.tolist(), phones.starts_s.tolist(), phones.ends_s.tolist(), gains.tolist(), strict=True)
    for number, (shape, start, end, gain) in enumerate(rows):
        first, dominance = _dominance(start, end, frames)
        span = slice(first, first + len(dominance))
        strength[span, shape] += dominance
        pull[span, shape] += dominance * gain
        if CLOSED[shape]:
            first, held = _closing(start, end, frames)
            part = closure[first : first + len(held)]
            np.maximum(part, held * CLOSED[shape], out=part)
        if shape != SILENCE:
            np.maximum(level[span], (0.9 if VOWELS[shape] else 0.6) * dominance**3, out=level[span])
        if prominence[number] > 0.0:
            np.maximum(accent[span], prominence[number] * dominance, out=accent[span])
    values = (pull @ (weights * targets)) / np.maximum(strength @ weights, 1e-9)
    return Mouth(
        utterance,
        start_ns,
        closed(np.clip(values, 0.0, 1.0), closure),
        *(np.clip(x, 0.0, 1.0).astype(np.float32) for x in (closure, accent, level)),
    )


JAW, CLOSE = mouth_places("jawOpen", "mouthClose")
PARTING: Final = tuple(mouth_places("mouthLowerDown", "mouthUpperUp", "mouthFunnel", "mouthStretch"))
"""What opens lips."""
_PARTED: Final[FloatArray] = np.array(
    [1.0 if i in PARTING else 0.5 if i == JAW else 0.0 for i in range(len(MOUTH))], np.float32
)
"""How far a closure takes each coefficient away."""


def closed(values: NDArray[Any], closure: NDArray[Any]) -> FloatArray:
    """Coefficients (T, mouth) in 0..1 with lips that meet as firmly as `closure` (T,) says.

    The array may be written to.
    """
    shut = closure.astype(np.float32)
    part = np.where(shut >= 0.8, shut, 0.5 * shut)  # f and v: lip on teeth, the upper lip is raised
    lips = np.asarray(values, np.float32)
    lips *= 1.0 - part[:, None] * _PARTED
    np.maximum(lips[:, CLOSE], part * lips[:, JAW], out=lips[:, CLOSE])
    return lips


def _pauses(phones: Phones, frames: int) -> list[tuple[float, float]]:
    """What is between the sounds: (start, end) of silences longer than 0.1 s, before and after included."""
    starts = np.append(phones.starts_s, frames / STEP + 1.0)
    reached = np.append(-1.0, np.maximum.accumulate(phones.ends_s) if len(phones.ends_s) else np.zeros(0))
    return [(a, b) for a, b in zip(reached.tolist(), starts.tolist(), strict=True) if b - a > 0.1]


def _dominance(start: float, end: float, frames: int) -> tuple[int, NDArray[np.float64]]:
    """First frame and strength 0..1 of a sound around its time."""
    first = min(max(int((start - _REACH_S) * STEP), 0), frames)
    last = min(max(int((end + _REACH_S) * STEP) + 1, first), frames)
    at = np.arange(first, last) / STEP
    return first, np.exp(np.minimum(0.0, np.minimum((at - start) / BEFORE_S, (end - at) / AFTER_S)))


def _closing(start: float, end: float, frames: int) -> tuple[int, NDArray[np.float64]]:
    """First frame and 0..1: shut while the sound lasts, at least one frame, closing and opening within 30 ms."""
    middle = 0.5 * (start + end)
    start, end = min(start, middle - 0.01), max(end, middle + 0.01)
    first = min(max(int((start - 0.04) * STEP), 0), frames)
    last = min(max(int((end + 0.04) * STEP) + 2, first), frames)
    at = np.arange(first, last) / STEP
    return first, np.clip(1.0 - np.maximum(start - at, at - end) / _PARTS_S, 0.0, 1.0)


def _gains(phones: Phones) -> NDArray[np.float64]:
    """How fully each sound is made: unstressed vowels four fifths, and short ones less."""
    gains = np.ones(len(phones.shape))
    vowel = VOWELS[phones.shape]
    known = vowel & np.isfinite(phones.stress)
    gains[known] = 0.8 + 0.2 * phones.stress[known]
    gains[vowel & ~known] = 0.9
    return gains


def _prominence(phones: Phones) -> NDArray[np.float64]:
    """(N,) 0..1: how far a vowel stands out, by its stress mark, else by its length among the vowels around it."""
    length = phones.ends_s - phones.starts_s
    vowel = VOWELS[phones.shape]
    found = np.where(vowel, np.nan_to_num(phones.stress), 0.0)
    if len(length) and not np.isfinite(phones.stress).any() and vowel.any():
        own = length[vowel]
        kernel = np.ones(min(9, len(own)))
        around = np.convolve(own, kernel, "same") / np.convolve(np.ones(len(own)), kernel, "same")
        found[vowel] = np.clip(own / np.maximum(around, 0.02) - 0.8, 0.0, 1.0)
    return np.asarray(np.clip(found, 0.0, 1.0))


_TAIL_S: Final = 0.3


def timed_mouth(timing: SpeechTiming, on_unknown: Callable[[str], object] | None = None) -> Mouth:
    """The whole track of an utterance whose sounds are timed, from the table alone: exact closures, no look-ahead.

    It goes on for 0.3 s after the last sound, until the mouth rests. `on_unknown` receives one sentence if there
    are symbols of no known sound.
    """
    phones = phones_of(timing)
    if phones.unknown and on_unknown is not None:
        on_unknown(unknown_symbols(timing.alphabet, phones.unknown))
    end = float(phones.ends_s.max()) + _TAIL_S if len(phones.ends_s) else 0.0
    return curves_of(phones, int(np.ceil(end * STEP)), timing.utterance, timing.start_ns)


def unknown_symbols(alphabet: str, symbols: tuple[str, ...]) -> str:
    """The sentence for symbols of no known sound."""
    shown = ", ".join(repr(symbol) for symbol in symbols[:5]) + (" ..." if len(symbols) > 5 else "")
    return f"speech timing: {len(symbols)} unknown {alphabet} symbols ({shown}) are shown as a neutral vowel"
