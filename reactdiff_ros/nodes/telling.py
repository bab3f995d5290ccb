"""What a node tells of what goes wrong: one sentence in its diagnostics and its log, news at once. And its clocks."""

from __future__ import annotations

import time
import traceback
from typing import Any

from rclpy.lifecycle import LifecycleNode

from ..clock import NS
from ..errors import MessageError, ReactdiffError
from .event_log import EventLog
from .health import Health, Level, Limiter, Meter
from .node_time import ClockWatch, StampWatch

PASSING_NS = 5 * NS
"""How long an internal error, a dropped message or a wrong stamp stays in the diagnostics after it last came."""


class TellingNode(LifecycleNode):  # type: ignore[misc]
    """Keeps the problems in force and the figures of a node. What it tells goes out with `tell`, of a subclass."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._log_events = EventLog(super().get_logger(), self.get_fully_qualified_name())
        self.health = Health()
        self.meter = Meter()
        self.clock_watch = ClockWatch()
        self._stamp_watch = StampWatch()
        self._limiter = Limiter()
        self._passing_ns: dict[str, int] = {}

    def tell(self) -> None:
        """Publish the state of the node now."""
        raise NotImplementedError

    def get_logger(self) -> Any:
        """The node's log, whose lines have events; rclpy's own while the node is being made."""
        return getattr(self, "_log_events", None) or super().get_logger()

    def now_ns(self) -> int:
        """The node's clock (simulated where use_sim_time says so)."""
        return int(self.get_clock().now().nanoseconds)

    def steady_ns(self) -> int:
        """A clock that never jumps, for watchdogs and rates."""
        return time.monotonic_ns()

    def running_ns(self) -> int:
        """As `steady_ns`, for what may be missing: stands still while a simulated clock does."""
        return self.clock_watch.running_ns(self.steady_ns())

    def simulated(self) -> bool:
        """Whether the node's clock is /clock."""
        return bool(self.get_parameter("use_sim_time").value)

    def problem(self, key: str, sentence: str, level: Level = Level.ERROR) -> None:
        """State a problem in force: logged and published at once when it is news."""
        if self.health.problem(key, sentence, level):
            say = self.get_logger().error if level is Level.ERROR else self.get_logger().warning
            say(sentence, key)
            self.tell()

    def solved(self, key: str, sentence: str = "") -> None:
        """The problem of this key is over."""
        was = self.health.solved(key)
        if was is not None:
            self.get_logger().info(sentence or f"solved: {was}", key)
            self.tell()

    def set_problem(self, key: str, sentence: str, level: Level = Level.ERROR) -> None:
        """The problem of this key is in force as long as there is a sentence for it; empty: it is over."""
        if sentence:
            self.problem(key, sentence, level)
        else:
            self.solved(key)

    def dropped(self, topic: str, error: MessageError) -> None:
        """A message from outside was dropped: counted, and said anew every 10 s and for another reason."""
        self.meter.dropped[topic] += 1
        self.health.note_error(str(error))
        key, now = f"drop {topic}", self.steady_ns()
        self._passing_ns[key] = now
        if self._limiter.due(key, now, error.what) or key not in self.health:
            self.problem(key, f"dropped a message of {topic} ({self.meter.dropped[topic]} so far): {error}", Level.WARN)

    def failed(self, error: Exception, where: str = "worker") -> None:
        """Whatever a callback or worker raised: it ends nothing."""
        if isinstance(error, MessageError):
            self.dropped(where, error)
        elif isinstance(error, ReactdiffError):
            self.problem(where, str(error))
        elif self.context.ok():
            sentence = f"internal error in {where}: {type(error).__name__}: {error}"
            self._passing_ns["internal"] = self.steady_ns()
            self.health.problem("internal", sentence, Level.ERROR)
            if self._limiter.due(f"error {where}", self.steady_ns()):
                self.get_logger().error(sentence + "\n" + "".join(traceback.format_exception(error)), "internal")

    def forget_past_errors(self) -> None:
        """Internal errors, dropped messages and wrong stamps that have not come again for a while are over."""
        now = self.steady_ns()
        for key in [key for key, last_ns in list(self._passing_ns.items()) if now - last_ns > PASSING_NS]:
            del self._passing_ns[key]
            self.health.solved(key)

    def check_clock(self, topic: str, stamp_ns: int) -> None:
        """Say so when evidence is stamped far from this node's clock, as when a bag is replayed without its time."""
        now, steady = self.now_ns(), self.steady_ns()
        if now == 0:
            return  # the first /clock is still to come
        sentence = self._stamp_watch.sentence(topic, now - stamp_ns, steady)
        if sentence:
            self._passing_ns[f"clock {topic}"] = steady
            self.problem(f"clock {topic}", sentence, Level.WARN)
