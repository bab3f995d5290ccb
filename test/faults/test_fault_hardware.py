"""What is done to emulated servos for a fault, and what their own watchdogs do."""

from __future__ import annotations

import time

import pytest

from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.profile import load_profile
from reactdiff_ros.evaluation.bench.emulated import EmulatedRobot
from reactdiff_ros.evaluation.faults import hardware
from reactdiff_ros.evaluation.faults.robot import BUS_HEAD, joints_of, profile_of


def now() -> float:
    return 5.0


def test_the_head_on_a_bus_is_a_robot_like_others():
    profile = profile_of(BUS_HEAD)
    assert hardware.on_a_bus(profile)
    assert not hardware.on_a_bus(load_profile("generic_12servo"))
    assert profile_of("generic_12servo").name == "generic_12servo"
    assert (joints_of(profile).lower < joints_of(profile).upper).all()


@pytest.mark.parametrize("failure", ["mute", "bad_checksum", "overload", "hot"])
def test_one_servo_fails_and_is_well_again(tmp_path, failure):
    rig = Rig(profile_of(BUS_HEAD), tmp_path, now)
    servos = list(rig.buses["bus"].servos.values())  # type: ignore[attr-defined]
    for wrong in (True, False):
        hardware.fail(rig, failure, wrong)
        assert [getattr(servo.failing, failure) for servo in servos] == [wrong] + [False] * 5


def test_all_are_deaf_and_mute_and_well_again(tmp_path):
    heads = [Rig(load_profile(name) if name != BUS_HEAD else profile_of(name), tmp_path, now)
             for name in ("generic_12servo", BUS_HEAD)]  # fmt: skip
    for wrong in (True, False):
        for rig in heads:
            hardware.hush(rig, wrong)
        board = heads[0].buses["maestro"]
        servos = heads[1].buses["bus"].servos.values()  # type: ignore[attr-defined]
        assert board.silent is wrong  # type: ignore[attr-defined]
        assert {servo.failing.silent for servo in servos} == {wrong}


def test_a_cable_is_pulled_and_put_back(tmp_path):
    with Rig(profile_of(BUS_HEAD), tmp_path, now) as rig:
        (wire,) = rig.wires.values()
        hardware.cable(rig, False)
        assert not wire.plugged
        hardware.cable(rig, True)
        assert wire.plugged


def test_a_board_that_hears_nothing_tells_when_its_watchdog_acted(tmp_path):
    profile = load_profile("generic_12servo")
    assert hardware.watchdog_due_s(profile) == 0.5
    assert hardware.watchdog_due_s(profile_of(BUS_HEAD)) is None
    rig = Rig(profile, tmp_path, now)
    board = rig.buses["maestro"]
    board.step(1.0)
    board.step(1.4)
    assert hardware.expired(rig) == []
    board.step(2.0)
    board.step(3.0)
    assert hardware.expired(rig) == [1.5]


def test_a_robot_in_its_own_process_is_told_and_answers(tmp_path):
    with EmulatedRobot(profile_of(BUS_HEAD), tmp_path) as robot:
        before_s = time.monotonic()
        assert robot.do(hardware.expired) == []
        assert robot.times() == []
        assert time.monotonic() > before_s
