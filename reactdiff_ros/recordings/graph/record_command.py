"""The recorder as a command of its own: what keeps it from recording ends it."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import Any

import yaml

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.recordings.graph.recorder_node import RecorderNode
from reactdiff_ros.recordings.graph.recording import Recording


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
