"""What listeners do, in people's terms: rates, lengths and sizes of smiles, nods, blinks and glances, with intervals.

A rate needs ten minutes and a median ten events; below that there is a reason instead of a figure. Bands that people
keep, and which of the figures rules make, are in `config/report/human_bands.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.coupling import cross_coupling
from reactdiff_ros.evaluation.report import summary
from reactdiff_ros.evaluation.report.curves import Face, Faces
from reactdiff_ros.evaluation.results import Item
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.resources import share_path

Values = NDArray[np.float64]
FILE: Final = "config/report/human_bands.yaml"
ENOUGH_MINUTES: Final = 10.0
ENOUGH_EVENTS: Final = 10
ANSWER_S: Final = 3.0
"""A smile that begins so soon after the speaker's is an answer."""
LAG_S: Final = 4.0
"""Lags are told up to here."""
AWAY_DEG: Final = 8.0
"""A glance away: the line of sight is farther than this from its usual direction."""
COUPLING_S: Final = 8.0
"""The shortest recording in which coupling is measured."""
NO_BLINKS: Final = "not in these streams: the expression layer adds blinks live"
NO_GAZE: Final = "not in these streams: the expression layer adds gaze live"


@dataclass(frozen=True, slots=True)
class Band:
    """What people do."""

    name: str
    low: float
    mid: float
    high: float
    about: str
    """"behaviour" or "conformance"."""
    band: str
    """What low and high are."""
    source: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity. `kind`: "rate" (sum over minutes), "share" (of time), "mean" (over items), "median" (of events)."""

    name: str
    label: str
    unit: str
    kind: str
    digits: int
    text: str


MEASURES: Final = (
    Measure("smiles_per_minute", "Smiles", "a minute", "rate", 1, "Mouth corners over 0.29 for 0.3 s or more."),
    Measure("smile_share", "Time smiling", "% of time", "share", 0, "Share of time within a smile."),
    Measure("smile_length_s", "Length of a smile", "s", "median", 1, "Median."),
    Measure("smile_coupling", "Smile coupling", "", "mean", 2, "Mean correlation of both smiles, lags of 0.3 to 2 s."),
    Measure("smiles_answered", "Smiles answered", "% of smiles", "share", 0,
            "Smiles of the speaker after which the listener's begins within 3 s."),
    Measure("smile_lag_s", "Lag of an answer", "s", "median", 1, "Median time from the speaker's smile to the answer."),
    Measure("nods_per_minute", "Nods", "a minute", "rate", 1, "Two or more quick half-cycles, one of 3 degrees."),
    Measure("nod_size_deg", "Size of a nod", "degrees", "median", 1, "Median of the largest half-cycle."),
    Measure("nod_length_s", "Length of a nod", "s", "median", 1, "Median."),
    Measure("brow_raises_per_minute", "Brow raises", "a minute", "rate", 1, "Brows over 0.15 for 0.2 s or more."),
    Measure("laughs_per_minute", "Laughs", "a minute", "rate", 1, "A wide smile with a fast jaw for 0.4 s or more."),
    Measure("blinks_per_minute", "Blinks", "a minute", "rate", 1, "Both lids over half closed for a second at most."),
    Measure("blink_length_s", "Length of a blink", "s", "median", 2, "Median time over half closed."),
    Measure("gaze_share", "Gaze at the speaker", "% of time", "share", 0,
            "Line of sight within 8 degrees of its usual direction."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A measure of one system: its estimate, or the reason why there is none; `samples` of medians for histograms."""

    estimate: summary.Estimate | None
    reason: str = ""
    samples: Values = field(default_factory=lambda: np.zeros(0))


@dataclass(slots=True)
class _Counts:
    """Per item: what is above and below a ratio, events and which item each is of."""

    above: list[float] = field(default_factory=list)
    below: list[float] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)
    of_item: list[int] = field(default_factory=list)


