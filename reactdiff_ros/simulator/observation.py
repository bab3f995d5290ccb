"""What perception delivers of simulated speakers: devices, delays, reading errors and the personal neutral.

One world for each dyad: delay of face and of voice, gains, noise, lost pictures, head offset, camera rate, microphone
gain, noise and absence, and the error of the personal neutral are drawn from wide priors. Their centres are what was
measured on a rendered speaker (docs/perception_noise.md); they are wider because that is one face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.affect import projected
from reactdiff_ros.coefficients import (
    BLENDSHAPE_COUNT,
    BLENDSHAPE_NAMES,
    COEFFICIENT_COUNT,
    INDEX,
    ROTATION,
    TRANSLATION,
    sides,
)
from reactdiff_ros.model.diffusion.tokens import FRAME_S, SpeakerBatch
from reactdiff_ros.perception.blendshapes import CONFIDENCE, EYE_PITCH_RAD, EYE_YAW_RAD, OBSERVED
from reactdiff_ros.types import FloatArray

from .motion import BoolArray, IntArray, Seed, cover, generator, log_normal, low_pass, ornstein, uniform
from .speaker import Speakers
from .voices import VoiceBank, hear

_PART: Final = 30


def appearance(seed: Seed, s: Speakers) -> tuple[FloatArray, FloatArray]:
    """True coefficients (B, T, 58) and the direction of gaze (B, T, 2): yaw, pitch in rad."""
    rng = generator(seed, _PART)
    worlds, frames = s.speech.shape
    waves = ornstein(rng, worlds, frames, (0.3, 0.2, 0.15, 0.15, 0.15, 0.15, 2.0, 2.0, 2.0))
    talking = low_pass(s.speech, 0.08)
    pace = s.episodes.pace
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    spoken = (np.cumsum(pace, axis=1, dtype=np.float32) - pace) * FRAME_S
    # Syllables: 3 to 5.5 a second.
    phase = 2 * np.pi * uniform(rng, 3.0, 5.5, (worlds, 1)) * spoken + 1.5 * waves[..., 0]
    jaw = talking * (0.5 + 0.5 * np.sin(phase)) * np.clip(0.36 + 0.16 * waves[..., 1], 0, 1)
    tremor = 0.6 + 0.4 * np.sin(2 * np.pi * uniform(rng, 4.0, 5.5, (worlds, 1)) * time)
    jaw = jaw + 0.3 * s.shake * tremor + 0.10 * s.breath
    # Speech moves the corners of the mouth: it hides a smile now and then, and looks like one now and then.
    hides = uniform(rng, 0.0, 0.7, (worlds, 1)) * talking * np.clip(0.8 * waves[..., 2], 0, 1)
    seems = 0.3 * (rng.random((worlds, 1)) < 0.35) * talking * np.clip(waves[..., 3], 0, 1)
    smile = s.smile * (1 - hides) + seems
    gaze = _gaze(rng, s)
    values = {
        "mouthSmile": smile, "cheekSquint": 0.6 * s.smile + s.cheek, "mouthUpperUp": 0.45 * smile + 0.3 * jaw,
        "eyeSquint": 0.3 * s.smile + 0.5 * s.cheek + 0.25 * s.frown,
        "mouthStretch": 0.15 * smile + 0.3 * talking * np.clip(waves[..., 4], 0, 1),
        "browInnerUp": s.brow_up + 0.6 * s.sad, "browOuterUp": s.brow_up, "eyeWide": 0.6 * s.brow_up,
        "browDown": s.frown + 0.4 * s.doubt, "mouthFrown": 0.8 * s.sad + 0.3 * s.frown, "eyeBlink": s.blink,
        "jawOpen": jaw + 0.2 * np.clip(s.smile - 0.6, 0, 1), "mouthLowerDown": 0.7 * jaw,
        "mouthPress": 0.5 * s.doubt, "mouthFunnel": 0.3 * talking * np.clip(waves[..., 4], 0, 2),
        "mouthPucker": 0.3 * talking * np.clip(waves[..., 5], 0, 2) + 0.2 * s.doubt, **_looks(gaze),
    }  # fmt: skip
    out = np.zeros((worlds, frames, COEFFICIENT_COUNT), dtype=np.float32)
    for name, value in values.items():
        out[..., sides(name)] = np.clip(value, 0, 1)[..., None]
    # Doubt raises one brow.
    out[..., INDEX["browOuterUpLeft"]] = np.clip(s.brow_up + 0.6 * s.doubt, 0, 1)
    if s.episodes.level.any():
        out[..., :BLENDSHAPE_COUNT] = np.minimum(out[..., :BLENDSHAPE_COUNT] + s.episodes.face, 1)
    out[..., ROTATION] = s.head
    out[..., TRANSLATION] = 0.02 * waves[..., 6:9]
    return out, gaze


def _gaze(rng: np.random.Generator, s: Speakers) -> FloatArray:
    """At the listener within 2.9 x 2.0 degrees (human_reference.md), else some 10 to 25 degrees aside."""
    side = rng.choice([-1.0, 1.0], (len(s.kind), 1)).astype(np.float32)
    away = low_pass(~s.contact, 0.05)
    wander = s.wander
    yaw = (1 - away) * 0.05 * wander[..., 0] + away * (side * 0.18 + 0.22 * wander[..., 0])
    pitch = (1 - away) * 0.035 * wander[..., 1] + away * (0.06 + 0.14 * wander[..., 1])
    return np.asarray(np.stack([yaw, pitch], axis=-1), dtype=np.float32)


def _looks(gaze: FloatArray) -> dict[str, FloatArray]:
    """The eyes turn by two thirds of the gaze, the head did the rest."""
    left, down = gaze[..., 0] / EYE_YAW_RAD * 0.67, gaze[..., 1] / EYE_PITCH_RAD * 0.67
    return {
        "eyeLookOutLeft": left, "eyeLookInRight": left, "eyeLookInLeft": -left, "eyeLookOutRight": -left,
        "eyeLookDown": down, "eyeLookUp": -down,
    }  # fmt: skip


_DEVICES, _FACE, _PLACEBO, _BARE = 40, 41, 42, 43

GAIN: Final = {
    "jawOpen": 1.00, "mouthSmile": 0.78, "mouthFrown": 0.75, "mouthPucker": 0.86, "mouthFunnel": 1.01,
    "mouthStretch": 0.78, "mouthPress": 0.21, "mouthUpperUp": 0.75, "mouthLowerDown": 0.21, "browDown": 0.80,
    "browInnerUp": 0.70, "browOuterUp": 0.82, "eyeBlink": 1.14, "eyeWide": 0.79, "eyeSquint": 0.26,
    "eyeLookOut": 1.02, "eyeLookIn": 0.94, "eyeLookUp": 1.07, "eyeLookDown": 0.88, "cheekSquint": 0.60,
}  # fmt: skip
"""How much perception reads of what is shown (docs/perception_noise.md, Left and Right averaged); cheekSquint, which
the rendered head lacks, is chosen."""
NOISE: Final = {
    "mouth": 0.013, "jaw": 0.007, "brow": 0.013, "eyeBlink": 0.027, "eyeWide": 0.045, "eyeSquint": 0.011,
    "eyeLook": 0.019, "cheek": 0.015,
}  # fmt: skip
"""Standard deviation from picture to picture of a held face, by how a name begins (the same page)."""
NEUTRAL_ERROR: Final = {"brow": 0.18, "cheek": 0.10, "mouthSmile": 0.04, "mouthFrown": 0.12, "mouth": 0.08}
"""Standard deviation of what perception gets wrong about a person's neutral before it knows the person; else 0.05
(chosen after the spread on that page and readings of recorded people)."""
DRIFT: Final = {"brow": 2.5, "cheek": 1.6, "mouthUpperUp": 2.0, "eyeWide": 1.6, "mouthSmile": 0.8}
"""How much more than others a reading wanders over about a second (readings of recorded people who talk)."""
HELD: Final = (0.3, 1.0)
"""Share of a smile that perception holds back under a negative expression, between people (chosen)."""
POSE_TRUST: Final = tuple(float(value) for value in CONFIDENCE[BLENDSHAPE_COUNT:])
"""Perception's confidence in rotation and translation in good conditions."""


