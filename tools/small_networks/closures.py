"""Closed lips as events: which of those that are there a mouth shows, and which it invents."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import MOUTH_RATE_HZ

SHUT: Final = 0.8
"""Firmness from which lips count as shut: f and v reach .6."""
TOLERANCE_S: Final = 0.04
"""A closure is found if the middle of a shown one is so near to it."""


def runs(on: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, 2) beginnings and ends of what is true, s."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return np.asarray(edges.reshape(-1, 2) / MOUTH_RATE_HZ)


def closure_counts(closure: NDArray[Any], truth: NDArray[np.float64]) -> tuple[int, int, int]:
    """Closures that were found, shown and there. `closure` (T,) of a mouth; `truth` (C, 2) s."""
    shown = runs(np.asarray(closure) >= SHUT)
    free = list(range(len(shown)))
    middles = shown.mean(axis=1) if len(shown) else np.zeros(0)
    found = 0
    for begin, end in truth:
        near = [i for i in free if begin - TOLERANCE_S <= middles[i] <= end + TOLERANCE_S]
        if near:
            free.remove(min(near, key=lambda i: abs(middles[i] - 0.5 * (begin + end))))
            found += 1
    return found, len(shown), len(truth)


def f1(found: int, shown: int, there: int) -> float:
    """Of counts of closures; NaN where there are none at all."""
    return 2 * found / (shown + there) if shown + there else float("nan")
