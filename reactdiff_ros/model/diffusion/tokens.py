"""Speaker features: what a SpeakerFrame becomes before the encoder sees it.

Two classes of streams, as in ReactDiff's multi-modality transformer: face (expression coefficients | head pose and
gaze | affect) and voice (MFCC | prosody and voice activity). Each stream carries whether it was observed; an
unobserved stream is zeros with its flag down, which is neither silence nor a neutral face.

One vectorised, causal code path serves training (B simulated worlds) and the live listener (B = 1).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.affect import AFFECT_COUNT, projected
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT, INDEX
from reactdiff_ros.types import MFCC_COUNT, FloatArray, SpeakerFrame

FRAME_S: Final = 0.04

FAR_STEP: Final = 4
"""Frames between the speaker tokens that the denoiser sees beyond the newest ones."""


def heard_ages(shape: Mapping[str, int]) -> NDArray[np.int64]:
    """Ages in frames of the speaker tokens that the denoiser of such a shape sees, oldest first: `far` that are
    FAR_STEP frames apart, then the `speech` newest.
    """
    far = shape["speech"] - 1 + FAR_STEP * np.arange(shape.get("far", 0), 0, -1)
    return np.concatenate([far, np.arange(shape["speech"] - 1, -1, -1)])


READ: Final[tuple[str, ...]] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekSquintLeft",
    "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeWideLeft", "eyeWideRight", "jawOpen", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight",
)  # fmt: skip
"""The speaker's blendshapes that the encoder reads: those that landmarks can show and the simulator moves."""
_READ_INDEX: Final = np.array([INDEX[name] for name in READ])

STREAMS: Final[tuple[tuple[str, str, int], ...]] = (
    ("expression", "face", 2 * len(READ)),
    ("pose_gaze", "face", 19),
    ("affect", "face", AFFECT_COUNT),
    ("mfcc", "voice", MFCC_COUNT),
    ("prosody", "voice", 9),
)
"""(name, class, width) in the order of the feature vector."""
STREAM_COUNT: Final = len(STREAMS)
FEATURE_COUNT: Final = sum(width for _, _, width in STREAMS)

# Standard deviations of 26 liftered MFCC over synthesised speech of 15 voices.
MFCC_SCALE: Final = np.array(
    [20, 19, 18, 32, 30, 34, 38, 32, 32, 27, 20, 23, 20, 17, 15, 11, 10, 7, 6, 4, 3, 2, 1, 1, 1.5, 2], dtype=np.float32
)
_POSE_SCALE: Final = np.array([0.18, 0.35, 0.13, 0.1, 0.1, 0.2], dtype=np.float32)


