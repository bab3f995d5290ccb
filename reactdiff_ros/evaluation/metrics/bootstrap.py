"""Paired bootstrap over speakers: every system is drawn with the same speakers, so what they share cancels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES: Final = 2000
PERCENTILES: Final = (2.5, 97.5)


def draws(seed: int, speakers: int, resamples: int = RESAMPLES) -> Values:
    """How often each speaker is in each resample, (resamples, speakers); rows sum to `speakers`."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(speakers, np.full(speakers, 1 / speakers), resamples).astype(np.float64)


def interval(values: Values) -> tuple[float, float]:
    """The 95 % percentile interval of resampled values; NaN where none is defined."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, PERCENTILES)
    return float(low), float(high)


def means(weights: Values, values: Values) -> Values:
    """Mean of one value a speaker (N,), or of rows (N, M), in each resample (B, N)."""
    return np.asarray((weights @ values).T / weights.sum(1)).T


def ratio_interval(top: Values, bottom: Values) -> dict[str, float]:
    """{"low", "high"} of the ratio of two resampled values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = interval(top / bottom)
    return {"low": low, "high": high}


def ratio(weights: Values, some: Values, other: Values) -> dict[str, float]:
    """{"ratio", "low", "high"} of the means of two values a speaker (N,); NaN where the ratio is not defined."""
    below = float(other.mean())
    point = float(some.mean()) / below if below else float("nan")
    return {"ratio": point, **ratio_interval(means(weights, some), means(weights, other))}


def with_interval(name: str, point: float, resampled: Values) -> dict[str, float]:
    """{name, name_low, name_high}."""
    low, high = interval(resampled)
    return {name: point, f"{name}_low": low, f"{name}_high": high}


def skill(value: Values, floor: Values, ceiling: Values) -> Values:
    """(value - floor) / (ceiling - floor): 0 = the floor's, 1 = the ceiling's. NaN where these are equal."""
    reach = ceiling - floor
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(reach == 0, np.nan, (value - floor) / reach))


def resample(weights: Values, statistic: Callable[[Values], float]) -> Values:
    """A statistic of the weights (N,) that is no mean, for each resample."""
    return np.array([statistic(row) for row in weights])
