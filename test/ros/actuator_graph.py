"""The actuator in a process of its own, before emulated servos that note when they are told what."""

from __future__ import annotations

import itertools
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from faces_shown import show_on
from profile_parts import JAW, head_of
from ros_harness import START_S, RosGraph

from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.robot.calibration import save_calibration
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.evaluation.bench.emulated import PRIORITY, Stamped

NODE, STATE, EXPRESSION = "actuator_node", "actuator/state", "listener/expression"
PROFILE = (
    head_of("head")
    + """\
head: {pitch: {neck: 0.01745329}}
drivers:
  board: {type: maestro, port: BOARD, timeout_s: 1.5}
  bus: {type: feetech, port: BUS}
joints:
  brow:
    unit: us
    group: brows
    neutral: 1500
    limits: {position: [1300, 1700], speed: 2000, acceleration: 30000, jerk: 900000}
    map: {sum: {browInnerUp: 200}}
    on_fault: release
    output: {driver: board, id: 0}
"""
    + JAW
    + """\
  neck:
    unit: deg
    group: neck
    neutral: 0
    limits: {position: [-30, 30], speed: 90, acceleration: 400, jerk: 6000}
    map: {sum: {headPitch: 57.3}}
    on_fault: lower_then_release
    lowered: 25
    output: {driver: bus, id: 2}
"""
)
LOWERED = pytest.approx(2047 + 25 * 4096 / 360, abs=6.0)
"""Counts at which the neck may be let go."""
JAW_COUNTS_A_TICK = 120 / 50 * 4096 / 360 + 1  # counts are rounded
"""What the jaw's speed limit allows between two commands."""


class Bench:
    """Rig, graph and node."""

    def __init__(self, folder: Path) -> None:
        path = folder / "head.yaml"
        tty = folder / "tty_head_"
        path.write_text(PROFILE.replace("BOARD", f"{tty}board").replace("BUS", f"{tty}bus"))
        self.rig = Rig(load_profile(path), folder, time.monotonic)
        self.jaw, self.neck = (self.rig.buses["bus"].servos[n] for n in (1, 2))  # type: ignore[attr-defined]
        self.brow = self.rig.buses["board"].channels[0]  # type: ignore[attr-defined]
        for device in (self.jaw, self.neck, self.brow):
            device.received = Stamped()
        save_calibration(folder / "calibration.json", self.rig.calibrations)
        self.graph = RosGraph(folder)
        self.graph.listen(STATE)
        self._start = {
            "robot": path, "calibration": folder / "calibration.json", "state_dir": folder / "state",
            "lock_dir": folder, "answer_ms": 40.0, "state_hz": 50.0,
        }  # fmt: skip

    def __enter__(self) -> Bench:
        # Servos do not wait for the computer: their threads, and what shares Python's lock with them, come first.
        self._schedule(os.SCHED_FIFO, PRIORITY)
        self.rig.__enter__()
        self._schedule(os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, PRIORITY)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.codes = self.graph.close()
        finally:
            self.rig.__exit__()
            self._schedule(os.SCHED_OTHER, 0)

    @staticmethod
    def _schedule(policy: int, priority: int) -> None:
        """How this thread and those that it starts are scheduled, where the account may choose."""
        with suppress(OSError):
            os.sched_setscheduler(0, policy, os.sched_param(priority))

    def start(self, **parameters: object) -> None:
        """Start the node, with further parameters."""
        self.node: Any = self.graph.start(NODE, **self._start | parameters)
        self.graph.wait_active(NODE)
        self.graph.until(lambda: self.graph.received[STATE], what="its state")

    def hush(self) -> None:
        """The test publishes no faces any more, until it shows one."""
        publisher = self.graph._publishers.pop(EXPRESSION, None)
        if publisher is not None:
            self.graph.node.destroy_publisher(publisher)

    @property
    def said(self) -> Any:
        """The newest actuator/state."""
        return self.graph.received[STATE][-1]

    def until(self, state: str) -> None:
        """Until the robot says that state; faces come meanwhile."""
        end_s = time.monotonic() + START_S
        while not self.graph.received[STATE] or self.said.state != state:
            if time.monotonic() > end_s:
                pytest.fail(f"not {state}: {self.graph.received[STATE][-1:]}\n{self.node.log[-3000:]}")
            self.show(0.1)

    def show(self, seconds: float, **coefficients: float) -> None:
        """Publish a face at 50 Hz, without bursts after a delay."""
        self.graph.connect(EXPRESSION)
        show_on(self.graph, seconds, **coefficients)

    def call(self, name: str, **fields: Any) -> Any:
        """One of the node's services."""
        kind = "std_srvs/SetBool" if name == "enable" else "std_srvs/Trigger"
        return self.graph.call(kind, f"/{NODE}/{name}", **fields)

    def refusal(self, **fields: Any) -> str:
        """The sentence with which `enable` refuses: one that takes its time is asked again."""
        while (answer := self.call("enable", **fields)).message.startswith("under way"):
            pass
        assert not answer.success, answer.message
        return str(answer.message)

    def disarm(self) -> None:
        """As at the beginning of a test: reset, without torque."""
        self.call("reset")
        self.call("enable", data=False)
        self.until("disarmed")
        self.graph.until(lambda: not any(self.holds()), what="no torque")

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the node; the exit status. What it sent before is not taken for the next one's."""
        self.graph.processes.remove(self.node)
        code = self.node.stop(number)
        self.graph.spin(1.0)
        self.graph.received[STATE].clear()
        self.graph.diagnostics.clear()
        return int(code)

    def restart(self, **parameters: object) -> None:
        """Kill it and start the next one."""
        self.end(signal.SIGKILL)
        self.start(**parameters)
        self.graph.until(lambda: "being opened" not in self.said.message, START_S, "its hardware was asked")

    def holds(self) -> list[bool]:
        """Whether jaw and neck have torque."""
        return [self.jaw.motor.torque, self.neck.motor.torque]

    def enable(self) -> None:
        """Until it follows."""
        self.until("disarmed")
        self.graph.until(lambda: not self.said.obstacles, what="no obstacles")
        answer = self.call("enable", data=True)
        assert answer.success, answer.message
        self.until("following")

    def jaw_is_within_its_speed(self, since: int = 0) -> None:
        """Check the jaw's goals from this one on; the first goals of an arming are where it stands."""
        goals = list(self.jaw.received)[since:]
        assert max((abs(b - a) for a, b in itertools.pairwise(goals)), default=0) <= JAW_COUNTS_A_TICK
