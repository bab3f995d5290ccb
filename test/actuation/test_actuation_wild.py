"""Whatever happens in whatever order: limits hold, a stop stays, and nothing has torque that should not."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from actuation_fixtures import TICK_S, Head

FAILINGS = ("silent", "mute", "bad_checksum", "nonsense", "overload", "hot", "voltage")


def happen(head, rng):
    """One thing that people, cables, servos, faces or the machine do; what was asked for."""
    what = rng.choice(["wish", "stop", "servo", "board", "cable", "face", "no face", "stall", "killed", "fault"])
    if what == "wish":
        return head.actuation.request(rng.choice(["enable", "enable", "enable", "disable", "reset", "reset"])).wish
    elif what == "stop" and rng.random() < 0.3:
        head.actuation.request("software_stop")
    elif what == "servo":
        failing = head.bus.servos[int(rng.integers(1, 3))].failing
        for name in FAILINGS:
            setattr(failing, name, bool(rng.random() < 0.08))
    elif what == "board":
        head.board.silent = bool(rng.random() < 0.2)
    elif what == "cable":
        wire = head.wires["bus" if rng.random() < 0.5 else "servos"]
        (wire.pull if rng.random() < 0.3 else wire.plug)()
    elif what == "face":
        head.face = rng.choice([0.0, 1.0, -1.0, 0.5, 1e9, math.nan, math.inf], size=58)
    elif what == "no face":
        head.face = None
    elif what == "stall" and rng.random() < 0.5:
        head.clock.now_s += float(rng.choice([0.05, 0.15, 0.6, 3.0]))
    elif what == "killed" and rng.random() < 0.3:
        head.start(head.actuation.to_save(), head.actuation.stopped)
    elif what == "fault" and rng.random() < 0.1:
        head.actuation.fail("somebody else publishes it")
    return None


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_limits_hold_and_a_stop_stays(tmp_path, seed):
    rng = np.random.default_rng(seed)
    head = Head(tmp_path, "software_stop: hold", f"software_stop: {('hold', 'release')[seed % 2]}")
    head.run(1.5)
    head.actuation.request("enable")
    stopped = False
    for _ in range(150):
        wish = happen(head, rng)
        head.run(float(rng.choice([TICK_S, 0.1, 0.5])))
        status = head.status
        assert status.software_stop or not stopped or wish == "reset"
        stopped = status.software_stop
        assert not stopped or status.state == "stopped"
        if status.state == "disarmed":
            # What could not hear is let go when it can.
            assert all(not bus.armed for bus in head.buses.values())
            assert not any(status.commands.torque)
    for before, after in pairwise(head.log):
        assert "ruckig" not in after.commands.fault
        # A robot that was let go, or stood still for a while, begins where it is.
        goes_on = after.stalls == before.stalls and after.time_s - before.time_s < 0.1
        for i, (name, joint) in enumerate(head.profile.joints.items()):
            position = after.commands.position[i]
            assert joint.lower <= position <= joint.upper, (name, after.time_s)
            assert abs(after.commands.velocity[i]) <= joint.limits.speed, (name, after.time_s)
            assert abs(after.commands.acceleration[i]) <= joint.limits.acceleration, (name, after.time_s)
            if goes_on and before.commands.torque[i] and after.commands.torque[i]:
                step = abs(position - before.commands.position[i])
                assert step <= head.largest_step(name), (name, after.time_s, before.state, after.state)


@pytest.mark.parametrize("seed", range(4))
def test_when_all_is_well_again_it_can_be_enabled_again(tmp_path, seed):
    rng = np.random.default_rng(100 + seed)
    head = Head(tmp_path)
    for _ in range(40):
        happen(head, rng)
        head.run(0.1)
    for servo in head.bus.servos.values():
        for name in FAILINGS:
            setattr(servo.failing, name, False)
    head.board.silent = False
    head.plug()
    head.face = np.zeros(58)
    head.run(2.0)
    head.ask("disable")
    head.ask("reset")
    assert head.run(20.0, until="disarmed")
    head.run(3.0)
    assert head.torques() == [False] * 4
    assert head.torque_told() == [False] * 4
    # What was let go stays where it fell: somebody puts it inside its range.
    for servo in head.bus.servos.values():
        servo.motor.position = 2047.0
    head.enable()
    assert head.status.commands.joint_faults == {}
