"""Noise tapes: unit Gaussian noise indexed by absolute frame, so that plans share the noise of shared frames."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np

from reactdiff_ros.types import FloatArray

_BLOCK: Final = 64
_KEPT: Final = 32
_WORD: Final = 1 << 63


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
