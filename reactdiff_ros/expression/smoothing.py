"""Takes the tremor out of plans without a delay: a plan knows its own next 0.6 s."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, ROTATION, TRANSLATION
from reactdiff_ros.expression.motion import Array


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
