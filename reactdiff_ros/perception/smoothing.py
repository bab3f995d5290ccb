"""The one-euro filter (Casiez, Roussel, Vogel 2012): smooth when still, quick when quick. Causal."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class OneEuro:
    """Filters a vector of values of one scale (a unit is a full movement).

    Args:
        cutoff_hz: cut-off of a still signal, a number or one for each value.
        beta: how much the cut-off rises, in Hz for a speed of one unit a second.
        gap_s: after a pause longer than this the filter starts anew.
    """

    def __init__(self, cutoff_hz: float | Array, beta: float = 1.0, gap_s: float = 0.5) -> None:
        self._cutoff, self._beta, self._gap_s = cutoff_hz, beta, gap_s
        self._time_ns: int | None = None
        self._value: Array = np.zeros(0)
        self._speed: Array = np.zeros(0)

    def reset(self) -> None:
        """Forgets everything; the next value passes unchanged."""
        self._time_ns = None

    def __call__(self, stamp_ns: int, values: Array) -> Array:
        """The filtered values at `stamp_ns`. NaN in, last value out (0 if there is none)."""
        dt = math.inf if self._time_ns is None else (stamp_ns - self._time_ns) / 1e9
        if not 0 < dt <= self._gap_s:
            self._time_ns = stamp_ns
            self._value = np.where(np.isfinite(values), values, 0.0)
            self._speed = np.zeros_like(self._value)
            return self._value
        values = np.where(np.isfinite(values), values, self._value)
        self._time_ns = stamp_ns
        slow = _alpha(3.0, dt)
        self._speed = self._speed + slow * ((values - self._value) / dt - self._speed)
        self._value = self._value + _alpha(self._cutoff + self._beta * np.abs(self._speed), dt) * (values - self._value)
        return self._value


def _alpha(cutoff_hz: float | Array, dt: float) -> Array:
    return np.asarray(1.0 / (1.0 + 1.0 / (2.0 * math.pi * np.asarray(cutoff_hz) * dt)))