def _stem(name: str) -> str:
    return name.removesuffix("Left").removesuffix("Right")


def _begins(table: dict[str, float], name: str, default: float) -> float:
    return next((value for start, value in table.items() if name.startswith(start)), default)


SHOWN: Final = tuple(name for name in BLENDSHAPE_NAMES if _stem(name) in GAIN)
"""The blendshapes of a simulated speaker that can be read; emotional episodes move others as well."""
_SHOWN: Final = np.array([INDEX[name] for name in SHOWN])
_GAIN: Final = np.array([GAIN[_stem(name)] for name in SHOWN], dtype=np.float32)
_NOISE: Final = np.array([_begins(NOISE, name, 0.01) for name in SHOWN], dtype=np.float32)
_BIAS: Final = np.array([_begins(NEUTRAL_ERROR, name, 0.05) for name in SHOWN], dtype=np.float32)
_DRIFT: Final = np.array([_begins(DRIFT, name, 1.0) for name in SHOWN], dtype=np.float32)
_TEETH: Final = [*sides("mouthUpperUp"), *sides("mouthStretch")]
_SMILES: Final = np.array(["Smile" in name for name in SHOWN])
_PERSONAL: Final = np.array([not name.startswith("eyeLook") for name in SHOWN])
_TRUST: Final = np.array([OBSERVED[_stem(name)] for name in SHOWN], dtype=np.float32)

