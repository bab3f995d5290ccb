"""Faces as small pictures for the page: the speaker and the listener at chosen moments, drawn by the package's head."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from reactdiff_ros.coefficients import bounded
from reactdiff_ros.evaluation.report.curves import Face, Faces
from reactdiff_ros.evaluation.report.moments import Moment
from reactdiff_ros.simulator.rendered.parts import Look
from reactdiff_ros.simulator.rendered.renderer import HeadRenderer, Scene
from reactdiff_ros.types import REACTION_RATE_HZ, UINT8

SIZE: Final = 168
QUALITY: Final = 80
STRIP: Final = 7
"""Faces of a recording's strip."""
SPEAKER_LOOK: Final = Look(
    skin=(120, 150, 200), hair=(28, 28, 34), shirt=(150, 120, 70), iris=(70, 90, 120), background=(226, 218, 208)
)
LISTENER_LOOK: Final = Look(background=(204, 220, 236))
SCENE: Final = Scene(width=SIZE, height=SIZE, focal_px=1.95 * SIZE, position_m=(0.0, 0.0, 0.60), supersample=2)


@dataclass(frozen=True, slots=True)
class Shot:
    """Speaker and listener at one moment, as JPEG data addresses; "": no face there."""

    seconds: float
    label: str
    speaker: str
    listener: str


class Photographer:
    """Draws faces; heads are made when the first one is needed."""

    def __init__(self) -> None:
        self._heads: dict[str, HeadRenderer] = {}

    def shot(self, faces: Faces, system: str, item: str, seconds: float, label: str = "") -> Shot:
        """Both faces of an item at a moment."""
        speaker, listener = faces.speaker(item), faces.listener(system, item)
        return Shot(
            seconds, label, self._address("speaker", speaker, seconds), self._address("listener", listener, seconds)
        )

    def _address(self, who: str, face: Face | None, seconds: float) -> str:
        if face is None or not face.frames:
            return ""
        frame = min(max(round(seconds * REACTION_RATE_HZ), 0), face.frames - 1)
        if who not in self._heads:
            self._heads[who] = HeadRenderer(look=SPEAKER_LOOK if who == "speaker" else LISTENER_LOOK)
        return jpeg(self._heads[who].render(bounded(face.coefficients[frame]), SCENE))


def jpeg(picture: UINT8) -> str:
    """A picture (height, width, 3) BGR as a data address."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii") if done else ""


def strip_times(speaker: Face | None, listener: Face, count: int = STRIP) -> list[tuple[float, str]]:
    """Times and labels of a strip: what happens most, in order, the rest evenly between."""
    happening: list[tuple[float, float, str]] = []
    for face, who in ((listener, "listener"), (speaker, "speaker")):
        if face is None:
            continue
        for kind, word in (("smiles", "smiles"), ("nods", "nods"), ("laughs", "laughs")):
            events = face.found[kind]
            scale = 1.0 if kind != "nods" else 4.0
            for start, end, size in zip(events.start, events.end, events.size, strict=True):
                middle = start + (end - start) // (4 if kind == "nods" else 2)
                happening.append((float(size) * scale, middle / REACTION_RATE_HZ, f"{who} {word}"))
    apart = max(listener.seconds / (2 * count), 0.4)
    picked: list[tuple[float, str]] = []
    for _, seconds, label in sorted(happening, reverse=True):
        if len(picked) < count and seconds < listener.seconds and all(abs(seconds - s) >= apart for s, _ in picked):
            picked.append((seconds, label))
    for seconds in np.linspace(0.5, max(listener.seconds - 0.5, 0.5), 4 * count):
        if len(picked) < count and all(abs(seconds - s) >= apart for s, _ in picked):
            picked.append((float(seconds), ""))
    return sorted(picked)


def shots(
    faces: Faces, system: str, strips: Sequence[str], moments: Sequence[Moment], told: Callable[[float], None]
) -> tuple[dict[str, list[Shot]], list[Shot]]:
    """The strip of each recording in `strips`, and one shot for each moment."""
    wanted: list[tuple[str, float, str]] = []
    for item in strips:
        listener = faces.listener(system, item)
        if listener is not None:
            wanted += [(item, seconds, label) for seconds, label in strip_times(faces.speaker(item), listener)]
    whole = [*wanted, *((m.item, m.seconds, "") for m in moments)]
    photographer: Any = Photographer()
    made: list[Shot] = []
    for number, (item, seconds, label) in enumerate(whole, start=1):
        made.append(photographer.shot(faces, system, item, seconds, label))
        told(number / len(whole))
    by_item: dict[str, list[Shot]] = {item: [] for item in strips}
    for (item, _, _), shot in zip(wanted, made, strict=False):
        by_item[item].append(shot)
    return by_item, made[len(wanted) :]
