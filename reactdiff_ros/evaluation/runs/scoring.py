"""One speaker's figures, and those of a set: the same for every row of every table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.react import correlation, distance, diversity, variance
from reactdiff_ros.evaluation.results import Figure
from reactdiff_ros.types import FloatArray

Values = NDArray[np.float64]
MEASURES: Final = ("FRC", "FRD", "FRDiv", "FRVar", "FRSyn")


def score(
    predictions: FloatArray, targets: Sequence[FloatArray], speaker: FloatArray, rate_hz: float, compat: str
) -> dict[str, float]:
    """The measures of one speaker.

    Args:
        predictions: (K, T, 25).
        targets: its appropriate reactions, (T', 25) each.
        speaker: (T, 25) its own attributes, for synchrony.
        rate_hz: frames a second.
        compat: "default", "react2024" or "mars".
    """
    return {
        "FRC": best_correlation(predictions, targets),
        "FRD": distance(predictions, targets),
        "FRDiv": diversity(predictions) if len(predictions) > 1 else float("nan"),
        "FRVar": variance(predictions),
        "FRSyn": float("nan"),
    }


def best_correlation(predictions: FloatArray, targets: Sequence[FloatArray]) -> float:
    """FRC with targets of any length: each is compared over the time that both have."""
    by_length: dict[int, list[FloatArray]] = {}
    for target in targets:
        by_length.setdefault(min(len(target), predictions.shape[1]), []).append(target)
    if len(by_length) == 1:
        ((length, group),) = by_length.items()
        return correlation(predictions[:, :length], np.stack([t[:length] for t in group]))
    total = 0.0
    for one in predictions:
        total += max(correlation(one[None, :n], np.stack([t[:n] for t in group])) for n, group in by_length.items())
    return total


class Spread:
    """FRDvs of a set, taken in one speaker at a time: 2 x the unbiased variance over speakers."""

    def __init__(self) -> None:
        self._count, self._frames = 0, 0
        self._sum: Values = np.zeros(0)
        self._squares = 0.0

    def add(self, predictions: FloatArray, frames: int) -> None:
        """Take in (K, T, 25), T >= `frames`, the same for all speakers."""
        row = predictions[:, :frames].astype(np.float64).ravel()
        if not self._count:
            self._sum = np.zeros_like(row)
        self._sum += row
        self._squares += float(row @ row)
        self._count += 1

    def value(self) -> float:
        """FRDvs; NaN for fewer than two speakers."""
        if self._count < 2:
            return float("nan")
        of_mean = float(self._sum @ self._sum) / self._count
        return 2.0 * max(self._squares - of_mean, 0.0) / (self._count - 1) / self._sum.size


def group_draws(groups: Sequence[str], seed: int, resamples: int = bootstrap.RESAMPLES) -> Values:
    """How often each item counts in each resample, (resamples, N), when groups (the same people) are drawn."""
    names, index = np.unique(np.array(groups, dtype=str), return_inverse=True)
    return bootstrap.draws(seed, len(names), resamples)[:, index]


def table(values: Mapping[str, Values], figures: Mapping[str, Figure], draws: Values) -> dict[str, float]:
    """{measure, measure_low, measure_high}: means over items with 95 % intervals, and the figures of the whole set."""
    out: dict[str, float] = {}
    for name, row in values.items():
        known = np.isfinite(row)
        weights = draws[:, known]
        drawn = weights.sum(1) > 0
        if not known.any() or not drawn.any():
            out |= {name: float("nan"), f"{name}_low": float("nan"), f"{name}_high": float("nan")}
            continue
        resampled = weights[drawn] @ row[known] / weights[drawn].sum(1)
        out |= bootstrap.with_interval(name, float(row[known].mean()), resampled)
    for name, figure in figures.items():
        out |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return out


def columns(rows: Iterable[Mapping[str, float | None]], names: Sequence[str]) -> dict[str, Values]:
    """(N,) each, of one mapping an item; what is missing or None is NaN."""
    listed = list(rows)
    return {name: np.array([_number(row.get(name)) for row in listed]) for name in names}


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
