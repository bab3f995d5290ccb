"""Groups of the listener's coefficients, each with its own slice of the latent.

A recording that shows only some groups (a smile, a head) trains those latents and leaves the others alone, because
the autoencoder is block-diagonal in these groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, NAMES, POSE_NAMES, index


@dataclass(frozen=True, slots=True)
class Group:
    """Some coefficients and the latents that stand for them."""

    name: str
    coefficients: tuple[int, ...]
    """Indices into `coefficients.NAMES`."""
    latents: slice
    poles: tuple[float, float]
    """Of the filter that brings the fine motion of its latents to the size of the slow one, see `emphasis`."""

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
    taken = {name for _, names, _, _ in members for name in names}
    members.insert(1, ("mouth", tuple(n for n in BLENDSHAPE_NAMES if n not in taken), _MOUTH_LATENTS, _SMOOTH))
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
    """The groups as they stand in a manifest: name to [first latent, end of latents, coefficients ...]."""
    return {g.name: [g.latents.start, g.latents.stop, *g.coefficients] for g in GROUPS}
