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

    style: str = setting(DEFAULT_STYLE, "Name of a style of config/styles.yaml or of the user's own file.")
    styles_file: str = setting(
        "", "The user's own file of styles; empty: ~/.config/reactdiff_ros/styles.yaml if it is there."
    )
    intensity: float = control("intensity", "How strong reactions are, 1: as planned")
    stillness: float = control("stillness", "0: lively idle motion, 1: none")
    upper_face: float = control("upper_face", "Gain of brows and lids")
    lower_face: float = control("lower_face", "Gain of cheeks and mouth")
    head: float = control("head", "Gain of head motion")

    crossfade_s: float = setting(
        0.06, "A new plan takes over from the old one within this time.", unit="s", low=0.02, high=0.5
    )
    smooth_s: float = setting(
        0.05,
        "Tremor of a plan is smoothed over this time (standard deviation), without delay; 0: not.",
        unit="s",
        low=0.0,
        high=0.2,
    )
    hold_s: float = setting(
        0.12, "A plan that ran out is held this long before it fades to neutral.", unit="s", low=0.0, high=1.0
    )
    decay_s: float = setting(0.6, "A plan that ran out fades to neutral within this time.", unit="s", low=0.1, high=3.0)
    late_s: float = setting(
        0.3,
        "A plan later than this shows no nod any more: a late backchannel is worse than none.",
        unit="s",
        low=0.04,
        high=0.64,
    )
    input_timeout_s: float = setting(
        1.0, "Neither plan nor gaze target for this long: input is dead.", unit="s", low=0.2, high=10.0
    )

    camera_x_m: float = setting(
        0.0, "Camera's place from the middle of the face's eyes: to the robot's right.", unit="m", low=-2.0, high=2.0
    )
    camera_y_m: float = setting(
        0.0, "The same, downwards (a camera above the eyes is negative).", unit="m", low=-2.0, high=2.0
    )
    camera_z_m: float = setting(0.0, "The same, forwards.", unit="m", low=-2.0, high=2.0)
    camera_yaw_rad: float = setting(
        0.0, "How far the camera is turned to the robot's own left of the face.", unit="rad", low=-1.6, high=1.6
    )
    camera_pitch_rad: float = setting(0.0, "How far the camera looks down.", unit="rad", low=-1.6, high=1.6)
    camera_roll_rad: float = setting(
        0.0, "How far the camera is tilted to the robot's own right.", unit="rad", low=-3.2, high=3.2
    )
    camera_on_head: bool = setting(
        False, "The camera moves with the head: the head's own motion is taken out of what it sees."
    )
    camera_latency_s: float = setting(
        0.04,
        "So long before its stamp a picture of a camera on the head counts: what perception's smoothing takes, and the "
        "camera.",
        unit="s",
        low=0.0,
        high=0.5,
    )
    head_pivot_x_m: float = setting(
        0.0,
        "Point that the head turns about, from the middle of its eyes: to the robot's right.",
        unit="m",
        low=-1.0,
        high=1.0,
    )
    head_pivot_y_m: float = setting(0.0, "The same, downwards.", unit="m", low=-1.0, high=1.0)
    head_pivot_z_m: float = setting(0.0, "The same, forwards.", unit="m", low=-1.0, high=1.0)
    eye_distance_m: float = setting(
        0.063, "Distance of the face's eyes; sets how far they converge.", unit="m", low=0.0, high=0.3
    )
    eye_yaw_full_rad: float = setting(
        0.61, "Eye turn to the side at eyeLookIn/Out = 1 (35 degrees).", unit="rad", low=0.1, high=1.2
    )
    eye_pitch_full_rad: float = setting(
        0.52, "Eye turn up or down at eyeLookUp/Down = 1 (30 degrees).", unit="rad", low=0.1, high=1.2
    )
    head_share: float = setting(
        0.3, "Share of the angle to the person that the head takes, the eyes do the rest.", low=0.0, high=1.0
    )

    contact_listening: float = setting(0.87, "Share of time in eye contact while the other speaks.", low=0.3, high=1.0)
    contact_share: float = setting(0.8, "Share of time in eye contact otherwise.", low=0.3, high=1.0)
    aversions_per_min: float = setting(5.0, "How often it looks away and back.", unit="1/min", low=0.5, high=12.0)
    blink_rate_per_min: float = setting(
        19.0, "Blinks a minute; people in conversation: 10 to 33.", unit="1/min", low=4.0, high=40.0
    )
    breath_rate_per_min: float = setting(14.0, "Breaths a minute.", unit="1/min", low=4.0, high=30.0)

    def __post_init__(self) -> None:
        check_settings(self, "expression_node")
