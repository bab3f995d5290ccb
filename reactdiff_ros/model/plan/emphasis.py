"""Pre-emphasis of latents in time: what the diffusion draws instead of the latents themselves.

Faces move smoothly: of a latent's power a ten-thousandth lies above 6 Hz, where white noise has half of its own. To
draw such a signal from white noise, a network has to cancel the noise to a hundredth, and what it leaves is seen as
jitter. So it draws y instead, whose fine motion is about as large as its slow one:

    y[t] = (u[t] - c1 u[t-1] - c2 u[t-2]) / step,

an autoregressive filter of second order with poles below 1 (`groups`), so that errors fade within a second and slow
motion keeps its size. Given the two latents before, u follows from y without delay and without loss. Numpy and torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.model.plan.groups import GROUPS, LATENT_COUNT

Array = TypeVar("Array", bound=Any)
ORDER: Final = 2
"""Latents that must be known before the first."""


def feedback() -> NDArray[np.float32]:
    """c1 and c2 of every latent, (2, LATENT_COUNT)."""
    out = np.zeros((ORDER, LATENT_COUNT), dtype=np.float32)
    for group in GROUPS:
        one, two = group.poles
        out[:, group.latents] = np.array([[one + two], [-one * two]])
    return out


def emphasise(sequence: Array, coefficients: Array, step: Array) -> Array:
    """Y (..., H, L) of latents (..., ORDER + H, L), the first being those before; coefficients (2, L), step (L,)."""
    now, last, once = sequence[..., 2:, :], sequence[..., 1:-1, :], sequence[..., :-2, :]
    return cast(Array, (now - coefficients[0] * last - coefficients[1] * once) / step)


def responses(coefficients: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """What makes latents of y: (frames, ORDER + frames, L), the weights of the two latents before and of step * y."""
    out = np.zeros((frames, ORDER + frames, coefficients.shape[-1]), dtype=np.float32)
    before = np.zeros((ORDER, ORDER + frames, coefficients.shape[-1]), dtype=np.float32)
    before[0, 0] = before[1, 1] = 1.0
    for t in range(frames):
        last = out[t - 1] if t > 0 else before[1]
        once = out[t - 2] if t > 1 else before[t]
        out[t] = coefficients[0] * last + coefficients[1] * once
        out[t, ORDER + t] += 1.0
    return out


def accumulate(y: Array, before: Array, step: Array, weights: Array) -> Array:
    """Latents (..., H, L) of `y` (..., H, L) that follow `before` (..., ORDER, L): the inverse of `emphasise`.

    `weights` are the `responses` for H frames.
    """
    drawn = (weights[:, ORDER:] * (step * y)[..., None, :, :]).sum(-2)
    return cast(Array, drawn + (weights[:, :ORDER] * before[..., None, :, :]).sum(-2))


@dataclass(frozen=True, slots=True)
class Emphasis:
    """The way from latents to what is drawn, and back. Arrays of numpy, or tensors."""

    feedback: Any
    """(ORDER, L)."""
    step: Any
    """(L,)."""

    def drawn(self, sequence: Array) -> Array:
        """What is drawn (..., H, L) for latents (..., ORDER + H, L), the first being those before."""
        return cast(Array, emphasise(sequence, self.feedback, self.step))

    def latents(self, drawn: Array, before: Array, weights: Array) -> Array:
        """Latents (..., H, L) of what was `drawn`, following `before` (..., ORDER, L); `weights` are `responses`."""
        return cast(Array, accumulate(drawn, before, self.step, weights))

    def as_manifest(self) -> dict[str, list[Any]]:
        """As it stands in a manifest."""
        return {"feedback": self.feedback.tolist(), "step": self.step.tolist()}


PARTS: Final = ("feedback", "step")


def emphasis_of(parts: dict[str, Any]) -> Emphasis:
    """The emphasis with these arrays."""
    return Emphasis(*(parts[name] for name in PARTS))


def no_emphasis(width: int) -> dict[str, NDArray[np.float32]]:
    """Parts with which the latents themselves are drawn."""
    return {"feedback": np.zeros((ORDER, width), dtype=np.float32), "step": np.ones(width, dtype=np.float32)}
