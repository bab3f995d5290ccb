"""How one person's smiles go with another's, and how a person's smiles are: the measures of `evaluate dyads`.

Smiles are AU12 on OpenFace's scale, (N, T) at 25 Hz, one row a person in one recorded call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics.events import SMILE_SHORTEST_S, SMOOTHING_FRAMES, episodes, moving_average
from reactdiff_ros.types import REACTION_RATE_HZ

Values = NDArray[np.floating[Any]]
Matrix = NDArray[np.float64]

AU12_OF_SMILE: Final = 3.5
"""AU12 of a full mouthSmile: the inverse of the fixed map mouthSmile = clip(AU12 / 3.5, 0, 1)."""
SMILE_AU12: Final = 1.0
LAGS: Final = range(round(0.3 * REACTION_RATE_HZ), round(2.0 * REACTION_RATE_HZ) + 1)
"""Speaker-to-listener lags over which C is the mean: 0.3 to 2 s."""
MARGINALS: Final = ("log episode rate", "log episode length", "logit share of time", "log mean speed", "s.d.")
C_BAND: Final = (0.10, 0.30)
P_LIMIT: Final = 0.01
D_LIMIT: Final = 0.45
# The least that a call of three minutes can tell apart: one episode, the shortest episode, a share of one second.
_LEAST_RATE, _LEAST_SHARE, _LEAST_SPEED = 1 / 3, 0.005, 0.1


@dataclass(frozen=True, slots=True)
class People:
    """Who is in the rows: `pair` (N,) numbers of pairs from 0; rows of one pair come in one order in every pair."""

    pair: NDArray[np.intp]

    @property
    def count(self) -> int:
        """How many pairs."""
        return int(self.pair.max()) + 1 if len(self.pair) else 0

    def rows(self, pair: int) -> NDArray[np.intp]:
        """Rows of one pair."""
        return np.flatnonzero(self.pair == pair)


def cross_coupling(speakers: Values, listeners: Values, lags: range = LAGS) -> Matrix:
    """(S, L) mean over `lags` of the correlation of speaker s at t with listener l at t + lag.

    A stream that does not move has correlation 0.
    """
    frames = speakers.shape[1]
    used = [lag for lag in lags if lag < frames - 1]
    total = np.zeros((len(speakers), len(listeners)))
    for lag in used:
        total += _standard(speakers[:, : frames - lag]) @ _standard(listeners[:, lag:]).T
    return total / max(len(used), 1)


def _standard(rows: Values) -> Matrix:
    centred = rows.astype(np.float64) - rows.mean(1, keepdims=True, dtype=np.float64)
    norm = np.sqrt((centred**2).sum(1, keepdims=True))
    return np.asarray(np.where(norm > 1e-6 * rows.shape[1] ** 0.5, centred / np.maximum(norm, 1e-12), 0.0))


def coupling(cross: Matrix) -> float:
    """C: mean of the row-wise coupling of each listener with its own speaker (the diagonal of `cross_coupling`)."""
    return float(np.trace(cross) / len(cross))


def permutation_p(cross: Matrix, people: People, rng: np.random.Generator, count: int = 5000) -> float:
    """Probability of a coupling as large as C when each pair of listeners has a random pair's speakers.

    Pairs are the exchangeable units: all rows of one pair move together, with a random order within. One-sided, with
    the observed arrangement counted.
    """
    observed = coupling(cross)
    rows = [people.rows(pair) for pair in range(people.count)]
    at_least = 1
    for _ in range(count):
        total = 0.0
        for own, other in enumerate(rng.permutation(people.count)):
            of_other = np.roll(rows[other], rng.integers(len(rows[other]))) if other != own else rows[own]
            total += cross[np.resize(of_other, len(rows[own])), rows[own]].sum()
        at_least += total / len(cross) >= observed - 1e-12
    return at_least / (count + 1)


def pair_interval(cross: Matrix, people: People, rng: np.random.Generator, count: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of C, pairs drawn with replacement."""
    own = np.diag(cross)
    means = np.array([own[people.rows(pair)].mean() for pair in range(people.count)])
    drawn = means[rng.integers(0, len(means), (count, len(means)))].mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def marginals(au12: Values) -> Matrix:
    """(N, 5) in the order of MARGINALS, after a mean over 7 frames; an episode is AU12 > 1 for 0.3 s or more.

    Length is the median of a row's episodes. Rows without an episode get the least that a call can tell.
    """
    smooth = moving_average(au12, SMOOTHING_FRAMES)
    found = episodes(smooth > SMILE_AU12, smooth, shortest_s=SMILE_SHORTEST_S)
    length = np.array(
        [np.median(found.length_s[found.row == row]) if (found.row == row).any() else 0.0 for row in range(len(au12))]
    )
    share = np.clip(found.share(), _LEAST_SHARE, 1 - _LEAST_SHARE)
    speed = np.abs(np.diff(smooth, axis=1)).mean(1) * REACTION_RATE_HZ
    columns = (
        np.log(np.maximum(found.per_minute(), _LEAST_RATE)),
        np.log(np.maximum(length, SMILE_SHORTEST_S)),
        np.log(share / (1 - share)),
        np.log(np.maximum(speed, _LEAST_SPEED)),
        smooth.std(1),
    )
    return np.stack(columns, axis=1)


def wasserstein(a: Matrix, b: Matrix) -> float:
    """Wasserstein-1 distance of two samples: the area between their distribution functions."""
    values = np.sort(np.concatenate([a, b]))
    width = np.diff(values)
    at_a = np.searchsorted(np.sort(a), values[:-1], side="right") / len(a)
    at_b = np.searchsorted(np.sort(b), values[:-1], side="right") / len(b)
    return float((np.abs(at_a - at_b) * width).sum())


def marginal_distance(some: Matrix, real: Matrix, scale: Matrix | None = None) -> float:
    """D_marg: mean over the five marginals of Wasserstein-1 over the real s.d. (`scale`, of `real` by default)."""
    scale = real.std(0) if scale is None else scale
    return float(np.mean([wasserstein(some[:, i], real[:, i]) / scale[i] for i in range(real.shape[1])]))


def real_against_real(
    real: Matrix, people: People, rng: np.random.Generator, count: int = 400
) -> tuple[float, float] | None:
    """Mean and 95th percentile of D_marg of one half of the pairs against the other; None for fewer than two pairs."""
    if people.count < 2:
        return None
    scale = real.std(0)
    found = []
    for _ in range(count):
        half = np.isin(people.pair, rng.permutation(people.count)[: people.count // 2])
        found.append(marginal_distance(real[half], real[~half], scale))
    return float(np.mean(found)), float(np.percentile(found, 95))


def passes(c: float, p: float, d: float) -> bool:
    """All three: C within .10 to .30, p < .01, D_marg at most .45."""
    return C_BAND[0] <= c <= C_BAND[1] and p < P_LIMIT and d <= D_LIMIT
