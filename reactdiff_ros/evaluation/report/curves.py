"""Curves of a result as the report reads them: 25 Hz, without gaps, with the events in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, HEAD_PITCH, HEAD_YAW, INDEX
from reactdiff_ros.evaluation.metrics import events
from reactdiff_ros.evaluation.metrics.events import Events
from reactdiff_ros.evaluation.results import Item, System
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Curve = NDArray[np.float64]
EYE_FULL_DEG: Final = 30.0
"""Turn of an eye at a full eyeLook coefficient."""
MOVES: Final = 1e-3
PEOPLE: Final = "people"
"""Name of the recorded listeners of a set, where there are any."""
SPEAKING: Final = 0.5


@dataclass(frozen=True)
class Face:
    """One face through one recording: (T, 58) at 25 Hz, gaps filled."""

    coefficients: FloatArray
    observed: NDArray[np.bool_]
    """(58,) which coefficients were observed at all."""

    @property
    def frames(self) -> int:
        """T."""
        return len(self.coefficients)

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.frames / REACTION_RATE_HZ

    @cached_property
    def smile(self) -> Curve:
        """(T,) mean of both mouth corners, smoothed as events are found."""
        return events.moving_average(events.smile_curve(self.coefficients), events.SMOOTHING_FRAMES)

    @cached_property
    def pitch_deg(self) -> Curve:
        """(T,) head pitch, down positive."""
        return np.degrees(self.coefficients[:, HEAD_PITCH].astype(np.float64))

    @cached_property
    def found(self) -> dict[str, Events]:
        """Every kind of event by name."""
        if self.frames < 2:
            nothing = np.zeros(0, dtype=np.intp)
            empty = Events(nothing, nothing, nothing, np.zeros(0), (1, max(self.frames, 1)))
            return dict.fromkeys(events.KINDS, empty)
        return {kind: find(self.coefficients[None]) for kind, find in events.KINDS.items()}

    @cached_property
    def gaze_away_deg(self) -> Curve:
        """(T,) angle between the line of sight (head and eyes) and its usual direction, the median."""

        def look(name: str) -> Curve:
            return self.coefficients[:, INDEX[name]].astype(np.float64)

        left = look("eyeLookOutLeft") - look("eyeLookInLeft") + look("eyeLookInRight") - look("eyeLookOutRight")
        down = look("eyeLookDownLeft") + look("eyeLookDownRight") - look("eyeLookUpLeft") - look("eyeLookUpRight")
        yaw = np.degrees(self.coefficients[:, HEAD_YAW]) + EYE_FULL_DEG * left / 2
        pitch = self.pitch_deg + EYE_FULL_DEG * down / 2
        return np.asarray(np.hypot(yaw - np.median(yaw), pitch - np.median(pitch)))

    @property
    def blinks_here(self) -> bool:
        """The lids move."""
        return bool(self.coefficients[:, list(BLINK)].std() > MOVES)

    @property
    def looks_here(self) -> bool:
        """The eyes move."""
        return bool(self.coefficients[:, list(EYE_LOOK)].std() > MOVES)


def face(coefficients: NDArray[Any], rate_hz: float) -> Face:
    """A face of a result's curve (T, 58): gaps are bridged in a line, what was never observed is 0."""
    values = at_25_hz(np.asarray(coefficients, dtype=np.float32), rate_hz)
    known = np.isfinite(values)
    if not known.all():
        values = values.copy()
        time = np.arange(len(values))
        for column in np.flatnonzero(~known.all(0)):
            there = known[:, column]
            values[:, column] = np.interp(time, time[there], values[there, column]) if there.any() else 0.0
    return Face(values, known.any(0))


def at_25_hz(values: NDArray[Any], rate_hz: float) -> NDArray[Any]:
    """A curve (T, ...) of another frame rate on the 25 Hz grid, between frames in a line."""
    if rate_hz == REACTION_RATE_HZ or len(values) < 2:
        return values
    frames = max(int(len(values) / rate_hz * REACTION_RATE_HZ), 1)
    at = np.minimum(np.arange(frames) / REACTION_RATE_HZ * rate_hz, len(values) - 1)
    low = np.minimum(at.astype(np.intp), len(values) - 2)
    share = (at - low).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[low] * (1 - share) + values[low + 1] * share, dtype=values.dtype)


def speech_runs(item: Item, rate_hz: float) -> list[tuple[int, int]]:
    """Stretches [start, end) of frames at 25 Hz in which the speaker talks."""
    if item.speech is None:
        return []
    on = np.nan_to_num(at_25_hz(item.speech, rate_hz)) > SPEAKING
    edges = np.diff(np.pad(on.astype(np.int8), 1))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


class Faces:
    """All faces of a result, made when they are asked for."""

    def __init__(self, items: tuple[Item, ...], systems: tuple[System, ...], rate_hz: float) -> None:
        self._items = {item.id: item for item in items}
        self._systems = {system.name: system for system in systems}
        self._rate_hz = rate_hz
        self._made: dict[tuple[str, str], Face | None] = {}

    def speaker(self, item: str) -> Face | None:
        """The speaker of an item; None: no curves were kept."""
        return self._face(("", item), self._items[item].speaker)

    def people(self, item: str) -> Face | None:
        """The recorded listener of an item, if there is one."""
        return self._face((PEOPLE, item), self._items[item].truth)

    def listener(self, system: str, item: str) -> Face | None:
        """What a system showed; `system` may be PEOPLE."""
        if system == PEOPLE and system not in self._systems:
            return self.people(item)
        return self._face((f"system {system}", item), self._systems[system].streams.get(item))

    def items_of(self, system: str) -> list[str]:
        """Items that a system has a stream of."""
        if system == PEOPLE and system not in self._systems:
            return [id_ for id_, item in self._items.items() if item.truth is not None]
        return [id_ for id_ in self._items if id_ in self._systems[system].streams]

    def _face(self, key: tuple[str, str], values: NDArray[Any] | None) -> Face | None:
        if key not in self._made:
            self._made[key] = face(values, self._rate_hz) if values is not None and len(values) else None
        return self._made[key]
