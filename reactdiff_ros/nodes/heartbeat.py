"""What a node says of itself once a second and at every change: ListenerStatus, and diagnostics as its heartbeat.

Whoever finds the node in its first seconds, as a supervisor does, hears it at once: he has missed what was said before.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from .. import msg
from ..clock import NS
from .convert import header
from .health import CLOCK, Level

if TYPE_CHECKING:
    from .base import ReactdiffNode

STUCK_WARN_S = 2.0
STUCK_SILENT_S = 5.0
"""A worker that is stuck for so long takes the heartbeat away, so that the supervisor starts the node again."""
TWIN_S = 30.0
"""How long a second node of the same name must be seen: that of a killed process lingers for DDS's lease of 20 s."""

RATE_NS = 5 * NS
"""The rate of outputs is judged over this time."""
SLOW, RECOVERED = 0.45, 0.55
"""Shares of the nominal rate below which a node is slow, and from which it is not; webcams halve it in dim light."""
GREET_S = 0.1
"""So often a new node looks whether somebody has found it."""
GREETINGS = 50
"""So many times it looks."""


class Heartbeat:
    """Publishes `listener/status` and `/diagnostics` of a node."""

    def __init__(self, node: ReactdiffNode) -> None:
        self._node = node
        qos = node.qos["reliable"]
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", qos)
        self._status = node.create_publisher(msg.ListenerStatus, "listener/status", qos)
        self._twin_since_ns: int | None = None
        self._rated_since_ns: int | None = None
        self._found_by = (0, 0)
        self._greetings = GREETINGS
        self._beating_in = 0
        """The thread that looks at the node now: what it finds calls for another beat."""

    def greet(self) -> bool:
        """Beat if somebody new listens; False: it need not be called any more."""
        found_by = (self._diagnostics.get_subscription_count(), self._status.get_subscription_count())
        if any(now > before for now, before in zip(found_by, self._found_by, strict=True)):
            self.beat()
        self._found_by = found_by
        self._greetings -= 1
        return self._greetings > 0

    def beat(self) -> None:
        """Look at the node and publish. What it finds while it looks is in the same beat."""
        if self._beating_in == threading.get_ident():
            return
        self._beating_in = threading.get_ident()
        try:
            self._beat()
        finally:
            self._beating_in = 0

    def _beat(self) -> None:
        if self._stuck():
            return
        node = self._node
        self._look_for_twin()
        node.clock_watch.look(node.now_ns(), node.steady_ns())
        clock = node.clock_watch.sentence()
        if clock:
            node.problem(CLOCK, clock, Level.WARN)
        else:
            node.solved(CLOCK)
        node.forget_past_errors()
        if node.life == "active":
            node.observe_health()
        self._look_at_rate()
        level, sentence = self.summary()
        dropped = node.meter.dropped + sum((w.dropped for w in node.workers), Counter[str]())
        status = self._status_message(level, sentence, dropped.total())
        self._publish(self._status, status)
        values = {"state": node.life, "rate_hz": f"{status.rate:g}", "dropped": str(status.dropped)}
        values |= node.figures()
        values |= {f"dropped {topic}": str(n) for topic, n in dropped.items()}
        diagnostic = DiagnosticStatus(
            level=bytes([level]),
            name=node.get_fully_qualified_name().lstrip("/"),
            hardware_id=node.hardware_id(),
            message=sentence,
            values=[KeyValue(key=k, value=v) for k, v in values.items()],
        )
        self._publish(self._diagnostics, DiagnosticArray(header=status.header, status=[diagnostic]))

    def summary(self) -> tuple[Level, str]:
        """Level and sentence of the node now."""
        node = self._node
        if node.life == "active":
            problem = node.health.summary(node.fine())
            return problem.level, problem.sentence
        problem = node.health.summary("configured, not active" if node.life == "inactive" else "not configured")
        return max(problem.level, Level.WARN), problem.sentence

    def _status_message(self, level: Level, sentence: str, dropped: int) -> msg.ListenerStatus:
        node, now = self._node, self._node.steady_ns()
        p50, p99 = node.meter.latency_ms(now)
        return msg.ListenerStatus(
            header=header(node.now_ns()),
            stage=node.NAME,
            level=int(level),
            message=sentence,
            rate=node.meter.rate_hz(now),
            latency_p50=p50,
            latency_p99=p99,
            dropped=dropped,
            settings=[f"{n}={v}" for n, v in node.settings().items()],
            backend=node.backend,
            last_error=node.health.last_error,
        )

    def _stuck(self) -> bool:
        node = self._node
        stuck_s = max((w.busy_s() for w in node.workers), default=0.0)
        if stuck_s > STUCK_WARN_S:
            sentence = f"{node.NAME} has worked on one input for {stuck_s:.0f} s"
            if node.health.problem("stuck", sentence, Level.ERROR):
                node.get_logger().error(sentence)
        else:
            node.health.solved("stuck")
        return stuck_s > STUCK_SILENT_S

    def _look_at_rate(self) -> None:
        node, now = self._node, self._node.steady_ns()
        nominal_hz = node.nominal_hz() if node.life == "active" else 0.0
        if nominal_hz <= 0.0:
            self._rated_since_ns = None
        elif self._rated_since_ns is None:
            self._rated_since_ns = now
        rated = self._rated_since_ns is not None and now - self._rated_since_ns >= RATE_NS
        enough = (RECOVERED if "rate" in node.health else SLOW) * nominal_hz
        node.set_problem("rate", node.SLOW if rated and node.meter.rate_hz(now, RATE_NS) < enough else "", Level.WARN)

    def _look_for_twin(self) -> None:
        node = self._node
        own = (node.get_name(), node.get_namespace())
        twins = sum(found == own for found in node.get_node_names_and_namespaces())
        now = node.steady_ns()
        if twins < 2:
            self._twin_since_ns = None
            node.solved("twin")
        elif self._twin_since_ns is None:
            self._twin_since_ns = now
        elif now - self._twin_since_ns > TWIN_S * NS and "twin" not in node.health:
            name = node.get_fully_qualified_name()
            node.problem("twin", f"another node is called {name}: stop it or use another namespace")

    def _publish(self, publisher: object, message: object) -> None:
        """In any state of the lifecycle; when ROS is being shut down meanwhile, nothing."""
        try:
            publisher.publish(message)  # type: ignore[attr-defined]
        except Exception:
            if self._node.context.ok():
                raise
