"""The best that is done by hand from noisy perception: what a listener must know of a speaker, detected causally.

`listen(perceive(batch), ...)` is the evaluation's "policy": the simulator's own listener on what perception delivers
instead of the truth. Running personal baselines and smoothing; an event that noise imitates (laugh, nod, cue, doubt,
frown, announced smile) is decided by a small linear rule on several clues with hysteresis. Nothing looks ahead.
Of emotional episodes, ambivalence alone is read as such; the others show as frowns, sadness, raised brows and doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX
from reactdiff_ros.model.diffusion.tokens import FRAME_S, SpeakerBatch
from reactdiff_ros.perception.voice import SPEECH_END
from reactdiff_ros.types import FloatArray

from .motion import BoolArray, low_pass, rate_of, since
from .speaker import SPOKE_S
from .stimulus import EMOTIONS, Stimulus

HELD_S: Final = 0.3
"""A face that was lost so short a time ago counts as seen, with its last readings."""
CONFIDENT: Final = 0.05
_SIGNALS: Final = (
    "mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "browDownLeft", "browDownRight", "mouthFrownLeft", "mouthFrownRight", "jawOpen",
    "mouthPressLeft", "mouthPressRight",
)  # fmt: skip
_COLUMNS: Final = np.array([INDEX[name] for name in _SIGNALS])
_SMILE, _CHEEK, _INNER, _LEFT, _RIGHT, _DOWN, _FROWN, _JAW, _PRESS = (
    slice(0, 2), slice(2, 4), 4, 5, 6, slice(7, 9), slice(9, 11), 11, slice(12, 14),
)  # fmt: skip
# Readings at rest are taken as the person's neutral: followed down at once, up over a long time.
_BASE_DOWN: Final = rate_of(0.8)
_BASE_UP: Final = rate_of(25.0)
_FIRST: Final = 0.10
"""The most that a first reading of mouth and cheeks counts as neutral: who smiles at first smiles."""
_CALM, _TALKING = rate_of(0.06), rate_of(0.14)
# Shares of what is shown that perception reads (docs/perception_noise.md).
_GAIN_SMILE, _GAIN_BROW, _GAIN_FROWN = 0.78, 0.76, 0.75
_SMILE_MIX: Final = (0.36, 0.19, 1.10)
"""Corners of the mouth, cheeks and their geometric mean: speech moves the corners alone, a smile moves both."""
_SMILE_ON, _SMILE_OFF = 0.18, 0.08
"""A smile begins above the one and is over below the other."""
LOW_PITCH: Final = -0.17
"""Log-pitch below the running mean that counts as low (about the 26th percentile)."""
BRIGHT_PITCH: Final = 0.05
SHORTEST_PHRASE_S: Final = 0.7
_GAP: Final = 1.5
"""Hysteresis of a rule's score (log odds): an event is over that far below where it began."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Log odds of an event, linear in its clues, smoothed; it is on above `on` until below `on` - 1.5.

    Weights by logistic regression, `on` so that events are as frequent as in truth, on 260 simulated conversations of
    purpose "tune" (177 of them with synthesised voices); how well that does on others: docs/simulator.md.
    """

    weights: dict[str, float]
    offset: float
    tau_s: float
    on: float


RULES: Final = {
    "laugh": Rule(
        {"shake": 3.10, "yaw": -1.37, "roll": -0.98, "bursts": 0.63, "smile": 3.22, "probability": -3.10,
         "bright": 1.41, "sounding": 3.85},
        offset=-4.46, tau_s=0.15, on=-0.5),
    "nod": Rule(
        {"speed": 5.77, "usual": -0.617, "yaw": -0.765, "shake": -2.44, "climb": -16.5},
        offset=-6.23, tau_s=0.08, on=-0.5),
    "cue": Rule(
        {"near": -0.25, "tone": -8.90, "stays": -2.06, "low": 1.37, "contact": 2.37, "probability": 2.88},
        offset=-8.94, tau_s=0.06, on=-2.0),
    "doubt": Rule(
        {"press": 11.8, "high": 7.06, "low": -5.74, "down": 5.33, "usual": -9.95, "roll": 8.75},
        offset=-5.65, tau_s=0.2, on=-1.1),
    "frown": Rule(
        {"down": 20.9, "usual": -2.22, "uneven": -5.31, "jaw": -4.84, "talk": -0.786},
        offset=-5.53, tau_s=0.15, on=-0.2),
    "brighten": Rule(
        {"cheek": 7.29, "usual": 5.19, "smile": -12.0, "rises": 41.2, "widens": -19.7, "bright": 0.411},
        offset=-3.31, tau_s=0.1, on=-0.7),
    "ambivalence": Rule(
        {"away": 3.68, "halts": 26.9, "usual": 4.38, "tone": -5.33, "smile": 2.93, "pause": 1.77},
        offset=-8.78, tau_s=0.2, on=-0.5),
}  # fmt: skip


def perceive(batch: SpeakerBatch) -> Stimulus:
    """What noisy perception (B, T) says about B speakers, in the terms of a Stimulus."""
    mesh = batch.mesh & np.isfinite(batch.coefficients).all(-1)
    seen = (since(mesh | batch.face) < HELD_S) & (since(mesh) < 2.0)
    heard = batch.microphone
    lifted = _lifted(batch, mesh)
    voice = _Voice(batch)
    smile = _smile(lifted, batch, seen)
    jaw = low_pass(np.abs(np.diff(batch.coefficients[..., INDEX["jawOpen"]], axis=1, prepend=0)) * mesh, 0.25)
    visible = (low_pass(jaw > 0.018, 0.15) > 0.5) & (batch.confidence[..., INDEX["jawOpen"]] > CONFIDENT) & mesh
    speech = np.where(heard, batch.speaking, visible & seen)
    contact = _contact(batch, seen)
    ended, fell = _ended(batch, speech, heard, voice)
    held = (1 - contact * np.where(heard, fell, 0.5)) * (~speech) * (ended > -4) * (seen | heard)
    both = seen & heard
    flat = speech & both & (smile > 0.12) & ~voice.bright
    clues = _clues(batch, mesh, lifted, voice, smile=smile, speech=speech, contact=contact)
    where = {
        "laugh": (smile > 0.15) & both,
        "cue": speech & both & (np.nan_to_num(batch.utterance_s) > SHORTEST_PHRASE_S),
        "ambivalence": both & (since(speech) < SPOKE_S),
    }
    decided = {name: _decided(rule, clues[name], where.get(name, seen)) for name, rule in RULES.items()}
    return Stimulus(
        seen=_known(seen), heard=_known(heard), speech=_known(speech & (seen | heard)), smile=_known(smile, seen),
        sincerity=_known(1 - np.where(voice.known, 0.8, 0.0) * low_pass(flat, 0.3)), contact=_known(contact, seen),
        phrase_end=_known(np.clip(ended, 0, 1), seen | heard), held=_known(held),
        **{name: np.zeros(seen.shape, np.float32) for name in EMOTIONS if name not in RULES},
        **{name: _known(value, seen) for name, value in _brows(lifted, batch).items()},
        **{name: low_pass(value, 0.03 if name == "cue" else 0.12) for name, value in decided.items()},
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


def _smile(lifted: FloatArray, batch: SpeakerBatch, seen: BoolArray) -> FloatArray:
    """0..1: the corners of the mouth, borne out by the cheeks where those are observed."""
    corners, cheeks = (np.clip(_mean(lifted, batch, rows), 0, 1) for rows in (_SMILE, _CHEEK))
    observed = (np.nan_to_num(batch.confidence[..., _COLUMNS[_CHEEK]]) > CONFIDENT).any(-1)
    alone, raised, together = _SMILE_MIX
    mixed = alone * corners + raised * cheeks + together * np.sqrt(corners * cheeks)
    size = np.clip(np.where(observed, mixed, corners / _GAIN_SMILE), 0, 1)
    on = _switched(low_pass(size, 0.1), _SMILE_ON, _SMILE_OFF) & seen
    return np.asarray(size * low_pass(on, 0.08), dtype=np.float32)


def _brows(lifted: FloatArray, batch: SpeakerBatch) -> dict[str, FloatArray]:
    """Raised brows and sadness: both outer brows rise in surprise, none in grief."""
    inner, left, right = lifted[_INNER], lifted[_LEFT], lifted[_RIGHT]
    outer = np.minimum(left, right)
    raised = np.clip((1.1 * np.minimum(inner, outer) - 0.04) / (0.7 * _GAIN_BROW), 0, 1)
    corners = np.clip((_mean(lifted, batch, _FROWN) - 0.04) / (0.8 * _GAIN_FROWN), 0, 1)
    grief = np.clip((inner - outer - 0.04) / (0.6 * _GAIN_BROW), 0, 1)
    return {"brow_up": raised, "sad": np.clip(0.75 * np.sqrt(corners * grief), 0, 1)}


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


Clues = dict[str, FloatArray]


def _clues(
    batch: SpeakerBatch, mesh: BoolArray, lifted: FloatArray, voice: _Voice, *, smile: FloatArray, speech: BoolArray,
    contact: FloatArray,
) -> dict[str, Clues]:  # fmt: skip
    """What each rule looks at."""
    pitch, yaw, roll = (
        np.nan_to_num(batch.coefficients[..., i]) * mesh for i in (HEAD_PITCH, HEAD_YAW, HEAD_ROLL)
    )  # fmt: skip
    shake, shake_yaw, shake_roll = (_log(_bend(angle), 1e-3) for angle in (pitch, yaw, roll))
    probability = np.nan_to_num(batch.speech_probability)
    loud = _bend(np.clip(np.nan_to_num(batch.loudness_dbfs, nan=-60.0), -60.0, 0.0))
    speed, speed_yaw = (np.abs(low_pass(np.diff(a, axis=1, prepend=a[:, :1]) / FRAME_S, 0.06)) for a in (pitch, yaw))
    swing = low_pass(pitch, 0.06) - low_pass(pitch, 0.45)
    low = voice.known & (voice.relative < -0.10)
    left, right = lifted[_LEFT], lifted[_RIGHT]
    uneven = np.abs(low_pass(left - right, 0.3))
    silent = probability < SPEECH_END
    halts = np.abs(np.diff(silent.astype(np.float32), axis=1, prepend=silent[:, :1]))
    down, cheek, corners = (_mean(lifted, batch, rows) for rows in (_DOWN, _CHEEK, _SMILE))
    cheek_now, corners_now = low_pass(cheek, 0.1), low_pass(corners, 0.1)
    return {
        "laugh": {  # pitch shakes 4 to 5.5 times a second, bursts of voice; noise of landmarks shakes all angles
            "shake": shake, "yaw": shake_yaw, "roll": shake_roll, "bursts": _log(loud, 0.1, low_pass(loud, 6.0)),
            "smile": smile, "probability": probability, "bright": voice.bright.astype(np.float32),
            "sounding": voice.sounding.astype(np.float32),
        },
        "nod": {  # the head swings down and up 1.2 to 2.1 times a second, faster than it usually does
            "speed": _log(low_pass(speed, 0.3), 0.02), "usual": _log(low_pass(speed, 4.0), 0.02),
            "yaw": _log(low_pass(speed_yaw, 0.3), 0.02), "shake": shake, "climb": _largest(-swing, 15),
        },
        "cue": {  # low pitch that lasts, within speech, and the gaze that returns
            "near": voice.relative, "tone": low_pass(voice.relative, 0.3), "stays": np.minimum(since(~low), 1.0),
            "low": low_pass(voice.low, 0.12), "contact": contact, "probability": probability,
        },
        "doubt": {  # one brow up, the other down, lips pressed, head aside
            "press": low_pass(2 * _mean(lifted, batch, _PRESS), 0.3), "high": low_pass(np.maximum(left, right), 0.2),
            "low": low_pass(np.minimum(left, right), 0.2), "down": low_pass(down, 0.2),
            "usual": low_pass(uneven, 6.0), "roll": np.abs(low_pass(roll, 0.3) - low_pass(roll, 8.0)),
        },
        "frown": {  # brows down, both; an open jaw is read as that too
            "down": low_pass(down, 0.2), "usual": low_pass(down, 6.0), "uneven": uneven,
            "jaw": low_pass(lifted[_JAW], 0.2), "talk": speech.astype(np.float32),
        },
        "brighten": {  # cheeks rise before the corners of the mouth do; a voice that brightens makes it surer
            "cheek": cheek_now, "usual": low_pass(cheek, 5.0), "smile": corners_now,
            "rises": cheek_now - low_pass(cheek, 0.8), "widens": corners_now - low_pass(corners, 0.8),
            "bright": voice.brightness,
        },
        "ambivalence": {  # a voice that falters and falls, a gaze that stays away, and a smile
            "away": low_pass(1 - contact, 1.0), "halts": low_pass(halts, 1.2), "usual": low_pass(halts, 6.0),
            "tone": low_pass(voice.relative, 1.0), "smile": smile, "pause": low_pass(~speech, 1.0),
        },
    }  # fmt: skip


def _decided(rule: Rule, clues: Clues, where: BoolArray) -> BoolArray:
    """(B, T): the event is on."""
    score = rule.offset + sum((w * clues[name] for name, w in rule.weights.items()), np.float32(0.0))
    return _switched(low_pass(np.asarray(score), rule.tau_s), rule.on, rule.on - _GAP) & where


def _switched(values: FloatArray, on: float, off: float) -> BoolArray:
    """Hysteresis over (B, T): on above `on`, until at or below `off`."""
    state = np.zeros(len(values), dtype=bool)
    out = np.empty(values.shape, dtype=bool)
    for t in range(values.shape[1]):
        state = (values[:, t] > on) | (state & (values[:, t] > off))
        out[:, t] = state
    return out


def _bend(values: NDArray[Any]) -> FloatArray:
    """How sharply (B, T) turns up and down, over the last frames."""
    quick = np.diff(values, axis=1, prepend=values[:, :1])
    return low_pass(np.abs(np.diff(quick, axis=1, prepend=quick[:, :1])), 0.2)


def _log(values: FloatArray, least: float, over: FloatArray | float = 0.0) -> FloatArray:
    """Logarithm, of the ratio to `over` where given; `least` is what noise leaves."""
    known = np.log(values + least)
    return np.asarray(known - np.log(over + least) if isinstance(over, np.ndarray) else known, dtype=np.float32)


def _largest(values: FloatArray, frames: int) -> FloatArray:
    """The largest of the last `frames`, (B, T)."""
    out = values.copy()
    for late in range(1, frames):
        np.maximum(out[:, late:], values[:, :-late], out=out[:, late:])
    return out
