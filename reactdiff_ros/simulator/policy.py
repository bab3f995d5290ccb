"""The best that is done by hand from noisy perception: what a listener must know of a speaker, detected causally.

`listen(perceive(batch), ...)` is the evaluation's "policy": the simulator's own listener on what perception delivers
instead of the truth. Running personal baselines, smoothing and thresholds; nothing looks ahead.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
from reactdiff_ros.model.tokens import FRAME_S, SpeakerBatch
from reactdiff_ros.types import FloatArray

from .dynamics import rate_of
from .motion import BoolArray, low_pass, since
from .stimulus import Stimulus

HELD_S: Final = 0.3
"""A face that was lost so short a time ago counts as seen, with its last readings."""
CONFIDENT: Final = 0.05
_SIGNALS: Final = (
    "mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "browDownLeft", "browDownRight", "mouthFrownLeft", "mouthFrownRight", "jawOpen",
)  # fmt: skip
_COLUMNS: Final = np.array([INDEX[name] for name in _SIGNALS])
_SMILE, _CHEEK, _INNER, _LEFT, _RIGHT, _DOWN, _FROWN, _JAW = (
    slice(0, 2), slice(2, 4), 4, 5, 6, slice(7, 9), slice(9, 11), 11,
)  # fmt: skip
# Readings at rest are taken as the person's neutral: followed down at once, up over a long time.
_BASE_DOWN: Final = rate_of(0.8)
_BASE_UP: Final = rate_of(25.0)
_FIRST: Final = 0.10
"""The most that a first reading of mouth and cheeks counts as neutral: who smiles at first smiles."""
_CALM, _TALKING = rate_of(0.06), rate_of(0.14)
# Shares of what is shown that perception reads (docs/perception_noise.md).
_GAIN_SMILE, _GAIN_CHEEK, _GAIN_BROW, _GAIN_DOWN, _GAIN_FROWN = 0.78, 0.60, 0.76, 0.80, 0.75
_FLOOR: Final = 0.03
"""Lift over the neutral that may be noise."""
LOW_PITCH: Final = -0.17
"""Log-pitch below the running mean that counts as low (about the 26th percentile)."""
BRIGHT_PITCH: Final = 0.05
SHORTEST_PHRASE_S: Final = 0.7


def perceive(batch: SpeakerBatch) -> Stimulus:
    """What noisy perception (B, T) tells of B speakers, in the terms of a Stimulus."""
    mesh = batch.mesh & np.isfinite(batch.coefficients).all(-1)
    seen = (since(mesh | batch.face) < HELD_S) & (since(mesh) < 2.0)
    heard = batch.microphone
    lifted = _lifted(batch, mesh)
    voice = _Voice(batch)
    smile_read = _mean(lifted, batch, _SMILE)
    smile = np.clip((smile_read - _FLOOR) / (_GAIN_SMILE - 0.08), 0, 1)
    brows = _brows(lifted, batch)
    jaw = low_pass(np.abs(np.diff(batch.coefficients[..., INDEX["jawOpen"]], axis=1, prepend=0)) * mesh, 0.25)
    visible = (low_pass(jaw > 0.018, 0.15) > 0.5) & (batch.confidence[..., INDEX["jawOpen"]] > CONFIDENT) & mesh
    speech = np.where(heard, batch.speaking, visible & seen)
    contact = _contact(batch, seen)
    ended, fell = _ended(batch, speech, heard, voice)
    held = (1 - contact * np.where(heard, fell, 0.5)) * (~speech) * (ended > -4) * (seen | heard)
    both = seen & heard
    low = low_pass(voice.low & both, 0.06) > 0.6
    cue = low & (contact > 0.5) & speech & (np.nan_to_num(batch.utterance_s) > SHORTEST_PHRASE_S)
    flat = speech & both & (smile > 0.12) & ~voice.bright
    tremor = _tremor(batch, mesh)
    return Stimulus(
        seen=_known(seen), heard=_known(heard), speech=_known(speech & (seen | heard)), smile=_known(smile, seen),
        brighten=_known(_brighten(lifted, batch, smile_read, voice), seen),
        sincerity=_known(1 - np.where(voice.known, 0.8, 0.0) * low_pass(flat, 0.3)),
        laugh=low_pass((tremor > 0.5) & (smile > 0.25) & both & voice.sounding, 0.12),
        nod=_known(_nod(batch, mesh), seen), contact=_known(contact, seen), cue=_known(cue),
        phrase_end=_known(np.clip(ended, 0, 1), seen | heard),
        held=_known(held), **{name: _known(value, seen) for name, value in brows.items()},
    )  # fmt: skip


def _known(value: NDArray[Any], where: BoolArray | None = None) -> FloatArray:
    return np.asarray(value if where is None else value * where, dtype=np.float32)


def _lifted(batch: SpeakerBatch, mesh: BoolArray) -> FloatArray:
    """Readings over the running neutral (signals, B, T), smoothed, held through lost pictures."""
    worlds, frames = mesh.shape
    values = np.ascontiguousarray(np.nan_to_num(batch.coefficients[..., _COLUMNS]).transpose(1, 2, 0))
    usable = (np.nan_to_num(batch.confidence[..., _COLUMNS]) > CONFIDENT) & mesh[..., None]
    usable = np.ascontiguousarray(usable.transpose(1, 2, 0))
    busy = np.where(batch.speaking & batch.microphone, _TALKING, _CALM).T
    most = np.full((len(_SIGNALS), 1), np.inf, dtype=np.float32)
    most[: _CHEEK.stop] = _FIRST
    state = np.zeros((len(_SIGNALS), worlds), dtype=np.float32)
    base = np.zeros_like(state)
    met = np.zeros(state.shape, dtype=bool)
    out = np.empty((len(_SIGNALS), frames, worlds), dtype=np.float32)
    for t in range(frames):
        new = usable[t] & ~met
        state = np.where(new, values[t], state + np.where(usable[t], busy[t], 0) * (values[t] - state))
        base = np.where(new, np.minimum(values[t], most), base)
        met |= usable[t]
        base = base + np.where(met, np.where(state < base, _BASE_DOWN, _BASE_UP), 0) * (state - base)
        out[:, t] = (state - base) * met
    return np.ascontiguousarray(out.transpose(0, 2, 1))


def _mean(lifted: FloatArray, batch: SpeakerBatch, rows: slice) -> FloatArray:
    """Left and Right, weighted by confidence."""
    trust = np.nan_to_num(batch.confidence[..., _COLUMNS[rows]]).transpose(2, 0, 1) + 1e-3
    return np.asarray((lifted[rows] * trust).sum(0) / trust.sum(0), dtype=np.float32)


def _brows(lifted: FloatArray, batch: SpeakerBatch) -> dict[str, FloatArray]:
    """Raised and lowered brows, sadness and doubt: both outer brows rise in surprise, one in doubt, none in grief."""
    inner, left, right = lifted[_INNER], lifted[_LEFT], lifted[_RIGHT]
    outer = np.minimum(left, right)
    raised = np.clip((np.minimum(inner * 1.1, outer * 1.1) - 0.04) / (_GAIN_BROW - 0.06), 0, 1)
    down = np.clip((_mean(lifted, batch, _DOWN) - 0.2 * lifted[_JAW] - 0.04) / _GAIN_DOWN, 0, 1)
    doubt = np.clip((np.abs(low_pass(left - right, 0.15)) - 0.10) / 0.34, 0, 1)
    doubt = np.where(low_pass(down, 0.2) > 0.05, doubt, 0.3 * doubt)
    corners = np.clip((_mean(lifted, batch, _FROWN) - 0.04) / (0.8 * _GAIN_FROWN), 0, 1)
    grief = np.clip((inner - outer - 0.04) / (0.6 * _GAIN_BROW), 0, 1)
    sad = np.clip(np.sqrt(corners * grief), 0, 1)
    return {
        "brow_up": raised, "frown": np.clip(down - 0.4 * doubt, 0, 1), "sad": sad, "doubt": doubt * (raised < 0.3),
    }  # fmt: skip


def _contact(batch: SpeakerBatch, seen: BoolArray) -> FloatArray:
    belief = np.where(batch.gaze_observed, np.clip(np.nan_to_num(batch.gaze[..., 2]), 0, 1), 0.5)
    return low_pass(belief, 0.06) * seen


class _Voice:
    """Pitch against the person's running mean: bright, low, and whether the mean is known yet."""

    def __init__(self, batch: SpeakerBatch) -> None:
        heard, pitch = batch.microphone, np.nan_to_num(batch.pitch_hz)
        voiced = (heard & (pitch > 50) & (np.nan_to_num(batch.speech_probability) > 0.4)).T
        tone = np.log(np.maximum(pitch, 50.0)).astype(np.float32).T
        frames, worlds = voiced.shape
        mean, weight, near, slow = np.zeros((4, worlds), dtype=np.float32)
        wide = np.zeros((frames, worlds), dtype=np.float32)
        fine = np.zeros_like(wide)
        known = np.zeros((frames, worlds), dtype=bool)
        for t in range(frames):
            weight += voiced[t]
            rate = voiced[t] / np.clip(weight, 1.0, 200.0)
            mean = (mean + rate * (tone[t] - mean)).astype(np.float32)
            near = np.where(voiced[t], near + 0.45 * (tone[t] - mean - near), near).astype(np.float32)
            slow = np.where(voiced[t], slow + 0.12 * (tone[t] - mean - slow), slow).astype(np.float32)
            fine[t], wide[t] = near, slow
            known[t] = weight > 25
        self.known: BoolArray = np.ascontiguousarray(known.T)
        self.relative: FloatArray = np.ascontiguousarray(fine.T)
        self.low: BoolArray = np.asarray(self.known & (self.relative < LOW_PITCH) & voiced.T)
        self.bright: BoolArray = self.known & (wide.T > BRIGHT_PITCH)
        self.brightness: FloatArray = np.asarray(np.clip(wide.T / 0.2, -1, 1) * self.known, dtype=np.float32)
        loud = np.nan_to_num(batch.loudness_dbfs, nan=-100.0)
        self.sounding: BoolArray = heard & ((np.nan_to_num(batch.speech_probability) > 0.3) | (loud > _floor(loud) + 9))


