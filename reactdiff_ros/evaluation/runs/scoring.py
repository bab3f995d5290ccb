"""One speaker's figures, and those of a set: the same for every row of every table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_NAMES
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.coupling import cross_coupling
from reactdiff_ros.evaluation.metrics.lags import answer_lags
from reactdiff_ros.evaluation.metrics.react import (
    concordances,
    distance,
    diversity,
    speaker_distances,
    speaker_diversity,
    variance,
)
from reactdiff_ros.evaluation.metrics.react_set import REFERENCE_RATE_HZ, mean_of
from reactdiff_ros.evaluation.metrics.synchrony import lag_correlations, reach, reference_lags, signed_lags
from reactdiff_ros.evaluation.results import Figure
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Values = NDArray[np.float64]
MEASURES: Final = (
    "FRC", "FRD", "FRDiv", "FRVar", "FRSyn", "FRSyn_first", "FRSyn_ms", "response_lag_ms", "smile_coupling",
)  # fmt: skip
_AU12: Final = ATTRIBUTE_NAMES.index("AU12")


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

    Raises:
        ReactdiffError: shapes do not fit, or a value is not finite.
    """
    return {
        "FRC": best_correlation(predictions, targets),
        "FRD": distance(predictions, targets),
        "FRDiv": diversity(predictions) if len(predictions) > 1 else float("nan"),
        "FRVar": variance(predictions),
        **synchrony(predictions, speaker, rate_hz, compat),
        **answers(predictions, speaker, rate_hz),
    }


def synchrony(predictions: FloatArray, speaker: FloatArray, rate_hz: float, compat: str) -> dict[str, float]:
    """FRSyn in frames as the challenges count it, and the signed lag in ms as the default mode does."""
    reach_hz = rate_hz if compat == "default" else REFERENCE_RATE_HZ
    found = lag_correlations(predictions, speaker, reach(reach_hz))
    signed = signed_lags(found)
    out = {"FRSyn_ms": mean_of(signed) * 1e3 / rate_hz}
    if compat == "default":
        return {**out, "FRSyn": mean_of(signed), "FRSyn_first": float(signed[0])}
    counted = reference_lags(found)
    whole = float(counted[0]) if compat == "mars" else float(np.mean(counted))
    return {**out, "FRSyn": whole, "FRSyn_first": float(counted[0])}


def answers(predictions: FloatArray, speaker: FloatArray, rate_hz: float) -> dict[str, float]:
    """Median lag of answered smiles and coupling of smiles, of AU12; NaN where nobody smiles."""
    smile, shown = at_25(speaker[:, _AU12], rate_hz), at_25(predictions[..., _AU12], rate_hz)
    if len(smile) < SHORTEST:
        return {"response_lag_ms": float("nan"), "smile_coupling": float("nan")}
    asked = np.broadcast_to(smile, shown.shape)
    lags = answer_lags(asked, shown)
    moves = smile.std() > 1e-3
    return {
        "response_lag_ms": 1e3 * float(np.median(lags)) if len(lags) else float("nan"),
        "smile_coupling": float(cross_coupling(smile[None], shown).mean()) if moves else float("nan"),
    }


SHORTEST: Final = 50
"""Frames of 25 Hz in which smiles can be answered."""


def at_25(curves: FloatArray, rate_hz: float) -> Values:
    """Curves (..., T) at `rate_hz` on the 25 Hz grid, linearly between frames."""
    if rate_hz == REACTION_RATE_HZ:
        return np.asarray(curves, dtype=np.float64)
    count = int((curves.shape[-1] - 1) * REACTION_RATE_HZ / rate_hz + 1e-6) + 1
    position = np.arange(count) * rate_hz / REACTION_RATE_HZ
    low = np.minimum(position.astype(int), curves.shape[-1] - 1)
    high = np.minimum(low + 1, curves.shape[-1] - 1)
    share = position - low
    return np.asarray(curves[..., low] * (1 - share) + curves[..., high] * share, dtype=np.float64)


def best_correlation(predictions: FloatArray, targets: Sequence[FloatArray]) -> float:
    """FRC with targets of any length: each is compared over the time that both have."""
    best = np.full(len(predictions), -np.inf)
    by_length: dict[int, list[FloatArray]] = {}
    for target in targets:
        by_length.setdefault(min(len(target), predictions.shape[1]), []).append(target)
    for frames, group in by_length.items():
        found = concordances(predictions[:, :frames], np.stack([t[:frames] for t in group])).mean(-1)
        best = np.maximum(best, found.max(-1))
    return float(best.sum())


class Spread:
    """FRDvs of a set, taken in one speaker at a time: 2 x the unbiased variance over speakers.

    Its bootstrap needs the speakers' distances, and a set's predictions together may be larger than the memory. So
    longer ones are kept as a count sketch (Charikar et al. 2002), which is linear and keeps each squared distance
    within 2 % (one deviation); the figure itself is exact, and so are the distances of short ones.
    """

    def __init__(self) -> None:
        self._items: list[int] = []
        self._sketches: list[FloatArray] = []
        self._sum: Values = np.zeros(0)
        self._squares = 0.0

    def add(self, item: int, predictions: FloatArray, frames: int) -> None:
        """Take in (K, T, 25), T >= `frames`, the same for all speakers, of the set's item of that number."""
        row = predictions[:, :frames].astype(np.float64).ravel()
        if not self._items:
            self._sum = np.zeros_like(row)
            self._buckets, self._signs = _sketching(row.size)
        self._sum += row
        self._squares += float(row @ row)
        self._items.append(item)
        short = row if row.size <= SKETCH else np.bincount(self._buckets, self._signs * row, SKETCH)
        self._sketches.append(short.astype(np.float32))

    def value(self) -> float:
        """FRDvs; NaN for fewer than two speakers."""
        count = len(self._items)
        if count < 2:
            return float("nan")
        of_mean = float(self._sum @ self._sum) / count
        return 2.0 * max(self._squares - of_mean, 0.0) / (count - 1) / self._sum.size

    def figure(self, draws: Values) -> Figure:
        """FRDvs with its interval over `draws` (resamples, items of the set), as of all other figures."""
        value = self.value()
        if not np.isfinite(value):
            return Figure(value)
        distances = speaker_distances(np.stack(self._sketches))
        sketched = speaker_diversity(distances)
        if not sketched > 0:
            return Figure(value, value, value)
        weights = draws[:, self._items]
        pairs = weights.sum(1) ** 2 - (weights**2).sum(1)
        several = pairs > 0
        drawn = ((weights @ distances) * weights).sum(1)[several] / pairs[several]
        return Figure(value, *bootstrap.interval(drawn * (value / sketched)))


SKETCH: Final = 4096
"""Numbers kept of one speaker's predictions."""


def _sketching(size: int) -> tuple[NDArray[np.int64], Values]:
    """Bucket and sign of each of `size` numbers, the same for every speaker and system."""
    rng = np.random.default_rng(size)
    return rng.integers(0, SKETCH, size), rng.choice([-1.0, 1.0], size)


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
