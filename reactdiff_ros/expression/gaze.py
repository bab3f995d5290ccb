"""Gaze layer: eyes and a little head on the person, natural looks away, and a wandering look when no one is there.

Eye contact when camera, head or both move: where a person is in the room, however the head moved.

    picture, taken at t ── perception ── eyes' place in the camera's frame, stamped t ──┐
                                                                                         ▼
    robot's profile ── camera's mount, pivot of the head ───────────────────────► CameraMount ── place in the face's
                                                                                         ▲       resting axes ──► Gaze
    actuator ── measured pose of the head, stamped ── HeadTrack.at(t) ── pose at t ──────┘
                                                          │
    engine   ── pose that the face shows, every tick ── HeadTrack.lag(): how far the real head is off ──► put_eyes

Pictures come late: the head has moved on since. So poses are kept by their stamps, and a picture is put into the
room with the pose of its own stamp. A fixed camera needs no pose. A head whose pose is not published
counts as one at rest: were it taken to be where the face shows it, a head that does not move would make the face
turn after its own turn, up to its limit. The pose of a head is six numbers in
the order and axes of the coefficients (pitch, yaw, roll in rad, x to its left, y up, z forward in m), zero at rest;
its rotation in REP-103's axes is Rz(yaw) Ry(pitch) Rx(roll).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.clock import StampGuard, to_ns, to_s
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, HEAD_YAW, INDEX, ROTATION, TRANSLATION
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.motion import approach, ramp
from reactdiff_ros.types import Array, FaceMode, GazeTarget, HeadPose

HISTORY_S: Final = 2.0
FRESH_S: Final = 0.25
"""A head whose last measurement is older than this is not measured any more."""
LAG_S: Final = 0.5
"""Time constant of `HeadTrack.lag`: longer than a nod, so that a head that only comes late is not off."""
NEAREST_POINT_M: Final = 0.05
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
        return np.array([-y, -z, max(x, NEAREST_POINT_M)])


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
        """Take in a checked measurement; one slightly older than the last is left out; a larger step restarts.

        `own`: of the head that shows this face. Another head's shows where the camera was, and no lag.
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
        # Of another machine's clock that is a little ahead; one of an hour from now is useless.
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


PURSUIT_S: Final = 0.06
"""Time constant with which the eyes follow the target: every new target moves them at the next tick."""
HEAD_S: Final = 0.45
FAR_M: Final = 1.2
"""Straight ahead, as a point: where the look rests without a target."""
NEAREST_M: Final = 0.8
LARGE_SHIFT_RAD: Final = math.radians(8)
FLAT_YAW_RAD, FLAT_PITCH_RAD = math.radians(1.5), math.radians(1)
"""How far a face on a screen follows a person: with fixations, of about 1 degree, it stays within 3 degrees. A flat
picture that looks straight out looks at every viewer, and one that looks up or aside looks at no one (the Mona Lisa
effect: Al Moubayed, Edlund and Beskow, 2012)."""
FLAT_HEAD_S: Final = 1.0
"""The eyes of a flat face make up for nods and shifts of the head, and become straight in a head that stays tilted."""
SPEAKING_AWAY_S: Final = 2.2
"""Mean length of a look away while the robot speaks: people think of what they say."""
AWAY_SIGMA: Final = 0.4
CONTACT_SIGMA: Final = 0.7


def _saturated(angle: float, limit: float) -> float:
    """`angle` where it is small, and never more than `limit` to either side (tanh)."""
    return limit * math.tanh(angle / limit)


def check_target(target: GazeTarget) -> None:
    """Hold a gaze target from outside to its contract.

    Raises:
        MessageError: it is not three finite numbers in front of the camera, 0.05 to 50 m away.
    """
    position = np.asarray(target.position_m, dtype=np.float64)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise MessageError("a gaze target is not three finite numbers", where=target.frame_id)
    if position[2] <= 0.0 or not 0.05 <= float(np.linalg.norm(position)) <= 50.0:
        raise MessageError("a gaze target is not 0.05 to 50 m in front of the camera", where=target.frame_id)


