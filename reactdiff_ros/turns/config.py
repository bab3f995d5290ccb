"""Settings of turn-taking; the names are the ROS parameters of turn_node."""

from __future__ import annotations

from dataclasses import dataclass

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.settings import check_settings, setting


@dataclass(frozen=True)
class TurnsConfig:
    """Settings of `TurnTracker`. Raises ConfigError: a value has the wrong type or is out of range."""

    full_duplex: bool = setting(
        False,
        "The microphone hears the person alone while the robot speaks, because they wear it. Where microphone_node "
        "cancels the echo, that is noticed by itself. Otherwise sound is no evidence while the robot speaks.",
    )
    eager_probability: float = setting(
        0.7, "A turn has probably ended from this probability on (event eot_eager).", low=0.01, high=1.0
    )
    end_probability: float = setting(0.9, "A turn has ended from this probability on (event eot).", low=0.01, high=1.0)
    least_silence_s: float = setting(
        0.2, "No turn ends before the person has been silent for this long.", unit="s", low=0.0, high=5.0
    )
    longest_silence_s: float = setting(
        1.5, "Every turn ends once the person has been silent for this long.", unit="s", low=0.2, high=30.0
    )
    barge_in_probability: float = setting(
        0.8, "Speech over the robot's takes the floor from this probability on (event barge_in).", low=0.01, high=1.0
    )
    barge_in_s: float = setting(
        0.35, "Speech over the robot's takes the floor once it lasts this long. Shorter: interrupted sooner, also by "
        "backchannels.", unit="s", low=0.05, high=5.0,
    )  # fmt: skip
    network: str = setting(
        "auto",
        "File of smart-turn v3 (ONNX). auto: the one in the package pipecat-ai, if it is installed. none: no network.",
    )

    def __post_init__(self) -> None:
        check_settings(self, "turn_node")
        if self.eager_probability > self.end_probability:
            raise ConfigError(
                f"eager_probability = {self.eager_probability:g} is above end_probability = {self.end_probability:g}",
                where="turn_node", todo="a turn must have probably ended before it has ended",
            )  # fmt: skip
        if self.least_silence_s > self.longest_silence_s:
            raise ConfigError(
                f"least_silence_s = {self.least_silence_s:g} is above longest_silence_s = {self.longest_silence_s:g}",
                where="turn_node", todo="make it the shorter one",
            )  # fmt: skip
