"""Writes down when the graph's messages were published and what evidence they carry: the live bench's ear."""

from __future__ import annotations

import struct
from typing import Any

from geometry_msgs.msg import PointStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage

from reactdiff_ros.clock import NS
from reactdiff_ros.evaluation.bench.live import EXPRESSION, PICTURES, REACTION, SPEAKER, Recording
from reactdiff_ros.msg import AudioChunk, ExpressionFrame, Reaction, SpeakerFrame
from reactdiff_ros.nodes.graph_watch import GraphWatch, published_ns


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * NS + int(stamp.nanosec)


def header_stamp_ns(serialized: bytes) -> int:
    """The stamp of a serialized message that begins with a header: 4 bytes of CDR encapsulation, then sec and nanosec.

    Reading a picture's stamp this way costs nothing, where decoding the message would cost the machine under test.
    """
    order = "<" if serialized[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(order + "iI", serialized, 4)
    return int(sec) * NS + int(nanosec)


class GraphRecorder:
    """Records into `recording` while `watch` spins."""

    def __init__(self, watch: GraphWatch) -> None:
        self.recording = Recording()
        self.face_seen = False
        best_effort = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
        reliable = QoSProfile(depth=200)
        watch.tap(CompressedImage, PICTURES, self._picture, best_effort, raw=True)
        watch.tap(AudioChunk, "audio", self._sound, best_effort, raw=True)
        watch.tap(PointStamped, "gaze_target", self._gaze, reliable, raw=True)
        watch.tap(SpeakerFrame, SPEAKER, self._speaker, reliable)
        watch.tap(Reaction, REACTION, self._reaction, reliable)
        watch.tap(ExpressionFrame, EXPRESSION, self._expression, reliable)

    def _count(self, topic: str, info: dict[str, Any]) -> int:
        when = published_ns(info)
        self.recording.published[topic].append(when)
        return when

    def _picture(self, message: bytes, info: dict[str, Any]) -> None:
        self.recording.pictures.append((self._count(PICTURES, info), header_stamp_ns(message)))

    def _sound(self, message: bytes, info: dict[str, Any]) -> None:
        self._count("audio", info)

    def _gaze(self, message: bytes, info: dict[str, Any]) -> None:
        self._count("gaze_target", info)

    def _speaker(self, message: Any, info: dict[str, Any]) -> None:
        self.face_seen = self.face_seen or bool(message.face_present)
        self.recording.speaker.append((self._count(SPEAKER, info), _ns(message.picture_stamp)))

    def _reaction(self, message: Any, info: dict[str, Any]) -> None:
        self.recording.reactions.append((self._count(REACTION, info), _ns(message.picture_stamp)))

    def _expression(self, message: Any, info: dict[str, Any]) -> None:
        stamps = (_ns(message.picture_stamp), _ns(message.reaction_picture_stamp))
        self.recording.expressions.append((self._count(EXPRESSION, info), *stamps))
