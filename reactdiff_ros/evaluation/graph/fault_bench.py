"""The fault harness's place in the graph: it hears the face, stands between the devices and perception, and can shout.

It runs inside `GraphWatch.spin`, in the process of the harness.
"""

from __future__ import annotations

import array
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage

from reactdiff_ros import messages, msg
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.evaluation.faults.account import Said, Shown, Trace
from reactdiff_ros.evaluation.faults.inputs import PictureFault, SoundFault
from reactdiff_ros.evaluation.faults.servos import Moved
from reactdiff_ros.evaluation.graph.fault_clock import BagClock
from reactdiff_ros.evaluation.graph.graph_robot import ask_to_reset
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.messages import fill_audio, fill_stamp, from_stamp, sound_value
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
from reactdiff_ros.nodes.base import qos_profile
from reactdiff_ros.nodes.graph_watch import GraphWatch, published_ns
from reactdiff_ros.types import ListenerControl as ControlValue

PICTURE, SOUND = "camera/image_raw/compressed", "audio"
BEFORE = "fault_bench"
"""The devices publish below this name; the harness passes on to perception what it lets through."""
REMAPS = tuple(f"{topic}:={BEFORE}/{topic}" for topic in (PICTURE, SOUND))
"""For whatever stands for the devices."""
STAGES = {"speaker/frame": SpeakerFrame, "listener/reaction": Reaction, "actuator/state": ActuatorState}
SHOUTS = {
    "speaker/frame": SpeakerFrame,
    "listener/reaction": Reaction,
    "gaze_target": PointStamped,
    "listener/control": ListenerControl,
    "listener/gesture": Gesture,
}
"""Topics of numbers, which anybody on the network can publish on."""


class FaultBench:
    """Records into `trace` and relays pictures and sound while `watch` spins.

    Args:
        watch: in the graph.
        clock: whether the graph follows /clock, which then comes from here, as from a bag that is played.
    """

    def __init__(self, watch: GraphWatch, *, clock: bool = False) -> None:
        self.trace = Trace(stages={topic: [] for topic in STAGES})
        self.picture_fault: PictureFault | None = None
        self.sound_fault: SoundFault | None = None
        self._watch, self._node = watch, watch.node
        self._qos = qos = {name: qos_profile(spec) for name, spec in load_table().qos.items()}
        reliable = QoSProfile(depth=200)
        watch.tap(ExpressionFrame, "listener/expression", self._on_expression, reliable)
        watch.tap(ListenerStatus, "listener/status", self._on_status, reliable)
        for topic, kind in STAGES.items():
            watch.tap(kind, topic, self._stage(topic), reliable, raw=True)
        watch.tap(ActuatorState, "actuator/state", self._on_robot, reliable)
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

    def shout(self, topic: str, value: float) -> None:
        """Publish a message of this topic in which every floating-point number is `value`, stamped now."""
        message = filled(SHOUTS[topic], value)
        if hasattr(message, "header"):
            message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher(topic).publish(message)

    def control(self, values: Mapping[str, float], style: str = "") -> None:
        """Publish a control of these values."""
        message = ListenerControl()
        messages.fill_control(message, ControlValue(**values, style=style))
        self._publisher("listener/control").publish(message)

    def reset_robot(self, seconds: float) -> str:
        """Clear a stop of the robot, as a person would who has seen why; what the actuator answers.

        Raises:
            ReactdiffError: it refuses, or does not answer within `seconds`.
        """
        return ask_to_reset(self._watch, seconds)

    def hush(self) -> None:
        """Take the publishers of `shout` and `control` away."""
        for publisher in self._shouts.values():
            self._node.destroy_publisher(publisher)
        self._shouts.clear()

    def forget(self, before_ns: int) -> None:
        """Forget what was recorded before."""
        self.trace = self.trace.since(before_ns)

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

    def _on_robot(self, message: Any, _info: dict[str, Any]) -> None:
        command = np.asarray(message.command, dtype=np.float32)
        stamp = from_stamp(message.header.stamp)
        whole = not any(message.joint_fault)
        self.trace.moved.append(Moved(stamp, message.state, command, float(message.return_began), whole))

    def _on_status(self, message: Any, info: dict[str, Any]) -> None:
        self.trace.said.append(Said(published_ns(info), message.stage, int(message.level), message.message))

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
            self._sounds.publish(fill_audio(msg.AudioChunk(), passed, message.header.frame_id))

    def _played(self, stamp_ns: int) -> int:
        """A device's stamp as the bag tells it."""
        return stamp_ns if self.clock is None else self.clock.simulated(stamp_ns)

    def _paused(self) -> bool:
        return self.clock is not None and self.clock.stands


def filled(kind: Any, value: float) -> Any:
    """A message with `value` in every floating-point field, arrays and messages in it included."""
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
            setattr(message, name, True)  # what is told to be observed is looked at
    if kind is Reaction:
        message.horizon, message.commit, message.frame_rate = 16, 4, 25.0
        message.coefficients = array.array("f", [value] * (16 * COEFFICIENT_COUNT))
    return message
