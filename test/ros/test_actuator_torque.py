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

from reactdiff_ros.actuation.calibration.file import save_calibration
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
        low = profile.joints["neck"].lowered
        self.lowered = low if kind == "ohbot" else 2047 + low * 4096 / 360
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
        self.lowered = load_profile(self.path).joints["head_pitch"].lowered
        self.given: dict[str, str] = {}

    def holds(self) -> list[bool]:
        return [self.robot.mode != "disabled"]

    def neck(self) -> float:
        return float(self.robot.pose["pitch"])

    def close(self) -> None:
        self.robot.close()


class Restarted:
    """A robot whose actuator was killed while it followed, and started again."""

    def __init__(self, kind: str, folder: Path, **parameters: object) -> None:
        self.robot = Reachy(folder) if kind == "reachy_mini" else Servos(kind, folder)
        self.graph = RosGraph(folder)
        self.graph.listen(STATE)
        self._start: dict[str, Any] = {
            "robot": str(self.robot.path),
            "state_dir": str(folder / "state"),
            "lock_dir": str(folder),
            "answer_ms": 100.0,
            **self.robot.given,
            **parameters,
        }
        self.start()
        self.graph.connect(EXPRESSION)

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

    def call(self, name: str, **fields: Any) -> Any:
        kind = "std_srvs/SetBool" if name == "enable" else "std_srvs/Trigger"
        return self.graph.call(kind, f"/{NODE}/{name}", **fields)

    def follow_and_die(self) -> None:
        """Follow with the head up, then be killed."""
        self.graph.until(lambda: not self.said.obstacles, START_S, "no obstacles")
        answer = self.call("enable", data=True)
        assert answer.success, answer.message
        show_until(self.graph, "following")
        show_on(self.graph, 1.0, headPitch=-0.2, jawOpen=0.4)
        self.kill()
        assert all(self.robot.holds())

    def close(self) -> None:
        try:
            codes = self.graph.close()
        finally:
            self.robot.close()
        assert set(codes) <= {0}


@pytest.fixture(params=[*DRIVERS, "reachy_mini"])
def robot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restarted]:
    robot = Restarted(request.param, tmp_path)
    try:
        if request.param == "ohbot":
            assert robot.call("enable", data=False).success
        robot.follow_and_die()
        robot.start()
        yield robot
    finally:
        robot.close()


def test_torque_of_the_process_before_is_reported_and_let_go(robot: Restarted) -> None:
    for wish in ("disable", "stop"):
        said = robot.said
        print("after restart:", said.state, "armed", said.armed, "torque", list(said.torque), "message:", said.message)
        print("the hardware holds:", robot.robot.holds(), "neck at", round(robot.robot.neck(), 2))
        if wish == "stop":
            print("software_stop:", robot.call("software_stop"), "reset:", robot.call("reset"))
        else:
            print("enable false:", robot.call("enable", data=False))
        show_on(robot.graph, 3.0)
        print(
            "then the hardware holds:", robot.robot.holds(), "neck at", round(robot.robot.neck(), 2), robot.said.message
        )