# What else a reading follows (docs/perception_noise.md, "moves too"): (reading, shown, gain).
_LEAKS: Final = (
    ("browDown", "jawOpen", 0.2), ("cheekSquint", "mouthSmile", 0.2), ("eyeBlink", "eyeLookDown", 0.3),
    ("browOuterUp", "eyeLookDown", 0.3), ("mouthUpperUp", "mouthFunnel", 0.3), ("mouthSmile", "mouthStretch", 0.09),
    ("eyeSquint", "eyeBlink", 0.3),
)  # fmt: skip


def _leak_matrix() -> FloatArray:
    """Row: what is shown; column: what is read."""
    out = np.zeros((len(SHOWN), len(SHOWN)), dtype=np.float32)
    for read, shown, gain in _LEAKS:
        sources = [i for i, name in enumerate(SHOWN) if _stem(name) == shown]
        for j, name in enumerate(SHOWN):
            if _stem(name) == read:
                near = [i for i in sources if SHOWN[i][-4:] == name[-4:]] or sources
                out[near, j] = gain / len(near)
    return out


_LEAK: Final = _leak_matrix()


def observe(seed: Seed, speakers: Speakers, bank: VoiceBank | None = None) -> SpeakerBatch:
    """What perception would deliver of these speakers, (B, T).

    Args:
        seed: of the devices and errors; worlds of the same seed and shape get the same for any speakers.
        speakers: the truth.
        bank: voices; None or an empty one: parametric tracks.
    """
    worlds = len(speakers.kind)
    camera, microphone = _devices(seed, speakers)
    shown, gaze = appearance(seed, speakers)
    face = _read(seed, speakers, shown, gaze)
    _displace(seed, speakers, face)
    pick = face.pick
    take = np.arange(worlds)[:, None], pick
    present = speakers.present[take] & camera
    mesh = present & face.mesh[take]
    affect_on = generator(seed, _FACE + 50).random((worlds, 1)) < 0.85
    coefficients, confidence = face.coefficients[take], face.confidence[take]
    batch = SpeakerBatch(
        camera=camera, face=present, mesh=mesh, neutral_confidence=face.known.copy(), coefficients=coefficients,
        confidence=confidence, gaze_observed=mesh & face.gaze_on, gaze=face.gaze[take],
        affect_observed=mesh & affect_on, affect=projected(coefficients, confidence), microphone=microphone,
        **hear(seed, speakers, bank),
    )  # fmt: skip
    _hide(batch)
    return batch


