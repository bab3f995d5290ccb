"""Whatever happens, whatever face comes: limits hold, a stop stays, and nothing has torque that should not."""

import math
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from actuation_fixtures import TICK_S, Head
from robot_fixtures import face, robots, wild_frames

from reactdiff_ros.actuation.actuation import Face, Status
from reactdiff_ros.actuation.drivers.driver import Axis
from reactdiff_ros.actuation.drivers.dynamixel import SCALE as DYNAMIXEL
from reactdiff_ros.actuation.drivers.feetech import SCALE as FEETECH
from reactdiff_ros.actuation.emulators.boards import MaestroBoard, OhbotBoard
from reactdiff_ros.actuation.emulators.servos import DynamixelBus, FeetechBus
from reactdiff_ros.actuation.robot.kinematics import SHORTEST

FAILINGS = ("silent", "mute", "bad_checksum", "nonsense", "overload", "hot", "voltage")


def happen(head, rng):
    """One thing that people, cables, servos, faces or the machine do; what was asked for."""
    what = rng.choice(["wish", "stop", "servo", "board", "cable", "face", "no face", "stall", "killed", "fault"])
    if what == "wish":
        return head.actuation.request(rng.choice(["enable", "enable", "enable", "disable", "reset", "reset"])).wish
    if what == "stop" and rng.random() < 0.3:
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
    elif what in ("face", "no face"):
        head.face = rng.choice([0.0, 1.0, -1.0, 0.5, 1e9, math.nan, math.inf], size=58) if what == "face" else None
    elif what == "stall" and rng.random() < 0.5:
        head.clock.now_s += float(rng.choice([0.05, 0.15, 0.6, 3.0]))
    elif what == "killed" and rng.random() < 0.3:
        head.start(head.actuation.to_save(), head.actuation.stopped)
    elif what == "fault" and rng.random() < 0.1:
        head.actuation.fail("somebody else publishes it")
    return None


def all_is_well(head):
    """Nothing fails any more; what was let go stays where it fell, and somebody puts it inside its range."""
    for servo in head.bus.servos.values():
        servo.motor.position = 2047.0
        for name in FAILINGS:
            setattr(servo.failing, name, False)
    head.board.silent = False
    head.plug()
    head.face = np.zeros(58)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_limits_hold_a_stop_stays_and_when_all_is_well_it_can_be_enabled_again(tmp_path, seed):
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
    all_is_well(head)
    head.run(2.0)
    head.ask("disable")
    head.ask("reset")
    assert head.run(20.0, until="disarmed")
    head.run(3.0)
    assert head.torques() == head.torque_told() == [False] * 4
    all_is_well(head)
    head.enable()
    assert head.status.commands.joint_faults == {}


# Wild faces through the whole actuator of every robot: what leaves for the hardware stays inside the limits.

COUNT = 1000 * int(os.environ.get("REACTDIFF_FUZZ") or 1)
"""Faces a robot: 30,000 in `make test-long`, 10^6 with REACTDIFF_FUZZ=1000."""
LATE_S = (0.0,) * 12 + (0.0002, 0.001, 0.004, 0.012)
"""By how much ticks are late while faces come."""
NOWHERE = dict.fromkeys(("x", "y", "z", "roll", "pitch", "yaw"), 0.0)


class Line:
    """The line to a robot in the network, and its newest message of each kind."""

    connected, lost, problem = True, 0, ""

    def __init__(self) -> None:
        self.newest: dict[str, Mapping[str, Any]] = {}
        self.wait = self.close = lambda *_: True
        self.request = lambda *_: {}

    def send(self, _name: str, kind: str, message: Mapping[str, Any]) -> None:
        self.newest[kind] = message


