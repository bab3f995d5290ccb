"""Eye contact of Reachy Mini in MuJoCo: a camera on a head that turns, nods and comes late."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
from reachy_daemon import at_rest, follow, positions, running
from scipy.spatial.transform import Rotation

from reactdiff_ros.actuation.mapping import HeadReader
from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.launching.configuration import robot_parameters
from reactdiff_ros.perception.config import PerceptionConfig
from reactdiff_ros.perception.person import OneEuro
from reactdiff_ros.types import GazeTarget, HeadPose, Reaction

pytestmark = [pytest.mark.real_time, pytest.mark.slow]

STILL_S, WALK_S = 9.0, 14.0
SEEN_AFTER_S = 0.06
"""What camera and perception take."""
PERSON = np.array([1.0, -0.35, 0.12])
"""Forward, left, up of the robot's eyes at rest, m: 19 degrees to its right."""
NOD_RAD, NOD_HZ = 0.25, 0.8
"""Large and slow: the simulation's friction, and its time that runs late on a busy machine, swallow what is smaller."""


def person_at(t_s):
    """Stands still, then walks from side to side at up to 0.35 m/s."""
    walked = max(t_s - STILL_S, 0.0)
    return PERSON + np.array([0.0, 0.35 - 0.35 * math.cos(2 * math.pi * walked / 6.3), 0.0])


class Room:
    """The person, the camera on the head and the engine that looks, in real time."""

    def __init__(self, profile, driver, end_s):
        self.profile, self.driver = profile, driver
        self.reader = HeadReader(profile)
        values = robot_parameters("reachy_mini")["/**/expression_node"]["ros__parameters"]
        looks = {"stillness": 1.0, "contact_listening": 1.0, "contact_share": 1.0, "aversions_per_min": 0.5}
        self.engine = ExpressionEngine(ExpressionConfig(**(looks | values)), seed=1)
        self.began_s, self.end_s = None, end_s
        self.heads: deque[tuple[float, np.ndarray]] = deque(maxlen=200)
        self.pictures: deque[float] = deque()
        self.smooth = OneEuro(PerceptionConfig().smoothing_hz * 0.6, beta=4.0)
        self.rows = []

    def __call__(self, tick, now_s):
        self.began_s = now_s if self.began_s is None else self.began_s
        t, now_ns = now_s - self.began_s, to_ns(now_s)
        if t > self.end_s:
            return None
        self.measure(now_ns)
        if tick % 2 == 0:
            self.pictures.append(now_s)
        while self.pictures and self.pictures[0] <= now_s - SEEN_AFTER_S and self.heads:
            taken_s = self.pictures.popleft()
            seen = self.seen(person_at(taken_s - self.began_s), self.head_at(taken_s))
            found = self.smooth(to_ns(taken_s), seen).astype(np.float32)
            self.engine.on_gaze_target(GazeTarget(to_ns(taken_s), found), now_ns)
        if tick % 8 == 0:
            self.engine.on_reaction(self.nod(now_ns, still=t < STILL_S), now_ns)
        if self.heads:
            self.rows.append((t, *self.heads[-1][1]))
        return self.engine.tick(now_ns).coefficients

    def measure(self, now_ns):
        reading = self.driver.reading("head_pitch")
        if reading is None or (self.heads and reading.time_s <= self.heads[-1][0]):
            return
        measured = positions(self.driver, self.profile)
        pose = self.reader.pose(measured, np.full(len(measured), np.nan))
        self.heads.append((reading.time_s, pose))
        self.engine.on_head_pose(HeadPose(to_ns(reading.time_s), pose.astype(np.float32)), now_ns)

    def head_at(self, time_s):
        times = np.array([t for t, _ in self.heads])
        poses = np.array([p for _, p in self.heads])
        return np.array([np.interp(time_s, times, poses[:, i]) for i in range(6)])

    def seen(self, person, head):
        """Optical coordinates of the person for the camera on the head at that pose."""
        pitch, yaw, roll, left, up, forward = head
        eyes = -np.array(self.profile.head.pivot_m)
        on_head = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix().T @ (
            person + eyes - np.array([forward, left, up])
        )
        x, y, z = on_head - eyes - np.array(self.profile.camera.xyz_m)
        return np.array([-y, -z, x])

    def nod(self, now_ns, *, still):
        """A plan of a head that nods around straight while the person stands still."""
        start_ns = now_ns + NS // 25
        plan = np.zeros((16, 58), np.float32)
        times = start_ns / NS + np.arange(16) / 25
        plan[:, HEAD_PITCH] = NOD_RAD * np.sin(2 * np.pi * NOD_HZ * times) if still else 0.0
        return Reaction(start_ns, 25.0, plan, 4, True, 0, "rules", "rules", 0.0, None, None)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with running("sim", tmp_path_factory.mktemp("sim")) as port:
        yield port


def live(port, folder, end_s):
    """Times, and pitch and yaw of the head less those to the person, degrees; and the head's yaw with the person's."""
    with at_rest(port, folder) as (profile, driver):
        room = Room(profile, driver, end_s)
        follow(profile, driver, 2 * end_s, room)
    t, pitch, yaw = np.array(room.rows)[:, :3].T
    there = np.array([person_at(s) for s in t])
    to_yaw = np.degrees(np.arctan2(there[:, 1], there[:, 0]))
    to_pitch = np.degrees(-np.arctan2(there[:, 2], np.hypot(there[:, 0], there[:, 1])))
    return t, np.degrees(pitch) - to_pitch, np.degrees(yaw), to_yaw


@pytest.mark.timeout(300)  # half a minute of real time, and a daemon that starts on a busy machine
def test_the_head_stays_on_who_stands_still_while_it_nods_and_follows_who_walks(daemon, tmp_path):
    t, pitch, yaw, to_yaw = live(daemon, tmp_path, STILL_S + WALK_S)
    still = (t > 4.0) & (t < STILL_S)
    assert np.ptp(pitch[still]) > 4.0, "it nods"
    # Looks among eyes and mouth are 1 degree, the simulated friction holds the head within 1.6.
    assert np.median(np.abs(yaw - to_yaw)[still]) < 2.0
    assert abs(np.mean(pitch[still])) < 2.5
    walking = t > STILL_S + 1.0
    assert np.ptp(to_yaw[walking]) > 30.0
    even = np.arange(STILL_S + 1.0, t[-1], 0.02)
    head, person = np.interp(even, t, yaw), np.interp(even, t, to_yaw)
    found = [np.corrcoef(head[late:], person[: len(person) - late])[0, 1] for late in range(75)]
    assert max(found) > 0.97
    late = int(np.argmax(found))
    assert late * 0.02 < 1.2
    assert np.median(np.abs(head[late:] - person[: len(person) - late])) < 3.0
