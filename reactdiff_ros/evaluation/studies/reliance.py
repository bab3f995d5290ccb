"""How much a listener relies on its speaker: what it shows with its own speaker less what it shows with another one.

Both are scored against the listener's own speaker, with the same noise, so that what remains is the speaker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics.coupling import cross_coupling
from reactdiff_ros.evaluation.metrics.events import smile_curve

Values = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
_MOVES = 0.01


def paired_less_shuffled(paired: Floats, shuffled: Floats, seed: int, count: int = 2000) -> dict[str, float]:
    """Mean difference over items (N,) with its 95 % bootstrap interval."""
    difference = paired - shuffled
    rng = np.random.default_rng([seed, 51])
    drawn = difference[rng.integers(0, len(difference), (count, len(difference)))].mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "paired": float(paired.mean()), "shuffled": float(shuffled.mean()), "reliance": float(difference.mean()),
        "low": float(low), "high": float(high),
    }  # fmt: skip


def smile_coupling(speaker: Values, streams: Values) -> Floats:
    """(N,) coupling of each stream's smile (N, T, 58) to its speaker's (N, T), as in `evaluate dyads`."""
    listener = smile_curve(streams)
    return np.array([cross_coupling(s[None], x[None])[0, 0] for s, x in zip(speaker, listener, strict=True)])


def expected_correlation(expected: Values, streams: Values) -> Floats:
    """(N,) mean correlation over coefficients of streams (N, T, 58) with what is expected of a listener (N, T, 58).

    `expected` is the mean of many simulated listeners of the same speaker: what of a face is decided by the speaker.
    Coefficients that do not move in it are left out.
    """
    centred = [x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64) for x in (expected, streams)]
    deviation = [np.sqrt((x**2).mean(1)) for x in centred]
    moving = (deviation[0] > _MOVES) & (deviation[1] > 1e-4)
    product = (centred[0] * centred[1]).mean(1)
    correlation = np.where(moving, product / np.maximum(deviation[0] * deviation[1], 1e-12), 0.0)
    return np.asarray(correlation.sum(1) / np.maximum((deviation[0] > _MOVES).sum(1), 1))


def derangement(count: int) -> NDArray[np.intp]:
    """Another speaker for each of `count` (nobody's own)."""
    return np.roll(np.arange(count, dtype=np.intp), max(count // 2, 1))
