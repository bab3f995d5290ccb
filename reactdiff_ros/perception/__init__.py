"""Perception: who is talking to the robot, and what their face and voice do."""

from .config import PerceptionConfig
from .speaker import SpeakerPerception, gaze_target

__all__ = ["PerceptionConfig", "SpeakerPerception", "gaze_target"]
