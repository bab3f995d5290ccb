"""Reaction layer: plays the newest plan at tick time, without a jump between plans, and lets it fade when it ends.

Filters between the camera and the face, in the order in which they act:

| filter                          | where       | removes                                                    |
|---------------------------------|-------------|------------------------------------------------------------|
| `OneEuro`                       | perception  | jitter of a still face; fast motion passes without delay   |
| `corrections.blend`             | model       | the jump from one drawn plan to the next                   |
| `corrections.eased`             | model       | the jerk where drawn blocks of frames join                 |
| `PlanSmoother` (Gaussian)       | here        | tremor of any policy's plan; large deviations pass         |
| crossfade of `Playback`         | here        | the jump when a plan comes late or from another policy     |
| `SpeedLimit`                    | engine      | speed beyond that of a human face                          |
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from reactdiff_ros.clock import to_ns, to_s
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, ROTATION, TRANSLATION, bounded
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.motion import ramp
from reactdiff_ros.types import Array, Reaction

# ---- Smoothing


def _tremor() -> Array:
    size = np.full(COEFFICIENT_COUNT, 0.05)
    size[ROTATION] = 0.012
    size[TRANSLATION] = 0.002
    return size


TREMOR: Final[Array] = _tremor()
"""(58,) deviations from the smoothed plan that are smaller are taken for tremor, larger ones for motion: 1, rad, m."""


SPIKES: Final[Array] = np.array([0.25, 0.5, 0.25])


def _filtered(rows: Array, weights: Array) -> Array:
    """Weighted means of `len(weights)` neighbouring rows; as many rows fewer, less one."""
    count = len(rows) - len(weights) + 1
    result = np.zeros((count, rows.shape[1]))
    for i, weight in enumerate(weights):
        result += weight * rows[i : i + count]
    return result


class PlanSmoother:
    """Gaussian smoothing over frames before and after; of what deviates from it, only what is motion is kept.

    The kept part of a deviation d is d^3 / (d^2 + TREMOR^2): a nod of 5 degrees at 1.6 Hz keeps nine tenths of its
    size, white noise of 0.25 degrees loses more than half of its size and nine tenths of its roughness.
    """

    MAX_REACH: Final = 12

    def __init__(self, sigma_s: float) -> None:
        self._sigma_s = sigma_s
        self._raw: Array | None = None
        self._raw_start_ns = 0
        self._period_ns = 40_000_000

    def clear(self) -> None:
        """Forget the past."""
        self._raw = None

    def smooth(self, frames: Array, start_ns: int, rate_hz: float) -> Array:
        """`frames` (n, 58) from `start_ns` on at `rate_hz`, smoothed together with what the plans before said."""
        sigma = self._sigma_s * rate_hz
        reach = min(math.ceil(2.5 * sigma) + 1, self.MAX_REACH) if sigma > 0.0 else 0
        period_ns = round(1e9 / rate_hz)
        past = self._past(frames, start_ns, period_ns, reach)
        self._raw = np.concatenate([past, frames])
        self._raw_start_ns, self._period_ns = start_ns - reach * period_ns, period_ns
        if reach == 0:
            return frames
        padded = np.concatenate([self._raw, np.repeat(frames[-1:], reach, axis=0)])
        weights = np.exp(-0.5 * (np.arange(-reach + 1, reach) / sigma) ** 2)
        smooth = _filtered(padded, weights / weights.sum())
        # Motion deviates for more than a frame, a spike does not.
        motion = _filtered(padded[reach - 1 : 1 - reach or None] - smooth, SPIKES)
        square = motion * motion
        kept: Array = smooth[1:-1] + motion * (square / (square + TREMOR * TREMOR))
        return kept

    def _past(self, frames: Array, start_ns: int, period_ns: int, reach: int) -> Array:
        """The `reach` frames before the plan, (reach, 58); its own first one where nothing is known."""
        if self._raw is None:
            return np.repeat(frames[:1], reach, axis=0)
        times = start_ns - np.arange(reach, 0, -1) * period_ns
        nearest = np.rint((times - self._raw_start_ns) / self._period_ns).astype(np.intp)
        if reach and (nearest[-1] < 0 or nearest[0] >= len(self._raw) + reach):
            return np.repeat(frames[:1], reach, axis=0)
        past: Array = self._raw[np.clip(nearest, 0, len(self._raw) - 1)]
        return past


MAX_FRAMES: Final = 1000
FARTHEST_S: Final = 2.0
HEAD_SPEED: Final = 0.5
"""rad/s with which the head goes over to a plan that has it elsewhere."""
LONGEST_CROSSFADE_S: Final = 0.3


def check_reaction(reaction: Reaction, now_ns: int) -> None:
    """Hold a plan from outside to its contract.

    Raises:
        MessageError: its shape is not (1..1000, 58), a number is not finite, its rate is not 1..200 Hz, or it starts
            more than 2 s from `now_ns`.
    """
    where = f"policy {reaction.policy}"
    try:
        values = np.asarray(reaction.coefficients, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MessageError("a reaction's coefficients are not numbers", where=where) from error
    if values.ndim != 2 or values.shape[1] != COEFFICIENT_COUNT or not 1 <= values.shape[0] <= MAX_FRAMES:
        raise MessageError(f"a reaction of shape {values.shape} is not (horizon, 58)", where=where)
    if not np.isfinite(values).all():
        raise MessageError("a reaction has values that are not finite", where=where)
    if not 1.0 <= reaction.rate_hz <= 200.0:
        raise MessageError(f"a reaction's rate of {reaction.rate_hz} Hz is out of range", where=where)
    if abs(reaction.start_ns - now_ns) > to_ns(FARTHEST_S):
        raise MessageError("a reaction starts more than 2 s from now", where=where, todo="check the clocks")


class Playback:
    """Plays plans. `push` takes a checked plan, `advance` gives the face of the plan at a time."""

    def __init__(self, config: ExpressionConfig) -> None:
        self._config = config
        self._smoother = PlanSmoother(config.smooth_s)
        self._waiting: tuple[Reaction, Array] | None = None
        self._reaction: Reaction | None = None
        self._frames: Array = np.zeros((1, COEFFICIENT_COUNT))
        self._start_ns = 0
        self._fade_from: Array = np.zeros(COEFFICIENT_COUNT)
        self._fade_ns = 0
        self._fade_s = config.crossfade_s
        self._value: Array = np.zeros(COEFFICIENT_COUNT)

    @property
    def reaction(self) -> Reaction | None:
        """The plan being played; None when there is none or it has faded away."""
        return self._reaction

    def clear(self) -> None:
        """Forget all plans (the clock jumped); the value fades from nothing."""
        self._waiting = None
        self._smoother.clear()
        self._reaction = None
        self._value = np.zeros(COEFFICIENT_COUNT)

    def push(self, reaction: Reaction, *, without_nods: bool = False) -> None:
        """Take in a checked plan; it takes over with the next `advance`. `without_nods`: the head stays where it is."""
        frames = bounded(reaction.coefficients).astype(np.float64)
        if without_nods:
            frames[:, ROTATION] = self._value[ROTATION]
        frames = self._smoother.smooth(frames, reaction.start_ns, reaction.rate_hz)
        self._waiting = (reaction, frames)

    def advance(self, now_ns: int) -> Array:
        """The plan's face at `now_ns`, (58,); zeros once it has faded."""
        if self._waiting is not None:
            self._reaction, self._frames = self._waiting
            self._waiting, self._start_ns = None, self._reaction.start_ns
            self._fade_from, self._fade_ns = self._value, now_ns
            self._fade_s = self._crossfade_s(self._planned(now_ns))
        if self._reaction is None:
            return self._value
        planned = self._planned(now_ns)
        if planned is None:
            self._reaction = None
            self._value = np.zeros(COEFFICIENT_COUNT)
            return self._value
        # The tick that takes a plan in already moves towards it: evidence shows one tick after it arrived.
        share = ramp((to_s(now_ns - self._fade_ns) + 0.02) / (self._fade_s + 0.02))
        self._value = planned if share >= 1.0 else self._fade_from + share * (planned - self._fade_from)
        return self._value

    def _crossfade_s(self, planned: Array | None) -> float:
        """How long a plan takes to take over: longer where it has the head elsewhere, as after a gap."""
        if planned is None:
            return self._config.crossfade_s
        angle = float(np.abs(planned[ROTATION] - self._value[ROTATION]).max())
        return max(self._config.crossfade_s, min(angle / HEAD_SPEED, LONGEST_CROSSFADE_S))

    def _planned(self, now_ns: int) -> Array | None:
        assert self._reaction is not None
        position = to_s(now_ns - self._start_ns) * self._reaction.rate_hz
        last = len(self._frames) - 1
        if position <= 0.0:
            first: Array = self._frames[0]
            return first
        if position < last:
            low = int(position)
            part = position - low
            between: Array = self._frames[low] * (1.0 - part) + self._frames[low + 1] * part
            return between
        over_s = (position - last) / self._reaction.rate_hz - self._config.hold_s
        left = 1.0 - ramp(over_s / self._config.decay_s)
        return None if left <= 0.0 else self._frames[last] * left
