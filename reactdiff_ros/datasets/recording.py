"""What every reader of recorded conversations yields: one person listening to another, at 25 Hz."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.types import FloatArray

ATTRIBUTE_COUNT: Final = 25
"""Width of REACT's attributes, in the order of `reactdiff_ros.attributes`."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One direction of one recorded conversation: T frames of 25 Hz; both directions are two recordings.

    Raises:
        ValueError: shapes do not belong together; a reader checks what comes from outside before.
    """

    source: str
    """Name of the dataset."""
    pair: str
    """The two people: folds and splits are by it."""
    session: str
    """Which conversation of the pair."""
    role: str
    """Which of the two listens here."""
    speaker: SpeakerBatch
    """(1, T); what a recording does not hold is unobserved: flag down or confidence 0."""
    listener: FloatArray
    """(T, 58) coefficients, 0 where unobserved."""
    observed: NDArray[np.bool_]
    """(T, 58) which of them were measured; (58,) is repeated over time."""
    attributes: FloatArray | None = None
    """(T, 25) REACT's attributes of the listener, where the dataset labels them."""
    motion: FloatArray | None = None
    """(T,) how much the listener's picture moves, standardised logarithm: a magnitude that is no coefficient."""
    names: dict[str, str] = field(default_factory=dict)
    """What else the dataset tells, for reports: split, clip, matched reactions."""

    def __post_init__(self) -> None:
        frames = len(self.listener)
        if self.observed.ndim == 1:
            object.__setattr__(self, "observed", np.broadcast_to(self.observed, (frames, len(self.observed))))
        wide = (frames, COEFFICIENT_COUNT)
        if self.listener.shape != wide or self.observed.shape != wide:
            raise ValueError(f"listener {self.listener.shape} and observed {self.observed.shape} must be {wide}")
        if self.speaker.camera.shape != (1, frames):
            raise ValueError(f"speaker {self.speaker.camera.shape} must be (1, {frames}), as long as the listener")
        if self.attributes is not None and self.attributes.shape != (frames, ATTRIBUTE_COUNT):
            raise ValueError(f"attributes {self.attributes.shape} must be {(frames, ATTRIBUTE_COUNT)}")
        if self.motion is not None and self.motion.shape != (frames,):
            raise ValueError(f"motion {self.motion.shape} must be {(frames,)}")

    @property
    def frames(self) -> int:
        """T."""
        return len(self.listener)

    @property
    def person(self) -> str:
        """The listener, the same in all sessions."""
        return f"{self.source}/{self.pair}/{self.role}"

    @property
    def name(self) -> str:
        """The recording, for messages."""
        return f"{self.source}/{self.pair}/{self.session}/{self.role}"


def stack(recordings: Iterable[Recording], frames: int) -> tuple[SpeakerBatch, FloatArray, NDArray[np.bool_]]:
    """The first `frames` frames of several recordings: speakers (B, T), listeners (B, T, 58) and their masks.

    Raises:
        ValueError: one is shorter, or there is none.
    """
    chosen = list(recordings)
    short = [r.name for r in chosen if r.frames < frames]
    if short or not chosen:
        raise ValueError(f"no recordings, or shorter than {frames} frames: {', '.join(short)}")
    columns = {
        f.name: np.concatenate([getattr(r.speaker, f.name)[:, :frames] for r in chosen]) for f in fields(SpeakerBatch)
    }
    listeners = np.stack([r.listener[:frames] for r in chosen])
    return SpeakerBatch(**columns), listeners, np.stack([r.observed[:frames] for r in chosen])
