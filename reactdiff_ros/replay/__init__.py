"""Recordings listened to again: the very session of the live graph on a recording's own time, without ROS."""

from reactdiff_ros.replay.parameters import ReplaySettings, settings_as_live
from reactdiff_ros.replay.replay import Replayed, Step, replay, steps
from reactdiff_ros.replay.senses import Recording

__all__ = ["Recording", "ReplaySettings", "Replayed", "Step", "replay", "settings_as_live", "steps"]
