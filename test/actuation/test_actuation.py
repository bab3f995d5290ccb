"""Enabling, following, stopping and faults of a robot with its drivers, on a clock that is turned by hand."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from actuation_fixtures import TICK_S, Head

from reactdiff_ros.actuation.actuation import Face
from reactdiff_ros.actuation.robot.calibration import Calibration

JOINTS = ("eye", "lid", "jaw", "neck")


@pytest.fixture
def head(tmp_path):
    """A head that follows."""
    return Head(tmp_path).enable()


def steps_are_allowed(head):
    for joint in JOINTS:
        assert all(abs(step) <= head.largest_step(joint) for step in head.steps(joint)), joint


def test_active_is_watching_and_enabling_starts_where_the_joints_stand(tmp_path):
    head = Head(tmp_path, stands={1: 2047.0 + 100, 2: 2047.0 - 120})
    head.run(1.5)
    assert head.state == "disarmed"
    assert head.actuation.state.obstacles == ()
    assert head.actuation.state.measured[2:] == pytest.approx([8.79, -10.55], abs=0.01)
    assert not head.torque(1)
    assert head.board.channels[0].received == []
    request = head.ask("enable")
    assert request.granted
    assert request.answer == "enabled. Nothing notices it when this computer dies: a"
    assert head.goals(1)[0] == 2147
    assert head.goals(2)[0] == 1927
    assert head.run(10.0, until="following")
    head.show(jawOpen=0.5, headPitch=0.2)
    head.run(1.0)
    assert head.actuation.state.commands.position[2] == pytest.approx(10.0)
    assert head.actuation.state.measured[2] == pytest.approx(10.0, abs=0.1)
    steps_are_allowed(head)


def test_joints_without_feedback_begin_one_after_the_other_at_what_was_saved(tmp_path):
    head = Head(tmp_path, saved={"eye": 1400.0, "lid": 1250.0})
    head.enable()
    eye, lid = head.board.channels[0].received, head.board.channels[1].received
    assert (eye[0], lid[0]) == (4 * 1400, 4 * 1250)
    began = [next(s.time_s for s in head.log if s.commands.torque[i]) for i in (0, 1)]
    assert began[1] - began[0] >= 0.25
    assert head.actuation.to_save() == {"eye": 1500.0, "lid": 1500.0}
    steps_are_allowed(head)


def test_what_is_not_calibrated_is_not_enabled(tmp_path):
    head = Head(tmp_path, uncalibrated=("lid", "jaw"))
    head.run(1.5)
    request = head.ask("enable")
    assert not request.granted
    assert request.answer == "not calibrated: lid, jaw: reactdiff robot calibrate"
    assert head.state == "disarmed"
    assert not head.torque(2)


def test_a_joint_outside_its_range_prevents_enabling_and_nothing_keeps_torque(tmp_path):
    head = Head(tmp_path, stands={1: 2047.0, 2: 3500.0})
    head.run(1.5)
    (obstacle,) = head.actuation.state.obstacles
    assert re.match(r"neck is at 127\.\d deg, outside its limits -?\d+ to \d+: bring it inside by hand", obstacle)
    assert head.actuation.state.message == f"cannot be enabled: {obstacle}"
    request = head.ask("enable")
    assert not request.granted
    assert request.answer == obstacle
    head.run(0.2)
    assert head.state == "disarmed"
    assert head.torques()[2:] == [False, False]


def test_a_narrow_calibration_is_a_limit_that_motion_slows_down_for(tmp_path):
    head = Head(
        tmp_path, calibrated={"jaw": Calibration(1, 0, 0, 2000, 2047 + 114), "lid": Calibration(1, 0, 0, 1450, 1550)}
    )
    head.run(1.5)
    request = head.ask("enable")
    assert "calibrated for less than its limits: lid, jaw" in request.answer
    assert head.run(20.0, until="following")
    head.show(jawOpen=1.0, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
    began = len(head.log)
    head.run(1.0)
    commands = head.actuation.state.commands
    assert commands.limited[1:3] == [True, True]
    assert head.goals(1)[-1] == 2047 + 114
    assert commands.position[2] == pytest.approx(114 * 360 / 4096, abs=0.1)
    assert 1450.0 <= commands.position[1] <= 1550.0
    for i, name in ((1, "lid"), (2, "jaw")):
        limits = head.profile.joints[name].limits
        speeds = [0.0, *(status.commands.velocity[i] for status in head.log[began:])]
        assert max(map(abs, speeds)) > 0.0
        most = limits.acceleration * TICK_S * (1 + 1e-6)
        assert all(abs(b - a) <= most for a, b in itertools.pairwise(speeds)), name


def test_a_calibration_that_is_not_around_neutral_prevents_enabling(tmp_path):
    head = Head(tmp_path, calibrated={"jaw": Calibration(1, 0, 0, 2100, 2274)}, stands={1: 2150.0, 2: 2047.0})
    head.run(1.5)
    request = head.ask("enable")
    assert not request.granted
    assert request.answer == "jaw: its calibrated range is not around its neutral position: calibrate again"
    assert head.torques()[2:] == [False, False]


def test_a_joint_that_stands_a_little_outside_comes_in_slowly(tmp_path):
    outside = 2047 - 10  # 0.9 degrees; 5 % of its range is 1 degree
    head = Head(tmp_path, stands={1: float(outside), 2: 2047.0})
    head.enable()
    goals = head.goals(1)
    assert goals[0] == outside
    most = head.largest_step("jaw") * 4096 / 360 / 4 + 1.0
    assert all(abs(b - a) <= most for a, b in itertools.pairwise(goals))
    head.run(0.5)
    assert head.goals(1)[-1] == 2047


def test_after_a_stall_no_joint_goes_back_to_where_it_was_measured_before(head, monkeypatch):
    head.show(jawOpen=1.0, headPitch=0.4)
    head.run(0.1)
    before = [head.goals(number)[-1] for number in (1, 2)]
    at = dict(zip(JOINTS, head.actuation.state.commands.position, strict=True))
    with monkeypatch.context() as patch:
        patch.setattr(head.hardware, "poll", lambda budget_s: None)  # no answer comes in time
        head.clock.now_s += 0.15
        head.run(TICK_S)
    assert head.actuation.state.stalls == 1
    for number, name, goal in zip((1, 2), ("jaw", "neck"), before, strict=True):
        assert abs(head.goals(number)[-1] - goal) * 360 / 4096 <= head.largest_step(name)
    now = dict(zip(JOINTS, head.actuation.state.commands.position, strict=True))
    assert all(abs(now[n] - at[n]) <= 0.1 * head.largest_step(n) for n in ("jaw", "neck"))


def test_no_port_is_said_every_joint_may_hold_and_what_comes_later_is_found(tmp_path):
    head = Head(tmp_path, plugged=False)
    head.run(0.5)
    assert "there is no such port" in head.actuation.state.message
    assert "eye, lid, jaw, neck: torque is unknown, may hold" in head.actuation.state.message
    assert head.torque_told() == [None] * 4
    assert not head.ask("enable").granted
    head.plug()
    head.run(3.0)
    assert head.torque_told() == [False] * 4
    assert head.actuation.state.message == "disarmed: it can be enabled"
    head.enable()


def test_stale_input_returns_to_neutral_and_both_times_are_told(head):
    head.show(jawOpen=1.0, headPitch=0.4)
    head.run(1.0)
    last_s, head.face = head.actuation.state.time_s, None
    assert head.run(1.0, until="returning")
    assert 0.13 <= head.actuation.state.time_s - last_s <= 0.2
    head.run(3.0)
    commands = head.actuation.state.commands
    assert 0.13 <= commands.return_began_s <= 0.2
    assert 0.1 < commands.return_took_s < 2.0
    assert commands.position == pytest.approx([1500.0, 1500.0, 0.0, 0.0], abs=1e-6)
    steps_are_allowed(head)
    head.show(jawOpen=0.5)
    head.run(0.1)
    assert head.state == "following"


def test_a_software_stop_wins_is_latched_and_cleared_by_reset_alone(head):
    head.show(headPitch=0.5)
    head.run(0.2)
    # Asked for last, and still before everything that waits.
    wishes = [head.actuation.request(wish) for wish in ("disable", "enable", "software_stop")]
    head.run(TICK_S)
    assert head.state == "stopped"
    assert head.actuation.state.software_stop
    assert head.actuation.stopped
    assert head.actuation.state.message.startswith(
        "stopped by a person, until reset; eye, lid, jaw, neck: torque is on"
    )
    assert all(r.done for r in wishes)
    assert not wishes[1].granted
    head.run(2.0)
    assert head.state == "stopped"
    assert head.torque(2)  # the profile holds
    assert not any(head.actuation.state.commands.velocity)
    assert not head.ask("enable").granted
    head.ask("disable")
    assert head.state == "stopped"
    assert head.ask("reset").granted
    assert not head.actuation.state.software_stop
    assert head.run(10.0, until="disarmed")
    assert head.actuation.state.measured[3] == pytest.approx(25.0, abs=0.2)  # lowered before it was let go
    assert not head.torque(2)
    steps_are_allowed(head)


def test_the_profile_may_release_at_a_stop(tmp_path):
    head = Head(tmp_path, "software_stop: hold", "software_stop: release")
    head.enable()
    head.ask("software_stop")
    assert head.torques()[2:] == [False, False]
    assert head.board.channels[0].target == 0


def test_a_stop_while_it_is_being_enabled_gives_no_torque(tmp_path):
    head = Head(tmp_path)
    head.run(1.5)
    enable = head.actuation.request("enable")
    head.run(TICK_S)
    assert head.state == "preparing"
    head.actuation.request("software_stop")
    head.run(0.2)
    assert head.state == "stopped"
    assert enable.done
    assert not enable.granted
    assert not head.torque(1)


def test_disabling_lowers_what_would_fall(head):
    head.ask("disable")
    assert head.state == "lowering"
    assert head.torque(2)
    assert head.run(10.0, until="disarmed")
    head.run(TICK_S)
    assert head.actuation.state.measured[3] == pytest.approx(25.0, abs=0.2)
    assert head.torques()[2:] == [False, False]
    head.enable()
    steps_are_allowed(head)


@pytest.mark.parametrize(("failing", "words"), [("hot", "too hot"), ("overload", "overload")])
def test_a_joint_in_trouble_does_its_part_and_the_face_goes_on(head, failing, words):
    setattr(head.bus.servos[2].failing, failing, True)
    head.show(jawOpen=0.5, headPitch=0.2)
    head.run(3.0)
    status = head.actuation.state
    assert status.state == "following"
    assert words in status.message
    assert status.message.startswith("goes on without neck:")
    assert status.commands.position[2] == pytest.approx(10.0)
    assert status.commands.position[3] == pytest.approx(25.0)  # lowered
    assert status.commands.torque == [True, True, True, False]
    steps_are_allowed(head)


def test_a_cable_that_is_pulled_and_put_back_makes_no_jump(head):
    head.show(jawOpen=0.5, headPitch=0.3)
    head.run(1.0)
    head.bus_wire.pull()
    head.run(0.5)
    assert head.actuation.state.message == "goes on without jaw, neck: its port is gone: is the cable in?"
    assert head.state == "following"
    sent = len(head.goals(1)), len(head.goals(2))
    head.show(jawOpen=0.0, headPitch=-0.3)
    head.run(1.0)
    head.bus_wire.plug()
    head.run(3.0)
    assert (len(head.goals(1)), len(head.goals(2))) == sent  # until somebody enables it again
    assert head.torque(2)  # it never heard how it was lowered: it would fall
    before = head.goals(2)[-1]
    head.ask("disable")
    assert head.run(10.0, until="disarmed")
    assert head.actuation.state.measured[3] == pytest.approx(25.0, abs=0.2)  # lowered now, then let go
    assert head.torques()[2:] == [False, False]
    head.enable()
    goals = head.goals(2)[sent[1] :]
    assert abs(goals[0] - before) <= 2
    largest = head.largest_step("neck") * 4096 / 360 + 1
    assert max(abs(b - a) for a, b in itertools.pairwise(goals)) <= largest


def test_all_hardware_gone_is_a_stop_and_may_hold_until_it_reports_again(head):
    head.pull()
    head.run(1.0)
    assert head.state == "stopped"
    assert "its port is gone" in head.actuation.state.message
    assert head.torque_told() == [None] * 4
    head.plug()
    head.run(3.0)
    assert head.state == "stopped"
    assert head.torque_told() == head.torques()
    assert head.ask("reset").granted
    head.run(10.0, until="disarmed")
    head.enable()


def test_half_of_the_bus_gone_before_enabling(tmp_path):
    head = Head(tmp_path)
    head.bus.servos[2].failing.silent = True
    head.run(2.0)
    request = head.ask("enable")
    assert request.granted
    assert request.answer.startswith("enabled without neck: it does not answer")
    assert head.run(10.0, until="following")
    head.bus.servos[2].failing.silent = False
    head.run(1.0)
    assert not head.torque(2)
    # Disabled and enabled again, it is there.
    head.ask("disable")
    head.run(10.0, until="disarmed")
    assert head.ask("enable").answer.startswith("enabled. Nothing")


def test_after_a_stall_nothing_is_made_up_for(head):
    head.show(headPitch=0.5)
    head.run(0.1)
    before = len(head.goals(2))
    head.clock.now_s += 0.3
    head.run(TICK_S)
    assert len(head.goals(2)) <= before + 1
    assert head.actuation.state.stalls == 1
    assert head.state == "following"
    measured = head.actuation.state.measured[3]
    assert abs(head.actuation.state.commands.position[3] - measured) < head.largest_step("neck")


def test_a_long_stall_disarms(head):
    head.clock.now_s += 2.0
    head.run(TICK_S)
    assert head.state in ("lowering", "disarmed")
    assert head.run(10.0, until="disarmed")
    assert head.actuation.state.stalls == 1


def test_obstacles_and_faults_from_outside(tmp_path):
    head = Head(tmp_path)
    head.run(1.5)
    head.actuation.obstacle("writers", "/a and /b publish it")
    head.actuation.fail("/a and /b publish it")
    head.run(0.1)
    assert head.state == "disarmed"
    assert head.ask("enable").answer == "/a and /b publish it"
    head.actuation.obstacle("writers", "")
    head.enable()
    head.actuation.fail("/a and /b publish it")
    head.run(3.0)
    assert head.state == "stopped"
    assert "/a and /b publish it" in head.actuation.state.message
    assert not any(head.actuation.state.commands.torque[i] for i in (0, 1, 3))  # release, release, lowered
    assert head.actuation.state.commands.torque[2]  # hold


def test_the_end_lets_go_what_does_not_fall(head):
    head.actuation.end()
    assert not head.torque(1)
    assert head.torque(2)
    assert head.board.channels[0].target == 0


def test_a_face_that_comes_while_a_tick_has_begun_is_a_new_one(head):
    now_s = head.clock.now_s
    head.actuation.take(Face(np.zeros(58), now_s + 0.002, 0.001))
    status = head.actuation.tick(now_s)
    assert status.state == "following"
    assert math.isnan(status.commands.return_began_s)
    assert status.input_age_s == 0.0


def test_a_servo_that_got_torque_and_did_not_say_so_is_let_go(tmp_path):
    head = Head(tmp_path)
    head.run(1.5)
    jaw = head.bus.servos[1]
    heard = head.bus.receive

    def mute_once_it_has_torque(data: bytes, now_s: float) -> bytes:
        said = heard(data, now_s)
        if jaw.table[40] and not jaw.failing.mute:
            jaw.failing.mute = True
            return b""
        return said

    head.bus.receive = mute_once_it_has_torque
    request = head.ask("enable")
    assert request.granted
    assert "without jaw" in request.answer
    assert head.torque(2)
    assert not head.torque(1)
