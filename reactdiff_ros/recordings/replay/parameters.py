"""How a replay listens: the settings of a live listener, and what concerns the recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.launching.listener_settings import ListenerSettings, listener_settings
from reactdiff_ros.launching.table import Value
from reactdiff_ros.session import SessionConfig


@dataclass(frozen=True)
class ReplaySettings(ListenerSettings):
    """Who listens, and how.

    Args:
        session: times that a graph of processes takes.
        picture: topic of the pictures in a bag; "" = found by type, "none" = without.
        sound: topic of the sound, likewise.
        own_voice: use what a bag says about the robot's own speech and turns (robot_speaking, speech, turn/signals).
        operator: repeat the changes of style and the gestures that a bag holds.
    """

    session: SessionConfig = field(default_factory=SessionConfig)
    picture: str = ""
    sound: str = ""
    own_voice: bool = True
    operator: bool = False


def settings_as_live(
    given: Mapping[str, Any] | None = None, *, robot: str = "screen", params_file: Path | None = None, **others: Any
) -> tuple[ReplaySettings, dict[str, dict[str, Value]]]:
    """As `listener_settings`, with `others`: fields of `ReplaySettings` that are no parameters of a node.

    A camera on the robot's head counts as one only with a recording that has the pose of that head
    (`senses.as_recorded`). An unknown style raises ConfigError too.
    """
    live, values = listener_settings(given or {}, robot=robot, params_file=params_file)
    ExpressionEngine(live.expression)  # refuses an unknown style
    return ReplaySettings(**vars(live), **others), values
