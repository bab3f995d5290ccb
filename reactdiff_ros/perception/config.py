"""Settings of perception."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class PerceptionConfig:
    """Settings of `SpeakerPerception`; `RANGES` holds the allowed range of each number.

    Raises:
        ConfigError: for a value of the wrong type or out of its range.
    """

    mirror: bool = False
    """The camera delivers mirrored pictures (as a selfie preview does): they are turned back first."""
    horizontal_fov_deg: float = 60.0
    """Horizontal field of view of the whole picture in degrees, 10..170; used where no camera_info gives the focal
    length."""
    max_side_px: int = 960
    """Bigger pictures are scaled down to this longer side before the networks, 160..4096 px."""
    max_faces: int = 2
    """How many faces are followed with landmarks at the same time, 1..5. Each costs about 2 ms a picture."""
    min_detection_score: float = 0.5
    """Score from which the detector's box is a face, 0.5..1 (the network reports none below 0.5)."""
    detector_interval_s: float = 0.2
    """Time between two runs of the detector while all known faces are followed, 0..5 s. While somebody is lost or
    nobody is there it runs on every picture."""
    confirm_s: float = 0.12
    """How long a new face must be seen before it counts as a person, 0..2 s."""
    lost_after_s: float = 0.4
    """How long a person may be unseen before they are gone, 0.05..5 s."""
    switch_after_s: float = 1.0
    """How long another person must be the one who talks before they become the target, 0.1..10 s."""
    smoothing_hz: float = 2.5
    """Cut-off of the smoothing of a still face, 0.1..25 Hz; it rises with speed, so quick motion is not delayed."""
    neutral_learning_s: float = 5.0
    """Time after which the personal neutral counts half against the population's, 0.5..60 s."""
    neutral_memory_s: float = 60.0
    """How far back the personal neutral looks, 10..600 s."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name not in RANGES:
                if not isinstance(value, bool):
                    raise ConfigError("must be true or false", where=f"perception.{item.name} = {value!r}")
                continue
            low, high = RANGES[item.name]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ConfigError("must be a number", where=f"perception.{item.name} = {value!r}")
            if item.type in (int, "int") and int(value) != value:
                raise ConfigError("must be a whole number", where=f"perception.{item.name} = {value!r}")
            if not low <= value <= high:
                raise ConfigError(
                    "is out of range", where=f"perception.{item.name} = {value!r}", todo=f"choose {low:g} to {high:g}"
                )


RANGES: dict[str, tuple[float, float]] = {
    "horizontal_fov_deg": (10.0, 170.0),
    "max_side_px": (160, 4096),
    "max_faces": (1, 5),
    "min_detection_score": (0.5, 1.0),
    "detector_interval_s": (0.0, 5.0),
    "confirm_s": (0.0, 2.0),
    "lost_after_s": (0.05, 5.0),
    "switch_after_s": (0.1, 10.0),
    "smoothing_hz": (0.1, 25.0),
    "neutral_learning_s": (0.5, 60.0),
    "neutral_memory_s": (10.0, 600.0),
}
