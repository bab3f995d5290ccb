"""Tables of a result: systems against metrics with the control in each, published figures, sentences, comparisons."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.evaluation import estimates
from reactdiff_ros.evaluation.estimates import Difference, Estimate, Values
from reactdiff_ros.evaluation.metrics.bootstrap import group_draws
from reactdiff_ros.evaluation.metrics.react import mean_of
from reactdiff_ros.evaluation.report import summary
from reactdiff_ros.evaluation.report.behaviour import ENOUGH_MINUTES, MEASURES, BandRow
from reactdiff_ros.evaluation.results import Class, Info, Metric, Result, System
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.resources import share_path

_FRC: Final = "Sum over the predictions of the best appropriate reaction's concordance correlation over 25 attributes."
_FRD: Final = "Sum over the predictions of the warped distance to the nearest appropriate reaction."
_SYN: Final = "Lag at which a listener's attributes correlate most with the speaker's"

MADE_BY_RULES: Final = ("blinks_per_minute",)
_TABLE: Final = (
    Metric("FRC", "Appropriateness (FRC)", "", "higher", "agreement", _FRC),
    Metric("FRC_mean", "FRC a prediction", "", "higher", "agreement", "FRC over the number of predictions."),
    Metric("FRD", "Distance (FRD)", "", "lower", "agreement", _FRD),
    Metric("FRD_mean", "FRD a prediction", "", "lower", "agreement", "FRD over the number of predictions."),
    Metric("FRDiv", "Diversity (FRDiv)", "", "people", "agreement", "Mean squared difference between the predictions."),
    Metric("FRDvs", "Between speakers (FRDvs)", "", "people", "agreement",
           "Mean squared difference between what is shown to different speakers."),
    Metric("FRVar", "Variation (FRVar)", "", "people", "agreement", "Unbiased variance over time."),
    Metric("FRSyn", "Synchrony (FRSyn)", "frames", "none", "agreement", f"{_SYN}."),
    Metric("FRSyn_first", "Synchrony, first (FRSyn)", "frames", "none", "agreement",
           f"{_SYN}, of the first prediction alone."),
    Metric("smile_coupling", "Smile coupling", "", "people", "behaviour",
           "Mean correlation of the two smiles over lags of 0.3 to 2 s; people in calls .19, interval .11 to .29."),
    Metric("response_lag_ms", "Response lag", "ms", "people", "behaviour", "Median lag of answered smiles."),
    Metric("pose", "Head (turns + nods)", "", "higher", "agreement", "Concordance of turns plus agreement of nods."),
    Metric("pose_concordance", "Turns of the head", "", "higher", "agreement", "Concordance of head pose."),
    Metric("nod_match", "Nods at the same time", "", "higher", "agreement", "Agreement of nods with appropriate ones."),
    Metric("nod_chance", "The same by chance", "", "none", "agreement", "The listener's own nods moved in time."),
    Metric("nod_beyond_chance", "Nods beyond chance", "", "higher", "agreement",
           "Agreement of nods less what the same nods reach when moved in time."),
    Metric("pose_beyond_chance", "Head beyond chance", "", "higher", "agreement",
           "Turns plus nods less what nods reach by chance."),
    *(
        Metric(m.name, m.label, "1/min", "people", "conformance" if m.name in MADE_BY_RULES else "behaviour", m.text)
        for m in MEASURES if m.kind == "rate"
    ),
    Metric("in_human_bands", "Time in human bands", "", "higher", "behaviour", "Share of minutes with people's rates."),
    Metric("jerk", "Jerk", "1/s³", "none", "motion", "Mean size of the third derivative; a still face has none."),
    Metric("limit_hits", "Limit hits", "1/min", "lower", "motion", "How often a coefficient comes to its bound."),
    Metric("hop_smoothness", "Seams", "", "none", "motion", "Jerk where plans join over that within; 1 is none."),
    Metric("compute_ms", "Compute a plan", "ms", "lower", "time", "Time that a plan takes."),
    Metric("frame_ms", "Compute a frame", "ms", "lower", "time", "Mean time that a frame of one stream takes."),
    Metric("latency_p50_ms", "Latency, median", "ms", "lower", "time", "From evidence to the frame that shows it."),
    Metric("latency_p95_ms", "Latency, 95 %", "ms", "lower", "time", "From evidence to the frame that shows it."),
    Metric("latency_p99_ms", "Latency, 99 %", "ms", "lower", "time", "From evidence to the frame that shows it."),
)  # fmt: skip
KNOWN: Final[dict[str, Metric]] = {metric.name: metric for metric in _TABLE}
_UNITS: Final = {"ms": "ms", "s": "s", "deg": "deg", "min": "1/min"}


def metrics_of(result: Result) -> dict[str, Metric]:
    """Every figure of a result by its name: the result's own words first, then the usual ones, in reading order."""
    own = {metric.name: metric for metric in result.metrics}
    found = {name: None for s in result.systems for name in (*s.values, *s.figures)}
    order = list(KNOWN)
    names = sorted(found, key=lambda n: (order.index(n) if n in KNOWN else len(order), n if n in KNOWN else ""))
    usual = {name: KNOWN.get(name) or unknown(name) for name in names}
    if result.info.compat != "react2024":  # whose code counts synchrony in frames without a sign; else in ms
        usual |= {name: replace(metric, unit="ms") for name, metric in usual.items() if name.startswith("FRSyn")}
    return {name: own.get(name) or metric for name, metric in usual.items()}


