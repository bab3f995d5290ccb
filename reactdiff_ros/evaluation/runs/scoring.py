"""Figures of one recording and of a set, the same for every row of every table, and how a run puts them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_NAMES
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import results as rows_of
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.coupling import (
    cross_coupling,
    lag_correlations,
    reach,
    reference_lags,
    signed_lags,
)
from reactdiff_ros.evaluation.metrics.events import answer_lags, rates_per_minute
from reactdiff_ros.evaluation.metrics.react import (
    REFERENCE_RATE_HZ,
    concordances,
    distance,
    diversity,
    mean_of,
    speaker_distances,
    speaker_diversity,
    variance,
)
from reactdiff_ros.evaluation.metrics.robot import robot_metrics
from reactdiff_ros.evaluation.results import Figure, Item, Result, Role, System
from reactdiff_ros.evaluation.runs.parts import Keep, Part, Resources, work_off
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

BEHAVIOUR: Final = (
    "smile_coupling", "response_lag_ms", "in_human_bands", "nods_per_minute", "smiles_per_minute",
    "brow_raises_per_minute", "blinks_per_minute", "laughs_per_minute",
)  # fmt: skip
MOTION: Final = ("jerk", "hop_smoothness", "limit_hits")
SHORTEST_STREAM: Final = 60
"""Frames below which a stream is not measured."""


def measured(
    speaker: FloatArray, streams: FloatArray, *, lag_s: NDArray[np.float64] | None = None, motion: bool = True
) -> dict[str, float]:
    """Mean over streams of the figures of BEHAVIOUR and MOTION; NaN where they are not defined.

    Args:
        speaker: (T, 58) as perceived, 25 Hz; NaN where unobserved.
        streams: (K, T, 58) of the listener on the same slots.
        lag_s: age of the evidence in what was shown, for the percentiles of latency.
        motion: with MOTION; a recorded person has none.
    """
    if streams.shape[1] < SHORTEST_STREAM:
        return dict.fromkeys((*BEHAVIOUR, *MOTION), float("nan"))
    heard, times = np.nan_to_num(speaker), np.arange(len(speaker)) / REACTION_RATE_HZ
    rows = [_one(heard, stream, times, motion) for stream in streams]
    out = means_of_rows(rows)
    out |= {f"{kind}_per_minute": rate for kind, rate in rates_per_minute(streams).items()}
    known = np.zeros(0) if lag_s is None else lag_s[np.isfinite(lag_s)]
    if len(known):
        out |= {f"latency_p{p}_ms": 1e3 * float(np.percentile(known, p)) for p in (50, 95, 99)}
    return out


def _one(speaker: FloatArray, stream: FloatArray, times: NDArray[Any], motion: bool) -> dict[str, float]:
    found = robot_metrics(stream, times, speaker=speaker)
    assert found.response_lag is not None
    assert found.smile_coupling is not None
    moves = bool(speaker.std(0).max() > 0)
    out = {
        "smile_coupling": found.smile_coupling if moves else float("nan"),
        "response_lag_ms": 1e3 * found.response_lag.median_s,
        "in_human_bands": found.band_share,
    }
    if motion:
        seams = [v for v in found.hop_smoothness.values() if np.isfinite(v)]
        out |= {
            "jerk": float(np.mean(list(found.jerk.values()))),
            "hop_smoothness": float(np.mean(seams)) if seams else float("nan"),
            "limit_hits": found.limit_hits_per_minute,
        }
    return out


def means_of_rows(rows: list[dict[str, float]] | list[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each figure over rows that have it; NaN where none has."""
    out: dict[str, float] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        known = [row[name] for row in rows if np.isfinite(row.get(name, np.nan))]
        out[name] = float(np.mean(known)) if known else float("nan")
    return out


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
    """Median lag of answered smiles and coupling of smiles, of AU12; NaN where no one smiles."""
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


CURVES: Final = 24
"""Recordings whose curves go into the result file; figures are of all."""


