"""How one person's smiles go with another's, and how a person's smiles are: the measures of `evaluate dyads`.

Smiles are AU12 on OpenFace's scale, (N, T) at 25 Hz, one row a person in one recorded call; NaN is a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.events import SMILE_SHORTEST_S, SMOOTHING_FRAMES, episodes
from reactdiff_ros.model.style import smoothed
from reactdiff_ros.recordings.datasets.recording import filled_in
from reactdiff_ros.types import REACTION_RATE_HZ

Values = NDArray[np.floating[Any]]
Matrix = NDArray[np.float64]

AU12_OF_SMILE: Final = 3.5
"""AU12 of a full mouthSmile: the inverse of the fixed map mouthSmile = clip(AU12 / 3.5, 0, 1)."""
SMILE_AU12: Final = 1.0
LAGS: Final = range(round(0.3 * REACTION_RATE_HZ), round(2.0 * REACTION_RATE_HZ) + 1)
"""Speaker-to-listener lags over which C is the mean: 0.3 to 2 s."""
MARGINALS: Final = ("log episode rate", "log episode length", "logit share of time", "log mean speed", "s.d.")
BRIDGED_FRAMES: Final = round(1.0 * REACTION_RATE_HZ)
"""The marginals lay a line over gaps of so many frames; longer ones are left out."""
# The least that a call of three minutes can tell apart: one episode, the shortest episode, a share of one second.
_LEAST_RATE, _LEAST_SHARE, _LEAST_SPEED = 1 / 3, 0.005, 0.1
_LEAST_SHARED = round(1.0 * REACTION_RATE_HZ)
STILL: Final = 1e-6
"""A deviation below this is none, but rounding."""


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

    def another(self, step: int = 1) -> NDArray[np.intp]:
        """(N,) for each row one of the next pair, or of the pair `step` further on: it has listened to others."""
        out = np.empty(len(self.pair), dtype=np.intp)
        for pair in range(self.count):
            own = self.rows(pair)
            out[own] = np.resize(self.rows((pair + step) % self.count), len(own))
        return out


def cross_coupling(speakers: Values, listeners: Values) -> Matrix:
    """(S, L) mean over LAGS of the correlation of speaker s at t with listener l at t + lag.

    At every lag it is over the frames in which neither has a gap. A stream that does not move has correlation 0, and so
    have two that share less than a second.
    """
    frames = speakers.shape[1]
    used = [lag for lag in LAGS if lag < frames - 1]
    gaps = np.isnan(speakers).any() or np.isnan(listeners).any()
    total = np.zeros((len(speakers), len(listeners)))
    for lag in used:
        a, b = speakers[:, : frames - lag], listeners[:, lag:]
        total += _of_the_shared(a, b) if gaps else _standard(a) @ _standard(b).T
    return total / max(len(used), 1)


def own_couplings(speakers: Values, listeners: Values) -> Matrix:
    """(N,) coupling of each listener with its own speaker, (N, T) both, as `cross_coupling`."""
    pairs = zip(speakers, listeners, strict=True)
    return np.array([cross_coupling(speaker[None], listener[None])[0, 0] for speaker, listener in pairs])


def pearson(a: Values, b: Values) -> float:
    """Pearson's r of two curves (T,); NaN where one stands still."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-9 * max(len(a), 1) else float("nan")


def _of_the_shared(a: Values, b: Values) -> Matrix:
    """(A, B) correlations of rows, each over the frames that both rows know."""
    (x, of_x), (y, of_y) = _centred(a), _centred(b)
    count = of_x @ of_y.T
    safe = np.maximum(count, 1.0)
    sum_x, sum_y = x @ of_y.T, of_x @ y.T
    var_x = x**2 @ of_y.T / safe - (sum_x / safe) ** 2
    var_y = of_x @ (y**2).T / safe - (sum_y / safe) ** 2
    moves = (np.minimum(var_x, var_y) > STILL**2) & (count >= _LEAST_SHARED)
    both = x @ y.T / safe - sum_x * sum_y / safe**2
    return np.asarray(np.where(moves, both / np.sqrt(np.where(moves, var_x * var_y, 1.0)), 0.0))


