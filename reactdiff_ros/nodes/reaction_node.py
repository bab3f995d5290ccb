"""The inference node: what the listener plans to do with its face, from what is known of the speaker."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import Any

from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.factory import fallback_listener, make_listener
from reactdiff_ros.model.listener import Listener, ListenerConfig, ShowsCandidates
from reactdiff_ros.types import REACTION_RATE_HZ, ListenerControl, Reaction, SpeakerFrame

from . import convert
from .base import ReactdiffNode
from .health import Level
from .runner import run
from .worker import Worker

SILENT_NS = 2 * NS
PICTURE_LATENCY_NS = 30_000_000
"""As a session counts it (`SessionConfig.picture_latency_s`)."""
PLANS = Grid(int(NS / REACTION_RATE_HZ))
FLOWING_NS = 60_000_000
"""Frames that come this often or oftener make the plans; else a timer does."""
REPLAY_FRAMES = 50
FOLLOWS_NS = NS // 2
"""Under simulated time plans are made at the times of the frames; without frames for so long, at those of the clock."""
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
        self._followed_ns: int | None = None
        self._tried_ns = self._heard_ns = self.steady_ns()
        self._missed_ns = self.running_ns()
        if self._missing:
            self.problem("weights", self._missing)
        self._worker = self.work(
            Worker(
                "reaction",
                self._handle,
                {_FRAME: REPLAY_FRAMES if self.simulated() else 4, _CONTROL: 8, _SPEAKING: 8, _WEIGHTS: 1},
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
            if self.simulated():
                self._follow(frame)
            else:
                self._listener.observe(frame)
                self._plan(self.now_ns())
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
        now = self.now_ns()
        if self.simulated():
            followed = self._followed_ns is not None and abs(now - self._followed_ns) < FOLLOWS_NS
            if now and not followed:  # before simulated time has begun there is nothing to plan
                self._plan(now)
        elif self.steady_ns() - self._heard_ns > FLOWING_NS:
            self._plan(now)

    def _follow(self, frame: SpeakerFrame) -> None:
        """Take in a frame and plan at the times at which a session does, however long perception took for it.

        So a bag played into the graph gives the plans that its offline replay gives, on a slow machine as well.
        """
        seen_ns = 0 if frame.picture_stamp_ns is None else frame.picture_stamp_ns + PICTURE_LATENCY_NS
        due_ns = max(frame.stamp_ns, seen_ns)
        if self._followed_ns is not None and 0 < due_ns - self._followed_ns < FOLLOWS_NS:
            first = PLANS.slot(self._followed_ns) + 1
            for slot in range(first, PLANS.slot(due_ns - 1) + 1):
                self._plan(PLANS.time_ns(slot))
        self._listener.observe(frame)
        self._plan(due_ns)
        self._followed_ns = due_ns

    def _plan(self, now_ns: int) -> None:
        if isinstance(self._listener, ShowsCandidates):
            asked = self._candidates.get_subscription_count() > 0
            self._listener.show_candidates(asked or bool(self.values["publish_candidates"]))
        reaction = self._listener.plan(now_ns)
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
