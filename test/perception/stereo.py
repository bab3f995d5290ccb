"""Rooms with two microphones: talkers from a direction, their reverberation, and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.perception.microphones import SOUND_M_S
from reactdiff_ros.types import Sound

Array = NDArray[np.float64]


def delayed(samples: Array, seconds: float, rate_hz: int) -> Array:
    """The same sound later, by any part of a sample."""
    spectrum = np.fft.rfft(samples, 2 * len(samples))
    turned = spectrum * np.exp(-2j * np.pi * np.fft.rfftfreq(2 * len(samples), 1 / rate_hz) * seconds)
    return np.fft.irfft(turned)[: len(samples)]


def convolved(samples: Array, response: Array) -> Array:
    size = len(samples) + len(response)
    return np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[: len(samples)]


@dataclass(frozen=True)
class Room:
    """`decay_s`: time in which its sound falls by 60 dB; `direct_db`: direct sound over reverberation, 100 = none."""

    decay_s: float = 0.4
    direct_db: float = 100.0

    def stereo(
        self, samples: Array, bearing_rad: float, spacing_m: float, rate_hz: int, rng: np.random.Generator
    ) -> Array:
        """(n, 2): a talker at `bearing_rad`, positive to the right; six early reflections and a diffuse tail."""
        samples = samples / np.sqrt((samples**2).mean())
        late = spacing_m / SOUND_M_S * np.sin(bearing_rad) / 2
        out = np.stack([delayed(samples, late, rate_hz), delayed(samples, -late, rate_hz)], axis=1)
        if self.direct_db >= 100.0:
            return out
        t = np.arange(round(self.decay_s * rate_hz)) / rate_hz
        tail = rng.standard_normal((len(t), 2)) * (10 ** (-3 * t / self.decay_s) * (t > 0.02))[:, None]
        echoes = np.stack([convolved(samples, tail[:, k]) for k in (0, 1)], axis=1)
        echoes /= np.sqrt((echoes**2).mean())
        for after in rng.uniform(0.002, 0.03, 6):
            way = spacing_m / SOUND_M_S * np.sin(rng.uniform(-np.pi / 2, np.pi / 2)) / 2
            echoes += 0.35 * np.stack([delayed(samples, after + s * way, rate_hz) for s in (1, -1)], axis=1)
        echoes *= 10 ** (-self.direct_db / 20) / np.sqrt((echoes**2).mean())
        return out + echoes


def noisy(stereo: Array, ratio_db: float, rng: np.random.Generator) -> Array:
    """With noise of its own at each microphone."""
    level = np.sqrt((stereo**2).mean()) * 10 ** (-ratio_db / 20)
    return stereo + level * rng.standard_normal(stereo.shape)


def int16(stereo: Array, level: float = 2000.0) -> NDArray[np.int16]:
    return np.clip(np.round(level * stereo), -32768, 32767).astype(np.int16)


def chunks(samples: NDArray[np.int16], rate_hz: int, start_ns: int = NS, seconds: float = 0.02) -> list[Sound]:
    size = round(seconds * rate_hz)
    return [
        Sound(start_ns + first * NS // rate_hz, rate_hz, samples[first : first + size])
        for first in range(0, len(samples), size)
    ]