@dataclass(slots=True)
class SpeakerBatch:
    """One frame of B speakers, or (B, T) of them: every array leads with the same shape S.

    Booleans say what was observed. Units as in `types.SpeakerFrame`; pause_s is NaN before the first utterance.
    """

    camera: NDArray[np.bool_]
    face: NDArray[np.bool_]
    mesh: NDArray[np.bool_]
    neutral_confidence: FloatArray
    coefficients: FloatArray  # S + (58,)
    confidence: FloatArray  # S + (58,)
    gaze_observed: NDArray[np.bool_]
    gaze: FloatArray  # S + (3,): yaw, pitch, contact
    affect_observed: NDArray[np.bool_]
    affect: FloatArray  # S + (9,): see `affect.projected`
    microphone: NDArray[np.bool_]
    speech_probability: FloatArray
    speaking: NDArray[np.bool_]
    mfcc: FloatArray  # S + (26,)
    pitch_hz: FloatArray
    loudness_dbfs: FloatArray
    pause_s: FloatArray
    utterance_s: FloatArray

    def at(self, t: int | slice | NDArray[np.integer[Any]]) -> SpeakerBatch:
        """Frame or frames `t` of a (B, T) batch."""
        return SpeakerBatch(**{f.name: getattr(self, f.name)[:, t] for f in fields(self)})

    def take(self, rows: NDArray[np.integer[Any]]) -> SpeakerBatch:
        """The speakers of `rows`."""
        return SpeakerBatch(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def withhold(speaker: SpeakerBatch, parts: Collection[str]) -> None:
    """Take the "voice" or the "face" away, in place."""
    if "voice" in parts:
        speaker.microphone[:] = False
    if "face" in parts:
        for name in ("camera", "face", "mesh", "gaze_observed", "affect_observed"):
            getattr(speaker, name)[:] = False
        speaker.confidence[:] = 0.0


def joined(batches: Sequence[SpeakerBatch]) -> SpeakerBatch:
    """One batch after the other, along the first axis."""
    return SpeakerBatch(**{f.name: np.concatenate([getattr(b, f.name) for b in batches]) for f in fields(SpeakerBatch)})


def blank(*shape: int) -> SpeakerBatch:
    """Speakers, (B,) or (B, T), of whom nothing at all is observed."""

    def no() -> NDArray[np.bool_]:
        return np.zeros(shape, dtype=bool)

    def zeros(*axes: int) -> FloatArray:
        return np.zeros((*shape, *axes), dtype=np.float32)

    return SpeakerBatch(
        camera=no(), face=no(), mesh=no(), neutral_confidence=zeros(),
        coefficients=zeros(COEFFICIENT_COUNT), confidence=zeros(COEFFICIENT_COUNT),
        gaze_observed=no(), gaze=zeros(3), affect_observed=no(), affect=zeros(AFFECT_COUNT),
        microphone=no(), speech_probability=zeros(), speaking=no(), mfcc=zeros(MFCC_COUNT), pitch_hz=zeros(),
        loudness_dbfs=zeros() - 100, pause_s=zeros() + np.nan, utterance_s=zeros(),
    )  # fmt: skip


def from_frame(frame: SpeakerFrame) -> SpeakerBatch:
    """A SpeakerFrame as a batch of one. What is malformed (wrong shape, NaN) counts as unobserved; nothing raises."""
    b = blank(1)
    b.camera[0] = frame.picture_stamp_ns is not None
    b.face[0] = b.camera[0] and bool(frame.face_present)
    b.mesh[0] = b.face[0] and bool(frame.mesh_present)
    if b.mesh[0]:
        _read_face(b, frame)
    voice = frame.voice
    if voice is not None and frame.sound_stamp_ns is not None and np.isfinite(voice.speech_probability):
        b.microphone[0] = True
        b.speech_probability[0] = voice.speech_probability
        b.speaking[0] = voice.speaking
        mfcc = np.asarray(voice.mfcc, dtype=np.float32)
        b.mfcc[0] = mfcc if mfcc.shape == (MFCC_COUNT,) else np.nan
        b.pitch_hz[0], b.loudness_dbfs[0] = voice.pitch_hz, voice.loudness_dbfs
        b.pause_s[0], b.utterance_s[0] = voice.pause_s, voice.utterance_s
    return b


def _read_face(b: SpeakerBatch, frame: SpeakerFrame) -> None:
    values = np.asarray(frame.coefficients, dtype=np.float32)
    confidence = np.asarray(frame.confidence, dtype=np.float32)
    if values.shape == confidence.shape == (COEFFICIENT_COUNT,):
        b.coefficients[0], b.confidence[0] = values, confidence
    else:
        b.mesh[0] = False
    b.neutral_confidence[0] = frame.neutral_confidence
    if frame.gaze is not None:
        b.gaze_observed[0] = True
        b.gaze[0] = frame.gaze.yaw_rad, frame.gaze.pitch_rad, frame.gaze.contact
    if frame.affect is not None and b.mesh[0]:
        b.affect_observed[0] = True
        b.affect[0] = projected(b.coefficients[0], b.confidence[0])


def _clean(values: FloatArray, low: float, high: float) -> FloatArray:
    """Finite and within bounds; NaN becomes 0."""
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=high, neginf=low), low, high).astype(np.float32)


