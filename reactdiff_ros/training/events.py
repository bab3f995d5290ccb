"""Building blocks of the simulator: events with onset, apex and offset, phrases, and slow random motion.

All arrays are (B worlds, T frames) at 25 Hz; times are in seconds from the start of the world, negative = before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

FRAME_S = 0.04


@dataclass(slots=True)
class Events:
    """Up to N events a world; every field is (B, N). `on` says which exist."""

    start: FloatArray
    amplitude: FloatArray
    rise: FloatArray
    hold: FloatArray
    fall: FloatArray
    on: BoolArray

    @property
    def end(self) -> FloatArray:
        """When the apex is over and the offset begins."""
        return self.start + self.rise + self.hold


def smooth_step(x: FloatArray) -> FloatArray:
    """Minimum-jerk transition from 0 (x <= 0) to 1 (x >= 1)."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


def envelope(events: Events, frames: int) -> FloatArray:
    """Sum of the events as the largest one at each time, (B, T)."""
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    total = np.zeros((len(events.start), frames), dtype=np.float32)
    for n in range(events.start.shape[1]):
        start, rise, fall = (a[:, n, None] for a in (events.start, events.rise, events.fall))
        up = smooth_step((time - start) / rise)
        down = smooth_step((time - events.end[:, n, None]) / fall)
        total = np.maximum(
            total, np.where(events.on[:, n, None], events.amplitude[:, n, None] * up * (1.0 - down), 0.0)
        )
    return total


def poisson_starts(rng: np.random.Generator, per_minute: FloatArray, count: int, gap_s: float) -> FloatArray:
    """Starting times (B, count) of a Poisson stream with a dead time of `gap_s`."""
    mean = 60.0 / np.maximum(per_minute, 1e-3)[:, None]
    gaps = gap_s + rng.exponential(1.0, (len(per_minute), count)) * np.maximum(mean - gap_s, 0.1)
    gaps[:, 0] -= gap_s
    return np.asarray(np.cumsum(gaps, axis=1), dtype=np.float32)


def uniform(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> FloatArray:
    """Uniform numbers as float32."""
    return np.asarray(rng.uniform(low, high, shape), dtype=np.float32)


def ornstein(rng: np.random.Generator, worlds: int, frames: int, tau_s: float, channels: int = 1) -> FloatArray:
    """Unit-variance low-passed noise (B, T, channels): two first-order filters in series, so that it is smooth."""
    a = float(np.exp(-FRAME_S / tau_s))
    noise = rng.standard_normal((frames, worlds, channels)).astype(np.float32)
    out = np.empty_like(noise)
    first = rng.standard_normal((worlds, channels)).astype(np.float32)
    second = first * 0.7
    for t in range(frames):
        first = a * first + np.float32(np.sqrt(1 - a * a)) * noise[t]
        second = a * second + (1 - a) * first
        out[t] = second
    out /= np.float32(np.sqrt(1 + a * a) / (1 + a))  # stationary deviation of the second filter
    return np.ascontiguousarray(out.transpose(1, 0, 2))


def since(mask: BoolArray) -> FloatArray:
    """Seconds since `mask` was last true, (B, T); infinite before it ever was."""
    frames = np.arange(mask.shape[1])
    last = np.maximum.accumulate(np.where(mask, frames, -1), axis=1)
    return np.where(last < 0, np.inf, (frames - last) * FRAME_S).astype(np.float32)


def phrases(
    rng: np.random.Generator, worlds: int, count: int, length_s: FloatArray, pause_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Starts and ends (B, count) of alternating phrases and pauses with the given medians (B,), log-normal."""
    lengths = length_s[:, None] * np.exp(0.6 * rng.standard_normal((worlds, count)))
    pauses = pause_s[:, None] * np.exp(0.6 * rng.standard_normal((worlds, count)))
    ends = np.cumsum(np.clip(lengths, 0.3, 9.0) + np.clip(pauses, 0.12, 12.0), axis=1) - pauses[:, :1]
    starts = ends - np.clip(lengths, 0.3, 9.0)
    return starts.astype(np.float32), ends.astype(np.float32)


def inside(starts: FloatArray, ends: FloatArray, frames: int) -> BoolArray:
    """(B, T) whether the frame lies in any of the (B, N) intervals."""
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    return np.asarray(((time >= starts[..., None]) & (time < ends[..., None])).any(axis=1))


def low_pass(mask: BoolArray, tau_s: float) -> FloatArray:
    """A 0/1 signal followed with a time constant, (B, T); starts at its first value."""
    a = np.float32(1 - np.exp(-FRAME_S / tau_s))
    state = mask[:, 0].astype(np.float32)
    out = np.empty(mask.shape, dtype=np.float32)
    for t in range(mask.shape[1]):
        state = state + a * (mask[:, t] - state)
        out[:, t] = state
    return out


def enough(count: int, frames: int) -> int:
    """`count` events are enough for 24 s; so many for `frames` frames."""
    return count * max(1, -(-frames // 600))


def spontaneous(
    rng: np.random.Generator,
    frames: int,
    rate: FloatArray,
    chance: FloatArray,
    *,
    gap_s: float,
    amplitude: tuple[float, float],
    rise: tuple[float, float],
    hold: tuple[float, float],
    fall: tuple[float, float],
) -> FloatArray:
    """Envelope (B, T) of a Poisson stream of events at `rate` (B,) a minute, each kept with `chance` (B, 1)."""
    shape = (len(rate), enough(6, frames))
    events = Events(
        start=poisson_starts(rng, rate, shape[1], gap_s),
        amplitude=uniform(rng, *amplitude, shape),
        rise=uniform(rng, *rise, shape),
        hold=uniform(rng, *hold, shape),
        fall=uniform(rng, *fall, shape),
        on=np.asarray(rng.random(shape) < chance),
    )
    return envelope(events, frames)
