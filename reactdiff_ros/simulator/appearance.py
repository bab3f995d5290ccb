"""What a simulated speaker's face truly shows, as coefficients: events, speech, gaze and blinks put together."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, ROTATION, TRANSLATION

from .motion import FRAME_S, FloatArray, Seed, generator, low_pass, ornstein, uniform
from .speaker import Speakers

_PART: Final = 30
EYE_YAW_RAD: Final = 0.50
"""Rotation of the eye for eyeLookIn or Out of 1, as perception has it."""
EYE_PITCH_RAD: Final = 0.42

SHOWN: Final = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekSquintLeft",
    "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft",
    "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawOpen", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight",
)  # fmt: skip
"""The blendshapes that a simulated speaker moves."""


def appearance(seed: Seed, s: Speakers) -> tuple[FloatArray, FloatArray]:
    """True coefficients (B, T, 58) and the direction of gaze (B, T, 2): yaw, pitch in rad."""
    rng = generator(seed, _PART)
    worlds, frames = s.speech.shape
    waves = ornstein(rng, worlds, frames, (0.3, 0.2, 0.15, 0.15, 0.15, 0.15, 2.0, 2.0, 2.0))
    talking = low_pass(s.speech, 0.08)
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    # Syllables: 3 to 5.5 a second.
    phase = 2 * np.pi * uniform(rng, 3.0, 5.5, (worlds, 1)) * time + 1.5 * waves[..., 0]
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
    for name in SHOWN:
        stem = name.removesuffix("Left").removesuffix("Right")
        out[..., INDEX[name]] = np.clip(values[name] if name in values else values[stem], 0, 1)
    # Doubt raises one brow.
    out[..., INDEX["browOuterUpLeft"]] = np.clip(s.brow_up + 0.6 * s.doubt, 0, 1)
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
