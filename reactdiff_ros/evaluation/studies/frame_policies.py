"""The listeners without a network (rules, mime, random, idle) as streams: batched speakers in, coefficients out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.tokens import CLASS_COUNT, SpeakerBatch
from reactdiff_ros.types import (
    EXPRESSION_CLASSES,
    REACTION_RATE_HZ,
    Affect,
    FloatArray,
    Gaze,
    SpeakerFrame,
    Voice,
)

FRAME_NS = int(NS / REACTION_RATE_HZ)


def frames_of(batch: SpeakerBatch, row: int) -> Iterator[SpeakerFrame]:
    """What perception would have sent for one speaker of a (B, T) batch; frame t is at t / 25 s."""
    for t in range(batch.camera.shape[1]):
        yield _frame(batch, row, t)


def _frame(b: SpeakerBatch, row: int, t: int) -> SpeakerFrame:
    at = (row, t)
    stamp = (t + 1) * FRAME_NS
    mesh = bool(b.mesh[at])
    return SpeakerFrame(
        stamp_ns=stamp,
        picture_stamp_ns=stamp if b.camera[at] else None,
        sound_stamp_ns=stamp if b.microphone[at] else None,
        person_id=0 if b.face[at] else -1,
        face_present=bool(b.face[at]),
        mesh_present=mesh,
        coefficients=b.coefficients[at],
        confidence=b.confidence[at],
        neutral_confidence=float(b.neutral_confidence[at]),
        gaze=Gaze(*(float(x) for x in b.gaze[at])) if b.gaze_observed[at] and mesh else None,
        position_m=None,
        affect=_affect(b.affect[at]) if b.affect_observed[at] and mesh else None,
        voice=_voice(b, at) if b.microphone[at] else None,
    )


def _affect(values: FloatArray) -> Affect:
    probabilities = values[:CLASS_COUNT]
    label = EXPRESSION_CLASSES[int(probabilities.argmax())]
    return Affect(label, probabilities, float(values[CLASS_COUNT]), float(values[CLASS_COUNT + 1]))


def _voice(b: SpeakerBatch, at: tuple[int, int]) -> Voice:
    return Voice(
        speech_probability=float(b.speech_probability[at]),
        speaking=bool(b.speaking[at]),
        mfcc=b.mfcc[at],
        pitch_hz=float(b.pitch_hz[at]),
        loudness_dbfs=float(b.loudness_dbfs[at]),
        pause_s=float(b.pause_s[at]),
        utterance_s=float(b.utterance_s[at]),
    )


def policy_streams(
    policy: str,
    speakers: SpeakerBatch,
    seeds: NDArray[np.integer[Any]],
    *,
    progress: Callable[[int], None] | None = None,
    **settings: Any,
) -> FloatArray:
    """The streams (N, T, 58) of a policy of `model.policies` for N speakers (N, T), each frame as late as live.

    Args:
        policy: rules, mime, random or idle.
        speakers: (N, T).
        seeds: (N,) one a stream.
        progress: told how many streams are done.
        settings: of `ListenerConfig`.
    """
    count, frames = speakers.camera.shape
    out = np.zeros((count, frames, COEFFICIENT_COUNT), dtype=np.float32)
    for row in range(count):
        listener = make_listener(policy, seed=int(seeds[row]), config=ListenerConfig(**settings))
        shown = out[row]
        for t, frame in enumerate(frames_of(speakers, row)):
            listener.observe(frame)
            reaction = listener.plan(frame.stamp_ns)
            if reaction is not None:
                first = round(reaction.start_ns / FRAME_NS) - 1
                there = shown[first : first + len(reaction.coefficients)]
                there[:] = reaction.coefficients[: len(there)]
                if first <= t:
                    raise AssertionError("a plan reaches into the past")
        if progress is not None:
            progress(row + 1)
    return out
