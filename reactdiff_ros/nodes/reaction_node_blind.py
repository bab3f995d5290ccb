"""The inference node of a blind session: it listens as its condition says, and tells nobody how."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from reactdiff_ros.launching.condition import (
    BLIND,
    CONDITION_VARIABLE,
    blind_condition,
    cannot,
    hidden,
    impose,
    told,
)

from ..errors import ConfigError, WeightsError
from ..model.listener import Listener
from ..model.weights import find_weights
from ..types import Reaction
from .health import Meter
from .reaction_node import ReactionNode
from .reaction_node_seat import Seat


class BlindReactionNode(ReactionNode):
    """As ReactionNode, with the settings of the condition in force and nothing published that tells of them.

    Nothing stands in for a condition that cannot run: the node says so and stays unconfigured.
    """

    SLOW = "plans come late: this machine is too slow, or has other work"

    def __init__(self) -> None:
        super().__init__()
        condition = blind_condition()
        if condition is None:
            raise ConfigError("this session is not blind")
        self._condition = condition
        self.meter = HiddenMeter()

    def setup(self) -> None:
        """Make the listener of the condition."""
        if self.values["listeners"]:
            raise ConfigError("a blind session has one listener", todo="leave the parameter 'listeners' empty")
        self._told_as = BLIND
        with suppress(WeightsError):  # which weights are here is told whatever listens
            self._told_as = f"{BLIND}@{find_weights(str(self.values['model_dir'])).digest}"
        impose(self._condition, self.NAME, self.values)
        super().setup()

    def settings(self) -> dict[str, Any]:
        """Which session, and the seal of its condition."""
        given = super().settings()
        if not given:
            return told(self._condition)
        self.backend = self._told_as
        return {"seed": given["seed"], "turn": given["turn"], **told(self._condition)}

    def figures(self) -> dict[str, str]:
        """None: they differ between listeners."""
        return {}

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        engaged = any(seat.listener.state().engaged for seat in self._seats.values())
        nobody = "" if engaged else ", nobody to listen to"
        return f"session {self._condition.session}, condition hidden{nobody}"

    def _log(self, sentence: str) -> None:
        pass

    def _make_listener(self, seed: int, like: Listener | None = None) -> Listener:
        try:
            return super()._make_listener(seed, like)
        except WeightsError:
            raise cannot(self._condition) from None

    def _publish(self, seat: Seat, reaction: Reaction) -> None:
        super()._publish(seat, hidden(reaction))


def node_class() -> type[ReactionNode]:
    """Which of the two this process runs."""
    return BlindReactionNode if os.environ.get(CONDITION_VARIABLE, "").strip() else ReactionNode


class HiddenMeter(Meter):
    """Rates and latencies differ between listeners: a blind one tells none."""

    def rate_hz(self, now_ns: int, window_ns: int = 0) -> float:
        """Nothing."""
        return float("nan")

    def latency_ms(self, now_ns: int) -> tuple[float, float]:
        """Nothing."""
        return float("nan"), float("nan")
