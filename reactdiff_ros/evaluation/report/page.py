"""The page: everything of a result that people want to see, in one file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import jinja2
import numpy as np
from markupsafe import Markup

from reactdiff_ros import __version__
from reactdiff_ros.evaluation.report import charts, people, summary, tables
from reactdiff_ros.evaluation.report.behaviour import ENOUGH_MINUTES, Band, behaviour_of, load_bands
from reactdiff_ros.evaluation.report.curves import PEOPLE, Faces
from reactdiff_ros.evaluation.report.headline import sentences
from reactdiff_ros.evaluation.report.metric_table import metrics_of
from reactdiff_ros.evaluation.report.moments import KINDS, Moment, moments_of
from reactdiff_ros.evaluation.report.people import Shown
from reactdiff_ros.evaluation.report.pictures import Shot, shots
from reactdiff_ros.evaluation.report.published import Published, load_published
from reactdiff_ros.evaluation.report.timelines import chosen_items, systems_drawn, timeline
from reactdiff_ros.evaluation.results import Metric, Result

Told = Callable[[float], None]
"""Is told the share of the work that is done."""
MOST_COMPARED: Final = 7
"""Systems whose behaviour stands beside people's."""
STRIPS: Final = 4
"""Recordings that get a strip of faces."""
PUBLISHED_METRICS: Final = ("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn")


@dataclass(frozen=True, slots=True)
class Options:
    """What goes onto the page."""

    faces: bool = True
    """Rendered faces; they take most of the time."""
    items: int = 8
    """Recordings whose time lines are drawn."""
    published: tuple[Published, ...] | None = None
    """None: the shipped ones."""
    bands: Mapping[str, Band] | None = None


def build_page(result: Result, options: Options = Options(), told: Told = lambda _: None) -> str:
    """The whole page as HTML. The same result gives the same page, to the byte.

    Raises:
        ConfigError: a shipped table cannot be read.
    """
    rate_hz = result.info.rate_hz
    faces = Faces(result.items, result.systems, rate_hz)
    weights = summary.weights_of(summary.groups_of(result.items))
    metrics = metrics_of(result)
    subject = result.subject
    made = tables.tables(result, metrics, weights)
    bands = options.bands if options.bands is not None else load_bands()
    told(0.05)
    shown = _shown(result, faces)
    told(0.2)
    worst: list[Moment] = []
    counts: dict[str, int] = {}
    if subject is not None:
        worst, counts = moments_of(subject.name, faces, result.items, rate_hz)
    drawn = chosen_items(result, faces, worst, options.items)
    names = systems_drawn(result, faces)
    strips: dict[str, list[Shot]] = {}
    snaps: list[Shot] = []
    if options.faces and subject is not None and subject.streams:
        strips, snaps = shots(faces, subject.name, drawn[:STRIPS], worst, lambda share: told(0.2 + 0.75 * share))
    published = options.published if options.published is not None else tuple(load_published())
    context = {
        "info": result.info,
        "result": result,
        "subject": subject,
        "subject_label": tables.label_of(subject) if subject is not None else "",
        "headline": sentences(result, metrics, weights, shown, bands),
        "tables": made,
        "roles": tables.ROLES,
        "directions": tables.DIRECTIONS,
        "control": tables.control_of(result),
        "few": len(set(summary.groups_of(result.items))) < summary.FEW_GROUPS,
        "groups": len(set(summary.groups_of(result.items))),
        "published": _published(result, metrics, weights, published),
        "published_metrics": [n for n in PUBLISHED_METRICS if any(n in p.figures for p in published)],
        "timelines": [
            {"id": id_, "index": index, "shots": strips.get(id_, [])} for index, id_ in enumerate(drawn)
        ],
        "behaviour": people.rows(shown, bands, "behaviour"),
        "conformance": people.rows(shown, bands, "conformance"),
        "histograms": people.histograms(shown, bands),
        "shown": shown,
        "short": result.minutes < ENOUGH_MINUTES,
        "enough_minutes": ENOUGH_MINUTES,
        "latency": _latency(result),
        "moments": _moments(worst, snaps, counts, drawn),
        "systems": tables.ordered(result),
        "label_of": tables.label_of,
        "facts": _facts(result),
        "program": f"reactdiff_ros {__version__}",
        "style": Markup(_shipped("style.css")),
        "script": Markup(_shipped("report.js")),
        "data": _embedded(_data(result, faces, drawn, names)),
    }  # fmt: skip
    told(1.0)
    return _environment().get_template("report.html.j2").render(context)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_shipped), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["number"] = charts.number
    environment.filters["clock"] = clock
    return environment


