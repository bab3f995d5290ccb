"""One followed person: from the landmarks of each picture to coefficients, gaze and position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import coefficients as c
from ..types import Affect, Gaze
from . import affect, geometry
from .blendshapes import EYE_PITCH_RAD, EYE_YAW_RAD, blendshapes, confidence
from .config import PerceptionConfig
from .measures import COUNT, INDEX, measure
from .neutral import Expressive, PersonalNeutral
from .smoothing import OneEuro

Array = NDArray[np.float64]

_POSE_GAIN = np.array([1.2, 1.0, 1.0])
"""The mesh sees nods too small: a head rendered at 17 degrees of pitch reads as 14, yaw and roll read right."""
_CONTACT_FREE_RAD = 0.12
_CONTACT_RAD = 0.14
_EXPRESSIVE = 0.45
_STRONG_MOUTH = list(
    c.index("mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthPucker", "mouthFunnel")
)
_STRONG_BROWS = list(c.index("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "browDownRight"))


@dataclass(frozen=True, slots=True)
class Camera:
    """The picture that landmarks refer to: size and focal length in its px."""

    size_px: tuple[float, float]
    focal_px: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What one picture told about one person. Shapes (58,), (58,), (3,)."""

    coefficients: Array
    confidence: Array
    neutral_confidence: float
    gaze: Gaze
    position_m: Array
    affect: Affect


class Person:
    """Personal state: neutral, size, smoothing. Feed it pictures in rising order of stamps."""

    def __init__(self, config: PerceptionConfig) -> None:
        self.neutral = PersonalNeutral(config.neutral_learning_s, config.neutral_memory_s)
        cutoff = np.full(COUNT, config.smoothing_hz)
        cutoff[[INDEX["lidR"], INDEX["lidL"], INDEX["gap"]]] *= 3.0
        self._measures = OneEuro(cutoff, beta=_BETA)
        self._pose = OneEuro(config.smoothing_hz, beta=6.0)
        self._position = OneEuro(config.smoothing_hz * 0.6, beta=4.0)
        self._rest_m: Array | None = None
        self._rest_ns = 0
        self._unit_m = geometry.EYE_DISTANCE_M
        self._unit_count = 0
        self.lip_gap = 0.0
        """Gap between the lips in the last picture, unsmoothed, in distances between the eyes."""

    def read(self, stamp_ns: int, landmarks: Array, camera: Camera) -> Reading | None:
        """Reads landmarks (478, 3) in px. None where they do not form a head."""
        fit = geometry.fit_head(landmarks)
        if fit is None:
            return None
        face = geometry.frontal(landmarks, fit)
        angles = np.array(fit.angles)
        raw = measure(face, float(angles[0]))
        if not np.isfinite(raw).all():
            return None
        self.lip_gap = float(raw[INDEX["gap"]])
        smooth = self._measures(stamp_ns, raw / _SCALE) * _SCALE
        pose = angles * _POSE_GAIN
        pitch, yaw, roll = self._pose(stamp_ns, pose).tolist()
        neutral = self.neutral.value
        shapes = blendshapes(smooth - neutral, neutral)
        values = np.zeros(c.COEFFICIENT_COUNT)
        values[: c.BLENDSHAPE_COUNT] = shapes
        values[c.ROTATION] = pitch - self.neutral.pitch, yaw, roll
        position = self._locate(stamp_ns, landmarks, fit, float(angles[1]), camera)
        values[c.TRANSLATION] = self._sway(stamp_ns, position)
        blink_left, blink_right = shapes[list(c.BLINK)]
        sure = confidence(
            yaw=yaw,
            pitch=pitch - self.neutral.pitch,
            unit_px=fit.scale,
            residual=fit.residual,
            known=self.neutral.confidence,
            blink=(blink_right, blink_left),
        )
        self._learn(stamp_ns, raw, fit, pose, shapes)
        values = np.where(sure > 0.0, values, 0.0)
        return Reading(
            coefficients=c.bounded(values).astype(np.float64),
            confidence=sure,
            neutral_confidence=self.neutral.confidence,
            gaze=_gaze(values, sure),
            position_m=position,
            affect=affect.project(values, sure),
        )

    def _learn(self, stamp_ns: int, raw: Array, fit: geometry.HeadFit, pose: Array, shapes: Array) -> None:
        pitch, yaw, _ = pose.tolist()
        if abs(yaw) > 0.45 or fit.residual > 0.15 or fit.scale < 12.0:
            return
        expressive = Expressive(
            mouth=bool(shapes[_STRONG_MOUTH].max() > _EXPRESSIVE), brows=bool(shapes[_STRONG_BROWS].max() > _EXPRESSIVE)
        )
        self.neutral.observe(stamp_ns, raw, pitch, expressive)

    def _locate(self, stamp_ns: int, landmarks: Array, fit: geometry.HeadFit, yaw: float, camera: Camera) -> Array:
        """Position of the eyes: size from the distance between the eyes, which the irises calibrate slowly."""
        iris = geometry.iris_diameter_px(landmarks)
        if iris > 6.0 and abs(yaw) < 0.35:
            measured = geometry.IRIS_DIAMETER_M * fit.scale / iris
            unit = min(max((measured + geometry.EYE_DISTANCE_M) / 2, 0.056), 0.070)
            self._unit_count = min(self._unit_count + 1, 500)
            self._unit_m += (unit - self._unit_m) / (self._unit_count + 25)
        where = geometry.position_m(fit.origin, camera.size_px, camera.focal_px, fit.scale, self._unit_m)
        return self._position(stamp_ns, np.clip(where, -20.0, 20.0))

    def _sway(self, stamp_ns: int, position: Array) -> Array:
        """Translation of the head (m, ARKit axes) from where it rests; the rest follows within 10 s."""
        if self._rest_m is None:
            self._rest_m, self._rest_ns = position.copy(), stamp_ns
        dt = max(0.0, (stamp_ns - self._rest_ns) / 1e9)
        self._rest_ns = stamp_ns
        self._rest_m = self._rest_m + (1.0 - np.exp(-dt / 10.0)) * (position - self._rest_m)
        return np.asarray((position - self._rest_m) * (1.0, -1.0, -1.0), dtype=np.float64)


