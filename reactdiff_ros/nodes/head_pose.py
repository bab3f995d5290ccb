"""The robot's head as a geometry_msgs/PoseStamped, and what publishes it for a robot whose profile has a head.

Frame and rotation are REP-103's: x forward, y to its left, z up, Rz(yaw) Ry(pitch) Rx(roll); zero with the head at
rest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header

from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill_header
from reactdiff_ros.messages import head_pose_value as head_pose_value
from reactdiff_ros.types import HeadPose

if TYPE_CHECKING:
    from reactdiff_ros.actuation.actuation import Status
    from reactdiff_ros.actuation.hardware import Hardware
    from reactdiff_ros.actuation.profile import Profile

FRAME: Final = "listener_head_rest"


def head_pose_message(head: HeadPose) -> PoseStamped:
    """HeadPose to PoseStamped."""
    pitch, yaw, roll, left, up, forward = (float(v) for v in head.pose)
    (cp, sp), (cy, sy), (cr, sr) = ((math.cos(a / 2), math.sin(a / 2)) for a in (pitch, yaw, roll))
    message = PoseStamped(header=fill_header(Header(), head.stamp_ns, FRAME))
    p, q = message.pose.position, message.pose.orientation
    p.x, p.y, p.z = forward, left, up
    q.w, q.x = cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy
    q.y, q.z = cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy
    return message


class HeadPosePublisher:
    """Says where the head is, where the profile has one and anybody knows.

    Args:
        node: a node of the table that publishes `actuator/head_pose`; make it in `setup`.
        profile: the robot.
    """

    def __init__(self, node: Any, profile: Profile) -> None:
        self._node = node
        from reactdiff_ros.actuation.mapping import HeadReader

        self._reader = HeadReader(profile) if profile.head is not None else None
        self._publisher = node.advertise("actuator/head_pose")
        self._last_s = -math.inf

    def publish(self, status: Status, hardware: Hardware, now_ns: int, steady_s: float) -> None:
        """After a tick; `now_ns` of the node's clock is `steady_s` of the drivers'. Nothing when nothing is new.

        What cannot be measured is where it was told to be, as long as it has torque.
        """
        if self._reader is None:
            return
        measured = hardware.measured()
        told = zip(status.commands.position, status.commands.torque, strict=True)
        pose = self._reader.pose(measured, [position if torque else math.nan for position, torque in told])
        if pose is None:
            return
        readings = [hardware.reading(joint) for joint in self._reader.joints]
        times = [r.time_s for r in readings if r is not None and r.position is not None]
        time_s = sum(times) / len(times) if times else status.time_s
        if time_s <= self._last_s:
            return
        self._last_s = time_s
        stamp_ns = now_ns - round((steady_s - time_s) * NS)
        self._node.publish(self._publisher, head_pose_message(HeadPose(stamp_ns, pose.astype(np.float32))))
