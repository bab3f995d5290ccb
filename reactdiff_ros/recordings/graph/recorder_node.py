"""Records the session as a bag, pictures and sound only with the person's consent; `bag record` and `bag mark`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import yaml
from rcl_interfaces.srv import GetParameters
from rclpy.duration import Duration
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from std_msgs.msg import String

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.launching.condition import recorded, sealed
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.msg import ListenerStatus
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.nodes.small_node import small_node
from reactdiff_ros.recordings.bags.storage import Event, Study
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.resources import missing_extra
from reactdiff_ros.settings import written_path

# ---- Messages on their way to a bag


LOOK_S = 1.0
"""How often the free space is looked at."""
MB = 1_000_000


class Recording:
    """A queue bounded in bytes, and a thread that writes it until `close`, an error, or a nearly full disk.

    `put` never waits for the disk: what the disk cannot keep up with is dropped and counted.

    Args:
        write: writes one serialized message (topic, stamp in ns, bytes); called by the thread alone.
        finish: completes the bag; likewise.
        folder: a folder on the disk in question.
        queue_bytes: what may wait; the newest beyond it is dropped, so that the bag has one gap and no holes.
        keep_free_bytes: the recording ends before the disk has less.
        on_end: called once, from the thread, with the reason why it ended by itself.
    """

    def __init__(
        self,
        write: Callable[[str, int, bytes], None],
        finish: Callable[[], None],
        folder: Path,
        queue_bytes: int,
        keep_free_bytes: int,
        on_end: Callable[[str], None],
    ) -> None:
        self._write, self._finish, self._folder, self._on_end = write, finish, folder, on_end
        self._limit, self._keep_free = queue_bytes, keep_free_bytes
        self._items: SimpleQueue[tuple[str, int, bytes] | None] = SimpleQueue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._closing = False
        self._looked_s = float("-inf")
        self.written: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.ended = ""
        """Why it ended by itself; empty while it goes on."""
        self._thread = threading.Thread(target=self._run, name="bag", daemon=True)
        self._thread.start()

    @property
    def going_on(self) -> bool:
        """Messages are still written."""
        return not self._closing and not self.ended

    def put(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Queue a message; never waits. Dropped and counted when too much waits."""
        with self._lock:
            if self._closing or self.ended:
                return
            if self._waiting_bytes and self._waiting_bytes + len(data) > self._limit:
                self.dropped[topic] += 1
                return
            self._items.put((topic, stamp_ns, data))
            self._waiting_bytes += len(data)

    def close(self, timeout_s: float) -> bool:
        """Write what waits and complete the bag. False when that took longer than `timeout_s`; it goes on then."""
        with self._lock:
            self._closing = True
            self._items.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        for work in (self._write_all, self._finish):
            try:
                work()
            except Exception as error:
                self._end(error)

    def _write_all(self) -> None:
        for topic, stamp_ns, data in iter(self._items.get, None):
            with self._lock:
                self._waiting_bytes -= len(data)
            self._check_space()
            self._write(topic, stamp_ns, data)
            self.written[topic] += 1

    def _check_space(self) -> None:
        now = time.monotonic()
        if now - self._looked_s < LOOK_S:
            return
        self._looked_s = now
        with suppress(FileNotFoundError):
            free = shutil.disk_usage(self._folder).free
            if free < self._keep_free:
                what = f"recording stopped: the disk is nearly full ({free // MB} MB left)"
                todo = "free some space and restart the recording"
                raise ReactdiffError(what, where=os.fspath(self._folder), todo=todo)

    def _end(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        sentence = f"recording stopped: the bag cannot be written ({self._folder}): {reason}"
        sentence = str(error) if isinstance(error, ReactdiffError) else sentence
        if not self.ended:
            self.ended = sentence
            self._on_end(sentence)


_IMAGES = {"compressed": "camera/image_raw/compressed", "raw": "camera/image_raw"}
_AUDIO, _STATUS, MARKER = "audio", "listener/status", "study/marker"
PERSONAL = (*_IMAGES.values(), "camera/camera_info", _AUDIO)
"""What is recorded only with consent."""
CLOSE_S = 1.2
"""The supervisor ends a node hard 1.5 s after asking it to stop."""
FOLDER = "~/reactdiff_recordings"


class RecorderNode(ReactdiffNode):
    """Writes what its topics carry, as it was serialized, stamped with the node's time of receipt."""

    NAME = "recorder_node"

    def setup(self) -> None:
        """Settle session and place."""
        self._session = str(self.values["session"]).strip() or time.strftime("%Y%m%d-%H%M%S")
        self._consent = str(self.values["consent"]).strip()
        output = str(self.values["output"]).strip()
        self._wanted = written_path(output or f"{FOLDER}/{file_name(self._session)}").absolute()
        self._recording: Recording | None = None
        self._path = self._wanted
        self.backend = "mcap"

    def start(self) -> None:
        """Open the bag and subscribe."""
        self._path = free_path(self._wanted)
        self._dropped = Counter[str]()
        self._parameters: dict[str, Any] = {f"{self.NAME}.{n}": v for n, v in self.values.items()}
        self._told, self._askers = {self.NAME}, dict[str, Any]()
        self._weights = ""
        self._sealed: dict[str, str] = {}
        self._events: list[Event] = []
        kinds = {self.resolve_topic_name(t.name): t.type for t in self.spec.subscribers}
        try:
            writer = BagWriter(self._path, keep_partial=True)
        except ModuleNotFoundError as error:
            raise missing_extra(error) from error

        def finish() -> None:
            writer.study = self._study()
            writer.close()

        self._recording = Recording(
            lambda topic, stamp_ns, data: writer.raw(topic, kinds[topic], stamp_ns, data),
            finish,
            self._path.parent,
            int(self.values["queue_mb"]) * MB,
            int(self.values["keep_free_mb"]) * MB,
            partial(self.problem, "recording"),
        )
        for topic in self.spec.subscribers:
            if self._may_record(topic.name):
                self.subscribe(topic.name, partial(self._on_message, topic.name), raw=True)
        self.get_logger().info(self.fine())

    def stop(self) -> None:
        """Complete the bag."""
        for client in getattr(self, "_askers", {}).values():
            self.destroy_client(client)
        recording, self._recording = getattr(self, "_recording", None), None
        if recording is not None and not recording.close(CLOSE_S):
            self.get_logger().error(f"{self._path} could not be completed in time: the disk is too slow")

    def fine(self) -> str:
        """The diagnostics message while all is well."""
        if self._consent:
            return f"recording to {self._path}, with pictures and sound"
        return f"recording to {self._path}, without pictures and sound: no consent was given"

    def settings(self) -> dict[str, Any]:
        """What is recorded where, messages by topic; `recording` is the text that people see."""
        recording = getattr(self, "_recording", None)
        if recording is None or not recording.going_on:
            return {"recording": ""}
        what = "recording, with pictures and sound" if self._consent else "recording, without pictures and sound"
        written = dict(recording.written)  # a copy: the thread goes on
        return {"recording": what, "bag": self._path, "session": self._session, "messages": by_topic(written)}

    def observe_health(self) -> None:
        """Report messages that were dropped because the disk is too slow."""
        recording = self._recording
        if recording is None:
            return
        new = recording.dropped - self._dropped
        self._dropped += new
        self.meter.dropped.update(new)
        sentence = f"the disk is too slow: {self._dropped.total()} messages were not recorded"
        self.set_problem("slow", sentence if new else "", Level.WARN)

    def summary(self, recording: Recording) -> dict[str, Any]:
        """What was recorded, for JSON."""
        return {
            "bag": str(self._path),
            "session": self._session,
            "consent": bool(self._consent),
            "messages": dict(sorted(recording.written.items())),
            "dropped": recording.dropped.total(),
            "events": len(self._events),
        }

    def _may_record(self, topic: str) -> bool:
        if topic in _IMAGES.values() and topic != _IMAGES[str(self.values["image_transport"])]:
            return False
        return bool(self._consent) or topic not in PERSONAL

    def _on_message(self, topic: str, data: bytes) -> None:
        now, recording = self.now_ns(), self._recording
        if now == 0 or recording is None:
            return
        recording.put(self.resolve_topic_name(topic), now, data)
        self.meter.output(self.steady_ns())
        if topic == _STATUS:
            self._on_status(deserialize_message(data, ListenerStatus))
        elif topic == MARKER:
            text = deserialize_message(data, String).data
            self._events.append(Event(now, text))
            self.get_logger().info(f"marked: {text}")

    def _on_status(self, status: Any) -> None:
        if status.stage == "reaction_node" and "@" in status.backend:
            self._weights = status.backend.rpartition("@")[2]
        if status.stage == "reaction_node":
            self._sealed = self._sealed or sealed(status.settings)
        specs = {node.name: node.parameters for node in load_table().nodes}
        if status.stage in specs and status.stage not in self._told:
            self._ask(status.stage, [p.name for p in specs[status.stage]])

    def _ask(self, name: str, parameters: list[str]) -> None:
        """Ask a node for its parameters, once it can be asked; this is called at its every status until then."""
        if name not in self._askers:
            self._askers[name] = self.create_client(GetParameters, f"{name}/get_parameters")
        if not self._askers[name].service_is_ready():
            return
        self._told.add(name)

        def answered(future: Any) -> None:
            values = () if future.exception() else future.result().values
            for parameter, value in zip(parameters, values, strict=False):
                self._parameters[f"{name}.{parameter}"] = parameter_value_to_python(value)

        self._askers[name].call_async(GetParameters.Request(names=parameters)).add_done_callback(answered)

    def _study(self) -> Study:
        """The study metadata for the bag, as known now."""
        seed = self._parameters.get("reaction_node.seed")
        seal = self._sealed.get("seal", "")
        return Study(
            session_id=self._sealed.get("session", self._session),
            consent=True if self._consent else None,
            parameters=recorded(self._parameters) if seal else dict(self._parameters),
            weights=self._weights,
            seed=None if seed is None else int(seed),
            events=tuple(self._events),
            study=self._sealed.get("study", ""),
            seal=seal,
        )


def by_topic(messages: Mapping[str, int]) -> str:
    """How many messages of each topic, as text."""
    return ", ".join(f"{topic} {count}" for topic, count in sorted(messages.items()))


def file_name(session: str) -> str:
    """A session's id as the name of a folder."""
    return re.sub(r"[^\w.\-]+", "_", session).strip("._") or "session"


def free_path(wanted: Path) -> Path:
    """`wanted`, or NAME-2, NAME-3 ... where that is there already: nothing is ever overwritten.

    Raises:
        ConfigError: no folder can have this name.
    """
    path, number = wanted, 1
    try:
        while path.exists() or path.with_name(path.name + ".partial").exists():
            number += 1
            path = wanted.with_name(f"{wanted.name}-{number}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"nothing can be recorded there ({reason})", where=f"{wanted!s:.80}") from error
    return path


def main() -> int:
    """Run the node."""
    return run(RecorderNode)


# ---- The commands: `bag record`, which ends with its recorder, and `bag mark`


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
        lines: list[str] = []
        arguments = ["--ros-args", "-r", f"__ns:={namespace or '/'}", "--params-file", str(file)]
        code = run(RecorderCommand, arguments, say=lines.append)
    node = RecorderCommand.begun
    if code or not isinstance(node, RecorderCommand) or node.outcome is None:
        raise ReactdiffError((lines or ["the recorder could not start"])[0])
    if node.outcome.ended:
        raise ReactdiffError(node.outcome.ended)
    return node.summary(node.outcome)


def send_mark(text: str, *, namespace: str, wait_s: float) -> None:
    """Publish `text` on study/marker and wait until it has arrived. Raises ReactdiffError: no recorder runs."""
    with small_node("reactdiff_mark", namespace) as node:
        publisher = node.create_publisher(String, "study/marker", QoSProfile(depth=10))
        end = time.monotonic() + wait_s
        while not publisher.get_subscription_count():
            if time.monotonic() > end:
                todo = "start with record:=true, or run 'reactdiff bag record'"
                raise ReactdiffError("no recorder runs", where=f"namespace {namespace or '/'}", todo=todo)
            time.sleep(0.02)
        publisher.publish(String(data=text))
        if not publisher.wait_for_all_acked(Duration(seconds=wait_s)):
            raise ReactdiffError("the recorder did not take the mark", todo="is it overloaded? Mark it again")
