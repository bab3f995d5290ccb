"""Exact dynamic time warping to the nearest of several targets, by antidiagonals compiled with numba.

Multivariate, without a band: the root of the smallest accumulated squared distance over all monotone alignments of
two sequences, as in Sakoe and Chiba 1978 and in the reference's metrics. Only the nearest target counts, so an
alignment is abandoned as soon as it can no longer be the nearest; the result is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """Channels that are aligned together, and how much their distance counts."""

    channels: slice
    weight: float


def nearest_distances(predictions: Array, targets: Sequence[Array], parts: Sequence[Part]) -> NDArray[np.float64]:
    """For each prediction, the smallest weighted sum of the parts' DTW distances over the targets, (K,).

    Args:
        predictions: (K, T, D), finite.
        targets: each (T', D), finite; at least one.
        parts: each part is aligned on its own. Give those that cost little and count much first.

    Raises:
        ModuleNotFoundError: numba is not installed.
    """
    nearest = _kernel()
    out = np.full(len(predictions), np.inf)
    x, begins = _stacked(predictions, targets, parts)
    weights = np.array([part.weight for part in parts])
    each = [np.ascontiguousarray(x[1 + m][:, ::-1]) for m in range(len(targets))]
    for k, rows in enumerate(x[0]):
        best = np.inf
        for m in _likely_first(rows, each):
            best = nearest(rows, each[m], begins, weights, best)
        out[k] = best
    return out


def _stacked(predictions: Array, targets: Sequence[Array], parts: Sequence[Part]) -> tuple[list[Any], NDArray[np.intp]]:
    """[(K, D', T), then (D', T') a target], the parts' channels in their order, and where each part begins.

    Channels that never differ add nothing to any distance and are left out.
    """
    first = predictions[0, 0]
    differs = (predictions != first).any((0, 1))
    for target in targets:
        differs |= (target != first).any(0)
    chosen = [np.flatnonzero(differs[part.channels]) + (part.channels.start or 0) for part in parts]
    begins = np.cumsum([0, *(len(part) for part in chosen)])
    order = np.concatenate(chosen)
    rows = np.ascontiguousarray(predictions[..., order].swapaxes(1, 2), dtype=np.float32)
    return [rows, *(target[:, order].T.astype(np.float32) for target in targets)], begins


def _likely_first(rows: NDArray[np.float32], reversed_targets: Sequence[NDArray[np.float32]]) -> list[int]:
    """Targets by their distance without warping: a near one first lets the others be abandoned early."""
    lengths = [min(rows.shape[1], target.shape[1]) for target in reversed_targets]
    gaps = [
        float(np.square(rows[:, :n] - target[:, ::-1][:, :n]).sum())
        for n, target in zip(lengths, reversed_targets, strict=True)
    ]
    return sorted(range(len(gaps)), key=gaps.__getitem__)


@cache
def _kernel() -> Any:
    """Compiled on first use, a few seconds."""
    from numba import njit

    compiled = njit(nogil=True, fastmath={"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"})
    squared = compiled(_squared_dtw)

    @compiled  # type: ignore[untyped-decorator,unused-ignore]
    def nearest(x: Any, y: Any, begins: Any, weights: Any, best: float) -> float:
        """The smaller of `best` and the distance of x (D, T) to a target y (D, T'), its time reversed."""
        total = 0.0
        for p in range(len(weights)):
            first, last = begins[p], begins[p + 1]
            if first < last:
                left = (best - total) / weights[p]
                limit = left * left * 1.00001 if left < 1e15 else 1e30
                total += weights[p] * np.sqrt(squared(x[first:last], y[first:last], limit))
            if total >= best:
                return best
        return total

    return nearest


def _squared_dtw(x: Any, y: Any, limit: float) -> Any:
    """Squared DTW distance of x (D, T) and y (D, T') with y's time reversed; some value above `limit` if it exceeds.

    Three antidiagonals of the table are kept: cell i of a diagonal needs cells i and i - 1 of the one before and cell
    i - 1 of the one before that. Reversed time makes both inputs run forward along a diagonal.
    """
    channels, n = x.shape
    m = y.shape[1]
    far = np.float32(1e30)
    before2, before, now = np.empty(n + 1, np.float32), np.empty(n + 1, np.float32), np.empty(n + 1, np.float32)
    before2[:], before[:], now[:] = far, far, far
    cost = np.empty(n, np.float32)
    for k in range(n + m - 1):
        low, high = max(0, k - m + 1), min(k, n - 1) + 1
        count, shift = high - low, m - 1 - k
        local = cost[:count]
        for i in range(count):
            local[i] = 0.0
        for q in range(0, channels - 1, 2):
            a, b = x[q, low:high], y[q, low + shift : high + shift]
            c, d = x[q + 1, low:high], y[q + 1, low + shift : high + shift]
            for i in range(count):
                e, f = a[i] - b[i], c[i] - d[i]
                local[i] += e * e + f * f
        if channels % 2:
            a, b = x[channels - 1, low:high], y[channels - 1, low + shift : high + shift]
            for i in range(count):
                e = a[i] - b[i]
                local[i] += e * e
        if k == 0:
            now[1] = local[0]
        else:
            left, up, corner, out = before[low + 1 : high + 1], before[low:high], before2[low:high], now[low + 1 :]
            for i in range(count):
                least = left[i] if left[i] < up[i] else up[i]
                least = least if least < corner[i] else corner[i]
                out[i] = local[i] + least
        now[low] = far
        if high < n:
            now[high + 1] = far
        if k % 32 == 31:
            least = far
            for i in range(low, high):
                least = min(least, now[i + 1], before[i + 1])
            if least > limit:
                return least
        before2, before, now = before, now, before2
    return before[n]
