"""Paired bootstrap over speakers: every system is drawn with the same speakers, so what they share cancels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


def with_interval(name: str, point: float, resampled: Values) -> dict[str, float]:
    """{name, name_low, name_high}."""
    low, high = interval(resampled)
    return {name: point, f"{name}_low": low, f"{name}_high": high}


def skill(value: Values, floor: Values, ceiling: Values) -> Values:
    """(value - floor) / (ceiling - floor): 0 = the floor's, 1 = the ceiling's. NaN where these are equal."""
    reach = ceiling - floor
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(reach == 0, np.nan, (value - floor) / reach))


def sums_ratio(weights: Values, above: Values, below: Values) -> Values:
    """Sum of `above` (N,) over the sum of `below` in each resample, (B,): rates over unequal lengths."""
    total = weights @ below
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, (weights @ above) / total, np.nan))


POINTS: Final = 5
"""Values of a control, evenly over its range."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A setting at V values: what was measured on N streams at each."""

    measure: str
    values: tuple[float, ...]
    measured: Values
    """(V, N); NaN where it is not defined for a stream."""

    def figures(self) -> dict[str, Any]:
        """Mean and 95 % interval at each value, and the rise from end to end.

        "monotonic": every step rises; "rises": and the whole rise is above 0 with its interval.
        """
        known = [row[np.isfinite(row)] for row in self.measured]
        mean = [float(row.mean()) if len(row) else float("nan") for row in known]
        half = [_half(row) for row in known]
        rise = self.measured[-1] - self.measured[0]
        rise = rise[np.isfinite(rise)]
        spread = _half(rise)
        total = float(rise.mean()) if len(rise) else float("nan")
        figures = {
            "measure": self.measure,
            "values": list(self.values),
            "mean": mean,
            "low": [m - h for m, h in zip(mean, half, strict=True)],
            "high": [m + h for m, h in zip(mean, half, strict=True)],
            "monotonic": all(b > a for a, b in pairwise(mean)),
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


def _half(values: Values) -> float:
    """Half of the 95 % interval of a mean; NaN of nothing."""
    return 1.96 * float(values.std()) / len(values) ** 0.5 if len(values) else float("nan")
