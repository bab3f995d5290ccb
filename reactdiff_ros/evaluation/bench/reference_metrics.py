"""REACT's metrics by their definitions, pair by pair and lag by lag, as slow as the challenge's own code.

What the fast ones are held against, in figures and in time: alignments by tslearn, correlations by numpy's corrcoef.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import AU, EXPRESSION, VALENCE_AROUSAL

Array = NDArray[np.floating[Any]]

PARTS: Final = ((AU, 1 / 15), (VALENCE_AROUSAL, 1.0), (EXPRESSION, 1 / 8))
LAGS: Final = range(-49, 50)


def correlation(predictions: Array, targets: Array) -> float:
    """FRC of one speaker: predictions (K, T, 25), targets (M, T, 25)."""
    return sum(max(_concordance(p, t) for t in targets) for p in predictions)


def _concordance(x: Array, y: Array) -> float:
    found = []
    for channel in range(x.shape[1]):
        a, b = x[:, channel], y[:, channel]
        with np.errstate(divide="ignore", invalid="ignore"):
            linear = np.nan_to_num(np.corrcoef(a, b))[0, 1]
        above = 2 * linear * np.std(a) * np.std(b)
        below = np.var(a) + np.var(b) + (np.mean(a) - np.mean(b)) ** 2
        found.append(above / (below + 1e-8))
    return float(np.mean(found))


def distance(predictions: Array, targets: Array) -> float:
    """FRD of one speaker.

    Raises:
        ModuleNotFoundError: tslearn is not installed.
    """
    from tslearn.metrics import dtw

    def warped(x: Array, y: Array) -> float:
        return float(sum(weight * dtw(x[:, part], y[:, part]) for part, weight in PARTS))

    return sum(min(warped(p, t) for t in targets) for p in predictions)


def lags(predictions: Array, speaker: Array) -> list[int]:
    """FRSyn of one speaker: frames of lag of each prediction, without sign; `speaker` (T, 25)."""
    return [_lag(p, speaker) for p in predictions]


def _lag(x: Array, y: Array) -> int:
    means = []
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for lag in LAGS:
            later, earlier = (x[lag:], y[: len(y) - lag]) if lag >= 0 else (x[:lag], y[-lag:])
            each = [np.corrcoef(later[:, d], earlier[:, d])[0, 1] for d in range(x.shape[1])]
            means.append(np.float32(np.mean(each)))
    return abs(int(np.argmax(means)) - len(LAGS) // 2)
