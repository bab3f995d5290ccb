"""Building blocks of state machines that step over frames: noise, onsets, envelopes and filters for N listeners.

Each part of a listener owns a generator and draws the same amount every frame, whatever happens: so a number belongs
to a frame, two runs with one seed share their noise exactly, and nothing reads ahead.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.model.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

from .motion import BoolArray, smooth_step

STEP: Final = np.float32(FRAME_S)


class Noise:
    """Frame-indexed random numbers of one part of N listeners."""

    def __init__(self, root: np.random.SeedSequence, part: int, count: int) -> None:
        state = [int(n) for n in root.generate_state(4)]
        self._uniform = np.random.Generator(np.random.SFC64([*state, part, 0]))
        self._normal = np.random.Generator(np.random.SFC64([*state, part, 1]))
        self._count = count

    def uniform(self, rows: int) -> FloatArray:
        """(rows, N) in 0..1."""
        return self._uniform.random((rows, self._count), dtype=np.float32)

    def normal(self, rows: int) -> FloatArray:
        """(rows, N), standard normal."""
        return self._normal.standard_normal((rows, self._count), dtype=np.float32)


def rate_of(tau_s: float | FloatArray) -> FloatArray:
    """The share of the way that a first-order filter of time constant `tau_s` goes in one frame."""
    return np.asarray(1.0 - np.exp(-FRAME_S / np.asarray(tau_s, dtype=np.float64)), dtype=np.float32)


def lognormal(normal: FloatArray, median: float | FloatArray, sigma: float) -> FloatArray:
    """Log-normal numbers from standard normal ones."""
    return np.asarray(median * np.exp(np.float32(sigma) * normal), dtype=np.float32)


class Onsets:
    """Moments at which signals (E, N) rise past a threshold, each armed again once its signal is below half of it."""

    def __init__(self, thresholds: FloatArray, first: FloatArray) -> None:
        self._high = np.asarray(thresholds, dtype=np.float32)[:, None]
        self._armed = first < 0.5 * self._high

    def step(self, signals: FloatArray) -> BoolArray:
        """(E, N): begins now."""
        begins = self._armed & (signals >= self._high)
        self._armed = (self._armed & ~begins) | (signals < 0.5 * self._high)
        return begins


class Oscillators:
    """Ornstein-Uhlenbeck processes (E, N) of unit variance, each low-passed once so that it is smooth.

    A first-order process of time constant tau has its corner at 1 / (2 pi tau) Hz; the second filter takes away what
    would be jitter above 1 / (2 pi smooth) Hz.
    """

    def __init__(self, tau_s: FloatArray, smooth_s: FloatArray, start: FloatArray) -> None:
        keep = np.exp(-FRAME_S / np.asarray(tau_s, dtype=np.float64))
        soft = np.exp(-FRAME_S / np.asarray(smooth_s, dtype=np.float64))
        self._keep = keep.astype(np.float32)[:, None]
        self._kick = np.sqrt(1.0 - keep**2).astype(np.float32)[:, None]
        self._rate = (1.0 - soft).astype(np.float32)[:, None]
        # Stationary variance of the second filter's output for a first-order input of unit variance.
        variance = (1.0 - soft) * (1.0 + keep * soft) / ((1.0 + soft) * (1.0 - keep * soft))
        self._scale = (1.0 / np.sqrt(variance)).astype(np.float32)[:, None]
        self._first = start.astype(np.float32)
        self._second = (start * np.sqrt(variance)[:, None]).astype(np.float32)

    def step(self, noise: FloatArray) -> FloatArray:
        """(E, N), the next frame, from standard normal noise (E, N)."""
        self._first = self._keep * self._first + self._kick * noise
        self._second = self._second + self._rate * (self._first - self._second)
        return np.asarray(self._second * self._scale, dtype=np.float32)


class Envelopes:
    """Movements (E, N) with a wait, a rise, a hold and a fall, all minimum jerk; a new one takes over the old."""

    def __init__(self, rows: int, count: int) -> None:
        shape = (rows, count)

        def full(value: float) -> FloatArray:
            return np.full(shape, value, dtype=np.float32)

        self.value = full(0.0)
        self.waits = full(np.inf)
        """Seconds until the requested movement begins; infinite: none is requested."""
        self._from, self._to, self._clock, self._length = full(0.0), full(0.0), full(1.0), full(1.0)
        self._left = full(0.0)
        self._falls = np.ones(shape, dtype=bool)
        self._next = (full(0.0), full(1.0), full(0.0), full(1.0))
        self._fall = full(1.0)

    @property
    def busy(self) -> BoolArray:
        """(E, N): a movement goes on or is about to."""
        return np.asarray((self.value > 0.02) | np.isfinite(self.waits))

    def request(
        self, where: BoolArray, wait: FloatArray, size: FloatArray, rise: FloatArray, hold: FloatArray, fall: FloatArray
    ) -> None:
        """Ask for movements: all (E, N), or what broadcasts to it."""
        self.waits = np.where(where, np.maximum(wait, STEP), self.waits).astype(np.float32)
        for old, new in zip(self._next, (size, rise, hold, fall), strict=True):
            np.copyto(old, np.broadcast_to(new, old.shape), where=where)

    def resize(self, where: BoolArray, size: FloatArray) -> None:
        """Movements that still wait get another size."""
        np.copyto(self._next[0], np.broadcast_to(size, self._next[0].shape), where=where & np.isfinite(self.waits))

    def cut(self, where: BoolArray, within: FloatArray | np.float32) -> None:
        """Movements end their hold within so many seconds."""
        self._left = np.where(where, np.minimum(self._left, within), self._left).astype(np.float32)

    def step(self) -> FloatArray:
        """(E, N), the next frame."""
        self.waits -= STEP
        begins = self.waits <= 0
        if begins.any():
            size, rise, hold, fall = self._next
            self._take(begins, self.value, size, rise)
            self._left = np.where(begins, hold, self._left)
            self._fall = np.where(begins, fall, self._fall)
            self._falls &= ~begins
            self.waits[begins] = np.inf
        self._clock += STEP
        held = (self._clock >= self._length) & ~self._falls
        self._left -= STEP * held
        ends = held & (self._left <= 0)
        if ends.any():
            self._take(ends, self._to, np.float32(0.0), self._fall)
            self._falls |= ends
        self.value = self._from + (self._to - self._from) * smooth_step(self._clock / self._length)
        return self.value

    def _take(self, where: BoolArray, start: FloatArray, to: FloatArray | np.float32, length: FloatArray) -> None:
        self._from = np.where(where, start, self._from)
        self._to = np.where(where, to, self._to)
        self._length = np.where(where, np.maximum(length, STEP), self._length)
        self._clock = np.where(where, np.float32(0.0), self._clock)