def clock(seconds: float) -> str:
    """Time in a recording: 1:05.2."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def _shipped(name: str) -> str:
    return (files("reactdiff_ros.evaluation.report") / "page" / name).read_text(encoding="utf-8")


def _shown(result: Result, faces: Faces) -> list[Shown]:
    """The subject first, then whoever else has streams; recorded people as reference."""
    subject = result.subject
    if subject is None or not subject.streams:
        return []
    others = [s for s in tables.ordered(result) if s is not subject and s.streams]
    out = [Shown(s.name, tables.label_of(s), s.role, s is subject, behaviour_of(s.name, faces, result.items))
           for s in [subject, *others][:MOST_COMPARED]]  # fmt: skip
    if PEOPLE not in {s.name for s in result.systems} and faces.items_of(PEOPLE):
        found = behaviour_of(PEOPLE, faces, result.items)
        out.insert(1, Shown(PEOPLE, "People in these recordings", "reference", False, found))
    return out


def _published(result: Result, metrics: Mapping[str, Metric], weights: Any, rows: tuple[Published, ...]) -> list[Any]:
    """The figures of the run, then the published ones; nothing for a run on simulated speakers."""
    own = []
    if result.info.people and result.subject is not None and any(name in metrics for name in PUBLISHED_METRICS):
        figures = {
            name: found.value
            for name in PUBLISHED_METRICS
            if (found := summary.estimate_of(result.subject, name, weights)) is not None and found.items
        }
        own = [{"system": tables.label_of(result.subject), "own": True, "figures": figures}]
    others = [
        {"system": row.system, "own": False, "figures": row.figures, "row": row, "label": row.comparable(result.info)}
        for row in rows
    ]
    return own + others if own else []


def _latency(result: Result) -> list[dict[str, Any]]:
    """Histograms of what was timed: plans, and evidence to face."""
    out: list[dict[str, Any]] = []
    subject = result.subject
    if subject is None:
        return out
    for what, seconds in (("One plan", subject.compute_s), ("From evidence to the face", subject.lag_s)):
        known = 1e3 * np.asarray(seconds, dtype=np.float64)[np.isfinite(seconds)]
        if len(known):
            marks = {p: float(np.percentile(known, p)) for p in (50, 95, 99)}
            high = max(float(np.percentile(known, 99.5)) * 1.08, 1e-3)
            drawing = charts.histogram(
                known, f"{what} in milliseconds", edges=np.linspace(0.0, high, 49),
                marks=[(v, f"{p} %") for p, v in marks.items()],
            )  # fmt: skip
            out.append({"what": what, "count": len(known), "drawing": drawing, "marks": marks,
                        "most": float(known.max())})  # fmt: skip
    return out


def _moments(
    worst: list[Moment], snaps: list[Shot], counts: Mapping[str, int], drawn: list[str]
) -> list[dict[str, Any]]:
    pictures = dict(zip(map(id, worst), snaps, strict=False))
    out = []
    for kind in KINDS:
        mine = [
            {"moment": m, "shot": pictures.get(id(m)), "timeline": drawn.index(m.item) if m.item in drawn else None}
            for m in worst
            if m.kind == kind.name
        ]
        out.append({"kind": kind, "moments": mine, "count": counts.get(kind.name, 0),
                    "counted": kind.name in ("limit", "frozen", "missed", "nod")})  # fmt: skip
    return out


def _facts(result: Result) -> list[tuple[str, str]]:
    info = result.info
    facts = [("Kind", info.kind), ("Data", info.data), ("Definitions", info.compat), ("Made", info.created),
             ("Command", info.command)]  # fmt: skip
    groups = (("Seeds", info.seeds), ("Weights", info.weights), ("Settings", info.settings),
              ("Versions", info.versions), ("Machine", info.hardware))  # fmt: skip
    facts += [(name, ", ".join(f"{k} {v}" for k, v in told.items() if v not in ("", None))) for name, told in groups]
    return [(name, text) for name, text in facts if text]


def _data(result: Result, faces: Faces, drawn: list[str], names: list[str]) -> dict[str, Any]:
    by_id = {item.id: item for item in result.items}
    labels = {s.name: tables.label_of(s) for s in result.systems} | {PEOPLE: "People in these recordings"}
    return {
        "rate": 25,
        "pitchRange": 20,
        "systems": [{"name": name, "label": labels[name]} for name in names],
        "items": [timeline(by_id[id_], faces, names, result.info.rate_hz) for id_ in drawn],
    }


def _embedded(data: dict[str, Any]) -> Markup:
    """JSON that no text in it can end early: "<" is escaped."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