def _centred(rows: Values) -> tuple[Matrix, Matrix]:
    """Rows less their mean, 0 in gaps; and 1 where they are known, else 0."""
    known = ~np.isnan(rows)
    values = np.where(known, rows, 0.0).astype(np.float64)
    mean = values.sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
    return np.where(known, values - mean, 0.0), known.astype(np.float64)


def _standard(rows: Values) -> Matrix:
    centred = rows.astype(np.float64) - rows.mean(1, keepdims=True, dtype=np.float64)
    norm = np.sqrt((centred**2).sum(1, keepdims=True))
    return np.asarray(np.where(norm > STILL * rows.shape[1] ** 0.5, centred / np.maximum(norm, 1e-12), 0.0))


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


def pair_interval(cross: Matrix, people: People, rng: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval of C, pairs drawn with replacement."""
    own = np.diag(cross)
    means = np.array([own[people.rows(pair)].mean() for pair in range(people.count)])
    low, high = bootstrap.mean_interval(means, rng)
    return float(low), float(high)


def marginals(au12: Values) -> Matrix:
    """(N, 5) in the order of MARGINALS, after a mean over 7 frames; an episode is AU12 > 1 for 0.3 s or more.

    Length is the median of a row's episodes. Rows without an episode get the least that a call can tell. Gaps of up to
    a second are bridged; rates and shares are of the time outside of longer ones.

    Raises:
        ValueError: nothing of a row is known.
    """
    known = ~np.isnan(au12)
    whole = au12 if known.all() else np.stack([filled_in(row, of) for row, of in zip(au12, known, strict=True)])
    smooth = smoothed(whole, SMOOTHING_FRAMES)
    used = _bridged(known)
    found = episodes((smooth > SMILE_AU12) & used, smooth, shortest_s=SMILE_SHORTEST_S)
    part = used.mean(1)
    length = np.array(
        [np.median(found.length_s[found.row == row]) if (found.row == row).any() else 0.0 for row in range(len(au12))]
    )
    share = np.clip(found.share() / part, _LEAST_SHARE, 1 - _LEAST_SHARE)
    steps = np.abs(np.diff(smooth, axis=1))
    speed = np.array([row[of].mean() for row, of in zip(steps, used[:, 1:] & used[:, :-1], strict=True)])
    columns = (
        np.log(np.maximum(found.per_minute() / part, _LEAST_RATE)),
        np.log(np.maximum(length, SMILE_SHORTEST_S)),
        np.log(share / (1 - share)),
        np.log(np.maximum(speed * REACTION_RATE_HZ, _LEAST_SPEED)),
        np.array([row[of].std() for row, of in zip(smooth, used, strict=True)]),
    )
    return np.stack(columns, axis=1)


def _bridged(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, T) what is `known`, and gaps of up to BRIDGED_FRAMES between what is."""
    used = known.copy()
    for row, of in zip(used, known, strict=True):
        frames = np.flatnonzero(of)
        steps = np.diff(frames)
        for i in np.flatnonzero((steps > 1) & (steps <= BRIDGED_FRAMES + 1)):
            row[frames[i] : frames[i + 1]] = True
    return used


def distances(some: Matrix, real: Matrix, scale: Matrix | None = None) -> Matrix:
    """(5,) Wasserstein-1 of each marginal over the real s.d. (`scale`, of `real` by default).

    NaN where the real people are all alike: there is no scale to be far from them by.
    """
    scale = real.std(0) if scale is None else scale
    from scipy.stats import wasserstein_distance

    found = [wasserstein_distance(some[:, i], real[:, i]) / s if s > STILL else np.nan for i, s in enumerate(scale)]
    return np.array(found, dtype=np.float64)


def marginal_distance(some: Matrix, real: Matrix, scale: Matrix | None = None) -> float:
    """D_marg: mean of those `distances` that there are, NaN where there is none. Arguments as there."""
    found = distances(some, real, scale)
    there = found[~np.isnan(found)]
    return float(there.mean()) if len(there) else float("nan")


def real_against_real(real: Matrix, people: People, rng: np.random.Generator) -> tuple[float, float]:
    """Mean and 95th percentile of D_marg of one half of the pairs, two or more, against the other."""
    scale = real.std(0)
    found = []
    for _ in range(400):
        half = np.isin(people.pair, rng.permutation(people.count)[: people.count // 2])
        found.append(marginal_distance(real[half], real[~half], scale))
    return float(np.mean(found)), float(np.percentile(found, 95))


REACH_S: Final = 2.0
"""Lags below this are looked at, both ways."""


def reach(rate_hz: float) -> int:
    """The largest lag in frames: 49 at 25 frames a second, as in the challenge."""
    return int(REACH_S * rate_hz - 1)


def lag_correlations(predictions: Values, speaker: Values, most: int) -> Matrix:
    """Pearson's correlation of every prediction with the speaker at every lag, (K, 2 most + 1, D).

    Args:
        predictions: (K, T, D).
        speaker: (T, D).
        most: largest lag in frames. Entry most + lag pairs the prediction at t + lag with the speaker at t, so a
            positive lag is a prediction that follows. Lags that leave fewer than two frames are NaN.

    NaN where a channel of either is constant in the frames that a lag leaves.
    """
    from scipy.fft import next_fast_len

    frames = speaker.shape[0]
    within = min(most, frames - 2)
    out = np.full((len(predictions), 2 * most + 1, speaker.shape[1]), np.nan)
    if within < 0:
        return out
    x = np.ascontiguousarray(np.moveaxis(predictions, -1, 1), dtype=np.float64)
    y = np.ascontiguousarray(speaker.T, dtype=np.float64)
    still_x, still_y = (_still(z, within) for z in (x, y))
    x = x - x.mean(-1, keepdims=True)
    y = y - y.mean(-1, keepdims=True)
    size = next_fast_len(frames + within, real=True)
    crossed = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(y, size).conj(), size)
    products = np.concatenate([crossed[..., size - within :], crossed[..., : within + 1]], -1)
    count = frames - np.abs(np.arange(-within, within + 1))
    sum_x, sum_y = _kept(x, within), _kept(y, within)[..., ::-1]
    power_x = _kept(x * x, within) - sum_x**2 / count
    power_y = _kept(y * y, within)[..., ::-1] - sum_y**2 / count
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (products - sum_x * sum_y / count) / np.sqrt(np.maximum(power_x, 0) * np.maximum(power_y, 0))
    found[still_x | still_y[..., ::-1]] = np.nan
    out[:, most - within : most + within + 1] = np.moveaxis(np.clip(found, -1, 1), -1, 1)
    return out


def _kept(values: Matrix, most: int) -> Matrix:
    """(..., 2 most + 1): the sum of what each lag keeps of the later one; lag L >= 0 leaves out its first L frames."""
    total = values.sum(-1, keepdims=True)
    if not most:
        return np.asarray(total)
    first = np.cumsum(values[..., :most], -1)
    last = np.cumsum(values[..., : -most - 1 : -1], -1)
    return np.concatenate([(total - last)[..., ::-1], total, total - first], -1)


def _still(values: Matrix, most: int) -> NDArray[np.bool_]:
    """Where what a lag keeps (as in `_kept`) is constant: no frame differs from the one before."""
    changes = (values[..., 1:] != values[..., :-1]).astype(np.float64)
    return np.asarray(_kept(changes, most) == 0)


def reference_lags(correlations: Matrix) -> Matrix:
    """(K,) lag of the peak in frames, without its sign, as the challenge's code finds it.

    One channel that is constant makes the mean NaN, and a NaN counts as the peak: then the lag is the largest there is.
    """
    mean = correlations.astype(np.float32).mean(-1, dtype=np.float32)
    return np.asarray(np.abs(mean.argmax(-1) - mean.shape[-1] // 2), dtype=np.float64)


def signed_lags(correlations: Matrix) -> Matrix:
    """(K,) lag of the peak in frames, positive where the prediction follows; NaN where nothing moves.

    The mean is over the channels that move at every lag; of equal peaks the one nearest to 0 counts.
    """
    most = correlations.shape[1] // 2
    order = np.argsort(np.abs(np.arange(-most, most + 1)), kind="stable")
    out = np.full(len(correlations), np.nan)
    for k, table in enumerate(correlations):
        kept = table[~np.isnan(table).all(1)]
        moves = ~np.isnan(kept).any(0) if len(kept) else np.zeros(table.shape[1], dtype=bool)
        if moves.any():
            mean = table[:, moves].mean(1)[order]
            out[k] = order[np.nanargmax(mean)] - most
    return out
