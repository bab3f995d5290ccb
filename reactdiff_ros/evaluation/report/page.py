"""The page: everything of a result that people want to see, in one file that needs nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from typing import Any, Final

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from reactdiff_ros import __version__
from reactdiff_ros.avatar.drawing import FaceDrawing
from reactdiff_ros.coefficients import bounded
from reactdiff_ros.evaluation import estimates
from reactdiff_ros.evaluation.metrics.bands import load_bands
from reactdiff_ros.evaluation.report import behaviour as people
from reactdiff_ros.evaluation.report import summary, tables
from reactdiff_ros.evaluation.report.tables import Published, load_published, metrics_of
from reactdiff_ros.evaluation.results import Item, Metric, Result
from reactdiff_ros.types import REACTION_RATE_HZ, UINT8, OnProgress

SIZE: Final = 168
QUALITY: Final = 80
STRIP: Final = 7
"""Faces of a recording's strip."""
HAPPENING: Final = ("smiles", "nods", "laughs")
SPEAKER_LOOK, LISTENER_LOOK = "paper", "soft"
"""Two looks, so that no one takes one face for the other."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Speaker and listener at one moment, as JPEG data addresses; "": no face there."""

    seconds: float
    label: str
    speaker: str
    listener: str


def jpeg(picture: UINT8) -> str:
    """A picture (height, width, 3) BGR as a data address."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii") if done else ""


def strip_times(speaker: people.Face | None, listener: people.Face) -> list[tuple[float, str]]:
    """Times and labels of a strip: what happens most, in order, the rest evenly between."""
    happening: list[tuple[float, float, str]] = []
    for face, who in ((listener, "listener"), (speaker, "speaker")):
        if face is None:
            continue
        for kind in HAPPENING:
            events = face.found[kind]
            scale, part = (4.0, 4) if kind == "nods" else (1.0, 2)
            for start, end, size in zip(events.start, events.end, events.size, strict=True):
                at = start + (end - start) // part
                happening.append((float(size) * scale, at / REACTION_RATE_HZ, f"{who} {kind}"))
    apart = max(listener.seconds / (2 * STRIP), 0.4)
    picked: list[tuple[float, str]] = []
    for _, seconds, label in sorted(happening, reverse=True):
        if len(picked) < STRIP and seconds < listener.seconds and all(abs(seconds - s) >= apart for s, _ in picked):
            picked.append((seconds, label))
    for seconds in np.linspace(0.5, max(listener.seconds - 0.5, 0.5), 4 * STRIP):
        if len(picked) < STRIP and all(abs(seconds - s) >= apart for s, _ in picked):
            picked.append((float(seconds), ""))
    return sorted(picked)


def shots(
    faces: people.Faces, system: str, strips: Sequence[str], moments: Sequence[people.Moment], progress: OnProgress
) -> tuple[dict[str, list[Shot]], list[Shot]]:
    """The strip of each recording in `strips`, and one shot for each moment."""
    wanted: list[tuple[str, float, str]] = []
    for item in strips:
        listener = faces.listener(system, item)
        if listener is not None:
            wanted += [(item, seconds, label) for seconds, label in strip_times(faces.speaker(item), listener)]
    whole = [*wanted, *((m.item, m.seconds, "") for m in moments)]
    drawing = cache(lambda look: FaceDrawing(look, SIZE, SIZE))  # made when the first face is drawn

    def picture(face: people.Face | None, look: str, seconds: float) -> str:
        if face is None:
            return ""
        frame = min(max(round(seconds * REACTION_RATE_HZ), 0), face.frames - 1)
        # The same time each time: what was drawn before has no part in a picture.
        return jpeg(drawing(look).picture(bounded(face.coefficients[frame]), 0.0))

    drawn: list[Shot] = []
    for item, seconds, label in whole:
        speaker = picture(faces.speaker(item), SPEAKER_LOOK, seconds)
        shown = picture(faces.listener(system, item), LISTENER_LOOK, seconds)
        drawn.append(Shot(seconds, label, speaker, shown))
        progress(len(drawn) / len(whole))
    by_item: dict[str, list[Shot]] = {item: [] for item in strips}
    for (item, _, _), shot in zip(wanted, drawn, strict=False):
        by_item[item].append(shot)
    return by_item, drawn[len(wanted) :]


PITCH_RANGE_DEG: Final = 20.0
"""Head pitch is drawn from minus to plus this."""
MOST_ITEMS: Final = 8
MOST_FRAMES: Final = round(20 * 60 * REACTION_RATE_HZ)
"""Of one recording: 20 minutes."""
DRAWN_KINDS: Final = ("smiles", "nods")


def chosen_items(result: Result, faces: people.Faces, moments: Sequence[people.Moment], most: int) -> list[str]:
    """Ids of the recordings that are drawn, in the file's order: those of the worst moments and with most happening."""
    subject = result.subject
    if subject is None:
        return [item.id for item in result.items if item.speaker is not None][:most]
    shown = faces.items_of(subject.name)

    def happening(item: str) -> int:
        both = (faces.speaker(item), faces.listener(subject.name, item))
        return sum(len(face.found[kind]) for face in both if face for kind in HAPPENING)

    worth = {id_: (sum(m.item == id_ for m in moments), happening(id_)) for id_ in shown}
    best = set(sorted(shown, key=lambda id_: worth[id_], reverse=True)[:most])
    return [id_ for id_ in shown if id_ in best]


