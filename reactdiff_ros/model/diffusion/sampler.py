"""Settings of a draw: how plans are sampled, what N listeners are asked to be, and the noise that they are drawn from.

Shapes: N listeners, K candidates of each, L latents.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_ROLL, HEAD_YAW
from reactdiff_ros.model.diffusion.conditions import CONTROL_COUNT, CONTROL_NAMES, STYLE_COUNT, condition_vector
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

_BLOCK: Final = 64
_KEPT: Final = 32
_WORD: Final = 1 << 63
_SIDES: Final = 17
SIDED: Final = [HEAD_YAW, HEAD_ROLL]
"""Coefficients that are mirrored by `drawn_sides`."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How reactions are sampled."""

    steps: int = 8
    """Evaluations of the denoiser for one stretch."""
    guidance: float = 1.0
    """1 = the speaker as trained, above 1 = more; 1 needs half the time."""
    hop: int = 4
    """Frames of a plan that are shown before the next one."""
    block: int = 4
    """Frames that are drawn at once, a divisor of the horizon."""
    lead: int = 1
    """Frames between the newest evidence and the first frame of a plan, minus one."""
    recall: int = 16
    """Frames of its own past that the network is shown."""
    blend: bool = True
    """Lead plans over into each other and ease the joints of blocks, see `corrections.continued`."""
    without: tuple[str, ...] = ()
    """Of `corrections.REMOVABLE`, what is left out."""
    candidates: int = 1
    """Plans of each listener, where all are asked for; the first is followed."""


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
        """Frames (N,) by which they see the speaker later than they could: their reaction delay.

        As an input of the networks it was not followed: the lag of an answer stayed the same from 0 to 1 s.
        """
        return np.asarray(np.rint(self.control("delay") * REACTION_RATE_HZ), dtype=np.int64)

    def vector(self, lead: int | NDArray[np.integer[Any]], max_lead: int) -> FloatArray:
        """The denoiser's input (N, condition_count) for evidence of age `lead`, of all or (N,)."""
        given = (self.controls, self.controls_given, self.style, self.style_given, self.real)
        return condition_vector(*given, np.broadcast_to(lead, len(self)), max_lead)


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


def drawn_sides(seeds: Sequence[int]) -> FloatArray:
    """Signs (N, 58), 1 or -1 at SIDED, of listeners with these seeds: to which side each turns and tilts the head.

    People have habits: one turns left when the other looks away, the next one right. Nothing in a conversation tells
    which, so the networks draw a head that always goes to the same side, and yaw and roll are mirrored afterwards.
    """
    signs = np.ones((len(seeds), COEFFICIENT_COUNT), dtype=np.float32)
    signs[:, SIDED] = [1 - 2 * np.random.default_rng([s % _WORD, _SIDES]).integers(0, 2, len(SIDED)) for s in seeds]
    return signs


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
