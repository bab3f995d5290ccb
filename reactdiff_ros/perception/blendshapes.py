"""From displaced landmarks to ARKit coefficients, by geometry.

`displacement` = measures minus the personal neutral. `FULL` says how far a measure moves for a coefficient of 1; the
formulas are in docs/perception.md. Coefficients that landmarks do not show keep 0 and confidence 0.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros import coefficients as c
from reactdiff_ros.perception import face as m
from reactdiff_ros.types import Array

# Displacement that makes 1, in units of the distance between the eyes (lids, irises: widths of the eye).
FULL: Final[dict[str, float]] = {
    "gap": 0.48, "chin": 0.30, "smile": 0.17, "frown": 0.09, "stretch": 0.10, "pucker": 0.30, "funnel": 0.17,
    "lipsX": 0.11, "chinX": 0.11, "upperLip": 0.06, "lowerLip": 0.06, "thin": 0.07, "shrug": 0.10,
    "lidClosed": 0.11, "wide": 0.33, "squint": 0.08, "browDown": 0.10, "browUp": 0.09, "cheek": 0.06,
    "lookX": 0.17, "lookUp": 0.08, "lookDown": 0.06,
}  # fmt: skip
EYE_YAW_RAD: Final = 0.50
"""Rotation of the eye (rad) for eyeLookIn or Out of 1."""
EYE_PITCH_RAD: Final = 0.42
"""Rotation of the eye (rad) for eyeLookUp or Down of 1."""

# Confidence in good conditions (frontal, near, neutral known). What is missing here is unobserved.
OBSERVED: Final[dict[str, float]] = {
    "browDown": 0.7, "browInnerUp": 0.8, "browOuterUp": 0.75, "cheekSquint": 0.4, "eyeBlink": 0.9,
    "eyeLookDown": 0.4, "eyeLookIn": 0.8, "eyeLookOut": 0.8, "eyeLookUp": 0.6, "eyeSquint": 0.5, "eyeWide": 0.7,
    "jawLeft": 0.4, "jawRight": 0.4, "jawOpen": 0.95, "mouthClose": 0.3, "mouthFrown": 0.6, "mouthFunnel": 0.5,
    "mouthLeft": 0.5, "mouthRight": 0.5, "mouthLowerDown": 0.3, "mouthPress": 0.3, "mouthPucker": 0.6,
    "mouthRollLower": 0.3, "mouthRollUpper": 0.3, "mouthShrugLower": 0.25, "mouthSmile": 0.9, "mouthStretch": 0.5,
    "mouthUpperUp": 0.5,
}  # fmt: skip


def _base() -> Array:
    values = np.zeros(c.COEFFICIENT_COUNT)
    for name, value in OBSERVED.items():
        values[c.sides(name)] = value
    values[c.ROTATION] = (0.8, 0.9, 0.95)
    values[c.TRANSLATION] = (0.9, 0.9, 0.7)
    return values


CONFIDENCE: Final[Array] = _base()
_LEFT: Final = np.array([name.endswith("Left") and name not in ("jawLeft", "mouthLeft") for name in c.NAMES])
_RIGHT: Final = np.array([name.endswith("Right") and name not in ("jawRight", "mouthRight") for name in c.NAMES])
_PERSONAL: Final = np.array(
    [i < c.BLENDSHAPE_COUNT and not name.startswith("eyeLook") for i, name in enumerate(c.NAMES)]
)
_LOOK: Final = np.array([name.startswith("eyeLook") for name in c.NAMES])


def blendshapes(displacement: Array, neutral: Array) -> Array:
    """Coefficients (52,) 0..1 from displacement (face.COUNT,) and the neutral measures it is relative to."""
    d = dict(zip(m.NAMES, displacement.tolist(), strict=True))
    n = dict(zip(m.NAMES, neutral.tolist(), strict=True))
    out: dict[str, float] = {}
    _mouth(d, out)
    for side, name in (("R", "Right"), ("L", "Left")):
        _look(d, side, name, out)
        _lids(d, n, side, name, out)
        _brows(d, side, name, out)
    out["browInnerUp"] = (d["browInnerR"] + d["browInnerL"]) / 2 / FULL["browUp"]
    values = np.zeros(c.BLENDSHAPE_COUNT)
    for key, value in out.items():
        values[c.INDEX[key]] = value
    return np.asarray(np.clip(np.where(np.isfinite(values), values, 0.0), 0.0, 1.0), dtype=np.float64)


def _mouth(d: dict[str, float], out: dict[str, float]) -> None:
    gap = max(0.0, d["gap"])
    chin = max(0.0, d["chin"])
    # The lips part because the jaw falls or because they are drawn apart: the chin shows which, but it is noisy.
    jaw = min(gap, max(chin / 0.40, 0.5 * gap))
    parted = min(1.0, gap / 0.15)
    closed = 1.0 - min(1.0, gap / 0.07)
    out["jawOpen"] = jaw / FULL["gap"]
    out["mouthClose"] = closed * (chin / FULL["chin"] - 0.2)
    out["jawLeft"], out["jawRight"] = d["chinX"] / FULL["chinX"], -d["chinX"] / FULL["chinX"]
    out["mouthLeft"], out["mouthRight"] = d["lipsX"] / FULL["lipsX"], -d["lipsX"] / FULL["lipsX"]
    narrow = max(0.0, -d["width"] + 0.1 * gap)
    out["mouthFunnel"] = parted * narrow / FULL["funnel"]
    out["mouthPucker"] = (1.0 - parted) * narrow / FULL["pucker"]
    funnel = min(1.0, out["mouthFunnel"])
    thin_upper, thin_lower = -d["upperThick"] / FULL["thin"], -d["lowerThick"] / FULL["thin"]
    smiles = 0.0
    for side, name in (("R", "Right"), ("L", "Left")):
        # A falling jaw draws the corners down; what is left is the lips' own work.
        up = d[f"cornerUp{side}"] + 0.08 * jaw + 0.34 * max(0.0, jaw - 0.12)
        sideways = d["lipsX"] * (1.0 if side == "L" else -1.0)
        outward = d[f"cornerOut{side}"] - 0.6 * sideways
        back = -d[f"cornerBack{side}"] - 0.15 * jaw
        smile = (0.8 * up + 0.4 * outward + 0.4 * back) / FULL["smile"]
        # Corners that do not rise are stretched, not smiling.
        smile = min(1.0, max(0.0, smile) * min(1.0, max(0.0, 0.4 + up / 0.03)))
        smiles += smile / 2
        out[f"mouthSmile{name}"] = smile
        out[f"mouthFrown{name}"] = (-up - 0.02) / FULL["frown"]
        out[f"mouthStretch{name}"] = (outward - 1.5 * max(0.0, up) - 0.1 * gap) / FULL["stretch"]
        out[f"mouthUpperUp{name}"] = (d[f"upperLip{side}"] - 0.04 * smile) / FULL["upperLip"]
        frown = min(1.0, max(0.0, out[f"mouthFrown{name}"]))
        lowered = -d[f"lowerLip{side}"] - 0.36 * gap - 0.03 * funnel - 0.04 * frown - 0.005
        out[f"mouthLowerDown{name}"] = lowered / FULL["lowerLip"]
        out[f"mouthPress{name}"] = closed * (min(thin_upper, thin_lower) - 0.3 * smile)
    out["mouthRollUpper"] = closed * (thin_upper - 0.4 * smiles - 0.1)
    out["mouthRollLower"] = closed * (thin_lower - 0.4 * smiles - 0.1)
    raised = d["lowerLip"] / FULL["shrug"] - max(0.0, thin_lower) - 0.4 * smiles - 0.1
    out["mouthShrugLower"] = closed * raised


def _look(d: dict[str, float], side: str, name: str, out: dict[str, float]) -> None:
    to_left = d[f"irisX{side}"] / FULL["lookX"]
    outward = to_left if side == "L" else -to_left
    out[f"eyeLookOut{name}"], out[f"eyeLookIn{name}"] = outward, -outward
    # Lids that open wide draw the mesh's iris down.
    height = d[f"irisY{side}"] + 0.3 * max(0.0, d[f"lid{side}"])
    out[f"eyeLookUp{name}"], out[f"eyeLookDown{name}"] = height / FULL["lookUp"], -height / FULL["lookDown"]


def _lids(d: dict[str, float], n: dict[str, float], side: str, name: str, out: dict[str, float]) -> None:
    rest = max(0.15, n[f"lid{side}"])
    # The upper lid follows the eye when it looks down: that is not a blink.
    follows = 0.35 * min(1.0, max(0.0, out[f"eyeLookDown{name}"])) * (rest - FULL["lidClosed"])
    opening = (rest + d[f"lid{side}"] + follows - FULL["lidClosed"]) / (rest - FULL["lidClosed"])
    out[f"eyeBlink{name}"] = (1.0 - opening - 0.10) / 0.80
    out[f"eyeWide{name}"] = (opening - 1.10) / FULL["wide"]
    raised = max(0.0, d[f"lowerLid{side}"] - 0.01) / FULL["squint"]
    out[f"eyeSquint{name}"] = raised * (1.0 - min(1.0, max(0.0, out[f"eyeBlink{name}"])))
    out[f"cheekSquint{name}"] = d[f"cheek{side}"] / FULL["cheek"]


def _brows(d: dict[str, float], side: str, name: str, out: dict[str, float]) -> None:
    inner, middle, outer = (d[f"brow{part}{side}"] for part in ("Inner", "Mid", "Outer"))
    gather = max(0.0, -d["browGap"])
    out[f"browDown{name}"] = (-0.6 * inner - 0.4 * middle + 0.5 * gather) / FULL["browDown"]
    out[f"browOuterUp{name}"] = (0.4 * middle + 0.6 * outer) / FULL["browUp"]


def confidence(
    *, yaw: float, pitch: float, unit_px: float, residual: float, known: float, blink: tuple[float, float]
) -> Array:
    """Confidence (58,) of every coefficient.

    Args:
        yaw: head yaw (rad); falls from 15 degrees on, on the far side sooner.
        pitch: head pitch (rad) from the person's own neutral; falls from 15 degrees on.
        unit_px: distance between the eyes in px; full from 32 px, none below 6.
        residual: misfit of the rigid landmarks (units); full to 0.08, none from 0.25.
        known: confidence of the personal neutral 0..1; without it expressions keep 60 %.
        blink: right, left closing of the eyes: a closed eye has no gaze.
    """
    size = ramp(unit_px, 6.0, 32.0)
    turned = (1.0 - ramp(abs(yaw), 0.26, 0.87)) * (1.0 - ramp(abs(pitch), 0.30, 0.80))
    fit = 1.0 - ramp(residual, 0.08, 0.25)
    values = CONFIDENCE * size * fit
    values[: c.BLENDSHAPE_COUNT] *= turned
    values[_PERSONAL] *= 0.6 + 0.4 * known
    values[_LEFT] *= 1.0 - ramp(yaw, 0.26, 0.70)
    values[_RIGHT] *= 1.0 - ramp(-yaw, 0.26, 0.70)
    values[_LOOK & _RIGHT] *= 1.0 - blink[0]
    values[_LOOK & _LEFT] *= 1.0 - blink[1]
    return np.asarray(np.clip(values, 0.0, 1.0), dtype=np.float64)


def ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, a line between."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))
