"""Subscriptions that wake nobody: what has come is taken when it is wanted, however often it comes."""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle


class Unwatched(CallbackGroup):  # type: ignore[misc]
    """The executor neither waits for its entities nor runs their callbacks."""

    def can_execute(self, entity: Any) -> bool:
        """No."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """No."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing began."""


class Polled:
    """A subscription in an `Unwatched` group; the middleware keeps its newest `depth` messages."""

    def __init__(self, entity: Any, depth: int) -> None:
        self.entity = entity
        self._depth = depth

    def take(self) -> list[tuple[Any, dict[str, Any]]]:
        """What has come since the last call, oldest first, with rclpy's message info; from any one thread.

        At most `depth` messages, so that a flood cannot hold up the caller. None after the subscription's end.
        """
        found: list[tuple[Any, dict[str, Any]]] = []
        entity = self.entity
        try:
            with entity.handle:
                while len(found) < self._depth:
                    taken = entity.handle.take_message(entity.msg_type, entity.raw)
                    if taken is None:
                        break
                    found.append(taken)
        except InvalidHandle:
            pass
        return found
