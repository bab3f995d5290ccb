"""Baselines of REACT's metrics on attributes (T, 25): mime, random, mean reactions, nearest neighbour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.evaluation.metrics.react import best_correlation
from reactdiff_ros.types import FloatArray

MIME_LAGS_S: Final = tuple(np.arange(0.0, 2.01, 0.2).round(1).tolist())
BLOCK_S: Final = 0.4
"""Speakers are compared in blocks of this length."""


def late(values: FloatArray, lag_s: float, rate_hz: float) -> FloatArray:
    """(..., T, D) shifted by `lag_s`; the first frame is held before."""
    at = np.maximum(np.arange(values.shape[-2]) - round(lag_s * rate_hz), 0)
    return values.take(at, -2)


def mime_scores(speaker: FloatArray, targets: Sequence[FloatArray], rate_hz: float) -> list[float]:
    """One prediction's FRC at each of MIME_LAGS_S; the best lag is that of the highest mean over a set."""
    return [best_correlation(late(speaker, lag_s, rate_hz)[None], targets) for lag_s in MIME_LAGS_S]


def best_lag(scores: Sequence[Sequence[float]]) -> float:
    """The lag in seconds of the highest mean of `mime_scores` over the recordings of a set; the smallest of equals."""
    return MIME_LAGS_S[int(np.mean(np.array(scores, dtype=np.float64), axis=0).argmax())] if len(scores) else 0.0


def noise(count: int, frames: int, seed: int) -> FloatArray:
    """REACT's random baseline, (K, T, 25)."""
    return np.random.default_rng(seed).random((count, frames, ATTRIBUTE_COUNT), dtype=np.float32)


def fitted(sequence: FloatArray, frames: int) -> FloatArray:
    """A sequence (T', D) made `frames` long: cut, or its last frame held."""
    return sequence.take(np.minimum(np.arange(frames), len(sequence) - 1), 0)


