"""The inference node: what the listener plans to do with its face, from what is known of the speaker."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import Any

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.factory import fallback_listener, make_listener
from reactdiff_ros.model.listener import Listener, ListenerConfig, ShowsCandidates
from reactdiff_ros.types import REACTION_RATE_HZ, ListenerControl, Reaction

from . import convert
from .base import ReactdiffNode
from .health import Level
from .runner import run
from .worker import Worker

SILENT_NS = 2 * NS
FLOWING_NS = 60_000_000
"""Frames that come this often or oftener make the plans; else a timer does."""
RETRY_NS = 10 * NS
"""Weights that are missing are looked for again after this time."""
_FRAME, _CONTROL, _SPEAKING, _WEIGHTS = "speaker/frame", "listener/control", "robot_speaking", "weights"


class ReactionNode(ReactdiffNode):
    """`speaker/frame` in, `listener/reaction` out. Observing and planning happen in one worker thread."""

    NAME = "reaction_node"

    def setup(self) -> None:
        """Make the listener; where the model's weights cannot be used, rules stand in and the diagnostics say so."""
        self._config = self.configured(ListenerConfig)
        self._seed = int(self.values["seed"])
        self._missing = ""
        self._controls: deque[ListenerControl] = deque(maxlen=256)
        try:
            self._listener = self._make_listener()
        except WeightsError as error:
            self._missing = f"{error}; until then the rules listener stands in"
            self._listener = fallback_listener(seed=self._seed, config=self._config, error=str(error))
        self._reactions = self.advertise("listener/reaction")
        self._candidates = self.advertise("listener/reaction/candidates")

    def _make_listener(self) -> Listener:
        policy = str(self.values["policy"])
        return make_listener(policy, seed=self._seed, config=self._config, timer=time.perf_counter)

    def start(self) -> None:
        """Subscribe and start the worker."""
        self._listener.reset(self._seed)
        self._newest_ns = 0
        self._tried_ns = self._heard_ns = self.steady_ns()
        self._missed_ns = self.running_ns()
        if self._missing:
            self.problem("weights", self._missing)
        self._worker = self.work(
            Worker(
                "reaction",
                self._handle,
                {_FRAME: 4, _CONTROL: 8, _SPEAKING: 8, _WEIGHTS: 1},
                self.failed,
                tick=self._tick,
                tick_s=1.0 / REACTION_RATE_HZ,
            )
        )
        for topic in (_FRAME, _CONTROL, _SPEAKING):
            self.subscribe(topic, partial(self._worker.put, topic))

    def settings(self) -> dict[str, Any]:
        """Policy, seed and the listener's settings in force."""
        if not hasattr(self, "_listener"):
            return {}
        state = self._listener.state()
        self.backend = state.backend
        numbers = {n: v if isinstance(v, str) else f"{v:g}" for n, v in state.settings.items()}
        return {
            "policy": state.policy,
            "seed": self._seed,
            "compute_ms": f"{state.compute_ms:.1f}",
            "turn": state.turn,
            **numbers,
        }

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        state = self._listener.state()
        return f"{state.policy} on {state.backend}" + ("" if state.engaged else ", nobody to listen to")

    def observe_health(self) -> None:
        """Say when nothing comes in."""
        if self.running_ns() - self._missed_ns > SILENT_NS:
            self.problem("input", "nothing comes on speaker/frame: perception_node is missing or inactive", Level.WARN)
        else:
            self.solved("input")
        if self._missing and self.steady_ns() - self._tried_ns > RETRY_NS:
            self._tried_ns = self.steady_ns()
            self._worker.put(_WEIGHTS, None)

    def _handle(self, kind: str, message: Any) -> None:
        if kind == _FRAME:
            self._heard_ns, self._missed_ns = self.steady_ns(), self.running_ns()
            frame = convert.speaker_value(message)
            self.check_clock("speaker/frame", frame.stamp_ns)
            self._listener.observe(frame)
            self._plan()
        elif kind == _CONTROL:
            control = convert.control_value(message)
            self._listener.control(control)
            self._controls.append(control)
            self.solved(_CONTROL)
        elif kind == _SPEAKING:
            self._listener.robot_speaking(bool(message.data), self.now_ns())
        else:
            self._try_weights()

    def _try_weights(self) -> None:
        """Put the model in the place of the rules as soon as its weights can be used."""
        try:
            listener = self._make_listener()
        except WeightsError:
            return
        for control in self._controls:
            listener.control(control)
        self._listener, self._missing = listener, ""
        self.solved("weights", "the model's weights are there: the model listens")

    def _tick(self) -> None:
        # While frames come, plans are drawn when one has just come: then a plan has the newest evidence, and evidence
        # waits 40 ms less for it.
        if self.steady_ns() - self._heard_ns > FLOWING_NS:
            self._plan()

    def _plan(self) -> None:
        if isinstance(self._listener, ShowsCandidates):
            asked = self._candidates.get_subscription_count() > 0
            self._listener.show_candidates(asked or bool(self.values["publish_candidates"]))
        now = self.now_ns()
        if now == 0:
            return  # simulated time has not begun
        reaction = self._listener.plan(now)
        if reaction is not None:
            self._publish(reaction)

    def _publish(self, reaction: Reaction) -> None:
        self.publish(self._reactions, convert.reaction_message(reaction))
        if reaction.candidates is not None:
            self.publish(self._candidates, convert.candidates_message(reaction))
        newest = max((s for s in (reaction.picture_stamp_ns, reaction.sound_stamp_ns) if s is not None), default=0)
        fresh = newest > self._newest_ns
        self._newest_ns = newest
        self.meter.output(self.steady_ns(), (self.now_ns() - newest) / 1e6 if fresh else None)


def main() -> int:
    """Run the node."""
    return run(ReactionNode)
