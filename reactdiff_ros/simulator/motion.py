"""Building blocks of the simulator: events with onset, apex and offset, renewal streams, noise, envelopes and filters.

Of speakers, arrays are (B worlds, T frames) at 25 Hz; times are in seconds from the start of the world, negative =
before it. Everything is a function of the generator that is passed in: one part of the simulator, one generator
(`generator(seed, part)`), so that adding or leaving out a part changes no other part's random numbers. Listeners are
state machines that step over the frames of N listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.model.diffusion.tokens import FRAME_S
from reactdiff_ros.types import Array, FloatArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Seed = int | tuple[int, ...]
Range = tuple[float, float]

WARM_S = 20.0
"""How long before a world's first frame its processes began: the first frame is as any other."""
SLOW_S = 0.2
"""Step of what changes over seconds only (affect and the rates that follow it)."""


def generator(seed: Seed, part: int) -> np.random.Generator:
    """The random numbers of one part of the simulator."""
    return np.random.default_rng([*(seed if isinstance(seed, tuple) else (seed,)), part])


def uniform(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> FloatArray:
    """Uniform numbers as float32."""
    return low + (high - low) * rng.random(shape, dtype=np.float32)


def log_normal(
    rng: np.random.Generator, median: float | FloatArray, sigma: float, shape: tuple[int, ...]
) -> FloatArray:
    """Log-normal numbers as float32; `sigma` is the deviation of the logarithm."""
    return lognormal(rng.standard_normal(shape, dtype=np.float32), median, sigma)


def lognormal(normal: FloatArray, median: float | FloatArray, sigma: float) -> FloatArray:
    """Log-normal numbers from standard normal ones."""
    return np.asarray(median * np.exp(np.float32(sigma) * normal), dtype=np.float32)


def smooth_step(x: FloatArray) -> FloatArray:
    """Minimum-jerk transition from 0 (x <= 0) to 1 (x >= 1)."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


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

    @property
    def over(self) -> FloatArray:
        """When nothing is left of it."""
        return self.end + self.fall


def paint(
    out: FloatArray,
    start: FloatArray,
    over: FloatArray,
    on: BoolArray,
    shape: Callable[..., FloatArray],
    *of_events: FloatArray,
) -> FloatArray:
    """Raises `out` (B, T), in place, to the shapes of events (B, N) between `start` and `over`; only there is work.

    `shape` gives values from the seconds since an event's start and from that event's entries of `of_events`
    (B, N), all flat.
    """
    frames = out.shape[1]
    flat = out.reshape(-1)
    first = np.ceil(np.clip(start / FRAME_S, 0, frames)).astype(np.int64)
    last = np.floor(np.clip(over / FRAME_S, -1, frames - 1)).astype(np.int64)
    count = np.where(on, np.maximum(last - first + 1, 0), 0)
    for column in range(start.shape[1]):  # within a column no two events share a frame
        rows = np.flatnonzero(count[:, column])
        if not len(rows):
            continue
        sizes = count[rows, column]
        event = np.repeat(rows, sizes)
        step = np.arange(len(event)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        frame = first[event, column] + step
        t = (frame * FRAME_S - start[event, column]).astype(np.float32)
        where = event * frames + frame
        flat[where] = np.maximum(flat[where], shape(t, *(values[event, column] for values in of_events)))
    return out


def envelope(events: Events, frames: int) -> FloatArray:
    """The events' amplitudes with minimum-jerk onset and offset, the largest one at each time, (B, T)."""

    def shape(t: FloatArray, size: FloatArray, rise: FloatArray, hold: FloatArray, fall: FloatArray) -> FloatArray:
        return size * smooth_step(t / rise) * (1.0 - smooth_step((t - (rise + hold)) / fall))

    out, e = np.zeros((len(events.start), frames), np.float32), events
    return paint(out, e.start, e.over, e.on, shape, e.amplitude, e.rise, e.hold, e.fall)


def single(on: BoolArray, frame: int, amplitude: float, rise: float, hold: float, fall: float) -> Events:
    """One event at the same frame of each world that has it, `on` (B, 1); seconds of rise, hold and fall."""

    def every(value: float) -> FloatArray:
        return np.full(on.shape, value, dtype=np.float32)

    return Events(every(frame * FRAME_S), every(amplitude), every(rise), every(hold), every(fall), on)


def cover(start: FloatArray, end: FloatArray, on: BoolArray, frames: int) -> BoolArray:
    """(B, T) whether the frame lies in any of the intervals start <= time < end, (B, N) each."""
    worlds = len(start)
    first = np.clip(np.ceil(start / FRAME_S - 1e-4), 0, frames).astype(np.int64)
    after = np.clip(np.ceil(end / FRAME_S - 1e-4), 0, frames).astype(np.int64)
    rows = np.broadcast_to(np.arange(worlds)[:, None], start.shape)
    real = on & (after > first)
    size = worlds * (frames + 1)
    steps = np.bincount((rows * (frames + 1) + first)[real], minlength=size) - np.bincount(
        (rows * (frames + 1) + after)[real], minlength=size
    )
    return np.asarray(steps.reshape(worlds, frames + 1).cumsum(axis=1)[:, :frames] > 0)


def newest(start: FloatArray, on: BoolArray, frames: int) -> IntArray:
    """(B, T) index of the event that began last, -1 before the first; events are in order of time."""
    out = np.full((len(start), frames), -1, dtype=np.int64)
    first = np.clip(np.ceil(start / FRAME_S - 1e-4), 0, frames).astype(np.int64)
    for column in range(start.shape[1]):
        rows = np.flatnonzero(on[:, column] & (first[:, column] < frames))
        out[rows, first[rows, column]] = column
    return np.asarray(np.maximum.accumulate(out, axis=1))


class Hazard:
    """A rate that changes over time, for renewal streams of events.

    Args:
        rate: (B, K) events a second, in steps of SLOW_S from -WARM_S on.
    """

    def __init__(self, rate: FloatArray) -> None:
        exposure = np.cumsum(np.maximum(rate, 1e-6).astype(np.float64) * SLOW_S, axis=1)
        self._exposure = np.concatenate([np.zeros((len(rate), 1)), exposure], axis=1)
        self._rows = np.arange(len(rate))
        self._span = float(self._exposure.max()) + 1.0
        self._keys = (self._exposure + self._span * self._rows[:, None]).reshape(-1)

    def after(self, time: Array, draw: Array) -> Array:
        """When the next event comes after `time` (B,), for unit-exponential `draw` (B,); 1e9: not in this world."""
        steps = self._exposure.shape[1]
        at = np.clip((time + WARM_S) / SLOW_S, 0, steps - 1 - 1e-9)
        low = at.astype(np.int64)
        left, right = self._exposure[self._rows, low], self._exposure[self._rows, low + 1]
        goal = left + (at - low) * (right - left) + draw
        late = (goal >= self._exposure[:, -1]) | (time + WARM_S >= (steps - 1) * SLOW_S)
        goal = np.minimum(goal, self._exposure[:, -1] - 1e-9)
        cell = np.searchsorted(self._keys, goal + self._span * self._rows, side="right") - 1 - self._rows * steps
        cell = np.clip(cell, 0, steps - 2)
        left, right = self._exposure[self._rows, cell], self._exposure[self._rows, cell + 1]
        share = (goal - left) / np.maximum(right - left, 1e-12)
        return np.asarray(np.where(late, 1e9, (cell + share) * SLOW_S - WARM_S))


def slow_steps(frames: int) -> int:
    """How many steps of SLOW_S a world of `frames` frames has, its warm-up included."""
    return int(np.ceil((WARM_S + frames * FRAME_S) / SLOW_S)) + 1


def steady(rate: FloatArray, frames: int) -> FloatArray:
    """A constant rate (B,) for `Hazard`, (B, K)."""
    return np.repeat(rate[:, None], slow_steps(frames), axis=1)


def capacity(per_minute: float, frames: int) -> int:
    """Columns that hold the events of a stream of at most that rate, warm-up included."""
    mean = per_minute * (WARM_S + frames * FRAME_S) / 60.0
    return int(np.ceil(mean + 3.0 * np.sqrt(mean) + 2.0))


def renewal(rng: np.random.Generator, rate: FloatArray, busy: FloatArray, gap_s: float) -> FloatArray:
    """Starts (B, N) of events that last `busy` (B, N) seconds, at `rate` (B, K) a second while none is on.

    At least `gap_s` lies between them. An event that does not come any more starts at 1e9.
    """
    hazard = Hazard(rate)
    draws = rng.exponential(1.0, busy.shape)
    starts = np.empty(busy.shape, dtype=np.float32)
    free = np.full(len(busy), -WARM_S)
    for n in range(busy.shape[1]):
        at = hazard.after(free, draws[:, n])
        starts[:, n] = at
        free = at + busy[:, n] + gap_s
    return starts


def spread_events(
    rng: np.random.Generator,
    rate: FloatArray,
    count: int,
    *,
    gap_s: float,
    amplitude: Range,
    rise: Range,
    hold: Range,
    fall: Range,
) -> Events:
    """A renewal stream of events at `rate` (B, K) a second; `hold` is even in its logarithm, the rest even."""
    shape = (len(rate), count)
    sizes = uniform(rng, *amplitude, shape)
    rises, falls = uniform(rng, *rise, shape), uniform(rng, *fall, shape)
    holds = np.exp(uniform(rng, float(np.log(hold[0])), float(np.log(hold[1])), shape))
    starts = renewal(rng, rate, rises + holds + falls, gap_s)
    return Events(starts, sizes, rises, holds, falls, starts < 1e8)


def ornstein(
    rng: np.random.Generator, worlds: int, frames: int, taus_s: Sequence[float], step_s: float = FRAME_S
) -> FloatArray:
    """Unit-variance stationary low-passed noise (B, T, channels), one channel for each time constant.

    Two first-order filters in series, so that it is smooth.
    """
    a = np.exp(-step_s / np.asarray(taus_s)).astype(np.float32)
    deviation = np.sqrt(1 + a * a) / (1 + a)  # of the second filter
    shared = 1 / np.sqrt(1 + a * a)  # correlation of the two
    kick = np.sqrt(1 - a * a)
    noise = rng.standard_normal((frames + 2, worlds, len(a)), dtype=np.float32)
    first = noise[-1]
    second = deviation * (shared * first + np.sqrt(1 - shared * shared) * noise[-2])
    out = np.empty((frames, worlds, len(a)), dtype=np.float32)
    for t in range(frames):
        first = a * first + kick * noise[t]
        second = a * second + (1 - a) * first
        out[t] = second
    return np.ascontiguousarray((out / deviation).transpose(1, 0, 2))


def low_pass(signal: NDArray[np.generic], tau_s: float) -> FloatArray:
    """A signal (B, T) followed with a time constant; starts at its first value."""
    a = np.float32(1 - np.exp(-FRAME_S / tau_s))
    source = np.ascontiguousarray(signal.astype(np.float32).T)
    out = np.empty_like(source)
    state = source[0].copy()
    for t in range(len(source)):
        state += a * (source[t] - state)
        out[t] = state
    return np.ascontiguousarray(out.T)


def since(mask: BoolArray) -> FloatArray:
    """Seconds since `mask` was last true, (B, T); infinite before it ever was."""
    frames = np.arange(mask.shape[1])
    last = np.maximum.accumulate(np.where(mask, frames, -1), axis=1)
    return np.where(last < 0, np.inf, (frames - last) * FRAME_S).astype(np.float32)


STEP: Final = np.float32(FRAME_S)


class Noise:
    """Frame-indexed random numbers of one part of N listeners.

    Each part of a listener has its own generator and draws the same amount every frame, whatever happens: so a number
    belongs to a frame, two runs with one seed share their noise exactly, and nothing reads ahead.
    """

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
