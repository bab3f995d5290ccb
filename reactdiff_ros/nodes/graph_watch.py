"""How the supervisor hears the nodes: their diagnostics over DDS, and other topics that its owner subscribes to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from reactdiff_ros.launching.live_graph import LiveGraph, NodeReport
from reactdiff_ros.nodes.small_node import small_node


def published_ns(info: dict[str, Any]) -> int:
    """When a message was published, by DDS's source timestamp; where the middleware gives none, the time of receipt."""
    stamp = int(info["source_timestamp"])
    return stamp if stamp > 0 else time.time_ns()


class GraphWatch:
    """A small ROS node in the supervisor's process. Nothing runs but inside `spin`.

    Args:
        namespace: of the nodes to hear, "" or "/name"; other listeners on the same domain are ignored.
        on_report: called in `spin` for every heartbeat.
        domain: ROS domain, None = from the environment.
    """

    def __init__(self, namespace: str, on_report: Callable[[NodeReport], None], domain: int | None = None) -> None:
        self._prefix = f"{namespace}/".lstrip("/")
        self._on_report = on_report
        self._stack = ExitStack()
        self.node = self._stack.enter_context(small_node("reactdiff_supervisor", namespace, domain=domain))
        self._executor = SingleThreadedExecutor(context=self.node.context)
        self._executor.add_node(self.node)
        # Latched, as our nodes publish them: the last report of a node that was found late is not lost.
        qos = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        events = SubscriptionEventCallbacks(use_default_callbacks=False)  # other programs' may be volatile
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, qos, event_callbacks=events)

    def spin(self, seconds: float) -> None:
        """Handle what arrives during the next `seconds` (steady clock)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def tap(self, kind: Any, topic: str, callback: Callable[..., None], qos: QoSProfile, *, raw: bool = False) -> None:
        """Subscribe; `callback(message, info)` gets what `published_ns` takes."""
        # rclpy passes the info only to a callback that cannot be called with the message alone.
        self.node.create_subscription(kind, topic, lambda message, info: callback(message, info), qos, raw=raw)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=0.2)
        self._stack.close()

    def _hear(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name
            if not name.startswith(self._prefix) or "/" in name[len(self._prefix) :]:
                continue
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            values = {v.key: v.value for v in status.values}
            self._on_report(NodeReport(name[len(self._prefix) :], level, status.message, values))


def watch_graph(graph: LiveGraph) -> GraphWatch:
    """Join the DDS domain of `graph` and hear its nodes in every `graph.step`, until the graph is closed."""
    os.environ.update(graph.environment)
    watch = graph.watch = GraphWatch(graph.options.namespace, graph.hear, graph.options.domain)
    return watch
