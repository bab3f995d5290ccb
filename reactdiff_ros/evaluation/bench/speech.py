"""How well the robot's lips and its voice meet in a running graph, and what lips from sound cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import INDEX, MOUTH
from reactdiff_ros.evaluation.bench.live import spread
from reactdiff_ros.speech.lips import Lips
from reactdiff_ros.types import MOUTH_RATE_HZ, Mouth, Sound

STRETCH_S: Final = 2.0
"""Length of sound over which an offset is measured."""
MOST_S: Final = 0.3
_STEP_S: Final = 0.005
_MOVES: Final = 0.02
"""Standard deviation of a jaw that speaks, at least."""
_CLEAR: Final = 0.5
"""Correlation at the best offset, at least: below it, the two jaws do not say when they meet."""
_JAW: Final = list(MOUTH).index(INDEX["jawOpen"])


def jaws_of(
    voice: Sequence[Sound], timer: Callable[[], float]
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[float]]:
    """When (T,) in ns the robot's sound is heard, how far it alone says that the jaw is open then (T,), and how long
    the network took for each chunk, in seconds of `timer`.
    """
    lips, tracks, spent_s = Lips(), list[Mouth](), list[float]()
    for sound in sorted(voice, key=lambda s: s.stamp_ns):
        begin = timer()
        tracks += lips.push(sound)
        spent_s.append(timer() - begin)
    tracks += lips.flush()
    times = [t.start_ns + (np.arange(len(t.level)) * NS / MOUTH_RATE_HZ).astype(np.int64) for t in tracks]
    jaws = [t.coefficients[:, _JAW].astype(np.float64) for t in tracks]
    return np.concatenate([np.zeros(0, np.int64), *times]), np.concatenate([np.zeros(0), *jaws]), spent_s


def offsets_ms(times: NDArray[np.int64], jaws: NDArray[np.float64], shown: Sequence[tuple[int, float]]) -> list[float]:
    """By how many ms the shown jaw is late (negative: early), for every STRETCH_S of speech.

    The offset at which the shown jaw correlates best with the one that the network reads from the sound alone, within
    MOST_S; stretches without a clear one are left out.

    Args:
        times: (T,) of `jaws_of`.
        jaws: (T,) of `jaws_of`.
        shown: (when a face was published in ns, its `jawOpen`).
    """
    if not len(times) or not shown:
        return []
    at, opened = (np.array(column) for column in zip(*sorted(shown), strict=True))
    lags = np.arange(-MOST_S, MOST_S + _STEP_S / 2, _STEP_S)
    length, found = round(STRETCH_S * MOUTH_RATE_HZ), []
    for start in range(0, len(times) - length + 1, length):
        when, sounded = times[start : start + length], jaws[start : start + length]
        if sounded.std() < _MOVES or when[0] + lags[0] * NS < at[0] or when[-1] + lags[-1] * NS > at[-1]:
            continue
        moved = [np.interp(when + lag * NS, at, opened) for lag in lags]
        fits = [float(np.corrcoef(sounded, row)[0, 1]) if row.std() > _MOVES else -1.0 for row in moved]
        if max(fits) >= _CLEAR:
            found.append(1e3 * float(lags[int(np.argmax(fits))]))
    return found


def speech_figures(
    voice: Sequence[Sound], shown: Sequence[tuple[int, float]], timer: Callable[[], float] = time.perf_counter
) -> dict[str, Any]:
    """offset_ms: of lips to sound as it is heard, median; off_ms: the same without its sign; lips from sound in this
    process: sound_ms, from a chunk to its mouth beyond the look-ahead, and cores, computing time a second of sound.
    """
    times, jaws, spent_s = jaws_of(voice, timer)
    offsets = offsets_ms(times, jaws, shown)
    heard_s = sum(len(s.samples) / s.rate_hz for s in voice)
    return {
        "offset_ms": round(float(np.median(offsets)), 1) if offsets else None,
        "off_ms": spread(np.abs(offsets).tolist()),
        "sound_ms": spread([1e3 * s for s in spent_s]),
        "cores": round(sum(spent_s) / heard_s, 4) if heard_s else None,
    }  # fmt: skip
