"""The commands around a recording: `bag record`, which ends with its recorder, and `bag mark`."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.process import use_profile
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.recordings.graph.recorder_node import RecorderNode, Recording


class RecorderCommand(RecorderNode):
    """The recorder node; its process ends with the recording."""

    begun: RecorderNode | None = None
    outcome: Recording | None = None

    def start_by_itself(self) -> None:
        """Configure and activate. Raises ReactdiffError where that is not possible."""
        RecorderCommand.begun = self
        super().start_by_itself()
        if self.life != "active":
            raise ReactdiffError(self.health.last_error)

    def start(self) -> None:
        """Open the bag and subscribe."""
        super().start()
        self.outcome = self._recording

    def observe_health(self) -> None:
        """As the node; a recording that has ended ends the process."""
        super().observe_health()
        if self.outcome is not None and self.outcome.ended:
            signal.raise_signal(signal.SIGTERM)


def record_until_stopped(values: dict[str, str], *, namespace: str, use_sim_time: bool) -> dict[str, Any]:
    """Run the recorder in this process until a signal comes; what was recorded.

    Args:
        values: parameters of the node.
        namespace: "" or "/name".
        use_sim_time: stamps are of /clock.

    Raises:
        ReactdiffError: it could not begin, or the disk ended it.
    """
    given = {**values, "use_sim_time": use_sim_time}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recorder.yaml"
        file.write_text(yaml.safe_dump({f"{namespace}/{RecorderNode.NAME}": {"ros__parameters": given}}))
        said: list[str] = []
        code = run(
            RecorderCommand,
            ["--ros-args", "-r", f"__ns:={namespace or '/'}", "--params-file", str(file)],
            say=said.append,
        )
    node = RecorderCommand.begun
    if code or not isinstance(node, RecorderCommand) or node.outcome is None:
        raise ReactdiffError((said or ["the recorder could not start"])[0])
    if node.outcome.ended:
        raise ReactdiffError(node.outcome.ended)
    return node.summary(node.outcome)


# ---- Marks


def send_mark(text: str, *, namespace: str, wait_s: float) -> None:
    """Publish `text` on study/marker and wait until it has arrived.

    Raises:
        ReactdiffError: no recorder runs.
    """
    use_profile()
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(
        "reactdiff_mark", namespace=namespace or "/", context=context, use_global_arguments=False,
        start_parameter_services=False, enable_rosout=False,
    )  # fmt: skip
    try:
        publisher = node.create_publisher(String, "study/marker", QoSProfile(depth=10))
        end = time.monotonic() + wait_s
        while not publisher.get_subscription_count():
            if time.monotonic() > end:
                raise ReactdiffError(
                    "no recorder runs", where=f"namespace {namespace or '/'}",
                    todo="start with record:=true, or run 'reactdiff bag record'",
                )  # fmt: skip
            time.sleep(0.02)
        publisher.publish(String(data=text))
        if not publisher.wait_for_all_acked(Duration(seconds=wait_s)):
            raise ReactdiffError("the recorder did not take the mark", todo="is it overloaded? Mark it again")
    finally:
        node.destroy_node()
        context.try_shutdown()