def _hide(b: SpeakerBatch) -> None:
    """What is not observed is as in `tokens.blank`."""
    for name in ("coefficients", "confidence", "neutral_confidence"):
        getattr(b, name)[~b.mesh] = 0.0
    b.gaze[~b.gaze_observed] = 0.0
    b.affect[~b.affect_observed] = 0.0
    deaf = ~b.microphone
    for name in ("speech_probability", "mfcc", "pitch_hz", "utterance_s", "speaking"):
        getattr(b, name)[deaf] = 0
    b.loudness_dbfs[deaf], b.pause_s[deaf] = -100.0, np.nan


@dataclass(slots=True)
class _Reading:
    """What perception reads before delays and lost pictures."""

    coefficients: FloatArray
    confidence: FloatArray
    gaze: FloatArray
    gaze_on: BoolArray
    mesh: BoolArray
    known: FloatArray
    pick: IntArray


def _devices(seed: Seed, s: Speakers) -> tuple[BoolArray, BoolArray]:
    """Whether a camera and a microphone are there, (B, T) each; some vanish for a while.

    The microphone does not count while the robot itself speaks, which in some worlds it does when it has the turn.
    """
    rng = generator(seed, _DEVICES)
    worlds, frames = s.speech.shape
    kind = rng.random((worlds, 1))
    camera, microphone = np.broadcast_to(kind >= 0.1, (2, worlds, frames)).copy()
    microphone[:] = ~((kind >= 0.1) & (kind < 0.32))
    for mask in (camera, microphone):
        start = uniform(rng, 0.0, frames * FRAME_S, (worlds, 1))
        fails = rng.random((worlds, 1)) < 0.06
        mask &= ~cover(start, start + uniform(rng, 1.0, 6.0, (worlds, 1)), fails, frames)
    answers = rng.random((worlds, 1)) < 0.25
    microphone &= ~cover(s.talk.end + 0.3, s.talk.resume - 0.2, s.talk.on & s.talk.yields & answers, frames)
    return camera, microphone


def _pick(rng: np.random.Generator, worlds: int, frames: int) -> IntArray:
    """Which true frame each grid frame shows: delay, held and lost pictures, slower cameras. (B, T) indices."""
    rate = rng.choice([30.0, 25.0, 20.0, 15.0, 10.0, 6.0], (worlds, 1), p=[0.45, 0.2, 0.1, 0.13, 0.08, 0.04])
    time = np.arange(frames)
    count = np.floor(time * np.minimum(rate * FRAME_S, 1.0) + rng.random((worlds, 1)))
    fresh = np.diff(count, axis=1, prepend=count[:, :1] - 1) > 0
    fresh &= rng.random((worlds, frames), dtype=np.float32) > rng.choice([0.0, 0.02, 0.1], (worlds, 1))
    fresh[:, 0] = True
    last = np.maximum.accumulate(np.where(fresh, time, 0), axis=1)
    return np.asarray(np.maximum(last - rng.choice(4, (worlds, 1), p=[0.25, 0.4, 0.25, 0.1]), 0))


