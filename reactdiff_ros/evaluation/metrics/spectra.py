"""What a stream is made of: variance, autocorrelation, power in bands, and how smoothly its plans join.

Streams are (N, T, 58) at 25 Hz. Figures of a group count its coefficients that move in the reference.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.model.plan.latents import GROUPS
from reactdiff_ros.types import REACTION_RATE_HZ

Values = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

BANDS_HZ: Final = ((0.2, 1.8), (1.8, 6.5), (6.5, 12.0))
BAND_NAMES: Final = tuple(f"{low:g}-{high:g} Hz" for low, high in BANDS_HZ)
_LENGTH: Final = 256
AUTOCORRELATION_LAGS: Final = (1, 2, 4, 8, 16, 25, 50)
MOVES: Final = 1e-3
"""A coefficient of smaller s.d. in the reference does not move."""


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
    length = min(_LENGTH, streams.shape[1])
    window = np.hanning(length)[:, None]
    total = np.zeros((length // 2 + 1, streams.shape[-1]))
    count = 0
    for start in range(0, streams.shape[1] - length + 1, max(length // 2, 1)):
        piece = streams[:, start : start + length].astype(np.float64)
        spectrum = np.fft.rfft((piece - piece.mean(1, keepdims=True)) * window, axis=1)
        total += (np.abs(spectrum) ** 2).sum(0)
        count += len(piece)
    density = 2 * total / (max(count, 1) * length * (window**2).sum())
    return np.fft.rfftfreq(length, 1 / REACTION_RATE_HZ), density


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
    """Power of each group in each band over the reference's."""
    moving = variances(reference) > MOVES**2
    mine, wanted = band_power(some), band_power(reference)
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
