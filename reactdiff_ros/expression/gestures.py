"""Gesture layer: short, named movements on request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from reactdiff_ros.clock import to_s
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, HEAD_YAW, INDEX, ROTATION
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.expression.motion import ramp
from reactdiff_ros.types import Array


@dataclass(frozen=True)
class Gesture:
    """A face that rises, holds and falls (minimum jerk), and a head swing of `cycles` with declining amplitude."""

    face: Mapping[str, float] = field(default_factory=dict)
    rise_s: float = 0.35
    hold_s: float = 0.9
    fall_s: float = 0.6
    swing: int | None = None
    """Index of the head rotation that swings."""
    swing_rad: float = 0.0
    """First swing, peak to peak for a nod (down and back), to each side for a shake."""
    cycles: int = 0
    rate_hz: float = 1.6
    both_sides: bool = False
    clears: bool = False
    """Takes the plan's face away while it lasts."""

    @property
    def duration_s(self) -> float:
        """Seconds from start to end."""
        shape = self.rise_s + self.hold_s + self.fall_s if self.face or self.clears else 0.0
        return max(shape, self.cycles / self.rate_hz)


def _both(**values: float) -> dict[str, float]:
    return {f"{name}{side}": value for name, value in values.items() for side in ("Left", "Right")}


GESTURES: Final[Mapping[str, Gesture]] = MappingProxyType(
    {
        "neutral": Gesture(clears=True, rise_s=0.4, hold_s=1.0, fall_s=0.5),
        "nod": Gesture(swing=HEAD_PITCH, swing_rad=math.radians(6.5), cycles=2, rate_hz=1.7),
        "shake": Gesture(swing=HEAD_YAW, swing_rad=math.radians(6.0), cycles=3, rate_hz=1.6, both_sides=True),
        "brow_raise": Gesture({"browInnerUp": 0.5, **_both(browOuterUp=0.6, eyeWide=0.15)}, rise_s=0.25, hold_s=0.5),
        "smile": Gesture(_both(mouthSmile=0.7, cheekSquint=0.4, eyeSquint=0.2), rise_s=0.5, hold_s=1.4, fall_s=0.9),
        "surprised": Gesture(
            {"browInnerUp": 0.8, "jawOpen": 0.25, **_both(browOuterUp=0.75, eyeWide=0.6)}, rise_s=0.25, hold_s=0.7
        ),
        "sad": Gesture(
            {"browInnerUp": 0.6, "mouthShrugLower": 0.2, "headPitch": 0.08, **_both(mouthFrown=0.5)}, rise_s=0.6
        ),
        "concerned": Gesture(
            {"browInnerUp": 0.45, "headRoll": 0.06, **_both(browDown=0.2, mouthPress=0.25)}, rise_s=0.5, hold_s=1.2
        ),
        "puzzled": Gesture(
            {
                "browDownLeft": 0.45,
                "browOuterUpRight": 0.6,
                "headRoll": 0.12,
                "mouthLeft": 0.35,
                **_both(mouthPress=0.35),
            },
            hold_s=1.2,
        ),
        "tilt": Gesture({"headRoll": 0.12}, rise_s=0.5, hold_s=1.2),
        "wink": Gesture(
            {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.4, "mouthSmileLeft": 0.4, "mouthSmileRight": 0.2},
            rise_s=0.14,
            hold_s=0.12,
            fall_s=0.22,
        ),
    }
)
"""Gestures by name."""
MAX_STRENGTH: Final = 2.0


class Gestures:
    """Plays the newest gesture; a new one takes over from where the last one is."""

    def __init__(self) -> None:
        self._gesture: Gesture | None = None
        self._start_ns = 0
        self._strength = 1.0
        self._goal: Array = np.zeros(COEFFICIENT_COUNT)
        self._left_over: Array = np.zeros(COEFFICIENT_COUNT)
        self._value: Array = np.zeros(COEFFICIENT_COUNT)
        self.keep = 1.0
        """Share of the plan's face that the gesture leaves, 0..1."""

    def start(self, name: str, now_ns: int, strength: float = 1.0) -> None:
        """Begin the named gesture at the next tick, `strength` times its ordinary size.

        Raises:
            ConfigError: the name is unknown, or the strength is not 0 to MAX_STRENGTH.
        """
        if name not in GESTURES:
            raise ConfigError("unknown gesture", where=name, todo=f"use one of {', '.join(sorted(GESTURES))}")
        if not 0.0 <= strength <= MAX_STRENGTH:
            raise ConfigError(f"the strength {strength:g} of a gesture is out of range", where=name, todo="give 0 to 2")
        self._left_over = self._value.copy()
        self._strength = strength
        self._gesture, self._start_ns = GESTURES[name], now_ns
        self._goal = np.zeros(COEFFICIENT_COUNT)
        for key, value in self._gesture.face.items():
            self._goal[INDEX[key]] = strength * value

    @property
    def active(self) -> bool:
        """A gesture is being played."""
        return self._gesture is not None

    def clear(self) -> None:
        """The clock jumped: no gesture any more."""
        self._gesture = None
        self._value = np.zeros(COEFFICIENT_COUNT)
        self.keep = 1.0

    def advance(self, now_ns: int) -> Array | None:
        """The gesture's face at `now_ns`, (58,), or None when there is none."""
        gesture = self._gesture
        if gesture is None:
            return None
        age = to_s(now_ns - self._start_ns)
        if age >= gesture.duration_s + 0.3:
            self.clear()
            return None
        envelope = ramp(age / gesture.rise_s) - ramp((age - gesture.rise_s - gesture.hold_s) / gesture.fall_s)
        value = envelope * self._goal
        if gesture.swing is not None:
            value[gesture.swing] += self._strength * _swing(gesture, age)
        self.keep = 1.0 - min(self._strength, 1.0) * envelope if gesture.clears else 1.0
        fade = 1.0 - ramp(age / 0.3)
        self._value = value + fade * self._left_over if fade > 0.0 else value
        return self._value


def _swing(gesture: Gesture, age_s: float) -> float:
    """Head swing: the first cycle is the largest, each next one 0.75 of it (Mori, Den, Jokinen 2025)."""
    cycle = int(age_s * gesture.rate_hz)
    if age_s < 0.0 or cycle >= gesture.cycles:
        return 0.0
    phase = 2.0 * math.pi * (age_s * gesture.rate_hz - cycle)
    size = gesture.swing_rad * 0.75**cycle
    return size * math.sin(phase) if gesture.both_sides else size * (1.0 - math.cos(phase)) / 2.0


def merge(face: Array, gesture: Array) -> Array:
    """Plan and gesture in one: the stronger blendshape, the sum of head motions."""
    merged = np.maximum(face, gesture)
    merged[ROTATION.start :] = face[ROTATION.start :] + gesture[ROTATION.start :]
    return merged
