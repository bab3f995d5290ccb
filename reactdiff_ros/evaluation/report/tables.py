"""Tables of figures: systems against metrics, the control in each, and every difference from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup

from reactdiff_ros.evaluation.report import charts, summary
from reactdiff_ros.evaluation.report.behaviour import ENOUGH_MINUTES
from reactdiff_ros.evaluation.report.summary import Difference, Estimate, Values
from reactdiff_ros.evaluation.results import Class, Metric, Result, System

CLASSES: Final[dict[Class, tuple[str, str]]] = {
    "agreement": (
        "How well it fits the speaker",
        "REACT's metrics: agreement with reactions that would be appropriate.",
    ),
    "behaviour": ("What it does with the speaker", "What the listener has learnt or decides."),
    "motion": ("How it moves", "Fitness for motors: what a neck or a face of servos feels."),
    "time": ("How fast it is", "Measured during this run; on a busy machine slower than it can be."),
    "conformance": ("What rules keep", "Made by rules, so these figures only show that the rules are kept."),
}
DIRECTIONS: Final = {
    "higher": "higher is better", "lower": "lower is better", "people": "nearer to people is better", "none": "",
}  # fmt: skip
ROLES: Final = {
    "listener": "under test", "baseline": "baseline", "control": "control", "reference": "reference",
}  # fmt: skip
_ORDER: Final = {"reference": 2, "listener": 0, "control": 1, "baseline": 3}


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure in a table."""

    value: str
    interval: str
    sign: str
    """"differs", "same" (as the control) or ""."""
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A system in a table."""

    system: System
    label: str
    role: str
    subject: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """All systems under all metrics of one class."""

    title: str
    text: str
    metrics: tuple[Metric, ...]
    lines: tuple[Line, ...]
    forests: tuple[tuple[Metric, str, Markup], ...]
    """Metric, its direction in words, the drawing."""


def label_of(system: System) -> str:
    """A system's name as people read it."""
    return system.label or system.name.replace("_", " ").capitalize()


def ordered(result: Result) -> list[System]:
    """The subject, other listeners, the control, references, baselines."""
    subject = result.subject
    return sorted(result.systems, key=lambda s: (s is not subject, _ORDER[s.role]))


def control_of(result: Result) -> System | None:
    """The shuffled-speaker control."""
    found = [s for s in result.systems if s.role == "control"]
    return next(iter([s for s in found if s.name == "shuffled"] or found), None)


def tables(result: Result, metrics: Mapping[str, Metric], weights: Values) -> list[Table]:
    """One table for each class of metrics that the result has."""
    out = []
    for about, (title, text) in CLASSES.items():
        chosen = tuple(m for m in metrics.values() if m.about == about and _told(result, m.name))
        if chosen:
            out.append(_table(result, title, text, chosen, weights))
    return out


def _told(result: Result, name: str) -> bool:
    """Some system has the figure; a rate of events is told from ten minutes on."""
    if name.endswith("_per_minute") and result.minutes < ENOUGH_MINUTES:
        return False
    given = any(np.isfinite(s.values[name]).any() for s in result.systems if name in s.values)
    return given or any(math.isfinite(s.figures[name].value) for s in result.systems if name in s.figures)


def _table(result: Result, title: str, text: str, metrics: tuple[Metric, ...], weights: Values) -> Table:
    control = control_of(result)
    systems = [
        s for s in ordered(result) if s is control or any(m.name in s.values or m.name in s.figures for m in metrics)
    ]
    found = {s.name: [summary.estimate_of(s, m.name, weights) for m in metrics] for s in systems}

    digits = [charts.digits_of([column[i] for column in found.values()]) for i in range(len(metrics))]

    def cells(system: System) -> tuple[Cell | None, ...]:
        columns = zip(metrics, found[system.name], digits, strict=True)
        return tuple(_cell(known, n, difference(system, control, m.name, weights)) for m, known, n in columns)

    lines = tuple(Line(s, label_of(s), s.role, s is result.subject, cells(s)) for s in systems)
    forests = []
    for index, metric in enumerate(metrics):
        rows = [
            charts.Drawn(line.label, line.role, known, line.subject)
            for line in lines
            if (known := found[line.system.name][index]) is not None and known.items
        ]
        if len(rows) > 1:
            drawing = charts.forest(rows, digits[index], f"{metric.label} of every system")
            forests.append((metric, DIRECTIONS[metric.better], drawing))
    return Table(title, text, metrics, lines, tuple(forests))


def _cell(estimate: Estimate | None, digits: int, gap: Difference | None) -> Cell | None:
    if estimate is None or not estimate.items:
        return None
    sign, title = "", ""
    if gap is not None and gap.how != "no interval":
        sign = "same" if gap.verdict == "none" else "differs"
        found = Estimate(gap.value, gap.low, gap.high, gap.items)
        title = f"minus the control: {charts.value(found)} ({charts.interval(found)}), {gap.how}"
    return Cell(charts.value(estimate, digits), charts.interval(estimate, digits), sign, title)


def difference(system: System, control: System | None, name: str, weights: Values) -> Difference | None:
    """A system's figure minus the control's on the same items; None: one of them lacks it, or it is the control."""
    if control is None or system is control:
        return None
    if name in system.figures and name in control.figures:
        return summary.from_intervals(system.figures[name], control.figures[name], int(weights.shape[1]))
    if name in system.values and name in control.values:
        return summary.paired(system.values[name], control.values[name], weights)
    return None
