"""What listeners remember of themselves beyond the frames of the past that the denoiser sees one by one.

Exponential means of their latents over 1, 4 and 16 s and the deviation over 4 s: a smiling minute, a still one, a
lively one. Each becomes a token of the denoiser's context. Arrays of numpy, or tensors of torch.

Shapes: N listeners, T frames, ROWS tokens, L latents. A state (N, ROWS, L) holds the means and, last, the mean square.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeVar, cast

import numpy as np

from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Array = TypeVar("Array", bound=Any)

MEANS_S: Final = (1.0, 4.0, 16.0)
"""Time constants of the means."""
_VARIED: Final = 1
"""The mean about which the deviation is, and whose time constant it has."""
ROWS: Final = len(MEANS_S) + 1
_SHARES: Final = tuple(float(1 - np.exp(-1 / (REACTION_RATE_HZ * seconds))) for seconds in MEANS_S)


def at_rest(neutral: FloatArray, count: int) -> FloatArray:
    """The state of `count` listeners who showed a neutral face, with the latent `neutral` (L,), ever since."""
    one = np.stack([neutral] * len(MEANS_S) + [neutral * neutral])
    return np.broadcast_to(one, (count, *one.shape)).astype(np.float32)


def remembered(state: Array, latents: Array) -> Array:
    """The state after a listener of `state` (..., ROWS, L) showed `latents` (..., T, L)."""
    for t in range(latents.shape[-2]):
        now = latents[..., t, :]
        state = state + 0 * state  # a new array
        for row, share in enumerate(_SHARES):
            state[..., row, :] += share * (now - state[..., row, :])
        state[..., -1, :] += _SHARES[_VARIED] * (now * now - state[..., -1, :])
    return state


def lasting(state: Array, latents: Array, seconds: Array) -> Array:
    """The state after listeners of `state` (N, ROWS, L) went on showing `latents` (N, L) for `seconds` (N,)."""
    out = state + 0 * state
    driven = [(latents, constant) for constant in MEANS_S] + [(latents * latents, MEANS_S[_VARIED])]
    for row, (values, constant) in enumerate(driven[: out.shape[1]]):
        keep = math.e ** (-seconds / constant)[:, None]
        out[:, row] = values + keep * (out[:, row] - values)
    return cast(Array, out)


def tokens(state: Array) -> Array:
    """What the denoiser reads of a state: the means and, in place of the mean square, the deviation."""
    out = state + 0 * state
    square = state[..., -1, :] - state[..., _VARIED, :] ** 2
    out[..., -1, :] = (square * (square > 0)) ** 0.5
    return cast(Array, out)


def traced(latents: FloatArray, start: FloatArray) -> FloatArray:
    """States (N, T, ROWS, L) before each frame of `latents` (N, T, L), from the state `start` (N, ROWS, L) on."""
    from scipy.signal import lfilter

    driven = [(latents, share) for share in _SHARES] + [(latents * latents, _SHARES[_VARIED])]
    out = np.empty((*latents.shape[:2], ROWS, latents.shape[2]), dtype=np.float32)
    out[:, 0] = start
    for row, (values, share) in enumerate(driven):
        keep = 1 - share
        after, _ = lfilter([share], [1, -keep], values, axis=1, zi=keep * start[:, row, None, :].astype(np.float64))
        out[:, 1:, row] = after[:, :-1]
    return out