class Featurizer:
    """Turns frames of B speakers on the 25 Hz grid into feature vectors, causally.

    Keeps a slow mean of MFCC (channel), of log pitch (the voice) and the loudness peak (distance), each learnt from
    speech only, so that voices, rooms and microphones look alike.
    """

    def __init__(self, batch: int) -> None:
        self._weight = np.zeros(batch, dtype=np.float32)
        self._mfcc = np.zeros((batch, MFCC_COUNT), dtype=np.float32)
        self._pitch_weight = np.zeros(batch, dtype=np.float32)
        self._log_pitch = np.zeros(batch, dtype=np.float32)
        self._peak = np.full(batch, -25.0, dtype=np.float32)

    def step(self, b: SpeakerBatch) -> tuple[FloatArray, FloatArray]:
        """Features (B, FEATURE_COUNT) and observation flags (B, STREAM_COUNT) of the next grid frame."""
        expression, pose_gaze, affect = self._face(b)
        mfcc, mfcc_observed = self._mfcc_stream(b)
        prosody = self._prosody(b)
        observed = np.stack([b.mesh, b.camera, b.affect_observed & b.mesh, mfcc_observed, b.microphone], axis=-1)
        parts = (expression, pose_gaze, affect, mfcc, prosody)
        masked = [part * observed[:, i : i + 1] for i, part in enumerate(parts)]
        return np.concatenate(masked, axis=-1).astype(np.float32), observed.astype(np.float32)

    def _face(self, b: SpeakerBatch) -> tuple[FloatArray, FloatArray, FloatArray]:
        finite = np.isfinite(b.coefficients) & np.isfinite(b.confidence)
        confidence = np.where(finite, np.clip(b.confidence, 0, 1), 0.0)
        values = np.where(confidence > 0.05, b.coefficients, 0.0)
        shapes = _clean(values[:, _READ_INDEX], 0.0, 1.0)
        pose = np.clip(_clean(values[:, BLENDSHAPE_COUNT:], -9.0, 9.0) / _POSE_SCALE, -3.0, 3.0)
        gaze_on = (b.gaze_observed & np.isfinite(b.gaze).all(-1))[:, None]
        gaze = _clean(b.gaze, -1.0, 1.0) * np.array([2.0, 2.0, 1.0], dtype=np.float32) * gaze_on
        flags = np.stack([b.face, b.mesh, _clean(b.neutral_confidence, 0, 1)], axis=-1)
        mesh = b.mesh[:, None]
        pose_gaze = np.concatenate(
            [pose * mesh, confidence[:, BLENDSHAPE_COUNT:] * mesh, gaze * mesh, gaze_on, flags], -1
        )
        expression = np.concatenate([shapes, confidence[:, _READ_INDEX]], -1)
        return expression, pose_gaze, _clean(b.affect, -1.0, 1.0)

    def _mfcc_stream(self, b: SpeakerBatch) -> tuple[FloatArray, NDArray[np.bool_]]:
        finite = np.isfinite(b.mfcc).all(-1) & b.microphone
        mfcc = _clean(b.mfcc, -200.0, 200.0)
        learn = finite & (_clean(b.speech_probability, 0, 1) > 0.5)
        rate = np.where(learn, 1.0 / np.minimum(self._weight + 1, 75.0), 0.0)[:, None]
        self._mfcc = (self._mfcc + rate * (mfcc - self._mfcc)).astype(np.float32)
        self._weight += learn
        known = (self._weight > 0)[:, None]
        return _clean((mfcc - self._mfcc) / MFCC_SCALE, -4.0, 4.0) * known, finite

    def _prosody(self, b: SpeakerBatch) -> FloatArray:
        speech = _clean(b.speech_probability, 0.0, 1.0)
        loudness = _clean(b.loudness_dbfs, -100.0, 0.0)
        voiced = b.microphone & np.isfinite(b.pitch_hz) & (b.pitch_hz > 40.0)
        log_pitch = np.log(np.where(voiced, b.pitch_hz, 150.0)).astype(np.float32)
        learn = voiced & (speech > 0.5)
        rate = np.where(learn, 1.0 / np.minimum(self._pitch_weight + 1, 125.0), 0.0)
        self._log_pitch = (self._log_pitch + rate * (log_pitch - self._log_pitch)).astype(np.float32)
        self._pitch_weight += learn
        relative = np.where(voiced & (self._pitch_weight > 10), 3.0 * (log_pitch - self._log_pitch), 0.0)
        louder = b.microphone & (speech > 0.5) & (loudness > self._peak)
        quieter = b.microphone & (speech > 0.5) & ~louder
        self._peak = self._peak + np.where(louder, 0.2, np.where(quieter, 0.004, 0.0)) * (loudness - self._peak)
        pause_known = np.isfinite(b.pause_s)
        columns = [
            speech,
            b.speaking,
            voiced,
            np.clip(relative, -2, 2),
            np.clip((loudness - self._peak) / 15.0, -3, 1),
            (loudness + 40.0) / 30.0,
            np.where(pause_known, np.tanh(_clean(b.pause_s, 0, 100) / 1.5), 1.0),
            np.tanh(_clean(b.utterance_s, 0, 100) / 3.0),
            pause_known,
        ]
        return np.stack([np.asarray(c, dtype=np.float32) for c in columns], axis=-1)


def featurize(batch: SpeakerBatch) -> tuple[FloatArray, FloatArray]:
    """Features (B, T, F) and flags (B, T, streams) of a whole (B, T) batch, by stepping through it."""
    worlds, frames = batch.camera.shape
    featurizer = Featurizer(worlds)
    features = np.empty((worlds, frames, FEATURE_COUNT), dtype=np.float32)
    observed = np.empty((worlds, frames, STREAM_COUNT), dtype=np.float32)
    for t in range(frames):
        features[:, t], observed[:, t] = featurizer.step(batch.at(t))
    return features, observed
