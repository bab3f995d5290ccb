"""Devices that let everybody wait: a robot in the network that takes seconds to get torque."""

from __future__ import annotations

import time

import numpy as np
import pytest
from memory_port import Ticker
from robot_fixtures import small_profile

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.actuation.actuation import Actuation, Face
from reactdiff_ros.actuation.drivers.driver import Driver, Reading
from reactdiff_ros.actuation.hardware import NOT_OPEN, Hardware
from reactdiff_ros.actuation.robot.kinematics import SHORTEST
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.nodes.actuator_node import BusThread

WAIT_S = 1.8
LEAST_S = SHORTEST * 0.02


class RealTime(Ticker):
    """The machine's own clock, in the shape of the one that is turned by hand."""

    def __call__(self):
        return time.monotonic()

    now_s = property(lambda self: time.monotonic(), lambda self, value: None)

    def wait(self, seconds):
        time.sleep(seconds)


class SlowBus(Driver):
    """The first torque takes WAIT_S; then it obeys at once."""

    feedback = True

    def __init__(self, clock, joints, position):
        super().__init__(dict.fromkeys(joints), clock)
        self.sent, self.left_s = [], []
        self.error, self._position = None, position

    def open(self):
        if self.error is not None:
            raise self.error

    def check(self):
        self._clock.now_s += 0.3
        return {}

    def poll(self, budget_s):
        pass

    def reading(self, joint):
        return None if self._position is None else Reading(0.0, self._position)

    def holding(self, joint):
        return joint in self.armed

    def before(self):
        """What lets a command wait."""

    def arm(self, joint, position):
        self._clock.now_s += 0.0 if self.armed else WAIT_S
        self._armed.add(joint)

    def command(self, positions):
        self.before()
        self.sent.append(dict(positions))
        self.left_s.append(self._clock.now_s)

    def release(self, joint):
        self._armed.discard(joint)

    def close(self):
        pass


def robot(tmp_path, clock=None):
    clock = clock or Ticker(0.00001)
    profile = small_profile(tmp_path)
    buses = {"servos": SlowBus(clock, ("eye", "lid"), None), "bus": SlowBus(clock, ("jaw", "neck"), 0.0)}
    hardware = Hardware(profile, buses, clock, wait=clock.wait)
    return clock, buses, hardware, Actuation(profile, hardware, clock)


def run(clock, actuation, ticks, until=""):
    for _ in range(ticks):
        actuation.take(Face(np.zeros(58), clock.now_s))
        state = actuation.tick(clock.now_s).state
        actuation.look(0.005)
        clock.now_s += 0.02
        if state == until:
            return True
    return False


def test_waiting_for_torque_is_no_stall(tmp_path):
    clock, buses, _, actuation = robot(tmp_path)
    run(clock, actuation, 3)
    request = actuation.request("enable")
    assert run(clock, actuation, 500, until="following")
    assert request.granted
    assert actuation.state.stalls == 0
    assert buses["servos"].armed == {"eye", "lid"}
    assert buses["bus"].armed == {"jaw", "neck"}


def following(clock, actuation):
    """Enable it; hardly any time is needed where no bus lets it wait."""
    run(clock, actuation, 3)
    assert actuation.request("enable") is not None
    assert run(clock, actuation, 500, until="following")


def test_a_late_command_is_not_followed_by_an_early_one(tmp_path):
    clock, buses, _, actuation = robot(tmp_path)
    following(clock, actuation)
    rng = np.random.default_rng(0)
    for bus in buses.values():
        bus.left_s.clear()
    due_s = clock.now_s
    for _ in range(300):
        due_s += 0.02
        clock.now_s = max(clock.now_s, due_s + rng.choice([0.0, 0.0, 0.0005, 0.004, 0.012, 0.018]))
        actuation.take(Face(np.full(58, rng.uniform()), clock.now_s))
        actuation.tick(clock.now_s)
    for bus in buses.values():
        assert min(np.diff(bus.left_s)) >= LEAST_S
        assert np.mean(np.diff(bus.left_s)) < 0.021


@pytest.mark.real_time
def test_no_command_of_the_running_thread_comes_sooner_than_the_limits_assume(tmp_path):
    """Ticks that are late, and buses that let a command wait, in the thread that moves the robot."""
    _, buses, _, actuation = robot(tmp_path, RealTime())
    rng = np.random.default_rng(0)

    def ticked(status):
        actuation.take(Face(np.full(58, rng.uniform()), time.monotonic()))
        time.sleep(rng.choice([0.0, 0.0, 0.0, 0.005, 0.017, 0.021, 0.03]))

    buses["bus"].before = lambda: time.sleep(rng.choice([0.0, 0.0, 0.003, 0.012]))
    failures = []
    thread = BusThread(actuation, ticked, lambda error, where: failures.append(error))
    thread.start()
    request = actuation.request("enable")
    assert request.wait(20.0)
    for bus in buses.values():
        bus.left_s.clear()
    time.sleep(3.0)
    thread.stop()
    assert failures == []
    for bus in buses.values():
        assert len(bus.left_s) > 50
        assert min(np.diff(bus.left_s)) >= LEAST_S


def test_what_is_not_open_yet_and_what_cannot_be_opened(tmp_path):
    clock, buses, hardware, actuation = robot(tmp_path)
    assert actuation.state.faults == dict.fromkeys(("eye", "lid", "jaw", "neck"), NOT_OPEN)
    buses["bus"].error = DeviceError("the port is in use", where="/dev/x", todo="process 7 has it: end that first")
    buses["servos"].error = ModuleNotFoundError("No module named 'x'", name="x")
    run(clock, actuation, 3)
    faults = actuation.state.faults
    assert faults["jaw"] == "the port is in use (/dev/x): process 7 has it: end that first"
    assert faults["eye"].startswith("the library x is not installed")
    assert not hardware.open(clock.now_s)  # not more than once a second
    buses["bus"].error = RuntimeError("a bug")
    run(clock, actuation, 60)
    assert actuation.state.faults["jaw"] == "its driver failed (RuntimeError: a bug)"
    buses["bus"].error = None
    run(clock, actuation, 60)
    assert "jaw" not in actuation.state.faults
    # Half of the robot is better than none.
    request = actuation.request("enable")
    run(clock, actuation, 30)
    assert request.granted
    assert "enabled without eye, lid: the library x is not installed" in request.answer


@pytest.mark.parametrize("wish", ["disable", "reset", "software_stop"])
def test_what_is_asked_of_a_robot_without_torque_is_answered(tmp_path, wish):
    clock, _, _, actuation = robot(tmp_path)
    request = actuation.request(wish)
    assert not request.done
    run(clock, actuation, 1)
    assert request.wait(0.0)
    assert request.granted
    assert request.answer