@dataclass(frozen=True, slots=True)
class EyeLines:
    """Lines of sight in the face's axes: yaw of each eye to its own left, pitch down, rad."""

    left_yaw: float
    right_yaw: float
    pitch: float


class Gaze:
    """Where the face looks.

    Contact and looks away alternate; both are log-normal with means that give the configured share of contact
    (Argyle and Cook: 75 %; measured listeners: 85 to 95 % while the other speaks) and rate of looks away. Within
    contact the eyes move among the other's eyes and mouth, as fixations do. A saccade takes 21 ms + 2.2 ms a degree
    (main sequence).
    """

    def __init__(self, config: ExpressionConfig, rng: np.random.Generator, head: HeadTrack) -> None:
        """`head`: where the head is and was, kept by the engine."""
        self._config, self._rng, self._head = config, rng, head
        # The short form for what most robots have gives the same bits as it always did.
        turned = config.camera_on_head or config.camera_roll_rad != 0.0
        self._mount = CameraMount(config) if turned else None
        self._yaw_cos, self._yaw_sin = math.cos(config.camera_yaw_rad), math.sin(config.camera_yaw_rad)
        self._pitch_cos, self._pitch_sin = math.cos(config.camera_pitch_rad), math.sin(config.camera_pitch_rad)
        self._point: Array = np.array([0.0, 0.0, FAR_M])
        self._goal: Array = self._point
        self._target: GazeTarget | None = None
        self._received_ns = 0
        self._weight = 0.0
        self._head_yaw = self._head_pitch = self._posture = 0.0
        self._offset = self._from = self._to = (0.0, 0.0)
        self._saccade_ns, self._saccade_s = 0, 0.03
        self._away = self._speaks = False
        self._phase_end_ns: int | None = None
        self._fixation_end_ns = 0
        self.shifted = False
        """A large shift of gaze began with the last tick."""

    @property
    def used(self) -> GazeTarget | None:
        """The target that the eyes follow, also while they look away from it; None: no target has an influence."""
        return self._target if self._weight > 0.01 else None

    def clear(self) -> None:
        """The clock jumped: forget the target, start a new phase of contact."""
        self._target, self._phase_end_ns, self._fixation_end_ns = None, None, 0
        self._from = self._to = self._offset
        self._away = False

    def push(self, target: GazeTarget, now_ns: int) -> None:
        """Take in a checked target. The eyes follow it from the next tick on."""
        self._target, self._received_ns = target, now_ns
        position = np.asarray(target.position_m, dtype=np.float64)
        if self._mount is None:
            self._goal = self._in_face(position)
            return
        moves = self._config.camera_on_head
        taken_ns = target.stamp_ns - to_ns(self._config.camera_latency_s)
        self._goal = self._mount.at_rest(position, self._head.at(taken_ns) if moves else np.zeros(6))

    def fresh(self, now_ns: int) -> bool:
        """A target came within `input_timeout_s`."""
        return self._target is not None and to_s(now_ns - self._received_ns) <= self._config.input_timeout_s

    def advance(
        self,
        now_ns: int,
        dt_s: float,
        mode: FaceMode,
        *,
        other_speaks: bool,
        speaks: bool = False,
        cue: tuple[bool, float] | None = None,
    ) -> None:
        """Move point, phase and offset on to `now_ns`.

        `speaks`: the robot does. `cue`: look away (True) or at the other now, and for how long, s.
        """
        fresh = self.fresh(now_ns)
        self._weight += approach(dt_s, 0.15) * ((1.0 if fresh else 0.0) - self._weight)
        if not fresh:
            self._goal = np.array([0.0, 0.0, FAR_M])
            if self._weight < 0.01:
                self._target = None
        self._point = self._point + approach(dt_s, PURSUIT_S if fresh else 0.4) * (self._goal - self._point)
        if speaks != self._speaks:
            self._speaks = speaks
            if not (speaks and self._away):
                self._phase_end_ns = None  # phases of one who speaks are shorter
        self._phase(now_ns, fresh, mode, other_speaks, cue)
        self._offset = self._saccade(now_ns)
        self._turn_head(dt_s, mode)

    def head(self) -> tuple[float, float]:
        """The gaze layer's share of head pitch and yaw, rad."""
        return self._head_pitch, self._head_yaw

    def head_lag(self, face: Array, dt_s: float) -> tuple[float, float]:
        """Pitch and yaw to add to the head's turn in `face` (58,) before the eyes make up for it, rad.

        Of a robot: how far its head is off that turn. Of a flat face: less the pitch at which the head stays.
        """
        if not self._config.flat_face:
            return self._head.lag()
        self._posture += approach(dt_s, FLAT_HEAD_S) * (float(face[HEAD_PITCH]) - self._posture)
        return -self._posture, 0.0

    def lines(self) -> EyeLines:
        """Lines of sight of both eyes in the face's resting axes."""
        x, _, z = (float(v) for v in self._point)
        # People who come very near would make the face squint: the eyes converge as for NEAREST_M at most.
        converge = math.atan2(self._config.eye_distance_m / 2, max(math.hypot(x, z), NEAREST_M))
        yaw, pitch = self._direction()
        if self._config.flat_face:
            yaw = _saturated(yaw, FLAT_YAW_RAD)
        yaw += self._offset[0]
        return EyeLines(left_yaw=yaw - converge, right_yaw=yaw + converge, pitch=pitch + self._offset[1])

    def _direction(self) -> tuple[float, float]:
        """Yaw to the face's own left and pitch down of the point that it looks at, rad."""
        x, y, z = (float(v) for v in self._point)
        yaw, pitch = -math.atan2(x, z), math.atan2(y, math.hypot(x, z))
        return (yaw, _saturated(pitch, FLAT_PITCH_RAD)) if self._config.flat_face else (yaw, pitch)

    def _in_face(self, p: Array) -> Array:
        """A point of the camera's optical frame in the face's axes (x own right, y down, z forward)."""
        c = self._config
        x, y, z = float(p[0]), float(p[1]), float(p[2])
        y, z = y * self._pitch_cos + z * self._pitch_sin, z * self._pitch_cos - y * self._pitch_sin
        x, z = x * self._yaw_cos - z * self._yaw_sin, z * self._yaw_cos + x * self._yaw_sin
        return np.array([x + c.camera_x_m, y + c.camera_y_m, max(z + c.camera_z_m, 0.05)])

    def _phase(
        self, now_ns: int, fresh: bool, mode: FaceMode, other_speaks: bool, cue: tuple[bool, float] | None
    ) -> None:
        self.shifted = False
        if mode == "neutral":
            if self._to != (0.0, 0.0) or self._away:
                self._look(now_ns, 0.0, 0.0)
            self._away, self._phase_end_ns = False, None
            return
        if self._phase_end_ns is None:
            self._away = False
            self._phase_end_ns = now_ns + to_ns(self._duration(other_speaks, mode))
            self._fixation_end_ns = now_ns
        if cue is not None:
            if cue[0] != self._away:
                self._away, self._phase_end_ns, self._fixation_end_ns = cue[0], now_ns, now_ns
            self._phase_end_ns = max(self._phase_end_ns, now_ns + to_ns(cue[1]))
        if now_ns >= self._phase_end_ns:
            self._away = not self._away
            self._phase_end_ns = now_ns + to_ns(self._duration(other_speaks, mode))
            self._fixation_end_ns = now_ns
        if now_ns < self._fixation_end_ns:
            return
        normal = self._rng.standard_normal(2)
        if self._away:
            side = 1.0 if self._rng.random() < 0.5 else -1.0
            self._look(now_ns, side * math.radians(11 + 3 * abs(normal[0])), math.radians(max(4 + 3 * normal[1], -6)))
            self._fixation_end_ns = self._phase_end_ns
        elif fresh:
            self._look(now_ns, math.radians(1.0) * normal[0], math.radians(0.3 + 0.7 * normal[1]))
            self._fixation_end_ns = now_ns + to_ns(0.35 + self._rng.exponential(0.9))
        else:
            # To a voice that is not seen it listens straight ahead; in an empty room it looks around.
            yaw, pitch = (5.0, 2.0 + 2.5 * normal[1]) if mode == "idle" else (1.5, normal[1])
            self._look(now_ns, math.radians(yaw) * normal[0], math.radians(pitch))
            self._fixation_end_ns = now_ns + to_ns(1.2 + self._rng.exponential(2.0))

    def _duration(self, other_speaks: bool, mode: FaceMode) -> float:
        """Length of the phase that begins, s."""
        share = self._config.contact_listening if other_speaks else self._config.contact_share
        if mode == "idle":
            share = min(share, 0.6)
        cycle = 60.0 / self._config.aversions_per_min
        if self._speaks:
            share = self._config.contact_speaking
            cycle = SPEAKING_AWAY_S / (1.0 - share)
        mean, sigma = ((1.0 - share) * cycle, AWAY_SIGMA) if self._away else (share * cycle, CONTACT_SIGMA)
        draw = mean * math.exp(sigma * self._rng.standard_normal() - sigma * sigma / 2)
        return min(max(draw, 0.4), 3.5) if self._away else min(max(draw, 0.6 if self._speaks else 1.0), 40.0)

    def _look(self, now_ns: int, yaw: float, pitch: float) -> None:
        size = math.hypot(yaw - self._offset[0], pitch - self._offset[1])
        self._from, self._to = self._offset, (yaw, pitch)
        self._saccade_ns, self._saccade_s = now_ns, 0.021 + 0.0022 * math.degrees(size)
        self.shifted = size > LARGE_SHIFT_RAD

    def _saccade(self, now_ns: int) -> tuple[float, float]:
        share = ramp((to_s(now_ns - self._saccade_ns) + 0.02) / (self._saccade_s + 0.02))
        a, b = self._from, self._to
        return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])

    def _turn_head(self, dt_s: float, mode: FaceMode) -> None:
        yaw, pitch = self._direction()
        away = 0.5 if self._away else 0.15
        yaw, pitch = yaw + away * self._offset[0], pitch + away * self._offset[1]
        share, step = self._config.head_share, approach(dt_s, HEAD_S)
        self._head_yaw += step * (share * yaw - self._head_yaw)
        self._head_pitch += step * (share * pitch - self._head_pitch)


