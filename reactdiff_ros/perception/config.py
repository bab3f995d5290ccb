"""Settings of perception; the names are the ROS parameters of perception_node."""

from __future__ import annotations

from dataclasses import dataclass

from reactdiff_ros.settings import check_settings, setting


@dataclass(frozen=True)
class PerceptionConfig:
    """Settings of `SpeakerPerception`.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
    """

    mirror: bool = setting(False, "The camera delivers mirrored pictures. They are flipped first.")
    horizontal_fov_deg: float = setting(
        60.0,
        "Horizontal field of view of the whole picture, used until a camera_info message arrives.",
        unit="deg",
        low=10.0,
        high=170.0,
    )
    max_side_px: int = setting(
        960,
        "Pictures whose longer side is twice this, or more, are made smaller by a whole factor.",
        unit="px",
        low=160,
        high=4096,
    )
    # Each of the first three costs about 3 ms a picture.
    max_faces: int = setting(
        4, "Maximum number of faces tracked with landmarks. With four or more they take turns.", low=1, high=5
    )
    # The network reports no box below 0.5.
    min_detection_score: float = setting(0.5, "Lowest score of the detector that counts as a face.", low=0.5, high=1.0)
    # While someone is lost or no one is there, it runs on every picture.
    detector_interval_s: float = setting(
        0.2, "Time between two runs of the detector while all known faces are tracked.", unit="s", low=0.0, high=5.0
    )
    confirm_s: float = setting(
        0.12, "How long a new face must be visible before it counts as a person.", unit="s", low=0.0, high=2.0
    )
    lost_after_s: float = setting(
        0.4, "How long a person may be out of sight before they are gone.", unit="s", low=0.05, high=5.0
    )
    switch_after_s: float = setting(
        0.8, "How long another person must be the one who talks before they become the target.",
        unit="s", low=0.1, high=10.0,
    )  # fmt: skip
    microphone_spacing_m: float = setting(
        0.0,
        "Distance of the two microphones next to the camera, whose sound then shows who speaks. 0: not used.",
        unit="m", low=0.0, high=0.5,
    )  # fmt: skip
    first_microphone_right: bool = setting(
        False, "The first channel is the microphone on the right of what the camera sees, not on the left."
    )
    smoothing_hz: float = setting(
        2.5, "Cut-off frequency of the smoothing of a still face. It rises with speed, so fast motion is not delayed.",
        unit="Hz", low=0.1, high=25.0,
    )  # fmt: skip
    neutral_learning_s: float = setting(
        5.0, "Time after which the personal neutral face weighs as much as the population's.",
        unit="s", low=0.5, high=60.0,
    )  # fmt: skip
    neutral_memory_s: float = setting(
        60.0, "Length of the history from which the personal neutral face is computed.", unit="s", low=10.0, high=600.0
    )

    def __post_init__(self) -> None:
        check_settings(self, "perception_node")
