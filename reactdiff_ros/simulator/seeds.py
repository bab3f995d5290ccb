"""Which seeds are for training and which for evaluation: disjoint by construction.

A seed of the simulator is a whole number of 63 bits. Its highest byte is the purpose, the other 55 bits are drawn
from the user's seed and a running number. Two purposes can therefore never get the same seed, whatever users ask for;
within a purpose, two of a million pools are the same with a probability of 1e-5.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

Purpose = Literal["train", "validate", "evaluate", "respond", "tune"]
PURPOSES: Final[dict[Purpose, int]] = {"train": 1, "validate": 2, "evaluate": 3, "respond": 4, "tune": 5}
"""train: pools that networks learn from, and the training speakers of nearest neighbours. validate: figures during
training. evaluate: figures that are reported. respond: paired trials of responses. tune: choice of settings of the
sampler, lags and thresholds."""
_LOW_BITS: Final = 55


def purpose_seed(purpose: Purpose, seed: int, number: int = 0) -> int:
    """The simulator's seed for a user's `seed` (not negative) and the `number`-th pool or draw of a purpose."""
    tag = PURPOSES[purpose]
    drawn = np.random.SeedSequence([tag, seed, number]).generate_state(1, np.uint64)[0]
    return (tag << _LOW_BITS) | (int(drawn) >> (64 - _LOW_BITS))
