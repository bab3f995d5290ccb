"""What simple methods reach on recorded people: the rows that stand beside every listener's.

Each gives K predictions (K, T, 25) of REACT's attributes for one speaker, or says that it cannot. What they are,
and why a listener has to be above all but the first: docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.evaluation.metrics.react import correlation
from reactdiff_ros.types import FloatArray

GROUND_TRUTH, MIME, RANDOM, MEAN_SEQUENCE, MEAN_FRAME, NEAREST, SHUFFLED = (
    "ground_truth", "mime", "random", "mean_sequence", "mean_frame", "nearest_neighbour", "shuffled",
)  # fmt: skip
RULES: Final = "rules"
"""The rule-based listener runs as a listener does, from its own past."""
NOTES: Final[dict[str, str]] = {
    GROUND_TRUTH: "The recorded reaction itself, K times: the best that the metrics can give, with no diversity.",
    MIME: "The speaker's own attributes, late by the lag that scores best on this very set, K times.",
    RANDOM: "Uniform noise in 0..1 in every attribute of every frame.",
    MEAN_SEQUENCE: "The mean reaction of the reference split, frame by frame, K times.",
    MEAN_FRAME: "The mean frame of the reference split, held, K times.",
    NEAREST: "The listeners of the K reference speakers whose attributes are nearest.",
    RULES: "The rule-based listener of this package: answers smiles, nods in pauses, blinks; no network.",
    SHUFFLED: "The listener under test while it listened to somebody else: what is scored without listening.",
}
MIME_LAGS_S: Final = tuple(np.arange(0.0, 2.01, 0.2).round(1).tolist())
BLOCK_S: Final = 0.4
"""Speakers are compared in blocks of this length."""


def late(attributes: FloatArray, lag_s: float, rate_hz: float) -> FloatArray:
    """(T, 25) shifted by `lag_s`; the first frame is held before."""
    frames = min(round(lag_s * rate_hz), len(attributes) - 1)
    return np.concatenate([np.repeat(attributes[:1], frames, 0), attributes[: len(attributes) - frames]])


def mime_scores(speaker: FloatArray, targets: Sequence[FloatArray], rate_hz: float) -> list[float]:
    """One prediction's FRC at each of MIME_LAGS_S; the best lag is that of the highest mean over a set."""
    out = []
    for lag_s in MIME_LAGS_S:
        own = late(speaker, lag_s, rate_hz)[None]
        out.append(max(correlation(own[:, : len(t)], t[None, : len(speaker)]) for t in targets))
    return out


def best_lag(scores: Sequence[Sequence[float]]) -> float:
    """The lag in seconds of the highest mean of `mime_scores` over the recordings of a set; the smallest of equals."""
    return MIME_LAGS_S[int(np.mean(np.array(scores, dtype=np.float64), axis=0).argmax())] if len(scores) else 0.0


def noise(count: int, frames: int, seed: int) -> FloatArray:
    """REACT's random baseline, (K, T, 25)."""
    return np.random.default_rng(seed).random((count, frames, ATTRIBUTE_COUNT), dtype=np.float32)


def times(one: FloatArray, count: int) -> FloatArray:
    """One prediction (T, 25) counted `count` times, (K, T, 25)."""
    return np.asarray(np.broadcast_to(one, (count, *one.shape)))


def fitted(sequence: FloatArray, frames: int) -> FloatArray:
    """A sequence (T', D) made `frames` long: cut, or its last frame held."""
    if len(sequence) >= frames:
        return sequence[:frames]
    return np.concatenate([sequence, np.repeat(sequence[-1:], frames - len(sequence), 0)])