def counted(number: int, what: str) -> str:
    """As in "1 recording" and "2 recordings"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


@dataclass(slots=True)
class RunContext:
    """The store, the workers and the callbacks of a run."""

    keep: Keep
    resources: Resources = field(default_factory=Resources)
    told: Callable[[str, float], None] = lambda what, share: None
    """Progress callback, receives (round, completed fraction)."""
    tell: Callable[[str], None] = lambda sentence: None


@dataclass(slots=True)
class RunOutcome:
    """A finished run."""

    result: Result
    table: dict[str, dict[str, Any]]
    """Figures of every system with 95 % intervals over people, for `--json`."""
    failed: dict[str, str]
    """A sentence for every recording that is not in it."""
    notes: tuple[str, ...] = ()
    kept: int = 0
    """Parts that were there from a run before."""


@dataclass(slots=True)
class Row:
    """What is known of one system before it becomes a `System`."""

    values: dict[str, Values] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    streams: dict[str, FloatArray] = field(default_factory=dict)
    compute_s: list[Values] = field(default_factory=list)
    lag_s: list[Values] = field(default_factory=list)
    look_ahead_s: float | None = None
    causal: bool | None = None
    note: str = ""


def done_parts(
    context: RunContext, title: str, parts: Mapping[int, Part], id_of: Callable[[int], str], failed: dict[str, str]
) -> tuple[dict[int, Part], int]:
    """Do a round of parts. Those that worked by their numbers, and how many of them were stored before.

    Args:
        context: store, workers, callbacks.
        title: of the round.
        parts: by the numbers of their recordings.
        id_of: the id of a recording.
        failed: receives a sentence for each recording that failed, by its id.

    Raises:
        ReactdiffError: not one part worked.
    """
    report = partial(context.told, title)
    outcome = work_off([*parts.values()], context.keep, context.resources, told=report, tell=context.tell)
    failed |= {id_of(n): outcome.failed[part.name] for n, part in parts.items() if part.name in outcome.failed}
    done = {n: part for n, part in parts.items() if part.name not in outcome.failed}
    if not done:
        where, why = next(iter(failed.items()), ("", "the list is empty"))
        raise ReactdiffError(f"not one of {len(parts)} recordings could be evaluated", where=where, todo=why)
    return done, outcome.kept


def reference_file(context: RunContext, part: Part) -> str:
    """Do the part that all scores need, and return its file. Raises ReactdiffError if it fails."""
    report = partial(context.told, "reference split")
    outcome = work_off([part], context.keep, context.resources, told=report)
    if part.name in outcome.failed:
        raise ReactdiffError(outcome.failed[part.name])
    return str(context.keep.path(part))


def empty_rows(figures: Sequence[Mapping[str, Mapping[str, float]]], measures: Sequence[str]) -> dict[str, Row]:
    """A row for every system that is in `figures`, one entry per recording, with its values."""
    names = dict.fromkeys(name for rows in figures for name in rows)
    return {name: Row(values=columns([r.get(name, {}) for r in figures], measures)) for name in names}


def role_of(name: str, listeners: Sequence[str]) -> Role:
    """What a row of that name is for."""
    if name in listeners:
        return "listener"
    return {rows_of.SHUFFLED: "control", rows_of.GROUND_TRUTH: "reference"}.get(name, "baseline")  # type: ignore[return-value]


def systems_of(rows: Mapping[str, Row], listeners: Sequence[str]) -> tuple[System, ...]:
    """As the result file wants them: listeners first."""
    roles: tuple[Role, ...] = ("listener", "control", "reference", "baseline")
    order = sorted(rows, key=lambda name: roles.index(role_of(name, listeners)))
    return tuple(
        System(
            name=name, role=role_of(name, listeners), note=rows[name].note or rows_of.NOTES.get(name, ""),
            values=rows[name].values, figures=rows[name].figures, streams=rows[name].streams,
            compute_s=_joined(rows[name].compute_s), lag_s=_joined(rows[name].lag_s),
            look_ahead_s=rows[name].look_ahead_s, causal=rows[name].causal,
        )
        for name in order
    )  # fmt: skip


def draws_of(items: Sequence[Item], seed: int) -> Values:
    """How often each item counts in each resample: the same draws for every figure of every system."""
    return group_draws([item.group or item.id for item in items], seed) if items else np.zeros((0, 0))


def table_of(systems: Sequence[System], items: Sequence[Item], seed: int) -> dict[str, dict[str, Any]]:
    """Every system's figures with intervals over groups of items, its time a frame and what it declares."""
    draws = draws_of(items, seed)
    out: dict[str, dict[str, Any]] = {}
    for system in systems:
        row: dict[str, Any] = table(system.values, system.figures, draws)
        row["role"] = system.role
        if len(system.compute_s):
            low, high = np.percentile(system.compute_s, [50, 95])
            row |= {"plan_ms_p50": 1e3 * float(low), "plan_ms_p95": 1e3 * float(high)}
        if system.look_ahead_s is not None:
            row |= {"look_ahead_s": system.look_ahead_s, "causal": system.causal}
        out[system.name] = row
    return out


def _joined(parts: Sequence[Values]) -> Values:
    return np.concatenate([np.asarray(p, dtype=np.float64) for p in parts]) if parts else np.zeros(0)


STUDY_ROLES: Final[dict[str, Role]] = {
    "model": "listener", "shuffled": "control", "oracle": "reference", "ground_truth": "reference", "real": "reference",
}  # fmt: skip
"""Roles of the systems of studies; the others are baselines."""


def with_curves(item: Item, batch: SpeakerBatch, n: int) -> Item:
    """The item with what was perceived of speaker `n`, where its curves are kept."""
    if n >= CURVES:
        return item
    seen = (batch.confidence[n] > 0) & batch.mesh[n][:, None]
    speech = np.where(batch.microphone[n], batch.speech_probability[n], np.nan)
    shown = np.where(seen, batch.coefficients[n], np.nan)
    return replace(item, speaker=shown.astype(np.float32), speech=speech.astype(np.float32))
