"""Exact dynamic time warping to the nearest of several targets, by antidiagonals compiled with numba.

Multivariate, without a band: the root of the smallest accumulated squared distance over all monotone alignments of
two sequences, as in Sakoe and Chiba 1978 and in the reference's metrics. Only the nearest target counts, so an
alignment is followed only as far as it can still be the nearest; the result is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    # Here, because it imports numba.
    from reactdiff_ros.evaluation.metrics.dtw_kernels import BOX, boxes, nearest

    out = np.full(len(predictions), np.inf)
    x, begins = _stacked(predictions, targets, parts)
    weights = np.array([part.weight for part in parts])
    each = [np.ascontiguousarray(x[1 + m][:, ::-1]) for m in range(len(targets))]
    around = [boxes(target, BOX) for target in x[1:]]
    for k, rows in enumerate(x[0]):
        best, own = np.inf, boxes(rows, BOX)
        for m in _likely_first(rows, x[1:]):
            best = nearest(rows, each[m], own, around[m], begins, weights, best)
        out[k] = best
    return out


def compile_kernels() -> None:
    """Compile what `nearest_distances` needs, or load it, before something is timed.

    Raises:
        ModuleNotFoundError: numba is not installed.
    """
    few = np.array([[[0.0], [1.0]]])
    nearest_distances(few, [few[0]], [Part(slice(0, 1), 1.0)])


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
    return [rows, *(np.ascontiguousarray(target[:, order].T, dtype=np.float32) for target in targets)], begins


def _likely_first(rows: NDArray[np.float32], targets: Sequence[NDArray[np.float32]]) -> list[int]:
    """Targets by their distance without warping: a near one first lets the others be abandoned early."""
    gaps = []
    for target in targets:
        n = min(rows.shape[1], target.shape[1])
        gap = (rows[:, :n] - target[:, :n]).ravel()
        gaps.append(float(gap @ gap))
    return sorted(range(len(gaps)), key=gaps.__getitem__)
