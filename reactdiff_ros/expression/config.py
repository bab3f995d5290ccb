"""Start values of the expression room; the names are the ROS parameters of expression_node."""

from __future__ import annotations

from dataclasses import dataclass

from reactdiff_ros.settings import check_settings, setting
from reactdiff_ros.styles import DEFAULT_STYLE, control


@dataclass(frozen=True)
class ExpressionConfig:
    """Start values of the expression engine.

    Raises:
        ConfigError: a value is out of range.
    """

    style: str = setting(DEFAULT_STYLE, "Name of a style: a shipped one (config/styles.yaml) or one of your own.")
    styles_file: str = setting(
        "", "File with your own styles. Empty: ~/.config/reactdiff_ros/styles.yaml, if it exists."
    )
    intensity: float = control("intensity", "Strength of reactions. 1: as planned")
    stillness: float = control("stillness", "Amount of idle motion. 0: lively, 1: none")
    upper_face: float = control("upper_face", "Gain of brows and lids")
    lower_face: float = control("lower_face", "Gain of cheeks and mouth")
    head: float = control("head", "Gain of head motion")

    crossfade_s: float = setting(
        0.06, "Duration of the crossfade from one plan to the next.", unit="s", low=0.02, high=0.5
    )
    smooth_s: float = setting(
        0.05,
        "Standard deviation of the smoothing of a plan, without delay. 0: no smoothing.",
        unit="s",
        low=0.0,
        high=0.2,
    )
    hold_s: float = setting(
        0.12,
        "How long the last frame of an expired plan is held before it fades to neutral.",
        unit="s",
        low=0.0,
        high=1.0,
    )
    decay_s: float = setting(0.6, "Duration of the fade of an expired plan to neutral.", unit="s", low=0.1, high=3.0)
    late_s: float = setting(
        0.3,
        "Nods of a plan that is later than this are not shown: a late backchannel is worse than none.",
        unit="s",
        low=0.04,
        high=0.64,
    )
    input_timeout_s: float = setting(
        1.0, "Without a plan or gaze target for this long, the input counts as lost.", unit="s", low=0.2, high=10.0
    )

    camera_x_m: float = setting(
        0.0,
        "Position of the camera relative to the midpoint of the face's eyes, to the robot's right.",
        unit="m",
        low=-2.0,
        high=2.0,
    )
    camera_y_m: float = setting(
        0.0, "Position of the camera, downwards (negative: above the eyes).", unit="m", low=-2.0, high=2.0
    )
    camera_z_m: float = setting(0.0, "Position of the camera, forwards.", unit="m", low=-2.0, high=2.0)
    camera_yaw_rad: float = setting(
        0.0, "Rotation of the camera towards the robot's left.", unit="rad", low=-1.6, high=1.6
    )
    camera_pitch_rad: float = setting(0.0, "Rotation of the camera downwards.", unit="rad", low=-1.6, high=1.6)
    camera_roll_rad: float = setting(
        0.0, "Tilt of the camera towards the robot's right.", unit="rad", low=-3.2, high=3.2
    )
    camera_on_head: bool = setting(
        False, "The camera moves with the head, so head motion is subtracted from what it sees."
    )
    camera_latency_s: float = setting(
        0.04,
        "Delay subtracted from the stamps of a camera on the head, to account for exposure and smoothing.",
        unit="s",
        low=0.0,
        high=0.5,
    )
    head_pivot_x_m: float = setting(
        0.0,
        "Position of the head's pivot relative to the midpoint of the eyes, to the robot's right.",
        unit="m",
        low=-1.0,
        high=1.0,
    )
    head_pivot_y_m: float = setting(0.0, "Position of the head's pivot, downwards.", unit="m", low=-1.0, high=1.0)
    head_pivot_z_m: float = setting(0.0, "Position of the head's pivot, forwards.", unit="m", low=-1.0, high=1.0)
    flat_face: bool = setting(
        False,
        "The face is a picture on a screen: it appears to look at every viewer while its eyes are centred, so eyes "
        "and head pitch follow the person only slightly.",
    )
    eye_distance_m: float = setting(
        0.063, "Distance between the face's eyes. Sets how far they converge.", unit="m", low=0.0, high=0.3
    )
    eye_yaw_full_rad: float = setting(
        0.61, "Horizontal eye rotation at eyeLookIn/Out = 1 (35 degrees).", unit="rad", low=0.1, high=1.2
    )
    eye_pitch_full_rad: float = setting(
        0.52, "Vertical eye rotation at eyeLookUp/Down = 1 (30 degrees).", unit="rad", low=0.1, high=1.2
    )
    head_share: float = setting(
        0.3, "Share of the angle to the person that the head turns. The eyes turn the rest.", low=0.0, high=1.0
    )

    contact_listening: float = setting(0.87, "Share of time in eye contact while the person speaks.", low=0.3, high=1.0)
    contact_share: float = setting(0.8, "Share of time in eye contact otherwise.", low=0.3, high=1.0)
    contact_speaking: float = setting(
        0.45, "Share of time in eye contact while the robot itself speaks. People: 0.4 to 0.5.", low=0.2, high=0.9
    )
    backchannel_nods: bool = setting(
        False,
        "Nod when turn/signals says that a short feedback would fit. Policy model nods by itself, so both would nod.",
    )
    mouth_lead_s: float = setting(
        0.0,
        "How much earlier than its sound the mouth moves, where it is known so far ahead: for servos, which follow "
        "late. The robot's profile sets it from the limits of its jaw; add the latency of its bus.",
        unit="s",
        low=0.0,
        high=0.3,
    )
    aversions_per_min: float = setting(5.0, "Number of gaze aversions per minute.", unit="1/min", low=0.5, high=12.0)
    blink_rate_per_min: float = setting(
        19.0, "Blinks per minute. People in conversation: 10 to 33.", unit="1/min", low=4.0, high=40.0
    )
    breath_rate_per_min: float = setting(14.0, "Breaths per minute.", unit="1/min", low=4.0, high=30.0)

    def __post_init__(self) -> None:
        check_settings(self, "expression_node")
