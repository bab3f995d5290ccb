"""Joints that are held back give way, those that are late or cannot be measured do not."""

from __future__ import annotations

import numpy as np
import pytest
from actuation_fixtures import TICK_S, Head

from reactdiff_ros.actuation.tracking import Tracking


@pytest.mark.parametrize(("joint", "number", "jaw"), [("jaw", 1, 1.0), ("neck", 2, 0.0)])
def test_a_joint_that_is_held_back_gives_way(tmp_path, joint: str, number: int, jaw: float) -> None:
    """Something is in its way: it does not push for longer than a second, and the others go on."""
    head = Head(tmp_path).enable()
    motor = head.bus.servos[number].motor
    motor.blocked = True
    head.show(jawOpen=jaw, headPitch=-0.4 * (1 - jaw))
    head.run(1.2)
    assert head.actuation.state.commands.joint_faults == {}
    head.run(1.0)
    commands = head.actuation.state.commands
    assert list(commands.joint_faults) == [joint]
    assert "is it blocked?" in commands.joint_faults[joint]
    head.run(3.0)
    assert not head.torque(number) or abs(head.goals(number)[-1] - motor.position) < 2
    assert head.state == "following"
    motor.blocked = False
    head.ask("disable")
    head.ends_without_torque()
    assert head.ask("enable").granted


def test_slow_old_and_missing_readings_are_no_obstacle(tmp_path) -> None:
    tracking = Tracking(Head(tmp_path).profile)
    for tick in range(300):
        time_s = tick * TICK_S
        wave = 25.0 * np.sin(2 * np.pi * 0.5 * time_s)
        late = 25.0 * np.sin(2 * np.pi * 0.5 * (time_s - 0.45)) + 5.0
        assert tracking.step(time_s, {"neck": wave, "jaw": 15.0}, {"neck": late, "jaw": np.nan}) == []
    assert tracking.step(6.0, {"neck": 25.0}, {"neck": -25.0}) == []
    tracking.reset()
    assert tracking.step(60.0, {"neck": 25.0}, {"neck": -25.0}) == []
