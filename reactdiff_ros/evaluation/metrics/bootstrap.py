"""Paired bootstrap over speakers: every system is drawn with the same speakers, so what they share cancels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES: Final = 2000
PERCENTILES: Final = (2.5, 97.5)


def draws(seed: int, speakers: int, resamples: int = RESAMPLES) -> Values:
    """How often each speaker is in each resample, (resamples, speakers); rows sum to `speakers`."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(speakers, np.full(speakers, 1 / speakers), resamples).astype(np.float64)


def group_draws(groups: Sequence[str], seed: int, resamples: int = RESAMPLES) -> Values:
    """How often each item counts in each resample, (resamples, N), when whole groups of items are drawn."""
    names, index = np.unique(np.array(groups, dtype=str), return_inverse=True)
    return draws(seed, len(names), resamples)[:, index] if len(names) else np.zeros((resamples, 0))


def interval(values: Values) -> tuple[float, float]:
    """The 95 % percentile interval of resampled values; NaN where none is defined."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, PERCENTILES)
    return float(low), float(high)


def mean_interval(values: Values, rng: np.random.Generator, count: int = RESAMPLES) -> Values:
    """The 95 % interval (2, ...) of the mean of values (N, ...), items drawn with replacement."""
    drawn = values[rng.integers(0, len(values), (count, len(values)))].mean(1)
    return np.asarray(np.percentile(drawn, PERCENTILES, axis=0), dtype=np.float64)


def means(weights: Values, values: Values) -> Values:
    """Mean of one value a speaker (N,), or of rows (N, M), in each resample (B, N)."""
    return np.asarray((weights @ values).T / weights.sum(1)).T


def known_means(weights: Values, values: Values) -> Values:
    """Mean of those values (N,) that are defined in each resample (B, N), (B,); NaN where none is."""
    known = np.isfinite(values)
    count = weights @ known.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(count > 0, (weights @ np.where(known, values, 0.0)) / count, np.nan))


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


def sums_ratio(weights: Values, above: Values, below: Values) -> Values:
    """Sum of `above` (N,) over the sum of `below` in each resample, (B,): rates over unequal lengths."""
    total = weights @ below
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, (weights @ above) / total, np.nan))


POINTS: Final = 5
"""Values of a control, evenly over its range."""


def mean_and_half(values: Values) -> tuple[float, float]:
    """Mean of those values (N,) that are defined, with half of its 95 % interval (normal); NaN of nothing."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    return float(known.mean()), 1.96 * float(known.std()) / len(known) ** 0.5


def swept(measure: str, values: Sequence[float], measured: Values) -> dict[str, Any]:
    """Figures of a setting at V values: mean and 95 % interval at each, and the rise from end to end.

    "monotonic": every step rises; "rises": and the whole rise is above 0 with its interval. `measured` (V, N) on N
    streams is NaN where it is not defined for a stream.
    """
    each = [mean_and_half(row) for row in measured]
    total, spread = mean_and_half(measured[-1] - measured[0])
    figures = {
        "measure": measure,
        "values": list(values),
        "mean": [mean for mean, _ in each],
        "low": [mean - half for mean, half in each],
        "high": [mean + half for mean, half in each],
        "monotonic": all(b > a for (a, _), (b, _) in pairwise(each)),
        "rise": total,
        "rise_low": total - spread,
        "rise_high": total + spread,
    }
    return {**figures, "rises": sweep_rises(figures)}


def sweep_rises(sweep: Mapping[str, Any]) -> bool:
    """Whether the figures of a sweep rise at every step, and from end to end by more than chance does."""
    return bool(sweep["monotonic"] and sweep["rise_low"] is not None and sweep["rise_low"] > 0.0)


def sweeps_in(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every sweep of the figures of `evaluate controls`: of what ("", "expression" or "style"), name, figures.

    Figures of earlier versions have none of the expression.
    """
    yield from (("", name, part) for name, parts in figures["controls"].items() for part in parts)
    yield from (("expression", name, part) for name, part in figures.get("gains", {}).items())
    yield from (("style", name, part) for name, part in figures["style"].items())