class Robot(Head):
    """Any robot, and what its hardware was told last: the emulated board's, the daemon's, the controller's."""

    def emulated(self) -> Any:
        self.clock._step_s = 0.0
        self.line, self._told = Line(), dict[str, float]()
        self.sent_s: dict[str, float] = {}
        """When the last command of each joint and driver left."""
        self.interval_s = 1.0
        """The shortest time between two commands of a driver."""
        kinds = {config.type for config in self.profile.drivers.values()}
        network = kinds & {"furhat", "reachy_mini", "joint_trajectory"}
        return SimpleNamespace(buses={}, calibrations={}, i2c=None) if network else super().emulated()

    def start(self, saved: dict[str, float] | None = None, stopped: bool = False) -> None:
        self.options["send"] = lambda _, names, positions: self._told.update(zip(names, positions, strict=True))
        super().start(saved, stopped)
        for name, driver in self.buses.items():
            if self.kind(name) == "joint_trajectory":
                driver.listeners = 1
            elif self.kind(name) in ("furhat", "reachy_mini"):
                driver._connect, driver._access = lambda: self.line, True
            driver.command = self._stamped(name, driver.command)

    def kind(self, driver: str) -> str:
        return self.profile.drivers[driver].type

    def _stamped(self, name: str, command: Any) -> Any:
        def stamped(positions: Mapping[str, float]) -> None:
            self.interval_s = min(self.interval_s, self.clock.now_s - self.sent_s.get(name, -1.0))
            self.sent_s.update(dict.fromkeys((name, *positions), self.clock.now_s))
            command(positions)

        return stamped

    def tick(self, now_s: float, shown: np.ndarray | None) -> Status:
        self.clock.now_s = max(self.clock.now_s, now_s)
        for name, driver in self.buses.items():
            self._measure(name, driver)
        if shown is not None:
            self.actuation.take(Face(shown, self.clock.now_s))
        status = self.actuation.tick(self.clock.now_s)
        self.actuation.look(0.002)
        return status

    def _measure(self, name: str, driver: Any) -> None:
        """Robots that say where they are do so: at once where they were told to be."""
        if self.kind(name) == "joint_trajectory":
            stands = {str(self.profile.joints[j].output.id): self.profile.joints[j].neutral for j in driver.axes}
            stands |= self._told
            driver.heard(list(stands), list(stands.values()), self.clock.now_s)
        elif self.kind(name) == "reachy_mini":
            pose = self.line.newest.get("pose", {})
            head, antennas = pose.get("target_head_pose", NOWHERE), pose.get("target_antennas", [0.0, 0.0])
            state = {"head_pose": head, "antennas_position": antennas, "control_mode": "enabled"}
            driver._on_message("state", state)

    def wire(self) -> dict[str, tuple[float, float]]:
        """What each joint was told last, in its unit, and the step in which it is told."""
        axes = {joint: (name, axis) for name, driver in self.buses.items() for joint, axis in driver.axes.items()}
        return {joint: self._wire(name, axis) for joint, (name, axis) in axes.items()}

    def _wire(self, name: str, axis: Axis) -> tuple[float, float]:
        output, bus = str(self.profile.joints[axis.joint].output.id), self.rig.buses.get(name)
        part = output.rpartition(".")[2]
        if self.kind(name) == "joint_trajectory":
            return self._told[output], 0.0
        if self.kind(name) == "furhat":
            turned, shown = self.line.newest.get("headpose", {}), self.line.newest["params"]["params"]
            return (-turned[part] if part != output else shown[output]), 1e-4
        if self.kind(name) == "reachy_mini":
            pose = self.line.newest["pose"]
            head = output.startswith("head.")
            return (pose["target_head_pose"][part] if head else pose["target_antennas"][part == "left"]), 0.0
        if isinstance(bus, OhbotBoard):
            return bus.motors[axis.id].servo.goal, 1000 / 180
        if isinstance(bus, (FeetechBus, DynamixelBus)):
            scale = FEETECH[bus.series] if isinstance(bus, FeetechBus) else DYNAMIXEL
            return scale.position(axis, bus.servos[axis.id].received[-1]), abs(scale.position(axis, scale.zero + 1))
        if isinstance(bus, MaestroBoard):
            us, step = bus.channels[axis.id].target / 4, 0.25
        else:
            config: Any = self.profile.drivers[name]
            us, step = self.rig.i2c.chips[config.address].pulse_us(axis.id), 1e6 / config.pulse_hz / 4096
        per, zero = (axis.pulse.us_per_unit, axis.pulse.zero_us) if axis.pulse else (1.0, 0.0)
        return (us - zero) / per, abs(step / per)

    def follows(self) -> float:
        """Enable it, with a face at rest; the time when it follows."""
        now_s, request = self.clock.now_s, None
        for tick in range(3000):
            now_s += 0.02
            status = self.tick(now_s, np.zeros(58))
            if tick == 60:
                request = self.actuation.request("enable")
            if status.state == "following":
                return now_s
        raise AssertionError(request and request.answer)