def _read(seed: Seed, s: Speakers, shown: FloatArray, gaze: FloatArray) -> _Reading:
    rng = generator(seed, _FACE)
    worlds, frames = s.speech.shape
    count = len(SHOWN)
    pick = _pick(rng, worlds, frames)
    age = log_normal(rng, 12.0, 1.0, (worlds, 1)) * (rng.random((worlds, 1)) < 0.65)
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    known = ((age + time) / (age + time + 5.0)).astype(np.float32)  # half after 5 s (perception/person.py)

    gain = _GAIN * log_normal(rng, 1.0, 0.2, (worlds, 1)) * log_normal(rng, 1.0, 0.15, (worlds, count))
    bias = _BIAS * rng.standard_normal((worlds, count), dtype=np.float32)
    size = _NOISE * log_normal(rng, 1.3, 0.5, (worlds, 1))
    drift = uniform(rng, 0.005, 0.05, (worlds, 1))
    missing = rng.choice([0.0, 0.1, 0.25], (worlds, 1), p=[0.5, 0.3, 0.2])
    seen = (rng.random((worlds, count)) >= missing) | _SMILES
    # A neutral that goes on adapting takes a long smile for the neutral, in part.
    leak = 0.5 * (rng.random((worlds, 1)) < 0.3) * low_pass(s.smile > 0.15, 20.0)
    talking = low_pass(s.speech, 0.08)[..., None]

    value = shown[..., _SHOWN]
    value = value * gain[:, None] + value @ _LEAK
    value[..., _SMILES] *= 1 - leak[..., None]
    slow = ornstein(rng, worlds, frames, (0.8,) * count)
    fast = rng.standard_normal((worlds, frames, count), dtype=np.float32)
    slow *= (drift * _DRIFT)[:, None]
    fast *= size[:, None] * _burst(s)
    slow += fast
    slow *= 1 + talking
    value += slow
    value += bias[:, None] * (1 - 0.7 * known[..., None])
    if s.episodes.level.any():
        value[..., _SMILES] = _bared(seed, s, value[..., _SMILES])
    np.clip(value, 0, 1, out=value)

    coefficients = np.zeros((worlds, frames, COEFFICIENT_COUNT), dtype=np.float32)
    confidence = np.zeros_like(coefficients)
    offset = rng.standard_normal((worlds, 1, 3), dtype=np.float32) * np.array([0.08, 0.12, 0.06], np.float32)
    jitter = np.concatenate([np.full(3, 0.002), np.full(3, 0.0005)]).astype(np.float32)
    pose = shown[..., BLENDSHAPE_COUNT:] + jitter * rng.standard_normal((worlds, frames, 6), dtype=np.float32)
    pose *= log_normal(rng, 1.0, 0.05, (worlds, 1, 6))
    pose[..., :3] += offset
    quality = np.minimum(uniform(rng, 0.5, 1.4, (worlds, 1)), 1.0)
    turned = quality * _frontal(pose)
    trust = turned[..., None] * np.where(_PERSONAL, 0.6 + 0.4 * known[..., None], 1.0) * (_TRUST * seen)[:, None]
    coefficients[..., _SHOWN] = value * (trust > 0)
    confidence[..., _SHOWN] = trust
    coefficients[..., BLENDSHAPE_COUNT:] = pose
    confidence[..., BLENDSHAPE_COUNT:] = quality[..., None] * np.array(POSE_TRUST, np.float32)
    lost = rng.random((worlds, frames), dtype=np.float32) < 0.01 * rng.choice([0.0, 1.0, 4.0], (worlds, 1))
    return _Reading(
        coefficients=coefficients, confidence=confidence, gaze=_read_gaze(rng, s, gaze),
        gaze_on=rng.random((worlds, 1)) < 0.9, mesh=low_pass(lost, 0.1) < 0.1, known=known, pick=pick,
    )  # fmt: skip