_OUT_LEFT, _IN_LEFT = INDEX["eyeLookOutLeft"], INDEX["eyeLookInLeft"]
_OUT_RIGHT, _IN_RIGHT = INDEX["eyeLookOutRight"], INDEX["eyeLookInRight"]
_UP, _DOWN = (INDEX["eyeLookUpLeft"], INDEX["eyeLookUpRight"]), (INDEX["eyeLookDownLeft"], INDEX["eyeLookDownRight"])


def put_eyes(face: Array, lines: EyeLines, config: ExpressionConfig, lag: tuple[float, float] = (0.0, 0.0)) -> None:
    """Write the eight eyeLook coefficients of `face` (58,) so that the eyes point along `lines`.

    The head's own turn in `face` is taken out (the vestibulo-ocular reflex): eyes stay on the person through a nod.
    `lag` (pitch, yaw, rad): how far a real head is off that turn.
    """
    assert face.shape == (COEFFICIENT_COUNT,)
    pitch, yaw = face[HEAD_PITCH] + lag[0], face[HEAD_YAW] + lag[1]
    left = (lines.left_yaw - yaw) / config.eye_yaw_full_rad
    right = (lines.right_yaw - yaw) / config.eye_yaw_full_rad
    down = (lines.pitch - pitch) / config.eye_pitch_full_rad
    face[_OUT_LEFT], face[_IN_LEFT] = max(left, 0.0), max(-left, 0.0)
    face[_IN_RIGHT], face[_OUT_RIGHT] = max(right, 0.0), max(-right, 0.0)
    face[_DOWN[0]] = face[_DOWN[1]] = max(down, 0.0)
    face[_UP[0]] = face[_UP[1]] = max(-down, 0.0)
