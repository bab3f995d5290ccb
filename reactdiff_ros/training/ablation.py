"""What a run can be trained without, in its data: the voice, the face, the randomisation of perception's errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, INDEX
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.simulator.appearance import SHOWN, appearance
from reactdiff_ros.simulator.observation import POSE_TRUST, TRUST
from reactdiff_ros.simulator.speaker import Speakers
from reactdiff_ros.types import FloatArray

_SEED = 23


def ablate(speaker: SpeakerBatch, parts: Sequence[str]) -> None:
    """Take the voice or the face away, in place."""
    if "voice" in parts:
        speaker.microphone[:] = False
    if "face" in parts:
        for name in ("camera", "face", "mesh", "gaze_observed", "affect_observed"):
            getattr(speaker, name)[:] = False
        speaker.confidence[:] = 0.0


def without_randomisation(speaker: SpeakerBatch, truth: Speakers, contact: FloatArray, seed: int) -> None:
    """Show the face as it truly is, in place: no gain, offset, noise, delay, lost picture or missing coefficient.

    `contact` (B, T) 0..1: whether the speaker looks at the listener. Cameras that are not there stay away, and the
    voices, which are real recordings of synthesised speech, keep their rooms and microphones.
    """
    shown, gaze = appearance((seed, _SEED), truth)
    seen = speaker.camera & truth.present
    confidence = np.zeros(shown.shape[-1], dtype=np.float32)
    for name in SHOWN:
        confidence[INDEX[name]] = TRUST[name.removesuffix("Left").removesuffix("Right")]
    confidence[BLENDSHAPE_COUNT:] = POSE_TRUST
    for name in ("face", "mesh", "gaze_observed"):
        getattr(speaker, name)[:] = seen
    speaker.neutral_confidence[:] = seen
    speaker.coefficients[:] = shown * seen[..., None]
    speaker.confidence[:] = confidence * seen[..., None]
    speaker.gaze[:] = np.concatenate([gaze, contact[..., None]], axis=-1) * seen[..., None]