def systems_drawn(result: Result, faces: people.Faces) -> list[str]:
    """Names of systems with streams, the subject first, recorded people last."""
    subject = result.subject
    names = [s.name for s in result.systems if s.streams and s is not subject]
    first = [subject.name] if subject is not None and subject.streams else []
    return [*first, *names, *([people.PEOPLE] if people.PEOPLE not in names and faces.items_of(people.PEOPLE) else [])]


def timeline(item: Item, faces: people.Faces, systems: Sequence[str], rate_hz: float) -> dict[str, Any]:
    """One recording's curves and events, as the page's script draws them."""
    speaker = faces.speaker(item.id)
    shown = {name: found for name in systems if (found := faces.listener(name, item.id)) is not None}
    frames = max((face.frames for face in (speaker, *shown.values()) if face is not None), default=0)
    return {
        "id": item.id,
        "seconds": min(frames, MOST_FRAMES) / REACTION_RATE_HZ,
        "speech": [[s / REACTION_RATE_HZ, e / REACTION_RATE_HZ] for s, e in people.speech_runs(item, rate_hz)],
        "heard": item.speech is not None,
        "speaker": _drawn(speaker) if speaker is not None else None,
        "listeners": {name: _drawn(face) for name, face in shown.items()},
    }


def _drawn(face: people.Face) -> dict[str, Any]:
    stretches = {}
    for kind in DRAWN_KINDS:
        found = face.found[kind]
        spans = np.stack([found.start, found.end], axis=1)[found.start < MOST_FRAMES] / REACTION_RATE_HZ
        stretches[kind] = spans.round(3).tolist()
    return {
        "smile": _bytes(face.smile),
        "pitch": _bytes(face.pitch_deg / (2 * PITCH_RANGE_DEG) + 0.5),
        "events": stretches,
    }


def _bytes(curve: NDArray[np.float64]) -> str:
    """0..1 as base64 of one byte a frame."""
    levels = np.clip(np.rint(255 * curve[:MOST_FRAMES]), 0, 255).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode("ascii")


PEOPLE_LABEL: Final = "People in these recordings"
MOST_COMPARED: Final = 7
"""Systems whose behaviour is next to people's."""
STRIPS: Final = 4
"""Recordings that get a strip of faces."""
PUBLISHED_METRICS: Final = ("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn")


def build_page(
    result: Result, *, with_faces: bool = True, most_items: int = MOST_ITEMS, progress: OnProgress = lambda share: None
) -> str:
    """The whole page as HTML. The same result gives the same page, to the byte.

    Args:
        result: with or without curves.
        with_faces: with drawn faces; they take most of the time.
        most_items: recordings whose time lines are drawn.
        progress: receives the completed fraction.

    Raises:
        ConfigError: a shipped table cannot be read.
    """
    rate_hz = result.info.rate_hz
    faces = people.Faces(result.items, result.systems, rate_hz)
    weights = estimates.draws_of(result.items, result.info.draws_seed)
    metrics = metrics_of(result)
    subject = result.subject
    bands, published = load_bands(), load_published()
    progress(0.05)
    shown = _shown(result, faces)
    progress(0.2)
    behaviour = people.rows(shown, bands, "behaviour")
    worst, counts = ([], {}) if subject is None else people.moments_of(subject.name, faces, result.items, rate_hz)
    drawn = chosen_items(result, faces, worst, most_items)
    names = systems_drawn(result, faces)
    strips: dict[str, list[Shot]] = {}
    snaps: list[Shot] = []
    if with_faces and subject is not None and subject.streams:
        strips, snaps = shots(faces, subject.name, drawn[:STRIPS], worst, lambda share: progress(0.2 + 0.75 * share))
    groups = len(set(estimates.groups_of(result.items)))
    by_id = {item.id: item for item in result.items}
    labels = {s.name: tables.label_of(s) for s in result.systems} | {people.PEOPLE: PEOPLE_LABEL}
    data = {
        "rate": 25, "pitchRange": 20, "systems": [{"name": name, "label": labels[name]} for name in names],
        "items": [timeline(by_id[id_], faces, names, rate_hz) for id_ in drawn],
    }  # fmt: skip
    context = {
        "info": result.info, "result": result, "subject": subject,
        "subject_label": tables.label_of(subject) if subject is not None else "",
        "headline": tables.headline(result, weights, behaviour) if subject is not None else {},
        "tables": tables.tables(result, metrics, weights), "roles": tables.ROLES, "directions": tables.DIRECTIONS,
        "control": tables.control_of(result), "few": groups < tables.FEW_GROUPS, "groups": groups,
        "published": _published(result, metrics, weights, published),
        "published_metrics": [n for n in PUBLISHED_METRICS if any(n in p.figures for p in published)],
        "timelines": [{"id": id_, "index": index, "shots": strips.get(id_, [])} for index, id_ in enumerate(drawn)],
        "behaviour": behaviour, "conformance": people.rows(shown, bands, "conformance"),
        "histograms": people.histograms(shown, bands), "shown": shown, "latency": _latency(result),
        "short": result.minutes < people.ENOUGH_MINUTES, "enough_minutes": people.ENOUGH_MINUTES,
        "moments": _moments(worst, snaps, counts, drawn), "systems": tables.ordered(result),
        "label_of": tables.label_of, "facts": _facts(result), "program": f"reactdiff_ros {__version__}",
        "style": Markup(_shipped("style.css")), "script": Markup(_shipped("report.js")), "data": _embedded(data),
    }  # fmt: skip
    progress(1.0)
    return summary.environment().get_template("report.html.j2").render(context)


