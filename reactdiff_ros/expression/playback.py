"""Reaction layer: plays the newest plan at tick time, without a jump between plans, and lets it fade when it ends."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from reactdiff_ros.clock import to_ns, to_s
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, bounded
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.motion import Array, ramp
from reactdiff_ros.expression.smoothing import PlanSmoother
from reactdiff_ros.types import Reaction

MAX_FRAMES: Final = 1000
FARTHEST_S: Final = 2.0
QUEUE: Final = 64


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
        self._waiting: deque[tuple[int, int, Reaction, Array]] = deque(maxlen=QUEUE)
        self._reaction: Reaction | None = None
        self._frames: Array = np.zeros((1, COEFFICIENT_COUNT))
        self._start_ns = 0
        self._fade_from: Array = np.zeros(COEFFICIENT_COUNT)
        self._fade_ns = 0
        self._value: Array = np.zeros(COEFFICIENT_COUNT)

    @property
    def reaction(self) -> Reaction | None:
        """The plan being played; None when there is none or it has faded away."""
        return self._reaction

    def clear(self) -> None:
        """Forget all plans (the clock jumped); the value fades from nothing."""
        self._waiting.clear()
        self._smoother.clear()
        self._reaction = None
        self._value = np.zeros(COEFFICIENT_COUNT)

    def push(self, reaction: Reaction, now_ns: int, delay_ns: int) -> None:
        """Queue a checked plan to take over at `now_ns + delay_ns`, shifted by the delay."""
        frames = bounded(reaction.coefficients).astype(np.float64)
        frames = self._smoother.smooth(frames, reaction.start_ns, reaction.rate_hz)
        self._waiting.append((now_ns + delay_ns, reaction.start_ns + delay_ns, reaction, frames))

    def advance(self, now_ns: int) -> Array:
        """The plan's face at `now_ns`, (58,); zeros once it has faded."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, self._start_ns, self._reaction, self._frames = self._waiting.popleft()
            self._fade_from, self._fade_ns = self._value, now_ns
        if self._reaction is None:
            return self._value
        planned = self._planned(now_ns)
        if planned is None:
            self._reaction = None
            self._value = np.zeros(COEFFICIENT_COUNT)
            return self._value
        # The tick that takes a plan in already moves towards it: evidence shows one tick after it arrived.
        share = ramp((to_s(now_ns - self._fade_ns) + 0.02) / (self._config.crossfade_s + 0.02))
        self._value = planned if share >= 1.0 else self._fade_from + share * (planned - self._fade_from)
        return self._value

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
