"""A recorded speaker as perception would deliver it: what a dataset does not hold stays unobserved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import EXPRESSION, EXPRESSIONS, VALENCE_AROUSAL
from reactdiff_ros.model.tokens import SpeakerBatch, blank
from reactdiff_ros.types import EXPRESSION_CLASSES, FloatArray

VoiceOf: TypeAlias = "Callable[[NDArray[np.int16], int, int], Mapping[str, NDArray[Any]]] | None"
"""(samples (n, channels), rate in Hz, T) -> the voice's columns of SpeakerBatch, each (T, ...); readers get it passed
in, because the extractor is perception's (`evaluation.recordings.extraction.voice_columns`). None: the voice is
unobserved."""

_CLASS_OF: Final = {"Anger": "angry", "Happy": "happy", "Sad": "sad"}
_TO_CLASS: Final = np.array(
    [EXPRESSION_CLASSES.index(_CLASS_OF.get(name, name.lower())) if name != "Contempt" else -1 for name in EXPRESSIONS]
)


def affect_of(attributes: FloatArray) -> FloatArray:
    """REACT's attributes (T, 25) as perception's affect (T, 9): 7 class probabilities, valence, arousal.

    Contempt has no class here: its share is left out and the others sum to 1.
    """
    chances = np.zeros((len(attributes), len(EXPRESSION_CLASSES)), dtype=np.float32)
    kept = _TO_CLASS >= 0
    chances[:, _TO_CLASS[kept]] = np.clip(attributes[:, EXPRESSION][:, kept], 0.0, 1.0)
    total = chances.sum(axis=1, keepdims=True)
    chances = np.where(total > 1e-6, chances / np.maximum(total, 1e-6), 1.0 / len(EXPRESSION_CLASSES))
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
    nobody = blank(frames)
    batch = SpeakerBatch(**{f.name: getattr(nobody, f.name)[None].copy() for f in fields(SpeakerBatch)})
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
