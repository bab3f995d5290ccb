"""What a stream is made of: variance, autocorrelation, power in bands, and how smoothly its plans join.

Streams are (N, T, 58) at 25 Hz. Figures of a group count its coefficients that move in the reference.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, REFLEXES
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.types import REACTION_RATE_HZ

Values = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

BANDS_HZ: Final = ((0.2, 1.8), (1.8, 6.5), (6.5, 12.0))
BAND_NAMES: Final = tuple(f"{low:g}-{high:g} Hz" for low, high in BANDS_HZ)
_LENGTH: Final = 256
AUTOCORRELATION_LAGS: Final = (1, 2, 4, 8, 16, 25, 50)
MOVES: Final = 1e-3
"""A coefficient of smaller s.d. in the reference does not move."""
FLOOR: Final = np.full(COEFFICIENT_COUNT, 0.01)
"""(58,) what perception can see: noise of this deviation (rad and m for the head) lies under both sides of a
comparison, so that nothing counts that nobody could see."""
FLOOR[HEAD_PITCH:] = 0.002


def variances(streams: Values) -> Floats:
    """(58,) variance over all streams and frames."""
    return np.asarray(streams.reshape(-1, streams.shape[-1]).var(0, dtype=np.float64))


def autocorrelations(streams: Values, lags: tuple[int, ...] = AUTOCORRELATION_LAGS) -> Floats:
    """(len(lags), 58) autocorrelation about the mean over all streams; 0 where a coefficient does not move."""
    centred = streams.astype(np.float64) - streams.mean((0, 1), dtype=np.float64)
    power = (centred**2).mean((0, 1))
    rows = [(centred[:, lag:] * centred[:, :-lag]).mean((0, 1)) for lag in lags if lag < streams.shape[1]]
    return np.asarray(np.where(power > MOVES**2, np.array(rows) / np.maximum(power, 1e-12), 0.0))


def band_power(streams: Values) -> Floats:
    """(3, 58) power in each of BANDS_HZ (mean of periodograms, Hann windows of 10 s with half overlap; Welch 1967)."""
    frequency, density = power_density(streams)
    return np.stack([density[(frequency >= low) & (frequency < high)].sum(0) for low, high in BANDS_HZ])


def power_density(streams: Values) -> tuple[Floats, Floats]:
    """Frequencies (F,) in Hz and power (F, 58) of each, so that the sum over F is near the variance."""
    from scipy.signal import welch

    length = min(_LENGTH, streams.shape[1])
    frequency, density = welch(
        streams.astype(np.float64), REACTION_RATE_HZ, window=np.hanning(length), nperseg=length, noverlap=length // 2,
        detrend="constant", axis=1,
    )  # fmt: skip
    return frequency, density.mean(0) * REACTION_RATE_HZ / length


def by_group(some: Floats, reference: Floats) -> dict[str, float]:
    """Ratio of `some` (58,) to `reference` (58,) in each group: sums over the coefficients that move."""
    ratios = {}
    for group in GROUPS:
        at = [i for i in group.coefficients if reference[i] > 0]
        whole = float(reference[at].sum()) if at else 0.0
        ratios[group.name] = float(some[at].sum()) / whole if whole > 1e-12 else float("nan")
    return ratios


def variance_ratios(some: Values, reference: Values) -> dict[str, float]:
    """Variance of each group over the reference's (sums over the coefficients that move)."""
    wanted = variances(reference)
    return by_group(variances(some), np.where(wanted > MOVES**2, wanted, 0.0))


def variance_ratio_intervals(some: Values, reference: Values, weights: Floats) -> dict[str, dict[str, float]]:
    """{"low", "high"} of each of `variance_ratios`: streams drawn together by `weights` (B, N) of `bootstrap.draws`."""
    moving = variances(reference) > MOVES**2
    drawn = []
    for streams in (some, reference):
        mean, square = streams.mean(1, dtype=np.float64), np.square(streams, dtype=np.float64).mean(1)
        drawn.append((bootstrap.means(weights, square) - bootstrap.means(weights, mean) ** 2) * moving)
    return {g.name: bootstrap.ratio_interval(*(d[:, list(g.coefficients)].sum(1) for d in drawn)) for g in GROUPS}


