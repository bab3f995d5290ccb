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

from reactdiff_ros.model.groups import GROUPS, LATENT_COUNT

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


@dataclass(frozen=True, slots=True)
class Companding:
    """Of every latent, (L,) each: z = (asinh((y - middle) / bend) - mean) / size."""

    middle: Any
    bend: Any
    mean: Any
    size: Any


BENDS: Final = (0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0)
"""Where a tail may begin, in deviations of y."""
FARTHEST: Final = 25.0
"""Largest y, in deviations, that can be drawn."""


def fit_companding(y: NDArray[np.floating[Any]]) -> Companding:
    """For samples `y` (n, L): the bend that leaves the kurtosis nearest to a Gaussian's 3; z is standardised."""
    middle = np.median(y, axis=0)
    bent = np.stack([np.arcsinh((y - middle) / bend) for bend in BENDS])
    mean, size = bent.mean(1), np.maximum(bent.std(1), 1e-3)
    kurtosis = (((bent - mean[:, None]) / size[:, None]) ** 4).mean(1)
    best = np.abs(np.log(np.maximum(kurtosis, 1e-3) / 3.0)).argmin(0)
    columns = np.arange(y.shape[1])
    values = (middle, np.array(BENDS)[best], mean[best, columns], size[best, columns])
    return Companding(*(np.asarray(v, dtype=np.float32) for v in values))


def compress(y: Array, c: Companding) -> Array:
    """What is drawn, for emphasised latents `y` (..., L)."""
    bent = (y - c.middle) / c.bend
    return cast(Array, ((bent.asinh() if hasattr(bent, "asinh") else np.arcsinh(bent)) - c.mean) / c.size)


def expand(z: Array, c: Companding) -> Array:
    """The inverse of `compress`; beyond FARTHEST it stays there."""
    bent, most = c.mean + c.size * z, FARTHEST / c.bend
    if hasattr(bent, "sinh"):
        return cast(Array, c.middle + c.bend * bent.clamp(-most.asinh(), most.asinh()).sinh())
    return cast(Array, c.middle + c.bend * np.sinh(np.clip(bent, -np.arcsinh(most), np.arcsinh(most))))


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
    """Both together: the way from latents to what is drawn, and back. Arrays of numpy, or tensors."""

    feedback: Any
    step: Any
    companding: Companding

    def drawn(self, sequence: Array) -> Array:
        """What is drawn (..., H, L) for latents (..., ORDER + H, L), the first being those before."""
        return cast(Array, compress(emphasise(sequence, self.feedback, self.step), self.companding))

    def latents(self, drawn: Array, before: Array, weights: Array) -> Array:
        """Latents (..., H, L) of what was `drawn`, following `before` (..., ORDER, L); `weights` are `responses`."""
        return cast(Array, accumulate(expand(drawn, self.companding), before, self.step, weights))

    def as_manifest(self) -> dict[str, list[Any]]:
        """As it stands in a manifest."""
        return {name: value.tolist() for name, value in self.parts().items()}

    def parts(self) -> dict[str, Any]:
        """Its arrays by name."""
        c = self.companding
        return {
            "feedback": self.feedback, "step": self.step,
            "middle": c.middle, "bend": c.bend, "mean": c.mean, "size": c.size,
        }  # fmt: skip


PARTS: Final = ("feedback", "step", "middle", "bend", "mean", "size")
STRAIGHT: Final = 1e3
"""A bend so far out that nothing is compressed."""


def emphasis_of(parts: dict[str, Any]) -> Emphasis:
    """The emphasis with these arrays."""
    return Emphasis(parts["feedback"], parts["step"], Companding(*(parts[name] for name in PARTS[2:])))


def no_emphasis(width: int) -> dict[str, NDArray[np.float32]]:
    """Parts with which the latents themselves are drawn."""
    ones, zeros = np.ones(width, dtype=np.float32), np.zeros(width, dtype=np.float32)
    return {
        "feedback": np.zeros((ORDER, width), dtype=np.float32), "step": ones,
        "middle": zeros, "bend": STRAIGHT * ones, "mean": zeros, "size": ones / np.float32(STRAIGHT),
    }  # fmt: skip