@dataclass(slots=True)
class Mean:
    """Mean sequence and mean frame of listeners of any length, taken in one at a time."""

    total: NDArray[np.float64]
    count: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Mean:
        """Of nobody."""
        return cls(np.zeros((0, ATTRIBUTE_COUNT)), np.zeros(0, dtype=np.int64))

    def add(self, attributes: FloatArray) -> None:
        """Take in one listener (T, 25)."""
        longer = len(attributes) - len(self.count)
        if longer > 0:
            self.total = np.pad(self.total, ((0, longer), (0, 0)))
            self.count = np.pad(self.count, (0, longer))
        self.total[: len(attributes)] += attributes
        self.count[: len(attributes)] += 1

    def without(self, others: Mean) -> Mean:
        """Of all but `others`, who were taken in as well; as long as anybody is left."""
        total, count = self.total.copy(), self.count.copy()
        total[: len(others.count)] -= others.total
        count[: len(others.count)] -= others.count
        left = int((count > 0).sum())
        return Mean(total[:left], count[:left])

    def sequence(self) -> FloatArray:
        """(T, 25) mean of those who were still there at each frame."""
        return np.asarray(self.total / np.maximum(self.count, 1)[:, None], dtype=np.float32)

    def frame(self) -> FloatArray:
        """(25,)."""
        return np.asarray(self.total.sum(0) / max(int(self.count.sum()), 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Means:
    """Mean reactions, each of other people than those whom it is compared with."""

    sequences: FloatArray
    """(G, T, 25)."""
    frames: FloatArray
    """(G, 25)."""
    row: dict[str, int]
    """Which of them is for a group of people; a group that is not there takes the first."""


def means_of(listeners: Iterable[tuple[str, FloatArray]], *, apart: bool) -> Means:
    """Of listeners (group, (T, 25)); `apart`: for each group the mean of the others, for a set compared with itself.

    A group that is all there is has no others: its row is -1.
    """
    whole = Mean.empty()
    by_group: dict[str, Mean] = {}
    for group, attributes in listeners:
        whole.add(attributes)
        if apart:
            by_group.setdefault(group, Mean.empty()).add(attributes)
    found = {group: whole.without(own) for group, own in by_group.items()} if apart else {"": whole}
    left = {group: mean for group, mean in found.items() if len(mean.count)}
    length = max((len(mean.count) for mean in left.values()), default=0)
    sequences = [fitted(mean.sequence(), length) for mean in left.values()]
    row = {group: list(left).index(group) if group in left else -1 for group in found}
    return Means(
        np.array(sequences, dtype=np.float32).reshape(len(left), length, ATTRIBUTE_COUNT),
        np.array([mean.frame() for mean in left.values()], dtype=np.float32).reshape(len(left), ATTRIBUTE_COUNT),
        row,
    )


def described(speaker: FloatArray, rate_hz: float, frames: int) -> NDArray[np.float32]:
    """A speaker's attributes (T, 25) over the first `frames`, in means over blocks of 0.4 s, as one row."""
    block = max(round(BLOCK_S * rate_hz), 1)
    used = fitted(speaker, frames)[: max(frames // block, 1) * block]
    if len(used) < block:
        return np.asarray(used.mean(0), dtype=np.float32)
    return np.asarray(used.reshape(-1, block, ATTRIBUTE_COUNT).mean(1).ravel(), dtype=np.float32)


def nearest(
    rows: NDArray[np.float32], known: NDArray[np.float32], forbidden: NDArray[np.bool_], count: int
) -> NDArray[np.intp]:
    """For each row (N, F) the `count` nearest of `known` (M, F) by columns of unit spread, (N, count).

    `forbidden` (N, M) is never taken (the same people); where fewer are left, the nearest are repeated.
    """
    centre, spread = known.mean(0), known.std(0) + 1e-6
    a, b = (rows - centre) / spread, (known - centre) / spread
    gap = np.square(a).sum(1)[:, None] - 2 * a @ b.T + np.square(b).sum(1)
    order = np.argsort(np.where(forbidden, np.inf, gap), axis=1, kind="stable")
    allowed = np.maximum((~forbidden).sum(1), 1)
    return np.stack([np.resize(order[n, : allowed[n]], count) for n in range(len(rows))])


def others(groups: Sequence[str]) -> list[int | None]:
    """For each recording another one, of other people (`groups`), whose stream stands in as the shuffled control.

    Half a set further on, so that neighbours in a list (clips of one conversation) are not met; None where there is
    nobody else.
    """
    count = len(groups)
    out: list[int | None] = []
    for n in range(count):
        steps = [*range(max(count // 2, 1), count), *range(1, max(count // 2, 1))]
        out.append(next(((n + s) % count for s in steps if groups[(n + s) % count] != groups[n]), None))
    return out
