"""Settings of a draw: how plans are sampled, what N listeners are asked to be, and the noise that they are drawn from.

Shapes: N listeners, K candidates of each, L latents.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.model.conditions import CONTROL_COUNT, CONTROL_NAMES, STYLE_COUNT, condition_vector
from reactdiff_ros.model.plan.latents import GROUP_NAMES, GROUP_OF_LATENT
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

# Chosen with `evaluate streams --items 200`: over ancestral sampling, variances lie in .91 to 1.05 and rare events in
# .86 to .97; docs/tuning.md lists what else was tried.
TEMPERATURES: Final = tuple(
    {"smile": 1.038, "mouth": 1.023, "brows": 1.022, "lids": 1.0, "blinks": 1.025, "gaze": 1.0, "head": 1.032}[name]
    for name in GROUP_NAMES
)
EAGER: Final = 4.0
"""Additional guidance of the most responsive listener, see `corrections.guided`."""
_BLOCK: Final = 64
_KEPT: Final = 32
_WORD: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Sampling:
    """How reactions are sampled."""

    steps: int = 8
    """Evaluations of the denoiser for one stretch."""
    guidance: float = 1.0
    """1 = the speaker as trained, above 1 = more; 1 needs half the time. An eager listener has more, see
    `corrections.guided`."""
    eager: float = EAGER
    """How much more of it the most responsive listener has."""
    temperature: tuple[float, ...] = TEMPERATURES
    """Size of the noise of each group of latents (correction 6). What `steps` damp of fine motion accumulates where
    each stretch continues the last one: at 1 freely running faces vary by .84 of what they should, at 1.05 by 1.2
    (mean over the groups), and what is rare and large, brow raises and laughs, comes too seldom before the variance is
    too small."""
    hop: int = 4
    """Frames of a plan that are shown before the next one."""
    block: int = 4
    """Frames that are drawn at once, a divisor of the horizon."""
    lead: int = 1
    """Frames between the newest evidence and the first frame of a plan, minus one."""
    recall: int = 16
    """Frames of its own past that the network is shown."""
    smooth: bool = True
    """Lead plans over into each other and take the jitter out."""
    without: tuple[str, ...] = ()
    """Of `corrections.REMOVABLE`, what is left out."""
    candidates: int = 1
    """Plans drawn at a choice; see `corrections.ranked`."""

    @property
    def scale(self) -> FloatArray:
        """`temperature` of each latent (L,)."""
        return _scale((1.0,) * len(self.temperature) if "temperature" in self.without else self.temperature)


@lru_cache
def _scale(temperature: tuple[float, ...]) -> FloatArray:
    return np.array(temperature, dtype=np.float32)[GROUP_OF_LATENT]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What N listeners are asked to be; see `conditions`. All float32, 0 where not given."""

    controls: FloatArray
    """(N, CONTROL_COUNT)."""
    controls_given: FloatArray
    style: FloatArray
    """(N, STYLE_COUNT)."""
    style_given: FloatArray
    real: FloatArray
    """(N,) 1 = as a recorded person, 0 = as a simulated listener."""

    def __len__(self) -> int:
        return len(self.real)

    def take(self, rows: NDArray[np.integer[Any]]) -> Conditions:
        """The listeners of `rows`."""
        return Conditions(
            self.controls[rows], self.controls_given[rows], self.style[rows], self.style_given[rows], self.real[rows]
        )

    def control(self, name: str) -> FloatArray:
        """The value (N,) of one of CONTROL_NAMES, 0 where it is not given."""
        at = CONTROL_NAMES.index(name)
        return self.controls[:, at] * self.controls_given[:, at]

    @property
    def late(self) -> NDArray[np.int64]:
        """Frames (N,) by which they see the speaker later than they could: their reaction delay."""
        return np.asarray(np.rint(self.control("delay") * REACTION_RATE_HZ), dtype=np.int64)

    def vector(self, lead: int | NDArray[np.integer[Any]], max_lead: int) -> FloatArray:
        """The denoiser's input (N, condition_count) for evidence of age `lead`, of all or (N,)."""
        leads = np.broadcast_to(lead, len(self))
        return condition_vector(
            self.controls, self.controls_given, self.style, self.style_given, self.real, leads, max_lead
        )


def joined(conditions: Sequence[Conditions]) -> Conditions:
    """The listeners of all of them, in this order."""
    if len(conditions) == 1:
        return conditions[0]
    return Conditions(*(np.concatenate([getattr(c, f.name) for c in conditions]) for f in fields(Conditions)))


def ordinary(count: int, controls: FloatArray | None = None) -> Conditions:
    """Conditions of `count` simulated listeners with these controls (default: all 0) and no style."""
    given = np.zeros((count, CONTROL_COUNT), dtype=np.float32) if controls is None else controls
    style = np.zeros((count, STYLE_COUNT), dtype=np.float32)
    return Conditions(given, np.ones_like(given), style, style, np.zeros(count, dtype=np.float32))


class NoiseTape:
    """The noise of one listener: a tape for each candidate, the same whatever is asked first.

    Args:
        seed: of all tapes.
        width: of a frame.
    """

    def __init__(self, seed: int, width: int) -> None:
        self._seed, self._width = seed % _WORD, width
        self._blocks: OrderedDict[tuple[int, int], FloatArray] = OrderedDict()

    def frames(self, first: int, count: int, stream: int = 0) -> FloatArray:
        """Noise (count, width) of frames `first` .. on the tape of candidate `stream`."""
        low, high = first // _BLOCK, (first + count - 1) // _BLOCK
        noise = np.concatenate([self._block(stream, block) for block in range(low, high + 1)])
        return noise[first - low * _BLOCK :][:count]

    def _block(self, stream: int, block: int) -> FloatArray:
        key = (stream, block)
        if key not in self._blocks:
            bits = np.random.Philox(key=self._seed, counter=[0, 0, stream % _WORD, block % _WORD])
            shape = (_BLOCK, self._width)
            self._blocks[key] = np.random.Generator(bits).standard_normal(shape, dtype=np.float32)
            if len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        return self._blocks[key]
