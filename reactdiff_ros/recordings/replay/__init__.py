"""Recordings listened to again: the very session of the live graph on a recording's own time, without ROS.

Enters: a bag or a video, settings as live, or others.
Leaves: every step of the session; bags, arrays and videos of it.
Imports: the rooms, bags, session and launching.
"""

from reactdiff_ros.recordings.replay.parameters import ReplaySettings, settings_as_live
from reactdiff_ros.recordings.replay.replay import Replayed, Step, replay, steps
from reactdiff_ros.recordings.replay.senses import Recording

__all__ = ["Recording", "ReplaySettings", "Replayed", "Step", "replay", "settings_as_live", "steps"]
