"""The head's mean given the speaker: what the diffusion draws of pitch, yaw and roll is the difference from it.

Listeners turn and tilt the head a little with who speaks, smiles or looks away, by a degree or two over seconds. From
frame to frame that is a hundredth of a deviation, so a denoiser does not learn it. A linear regression on the
speaker's tokens does: the difference is what diffusion is for (residual diffusion: Yue et al., arXiv 2307.12348).

Shapes: N listeners, S tokens, D token width.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

FOLLOW_S: Final = 0.6
"""Time constant of the mean over tokens, that of a simulated listener's head."""
AXES: Final = 3
"""Pitch, yaw and roll, rad; yaw and roll of a listener on the networks' side, see `sampler.drawn_sides`."""


def age_weights(ages: NDArray[np.int64]) -> FloatArray:
    """Weights (S,) of tokens of these ages in frames, oldest first: exponential, of sum 1."""
    spacing = -np.diff(ages, append=ages[-1] - 1)
    weights = spacing * np.exp(-ages / (FOLLOW_S * REACTION_RATE_HZ))
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def head_mean(readout: FloatArray, ages: NDArray[np.int64], speaker: FloatArray, missing: FloatArray) -> FloatArray:
    """Pitch, yaw and roll (N, 3) that listeners have on average, rad; 0 where nothing is known of the speaker.

    Args:
        readout: (D + 1, 3), the last row being the offset.
        ages: (S,) of the tokens, oldest first.
        speaker: (N, S, D) tokens.
        missing: (N, S) 1 where there is none.
    """
    weights = age_weights(ages) * (1 - missing)
    seen = np.einsum("ns,nsd->nd", weights, speaker)
    return np.asarray(seen @ readout[:-1] + weights.sum(1)[:, None] * readout[-1], dtype=np.float32)