def _scales() -> Array:
    """Typical full movement of each measure: brings all of them to one scale for the smoothing."""
    scale = np.full(COUNT, 0.12)
    scale[[INDEX["gap"], INDEX["chin"], INDEX["width"]]] = 0.30
    scale[[INDEX["lidR"], INDEX["lidL"]]] = 0.20
    scale[[INDEX["irisXR"], INDEX["irisXL"], INDEX["irisYR"], INDEX["irisYL"]]] = 0.25
    return scale


_SCALE = _scales()
_BETA = 5.0


def _gaze(values: Array, sure: Array) -> Gaze:
    """Line of sight relative to the camera's ray to the eyes: head plus eyes; both eyes weighted by confidence."""
    sides = {}
    for name in ("Right", "Left"):
        out, into, up, down = (values[c.INDEX[f"eyeLook{d}{name}"]] for d in ("Out", "In", "Up", "Down"))
        to_left = out - into if name == "Left" else into - out
        weight = sure[c.INDEX[f"eyeLookOut{name}"]]
        sides[name] = (to_left, down - up, weight)
    total = sides["Right"][2] + sides["Left"][2]
    if total > 1e-6:
        eye_yaw, eye_pitch = (sum(s[i] * s[2] for s in sides.values()) / total for i in (0, 1))
    else:
        eye_yaw = eye_pitch = 0.0
    yaw = float(values[c.HEAD_YAW] + EYE_YAW_RAD * eye_yaw)
    pitch = float(values[c.HEAD_PITCH] + EYE_PITCH_RAD * eye_pitch)
    off = max(0.0, float(np.hypot(yaw, 0.8 * pitch)) - _CONTACT_FREE_RAD)
    closed = min(float(values[i]) for i in c.BLINK)
    contact = float(np.exp(-0.5 * (off / _CONTACT_RAD) ** 2)) * (1.0 - max(0.0, closed - 0.5) * 2.0)
    return Gaze(yaw_rad=yaw, pitch_rad=pitch, contact=min(max(contact, 0.0), 1.0))