def unknown(name: str) -> Metric:
    """A figure without a description: its name in words, its unit if the name ends with one."""
    last = re.split(r"[_.]", name)[-1]
    return Metric(name, re.sub(r"[_.]+", " ", name), _UNITS.get(last, ""), text="As the run that wrote it defines it.")


FILE: Final = "config/report/published_react.yaml"
PREDICTIONS: Final = 10
"""REACT's number of predictions, over which FRC and FRD are sums."""


@dataclass(frozen=True, slots=True)
class Published:
    """One row of the file."""

    system: str
    source: str
    data: str
    figures: Mapping[str, float]
    note: str = ""
    reason: str = ""
    """Why it is never comparable; "": it may be."""
    kind: str = ""
    compat: str = ""
    split: str = ""

    def comparable(self, info: Info) -> tuple[bool, str]:
        """Whether it may be shown next to a run, and why (not)."""
        if self.reason:
            return False, self.reason
        if info.kind != self.kind:
            what = "recorded people, but other recordings" if info.people else "simulated speakers"
            return False, f"This run is on {what}."
        if info.compat != self.compat:
            return False, f"This run counts as compat {info.compat}, not {self.compat}."
        split = str(info.settings.get("split", ""))
        if split != self.split:
            named = f"the {split} split" if split else "a split that the result does not name"
            return False, f"This run is on {named}, the figure on {self.split}."
        streams = info.settings.get("streams", PREDICTIONS)
        if streams != PREDICTIONS:
            return False, f"This run sums over {streams} predictions, the figure over {PREDICTIONS}."
        source = info.settings.get("attributes")
        return True, "Same split and same definitions." + (f" Attributes here are a {source}." if source else "")


def load_published(path: Path | None = None) -> list[Published]:
    """The rows of the shipped file, or of another one in its form.

    Raises:
        ConfigError: the file cannot be read, or a row lacks something.
    """
    where = path or share_path(FILE)
    try:
        rows = parse_yaml(where.read_text(encoding="utf-8"))["rows"]
        if not isinstance(rows, list):
            raise TypeError("rows is no list")
        return [_published(row) for row in rows]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        what = "the published figures cannot be read: each of the list 'rows' needs system, source, data and figures"
        raise ConfigError(what, where=str(where), todo=" ".join(str(error).split())) from error


def _published(row: Mapping[str, Any]) -> Published:
    figures = {str(name): float(value) for name, value in (row.get("figures") or {}).items()}
    return Published(figures=figures, **{key: str(value).strip() for key, value in row.items() if key != "figures"})


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
ROLES: Final = {"listener": "under test", "control": "control", "reference": "reference", "baseline": "baseline"}
"""Roles in words, in the order of tables."""


def label_of(system: System) -> str:
    """A system's name as people read it."""
    return system.label or system.name.replace("_", " ").capitalize()


def ordered(result: Result) -> list[System]:
    """The subject, other listeners, the control, references, baselines."""
    subject = result.subject
    return sorted(result.systems, key=lambda s: (s is not subject, list(ROLES).index(s.role)))


def control_of(result: Result) -> System | None:
    """The shuffled-speaker control."""
    found = [s for s in result.systems if s.role == "control"]
    return next(iter([s for s in found if s.name == "shuffled"] or found), None)


