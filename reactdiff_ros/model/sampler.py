"""Few-step sampler of the latent diffusion, and its noise.

Trigonometric path: z(a) = cos(a) x + sin(a) e with angle a from pi/2 (noise) to 0 (clean); the network predicts the
velocity dz/da = cos(a) e - sin(a) x. The solver is Adams-Bashforth of second order in the angle, so that
the spread of the samples survives few steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import FloatArray

Array = TypeVar("Array", bound=Any)


LAST_ANGLE: Final = 0.1
"""Where the solver stops and the network's clean estimate is taken: finer noise is not worth a step."""


def angles(steps: int) -> list[float]:
    """`steps` noise angles from pi/2 to LAST_ANGLE, closer together where the data's detail is decided."""
    if steps < 2:
        raise ValueError(f"steps must be at least 2, not {steps}")
    u = np.linspace(1.0, 0.0, steps)
    return [float(a) for a in LAST_ANGLE + (0.5 * np.pi - LAST_ANGLE) * (0.6 * u + 0.4 * u * u)]


def multistep(velocity: Callable[[Array, float], Array], z: Array, schedule: list[float]) -> Array:
    """Integrate dz/da = velocity(z, a) along `schedule`, then take the clean estimate: one evaluation an angle.

    Euler's step first, then Adams-Bashforth with unequal steps. On the schedule of `angles` the two err in opposite
    directions, so that 5 steps leave 95 % and more of a Gaussian's deviation. Works on numpy and torch.
    """
    before: Array | None = None
    width = 0.0
    for here, there in pairwise(schedule):
        step = there - here
        now = velocity(z, here)
        ratio = 0.0 if before is None else step / width
        z = z + step * now if before is None else z + step * ((1 + 0.5 * ratio) * now - (0.5 * ratio) * before)
        before, width = now, step
    last = schedule[-1]
    return cast(Array, math.cos(last) * z - math.sin(last) * velocity(z, last))


def smooth(frames: Array) -> Array:
    """Binomial smoothing over five frames, (K, n, C) to (K, n - 4, C): a nod of 2 Hz keeps 88 %, jitter half."""
    inner = frames[:, :-4] + frames[:, 4:] + 4 * (frames[:, 1:-3] + frames[:, 3:-1]) + 6 * frames[:, 2:-2]
    smoothed: Array = inner / 16
    return smoothed


BLEND: Final = (0.2, 0.5, 0.8, 0.95)
"""Share of a new plan in its first frames; the rest is the old plan, which covers the same times."""


def blend(plan: Array, before: Array) -> Array:
    """Lead `before` (n, C), what was planned for the same frames, over into `plan` (..., n, C), in place."""
    for i, share in enumerate(BLEND):
        plan[..., i, :] = share * plan[..., i, :] + (1 - share) * before[..., i, :]
    return plan


class NoiseTape:
    """Unit Gaussian noise indexed by absolute frame and stream: plans share the noise of the frames that they share."""

    def __init__(self, seed: int, width: int) -> None:
        self._seed, self._width = seed % (1 << 63), width
        self._cache: dict[tuple[int, int], NDArray[np.float32]] = {}

    def frames(self, first: int, count: int, stream: int) -> FloatArray:
        """Noise (count, width) of frames `first` .. on the tape of `stream`."""
        if len(self._cache) > 512:
            self._cache = {key: value for key, value in self._cache.items() if key[1] >= first}
        return np.stack([self._frame(stream, frame) for frame in range(first, first + count)])

    def _frame(self, stream: int, frame: int) -> NDArray[np.float32]:
        key = (stream, frame)
        if key not in self._cache:
            counter = [0, 0, stream % (1 << 63), frame % (1 << 63)]
            bits = np.random.Philox(key=self._seed, counter=counter)
            self._cache[key] = np.random.Generator(bits).standard_normal(self._width, dtype=np.float32)
        return self._cache[key]