def load_bands(path: Path | None = None) -> dict[str, Band]:
    """Bands by name, of the shipped file or of one's own in its form.

    Raises:
        ConfigError: the file cannot be read, or a band lacks something.
    """
    where = path or share_path(FILE)
    try:
        told = parse_yaml(where.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError("the human bands cannot be read", where=str(where), todo=reason) from error
    if not isinstance(told, dict):
        raise ConfigError("the human bands are no table", where=str(where), todo="see the shipped file")
    return {str(name): _band(str(name), row, str(where)) for name, row in told.items()}


def _band(name: str, row: Any, where: str) -> Band:
    try:
        band = Band(
            name, float(row["low"]), float(row["mid"]), float(row["high"]), str(row["about"]), str(row["band"]),
            " ".join(str(row["source"]).split()),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            "a band needs low, mid, high, about, band and source", where=f"{where}, {name}", todo=f"mend {error}"
        ) from error
    if not band.low <= band.mid <= band.high or band.about not in ("behaviour", "conformance"):
        raise ConfigError("a band is out of order", where=f"{where}, {name}", todo="low <= mid <= high; about as shown")
    return band


def behaviour_of(system: str, faces: Faces, items: Sequence[Item]) -> dict[str, Found]:
    """Every measure of a system's streams by name."""
    chosen = set(faces.items_of(system))
    used = [item for item in items if item.id in chosen]
    shown = [found for item in used if (found := faces.listener(system, item.id)) is not None]
    weights = summary.weights_of(summary.groups_of(used))
    minutes = sum(f.seconds for f in shown) / 60.0
    speakers = [faces.speaker(item.id) for item in used]
    out = {}
    for measure in MEASURES:
        counts = _counts(measure, shown, speakers)
        reason = _reason(measure, counts, shown, minutes)
        samples = np.array(counts.samples, dtype=np.float64)
        out[measure.name] = Found(None if reason else _estimate(measure, counts, weights), reason, samples)
    return out


def _counts(measure: Measure, shown: Sequence[Face], speakers: Sequence[Face | None]) -> _Counts:
    counts = _Counts()
    count = _COUNTERS[measure.name]
    for index, (own, speaker) in enumerate(zip(shown, speakers, strict=True)):
        above, below, samples = count(own, speaker)
        counts.above.append(above)
        counts.below.append(below)
        counts.samples.extend(samples)
        counts.of_item.extend([index] * len(samples))
    return counts


Counted = tuple[float, float, list[float]]
Counter = Callable[[Face, Face | None], Counted]


def _events(kind: str) -> Counter:
    return lambda own, _: (float(len(own.found[kind])), own.seconds / 60.0, [])


def _lengths(kind: str) -> Counter:
    return lambda own, _: (0.0, 0.0, own.found[kind].length_s.tolist())


def _sizes(own: Face, _: Face | None) -> Counted:
    return 0.0, 0.0, np.degrees(own.found["nods"].size).tolist()


def _smile_time(own: Face, _: Face | None) -> Counted:
    return float(own.found["smiles"].length_s.sum()), own.seconds, []


def _gaze_time(own: Face, _: Face | None) -> Counted:
    return float((own.gaze_away_deg < AWAY_DEG).sum()), float(own.frames), []


def _coupling(own: Face, speaker: Face | None) -> Counted:
    frames = min(own.frames, speaker.frames) if speaker is not None else 0
    if speaker is None or frames < COUPLING_S * 25:
        return math.nan, 0.0, []
    return float(cross_coupling(speaker.smile[None, :frames], own.smile[None, :frames])[0, 0]), 0.0, []


def answers(own: Face, speaker: Face | None, within_s: float) -> list[float | None]:
    """For each smile of the speaker the time until the listener's next one begins; None: not within `within_s`."""
    if speaker is None:
        return []
    starts = own.found["smiles"].start
    out: list[float | None] = []
    for start in speaker.found["smiles"].start[speaker.found["smiles"].start < own.frames]:
        later = starts[starts >= start]
        lag = float(later[0] - start) / 25 if len(later) else math.inf
        out.append(lag if lag <= within_s else None)
    return out


def _answered(own: Face, speaker: Face | None) -> Counted:
    given = answers(own, speaker, ANSWER_S)
    return float(sum(lag is not None for lag in given)), float(len(given)), []


def _lags(own: Face, speaker: Face | None) -> Counted:
    return 0.0, 0.0, [lag for lag in answers(own, speaker, LAG_S) if lag is not None]


_COUNTERS: Final[dict[str, Counter]] = {
    "smiles_per_minute": _events("smiles"), "smile_share": _smile_time, "smile_length_s": _lengths("smiles"),
    "smile_coupling": _coupling, "smiles_answered": _answered, "smile_lag_s": _lags,
    "nods_per_minute": _events("nods"), "nod_size_deg": _sizes, "nod_length_s": _lengths("nods"),
    "brow_raises_per_minute": _events("brow_raises"), "laughs_per_minute": _events("laughs"),
    "blinks_per_minute": _events("blinks"), "blink_length_s": _lengths("blinks"), "gaze_share": _gaze_time,
}  # fmt: skip


def _reason(measure: Measure, counts: _Counts, shown: Sequence[Face], minutes: float) -> str:
    """Why a figure cannot be told; "": it can."""
    if not shown:
        return "no streams were kept"
    if measure.name.startswith("blink") and not any(f.blinks_here for f in shown):
        return NO_BLINKS
    if measure.name.startswith("gaze") and not any(f.looks_here for f in shown):
        return NO_GAZE
    if measure.kind == "median":
        return (
            "" if len(counts.samples) >= ENOUGH_EVENTS else f"only {len(counts.samples)} events, {ENOUGH_EVENTS} needed"
        )
    if minutes < ENOUGH_MINUTES:
        return f"only {minutes:.1f} minutes, {ENOUGH_MINUTES:.0f} needed"
    if measure.kind == "mean":
        return "" if np.isfinite(counts.above).any() else "no recording with a speaker's face is long enough"
    return "" if sum(counts.below) > 0 else "the speakers never smile"


def _estimate(measure: Measure, counts: _Counts, weights: Values) -> summary.Estimate:
    if measure.kind == "mean":
        return summary.estimate(np.array(counts.above), weights)
    if measure.kind == "median":
        return _median(np.array(counts.samples), np.array(counts.of_item, dtype=np.intp), weights)
    scale = 100.0 if measure.kind == "share" else 1.0
    above, below = scale * np.array(counts.above), np.array(counts.below)
    drawn = summary.varied(weights)
    low, high = bootstrap.interval(summary.ratios(weights, above, below)) if drawn else (math.nan, math.nan)
    return summary.Estimate(float(above.sum() / below.sum()), low, high, len(above))


def _median(samples: Values, of_item: NDArray[np.intp], weights: Values, resamples: int = 500) -> summary.Estimate:
    """Median of events; items are drawn, with all events of each."""
    order = np.argsort(samples)
    values, counts = samples[order], weights[:resamples, of_item[order]]
    total = np.cumsum(counts, axis=1)
    some = total[:, -1] > 0
    place = (total[some] < total[some, -1:] / 2).sum(1)
    drawn = summary.varied(weights) and some.any()
    low, high = bootstrap.interval(values[np.minimum(place, len(values) - 1)]) if drawn else (math.nan, math.nan)
    return summary.Estimate(float(np.median(samples)), low, high, len(weights[0]))