def tables(result: Result, metrics: Mapping[str, Metric], weights: Values) -> list[dict[str, Any]]:
    """One table for each class of metrics that the result has, with all systems: what the template shows.

    Each has title, text, metrics, lines (system, label, role, subject, cells) and forests (metric, direction, drawing).
    A cell is None, or has value, interval, sign ("differs" from the control, "same" or "") and title.
    """
    control, out = control_of(result), []
    for about, (title, text) in CLASSES.items():
        chosen = [m for m in metrics.values() if m.about == about and _shown(result, m.name)]
        if not chosen:
            continue
        lines: list[dict[str, Any]] = [
            {"system": s, "label": label_of(s), "role": s.role, "subject": s is result.subject, "cells": []}
            for s in ordered(result)
            if s is control or any(m.name in s.values or m.name in s.figures for m in chosen)
        ]
        forests = []
        for metric in chosen:
            column = [estimates.estimate_of(line["system"], metric.name, weights) for line in lines]
            digits = summary.digits_of(column)
            rows = []
            for line, known in zip(lines, column, strict=True):
                gap = difference(line["system"], control, metric.name, weights)
                line["cells"].append(_cell(known, digits, gap))
                if known is not None and known.items:
                    rows.append(summary.Drawn(line["label"], line["role"], known, line["subject"]))
            if len(rows) > 1:
                drawing = summary.forest(rows, digits, f"{metric.label} of every system")
                forests.append((metric, DIRECTIONS[metric.better], drawing))
        out.append({"title": title, "text": text, "metrics": chosen, "lines": lines, "forests": forests})
    return out


def _shown(result: Result, name: str) -> bool:
    """Some system has the figure; a rate of events is shown from ten minutes on."""
    if name.endswith("_per_minute") and result.minutes < ENOUGH_MINUTES:
        return False
    given = any(np.isfinite(s.values[name]).any() for s in result.systems if name in s.values)
    return given or any(math.isfinite(s.figures[name].value) for s in result.systems if name in s.figures)


def _cell(estimate: Estimate | None, digits: int, gap: Difference | None) -> dict[str, str] | None:
    if estimate is None or not estimate.items:
        return None
    sign, title = "", ""
    if gap is not None and gap.how != "no interval":
        sign = "same" if gap.verdict == "none" else "differs"
        title = f"minus the control: {summary.value(gap)} ({summary.interval(gap)}), {gap.how}"
    value, interval = summary.value(estimate, digits), summary.interval(estimate, digits)
    return {"value": value, "interval": interval, "sign": sign, "title": title}


def difference(system: System, control: System | None, name: str, weights: Values) -> Difference | None:
    """A system's figure minus the control's on the same items; None: one of them lacks it, or it is the control."""
    if control is None or system is control:
        return None
    if name in system.figures and name in control.figures:
        return estimates.from_intervals(system.figures[name], control.figures[name], int(weights.shape[1]))
    if name in system.values and name in control.values:
        return estimates.paired(system.values[name], control.values[name], weights)
    return None


def headline(result: Result, weights: Values, rows: Sequence[BandRow]) -> dict[str, Any]:
    """What the sentences at the top of the page say: on fit, on simple methods and on people.

    Args:
        result: with a listener under test.
        weights: of `estimates.draws_of`.
        rows: its measures of behaviour next to people's bands.
    """
    subject = result.subject
    assert subject is not None
    out: dict[str, Any] = {"fit": None, "higher": [], "inside": 0, "known": 0, "outside": [], "measures": len(MEASURES)}
    own = estimates.estimate_of(subject, "FRC", weights)
    if own is not None and own.items:
        gap = difference(subject, control_of(result), "FRC", weights)
        out["fit"], out["verdict"] = summary.value(own), None
        if gap is not None and gap.how != "no interval":
            size = Estimate(abs(gap.value), abs(gap.low), abs(gap.high), gap.items)
            out |= {"verdict": gap.verdict, "gap": summary.value(size)}
        gaps = [(s, difference(subject, s, "FRC", weights)) for s in result.systems if s.role == "baseline"]
        out["higher"] = [label_of(s) for s, gap in gaps if gap is not None and gap.verdict == "lower"]
    judged = [row for row in rows if row.verdict]
    out |= {"known": len(judged), "inside": sum(row.verdict == "inside" for row in judged)}
    out["outside"] = [row.measure.label.lower() for row in judged if row.verdict == "outside"]
    return out


