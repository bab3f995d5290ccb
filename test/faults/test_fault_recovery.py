"""How the harness has a robot enabled again after a fault, and what it then says of the actuator's answers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.faults import run
from reactdiff_ros.evaluation.faults.run import FaultRun


class Robot(FaultRun):
    """A robot that answers as it is told, on a clock that `_until` turns."""

    def __init__(self, state: str, *, resets: list[str], enables: list[str], new_is_well: bool = True) -> None:
        self.state, self.now_s, self.whole = state, 0.0, True
        self._resets, self._enables, self._new_is_well = resets, enables, new_is_well
        self._say = lambda sentence: None
        self._bench = SimpleNamespace(reset_robot=self.reset)
        self._lab = SimpleNamespace(kill=self.kill)

    def reset(self, seconds: float) -> str:
        refusal = self._resets.pop(0) if self._resets else ""
        if refusal:
            raise ReactdiffError(refusal)
        self.state = "disarmed"
        return "cleared"

    def kill(self, node: str) -> None:
        self.state = "disarmed"
        if self._new_is_well:
            self._enables.clear()

    def _robot_state(self) -> str:
        return self.state

    def _whole(self) -> bool:
        return self.whole

    def _ask_robot(self, *, enabled: bool = True) -> str:
        if not enabled:
            self.state, self.whole = "disarmed", True
            return ""
        refusal = self._enables.pop(0) if self._enables else ""
        if not refusal:
            self.state = "following"
        return refusal

    def _until(self, condition, limit_s):
        self.now_s += limit_s
        return condition()


@pytest.fixture
def clock(monkeypatch):
    def of(robot):
        monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: robot.now_s))
        return robot

    return of


def test_a_robot_that_is_reset_and_enabled_has_nothing_to_be_said_of(clock):
    assert clock(Robot("following", resets=[], enables=[]))._enabled_again() == []
    assert clock(Robot("stopped", resets=[], enables=[]))._enabled_again() == []
    # For 20 s the face that was killed is seen beside the new one.
    assert clock(Robot("stopped", resets=[], enables=["two publish"] * 3))._enabled_again() == []


def test_a_robot_that_follows_without_a_joint_is_disabled_and_enabled_with_it(clock):
    robot = clock(Robot("following", resets=[], enables=[]))
    robot.whole = False
    assert robot._enabled_again() == []
    assert (robot.state, robot.whole) == ("following", True)


def test_a_reset_that_is_refused_is_said_once(clock):
    robot = clock(Robot("stopped", resets=["the robot is armed", "the robot is armed"], enables=[]))
    assert robot._enabled_again() == ["the robot is armed"]


def test_a_robot_that_only_a_new_actuator_enables_is_said_with_its_answer(clock):
    (found,) = clock(Robot("stopped", resets=[], enables=["its board went home"] * 99))._enabled_again()
    assert "without a new actuator" in found
    assert "its board went home" in found


def test_a_robot_that_is_never_enabled_loses_no_figures(clock):
    found = clock(Robot("disarmed", resets=[], enables=["no"] * 99, new_is_well=False))._enabled_again()
    assert len(found) == 1
    assert "does not follow" in found[0]
