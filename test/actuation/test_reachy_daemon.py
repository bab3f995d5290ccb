"""Reachy Mini's driver against its makers' own daemon: without physics, and in MuJoCo."""

from __future__ import annotations

import time

import pytest
from bus_fixtures import until
from reachy_daemon import at_rest, positions, running

pytestmark = pytest.mark.real_time

# How far, in rad, joints may end from where they were told to be. Without physics they are there. In MuJoCo every joint
# has 0.1 Nm of dry friction, and the motors hold with 10 Nm/rad: the head stays where it is while that is near.
OFF = {"mockup-sim": 0.004, "sim": 0.05}
POSES = [
    {"head_pitch": 0.2, "head_yaw": 0.4, "head_roll": -0.15, "antenna_left": 0.6, "antenna_right": -0.3},
    {"head_pitch": -0.15, "head_yaw": -0.3, "head_roll": 0.2, "antenna_left": -0.2, "antenna_right": 0.5},
]


@pytest.mark.timeout(400)  # daemons start slowly on a busy machine
@pytest.mark.parametrize("kind", OFF)
def test_every_joint_goes_where_it_is_told_and_says_so(kind, tmp_path):
    with running(kind, tmp_path) as port, at_rest(port, tmp_path) as (profile, driver):
        for pose in POSES:
            goal, sent = dict.fromkeys(profile.joints, 0.0) | pose, dict.fromkeys(profile.joints, 0.0)

            def move(goal=goal, sent=sent):
                for joint, target in goal.items():
                    sent[joint] += min(max(target - sent[joint], -0.01), 0.01)
                driver.command(sent)
                driver.poll(0.001)
                assert driver.faults() == {}
                time.sleep(0.02)

            def there(goal=goal):
                return abs(positions(driver, profile) - list(goal.values())).max() < OFF[kind]

            assert until(there, move, 60.0), dict(zip(goal, positions(driver, profile), strict=True))
