"""The style of a person in a clip, measured as a listener: what `reactdiff style learn` saves under a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.recordings.extraction import CONFIDENT, extract_clip
from reactdiff_ros.model.conditions import STYLE_NAMES
from reactdiff_ros.model.speaker.grid import Track
from reactdiff_ros.model.style import SHORTEST_S, style_of
from reactdiff_ros.perception import PerceptionConfig, SpeakerPerception
from reactdiff_ros.recordings.datasets.recording import filled_in
from reactdiff_ros.session import Perception
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

LEAST_SEEN: Final = 0.6
"""Share of a clip in which a face must have been found."""
LEAST_CONFIDENT: Final = 0.5
"""Share of those frames in which a coefficient must be sure, to count as observed."""
SETTLING_S: Final = 2.0
"""The first seconds of a clip, in which perception learns the person's neutral face, are left out."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a clip told of a person's way to listen."""

    clip: str
    seconds: float
    """Of the clip in which the face was seen and measured."""
    values: tuple[float | None, ...]
    """In the order of STYLE_NAMES; None where the clip cannot tell."""

    def as_dict(self) -> dict[str, float | None]:
        """The values by name."""
        return dict(zip(STYLE_NAMES, self.values, strict=True))


def learn_reference(
    path: Path, perception: Perception | None = None, progress: Callable[[float], None] = lambda seconds: None
) -> Reference:
    """Measure the person in the clip `path` as a listener.

    Args:
        path: a media file with one person in it who listens.
        perception: as live by default.
        progress: told how many seconds of the clip are done.

    Raises:
        MediaError: it cannot be read, is too short, or shows a face too seldom.
    """
    track, _ = extract_clip(path, perception or SpeakerPerception(PerceptionConfig()), progress)
    coefficients, observed = seen_face(track, str(path))
    values, given = style_of(coefficients[None], observed)
    told = tuple(round(float(v), 3) if g else None for v, g in zip(values[0], given[0], strict=True))
    if not any(g for g in given[0]):
        raise MediaError("nothing of the person's listening could be measured", where=str(path))
    return Reference(path.name, len(coefficients) / REACTION_RATE_HZ, told)


def seen_face(track: Track, where: str) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The face (T, 58) of the person on the 25 Hz grid and which coefficients were observed (58,).

    Frames without a face are filled in between those around them.

    Raises:
        MediaError: the face was seen for less than SHORTEST_S, or in less than LEAST_SEEN of the time.
    """
    batch, first = track.batch, round(SETTLING_S * REACTION_RATE_HZ)
    mesh = batch.mesh[0, first:]
    seen = np.flatnonzero(mesh)
    if len(seen) / REACTION_RATE_HZ < SHORTEST_S:
        found = len(seen) / REACTION_RATE_HZ
        raise MediaError(
            f"a face was measured for {found:.1f} s only", where=where,
            todo=f"take a clip that shows the person's face for {SETTLING_S + SHORTEST_S:g} s and more, best a minute",
        )  # fmt: skip
    if len(seen) < LEAST_SEEN * len(mesh):
        raise MediaError(
            f"a face was found in {len(seen) / len(mesh):.0%} of the clip only", where=where,
            todo="cut the clip to where the person is seen",
        )  # fmt: skip
    values = np.nan_to_num(batch.coefficients[0, first:])
    sure = np.nan_to_num(batch.confidence[0, first:])[seen] >= CONFIDENT
    span = slice(seen[0], seen[-1] + 1)
    filled = np.stack([filled_in(column, mesh[span]) for column in values[span].T], axis=1)
    return filled.astype(np.float32), sure.mean(0) >= LEAST_CONFIDENT
