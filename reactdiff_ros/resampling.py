"""Any sound to 16 kHz mono: downmix and a causal windowed-sinc resampler.

A streaming FFT resampler (soxr) hands out its samples in blocks, 20 to 115 ms late; this filter is 1.5 to 3 ms late,
always by the same time, and gives the same samples however the sound is cut into chunks.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS

RATE_HZ: Final = 16000
_ZERO_CROSSINGS: Final = 24
_KAISER_BETA: Final = 7.0
_ROLL_OFF: Final = 0.92
_MAX_PHASES: Final = 1024
_BLOCK: Final = 320
"""Outputs that are made at once: bounds the memory that a long chunk takes."""
_FULL_SCALE: Final = np.float32(1.0 / 32768.0)


class Resampler:
    """A stream of mono float32 samples of one rate in, 16 kHz out.

    Output sample k is the input at k / 16000 s, filtered with a Kaiser-windowed sinc (stop band about 70 dB); it can
    be made once the input reaches `delay_ns` further.

    Args:
        rate_hz: input rate, 8000..192000.
    """

    def __init__(self, rate_hz: int) -> None:
        divisor = math.gcd(rate_hz, RATE_HZ)
        self._up, self._down = RATE_HZ // divisor, rate_hz // divisor
        self._direct = rate_hz == RATE_HZ
        self._half = 0 if self._direct else math.ceil(_ZERO_CROSSINGS * rate_hz / min(rate_hz, RATE_HZ))
        self.delay_ns = self._half * NS // rate_hz
        self._phases = min(self._up, _MAX_PHASES)
        self._taps = np.zeros((0, 0), np.float32) if self._direct else _taps(rate_hz, self._half, self._phases)
        # Filters recur after `up` outputs: where that is soon they stand in the order of the outputs, block by block.
        self._ordered = self._filters(0, self._up + _BLOCK) if not self._direct and self._up <= _MAX_PHASES else None
        self._buffer = np.zeros(self._half, np.float32)
        self._first = -self._half
        """Input index of the buffer's first sample; what lies before the stream is silence."""
        self._given = 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Append input samples (n,)."""
        self._buffer = np.concatenate([self._buffer, samples])

    def reach(self) -> int:
        """How many output samples, since the start, the input so far allows."""
        known = self._first + len(self._buffer)
        if self._direct:
            return known
        last = known - self._half - 1  # the newest input index that may be an output's base
        return 0 if last < 0 else ((last + 1) * self._up - 1) // self._down + 1

    def take(self, count: int) -> NDArray[np.float32]:
        """The next `count` output samples; the caller has asked `reach`."""
        if self._direct:
            direct = self._buffer[:count]
            self._buffer, self._first = self._buffer[count:], self._first + count
            return direct
        if count <= _BLOCK:
            return self._filtered(count)
        return np.concatenate([self._filtered(min(_BLOCK, count - done)) for done in range(0, count, _BLOCK)])

    def _filtered(self, count: int) -> NDArray[np.float32]:
        whole, start = divmod(self._given, self._up)
        if self._ordered is None:
            bases, weights = self._filters(start, count)
        else:
            bases, weights = self._ordered[0][start : start + count], self._ordered[1][start : start + count]
        step = self._buffer.strides[0]
        windows: NDArray[np.float32] = np.ndarray(
            (len(self._buffer) - 2 * self._half + 1, 2 * self._half), np.float32, self._buffer, 0, (step, step)
        )
        first = whole * self._down - self._half + 1 - self._first
        taken: NDArray[np.float32] = np.einsum("ij,ij->i", windows[bases + first], weights)
        self._given += count
        done = max(0, self._given * self._down // self._up - self._half + 1 - self._first)
        self._buffer, self._first = self._buffer[done:], self._first + done
        return taken

    def _filters(self, start: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Input indices (count,) and filters (count, 2 * half) of outputs from `start` on."""
        bases, phases = np.divmod(np.arange(start, start + count, dtype=np.int64) * self._down, self._up)
        return bases, self._taps[phases * self._phases // self._up]


def _taps(rate_hz: int, half: int, phases: int) -> NDArray[np.float32]:
    """(phases, 2 * half): weights of inputs base - half + 1 .. base + half for the output at base + phase / phases."""
    offsets = np.arange(-half + 1, half + 1)[None, :] - np.arange(phases)[:, None] / phases
    cutoff = _ROLL_OFF * min(1.0, RATE_HZ / rate_hz)
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1.0 - (offsets / half) ** 2, 0.0, None))) / np.i0(_KAISER_BETA)
    taps = np.sinc(cutoff * offsets) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), np.float32)


def mono(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """int16 (n, channels) to the mean of all channels, float32 in -1..1."""
    # The sum of integers is exact, so the result does not depend on how the sound was cut.
    total = samples[:, 0].astype(np.int32)
    for channel in range(1, samples.shape[1]):  # several times faster than to sum over a short last axis
        total += samples[:, channel]
    return np.asarray(total.astype(np.float32) * (_FULL_SCALE / np.float32(samples.shape[1])), np.float32)