ENOUGH_PAIRS: Final = 2
FEW_GROUPS: Final = 10
"""With fewer groups than this a percentile interval is too narrow, and pages say so."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both: first, second, and their difference (second minus first)."""

    metric: Metric
    first: float
    second: float
    difference: Difference

    @property
    def verdict(self) -> str:
        """Is "none", "better" or "worse" where the figure has a good direction, else "higher" or "lower"."""
        return self.difference.judged(self.metric.better)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures that both have."""

    systems: tuple[str, str]
    matched: int
    """Recordings that both have."""
    items: tuple[int, int]
    figures: tuple[Compared, ...]
    notes: tuple[str, ...]
    """What to keep in mind, a sentence each."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {
            c.metric.name: {
                "a": c.first, "b": c.second, "difference": c.difference.value, "low": c.difference.low,
                "high": c.difference.high, "how": c.difference.how, "items": c.difference.items, "verdict": c.verdict,
            }
            for c in self.figures
        }  # fmt: skip
        items = {"a": self.items[0], "b": self.items[1], "matched": self.matched}
        return {"a": self.systems[0], "b": self.systems[1], "items": items, "figures": figures, "notes": [*self.notes]}


def chosen(result: Result, name: str | None, where: str) -> System:
    """The system of that name, or the one under test.

    Raises:
        ReactdiffError: there is none.
    """
    found = result.subject if name is None else next((s for s in result.systems if s.name == name), None)
    if found is None:
        lacks = "listener under test" if name is None else f"system {name}"
        names = ", ".join(s.name for s in result.systems)
        raise ReactdiffError(f"the result has no {lacks}", where=where, todo=f"name one of {names}")
    return found


def compare(first: tuple[Result, System], second: tuple[Result, System], seed: int = 0) -> Comparison:
    """Every figure that both systems have, second minus first.

    Raises:
        ReactdiffError: they have no figure in common.
    """
    (one, a), (other, b) = first, second
    rows = {item.id: index for index, item in enumerate(one.items)}
    there = {item.id: index for index, item in enumerate(other.items)}
    both = [id_ for id_ in rows if id_ in there]
    pairing = len(both) >= ENOUGH_PAIRS
    metrics = metrics_of(one) | metrics_of(other)
    names = [n for n in metrics if all(n in s.values or n in s.figures for s in (a, b))]
    if not names:
        where = f"{a.name}, {b.name}"
        raise ReactdiffError("the two have no figure in common", where=where, todo="compare like with like")
    groups = estimates.groups_of(one.items), estimates.groups_of(other.items)
    of_both = [groups[0][rows[id_]] for id_ in both]
    weights = group_draws(of_both, seed)
    alone = (group_draws(groups[0], seed), group_draws(groups[1], seed + 1))
    figures = []
    for name in names:
        if name in a.figures and name in b.figures:
            x, y = a.figures[name].value, b.figures[name].value
            gap = estimates.from_intervals(b.figures[name], a.figures[name], min(len(one.items), len(other.items)))
        elif name in a.values and name in b.values:
            mine, theirs = np.asarray(a.values[name], np.float64), np.asarray(b.values[name], np.float64)
            if pairing:
                mine, theirs = mine[[rows[i] for i in both]], theirs[[there[i] for i in both]]
                gap = estimates.paired(theirs, mine, weights)
                known = np.isfinite(mine) & np.isfinite(theirs)
                mine, theirs = mine[known], theirs[known]
            else:
                gap = estimates.unpaired(theirs, mine, (alone[1], alone[0]))
            x, y = mean_of(mine), mean_of(theirs)
        else:
            continue
        figures.append(Compared(metrics[name], x, y, gap))
    notes = _notes(one, other, len(both), pairing, len(set(of_both if pairing else groups[0])), len(figures))
    return Comparison((a.name, b.name), len(both), (len(one.items), len(other.items)), tuple(figures), notes)


def _notes(one: Result, other: Result, matched: int, pairing: bool, groups: int, figures: int) -> tuple[str, ...]:
    out = []
    if not pairing:
        which = f"Only {matched} of {ENOUGH_PAIRS} needed" if matched else "No"
        out.append(f"{which} recordings match, so each run is drawn for itself: what differs may be the recordings.")
    elif matched < max(len(one.items), len(other.items)):
        out.append(f"Only the {matched} recordings that both have are compared.")
    if one.info.kind != other.info.kind or one.info.people != other.info.people:
        out.append(f"The runs are of different kinds: {one.info.kind} and {other.info.kind}.")
    if one.info.compat != other.info.compat:
        out.append(f"The metrics are defined differently: {one.info.compat} and {other.info.compat}.")
    if groups < FEW_GROUPS:
        out.append(f"Intervals over {groups} independent recordings are too narrow; take {FEW_GROUPS} or more.")
    if figures >= 10:
        out.append(f"Of {figures} figures about {max(round(figures / 20), 1)} would differ by chance alone.")
    return tuple(out)
