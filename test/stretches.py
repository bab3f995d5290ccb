"""Stretches of plans that the tests of backends draw."""

from dataclasses import replace

import numpy as np

from reactdiff_ros.model.backends.base import Stretch
from reactdiff_ros.model.backends.runtime import MASKED


def guided(job: Stretch) -> Stretch:
    """`job` with guidance of 1 to 3: the second half of the rows sees the first token alone, as at run time.

    Nothing at all to see would be another matter: with -1e4 everywhere, float32 rounds the scores to a thousandth.
    """
    strength = np.linspace(1.0, 3.0, len(job.noise), dtype=np.float32)[:, None, None, None]
    blind = job.mask.copy()
    blind[..., 1:] = MASKED
    return replace(job, mask=np.concatenate([job.mask, blind], axis=1), strength=strength)
