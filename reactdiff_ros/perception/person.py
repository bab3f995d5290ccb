"""One followed person: from the landmarks of each picture to coefficients, gaze and position.

The personal neutral: what this face measures when it shows nothing. Learnt causally, and it goes on adapting.

Expressions are one-sided (mouths open, lids close, corners rise), so neutral is not the mean: it is a quantile of what
was seen, which differs by measure. It is drawn to the population's neutral by how little was seen, and may leave it
by no more than `REACH` between-person standard deviations. A face that smiles from its first picture is therefore
still read as smiling. How fast a measure becomes personal depends on what the population says about it: little about
brows, which differ much between people, more about the corners of the mouth. Pictures in which a part of the face is
strongly expressive enter that part's neutral at a quarter of the rate only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros import coefficients as c
from reactdiff_ros.affect import projected
from reactdiff_ros.perception.blendshapes import EYE_PITCH_RAD, EYE_YAW_RAD, blendshapes, confidence
from reactdiff_ros.perception.config import PerceptionConfig
from reactdiff_ros.perception.expression import FEATURES, ExpressionReader, features
from reactdiff_ros.perception.face import (
    COUNT,
    EYE_DISTANCE_M,
    INDEX,
    IRIS_DIAMETER_M,
    NAMES,
    HeadFit,
    fit_head,
    frontal,
    iris_diameter_px,
    measure,
    position_m,
)
from reactdiff_ros.types import EXPRESSION_CLASSES, Affect, Array, Gaze

# ---- The one-euro filter (Casiez, Roussel, Vogel 2012): smooth when still, quick when quick. Causal.


_GAP_S: Final = 0.5
"""After a pause longer than this the filter restarts."""


class OneEuro:
    """Filters a vector of values of one scale (a unit is a full movement).

    Args:
        cutoff_hz: cut-off of a still signal, a number or one for each value.
        beta: how much the cut-off rises, in Hz for a speed of one unit a second.
    """

    def __init__(self, cutoff_hz: float | Array, beta: float = 1.0) -> None:
        self._cutoff, self._beta = cutoff_hz, beta
        self._time_ns: int | None = None
        self._value: Array = np.zeros(0)
        self._speed: Array = np.zeros(0)

    def __call__(self, stamp_ns: int, values: Array) -> Array:
        """The filtered values at `stamp_ns`. NaN in, last value out (0 if there is none)."""
        dt = math.inf if self._time_ns is None else (stamp_ns - self._time_ns) / 1e9
        if not 0 < dt <= _GAP_S:
            self._time_ns = stamp_ns
            self._value = np.where(np.isfinite(values), values, 0.0)
            self._speed = np.zeros_like(self._value)
            return self._value
        values = np.where(np.isfinite(values), values, self._value)
        self._time_ns = stamp_ns
        slow = _alpha(3.0, dt)
        self._speed = self._speed + slow * ((values - self._value) / dt - self._speed)
        self._value = self._value + _alpha(self._cutoff + self._beta * np.abs(self._speed), dt) * (values - self._value)
        return self._value


def _alpha(cutoff_hz: float | Array, dt: float) -> Array:
    return np.asarray(1.0 / (1.0 + 1.0 / (2.0 * math.pi * np.asarray(cutoff_hz) * dt)))


# ---- The personal neutral

SAMPLE_NS: Final = 200_000_000
EXPRESSIVE_SHARE: Final = 4
REACH: Final = 2.0
_PITCH_REACH_RAD: Final = 0.35

# measure: population neutral, standard deviation between people, quantile of the neutral, relative learning time
_TABLE: Final[dict[str, tuple[float, float, float, float]]] = {
    "gap": (0.07, 0.04, 0.10, 0.5), "chin": (1.93, 0.070, 0.20, 0.5),
    "cornerUp": (-0.350, 0.035, 0.40, 1.0), "cornerOut": (0.370, 0.035, 0.40, 1.0),
    "cornerBack": (-0.340, 0.030, 0.60, 1.0), "width": (0.78, 0.065, 0.40, 1.0),
    "lipsX": (0.0, 0.015, 0.50, 1.0), "chinX": (0.0, 0.015, 0.50, 1.0),
    "upperLip": (-0.215, 0.035, 0.40, 0.5), "upperThick": (0.145, 0.018, 0.50, 0.5),
    "lowerThick": (0.168, 0.022, 0.50, 0.5), "lowerLip": (0.500, 0.065, 0.60, 0.4),
    "lid": (0.310, 0.050, 0.65, 0.6), "lowerLid": (-0.100, 0.030, 0.40, 0.6),
    "browInner": (0.315, 0.065, 0.45, 0.25), "browMid": (0.397, 0.070, 0.45, 0.25),
    "browOuter": (0.295, 0.060, 0.45, 0.25), "browGap": (0.416, 0.022, 0.50, 0.25),
    "cheek": (-0.512, 0.028, 0.40, 0.5), "irisX": (0.0, 0.020, 0.50, 1.0), "irisY": (0.055, 0.015, 0.50, 1.0),
}  # fmt: skip


PRIOR, SPREAD, QUANTILE, SLOWNESS = np.array([_TABLE[n if n in _TABLE else n[:-1]] for n in NAMES]).T
_BROWS = np.array([name.startswith("brow") for name in NAMES])
_EYES = np.array([name.startswith(("lid", "lowerLid", "iris")) for name in NAMES])
_MOUTH = ~(_BROWS | _EYES)


class PersonalNeutral:
    """Neutral of every measure of one person.

    Args:
        learning_s: after this many seconds of calm face, person and population count the same (slowest measures).
        memory_s: how far back it looks (longer, while the person is expressive).
    """

    def __init__(self, learning_s: float = 5.0, memory_s: float = 60.0) -> None:
        half = max(1.0, learning_s * 1e9 / SAMPLE_NS)
        size = max(8, round(memory_s * 1e9 / SAMPLE_NS))
        pitch_quantile, pitch_half = np.array([0.5]), np.array([2.0 * half])
        self._mouth = _Quantiles(QUANTILE[_MOUTH], half * SLOWNESS[_MOUTH], size)
        self._brows = _Quantiles(QUANTILE[_BROWS], half * SLOWNESS[_BROWS], size)
        self._eyes = _Quantiles(QUANTILE[_EYES], half * SLOWNESS[_EYES], size)
        self._head = _Quantiles(pitch_quantile, pitch_half, size)
        self._half = half
        self._due_ns: int | None = None
        self._value: Array = PRIOR.copy()
        self._pitch = 0.0

    @property
    def value(self) -> Array:
        """Neutral measures (face.COUNT,)."""
        return self._value

    @property
    def pitch(self) -> float:
        """Head pitch (rad) at which this person faces the camera."""
        return self._pitch

    @property
    def confidence(self) -> float:
        """0..1: the person's share in the neutral of the mouth."""
        return self._mouth.count / (self._mouth.count + self._half)

    def observe(
        self, stamp_ns: int, measures: Array, pitch: float, *, mouth: bool = False, brows: bool = False
    ) -> None:
        """Takes one picture's measures (COUNT,) and head pitch (rad); only one each 200 ms is kept.

        `mouth`, `brows`: whether that part of the face shows a strong expression now.
        """
        if self._due_ns is not None and stamp_ns < self._due_ns:
            return
        if not (np.isfinite(measures).all() and np.isfinite(pitch)):
            return
        self._due_ns = stamp_ns + SAMPLE_NS
        value = np.empty(COUNT)
        parts = (
            (self._mouth, _MOUTH, mouth),
            (self._brows, _BROWS, brows),
            (self._eyes, _EYES, False),
        )
        for quantiles, part, strong in parts:
            quantiles.observe(measures[part], strong)
            deviation = np.clip(quantiles.value - PRIOR[part], -REACH * SPREAD[part], REACH * SPREAD[part])
            value[part] = PRIOR[part] + quantiles.share * deviation
        self._value = value
        self._head.observe(np.array([pitch]), False)
        self._pitch = float((self._head.share * np.clip(self._head.value, -_PITCH_REACH_RAD, _PITCH_REACH_RAD))[0])


