"""The listener's face for other people's avatars: VMC, Live Link Face, ARKit JSON over a websocket, a plain topic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from std_msgs.msg import Header

from reactdiff_ros.avatar.config import OutputsConfig, parse_targets
from reactdiff_ros.avatar.formats import LiveLinkEncoder, VmcEncoder
from reactdiff_ros.avatar.outputs import ArkitServer, Feed, UdpOutput
from reactdiff_ros.avatar.web import EventLoop
from reactdiff_ros.coefficients import NAMES, bounded
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.messages import expression_value, fill_header
from reactdiff_ros.nodes.base import ReactdiffNode, interface
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.types import ExpressionFrame
from reactdiff_ros.worker import Worker

TICK_S = 0.02
RETRY_S = 2.0
WAITING = 10
"""Frames that may wait for one output, 0.2 s; then the oldest is dropped."""
TOPIC = "listener/blendshapes"


class OutputNode(ReactdiffNode):
    """`listener/expression` in, one stream for each target of the parameter `outputs` out."""

    NAME = "output_node"

    def setup(self) -> None:
        """Check the settings and make the publisher."""
        self._config = replace(self.configured(OutputsConfig), targets=parse_targets(str(self.values["outputs"])))
        self._encoders: dict[str, Callable[[], Any]] = {
            "vmc": lambda: VmcEncoder(self._config.vmc_names),
            "live_link": lambda: LiveLinkEncoder(self._config.subject),
        }
        for target in self._config.targets:
            if target.kind in self._encoders:
                self._encoders[target.kind]()  # a missing library is said now
        self._message = interface("reactdiff_ros/msg/Blendshapes", "msg")
        self._publisher = self.advertise(TOPIC)
        self.backend = ",".join(target.kind for target in self._config.targets)

    def start(self) -> None:
        """Open the outputs and subscribe; a port that cannot be had is tried again."""
        self._feed = Feed(self._config.stale_s, self._config.fade_s)
        self._loop: EventLoop | None = None
        self._senders: list[tuple[UdpOutput, Worker]] = []
        self._servers: list[ArkitServer] = []
        self._to_topic = False
        for target in self._config.targets:
            if target.kind == "topic":
                self._to_topic = True
            elif target.kind == "arkit":
                self._servers.append(ArkitServer(target, self._config.origins))
            else:
                output = UdpOutput(target, self._encoders[target.kind]().encode)
                send = partial(self._send, output)
                worker = Worker(f"output {target}", send, {"frame": WAITING}, self.failed)
                self._senders.append((output, self.work(worker)))
        if self._servers:
            self._loop = EventLoop()
        self._serve()
        self.subscribe("listener/expression", self._on_expression)
        self.every(TICK_S, self._tick)
        self.every(RETRY_S, self._serve)

    def stop(self) -> None:
        """Say goodbye to the clients and free the ports."""
        for output, worker in getattr(self, "_senders", []):
            if worker.stop():
                output.close()
        self._senders = []
        loop, self._loop = getattr(self, "_loop", None), None
        if loop is not None:
            try:
                for server in self._servers:
                    loop.call(server.stop())
            finally:
                loop.close()
        self._servers = []

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        urls = [f"arkit at {server.url} ({server.clients} clients)" for server in getattr(self, "_servers", [])]
        sent = [f"{output.target}" for output, _ in getattr(self, "_senders", [])]
        parts = [*sent, *urls, *([TOPIC] if getattr(self, "_to_topic", False) else [])]
        return f"sends to {', '.join(parts)}" if parts else "there is no output: set outputs"

    def settings(self) -> dict[str, Any]:
        """Effective settings."""
        targets = ",".join(str(target) for target in getattr(self, "_config", OutputsConfig()).targets)
        return {"outputs": targets, "vmc_names": self.values["vmc_names"], "subject": self.values["subject"]}

    def observe_health(self) -> None:
        """Say which outputs do not arrive, and when no face comes in."""
        if self.life != "active":
            return
        for output, _ in self._senders:
            key = f"output {output.target}"
            self.set_problem(key, output.problem, Level.WARN)
            self.meter.dropped[str(output.target)] = output.dropped
        for server in self._servers:
            self.meter.dropped[str(server.target)] = server.dropped
            self.set_problem(f"connections {server.target}", server.fault, Level.WARN)
        sentence = "nothing comes on listener/expression: the outputs are neutral; see expression_node"
        self.set_problem("input", sentence if self._feed.stale else "", Level.WARN)

    def _serve(self) -> None:
        for server in self._servers:
            if self._loop is None or server.url:
                continue
            key = f"server {server.target}"
            try:
                url = self._loop.call(server.start())
            except DeviceError as error:
                self.problem(key, str(error))
                continue
            self.solved(key)
            self.get_logger().info(f"arkit at {url}")

    def _on_expression(self, message: Any) -> None:
        frame = expression_value(message)
        if not self._feed.take(frame, self.running_ns()):
            self.meter.dropped["listener/expression (late)"] += 1
            return
        self._give(frame)

    def _tick(self) -> None:
        frame = self._feed.substitute(self.running_ns(), self.now_ns())
        if frame is not None:
            self._give(frame)

    def _give(self, frame: ExpressionFrame) -> None:
        for _, worker in self._senders:
            worker.put("frame", frame)
        for server in self._servers:
            server.show(frame)
        if self._to_topic:
            values = [float(value) for value in bounded(frame.coefficients)]
            header = fill_header(Header(), frame.stamp_ns)
            self.publish(self._publisher, self._message(header=header, names=NAMES, values=values))
        self.counted(frame.stamp_ns)

    def _send(self, output: UdpOutput, _kind: str, frame: ExpressionFrame) -> None:
        output.send(frame, self.steady_ns())


def main() -> int:
    """Run the node."""
    return run(OutputNode)
