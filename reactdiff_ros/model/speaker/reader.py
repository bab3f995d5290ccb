"""What is read of speakers frame by frame, once for all that is told of them: the encoder's features, and the mood."""

from __future__ import annotations

from reactdiff_ros.model.plan.mood import Mood
from reactdiff_ros.model.tokens import Featurizer, SpeakerBatch
from reactdiff_ros.types import FloatArray


class Reader:
    """Reads B speakers, frame by frame of the 25 Hz grid."""

    def __init__(self, batch: int) -> None:
        self._featurizer, self._mood = Featurizer(batch), Mood(batch)

    def copy(self) -> Reader:
        """An independent copy of the state."""
        other = Reader(0)
        other._featurizer, other._mood = self._featurizer.copy(), self._mood.copy()
        return other

    def step(self, speaker: SpeakerBatch) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Features (B, FEATURE_COUNT), what was observed (B, STREAM_COUNT) and moods (B,), after the next frame."""
        return *self._featurizer.step(speaker), self._mood.step(speaker)