def _shipped(name: str) -> str:
    return (files("reactdiff_ros.evaluation.report") / "page" / name).read_text(encoding="utf-8")


def _shown(result: Result, faces: people.Faces) -> list[people.Shown]:
    """The subject first, then others that have streams; recorded people as reference."""
    subject = result.subject
    if subject is None or not subject.streams:
        return []
    others = [s for s in tables.ordered(result) if s is not subject and s.streams]

    def found(name: str) -> dict[str, people.Found]:
        return people.behaviour_of(name, faces, result.items, result.info.draws_seed)

    drawn = [subject, *others][:MOST_COMPARED]
    out = [people.Shown(s.name, tables.label_of(s), s.role, s is subject, found(s.name)) for s in drawn]
    if people.PEOPLE not in {s.name for s in result.systems} and faces.items_of(people.PEOPLE):
        out.insert(1, people.Shown(people.PEOPLE, PEOPLE_LABEL, "reference", False, found(people.PEOPLE)))
    return out


def _published(result: Result, metrics: Mapping[str, Metric], weights: Any, rows: Sequence[Published]) -> list[Any]:
    """The figures of the run, then the published ones; nothing for a run on simulated speakers."""
    subject, info = result.subject, result.info
    if not info.people or subject is None or not any(name in metrics for name in PUBLISHED_METRICS):
        return []
    known = {name: estimates.estimate_of(subject, name, weights) for name in PUBLISHED_METRICS}
    figures = {name: found.value for name, found in known.items() if found is not None and found.items}
    return [{"system": tables.label_of(subject), "own": True, "figures": figures}] + [
        {"system": row.system, "own": False, "figures": row.figures, "row": row, "label": row.comparable(info)}
        for row in rows
    ]


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
            edges = np.linspace(0.0, max(float(np.percentile(known, 99.5)) * 1.08, 1e-3), 49)
            named = [(v, f"{p} %") for p, v in marks.items()]
            drawing = summary.histogram(known, f"{what} in milliseconds", edges=edges, marks=named)
            most = float(known.max())
            out.append({"what": what, "count": len(known), "drawing": drawing, "marks": marks, "most": most})
    return out


def _moments(
    worst: list[people.Moment], snaps: list[Shot], counts: Mapping[str, int], drawn: list[str]
) -> list[dict[str, Any]]:
    """The worst moments of every kind, with their pictures and the time lines in which they are drawn."""
    found: dict[str, list[dict[str, Any]]] = {kind.name: [] for kind in people.KINDS}
    for moment, shot in zip_longest(worst, snaps):
        line = drawn.index(moment.item) if moment.item in drawn else None
        found[moment.kind].append({"moment": moment, "shot": shot, "timeline": line})
    counted = ("limit", "frozen", "missed", "nod")
    return [
        {"kind": k, "moments": found[k.name], "count": counts.get(k.name, 0), "counted": k.name in counted}
        for k in people.KINDS
    ]


def _facts(result: Result) -> list[tuple[str, str]]:
    info = result.info
    facts = {"Kind": info.kind, "Data": info.data, "Definitions": info.compat, "Made": info.created}
    facts["Command"] = info.command
    for name, of in (("Seeds", info.seeds), ("Weights", info.weights), ("Settings", info.settings),
                     ("Versions", info.versions), ("Machine", info.hardware)):  # fmt: skip
        facts[name] = ", ".join(f"{k} {v}" for k, v in of.items() if v not in ("", None))
    return [(name, text) for name, text in facts.items() if text]


def _embedded(data: dict[str, Any]) -> Markup:
    """JSON that no text in it can end early: "<" is escaped."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