class _Quantiles:
    """Quantiles of the last `size` samples of some measures, and how far they are to be trusted."""

    def __init__(self, quantile: Array, half: Array, size: int) -> None:
        self._quantile, self._half = quantile, half
        self._samples = np.zeros((len(quantile), size))  # those of a measure side by side, which sorts faster
        self._skipped = 0
        self.count = 0
        self.value = np.zeros(len(quantile))

    @property
    def share(self) -> Array:
        """0..1 for each measure: weight of the person against the population."""
        return np.asarray(self.count / (self.count + self._half))

    def observe(self, values: Array, expressive: bool) -> None:
        if expressive and self._skipped < EXPRESSIVE_SHARE - 1:
            self._skipped += 1
            return
        self._skipped = 0
        size = self._samples.shape[1]
        self._samples[:, self.count % size] = values
        self.count += 1
        seen = min(self.count, size)
        ordered = np.sort(self._samples[:, :seen], axis=1)
        rank = self._quantile * (seen - 1)
        low = np.floor(rank).astype(np.intp)
        high = np.minimum(low + 1, seen - 1)
        measures = np.arange(len(rank))
        below, above = ordered[measures, low], ordered[measures, high]
        self.value = below + (rank - low) * (above - below)


_POSE_GAIN = np.array([1.2, 1.0, 1.0])
"""The mesh sees nods too small: a head rendered at 17 degrees of pitch reads as 14, yaw and roll read right."""
_CONTACT_FREE_RAD = 0.12
_CONTACT_RAD = 0.14
_EXPRESSIVE = 0.45
_CHEEKS = c.sides("cheekSquint")
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
    """What one picture shows of one person. Shapes (58,), (58,), (3,)."""

    coefficients: Array
    confidence: Array
    gaze: Gaze
    position_m: Array
    affect: Affect


