"""Rows and histograms that hold listeners beside people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from reactdiff_ros.evaluation.report import charts
from reactdiff_ros.evaluation.report.behaviour import MEASURES, Band, Found, Measure
from reactdiff_ros.evaluation.report.summary import Estimate

Values = NDArray[np.float64]
HISTOGRAMS: Final[dict[str, tuple[float, float, int]]] = {
    "smile_length_s": (0.0, 8.0, 32), "smile_lag_s": (0.0, 4.0, 20), "nod_size_deg": (3.0, 15.0, 24),
    "nod_length_s": (0.0, 3.0, 30), "blink_length_s": (0.0, 0.8, 20),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """A system whose behaviour is drawn."""

    name: str
    label: str
    role: str
    subject: bool
    found: Mapping[str, Found]


@dataclass(frozen=True, slots=True)
class BandRow:
    """A measure beside its band."""

    measure: Measure
    band: Band | None
    drawing: Markup | None
    value: str
    interval: str
    verdict: str
    """"inside", "outside", "unclear" (the interval reaches over an edge), or "" without a figure or a band."""
    reason: str
    edges: str
    """The band in words."""


def rows(shown: Sequence[Shown], bands: Mapping[str, Band], about: str) -> list[BandRow]:
    """The measures of "behaviour" or "conformance"; the first system is the subject."""
    out = []
    for measure in MEASURES:
        known = bands.get(measure.name)
        if (known.about if known is not None else "behaviour") == about and shown:
            out.append(_row(measure, scaled(known, measure), shown))
    return out


def scaled(band: Band | None, measure: Measure) -> Band | None:
    """A band in the unit of its measure: shares are told in per cent."""
    if band is None or measure.kind != "share":
        return band
    return Band(band.name, 100 * band.low, 100 * band.mid, 100 * band.high, band.about, band.band, band.source)


def _row(measure: Measure, band: Band | None, shown: Sequence[Shown]) -> BandRow:
    own = shown[0].found[measure.name]
    points = [
        charts.Drawn(s.label, s.role, found.estimate, s.subject)
        for s in shown
        if (found := s.found[measure.name]).estimate is not None
    ]
    drawing = None
    if band is not None:
        drawing = charts.band(band.low, band.mid, band.high, points, f"{measure.label} beside people's")
    edges = ""
    if band is not None:
        digits = measure.digits
        edges = charts.number(band.mid, digits)
        if band.low < band.high:
            edges = f"{charts.number(band.low, digits)} to {charts.number(band.high, digits)}"
    if own.estimate is None:
        return BandRow(measure, band, drawing, "–", "", "", own.reason, edges)
    told = charts.number(own.estimate.value, measure.digits)
    return BandRow(
        measure,
        band,
        drawing,
        told,
        charts.interval(own.estimate, measure.digits),
        verdict(own.estimate, band),
        "",
        edges,
    )


def verdict(estimate: Estimate, band: Band | None) -> str:
    """Where an estimate lies: "inside" or "outside" with its whole interval, else "unclear"."""
    if band is None or band.low == band.high:
        return ""
    low, high = (estimate.low, estimate.high) if estimate.has_interval else (estimate.value, estimate.value)
    if band.low <= low and high <= band.high:
        return "inside"
    return "outside" if high < band.low or low > band.high else "unclear"


def histograms(shown: Sequence[Shown], bands: Mapping[str, Band]) -> list[tuple[Measure, str, Markup]]:
    """Histograms of the subject's lengths, sizes and lags over the reference's (the first one that has enough)."""
    out = []
    for measure in MEASURES:
        if measure.name not in HISTOGRAMS or not shown or shown[0].found[measure.name].estimate is None:
            continue
        low, high, count = HISTOGRAMS[measure.name]
        other = next((s for s in shown[1:] if s.role == "reference" and s.found[measure.name].estimate), None)
        band = bands.get(measure.name)
        own = shown[0].found[measure.name]
        median = float(np.median(own.samples))
        drawing = charts.histogram(
            own.samples, f"{measure.label}, {len(own.samples)} events", edges=np.linspace(low, high, count + 1),
            marks=[(median, f"median {charts.number(median, measure.digits)}")],
            shade=(band.low, band.high) if band is not None else None,
            other=other.found[measure.name].samples if other is not None else None,
        )  # fmt: skip
        beside = f"; the line is {other.label}" if other is not None else ""
        out.append((measure, f"{len(own.samples):,} events{beside}", drawing))
    return out
