"""The speaker as REP-155 tells it (`/humans/faces/...`), where hri_msgs is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.types import FloatArray, SpeakerFrame

from .convert import header

ACTION_UNITS = 99
# FACS unit -> the ARKit coefficients whose mean stands for it.
FACS: dict[int, tuple[str, ...]] = {
    1: ("browInnerUp",),
    2: ("browOuterUpLeft", "browOuterUpRight"),
    4: ("browDownLeft", "browDownRight"),
    5: ("eyeWideLeft", "eyeWideRight"),
    6: ("cheekSquintLeft", "cheekSquintRight"),
    7: ("eyeSquintLeft", "eyeSquintRight"),
    9: ("noseSneerLeft", "noseSneerRight"),
    10: ("mouthUpperUpLeft", "mouthUpperUpRight"),
    12: ("mouthSmileLeft", "mouthSmileRight"),
    14: ("mouthDimpleLeft", "mouthDimpleRight"),
    15: ("mouthFrownLeft", "mouthFrownRight"),
    16: ("mouthLowerDownLeft", "mouthLowerDownRight"),
    17: ("mouthShrugLower",),
    18: ("mouthPucker",),
    20: ("mouthStretchLeft", "mouthStretchRight"),
    22: ("mouthFunnel",),
    24: ("mouthPressLeft", "mouthPressRight"),
    26: ("jawOpen",),
    28: ("mouthRollLower", "mouthRollUpper"),
    43: ("eyeBlinkLeft", "eyeBlinkRight"),
}
_LABELS = {"disgust": "disgusted", "fear": "scared", "surprise": "surprised"}


def action_units(frame: SpeakerFrame) -> tuple[FloatArray, FloatArray]:
    """(99,) intensities 0..1 and (99,) confidences by FACS number; a unit is as sure as its least sure coefficient."""
    intensity = np.zeros(ACTION_UNITS, dtype=np.float32)
    confidence = np.zeros(ACTION_UNITS, dtype=np.float32)
    for unit, names in FACS.items():
        indices = [INDEX[n] for n in names]
        intensity[unit] = frame.coefficients[indices].mean()
        confidence[unit] = frame.confidence[indices].min()
    return intensity, confidence


class Humans:
    """Publishes REP-155's topics. Raises ImportError at construction where hri_msgs is missing.

    Args:
        advertise: (message class, absolute topic) -> publisher; called once a face.
        retire: destroys a publisher of a face that is gone.
    """

    def __init__(self, advertise: Callable[[Any, str], Any], retire: Callable[[Any], None]) -> None:
        from hri_msgs.msg import Expression, FacialActionUnits, IdsList

        self._expression, self._facs, self._ids = Expression, FacialActionUnits, IdsList
        self._advertise, self._retire = advertise, retire
        self._tracked = advertise(IdsList, "/humans/faces/tracked")
        self._faces: dict[int, tuple[Any, Any]] = {}

    def publish(self, frame: SpeakerFrame, persons: tuple[int, ...]) -> None:
        """Ids of all in sight; expression and action units of the speaker."""
        stamp = header(frame.stamp_ns, frame.frame_id)
        self._tracked.publish(self._ids(header=stamp, ids=[_name(i) for i in persons]))
        for gone in set(self._faces) - set(persons):
            for publisher in self._faces.pop(gone):
                self._retire(publisher)
        if frame.person_id < 0 or not frame.mesh_present:
            return
        expression, facs = self._publishers(frame.person_id)
        if frame.affect is not None:
            affect = frame.affect
            expression.publish(
                self._expression(
                    header=stamp,
                    expression=_LABELS.get(affect.label, affect.label),
                    valence=float(affect.valence),
                    arousal=float(affect.arousal),
                    confidence=float(affect.probabilities.max()),
                )
            )
        intensity, confidence = action_units(frame)
        facs.publish(self._facs(header=stamp, intensity=intensity, confidence=confidence))

    def close(self) -> None:
        """Retire all publishers."""
        for publisher in (self._tracked, *(p for pair in self._faces.values() for p in pair)):
            self._retire(publisher)
        self._faces.clear()

    def _publishers(self, person: int) -> tuple[Any, Any]:
        if person not in self._faces:
            base = f"/humans/faces/{_name(person)}"
            self._faces[person] = (
                self._advertise(self._expression, f"{base}/expression"),
                self._advertise(self._facs, f"{base}/facs"),
            )
        return self._faces[person]


def _name(person: int) -> str:
    """REP-155 ids are part of topic names: letters and digits, not starting with a digit."""
    return f"face{person}"