def mean_reactions(
    listeners: Iterable[tuple[str, FloatArray]], *, apart: bool
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Mean reactions of listeners (group of people, (T, 25)) of any length, taken in one at a time.

    Args:
        listeners: they may be more than fit into memory.
        apart: for each group the mean of the other groups, for a set compared with itself; else one mean of all.

    Returns:
        {"sequence": (G, T, 25) mean at each frame of those who were still there, "frame": (G, 25) mean of all frames};
        and the row of each group, "" for all: -1 where a group is all there is.
    """
    totals: dict[str | None, NDArray[np.float64]] = {}
    for group, attributes in listeners:
        for key in (None, group) if apart else (None,):
            total = totals.setdefault(key, np.zeros((0, ATTRIBUTE_COUNT + 1)))
            if len(attributes) > len(total):
                totals[key] = total = np.pad(total, ((0, len(attributes) - len(total)), (0, 0)))
            total[: len(attributes), :-1] += attributes
            total[: len(attributes), -1] += 1  # how many were still there
    whole = totals.pop(None, np.zeros((0, ATTRIBUTE_COUNT + 1)))
    means: list[NDArray[np.float64]] = []
    rows = {group: -1 for group in totals if group is not None} if apart else {"": -1}
    for group in rows:
        left = whole.copy()
        if apart:
            left[: len(totals[group])] -= totals[group]
        left = left[: int((left[:, -1] > 0).sum())]
        if len(left):
            rows[group] = len(means)
            means.append(left)
    length = max(map(len, means), default=0)
    sequences = [fitted((m[:, :-1] / np.maximum(m[:, -1:], 1)).astype(np.float32), length) for m in means]
    frames = [m[:, :-1].sum(0) / m[:, -1].sum() for m in means]
    arrays = {
        "sequence": np.array(sequences, dtype=np.float32).reshape(len(means), length, ATTRIBUTE_COUNT),
        "frame": np.array(frames, dtype=np.float32).reshape(len(means), ATTRIBUTE_COUNT),
    }
    return arrays, rows


def block_means(speaker: FloatArray, rate_hz: float, frames: int) -> NDArray[np.float32]:
    """A speaker's attributes (T, 25) over the first `frames`, in means over blocks of 0.4 s, as one row."""
    block = max(round(BLOCK_S * rate_hz), 1)
    used = fitted(speaker, frames)[: max(frames // block, 1) * block]
    if len(used) < block:
        return np.asarray(used.mean(0), dtype=np.float32)
    return np.asarray(used.reshape(-1, block, ATTRIBUTE_COUNT).mean(1).ravel(), dtype=np.float32)


def squared_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """(N, M) squared distances between rows (N, F) and (M, F)."""
    return np.asarray(np.square(a).sum(1)[:, None] - 2 * a @ b.T + np.square(b).sum(1))


def nearest(
    row: NDArray[np.float32], known: NDArray[np.float32], forbidden: NDArray[np.bool_], count: int
) -> NDArray[np.intp]:
    """The `count` nearest of `known` (M, F) to a row (F,), by columns of unit spread.

    `forbidden` (M,) is never taken (the same people); where fewer are left, the nearest are repeated.
    """
    centre, spread = known.mean(0), known.std(0) + 1e-6
    gap = squared_distances((row[None] - centre) / spread, (known - centre) / spread)[0]
    order = np.argsort(np.where(forbidden, np.inf, gap), kind="stable")
    return np.resize(order[: max(int((~forbidden).sum()), 1)], count)


def reference(
    recordings: Iterable[tuple[int, str, FloatArray, FloatArray]], asked: Iterable[tuple[str, FloatArray | None]], *,
    length: Callable[[Sequence[int]], float], rate_hz: float, streams: int, apart: bool,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Mean reactions, and the nearest of other speakers, for each recording of a set.

    Args:
        recordings: number, people, speaker (T, 25) and listener (T, 25) of each reference recording.
        asked: the people and the speaker of each recording of the set; None: it gets no neighbours.
        length: over how many frames speakers are compared, of their lengths.
        rate_hz: of attributes.
        streams: neighbours of each recording.
        apart: the reference is the set itself: nothing is taken from the same people.

    Returns:
        "sequence" and "frame" as `mean_reactions`; "row" (N,) of these for each recording, and "near" (N, streams) the
        numbers of its neighbours, -1 where there are none. Nothing where there are no reference recordings.
    """
    known: dict[int, tuple[str, FloatArray]] = {}

    def listeners() -> Iterator[tuple[str, FloatArray]]:
        for n, people, speaker, listener in recordings:
            known[n] = people, speaker
            yield people, listener

    arrays, means_row = mean_reactions(listeners(), apart=apart)
    if not known:
        return {}
    frames = int(length([len(speaker) for _, speaker in known.values()]))
    rows = np.stack([block_means(speaker, rate_hz, frames) for _, speaker in known.values()])
    row, near = [], []
    for people, speaker in asked:
        same = np.array([apart and other == people for other, _ in known.values()])
        found = np.full(streams, -1)
        if speaker is not None and not same.all():
            found = np.array(list(known))[nearest(block_means(speaker, rate_hz, frames), rows, same, streams)]
        row.append(means_row.get(people if apart else "", -1))
        near.append(found)
    return {**arrays, "near": np.array(near, dtype=np.int64), "row": np.array(row)}


def other_people(groups: Sequence[str]) -> list[int | None]:
    """For each recording another one, of other people (`groups`), whose stream serves as the shuffled control.

    Half a set further on, so that neighbours in a list (clips of one conversation) are not met; None where there are
    no other people.
    """
    count = len(groups)
    half = max(count // 2, 1)
    steps = [*range(half, count), *range(1, half)]
    return [next(((n + s) % count for s in steps if groups[(n + s) % count] != groups[n]), None) for n in range(count)]
