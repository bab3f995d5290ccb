"""Figures of systems with 95 % intervals, and differences of them: one way for tables, pages and comparisons.

Intervals are by paired bootstrap over groups of items: the same people are drawn together, and all systems with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.results import Better, Figure, Item, System

Values = NDArray[np.float64]
NO_INTERVAL = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval (NaN: none) from `items` items where it is defined."""

    value: float
    low: float
    high: float
    items: int

    @property
    def has_interval(self) -> bool:
        """Both ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True, slots=True)
class Difference(Estimate):
    """First minus second."""

    how: str
    """How its interval was drawn: "paired", "unpaired", "from intervals" or "no interval"."""

    @property
    def verdict(self) -> str:
        """Is "none" where the interval holds 0 or is not known; else "higher" or "lower"."""
        if not self.has_interval or self.low <= 0 <= self.high:
            return "none"
        return "higher" if self.low > 0 else "lower"

    def judged(self, better: Better) -> str:
        """Is "better" or "worse" where a figure has a good direction, else as `verdict`."""
        found = self.verdict
        if found == "none" or better not in ("higher", "lower"):
            return found
        return "better" if found == better else "worse"


def draws_of(items: Sequence[Item], seed: int) -> Values:
    """How often each item is in each resample, (B, N); what is of one group is drawn together."""
    return bootstrap.group_draws(groups_of(items), seed)


def groups_of(items: Sequence[Item]) -> list[str]:
    """The name of what is drawn together, for each item; an item without a group is alone."""
    return [f"group {item.group}" if item.group else f"item {item.id}" for item in items]


def estimate(values: Values, weights: Values) -> Estimate:
    """The mean of one value an item (N,), NaN left out; an interval only from two groups that differ on."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Estimate(math.nan, *NO_INTERVAL, 0)
    drawn = varied(weights) and len(known) > 1
    ends = bootstrap.interval(bootstrap.known_means(weights, values)) if drawn else NO_INTERVAL
    return Estimate(float(known.mean()), *ends, len(known))


def varied(weights: Values) -> bool:
    """The resamples differ: there is more than one group to draw from."""
    return bool(len(weights)) and bool((weights != weights[:1]).any())


def estimate_of(system: System, name: str, weights: Values) -> Estimate | None:
    """A system's figure, as it was given or from its items; None: it has none of that name."""
    figure = system.figures.get(name)
    if figure is not None:
        return Estimate(figure.value, figure.low, figure.high, int(weights.shape[1]))
    values = system.values.get(name)
    return None if values is None else estimate(np.asarray(values, dtype=np.float64), weights)


def row_of(system: System, weights: Values) -> dict[str, float]:
    """{figure, figure_low, figure_high} of all figures of a system."""
    out: dict[str, float] = {}
    for name in dict.fromkeys((*system.values, *system.figures)):
        found = estimate_of(system, name, weights)
        assert found is not None
        out |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return out


def paired(first: Values, second: Values, weights: Values) -> Difference:
    """Two systems on the same items, (N,) each: items where either is not defined are left out."""
    both = np.isfinite(first) & np.isfinite(second)
    found = estimate(np.where(both, first - second, np.nan), weights)
    how = "paired" if found.has_interval else "no interval"
    return Difference(found.value, found.low, found.high, found.items, how)


def unpaired(first: Values, second: Values, weights: tuple[Values, Values]) -> Difference:
    """Two systems on different items: each is drawn for itself."""
    known = [v[np.isfinite(v)] for v in (first, second)]
    count = min(map(len, known))
    value = float(known[0].mean() - known[1].mean()) if count else math.nan
    if count < 2 or not all(varied(w) for w in weights):
        return Difference(value, *NO_INTERVAL, count, "no interval")
    drawn = [bootstrap.known_means(w, v) for w, v in zip(weights, (first, second), strict=True)]
    return Difference(value, *bootstrap.interval(drawn[0] - drawn[1]), count, "unpaired")


def from_intervals(first: Figure, second: Figure, items: int) -> Difference:
    """Two figures that are no means, from their own intervals, half widths added in quadrature."""
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    if not (math.isfinite(below) and math.isfinite(above)):
        return Difference(value, *NO_INTERVAL, items, "no interval")
    return Difference(value, value - below, value + above, items, "from intervals")
