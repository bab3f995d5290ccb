"""The listener's latents: groups of coefficients, each with its own slice, and their pre-emphasis in time.

Groups: a recording that shows only some of them (a smile, a head) trains those latents and leaves the others alone,
because the autoencoder is block-diagonal in these groups.

Pre-emphasis: faces move smoothly. A ten-thousandth of a latent's power lies above 6 Hz, where white noise has half of
its power. To draw such a signal from white noise, a network has to cancel the noise to a hundredth, and what it leaves
is seen as jitter. So the diffusion draws y, whose fine motion is about as large as its slow one, instead of the
latents u:

    y[t] = (u[t] - c1 u[t-1] - c2 u[t-2] - c3 u[t-3] - c4 u[t-4]) / step,

an autoregressive filter with poles below 1, so that errors fade within a second and slow motion keeps its size. Given
the latents before, u follows from y without delay and without loss. It begins with the poles of each `Group`; after
training, that of heads takes in how networks fail to continue them (`training.feedback`). Numpy and torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, NAMES, POSE_NAMES, index

Array = TypeVar("Array", bound=Any)


@dataclass(frozen=True, slots=True)
class Group:
    """Some coefficients and the latents that stand for them."""

    name: str
    coefficients: tuple[int, ...]
    """Indices into `coefficients.NAMES`."""
    latents: slice
    poles: tuple[float, float]
    """Of the filter that brings the fine motion of its latents to the size of the slow one."""

    @property
    def width(self) -> int:
        """Number of latents."""
        return int(self.latents.stop - self.latents.start)


_SMOOTH: Final = (0.7, 0.7)
_ABRUPT: Final = (0.6, 0.0)
"""Poles as near to 1 as leaves the slow motion its size (gain 1.1 to 1.6): tried .6 to .95, first and second order."""
_MEMBERS: Final[tuple[tuple[str, tuple[str, ...], int, tuple[float, float]], ...]] = (
    ("smile", ("mouthSmile", "cheek", "mouthDimple", "mouthUpperUp"), 4, _SMOOTH),
    ("brows", ("brow",), 4, _SMOOTH),
    ("lids", ("eyeSquint", "eyeWide"), 2, _SMOOTH),
    ("blinks", ("eyeBlink",), 2, _ABRUPT),
    ("gaze", ("eyeLook",), 4, _ABRUPT),
    ("head", POSE_NAMES, 6, _SMOOTH),
)
"""(group, beginnings of the names of its coefficients, latents, poles); what is left over is the group "mouth"."""
_MOUTH_LATENTS: Final = 6


def _groups() -> tuple[Group, ...]:
    members = [(name, tuple(n for n in NAMES if n.startswith(begin)), w, poles) for name, begin, w, poles in _MEMBERS]
    used = {name for _, names, _, _ in members for name in names}
    members.insert(1, ("mouth", tuple(n for n in BLENDSHAPE_NAMES if n not in used), _MOUTH_LATENTS, _SMOOTH))
    groups, start = [], 0
    for name, names, width, poles in members:
        groups.append(Group(name, index(*names), slice(start, start + width), poles))
        start += width
    return tuple(groups)


GROUPS: Final[tuple[Group, ...]] = _groups()
GROUP_NAMES: Final = tuple(group.name for group in GROUPS)
GROUP_COUNT: Final = len(GROUPS)
LATENT_COUNT: Final = GROUPS[-1].latents.stop
"""Width of the latent of one frame."""


def _owners() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    coefficients = np.zeros(len(NAMES), dtype=np.intp)
    latents = np.zeros(LATENT_COUNT, dtype=np.intp)
    for i, group in enumerate(GROUPS):
        coefficients[list(group.coefficients)] = i
        latents[group.latents] = i
    return coefficients, latents


GROUP_OF_COEFFICIENT, GROUP_OF_LATENT = _owners()
"""(58,) and (LATENT_COUNT,) index of the group of each."""


def latents_observed(observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which latents (..., LATENT_COUNT) a recording trains that observes coefficients (..., 58): a group counts as
    observed as soon as one of its coefficients is.
    """
    per_group = np.stack([observed[..., list(group.coefficients)].any(-1) for group in GROUPS], axis=-1)
    return np.asarray(per_group[..., GROUP_OF_LATENT])


def as_manifest() -> dict[str, list[int]]:
    """The groups as a manifest lists them: name to [first latent, end of latents, coefficients ...]."""
    return {g.name: [g.latents.start, g.latents.stop, *g.coefficients] for g in GROUPS}


ORDER: Final = 4
"""Latents that must be known before the first."""


def feedback() -> NDArray[np.float32]:
    """c1 .. c4 of every latent, (ORDER, LATENT_COUNT), before training."""
    out = np.zeros((ORDER, LATENT_COUNT), dtype=np.float32)
    for group in GROUPS:
        one, two = group.poles
        out[:2, group.latents] = np.array([[one + two], [-one * two]])
    return out


def emphasise(sequence: Array, coefficients: Array, step: Array) -> Array:
    """Y (..., H, L) of latents (..., ORDER + H, L), the first those before; coefficients (ORDER, L), step (L,)."""
    count = sequence.shape[-2]
    before = (coefficients[lag] * sequence[..., ORDER - 1 - lag : count - 1 - lag, :] for lag in range(ORDER))
    return cast(Array, (sequence[..., ORDER:, :] - sum(before)) / step)


def responses(coefficients: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """What makes latents of y: (frames, ORDER + frames, L), the weights of the latents before and of step * y."""
    out = np.repeat(np.eye(ORDER + frames, dtype=np.float32)[..., None], coefficients.shape[-1], axis=-1)
    for t in range(ORDER, ORDER + frames):
        out[t] += sum(coefficients[lag] * out[t - 1 - lag] for lag in range(ORDER))
    return out[ORDER:]


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
        """As a manifest lists it."""
        return {"feedback": self.feedback.tolist(), "step": self.step.tolist()}


PARTS: Final = ("feedback", "step")


def emphasis_of(parts: dict[str, Any]) -> Emphasis:
    """The emphasis with these arrays."""
    return Emphasis(*(parts[name] for name in PARTS))


def no_emphasis(width: int) -> dict[str, NDArray[np.float32]]:
    """Parts with which the latents themselves are drawn."""
    return {"feedback": np.zeros((ORDER, width), dtype=np.float32), "step": np.ones(width, dtype=np.float32)}
