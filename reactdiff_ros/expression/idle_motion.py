"""Blinks, breathing and sway: the small motion of a living body."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from reactdiff_ros.clock import to_ns, to_s
from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX
from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.motion import approach, ramp
from reactdiff_ros.types import Array, FaceMode

# ---- Blinks

# Intervals within a person are log-normal; the spread, and the chance that a large gaze shift brings a blink with it,
# are set so that the sum stays near the rate asked for (Bentivoglio et al. 1997: 26 a minute in conversation, 17 at
# rest; Doughty 2001: 10.5 to 32.5).
INTERVAL_SIGMA: Final = 0.55
SHORTEST_INTERVAL_S: Final = 0.7
LONGEST_INTERVAL_S: Final = 10.0
SHIFT_BLINK_SHARE: Final = 0.5
PHRASE_BLINK_SHARE: Final = 0.6
CLOSED: Final = 0.5
"""A lid past this counts as a blink that the plan makes itself."""


class Blinks:
    """Lid closure over time. Durations: closing 75 to 100 ms, closed 20 to 60, opening 120 to 180 (215 to 340)."""

    def __init__(self, config: ExpressionConfig, rng: np.random.Generator) -> None:
        self._rng = rng
        self._mean_s = 60.0 / config.blink_rate_per_min
        self._next_ns: int | None = None
        self._start_ns: int | None = None
        self._last_ns = 0
        self._closing_s = self._closed_s = self._opening_s = 0.1

    def clear(self) -> None:
        """The clock jumped: draw the next blink again."""
        self._next_ns = self._start_ns = None

    def advance(self, now_ns: int, *, gaze_shifted: bool, planned: float, phrase_ended: bool = False) -> float:
        """Closure 0..1 at `now_ns`.

        Args:
            now_ns: the tick's time.
            gaze_shifted: a large shift of gaze began with this tick.
            phrase_ended: a phrase of the robot's own speech ended with this tick.
            planned: lid closure 0..1 of the listener's plan; its own blinks count as blinks.
        """
        if self._next_ns is None:
            self._schedule(now_ns, elapsed=self._rng.random())
        assert self._next_ns is not None
        if planned > CLOSED:
            self._last_ns = now_ns
            self._schedule(now_ns)
        rested = to_s(now_ns - self._last_ns) > 1.0
        if self._start_ns is None:
            with_shift = gaze_shifted and rested and self._rng.random() < SHIFT_BLINK_SHARE
            with_phrase = phrase_ended and rested and self._rng.random() < PHRASE_BLINK_SHARE
            if with_shift or with_phrase or now_ns >= self._next_ns:
                self._begin(now_ns)
        return self._closure(now_ns)

    def _begin(self, now_ns: int) -> None:
        self._start_ns = self._last_ns = now_ns
        self._closing_s = self._rng.uniform(0.075, 0.100)
        self._closed_s = self._rng.uniform(0.020, 0.060)
        self._opening_s = self._rng.uniform(0.120, 0.180)
        self._schedule(now_ns)

    def _schedule(self, now_ns: int, elapsed: float = 0.0) -> None:
        """Draw the next blink; `elapsed` is the share of the interval that has gone by already."""
        median = self._mean_s / math.exp(INTERVAL_SIGMA**2 / 2)
        interval = median * math.exp(INTERVAL_SIGMA * self._rng.standard_normal())
        wait = min(max(interval, SHORTEST_INTERVAL_S), LONGEST_INTERVAL_S)
        self._next_ns = now_ns + to_ns((1.0 - elapsed) * wait)

    def _closure(self, now_ns: int) -> float:
        if self._start_ns is None:
            return 0.0
        age = to_s(now_ns - self._start_ns)
        if age <= self._closing_s:
            return ramp(age / self._closing_s)
        age -= self._closing_s + self._closed_s
        if age <= 0.0:
            return 1.0
        if age >= self._opening_s:
            self._start_ns = None
            return 0.0
        return 1.0 - ramp(age / self._opening_s)


# ---- Breathing and sway

BREATH_M: Final = 0.002
BREATH_PITCH_RAD: Final = math.radians(0.35)
# Slow sway of an attentive and of an idle head, degrees: below the 1.2 degrees rms of listening people in
# 0.2 to 0.5 Hz, because the plan brings its own.
SWAY_RAD: Final = {"listening": math.radians(0.4), "idle": math.radians(1.1), "neutral": 0.0}
SWAY_HZ: Final = (0.071, 0.113, 0.187)
HEAD_Y: Final = INDEX["headY"]


class Alive:
    """Adds breathing and sway; both fall silent with stillness 1."""

    def __init__(self, config: ExpressionConfig, rng: np.random.Generator) -> None:
        self._rate_hz = config.breath_rate_per_min / 60.0
        self._breath = rng.uniform(0.0, 2.0 * math.pi)
        self._sway = rng.uniform(0.0, 2.0 * math.pi, (3, 3))
        self._speed = 2.0 * math.pi * np.outer(np.array([1.0, 0.83, 1.21]), np.array(SWAY_HZ))
        self._size = 0.0
        self._drift = rng.uniform(0.0, 2.0 * math.pi)

    def add(self, face: Array, dt_s: float, mode: FaceMode, stillness: float) -> tuple[str, ...]:
        """Add this tick's motion to `face` (58,); returns the names of the layers that acted."""
        liveliness = 1.0 - stillness
        self._size += approach(dt_s, 0.8) * (SWAY_RAD[mode] * liveliness - self._size)
        # Breathing is a little uneven: its rate drifts by a tenth.
        self._drift += 2.0 * math.pi * 0.03 * dt_s
        self._breath += 2.0 * math.pi * self._rate_hz * (1.0 + 0.1 * math.sin(self._drift)) * dt_s
        self._sway = self._sway + self._speed * dt_s
        lift = math.sin(self._breath)
        face[HEAD_Y] += BREATH_M * liveliness * lift
        face[HEAD_PITCH] -= BREATH_PITCH_RAD * liveliness * lift
        sway = np.sin(self._sway).sum(axis=1) * (self._size / 1.5)
        face[HEAD_PITCH] += 0.6 * sway[0]
        face[HEAD_YAW] += sway[1]
        face[HEAD_ROLL] += 0.7 * sway[2]
        breathing = ("breathing",) if liveliness > 0.0 else ()
        return (*breathing, "idle") if mode == "idle" and self._size > 1e-4 else breathing