class Person:
    """Personal state: neutral, size, smoothing. Feed it pictures in rising order of stamps."""

    def __init__(self, config: PerceptionConfig) -> None:
        self.neutral = PersonalNeutral(config.neutral_learning_s, config.neutral_memory_s)
        cutoff = np.full(COUNT, config.smoothing_hz)
        cutoff[[INDEX["lidR"], INDEX["lidL"], INDEX["gap"]]] *= 3.0
        self._measures = OneEuro(cutoff, beta=5.0)
        self._pose = OneEuro(config.smoothing_hz, beta=6.0)
        self._position = OneEuro(config.smoothing_hz * 0.6, beta=4.0)
        self._expression = ExpressionReader()
        self._rest_m: Array | None = None
        self._rest_ns = 0
        self._unit_m = EYE_DISTANCE_M
        self._unit_count = 0
        self.features: Array | None = None
        """What the expression is read from in the last picture, see `expression.features`."""
        self.lip_gap = 0.0
        """Gap between the lips in the last picture, unsmoothed, in distances between the eyes."""

    def read(self, stamp_ns: int, landmarks: Array, camera: Camera) -> Reading | None:
        """Reads landmarks (478, 3) in px. None where they do not form a head."""
        self.features = None
        fit = fit_head(landmarks)
        if fit is None:
            return None
        face = frontal(landmarks, fit)
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
        self.features = features(smooth - neutral, neutral - PRIOR, _SCALE)
        probabilities = self._expression.read(stamp_ns, self.features)
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
        values[list(c.SMILE)] = smile = self._expression.smile(values[list(c.SMILE)])
        # Cheeks alone are mostly a stranger's face or squinting; the networks take them for the beginning of a smile.
        values[_CHEEKS] = np.minimum(values[_CHEEKS], smile.max())
        values = np.where(sure > 0.0, values, 0.0)
        return Reading(
            coefficients=c.bounded(values).astype(np.float64),
            confidence=sure,
            gaze=_gaze(values, sure),
            position_m=position,
            affect=_affect(probabilities, values, sure),
        )

    def _learn(self, stamp_ns: int, raw: Array, fit: HeadFit, pose: Array, shapes: Array) -> None:
        pitch, yaw, _ = pose.tolist()
        if abs(yaw) > 0.45 or fit.residual > 0.15 or fit.scale < 12.0:
            return
        mouth, brows = (bool(shapes[part].max() > _EXPRESSIVE) for part in (_STRONG_MOUTH, _STRONG_BROWS))
        self.neutral.observe(stamp_ns, raw, pitch, mouth=mouth, brows=brows)

    def _locate(self, stamp_ns: int, landmarks: Array, fit: HeadFit, yaw: float, camera: Camera) -> Array:
        """Position of the eyes: size from the distance between the eyes, which the irises calibrate slowly."""
        iris = iris_diameter_px(landmarks)
        if iris > 6.0 and abs(yaw) < 0.35:
            measured = IRIS_DIAMETER_M * fit.scale / iris
            unit = min(max((measured + EYE_DISTANCE_M) / 2, 0.056), 0.070)
            self._unit_count = min(self._unit_count + 1, 500)
            self._unit_m += (unit - self._unit_m) / (self._unit_count + 25)
        where = position_m(fit.origin, camera.size_px, camera.focal_px, fit.scale, self._unit_m)
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


def _affect(probabilities: Array, values: Array, sure: Array) -> Affect:
    valence, arousal = projected(values, sure)[-2:].tolist()
    label = EXPRESSION_CLASSES[int(probabilities.argmax())]
    return Affect(label, probabilities.astype(np.float32), valence, arousal)


_SCALE = _scales()


def features_of_face(landmarks: Array) -> Array:
    """`expression.features` of one face (478, 3) as it is; its neutral is to be subtracted.

    Raises:
        ValueError: the landmarks do not form a head.
    """
    fit = fit_head(landmarks)
    if fit is None:
        raise ValueError("the landmarks do not form a head")
    return features(measure(frontal(landmarks, fit), fit.angles[0]), np.zeros(COUNT), _SCALE)


def feature_spread() -> Array:
    """Between-person standard deviation of `expression.features`."""
    spread = features(SPREAD, np.zeros(COUNT), _SCALE)
    spread[FEATURES.index("asymmetry")] = 0.2  # sides differ independently
    spread[FEATURES.index("browTilt")] = 0.2  # ends do not: who has high brows has them high at both (measured)
    return spread


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