def band_ratios(some: Values, reference: Values) -> dict[str, dict[str, float]]:
    """Power of each group in each band over the reference's, white noise of FLOOR added to both."""
    moving = variances(reference) > MOVES**2
    share = np.array([(high - low) / (REACTION_RATE_HZ / 2) for low, high in BANDS_HZ])
    mine, wanted = (band_power(x) + share[:, None] * FLOOR**2 for x in (some, reference))
    return {name: by_group(mine[i], np.where(moving, wanted[i], 0.0)) for i, name in enumerate(BAND_NAMES)}


def autocorrelation_differences(some: Values, reference: Values) -> dict[str, float]:
    """Largest difference over lags of each group's autocorrelation (mean over coefficients, weighed by variance)."""
    weight = np.where(variances(reference) > MOVES**2, variances(reference), 0.0)
    mine, wanted = autocorrelations(some), autocorrelations(reference)
    out = {}
    for group in GROUPS:
        at = list(group.coefficients)
        total = float(weight[at].sum())
        difference = ((mine - wanted)[:, at] * weight[at]).sum(1) / max(total, 1e-12)
        out[group.name] = float(np.abs(difference).max()) if total > 0 else float("nan")
    return out


def border_jerk(streams: Values, hop: int) -> dict[str, float]:
    """Mean jerk (third difference) across the borders of plans over that in their middle, for each group.

    Plans begin at multiples of `hop`; a group's figure is the mean of its coefficients' ratios.
    """
    jerk = np.abs(np.diff(streams.astype(np.float64), 3, axis=1))
    # The third difference at i spans frames i .. i + 3; its middle is between i + 1 and i + 2.
    phase = (np.arange(jerk.shape[1]) + 2) % hop
    border, inside = phase == 0, phase == hop // 2
    late = np.arange(jerk.shape[1]) >= hop
    at_border, at_inside = jerk[:, border & late].mean((0, 1)), jerk[:, inside & late].mean((0, 1))
    out = {}
    for group in GROUPS:
        at = [i for i in group.coefficients if at_inside[i] > 1e-6]
        out[group.name] = float((at_border[at] / at_inside[at]).mean()) if at else float("nan")
    return out


def plan_difference(plans: Values, hop: int, spread: Floats) -> dict[str, float]:
    """Root mean square difference of the same future frame in consecutive plans over the spread of candidates.

    Args:
        plans: (N, P, H, 58), plan p + 1 begins `hop` frames after plan p.
        hop: frames between plans.
        spread: (58,) s.d. over candidates that share one past, of the same frames.
    """
    overlap = plans.shape[2] - hop
    difference = plans[:, :-1, hop:].astype(np.float64) - plans[:, 1:, :overlap]
    rms = np.sqrt((difference**2).mean((0, 1, 2)))
    out = {}
    for group in GROUPS:
        at = list(group.coefficients)
        whole = float((spread[at] ** 2).sum())
        out[group.name] = float(np.sqrt((rms[at] ** 2).sum() / whole)) if whole > 1e-9 else float("nan")
    return out


WINDOW: Final = 50
FOLDS: Final = 4


def window_features(values: Values, frames: int = WINDOW) -> Floats:
    """Mean, deviation, speed and slope of every channel of values (N, T, C) in consecutive windows: (N, W, 4 C)."""
    count = values.shape[1] // frames
    cut = values[:, : count * frames].reshape(len(values), count, frames, -1).astype(np.float64)
    time = np.linspace(-1, 1, frames)[:, None]
    parts = (cut.mean(2), cut.std(2), np.abs(np.diff(cut, axis=2)).mean(2), (cut * time).mean(2))
    return np.concatenate(parts, axis=-1)


def seen(values: Values, floor: Floats, *seed: int) -> Floats:
    """Values (..., C) with noise of the deviations `floor` (C,)."""
    return np.asarray(values + floor * np.random.default_rng(seed).standard_normal(values.shape))


