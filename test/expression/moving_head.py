"""A robot's head that follows the face late, with a camera on it, and a person in the room: for tests of gaze."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from engine_drive import MS, eyes
from engine_drive import TICK as TICK_NS
from scipy.spatial.transform import Rotation

from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.perception.config import PerceptionConfig
from reactdiff_ros.perception.person import OneEuro
from reactdiff_ros.types import GazeTarget, HeadPose


def turn(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """Rz(yaw) Ry(pitch) Rx(roll), x forward, y left, z up."""
    return Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()


def optical(forward_left_up: np.ndarray) -> np.ndarray:
    """REP-103's x forward, y left, z up as x right, y down, z forward."""
    x, y, z = forward_left_up
    return np.array([-y, -z, x])


def seen_by_camera(person: np.ndarray, head: np.ndarray, config: ExpressionConfig) -> np.ndarray:
    """Optical coordinates of `person` (forward, left, up of the resting eyes) for a camera on a head at `head` (6,)."""
    c = config
    pitch, yaw, roll, left, up, forward = head
    eyes = np.array([-c.head_pivot_z_m, c.head_pivot_x_m, c.head_pivot_y_m])
    camera = eyes + np.array([c.camera_z_m, -c.camera_x_m, -c.camera_y_m])
    on_head = turn(pitch, yaw, roll).T @ (person + eyes - np.array([forward, left, up])) - camera
    return optical(turn(c.camera_pitch_rad, c.camera_yaw_rad, c.camera_roll_rad).T @ on_head)


def off_the_person(person: np.ndarray, head: np.ndarray, yaw: float, pitch: float) -> float:
    """Angle between where eyes of this yaw and pitch in a head at `head` look and the person, rad."""
    line = turn(*head[:3]) @ turn(pitch, yaw, 0.0)[:, 0]
    to_person = person / np.linalg.norm(person)
    return float(np.arccos(np.clip(line @ to_person, -1.0, 1.0)))


def live(
    engine: ExpressionEngine, config: ExpressionConfig, seconds: float, person: np.ndarray,
    before: Callable[[int], None] = lambda now: None, *, follows: float = 1.0,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Let the engine look at `person` (m forward, left, up of the resting eyes) over `seconds`.

    Head and eyes are 0.1 s behind the face, and the head goes `follows` of its way; it is measured every tick, unless
    it does not follow at all. A picture is taken every other tick, understood 60 ms later, and smoothed as perception
    does.

    Returns: by tick `off` (rad off the person), `pitch` of the head (rad), `faces` (58).
    """
    faces: deque[np.ndarray] = deque([np.zeros(58)] * 6, maxlen=6)
    pictures: deque[tuple[int, GazeTarget]] = deque()
    rows: dict[str, list[object]] = {"off": [], "pitch": [], "faces": []}
    heard: HeadPose | None = None
    smooth, noise = OneEuro(PerceptionConfig().smoothing_hz * 0.6, beta=4.0), np.random.default_rng(5)
    for i in range(round(seconds * 50)):
        now = 1_000 * MS + i * TICK_NS
        head = follows * faces[0][HEAD_PITCH:]
        if i % 2 == 0:
            seen = seen_by_camera(person, head, config) + noise.normal(0.0, (0.002, 0.002, 0.01))
            pictures.append((now + 3 * TICK_NS, GazeTarget(now, smooth(now, seen).astype(np.float32))))
        if follows and heard is not None:
            engine.on_head_pose(heard, now)
        heard = HeadPose(now, head.astype(np.float32))
        while pictures and pictures[0][0] <= now:
            engine.on_gaze_target(pictures.popleft()[1], now)
        before(now)
        rows["off"].append(off_the_person(person, head, *eyes(faces[0], config)))
        rows["pitch"].append(head[0])
        faces.append(engine.tick(now).coefficients.astype(np.float64))
        rows["faces"].append(faces[-1])
    return {name: np.array(values) for name, values in rows.items()}
