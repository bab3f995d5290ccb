"""What every reader of recorded conversations yields: one person listening to another, at 25 Hz.

The speaker is as perception would deliver them; what a data set does not hold stays unobserved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.affect import CLASSES
from reactdiff_ros.attributes import EXPRESSION, EXPRESSIONS, VALENCE_AROUSAL
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.tokens import SpeakerBatch, blank
from reactdiff_ros.types import FloatArray

ATTRIBUTE_COUNT: Final = 25
"""Width of REACT's attributes, in the order of `reactdiff_ros.attributes`."""
LEAST_OBSERVED: Final = 0.5
"""Share of a recording's frames in which a coefficient must have been observed, for a statistic of the whole."""


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

    def listener_seen(self) -> tuple[FloatArray, NDArray[np.bool_]]:
        """The listener (T', 58) from the first to the last frame in which anything was observed, gaps filled in, and
        which coefficients (58,) were observed in at least LEAST_OBSERVED of the T frames.

        For statistics of a person: to them a lost face, all zeros, would be one that moves back to neutral.
        """
        often = np.asarray(self.observed.mean(0) >= LEAST_OBSERVED)
        frames = np.flatnonzero(self.observed.any(1))
        span = slice(frames[0], frames[-1] + 1) if len(frames) else slice(0)
        listener, observed = self.listener[span].copy(), self.observed[span]
        for i in np.flatnonzero(often & ~observed.all(0)):
            listener[:, i] = filled_in(listener[:, i], observed[:, i])
        return listener, often


def filled_in(curve: NDArray[np.floating[Any]], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A curve (T,) in which frames that are not `known` (T,) lie on a line between those around them; ends hold.

    Raises:
        ValueError: nothing is known.
    """
    return np.interp(np.arange(len(curve)), np.flatnonzero(known), curve[known])


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


VoiceOf: TypeAlias = "Callable[[NDArray[np.int16], int, int], Mapping[str, NDArray[Any]]] | None"
"""(samples (n, channels), rate in Hz, T) -> the voice's columns of SpeakerBatch, each (T, ...); readers get it passed
in, because the extractor is perception's (`evaluation.recordings.extraction.voice_columns`). None: the voice is
unobserved."""

_CLASS_OF: Final = {"Anger": "angry", "Happy": "happy", "Sad": "sad"}
_TO_CLASS: Final = np.array(
    [CLASSES.index(_CLASS_OF.get(name, name.lower())) if name != "Contempt" else -1 for name in EXPRESSIONS]
)


def affect_of(attributes: FloatArray) -> FloatArray:
    """REACT's attributes (T, 25) as perception's affect (T, 9): 7 class probabilities, valence, arousal.

    Contempt has no class here: its share is left out and the others sum to 1.
    """
    chances = np.zeros((len(attributes), len(CLASSES)), dtype=np.float32)
    kept = _TO_CLASS >= 0
    chances[:, _TO_CLASS[kept]] = np.clip(attributes[:, EXPRESSION][:, kept], 0.0, 1.0)
    total = chances.sum(axis=1, keepdims=True)
    chances = np.where(total > 1e-6, chances / np.maximum(total, 1e-6), 1.0 / len(CLASSES))
    both = np.concatenate([chances, np.clip(attributes[:, VALENCE_AROUSAL], -1, 1)], axis=1)
    return np.asarray(both, dtype=np.float32)


def speaker_of(
    frames: int,
    *,
    coefficients: FloatArray | None = None,
    observed: NDArray[np.bool_] | None = None,
    affect: FloatArray | None = None,
    voice: Mapping[str, NDArray[Any]] | None = None,
) -> SpeakerBatch:
    """One speaker of T frames, (1, T).

    Args:
        frames: T.
        coefficients: (T, 58) or None; their confidence is 1 where `observed` (58,), else 0.
        observed: which coefficients were measured.
        affect: (T, 9) of `affect_of`.
        voice: columns of the voice, (T, ...).
    """
    empty = blank(frames)
    batch = SpeakerBatch(**{f.name: getattr(empty, f.name)[None].copy() for f in fields(SpeakerBatch)})
    if coefficients is not None and observed is not None:
        for flag in (batch.camera, batch.face, batch.mesh):
            flag[:] = True
        batch.neutral_confidence[:] = 1.0
        batch.coefficients[0] = coefficients * observed
        batch.confidence[0] = observed
    if affect is not None:
        batch.affect_observed[:] = True
        batch.affect[0] = affect
    if voice is not None:
        for name, values in voice.items():
            getattr(batch, name)[0] = values
    return batch
