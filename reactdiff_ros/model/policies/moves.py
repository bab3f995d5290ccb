"""Movements of a listener in closed form, with human dynamics: smiles, nods, brow raises, tilts.

Every movement is a smooth function of time that starts and ends at zero, so that any plan made later continues any
plan made before. Numbers: Frank, Ekman, Friesen 1993 and Schmidt et al. 2003, 2006 (smiles); nods measured in 44
dyads (ROC-HCI/synchrony_features: 4.1 / 5.2 / 7.1 degrees peak to peak, 1.5 / 1.8 / 2.1 Hz) and 2264 annotated ones
(jobschepens/cross-modal-head-nod-analysis: number of peaks); shape after Mori, Den, Jokinen 2025.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Protocol

import numpy as np

from reactdiff_ros.clock import to_ns, to_s
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, HEAD_ROLL, INDEX, ROTATION
from reactdiff_ros.model.plan.level import HORIZON_FRAMES, Frames
from reactdiff_ros.types import REACTION_RATE_HZ

NOD_CYCLES: Final = (1, 2, 3, 4)
NOD_CYCLES_SHARE: Final = (277 / 525, 148 / 525, 80 / 525, 20 / 525)
SAG: Final = 0.15
SAG_S: Final = 3.0
"""A held face is not frozen: it sags by this share within this time."""
HORIZON_NS: Final = to_ns(HORIZON_FRAMES / REACTION_RATE_HZ)
SMILE: Final = {"mouthSmile": 1.0, "cheekSquint": 0.55, "eyeSquint": 0.25, "mouthDimple": 0.1}


def _ramp(x: float) -> float:
    """Minimum-jerk ramp, 0..1."""
    x = min(max(x, 0.0), 1.0)
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


def face(**values: float) -> Frames:
    """A face (58,) from values by name; a name without a side means both sides."""
    result = np.zeros(COEFFICIENT_COUNT)
    for name, value in values.items():
        for key in (name,) if name in INDEX else (f"{name}Left", f"{name}Right"):
            result[INDEX[key]] = value
    return result


class Move(Protocol):
    """A movement: when it starts, its face (58,) at a time, and when it is over (None: open end)."""

    @property
    def start_ns(self) -> int:
        """When it begins."""
        ...

    def value(self, time_ns: int) -> Frames:
        """The movement's part of the face at `time_ns`."""
        ...

    def end_ns(self) -> int | None:
        """When it is over."""
        ...

    def postponed(self, start_ns: int) -> Move | None:
        """The movement where its start was missed and `start_ns` is the first chance; None: too late for it."""
        ...


@dataclass(slots=True)
class Swell:
    """A face that rises in `rise_s`, stays, and falls in `fall_s` from `release_ns` on (None: not decided yet)."""

    start_ns: int
    goal: Frames
    rise_s: float
    fall_s: float
    release_ns: int | None = None
    LATEST_S: ClassVar[float] = 0.4
    """Later than this an answer of the face is worse than none."""

    def value(self, time_ns: int) -> Frames:
        """The face at `time_ns`, (58,)."""
        age_s = to_s(time_ns - self.start_ns)
        level = _ramp(age_s / self.rise_s) * (1.0 - SAG * _ramp((age_s - self.rise_s) / SAG_S))
        if self.release_ns is not None:
            level *= 1.0 - _ramp(to_s(time_ns - self.release_ns) / self.fall_s)
        result: Frames = level * self.goal
        return result

    def end_ns(self) -> int | None:
        """When it has fallen."""
        return None if self.release_ns is None else self.release_ns + to_ns(self.fall_s)

    def postponed(self, start_ns: int) -> Swell | None:
        """Itself, begun at `start_ns`; see `Move`."""
        if to_s(start_ns - self.start_ns) > self.LATEST_S:
            return None
        if self.release_ns is not None:
            self.release_ns += start_ns - self.start_ns
        self.start_ns = start_ns
        return self


@dataclass(frozen=True, slots=True)
class Nod:
    """Dips of the head: cycle i goes down by `sizes_rad[i]` and back."""

    start_ns: int
    rate_hz: float
    sizes_rad: tuple[float, ...]
    LATEST_S: ClassVar[float] = 0.15

    def value(self, time_ns: int) -> Frames:
        """The face at `time_ns`, (58,): head pitch only."""
        result = np.zeros(COEFFICIENT_COUNT)
        cycles = to_s(time_ns - self.start_ns) * self.rate_hz
        if 0.0 <= cycles < len(self.sizes_rad):
            which = int(cycles)
            result[HEAD_PITCH] = self.sizes_rad[which] * (1.0 - math.cos(2.0 * math.pi * (cycles - which))) / 2.0
        return result

    def end_ns(self) -> int | None:
        """When the last dip is over."""
        return self.start_ns + to_ns(len(self.sizes_rad) / self.rate_hz)

    def postponed(self, start_ns: int) -> Nod | None:
        """The nod a moment later; see `Move`."""
        late = to_s(start_ns - self.start_ns) > self.LATEST_S
        return None if late else replace(self, start_ns=start_ns)


