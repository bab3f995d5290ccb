"""The page of a robot that is not there: its picture, its mapping, and a bar for every joint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactdiff_ros.avatar.client import Client
from reactdiff_ros.avatar.config import AvatarConfig
from reactdiff_ros.avatar.serving import PageServer
from reactdiff_ros.avatar.wire import to_json


class PreviewServer(PageServer):
    """Shows a robot's profile in browsers. Everything runs on the event loop that `start` ran on."""

    folders = ("page", "page/robot")

    def __init__(self, wants: Callable[[dict[str, Any]], bool], config: AvatarConfig | None = None) -> None:
        """`wants` is given what a page asks for ({"play": ...} or {"seek": ...}); False: it means nothing."""
        super().__init__(config)
        self._wants = wants
        self._description = ""
        self._message: bytes | None = None

    @property
    def watched(self) -> bool:
        """Whether a page is open."""
        return bool(self._clients)

    def describe(self, description: dict[str, Any]) -> None:
        """Show another profile, or another state of the same."""
        self._description = to_json({"type": "robot", **description})
        for client in self._clients:
            client.offer_text("robot", self._description)

    def show(self, message: bytes) -> None:
        """Show a tick (`wire.encode_robot`)."""
        self._message = message
        for client in self._clients:
            client.offer(message)

    def greet(self, client: Client) -> None:
        """The robot, and where its joints are."""
        client.offer_text("robot", self._description)
        if self._message is not None:
            client.offer(self._message)

    def understood(self, client: Client, report: dict[str, Any]) -> bool:
        """{"fps": ...} alone, or with what the page wants."""
        return set(report) == {"fps"} or self._wants(report)
