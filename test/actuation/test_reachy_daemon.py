"""Reachy Mini's driver against its makers' own daemon: without physics, and in MuJoCo."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
from reachy_daemon import at_rest, positions, running

from reactdiff_ros.actuation.follow import Follower
from reactdiff_ros.expression import ExpressionConfig
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.replay import replay

pytestmark = pytest.mark.real_time

HEAD = ("head_pitch", "head_yaw", "head_roll")
# At least this correlation with what it was told, at most so many ticks of 20 ms behind, at most this median error in
# rad. Without physics the head is where it was told to be. In MuJoCo every joint has 0.1 Nm of dry friction, the ball
# joints of the rods included, and the motors hold with 10 Nm/rad: the head stays where it is while the target is within
# about 1.6 degrees, and then comes late. A listener's head hardly moves more than that, and on a busy machine simulated
# time runs late as well: there the listener is a lively one.
AGREES = {"mockup-sim": (0.97, 12, 0.004), "sim": (0.75, 40, 0.015)}
LIVELINESS = {"mockup-sim": {}, "sim": {"head": 2.0, "intensity": 1.6}}


def follow(profile, driver, faces):
    """Mapping and follower in real time: by joint what it was told and where it was measured."""
    follower, names, dt = Follower(profile), list(profile.joints), 1.0 / profile.rate_hz
    wanted, seen = [], []
    now, due = 0.0, time.monotonic()
    follower.arm(now, positions(driver, profile).tolist())
    for shown in faces:
        now, due = now + dt, max(due + dt, time.monotonic())
        commands = follower.tick(now, shown, 0.0)
        driver.command(dict(zip(names, commands.position, strict=True)))
        driver.poll(0.001)
        assert driver.faults() == {}
        assert commands.fault == ""
        wanted.append(commands.position)
        seen.append(positions(driver, profile))
        time.sleep(max(0.0, due - time.monotonic()))
    return {n: (np.array(wanted)[:, i], np.array(seen)[:, i]) for i, n in enumerate(names)}


def agreement(wanted, seen, latest_ticks):
    """The best correlation with `seen` up to `latest_ticks` behind, and how many ticks that is."""
    found = [np.corrcoef(seen[late:], wanted[: len(wanted) - late])[0, 1] for late in range(latest_ticks)]
    return float(max(found)), int(np.argmax(found))


def listener_faces(clip, **style):
    """What the listener shows to a recorded speaker, 50 a second."""
    faces = []
    settings = ReplaySettings(policy="rules", seed=3, expression=ExpressionConfig(**style))
    replay(clip, settings, each=lambda step: faces.extend(step.faces))
    return np.array([face.coefficients for face in faces])


@pytest.fixture(scope="module")
def followed(tmp_path_factory, clips):
    """By kind: the faces, the profile, the driver and what it was told and measured; both robots at the same time."""
    clip = clips("mimictalk_german_20s.mp4")
    kinds, folders = list(AGREES), {kind: tmp_path_factory.mktemp(kind) for kind in AGREES}

    def follows(kind, port, faces):
        with at_rest(port, folders[kind]) as (profile, driver):
            moved = follow(profile, driver, faces)
        return faces, profile, driver, moved

    with ExitStack() as daemons, ThreadPoolExecutor(2 * len(kinds)) as hands:
        starting = [hands.submit(daemons.enter_context, running(kind, folders[kind])) for kind in kinds]
        faces = list(hands.map(lambda kind: listener_faces(clip, **LIVELINESS[kind]), kinds))
        ports = [daemon.result() for daemon in starting]
        return dict(zip(kinds, hands.map(follows, kinds, ports, faces), strict=True))


@pytest.mark.timeout(400)  # twenty seconds of real time, and daemons that start on a busy machine
@pytest.mark.parametrize("kind", AGREES)
def test_the_head_follows_the_listeners_head_for_a_whole_clip(kind, followed):
    faces, profile, driver, moved = followed[kind]
    assert len(faces) > 900
    assert np.ptp(faces[:, 52]) > 0.05
    for joint, axis in driver.axes.items():
        wanted, _ = moved[joint]
        assert (wanted >= axis.lower - 1e-9).all()
        assert (wanted <= axis.upper + 1e-9).all()
    least, latest, beside = AGREES[kind]
    for i, name in enumerate(HEAD):
        wanted, seen = moved[name]
        # The platform's geometry may turn by a little more than it was told to (its own inverse kinematics).
        assert (np.abs(seen) < profile.joints[name].upper + 0.05).all()
        found, late = agreement(wanted, seen, latest)
        assert found > least, (name, found, late)
        assert np.median(np.abs(seen[late:] - wanted[: len(wanted) - late])) < beside, name
        found, late = agreement(faces[: len(seen), 52 + i], seen, latest + 20)
        assert found > least - 0.1, (name, "and the listener's own head", found, late)
