"""Figures of systems with intervals, drawn by groups of items, and what differs from what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.results import Better, Figure, Item, System

Values = NDArray[np.float64]
FEW_GROUPS: Final = 10
"""With fewer groups than this a percentile interval is too narrow, and pages say so."""


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
class Difference:
    """First minus second, with its 95 % interval and how that was drawn."""

    value: float
    low: float
    high: float
    how: str
    """"paired", "unpaired", "from intervals" or "no interval"."""
    items: int

    @property
    def verdict(self) -> str:
        """Is "none" where the interval holds 0 or is not known; else "higher" or "lower"."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low <= 0 <= self.high:
            return "none"
        return "higher" if self.low > 0 else "lower"

    def judged(self, better: Better) -> str:
        """Is "better" or "worse" where a figure has a good direction, else as `verdict`."""
        found = self.verdict
        if found == "none" or better not in ("higher", "lower"):
            return found
        return "better" if found == better else "worse"


def groups_of(items: Sequence[Item]) -> list[str]:
    """The name of what is drawn together, for each item; an item without a group is alone."""
    return [f"group {item.group}" if item.group else f"item {item.id}" for item in items]


def weights_of(groups: Sequence[str], seed: int = 0, resamples: int = bootstrap.RESAMPLES) -> Values:
    """How often each item is in each resample, (B, N): whole groups are drawn."""
    if not groups:
        return np.zeros((resamples, 0))
    names = {name: index for index, name in enumerate(dict.fromkeys(groups))}
    of_item = np.array([names[group] for group in groups], dtype=np.intp)
    return bootstrap.draws(seed, len(names), resamples)[:, of_item]


def means(weights: Values, values: Values) -> Values:
    """Mean of what is defined in each resample, (B,); NaN where nothing is."""
    known = np.isfinite(values)
    count = weights @ known.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(count > 0, (weights @ np.where(known, values, 0.0)) / count, np.nan))


def ratios(weights: Values, above: Values, below: Values) -> Values:
    """Sum of `above` (N,) over the sum of `below` in each resample, (B,): rates over unequal lengths."""
    total = weights @ below
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, (weights @ above) / total, np.nan))


def estimate(values: Values, weights: Values) -> Estimate:
    """The mean of one value an item (N,), NaN left out; an interval only from two groups that differ on."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan, 0)
    drawn = varied(weights) and len(known) > 1
    low, high = bootstrap.interval(means(weights, values)) if drawn else (math.nan, math.nan)
    return Estimate(float(known.mean()), low, high, len(known))


def varied(weights: Values) -> bool:
    """The resamples differ: there is more than one group to draw from."""
    return bool(len(weights)) and bool((weights != weights[:1]).any())


def estimate_of(system: System, name: str, weights: Values) -> Estimate | None:
    """A system's figure, as it was given or from its items; None: it has none of that name."""
    figure = system.figures.get(name)
    if figure is not None:
        count = int(weights.shape[1])
        return Estimate(figure.value, figure.low, figure.high, count)
    values = system.values.get(name)
    return None if values is None else estimate(np.asarray(values, dtype=np.float64), weights)


def paired(first: Values, second: Values, weights: Values) -> Difference:
    """Two systems on the same items, (N,) each: items where either is not defined are left out."""
    both = np.isfinite(first) & np.isfinite(second)
    gap = np.where(both, first - second, np.nan)
    found = estimate(gap, weights)
    return Difference(
        found.value, found.low, found.high, "paired" if found.has_interval else "no interval", found.items
    )


def unpaired(first: Values, second: Values, weights: tuple[Values, Values]) -> Difference:
    """Two systems on different items: each is drawn for itself."""
    drawn = [means(w, v) for w, v in zip(weights, (first, second), strict=True)]
    known = [v[np.isfinite(v)] for v in (first, second)]
    if not len(known[0]) or not len(known[1]):
        return Difference(math.nan, math.nan, math.nan, "no interval", 0)
    value = float(known[0].mean() - known[1].mean())
    count = min(len(known[0]), len(known[1]))
    if count < 2 or not all(varied(w) for w in weights):
        return Difference(value, math.nan, math.nan, "no interval", count)
    return Difference(value, *bootstrap.interval(drawn[0] - drawn[1]), "unpaired", count)


def from_intervals(first: Figure, second: Figure, items: int) -> Difference:
    """Two figures that are no means, from their own intervals, half widths added in quadrature."""
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    if not (math.isfinite(below) and math.isfinite(above)):
        return Difference(value, math.nan, math.nan, "no interval", items)
    return Difference(value, value - below, value + above, "from intervals", items)
