"""What computes the model of a reaction_node: opened once for all its listeners, and told in status and log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..model.backends.base import Precision
from ..model.backends.opening import Opened, Wanted, open_backend
from ..model.listener import ListenerConfig
from ..model.runtime import Networks
from ..model.weights import find_weights
from .reaction_node_seat import seated

TOLD_S = 10.0
"""How often the log tells how long a build has taken by now."""


class ModelBackend:
    """The networks, and what executes them.

    Args:
        values: of the node's parameters `backend`, `precision` and `listeners`.
        config: of the listeners.
        simulated: time is simulated: then the CPU computes, for a replay gives the same plans on any machine.
        log: gets sentences.
    """

    def __init__(
        self, values: Mapping[str, Any], config: ListenerConfig, simulated: bool, log: Callable[[str], None]
    ) -> None:
        asked = str(values["backend"])
        self._replays = simulated and asked == "auto"
        self._wanted = Wanted(
            backend="onnxruntime" if self._replays else asked, precision=cast(Precision, str(values["precision"])),
            steps=(config.steps,), listeners=len(seated(str(values["listeners"]), 0)),
        )  # fmt: skip
        self._config, self._log = config, log
        self._opened: Opened | None = None
        self._networks: Networks | None = None
        self._told_s = 0.0

    def networks(self) -> Networks:
        """Of all listeners of the node.

        Raises:
            WeightsError: the weights are missing or wrong.
        """
        if self._networks is None:
            weights = find_weights(self._config.model_dir)
            opened = open_backend(
                weights, self._wanted, time.perf_counter, threads=self._config.threads, tell=self._log
            )  # fmt: skip
            if self._replays:
                opened.serving.why = "time is simulated, and a replay gives the same plans on any machine"
            self._opened = opened
            self._networks = Networks(weights, backend=opened.serving)
            self._log(f"the model runs on {opened.state()}")
        return self._networks

    def live(self) -> None:
        """From now on no plan waits for preparations of the GPU."""
        if self._opened is not None:
            self._opened.live()

    def state(self) -> str:
        """What is in use and why, and what is being built; "" where there is no model."""
        if self._opened is None:
            return ""
        state = self._opened.state()
        preparing = self._opened.preparing
        building = preparing.state() if preparing is not None else ""
        if building and time.monotonic() - self._told_s > TOLD_S:
            self._told_s = time.monotonic()
            self._log(building)
        return state

    def close(self) -> None:
        """End what is being built."""
        if self._opened is not None:
            self._opened.close()
        self._opened = self._networks = None
