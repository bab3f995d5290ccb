"""The network that tells how likely a listener begins to nod, see `nods`. Small, in NumPy, the same on every backend.

Shapes: N listeners, D token width, C = CONDITION_COUNT, F frames.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import FloatArray
from reactdiff_ros.whole_file import write_arrays

NODS: Final = "nods.npz"
"""Its file among the weights."""
CARD: Final = "nods.json"
"""Beside it: of which weights it is, its checksum, how it was trained."""
LOOKS: Final = 8
"""Tokens that are looked at: every second one, the newest among them."""
AGES: Final = 16
"""Frames from the newest token to the one that is decided on, at most; older evidence counts as so old."""
TOLD: Final = ("attitude", "responsiveness", "nodding")
"""Controls that it is told, and whether each is given; and a style's nod rate."""
CONDITION_COUNT: Final = 2 * len(TOLD) + 2
HIDDEN: Final = 32
MOST_RATE: Final = 0.1
"""The most likely that a nod begins in one frame."""


@dataclass(frozen=True, slots=True)
class NodHead:
    """Weights of the network: one hidden layer over tokens, conditions and the age of the evidence."""

    tokens: FloatArray
    """(LOOKS * D, HIDDEN)."""
    known: FloatArray
    """(LOOKS, HIDDEN) of the flags that tell which tokens there are."""
    conditions: FloatArray
    """(C, HIDDEN)."""
    ages: FloatArray
    """(AGES, HIDDEN), the layer's bias for evidence of that age."""
    out: FloatArray
    """(HIDDEN,)."""
    drive: FloatArray
    """(C,) straight from the conditions to the output."""
    bias: FloatArray
    """()."""
    digest: str = ""
    """First 12 hex digits of the SHA-256 of its file."""

    def rates(
        self,
        speaker: FloatArray,
        missing: FloatArray,
        told: FloatArray,
        ages: NDArray[np.integer[Any]],
        *,
        sharpness: float = 1.0,
    ) -> FloatArray:
        """How likely a nod begins (N, F) in F frames.

        Args:
            speaker: (N, speech, D) the newest tokens, oldest first; 0 where there is none.
            missing: (N, speech) 1 where there is none.
            told: (N, C) of `nods.nod_conditions`.
            ages: (N, F) frames from the newest token to each.
            sharpness: times as far do rates go up and down (their logarithms) with what is seen; 1 as learnt.
        """
        looks = np.ascontiguousarray(speaker[:, ::-1][:, ::2][:, :LOOKS]).reshape(len(speaker), -1)
        known = 1 - missing[:, ::-1][:, ::2][:, :LOOKS]
        seen = looks @ self.tokens + known @ self.known + told @ self.conditions
        hidden = np.tanh(seen[:, None] + self.ages[np.clip(ages, 0, AGES - 1)])
        log_rate = sharpness * (hidden @ self.out) + (told @ self.drive)[:, None] + self.bias
        return np.asarray(np.minimum(np.exp(np.minimum(log_rate, 0.0)), MOST_RATE), dtype=np.float32)

    @property
    def count(self) -> int:
        """Number of parameters."""
        return sum(int(array.size) for array in self._arrays().values())

    def write(self, path: Path) -> None:
        """Write all weights, in float16."""
        write_arrays(path, {name: array.astype(np.float16) for name, array in self._arrays().items()})

    def _arrays(self) -> dict[str, FloatArray]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "digest"}


def _shapes(width: int) -> dict[str, tuple[int, ...]]:
    return {
        "tokens": (LOOKS * width, HIDDEN), "known": (LOOKS, HIDDEN), "conditions": (CONDITION_COUNT, HIDDEN),
        "ages": (AGES, HIDDEN), "out": (HIDDEN,), "drive": (CONDITION_COUNT,), "bias": (),
    }  # fmt: skip


def read_nod_head(folder: Path, weights: str, width: int) -> NodHead | None:
    """The head in the folder of the weights with that digest, for tokens of `width`; None where there is none.

    Raises:
        ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, RecursionError: what is there is none,
            or another network's, or not the file that was put there.
    """
    card = folder / CARD
    if not card.exists():
        return None
    told = json.loads(card.read_text(encoding="utf-8"))
    if told["weights"] != weights:
        raise ValueError(f"it reads tokens of the weights {str(told['weights'])[:40]}, these are {weights}")
    content = (folder / NODS).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != told["sha256"]:
        raise ValueError("it is not the file that was put there")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name].astype(np.float32) for name in _shapes(width)}
    for name, shape in _shapes(width).items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is {arrays[name].shape}, not {shape}, or not finite")
    return NodHead(**arrays, digest=digest[:12])
