"""The idle listener: the neutral face, always. The zero condition of a study."""

from __future__ import annotations

from typing import ClassVar

from reactdiff_ros.model.policies.base import PolicyListener


class IdleListener(PolicyListener):
    """Plans a neutral face whatever happens; its plans carry no stamps.

    `engaged` still tells whether somebody is there, so that gaze and blinks stay those of a listening face.
    """

    NAME: ClassVar[str] = "idle"
    CONSUMES: ClassVar[bool] = False