def _floor(loud: FloatArray) -> FloatArray:
    """Running level of the room (B, T): followed down at once, up over seconds."""
    level = loud[:, 0].copy()
    out = np.empty_like(loud)
    for t in range(loud.shape[1]):
        step = loud[:, t] - level
        level = level + np.where(step < 0, 0.3, 0.004) * step
        out[:, t] = level
    return out


def _ended(batch: SpeakerBatch, speech: BoolArray, heard: BoolArray, voice: _Voice) -> tuple[FloatArray, FloatArray]:
    """1 less the seconds since a phrase ended (far below 0 before any), and how its pitch fell, 0..1."""
    frames = speech.shape[1]
    began = since(~speech)
    length = np.zeros(len(speech), dtype=np.float32)
    fall = np.zeros(len(speech), dtype=np.float32)
    out = np.full(speech.shape, -9.0, dtype=np.float32)
    fell = np.zeros(speech.shape, dtype=np.float32)
    silent = since(speech)
    pause = np.where(heard, np.nan_to_num(batch.pause_s, nan=99.0), silent)
    tone = np.clip(-voice.relative / 0.25, 0, 1) * voice.known
    for t in range(frames):
        now = speech[:, t]
        length = np.where(now, np.minimum(began[:, t], (t + 1) * FRAME_S), length)
        fall = np.where(now, tone[:, t], fall)
        counts = ~now & (length >= SHORTEST_PHRASE_S)
        out[:, t] = np.where(counts, 1 - np.minimum(pause[:, t], 9.0), -9.0)
        fell[:, t] = fall
    return out, fell


