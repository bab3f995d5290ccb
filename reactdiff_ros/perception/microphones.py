"""Where a voice comes from: the delay between two microphones, by GCC-PHAT.

Knapp & Carter 1976, "The generalized correlation method for estimation of time delay": the phases of the cross
spectrum, without its magnitudes, add up where the delay is right. Only the parts of the spectrum that rise above the
noise and above the decay of what was heard before have a say, so that fans and rooms have little.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.types import Array, FloatArray, Sound

SOUND_M_S: Final = 343.0
_BLOCK_S: Final = 0.064
_HOPS: Final = 2
"""Hops a block."""
_LOW_HZ: Final = 200.0
_HIGH_HZ: Final = 7000.0
_AVERAGE_S: Final = 0.15
_NOISE_AVERAGE_S: Final = 0.1
_NOISE_RISE_S: Final = 2.0
_ABOVE_NOISE: Final = 8.0
"""Power over the least of a short average, which is about half of the noise's mean."""
_DECAY_S: Final = 0.1
"""Of the power of what was heard before: a room whose sound takes 1.4 s to fall by 60 dB."""
_ABOVE_DECAY: Final = 0.5
_DELAYS: Final = 81
_REACH: Final = 1.1
"""Delays that are searched, in delays between the microphones. Clocks and spacings are not exact."""
_ALIKE: Final = 1e-4
"""Share of the power that differs below which both channels are one microphone's."""
_DEAD: Final = 1e-4
"""Power of one channel, in that of the other, below which it is dead."""
_FEWEST: Final = 0.05
"""Share of the bins that must be heard, on average."""
_JITTER_NS: Final = NS // 25
_FRESH_NS: Final = NS // 5
_HISTORY: Final = 64


@dataclass(frozen=True, slots=True)
class Arrival:
    """A voice at two microphones: `delay_s` by which it reaches the left one later than the right one, so positive
    from the right; `clarity` 0..1, the share of the spectrum that agrees.
    """

    end_ns: int
    delay_s: float
    clarity: float


class MicrophonePair:
    """Takes sound of two channels; says where the newest of it came from.

    Causal, bounded, deterministic. Left and right are those of the picture; the camera is between them. Sound without a
    direction gives no arrival: another number of channels, equal channels, a dead one, silence.

    Args:
        spacing_m: distance of the microphones.
        first_right: the first channel is the right one's.
    """

    def __init__(self, spacing_m: float, *, first_right: bool = False) -> None:
        self.spacing_m = spacing_m
        self._sides = (1, 0) if first_right else (0, 1)
        self.reset()

    def reset(self) -> None:
        """Forget everything heard."""
        self._rate_hz = 0
        self._end_ns = 0
        self._waiting = np.zeros((0, 2), np.int16)
        self._arrivals: deque[Arrival] = deque(maxlen=_HISTORY)

    def push(self, sound: Sound) -> None:
        """Hear a chunk, int16 (n, 2) at 8 to 192 kHz; of others it says nothing. After a hole it starts again."""
        if sound.samples.ndim != 2 or sound.samples.shape[1] != 2 or not 8000 <= sound.rate_hz <= 192000:
            self.reset()
            return
        if sound.rate_hz != self._rate_hz or abs(sound.stamp_ns - self._end_ns) > _JITTER_NS:
            self._begin(sound.rate_hz)
        self._waiting = np.concatenate([self._waiting, sound.samples])
        self._end_ns = sound.end_ns
        while len(self._waiting) >= self._block:
            after = len(self._waiting) - self._block
            self._hear(self._waiting[: self._block], sound.end_ns - after * NS // sound.rate_hz)
            self._waiting = self._waiting[self._hop :]

    def latest(self, now_ns: int) -> Arrival | None:
        """The newest arrival that was heard entirely before `now_ns`, at most 0.2 s before; None: not known."""
        for arrival in reversed(self._arrivals):
            if arrival.end_ns <= now_ns:
                return arrival if now_ns - arrival.end_ns <= _FRESH_NS else None
        return None

    def delay_s(self, place: FloatArray) -> float:
        """The delay of a sound from `place` (3,), m in the camera's optical frame, far from the microphones."""
        return self.spacing_m / SOUND_M_S * float(place[0]) / (float(np.linalg.norm(place)) or 1.0)

    def _begin(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._block = round(_BLOCK_S * rate_hz)
        self._hop = self._block // _HOPS
        self._hop_s = self._hop / rate_hz
        self._waiting = np.zeros((0, 2), np.int16)
        self._window = np.hanning(self._block + 2)[1:-1, None]
        bins = np.fft.rfftfreq(self._block, 1.0 / rate_hz)
        self._bins = np.flatnonzero((bins >= _LOW_HZ) & (bins <= min(_HIGH_HZ, 0.45 * rate_hz)))
        reach = _REACH * self.spacing_m / SOUND_M_S
        self._delays = np.linspace(-reach, reach, _DELAYS)
        self._steering = np.exp(2j * math.pi * self._delays[:, None] * bins[self._bins])
        self._phases = np.zeros(len(self._bins), np.complex128)
        self._heard = 0.0
        self._noise: Array | None = None
        self._decaying = np.zeros(len(self._bins))
        self._arrivals.clear()

    def _hear(self, block: NDArray[np.int16], end_ns: int) -> None:
        kept = math.exp(-self._hop_s / _AVERAGE_S)
        self._phases *= kept
        self._heard *= kept
        samples = block[:, self._sides] - block.mean(axis=0, dtype=np.float64)[list(self._sides)]
        if not _differ(samples):
            return
        left, right = np.fft.rfft(samples * self._window, axis=0)[self._bins].T
        cross = left * right.conj()
        power = np.abs(cross)
        clear = self._clear(power)
        self._phases += (1.0 - kept) * clear * cross / np.maximum(power, 1e-9)
        self._heard += (1.0 - kept) * float(clear.mean())
        if self._heard < _FEWEST:
            return
        # A left channel that is late by d has its phase turned by -2 pi f d.
        agreement = (self._steering @ self._phases).real / (len(self._bins) * self._heard)
        peak = int(agreement.argmax())
        shift = 0.0
        if 0 < peak < _DELAYS - 1:
            before, at, after = agreement[peak - 1 : peak + 2]
            curve = before - 2.0 * at + after
            shift = 0.5 * (before - after) / curve if curve < 0.0 else 0.0
        step = self._delays[1] - self._delays[0]
        clarity = min(max(float(agreement[peak]), 0.0), 1.0)
        self._arrivals.append(Arrival(end_ns, float(self._delays[peak] + shift * step), clarity))

    def _clear(self, power: Array) -> Array:
        """1 for the bins that rise above the noise and the decay of what was before, else 0."""
        if self._noise is None:
            self._noise = self._smooth = power.copy()
        self._smooth += (1.0 - math.exp(-self._hop_s / _NOISE_AVERAGE_S)) * (power - self._smooth)
        self._noise = np.minimum(self._smooth, self._noise * math.exp(self._hop_s / _NOISE_RISE_S) + 1e-3)
        clear = (power > _ABOVE_NOISE * self._noise) & (power >= _ABOVE_DECAY * self._decaying)
        self._decaying = np.maximum(power, self._decaying * math.exp(-self._hop_s / _DECAY_S))
        return clear.astype(np.float64)


def _differ(samples: Array) -> bool:
    """Whether two microphones heard this: neither is silent, and one is not a copy of the other."""
    (a, ab), (_, b) = samples.T @ samples / len(samples)
    if min(a, b) <= max(1.0, _DEAD * max(a, b)):
        return False
    return bool(1.0 - ab * ab / (a * b) > _ALIKE)
