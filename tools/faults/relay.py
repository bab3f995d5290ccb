"""The fault harness inside the graph: it records the face, relays the devices to perception, and can publish anything.

It runs inside `GraphWatch.spin`, in the process of the harness.
"""

from __future__ import annotations

import array
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from reactdiff_ros.msg import (
    ActuatorState,
    AudioChunk,
    ExpressionFrame,
    Gesture,
    ListenerControl,
    ListenerStatus,
    Reaction,
    SpeakerFrame,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.messages import fill_audio, fill_control, fill_stamp, from_stamp, sound_value
from reactdiff_ros.nodes.base import qos_profile
from reactdiff_ros.nodes.graph_watch import GraphWatch, published_ns
from reactdiff_ros.types import ListenerControl as ControlValue
from tools.faults.account import Report, Shown, Trace
from tools.faults.inputs import PictureFault, SoundFault
from tools.faults.lab import repeated

PICTURE, SOUND = "camera/image_raw/compressed", "audio"
BEFORE: Final = "fault_bench"
"""The devices publish below this name; the harness passes on to perception what it lets through."""
REMAPS: Final = tuple(f"{topic}:={BEFORE}/{topic}" for topic in (PICTURE, SOUND))
"""For the node that replaces the devices."""
STAGES: Final = {"speaker/frame": SpeakerFrame, "listener/reaction": Reaction, "actuator/state": ActuatorState}
SHOUTS: Final = {
    "speaker/frame": SpeakerFrame, "listener/reaction": Reaction, "gaze_target": PointStamped,
    "listener/control": ListenerControl, "listener/gesture": Gesture,
}  # fmt: skip
"""Topics of numbers, on which any program on the network can publish."""
CLOCK_S: Final = 0.005


class BagClock:
    """Simulated time as of a bag that is played: runs, stops, and jumps back where the bag loops.

    Publishes /clock on `node` from a thread.
    """

    def __init__(self, node: Any) -> None:
        self._publisher = node.create_publisher(Clock, "/clock", QoSProfile(depth=10))
        self._ahead_ns = 0
        self._paused_ns: int | None = None
        self.close = repeated(self._publish, CLOCK_S)

    @property
    def paused(self) -> bool:
        """Whether the bag is paused."""
        return self._paused_ns is not None

    def now_ns(self) -> int:
        """Simulated time."""
        paused_ns = self._paused_ns
        return time.time_ns() + self._ahead_ns if paused_ns is None else paused_ns

    def of_machine(self, stamp_ns: int) -> int:
        """A simulated time on the machine's clock, by their present offset; 0 stays 0: none."""
        if not stamp_ns:
            return 0
        paused_ns = self._paused_ns
        return stamp_ns - self._ahead_ns if paused_ns is None else stamp_ns + time.time_ns() - paused_ns

    def simulated(self, stamp_ns: int) -> int:
        """A time of the machine's clock, in simulated time."""
        return stamp_ns + self._ahead_ns

    def pause(self) -> None:
        """Stop the time."""
        self._paused_ns = self.now_ns()

    def resume(self) -> None:
        """Continue from where it stopped."""
        assert self._paused_ns is not None
        self._ahead_ns = self._paused_ns - time.time_ns()
        self._paused_ns = None

    def jump(self, seconds: float) -> None:
        """Forward, or back."""
        self._ahead_ns += round(seconds * NS)

    def _publish(self) -> None:
        if not self.paused:
            self._publisher.publish(Clock(clock=fill_stamp(Time(), self.now_ns())))


class Relay:
    """Records into `trace` and relays pictures and sound while `watch` spins.

    Args:
        watch: in the graph.
        clock: whether the graph follows /clock, which is then published from here.
    """

    def __init__(self, watch: GraphWatch, *, clock: bool = False) -> None:
        self.trace = Trace(stages={topic: [] for topic in STAGES})
        self.picture_fault: PictureFault | None = None
        self.sound_fault: SoundFault | None = None
        self._node = watch.node
        self._qos = qos = {name: qos_profile(spec) for name, spec in load_table().qos.items()}
        reliable = QoSProfile(depth=200)
        watch.tap(ExpressionFrame, "listener/expression", self._on_expression, reliable)
        watch.tap(ListenerStatus, "listener/status", self._on_status, reliable)
        for topic, kind in STAGES.items():
            watch.tap(kind, topic, self._stage(topic), reliable, raw=True)
        self._pictures = self._node.create_publisher(CompressedImage, PICTURE, qos["sensor"])
        self._sounds = self._node.create_publisher(AudioChunk, SOUND, qos["audio"])
        watch.tap(CompressedImage, f"{BEFORE}/{PICTURE}", self._on_picture, qos["sensor"], raw=True)
        watch.tap(AudioChunk, f"{BEFORE}/{SOUND}", self._on_sound, qos["audio"], raw=True)
        self._shouts: dict[str, Any] = {}
        self.clock = BagClock(self._node) if clock else None

    def close(self) -> None:
        """End the clock."""
        if self.clock is not None:
            self.clock.close()

    def shout(self, value: float) -> None:
        """Publish a message on every topic of numbers with `value` in every floating-point field, stamped now."""
        for topic, kind in SHOUTS.items():
            message = filled(kind, value)
            if hasattr(message, "header"):
                message.header.stamp = self._node.get_clock().now().to_msg()
            self._publisher(topic).publish(message)

    def control(self, values: Mapping[str, float], style: str = "") -> None:
        """Publish a control with these values."""
        message = fill_control(ListenerControl(), ControlValue(**values, style=style))
        self._publisher("listener/control").publish(message)

    def hush(self) -> None:
        """Remove the publishers of `shout` and `control`."""
        for publisher in self._shouts.values():
            self._node.destroy_publisher(publisher)
        self._shouts.clear()

    def _publisher(self, topic: str) -> Any:
        if topic not in self._shouts:
            durability = "latched" if topic == "listener/control" else "reliable"
            self._shouts[topic] = self._node.create_publisher(SHOUTS[topic], topic, self._qos[durability])
        return self._shouts[topic]

    def _stage(self, topic: str) -> Any:
        return lambda message, info: self.trace.stages[topic].append(published_ns(info))

    def _on_expression(self, message: Any, info: dict[str, Any]) -> None:
        plan = from_stamp(message.reaction_picture_stamp)
        plan = plan if self.clock is None else self.clock.of_machine(plan)
        self.trace.frames.append(Shown(published_ns(info), message.mode, message.coefficients.copy(), plan))

    def _on_status(self, message: Any, info: dict[str, Any]) -> None:
        self.trace.reports.append(Report(published_ns(info), message.stage, int(message.level), message.message))

    def _on_picture(self, serialized: bytes, _info: dict[str, Any]) -> None:
        if self.picture_fault is None and self.clock is None:
            self._pictures.publish(serialized)
            return
        message = deserialize_message(serialized, CompressedImage)
        stamp_ns, jpeg = self._played(from_stamp(message.header.stamp)), bytes(message.data)
        passed = (stamp_ns, jpeg) if self.picture_fault is None else self.picture_fault(stamp_ns, jpeg)
        if passed is not None and not self._paused():
            message.header.stamp = fill_stamp(Time(), passed[0])
            message.data = array.array("B", passed[1])
            self._pictures.publish(message)

    def _on_sound(self, serialized: bytes, _info: dict[str, Any]) -> None:
        if self.sound_fault is None and self.clock is None:
            self._sounds.publish(serialized)
            return
        message = deserialize_message(serialized, AudioChunk)
        sound = sound_value(message)
        sound = replace(sound, stamp_ns=self._played(sound.stamp_ns))
        passed = sound if self.sound_fault is None else self.sound_fault(sound)
        if passed is not None and not self._paused():
            self._sounds.publish(fill_audio(AudioChunk(), passed, message.header.frame_id))

    def _played(self, stamp_ns: int) -> int:
        """A device's stamp in the time of the bag."""
        return stamp_ns if self.clock is None else self.clock.simulated(stamp_ns)

    def _paused(self) -> bool:
        return self.clock is not None and self.clock.paused


def filled(kind: Any, value: float) -> Any:
    """A message with `value` in every floating-point field, including those of arrays and nested messages."""
    message = kind()
    for name, type_name in kind.get_fields_and_field_types().items():
        old = getattr(message, name)
        if type_name in ("float", "double"):
            setattr(message, name, value)
        elif type_name.startswith(("float[", "double[")):
            old[:] = value
        elif hasattr(old, "get_fields_and_field_types"):
            setattr(message, name, filled(type(old), value))
        elif isinstance(old, bool):
            setattr(message, name, True)  # only what is observed is read
    if kind is Reaction:
        message.horizon, message.commit, message.frame_rate = 16, 4, 25.0
        message.coefficients = array.array("f", [value] * (16 * COEFFICIENT_COUNT))
    return message
