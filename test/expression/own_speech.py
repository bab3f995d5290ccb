"""Tracks of an own mouth for the tests of this folder: phones with times."""

import numpy as np
from engine_drive import MS, Push

from reactdiff_ros.coefficients import MOUTH, NAMES
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.types import Mouth

PLACE = {NAMES[index]: i for i, index in enumerate(MOUTH)}
SHAPES: dict[str, dict[str, float]] = {
    "p": {"mouthPressLeft": 0.3, "mouthPressRight": 0.3},
    "f": {"mouthRollLower": 0.5, "mouthUpperUpLeft": 0.15, "mouthUpperUpRight": 0.15, "jawOpen": 0.08},
    "t": {"jawOpen": 0.12, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2},
    "a": {"jawOpen": 0.6, "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3},
    "o": {"jawOpen": 0.35, "mouthFunnel": 0.6, "mouthPucker": 0.4},
    "i": {"jawOpen": 0.15, "mouthStretchLeft": 0.5, "mouthStretchRight": 0.5, "mouthSmileLeft": 0.2},
    " ": {},
}
CLOSURE = {"p": 1.0, "f": 0.6}
VOWELS = "aio"


def sentence(text: str, start_ns: int, *, phone_ms: int = 90, utterance: str = "u", accents: str = "a") -> Mouth:
    """A mouth that says one of SHAPES per letter, smoothed, each for `phone_ms`; vowels in `accents` are accented."""
    frames = len(text) * phone_ms // 10
    letters = [text[min(i * 10 // phone_ms, len(text) - 1)] for i in range(frames)]
    steps = np.zeros((frames, len(MOUTH)))
    for i, letter in enumerate(letters):
        for name, value in SHAPES[letter].items():
            steps[i, PLACE[name]] = value

    def smooth(values: np.ndarray, ms: int) -> np.ndarray:
        window = np.hanning(2 * ms // 10 + 3)[1:-1]
        window /= window.sum()
        padded = np.pad(values, (len(window) // 2, len(window) // 2), mode="edge")
        return np.convolve(padded, window, "valid")

    rows = np.stack([smooth(column, 70) for column in steps.T], axis=1)
    closure = smooth(np.array([CLOSURE.get(letter, 0.0) for letter in letters]), 20)
    accent = smooth(np.array([float(letter in accents) for letter in letters]), 50)
    level = smooth(np.array([0.0 if letter == " " else 0.8 if letter in VOWELS else 0.4 for letter in letters]), 30)
    clipped = [np.clip(row, 0, 1).astype(np.float32) for row in (rows, closure, accent, level)]
    return Mouth(utterance, start_ns, *clipped)


def parts(mouth: Mouth, frames: slice = slice(None)) -> tuple[np.ndarray, ...]:
    """Coefficients, closure, accent and level of these frames."""
    return tuple(row[frames] for row in (mouth.coefficients, mouth.closure, mouth.accent, mouth.level))


def pieces(mouth: Mouth, ms: int = 20, ahead_ms: int = 0) -> list[tuple[int, Mouth]]:
    """`mouth` as a stream: (arrival, track) every `ms`, for the sound from `ahead_ms` after it arrives."""
    result = []
    for first in range(0, len(mouth.level), ms // 10):
        start_ns = mouth.start_ns + first * 10 * MS
        part = Mouth(mouth.utterance, start_ns, *parts(mouth, slice(first, first + ms // 10)))
        result.append((start_ns - ahead_ms * MS, part))
    return result


def arriving(engine: ExpressionEngine, arrivals: list[tuple[int, Mouth]]) -> Push:
    """Each track when it arrives."""
    waiting = sorted(arrivals, key=lambda item: item[0])

    def push(now: int) -> None:
        while waiting and waiting[0][0] <= now:
            engine.on_mouth(waiting.pop(0)[1], now)

    return push
