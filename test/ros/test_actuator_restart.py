"""actuator_node is killed while its robot has torque, and started again: what it says, and what lets go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from actuator_graph import NODE, PROFILE, STATE
from faces_shown import show_on, show_until
from network_robots import FakeReachy
from profile_parts import JAW, head_of
from ros_harness import START_S, RosGraph

from reactdiff_ros.actuation.calibration import save_calibration
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.profile import load_profile
from reactdiff_ros.resources import share_path

pytestmark = pytest.mark.ros

EXPRESSION = "listener/expression"
DRIVERS = {
    "feetech": "type: feetech",
    "dynamixel": "type: dynamixel, baud: 1000000, watchdog_s: 2.0",
    "ohbot": "type: ohbot, baud: 19200",
}
NECK = PROFILE[PROFILE.index("  neck:") :]
RAW = """\
  jaw:
    unit: raw
    group: jaw
    neutral: 500
    limits: {position: [300, 700], speed: 1000, acceleration: 20000, jerk: 900000}
    map: {sum: {jawOpen: 200}}
    on_fault: hold
    output: {driver: bus, id: 1}
  neck:
    unit: raw
    group: neck
    neutral: 420
    limits: {position: [140, 700], speed: 800, acceleration: 4000, jerk: 60000}
    map: {sum: {headPitch: -800}}
    on_fault: lower_then_release
    lowered: 160
    output: {driver: bus, id: 2}
