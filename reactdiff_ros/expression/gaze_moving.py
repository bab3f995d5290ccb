"""Eye contact when camera, head or both move: where a person is in the room, whatever the head did.

    picture, taken at t ── perception ── eyes' place in the camera's frame, stamped t ──┐
                                                                                         ▼
    robot's profile ── camera's mount, pivot of the head ───────────────────────► CameraMount ── place in the face's
                                                                                         ▲       resting axes ──► Gaze
    actuator ── measured pose of the head, stamped ── HeadTrack.at(t) ── pose at t ──────┘
                                                          │
    engine   ── pose that the face shows, every tick ── HeadTrack.lag(): how far the real head is off ──► put_eyes

Pictures come late: the head has moved on since. So poses are kept by their stamps, and a picture is put into the
room with the pose of its own stamp. A camera that stands still needs no pose. A head of which nobody says where it is
counts as one at rest: were it taken to be where the face shows it, a head that does not move would make the face
turn after its own turn, up to its limit. The pose of a head is six numbers in
the order and axes of the coefficients (pitch, yaw, roll in rad, x to its left, y up, z forward in m), zero at rest;
its rotation in REP-103's axes is Rz(yaw) Ry(pitch) Rx(roll).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from typing import Final

import numpy as np

from reactdiff_ros.clock import StampGuard, to_ns
from reactdiff_ros.coefficients import ROTATION, TRANSLATION
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.motion import Array, approach
from reactdiff_ros.types import HeadPose

HISTORY_S: Final = 2.0
FRESH_S: Final = 0.25
"""A head whose last measurement is older than this is not measured any more."""
LAG_S: Final = 0.5
"""Time constant of `HeadTrack.lag`: longer than a nod, so that a head that only comes late is not off."""
NEAREST_M: Final = 0.05
_POSE: Final = slice(ROTATION.start, TRANSLATION.stop)
_LARGEST: Final = np.array([math.pi + 1e-6] * 3 + [2.0] * 3)
"""As a float32, pi is more than pi."""


def check_head_pose(head: HeadPose) -> None:
    """Hold a pose from outside to its contract.

    Raises:
        MessageError: it is not six finite numbers, rotations within pi rad and translations within 2 m.
    """
    pose = np.asarray(head.pose, dtype=np.float64)
    if pose.shape != (6,) or not np.isfinite(pose).all():
        raise MessageError("a pose of the head is not six finite numbers")
    if (np.abs(pose) > _LARGEST).any():
        raise MessageError("a pose of the head is beyond half a turn or 2 m")


def rotation(pitch: float, yaw: float, roll: float) -> Array:
    """Rz(yaw) Ry(pitch) Rx(roll) in REP-103's axes (x forward, y left, z up), (3, 3)."""
    (cp, sp), (cy, sy), (cr, sr) = ((math.cos(a), math.sin(a)) for a in (pitch, yaw, roll))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


class CameraMount:
    """Places in a camera's optical frame (x right, y down, z forward) as places in the face's resting axes.

    Those are x to its own right, y down, z forward, m, from the middle of the eyes of a head at rest.
    """

    def __init__(self, config: ExpressionConfig) -> None:
        self._turn = rotation(config.camera_pitch_rad, config.camera_yaw_rad, config.camera_roll_rad)
        # The vector from the pivot to the eyes, and on to the camera, forward, left, up.
        self._eyes = np.array([-config.head_pivot_z_m, config.head_pivot_x_m, config.head_pivot_y_m])
        self._camera = self._eyes + np.array([config.camera_z_m, -config.camera_x_m, -config.camera_y_m])

    def at_rest(self, position_m: Array, pose: Array) -> Array:
        """A place (3,) seen while the head had `pose` (6,); never nearer than 5 cm in front."""
        right, down, forward = position_m
        on_head = self._turn @ np.array([forward, -right, -down]) + self._camera
        pitch, yaw, roll, left, up, ahead = (float(v) for v in pose)
        x, y, z = rotation(pitch, yaw, roll) @ on_head + np.array([ahead, left, up]) - self._eyes
        return np.array([-y, -z, max(x, NEAREST_M)])


class HeadTrack:
    """The poses of the head over the last two seconds by their stamps: measured, and as the face showed them."""

    def __init__(self) -> None:
        self._own = True
        self.clear()

    def clear(self) -> None:
        """The clock jumped: stamps before mean nothing any more."""
        self._stamps = StampGuard()
        self._measured: deque[tuple[int, Array]] = deque()
        self._shown: deque[tuple[int, Array]] = deque()
        self._lag = np.zeros(6)

    def push(self, head: HeadPose, *, own: bool = True) -> None:
        """Take in a checked measurement; one that is a little older than the last is left out, by more begins anew.

        `own`: of the head that shows this face. Another's tells where the camera was, and no lag.
        """
        self._own = own
        if self._stamps.check(head.stamp_ns) == "jump":
            self._measured.clear()
        _append(self._measured, head.stamp_ns, np.asarray(head.pose, dtype=np.float64))

    def show(self, stamp_ns: int, face: Array, dt_s: float) -> None:
        """Take in the face (58,) that is shown at `stamp_ns`."""
        _append(self._shown, stamp_ns, face[_POSE].astype(np.float64))
        if not self._own:
            self._lag = np.zeros(6)
        elif self.measured(stamp_ns):
            newest_ns, pose = self._measured[-1]
            self._lag = self._lag + approach(dt_s, LAG_S) * (pose - _at(self._shown, newest_ns) - self._lag)
        elif self._measured:
            self._lag = self._lag * (1.0 - approach(dt_s, LAG_S))

    def measured(self, now_ns: int) -> bool:
        """The head's pose is measured these days."""
        if not self._measured:
            return False
        # Of another machine's clock that is a little ahead; one of an hour from now tells nothing.
        return -to_ns(HISTORY_S) <= now_ns - self._measured[-1][0] <= to_ns(FRESH_S)

    def lag(self) -> tuple[float, float]:
        """How far the real head is off the one that is shown, pitch and yaw, rad, but for what only comes late."""
        return float(self._lag[0]), float(self._lag[1])

    def at(self, stamp_ns: int) -> Array:
        """The pose (6,) at `stamp_ns`: as measured, else at rest."""
        return _at(self._measured, stamp_ns) if self.measured(stamp_ns) else np.zeros(6)


def _append(poses: deque[tuple[int, Array]], stamp_ns: int, pose: Array) -> None:
    if poses and stamp_ns <= poses[-1][0]:
        return
    poses.append((stamp_ns, pose))
    while stamp_ns - poses[0][0] > to_ns(HISTORY_S):
        poses.popleft()


def _at(poses: deque[tuple[int, Array]], stamp_ns: int) -> Array:
    """Straight between the two poses around `stamp_ns`; the first and the last hold beyond."""
    after = bisect_left(poses, stamp_ns, key=lambda entry: entry[0])
    if after == 0:
        return poses[0][1]
    if after == len(poses):
        return poses[-1][1]
    (t0, a), (t1, b) = poses[after - 1], poses[after]
    return a + (stamp_ns - t0) / (t1 - t0) * (b - a)
