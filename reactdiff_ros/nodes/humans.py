"""The speaker as REP-155 tells it (`/humans/faces/...`), where hri_msgs is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

    The topics are absolute, as REP-155 and libhri have them, so all robots of a ROS domain share them: ids are random
    and change with every start.

    Args:
        advertise: (message class, absolute topic) -> publisher; called once a face and topic.
        retire: destroys a publisher of a face that is gone.
        mark: what ids begin with, letters; drawn by chance as hri_face_detect's are.
        score: least confidence of a face that is followed, 0..1.
    """

    def __init__(
        self, advertise: Callable[[Any, str], Any], retire: Callable[[Any], None], mark: str, score: float
    ) -> None:
        from hri_msgs.msg import Expression, FacialActionUnits, IdsList, NormalizedRegionOfInterest2D

        self._kinds = {"roi": NormalizedRegionOfInterest2D, "expression": Expression, "facs": FacialActionUnits}
        self._ids = IdsList
        self._advertise, self._retire = advertise, retire
        self._mark, self._score = mark, score
        self._tracked = advertise(IdsList, "/humans/faces/tracked")
        self._faces: dict[int, dict[str, Any]] = {}

    def publish(
        self, frame: SpeakerFrame, persons: tuple[int, ...], regions: Mapping[int, tuple[float, float, float, float]]
    ) -> None:
        """Ids of all in sight, and where in the picture; expression and action units of the speaker.

        `regions`: left, top, right and bottom of the faces that the picture shows, as shares of its sides.
        """
        stamp = header(frame.stamp_ns, frame.frame_id)
        self._tracked.publish(self._ids(header=stamp, ids=[self._name(i) for i in persons]))
        for gone in set(self._faces) - set(persons):
            for publisher in self._faces.pop(gone).values():
                self._retire(publisher)
        if frame.picture_stamp_ns is not None:
            picture = header(frame.picture_stamp_ns, frame.frame_id)
            for person, (left, top, right, bottom) in regions.items():
                self._send(
                    person, "roi", header=picture, xmin=left, ymin=top, xmax=right, ymax=bottom, c=self._score
                )  # fmt: skip
        if frame.person_id < 0 or not frame.mesh_present:
            return
        if frame.affect is not None:
            affect = frame.affect
            self._send(
                frame.person_id,
                "expression",
                header=stamp,
                expression=_LABELS.get(affect.label, affect.label),
                valence=float(affect.valence),
                arousal=float(affect.arousal),
                confidence=float(affect.probabilities.max()),
            )
        intensity, confidence = action_units(frame)
        self._send(frame.person_id, "facs", header=stamp, intensity=intensity, confidence=confidence)

    def close(self) -> None:
        """Retire all publishers."""
        for publisher in (self._tracked, *(p for face in self._faces.values() for p in face.values())):
            self._retire(publisher)
        self._faces.clear()

    def _send(self, person: int, topic: str, **values: Any) -> None:
        face = self._faces.setdefault(person, {})
        if topic not in face:
            face[topic] = self._advertise(self._kinds[topic], f"/humans/faces/{self._name(person)}/{topic}")
        face[topic].publish(self._kinds[topic](**values))

    def _name(self, person: int) -> str:
        """Ids are parts of topic names: letters and digits, beginning with a letter."""
        return f"{self._mark}{person}"
