"""Policies as streams: the same face as live, later than what it answers."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.evaluation.listeners import frames_of, policy_streams
from reactdiff_ros.model.tokens import SpeakerBatch, blank, from_frame


def speakers(count: int, frames: int) -> SpeakerBatch:
    """Speakers with a camera whose smile comes at frame 100 and stays for 2 s."""
    flat = blank(count * frames)
    batch = SpeakerBatch(
        **{f.name: getattr(flat, f.name).reshape(count, frames, *getattr(flat, f.name).shape[1:]) for f in fields(flat)}
    )
    batch.camera[:] = batch.face[:] = batch.mesh[:] = True
    batch.confidence[:] = batch.neutral_confidence[:] = 1
    batch.gaze_observed[:] = True
    batch.gaze[..., 2] = 1
    batch.coefficients[:, 100:150, list(SMILE)] = 0.8
    return batch


def test_frames_carry_what_the_batch_holds() -> None:
    batch = speakers(1, 120)
    frame = list(frames_of(batch, 0))[110]
    back = from_frame(frame)
    for name in ("coefficients", "confidence", "gaze", "camera", "mesh", "microphone"):
        np.testing.assert_array_equal(getattr(back, name)[0], getattr(batch, name)[0, 110])


def test_the_mime_copies_later_and_the_idle_listener_does_nothing() -> None:
    batch = speakers(2, 250)
    seeds = np.arange(2)
    mime = policy_streams("mime", batch, seeds, mime_lag_s=0.6)
    smile = mime[0][:, list(SMILE)].mean(1)
    assert smile[:114].max() == 0
    assert smile[125:150].max() > 0.7
    assert not policy_streams("idle", batch, seeds).any()