class Watch:
    """The worst that was seen on the wire."""

    def __init__(self, robot: Robot) -> None:
        joints = list(robot.profile.joints.values())
        self._robot, self._names = robot, list(robot.profile.joints)
        self._lower, self._upper = np.array([j.limits.position for j in joints]).T
        self._speed = np.array([j.limits.speed for j in joints])
        self._before, self._seen_s = self._wire()[0], np.full(len(joints), robot.clock.now_s)
        self.outside = self.speed = 0.0

    def _wire(self) -> np.ndarray:
        wire = self._robot.wire()
        return np.array([wire[n] for n in self._names]).T

    def see(self, status: Status) -> None:
        assert status.state in ("following", "returning"), status.message
        assert not status.commands.joint_faults
        assert status.stalls == 0
        value, step = self._wire()
        sent_s = np.array([self._robot.sent_s[n] for n in self._names])
        self.outside = max(self.outside, (self._lower - value).max(), (value - self._upper).max())
        # What is told may be two steps off, by going ahead and by rounding, now and before; and late on a slow line.
        moved = np.maximum(np.abs(value - self._before) - 4.0 * step, 0.0)
        self.speed = max(self.speed, (moved / (sent_s - self._seen_s) / self._speed).max())
        at_rest = np.abs(value - np.array(status.commands.position)) <= 2.0 * step + 1e-9
        self._seen_s, self._before = np.where(at_rest, sent_s, self._seen_s), value


ROBOTS = [*(r for r in robots() if r != "screen"), "feetech", "dynamixel"]
"""The shipped robots with hardware, and two heads with servos on a bus."""


@pytest.mark.timeout(24 * 3600)
@pytest.mark.parametrize("name", ROBOTS)
def test_whatever_face_comes_the_wire_stays_inside(name: str, tmp_path: Path) -> None:
    """Wild faces, ticks that are late, and gaps in which no face comes."""
    shipped = name in robots()
    robot = Robot(tmp_path, robot=name) if shipped else Robot(tmp_path, "type: feetech", f"type: {name}")
    rng = np.random.default_rng(1)
    frames, _ = wild_frames(rng, COUNT)
    due_s = robot.follows()
    watch, gap = Watch(robot), 0
    for frame in frames:
        due_s += 1.0 / robot.profile.rate_hz
        gap = gap - 1 if gap > 0 else int(rng.integers(30, 60)) if rng.random() < 0.005 else 0
        now_s = due_s if gap else max(due_s + float(rng.choice(LATE_S)), robot.clock.now_s)
        watch.see(robot.tick(now_s, None if gap else frame))
    assert watch.outside <= 1e-6
    assert watch.speed <= 1.0 + 1e-6
    assert robot.interval_s >= SHORTEST * 0.02 - 1e-9


@pytest.mark.parametrize("name", ["ohbot", "inmoov_head", "furhat", "generic_12servo", "opsoro_ono", "reachy_mini"])
def test_a_head_is_seen_to_return_within_200_ms(name: str, tmp_path: Path) -> None:
    """A neck alone, at rest anywhere in a step of its board: the first of its commands that differs."""
    robot = Robot(tmp_path, robot=name)
    now_s = robot.follows()
    for pitch in np.linspace(-0.2, 0.2, 24):
        for _ in range(60):
            now_s += 0.02
            robot.tick(now_s, face(headPitch=pitch))
        rest, face_s, moved = robot.wire(), now_s, []
        while not moved:
            now_s += 0.02
            robot.tick(now_s, None)
            moved = [n for n, (value, _) in robot.wire().items() if value != rest[n][0]]
            assert now_s < face_s + 0.4
        assert robot.sent_s[moved[0]] - face_s <= 0.2