def _brighten(lifted: FloatArray, batch: SpeakerBatch, smile_read: FloatArray, voice: _Voice) -> FloatArray:
    """Cheeks rise before the corners of the mouth do; a voice that brightens makes it surer."""
    cheek = _mean(lifted, batch, _CHEEK) / _GAIN_CHEEK - 0.95 * smile_read / _GAIN_SMILE
    surer = np.clip(voice.brightness, -0.5, 1) * 0.04
    return np.asarray(np.clip((cheek + surer - 0.07) / 0.13, 0, 1) * np.clip(1.5 - 4 * smile_read, 0, 1))


def _tremor(batch: SpeakerBatch, mesh: BoolArray) -> FloatArray:
    """0..1: the head shakes as in laughing, 4 to 5.5 times a second."""
    pitch = np.nan_to_num(batch.coefficients[..., HEAD_PITCH]) * mesh
    quick = np.diff(pitch, axis=1, prepend=pitch[:, :1])
    bend = np.abs(np.diff(quick, axis=1, prepend=quick[:, :1]))
    return np.clip((low_pass(bend, 0.2) - 0.009) / 0.006, 0, 1)


def _nod(batch: SpeakerBatch, mesh: BoolArray) -> FloatArray:
    """0..1: the head swings up and down, 1 to 2.5 times a second."""
    pitch = np.nan_to_num(batch.coefficients[..., HEAD_PITCH]) * mesh
    swing = low_pass(pitch, 0.05) - low_pass(pitch, 0.5)
    return np.clip((low_pass(np.abs(swing), 0.2) - 0.04) / 0.015, 0, 1)
