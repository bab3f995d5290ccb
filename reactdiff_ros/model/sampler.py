"""Few-step sampler of the latent diffusion, and its noise.

Trigonometric path: z(a) = cos(a) x + sin(a) e with angle a from pi/2 (noise) to 0 (clean); the network predicts the
velocity dz/da = cos(a) e - sin(a) x. The solver is Adams-Bashforth of second order in the angle, so that
the spread of the samples survives few steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import FloatArray

Array = TypeVar("Array", bound=Any)


def angles(steps: int) -> list[float]:
    """`steps` + 1 noise angles from pi/2 to 0, closer together near 0 where the data's detail is decided."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    u = np.linspace(1.0, 0.0, steps + 1)
    return [float(a) for a in 0.25 * np.pi * (u + u * u)]


def multistep(velocity: Callable[[Array, float], Array], z: Array, schedule: list[float]) -> Array:
    """Integrate dz/da = velocity(z, a) along `schedule`: len(schedule) - 1 evaluations of the network.

    One evaluation a step: Euler's first, then Adams-Bashforth with unequal steps. On the schedule of `angles` the two
    err in opposite directions, so that 5 steps leave 97 % of a Gaussian's deviation. Works on numpy and torch.
    """
    before: Array | None = None
    width = 0.0
    for i in range(len(schedule) - 1):
        here, step = schedule[i], schedule[i + 1] - schedule[i]
        now = velocity(z, here)
        ratio = 0.0 if before is None else step / width
        z = z + step * now if before is None else z + step * ((1 + 0.5 * ratio) * now - (0.5 * ratio) * before)
        before, width = now, step
    return z


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