class Moves:
    """The movements under way: blendshapes show the strongest, head motions add up."""

    def __init__(self) -> None:
        self._moves: list[Move] = []
        self._begun: list[Move] = []

    def __contains__(self, move: object) -> bool:
        """Whether that very movement is under way or waits."""
        return any(m is move for m in self._moves)

    def add(self, move: Move) -> None:
        """Begin a movement."""
        self._moves.append(move)

    def cancel(self, after_ns: int, kind: type | tuple[type, ...] = object) -> None:
        """Drop what (of this kind) would begin only after `after_ns`."""
        self._moves = [m for m in self._moves if m.start_ns <= after_ns or not isinstance(m, kind)]

    def planned(self, start_ns: int) -> None:
        """A plan from `start_ns` on is made: what is over is forgotten; what should have begun before and was in no
        plan begins now, or not at all where that is too late (no nod is played late).
        """
        kept: list[Move] = []
        for move in self._moves:
            missed = move.start_ns < start_ns and not any(m is move for m in self._begun)
            due = move.postponed(start_ns) if missed else move
            if due is not None and ((end := due.end_ns()) is None or end > start_ns):
                kept.append(due)
        self._moves = kept
        self._begun = [m for m in kept if m.start_ns < start_ns + HORIZON_NS]

    def value(self, time_ns: int) -> Frames:
        """The face at `time_ns`, (58,)."""
        result = np.zeros(COEFFICIENT_COUNT)
        for move in self._moves:
            part = move.value(time_ns)
            head = result[ROTATION.start :] + part[ROTATION.start :]
            result = np.maximum(result, part)
            result[ROTATION.start :] = head
        return result


def draw_nod(start_ns: int, rng: np.random.Generator) -> Nod:
    """A nod as listeners make them: the first dip is larger the more follow, each next one smaller, the last least."""
    count = int(rng.choice(NOD_CYCLES, p=NOD_CYCLES_SHARE))
    size = math.radians(min(max(5.2 * math.exp(0.35 * rng.standard_normal()), 3.0), 9.0)) * (0.9 + 0.1 * count)
    sizes = [size * 0.75**i for i in range(count)]
    if count > 1:
        sizes[-1] *= 0.8
    return Nod(start_ns, float(rng.uniform(1.2, 2.1)), tuple(sizes))


def draw_smile(start_ns: int, strength: float, rng: np.random.Generator) -> Swell:
    """A smile of `strength` 0..1: slower the larger it is (0.4 to 0.75 s), a little lopsided, with open end."""
    goal = face(**{name: strength * part for name, part in SMILE.items()})
    weaker = "Left" if rng.random() < 0.5 else "Right"
    goal[INDEX[f"mouthSmile{weaker}"]] *= rng.uniform(0.86, 0.98)
    if strength > 0.5:
        goal += face(jawOpen=0.15 * (strength - 0.5), mouthUpperUp=0.3 * (strength - 0.5))
    rise = 0.40 + 0.35 * strength * float(rng.uniform(0.8, 1.0))
    return Swell(start_ns, goal, rise, float(rng.uniform(0.6, 1.3)))


def draw_brow_raise(start_ns: int, strength: float, rng: np.random.Generator) -> Swell:
    """Brows up for about 1.1 s."""
    goal = face(browInnerUp=0.8 * strength, browOuterUp=strength, eyeWide=0.3 * strength)
    move = Swell(start_ns, goal, float(rng.uniform(0.2, 0.3)), float(rng.uniform(0.35, 0.5)))
    move.release_ns = start_ns + to_ns(move.rise_s + float(rng.uniform(0.3, 0.7)))
    return move


def draw_concern(start_ns: int, rng: np.random.Generator) -> Swell:
    """Sympathy with sadness: inner brows up, lips together, head a little down and aside. Frowns are not mirrored."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    goal = face(browInnerUp=0.35, mouthPress=0.15, headPitch=0.03, headRoll=side * 0.04)
    return Swell(start_ns, goal, 0.7, 1.2, start_ns + to_ns(float(rng.uniform(2.0, 4.0))))


def draw_tilt(start_ns: int, rng: np.random.Generator) -> Swell:
    """The head leans to one side by 3 to 6 degrees for some seconds."""
    goal = np.zeros(COEFFICIENT_COUNT)
    goal[HEAD_ROLL] = (1.0 if rng.random() < 0.5 else -1.0) * math.radians(rng.uniform(3.0, 6.0))
    return Swell(start_ns, goal, 0.7, 0.9, start_ns + to_ns(float(rng.uniform(1.8, 4.5))))
