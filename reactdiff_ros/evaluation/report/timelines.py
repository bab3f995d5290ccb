"""What the page's time lines draw: curves as bytes, events as stretches, in one JSON object."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.report.curves import PEOPLE, Face, Faces, speech_runs
from reactdiff_ros.evaluation.report.moments import Moment
from reactdiff_ros.evaluation.results import Item, Result
from reactdiff_ros.types import REACTION_RATE_HZ

PITCH_RANGE_DEG: Final = 20.0
"""Head pitch is drawn from minus to plus this."""
MOST_ITEMS: Final = 8
MOST_FRAMES: Final = round(20 * 60 * REACTION_RATE_HZ)
"""Of one recording: 20 minutes."""
KINDS: Final = ("smiles", "nods", "laughs", "blinks", "brow_raises")


def chosen_items(result: Result, faces: Faces, moments: Sequence[Moment], most: int = MOST_ITEMS) -> list[str]:
    """Ids of the recordings that are drawn, in the file's order: those of the worst moments and with most happening."""
    subject = result.subject
    if subject is None:
        return [item.id for item in result.items if item.speaker is not None][:most]
    shown = faces.items_of(subject.name)
    worth = {id_: (sum(m.item == id_ for m in moments), _happening(subject.name, id_, faces)) for id_ in shown}
    best = set(sorted(shown, key=lambda id_: worth[id_], reverse=True)[:most])
    return [id_ for id_ in shown if id_ in best]


def _happening(system: str, item: str, faces: Faces) -> float:
    total = 0
    for face in (faces.speaker(item), faces.listener(system, item)):
        if face is not None:
            total += sum(len(face.found[kind]) for kind in ("smiles", "nods", "laughs"))
    return float(total)


def systems_drawn(result: Result, faces: Faces) -> list[str]:
    """Names of systems with streams, the subject first, recorded people last."""
    subject = result.subject
    names = [s.name for s in result.systems if s.streams and s is not subject]
    first = [subject.name] if subject is not None and subject.streams else []
    people = [PEOPLE] if PEOPLE not in names and faces.items_of(PEOPLE) else []
    return [*first, *names, *people]


def timeline(item: Item, faces: Faces, systems: Sequence[str], rate_hz: float) -> dict[str, Any]:
    """One recording's curves and events for the page."""
    speaker = faces.speaker(item.id)
    listeners = {
        name: _drawn(shown) for name in systems if (shown := faces.listener(name, item.id)) is not None
    }  # fmt: skip
    frames = max([f["frames"] for f in listeners.values()] + ([speaker.frames] if speaker else []), default=0)
    return {
        "id": item.id,
        "seconds": min(frames, MOST_FRAMES) / REACTION_RATE_HZ,
        "whole": frames / REACTION_RATE_HZ,
        "speech": [[s / REACTION_RATE_HZ, e / REACTION_RATE_HZ] for s, e in speech_runs(item, rate_hz)],
        "heard": item.speech is not None,
        "speaker": _drawn(speaker) if speaker is not None else None,
        "listeners": listeners,
        "notes": list(item.notes),
    }


def _drawn(face: Face) -> dict[str, Any]:
    return {
        "frames": min(face.frames, MOST_FRAMES),
        "smile": _bytes(face.smile),
        "pitch": _bytes(face.pitch_deg / (2 * PITCH_RANGE_DEG) + 0.5),
        "events": {kind: _stretches(face, kind) for kind in KINDS},
    }


def _bytes(curve: NDArray[np.float64]) -> str:
    """0..1 as base64 of one byte a frame."""
    levels = np.clip(np.rint(255 * curve[:MOST_FRAMES]), 0, 255).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode("ascii")


def _stretches(face: Face, kind: str) -> list[list[float]]:
    found = face.found[kind]
    size = np.degrees(found.size) if kind == "nods" else found.size
    rows = np.stack([found.start / REACTION_RATE_HZ, found.end / REACTION_RATE_HZ, size], axis=1)
    return [[round(float(v), 3) for v in row] for row in rows if row[0] * REACTION_RATE_HZ < MOST_FRAMES]
