"""Perception: who is talking to the robot, and what their face and voice do.

Enters: `Picture`s and `Sound` with their stamps, in order; whether the robot itself is speaking.
Leaves: `SpeakerFrame`s: coefficients against the person's own neutral, head, gaze, affect, voice, and what is known.
Imports: the shared values alone. No time: stamps are all that it knows of it.
"""

from reactdiff_ros.perception.config import PerceptionConfig
from reactdiff_ros.perception.speaker import SpeakerPerception, gaze_target

__all__ = ["PerceptionConfig", "SpeakerPerception", "gaze_target"]