"""


class Servos:
    """A jaw and a neck that would fall, emulated; `holds` and `neck` are what the hardware does."""

    def __init__(self, kind: str, folder: Path) -> None:
        joints = RAW if kind == "ohbot" else JAW + NECK
        port = folder / "tty_head_bus"
        self.path = folder / "head.yaml"
        self.path.write_text(f"{head_of('head')}drivers:\n  bus: {{{DRIVERS[kind]}, port: {port}}}\njoints:\n{joints}")
        profile = load_profile(self.path)
        self.rig = Rig(profile, folder, time.monotonic)
        save_calibration(folder / "calibration.json", self.rig.calibrations)
        self.given = {"calibration": str(folder / "calibration.json")}
        bus: Any = self.rig.buses["bus"]
        self._motors = (
            [bus.motors[n].servo for n in (1, 2)] if kind == "ohbot" else [s.motor for s in bus.servos.values()]
        )
        low = float(profile.joints["neck"].lowered or 0.0)
        self.lowered = low if kind == "ohbot" else 2047 + low * 4096 / 360
        self.near = 6.0
        """What is rounded, in counts."""
        self.rig.__enter__()

    def holds(self) -> list[bool]:
        return [motor.torque for motor in self._motors]

    def neck(self) -> float:
        return float(self._motors[1].position)

    def close(self) -> None:
        self.rig.__exit__()


class Reachy:
    """The fake daemon, whose head falls by its pitch."""

    def __init__(self, folder: Path) -> None:
        self.robot = FakeReachy()
        self.path = folder / "reachy_mini.yaml"
        text = (share_path("config/robots") / "reachy_mini.yaml").read_text()
        self.path.write_text(text.replace("port: 8000", f"port: {self.robot.port}"))
        self.lowered = float(load_profile(self.path).joints["head_pitch"].lowered or 0.0)
        self.near = 0.02
        self.given: dict[str, str] = {}

    def holds(self) -> list[bool]:
        return [self.robot.mode != "disabled"]

    def neck(self) -> float:
        return float(self.robot.pose["pitch"])

    def close(self) -> None:
        self.robot.close()


class Restarted:
    """A robot, and its actuator, which may be killed and started again."""

    def __init__(self, robot: Servos | Reachy, folder: Path, **parameters: object) -> None:
        self.robot = robot
        self.graph = RosGraph(folder)
        self.graph.listen(STATE)
        self._start: dict[str, Any] = {
            "robot": str(robot.path),
            "state_dir": str(folder / "state"),
            "lock_dir": str(folder),
            "answer_ms": 100.0,
            **robot.given,
            **parameters,
        }

    @property
    def said(self) -> Any:
        return self.graph.received[STATE][-1]

    def start(self) -> None:
        self.graph.received[STATE].clear()
        self.graph.diagnostics.clear()
        self.node = self.graph.start(NODE, **self._start)
        self.graph.wait_active(NODE)
        opened = lambda: self.graph.received[STATE] and "being opened" not in self.said.message  # noqa: E731
        self.graph.until(opened, START_S, "its hardware was asked")

    def kill(self) -> None:
        self.node.process.kill()
        self.node.process.wait()
        self.graph.processes.remove(self.node)
        # What it sent before is not taken for the next one's.
        end_s = time.monotonic() + 1.0
        self.graph.until(lambda: time.monotonic() > end_s, what="its last messages")

    def call(self, name: str, **fields: Any) -> Any:
        kind = "std_srvs/SetBool" if name == "enable" else "std_srvs/Trigger"
        return self.graph.call(kind, f"/{NODE}/{name}", **fields)

    def follow(self) -> None:
        """Enable, and follow with the head up."""
        self.graph.connect(EXPRESSION)
        self.graph.until(lambda: not self.said.obstacles, START_S, "no obstacles")
        answer = self.call("enable", data=True)
        assert answer.success, answer.message
        show_until(self.graph, "following")
        show_on(self.graph, 1.0, headPitch=-0.2, jawOpen=0.4)

    def let_go(self) -> None:
        """Wait until the hardware holds no more, and check that it was lowered first."""
        self.graph.until(lambda: not any(self.robot.holds()), what="the hardware lets go")
        assert self.robot.neck() == pytest.approx(self.robot.lowered, abs=self.robot.near)
        self.graph.until(lambda: not any(self.said.torque), what="that is reported")
        assert self.said.state == "disarmed"

    def __enter__(self) -> Restarted:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            codes = self.graph.close()
        finally:
            self.robot.close()
        assert set(codes) <= {0}


def robot_of(kind: str, folder: Path) -> Servos | Reachy:
    return Reachy(folder) if kind == "reachy_mini" else Servos(kind, folder)


@pytest.fixture
def restarted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restarted]:
    """A robot whose actuator was killed while it followed, and started again."""
    with Restarted(robot_of(request.param, tmp_path), tmp_path) as robot:
        robot.follow()
        robot.kill()
        assert all(robot.robot.holds())
        robot.start()
        yield robot


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("dynamixel", "ohbot")]


@pytest.mark.parametrize("restarted", ["feetech", "reachy_mini", *SLOW], indirect=True)
def test_torque_of_a_killed_actuator_is_reported_lowered_and_let_go(restarted: Restarted) -> None:
    stands = restarted.robot.neck()
    restarted.graph.spin(1.0)
    said = restarted.said
    assert (said.state, said.armed, list(said.obstacles)) == ("disarmed", False, [])
    assert all(said.torque)
    if "torque is on" in said.message:
        warned = lambda: "torque is on although the robot is disarmed" in restarted.graph.sentence(NODE)  # noqa: E731
        restarted.graph.until(warned, what="a warning in the diagnostics")
    else:
        assert "jaw, neck: torque is unknown, may hold" in said.message
    assert restarted.robot.neck() == pytest.approx(stands, abs=restarted.robot.near)
    answer = restarted.call("enable", data=False)
    assert answer.success
    assert "lowered first, then let go" in answer.message
    restarted.let_go()
    assert restarted.said.message == "disarmed: it can be enabled"


@pytest.mark.parametrize("restarted", ["ohbot", pytest.param("reachy_mini", marks=pytest.mark.slow)], indirect=True)
def test_a_stop_after_a_kill_holds_until_a_reset_lowers_and_lets_go(restarted: Restarted) -> None:
    stands = restarted.robot.neck()
    assert restarted.call("software_stop").success
    restarted.graph.until(lambda: restarted.said.state == "stopped", what="stopped")
    assert all(restarted.robot.holds())
    assert all(restarted.said.torque)
    disable = restarted.call("enable", data=False)
    assert not disable.success
    assert "may have torque" in disable.message
    assert restarted.robot.neck() == pytest.approx(stands, abs=restarted.robot.near)
    assert restarted.call("reset").success
    restarted.let_go()


@pytest.mark.parametrize("restarted", ["feetech"], indirect=True)
def test_an_actuator_that_enabled_nothing_lowers_and_lets_go_at_its_end(restarted: Restarted) -> None:
    assert restarted.node.stop() == 0
    assert not any(restarted.robot.holds())
    assert restarted.robot.neck() == pytest.approx(restarted.robot.lowered, abs=restarted.robot.near)


def test_a_stop_that_was_answered_survives_a_kill_in_the_next_millisecond(tmp_path: Path) -> None:
    with Restarted(Servos("ohbot", tmp_path), tmp_path) as robot:
        answer = robot.call("software_stop")
        robot.kill()
        assert (answer.success, answer.message) == (True, "stopped, until reset")
        robot.start()
        assert (robot.said.state, robot.said.software_stop) == ("stopped", True)
        assert not robot.call("enable", data=True).success
        assert robot.call("reset").success
        robot.kill()
        robot.start()
        assert (robot.said.state, robot.said.software_stop) == ("disarmed", False)


def test_a_stop_that_cannot_be_kept_acts_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Restarted(Servos("feetech", tmp_path), tmp_path, state_dir=str(tmp_path / "file")) as robot:
        answer = robot.call("software_stop")
        assert answer.success
        assert answer.message.startswith("stopped, until reset, but a software stop cannot be kept")
        robot.graph.until(lambda: robot.said.state == "stopped", what="stopped")


def test_auto_enable_does_not_act_again_after_a_crash(tmp_path: Path) -> None:
    with Restarted(Servos("feetech", tmp_path), tmp_path, auto_enable=True) as robot:
        robot.graph.connect(EXPRESSION)
        show_until(robot.graph, "following")
        robot.kill()
        robot.start()
        show_on(robot.graph, 4.0, jawOpen=0.5)
        assert robot.said.state == "disarmed"
        assert "auto_enable has acted" in robot.node.log
        assert all(robot.said.torque)
        assert robot.call("enable", data=True).success
        show_until(robot.graph, "following")


def test_a_reachy_mini_that_goes_stops_and_is_found_again(tmp_path: Path) -> None:
    reachy = Reachy(tmp_path)
    with Restarted(reachy, tmp_path) as robot:
        assert (reachy.robot.modes, reachy.robot.got) == ([], [])
        robot.follow()
        assert reachy.robot.modes == ["enabled"]
        assert reachy.robot.got[0]["target_head_pose"]["pitch"] == pytest.approx(0.3, abs=0.02)  # from where it is
        reachy.robot.talks = False
        show_until(robot.graph, "stopped")
        assert "its daemon says nothing of where it is" in robot.said.fault
        reachy.robot.talks = True
        show_on(robot.graph, 1.0)
        assert robot.said.state == "stopped"
        assert robot.call("reset").success
        show_until(robot.graph, "disarmed")
        robot.follow()
        robot.call("enable", data=False)
        robot.let_go()
        assert reachy.robot.modes[-1] == "disabled"