def _bared(seed: Seed, s: Speakers, smiles: FloatArray) -> FloatArray:
    """Readings of smiles (B, T, 2) under anger, disgust, fear and sadness.

    Bared teeth raise them in some people, now and then; perception holds them back as far as it is sure of the class.
    """
    rng = generator(seed, _BARE)
    worlds, frames = s.speech.shape
    teeth = s.episodes.face[..., _TEETH].max(-1) * s.episodes.hurt
    raised = teeth * np.clip(ornstein(rng, worlds, frames, (0.2,))[..., 0], 0, 1.5)
    held = uniform(rng, *HELD, (worlds, 1)) * np.minimum(2 * s.episodes.hurt, 1)
    smiles = smiles + (uniform(rng, 0.0, 1.2, (worlds, 1)) * raised)[..., None]
    return np.asarray(smiles * (1 - held[..., None]))


def _frontal(pose: FloatArray) -> FloatArray:
    """Confidence of expressions falls as the head turns away, from 15 degrees on (perception/blendshapes.py)."""
    yaw, pitch = np.abs(pose[..., 1]), np.abs(pose[..., 0])
    return np.asarray((1 - np.clip((yaw - 0.26) / 0.61, 0, 1)) * (1 - np.clip((pitch - 0.30) / 0.50, 0, 1)))


def _read_gaze(rng: np.random.Generator, s: Speakers, gaze: FloatArray) -> FloatArray:
    """Yaw and pitch with offset and noise, and the belief that the speaker looks here, (B, T, 3)."""
    worlds, frames = s.speech.shape
    noise = ornstein(rng, worlds, frames, (0.1, 0.1, 0.3))
    error = rng.standard_normal((worlds, 1, 2), dtype=np.float32) * np.array([0.04, 0.06], np.float32)
    angles = gaze + error + uniform(rng, 0.01, 0.05, (worlds, 1, 1)) * noise[..., :2]
    narrow = uniform(rng, 0.10, 0.22, (worlds, 1))
    away = np.hypot(angles[..., 0], angles[..., 1]) / narrow
    belief = np.clip(1 / (1 + np.exp(4.0 * (away - 1.0))) + 0.08 * noise[..., 2], 0, 1)
    return np.asarray(np.concatenate([angles, belief[..., None]], axis=-1), dtype=np.float32)


def _burst(s: Speakers) -> FloatArray:
    """Factor of the landmarks' noise, (B or 1, T, 1): the placebo of noisy landmarks."""
    factor = np.ones((1, s.speech.shape[1], 1), dtype=np.float32)
    if s.insertion is not None and s.insertion.kind == "landmark_noise":
        factor[:, s.insertion.frame : s.insertion.frame + 10] = 1 + 6 * s.insertion.amplitude
    return factor


def _displace(seed: Seed, s: Speakers, face: _Reading) -> None:
    """The other placebos: a head that moves to another place, a lamp that goes on, a lost picture."""
    if s.insertion is None:
        return
    kind, f, size = s.insertion.kind, s.insertion.frame, s.insertion.amplitude
    rng = generator(seed, _PLACEBO)
    worlds, frames = s.speech.shape
    late = np.clip((np.arange(frames) - f + 1) * FRAME_S, 0, None)
    if kind == "head_shift":
        there = np.clip(late / 0.5, 0, 1)[:, None].astype(np.float32)
        way = rng.choice([-1.0, 1.0], (worlds, 1, 1)).astype(np.float32)
        face.coefficients[..., TRANSLATION] += size * 0.08 * way * there * np.array([1.0, 0.2, 0.5], np.float32)
        face.coefficients[..., ROTATION] += size * 0.12 * way * there * np.array([0.1, 1.0, 0.1], np.float32)
    elif kind == "light":
        shift = size * 0.04 * rng.standard_normal((worlds, 1, len(SHOWN)), dtype=np.float32)
        after = ((late > 0) * np.exp(-late / 3.0)).astype(np.float32)[:, None]
        values = face.coefficients[..., _SHOWN] + shift * after * (face.confidence[..., _SHOWN] > 0)
        face.coefficients[..., _SHOWN] = np.clip(values, 0, 1)
    elif kind == "lost_frame":
        face.mesh[:, f : f + 2] = False