def moving(reference: Values) -> NDArray[np.bool_]:
    """(58,) which coefficients move in the reference, without those that reflexes show."""
    moves = np.asarray(reference.reshape(-1, reference.shape[-1]).std(0) > MOVES)
    moves[REFLEXES] = False
    return moves


def frechet(a: Floats, b: Floats) -> float:
    """Frechet distance squared of Gaussians fitted to two samples (n, F), (m, F)."""
    mean = a.mean(0) - b.mean(0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ second @ root)
    trace = np.trace(first) + np.trace(second) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return float(mean @ mean + trace)


def frechet_distance(some: Values, reference: Values, other: Values) -> dict[str, float]:
    """Distance of `some` to `reference`, and the floor: that of `other`, a second draw of the reference, to it.

    All are (N, T, 58) of the same speakers; noise of FLOOR is added to each.
    """
    used = moving(reference)
    parts = [window_features(seen(x, FLOOR, 63, i)[..., used]) for i, x in enumerate((some, reference, other))]
    features = [x.reshape(-1, x.shape[-1]) for x in parts]
    centre, spread = features[1].mean(0), features[1].std(0) + 1e-9
    features = [(x - centre) / spread for x in features]
    width = features[1].shape[1]
    distance, floor = (frechet(features[i], features[1]) / width for i in (0, 2))
    return {"distance": distance, "floor": floor, "windows": len(features[1])}


def two_sample_auc(some: Values, reference: Values, seed: int) -> dict[str, float]:
    """Area under the curve of a classifier that tells windows of `some` from those of `reference`, both (N, T, 58).

    Cross-validated by speaker; with its deviation over the folds. Noise of FLOOR is added to both.
    """
    used = moving(reference)
    x = np.stack([window_features(seen(x, FLOOR, seed, 62, i)[..., used]) for i, x in enumerate((some, reference))])
    _, count, windows, width = x.shape
    y, owner = np.repeat([1.0, 0.0], count * windows), np.tile(np.repeat(np.arange(count), windows), 2)
    return grouped_auc(x.reshape(-1, width), y, owner, seed)


def grouped_auc(x: Floats, y: Floats, group: NDArray[np.intp], seed: int) -> dict[str, float]:
    """Area under the curve of a logistic classifier of y (W,), 0 or 1, from features (W, F) and their squares,
    cross-validated by `group` (W,) from 0; with its deviation over the folds.
    """
    of_fold = np.random.default_rng([seed, 61]).permutation(int(group.max()) + 1) % FOLDS
    areas = []
    for fold in range(FOLDS):
        test = of_fold[group] == fold
        if len(np.unique(y[test])) < 2 or len(np.unique(y[~test])) < 2:
            continue
        centre, spread = x[~test].mean(0), x[~test].std(0) + 1e-9
        z = np.clip((x - centre) / spread, -6, 6)
        z = np.concatenate([z, z**2 / 3 - 1 / 3], axis=1)
        weights = logistic(z[~test], y[~test])
        areas.append(area_under_curve(z[test] @ weights[1:] + weights[0], y[test] > 0.5))
    if not areas:
        return {"auc": float("nan"), "sd_over_folds": float("nan")}
    return {"auc": float(np.mean(areas)), "sd_over_folds": float(np.std(areas))}


def logistic(x: Floats, y: Floats) -> Floats:
    """Weights (1 + F,) of a ridge-penalised logistic regression by Newton's method; the first is the constant."""
    z = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    weights = np.zeros(z.shape[1])
    penalty = np.r_[1e-3, np.full(x.shape[1], 0.02)] * len(x) / x.shape[1] ** 0.5
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(z @ weights, -30, 30)))
        gradient = z.T @ (p - y) + penalty * weights
        curvature = (z * (p * (1 - p))[:, None]).T @ z + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return weights


def area_under_curve(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Probability that a positive's score is above a negative's; ties count a half (Mann and Whitney 1947)."""
    from scipy.stats import mannwhitneyu

    above = mannwhitneyu(score[positive], score[~positive], method="asymptotic").statistic
    return float(above / (positive.sum() * (~positive).sum()))
