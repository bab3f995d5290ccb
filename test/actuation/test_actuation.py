"""Enabling, following, stopping and faults of a robot with its drivers, on a clock that is turned by hand."""

import math

import numpy as np
import pytest
from actuation_fixtures import TICK_S, Head

from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.tracking import Tracking


@pytest.fixture
def head(tmp_path):
    """A head that follows."""
    return Head(tmp_path).enable()


def test_it_is_enabled_where_joints_stand_comes_in_slowly_follows_and_lowers_what_would_fall(tmp_path):
    outside = 2047 - 10  # 0.9 degrees below its limit; 5 % of its range is 1 degree
    head = Head(tmp_path, saved={"eye": 1400.0, "lid": 1250.0}, stands={1: outside, 2: 2047.0 - 120})
    head.run(1.5)
    assert (head.state, head.status.obstacles) == ("disarmed", ())
    assert head.status.measured[2:] == pytest.approx([-0.88, -10.55], abs=0.01)
    assert head.torques() == [False] * 4
    eye, lid = (channel.received for channel in head.board.channels[:2])
    assert eye == []
    assert head.ask("enable").answer == "enabled. Nothing notices it when this computer dies: a"
    assert (head.goals(1)[0], head.goals(2)[0]) == (outside, 1927)
    assert head.run(10.0, until="following")
    assert (eye[0], lid[0]) == (4 * 1400, 4 * 1250), "without feedback they begin at what was saved"
    began = [next(s.time_s for s in head.log if s.commands.torque[i]) for i in (0, 1)]
    assert began[1] - began[0] >= 0.25, "one after the other"
    assert head.actuation.to_save() == pytest.approx({"eye": 1500.0, "lid": 1500.0}, rel=1e-12)
    for number, name in ((1, "jaw"), (2, "neck")):
        assert max(abs(np.diff(head.goals(number)))) <= head.largest_step(name) * 4096 / 360 / 4 + 1.0
    head.show(jawOpen=0.5, headPitch=0.2)
    head.run(1.0)
    assert head.status.commands.position[2] == pytest.approx(10.0)
    assert head.status.measured[2] == pytest.approx(10.0, abs=0.1)
    assert not head.ask("reset").granted
    head.ask("disable")
    assert head.state == "lowering"
    assert head.torque(2)
    head.ends_without_torque()
    assert head.status.measured[3] == pytest.approx(25.0, abs=0.2)
    head.enable()
    head.steps_are_allowed()


REFUSED = {
    "what is not calibrated": ({"uncalibrated": ("lid", "jaw")}, "not calibrated: lid, jaw: reactdiff robot calibrate"),
    "a joint outside its range": (
        {"stands": {2: 3500.0}},
        "neck is at 127.7 deg, outside its limits -30 to 30: bring it inside by hand, or calibrate again",
    ),
    "a calibration that is not around neutral": (
        {"calibrated": {"jaw": Calibration(1, 0, 0, 2100, 2274)}, "stands": {1: 2150.0}},
        "jaw: its calibrated range is not around its neutral position: calibrate again",
    ),
}


@pytest.mark.parametrize(("given", "answer"), REFUSED.values(), ids=REFUSED)
def test_what_prevents_enabling_is_said_and_nothing_gets_torque(tmp_path, given, answer):
    head = Head(tmp_path, **given)
    head.run(1.5)
    request = head.ask("enable")
    assert (request.granted, request.answer) == (False, answer)
    head.run(0.2)
    assert head.state == "disarmed"
    assert head.torques() == [False] * 4


def test_a_narrow_calibration_is_a_limit_that_motion_slows_down_for(tmp_path):
    narrow = {"jaw": Calibration(1, 0, 0, 2000, 2047 + 114), "lid": Calibration(1, 0, 0, 1450, 1550)}
    head = Head(tmp_path, calibrated=narrow)
    head.run(1.5)
    assert "calibrated for less than its limits: lid, jaw" in head.ask("enable").answer
    assert head.run(20.0, until="following")
    head.show(jawOpen=1.0, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
    began = len(head.log)
    head.run(1.0)
    commands = head.status.commands
    assert commands.limited[1:3] == [True, True]
    assert head.goals(1)[-1] == 2047 + 114
    assert commands.position[2] == pytest.approx(114 * 360 / 4096, abs=0.1)
    assert 1450.0 <= commands.position[1] <= 1550.0
    for i, name in ((1, "lid"), (2, "jaw")):
        speeds = [0.0, *(status.commands.velocity[i] for status in head.log[began:])]
        assert 0.0 < max(abs(np.diff(speeds))) <= head.profile.joints[name].limits.acceleration * TICK_S * (1 + 1e-6)


def test_without_its_hardware_every_joint_may_hold_until_it_reports_again_and_a_robot_that_moves_stops(tmp_path):
    head = Head(tmp_path, plugged=False)
    head.run(0.5)
    assert "there is no such port" in head.status.message
    assert "eye, lid, jaw, neck: torque is unknown, may hold" in head.status.message
    assert head.torque_told() == [None] * 4
    assert not head.ask("enable").granted
    head.plug()
    head.run(3.0)
    assert head.torque_told() == [False] * 4
    assert head.status.message == "disarmed: it can be enabled"
    head.enable()
    head.pull()
    head.run(1.0)
    assert head.state == "stopped"
    assert "its port is gone" in head.status.message
    assert head.torque_told() == [None] * 4
    head.plug()
    head.run(3.0)
    assert head.state == "stopped"
    assert head.torque_told() == head.torques()
    assert head.ask("reset").granted
    head.ends_without_torque()
    head.enable()


def test_stale_input_returns_to_neutral_and_both_times_are_told(head):
    head.show(jawOpen=1.0, headPitch=0.4)
    head.run(1.0)
    last_s, head.face = head.status.time_s, None
    assert head.run(1.0, until="returning")
    assert 0.13 <= head.status.time_s - last_s <= 0.2
    head.run(3.0)
    commands = head.status.commands
    assert 0.13 <= commands.return_began_s <= 0.2
    assert 0.1 < commands.return_took_s < 2.0
    assert commands.position == pytest.approx([1500.0, 1500.0, 0.0, 0.0], abs=1e-6)
    head.show(jawOpen=0.5)
    head.run(0.1)
    assert head.state == "following"
    head.steps_are_allowed()


def test_a_software_stop_wins_is_latched_and_cleared_by_reset_alone(head):
    head.show(headPitch=0.5)
    head.run(0.2)
    # Asked for last, and still before everything that waits.
    wishes = [head.actuation.request(wish) for wish in ("disable", "enable", "software_stop")]
    head.run(TICK_S)
    assert head.status.software_stop
    assert head.actuation.stopped
    assert head.status.message.startswith("stopped by a person, until reset; eye, lid, jaw, neck: torque is on")
    assert [wish.done for wish in wishes] == [True] * 3
    assert not wishes[1].granted
    head.run(2.0)
    assert head.torque(2)  # the profile holds
    assert not any(head.status.commands.velocity)
    assert not head.ask("enable").granted
    head.ask("disable")
    assert head.state == "stopped"
    assert head.ask("reset").granted
    assert not head.status.software_stop
    head.ends_without_torque()
    assert head.status.measured[3] == pytest.approx(25.0, abs=0.2)  # lowered before it was let go
    head.steps_are_allowed()


def test_a_stop_while_it_is_being_enabled_gives_no_torque_and_the_profile_may_release_at_a_stop(tmp_path):
    head = Head(tmp_path, "software_stop: hold", "software_stop: release")
    head.run(1.5)
    enable = head.actuation.request("enable")
    head.run(TICK_S)
    assert head.state == "preparing"
    head.ask("software_stop")
    head.run(0.2)
    assert (head.state, enable.done, enable.granted) == ("stopped", True, False)
    assert head.torques() == [False] * 4
    assert head.ask("reset").granted
    head.enable().ask("software_stop")
    assert head.torques() == [False] * 4


def test_faults_from_outside_prevent_enabling_and_stop(tmp_path):
    head, sentence = Head(tmp_path), "/a and /b publish it"
    head.run(1.5)
    head.actuation.obstacle("writers", sentence)
    head.actuation.fail(sentence)
    head.run(0.1)
    assert head.state == "disarmed"
    assert head.ask("enable").answer == sentence
    head.actuation.obstacle("writers", "")
    head.enable()
    head.actuation.fail(sentence)
    head.run(3.0)
    assert head.state == "stopped"
    assert sentence in head.status.message
    assert head.status.commands.torque == [False, False, True, False]  # release, release, hold, lowered


def test_a_stall_is_not_made_up_for_motion_goes_on_from_where_joints_are_and_a_long_one_disarms(head):
    head.show(jawOpen=1.0, headPitch=0.5)
    head.run(0.1)
    before = len(head.goals(2))
    head.clock.now_s += 0.3
    head.run(TICK_S)
    assert (head.state, head.status.stalls) == ("following", 1)
    assert len(head.goals(2)) <= before + 1
    assert abs(head.status.commands.position[3] - head.status.measured[3]) < head.largest_step("neck")
    # Where no answer comes in time, what was measured before the stall says nothing.
    head.run(0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head.hardware, "poll", lambda budget_s: None)
        goals, at = [head.goals(n)[-1] for n in (1, 2)], head.status.commands.position[2:]
        head.clock.now_s += 0.15
        head.run(TICK_S)
    assert head.status.stalls == 2
    for number, name, goal, stood in zip((1, 2), ("jaw", "neck"), goals, at, strict=True):
        assert abs(head.goals(number)[-1] - goal) * 360 / 4096 <= head.largest_step(name)
        assert abs(head.status.commands.position[number + 1] - stood) <= 0.1 * head.largest_step(name)
    head.clock.now_s += 2.0
    head.run(TICK_S)
    assert (head.state in ("lowering", "disarmed"), head.status.stalls) == (True, 3)
    head.ends_without_torque()


def test_a_joint_in_trouble_does_its_part_and_the_face_goes_on(head):
    head.bus.servos[2].failing.hot = True
    head.show(jawOpen=0.5, headPitch=0.2)
    head.run(3.0)
    assert head.state == "following"
    assert head.status.message.startswith("goes on without neck:")
    assert "too hot" in head.status.message
    assert head.status.commands.position[2:] == pytest.approx([10.0, 25.0])  # the neck was lowered
    assert head.status.commands.torque == [True, True, True, False]
    head.steps_are_allowed()


@pytest.mark.parametrize(("joint", "number", "jaw"), [("jaw", 1, 1.0), ("neck", 2, 0.0)])
def test_a_joint_that_is_held_back_gives_way(head, joint, number, jaw):
    """Something is in its way: it does not push for longer than a second, and the others go on."""
    motor = head.bus.servos[number].motor
    motor.blocked = True
    head.show(jawOpen=jaw, headPitch=-0.4 * (1 - jaw))
    head.run(1.2)
    assert head.status.commands.joint_faults == {}
    head.run(1.0)
    ((failed, fault),) = head.status.commands.joint_faults.items()
    assert failed == joint
    assert "is it blocked?" in fault
    head.run(3.0)
    assert not head.torque(number) or abs(head.goals(number)[-1] - motor.position) < 2
    assert head.state == "following"
    motor.blocked = False
    head.ask("disable")
    head.ends_without_torque()
    assert head.ask("enable").granted


def test_late_and_missing_readings_are_no_obstacle(tmp_path):
    tracking = Tracking(Head(tmp_path).profile)
    for tick in range(300):
        wave, late = (25.0 * np.sin(np.pi * (TICK_S * tick - behind_s)) for behind_s in (0.0, 0.45))
        assert tracking.step(TICK_S * tick, {"neck": wave, "jaw": 15.0}, {"neck": late + 5.0, "jaw": math.nan}) == []
    assert tracking.step(6.0, {"neck": 25.0}, {"neck": -25.0}) == []
    tracking.reset()
    assert tracking.step(60.0, {"neck": 25.0}, {"neck": -25.0}) == []


def test_a_cable_that_is_pulled_and_put_back_makes_no_jump(head):
    head.show(jawOpen=0.5, headPitch=0.3)
    head.run(1.0)
    head.wires["bus"].pull()
    head.run(0.5)
    assert head.status.message == "goes on without jaw, neck: its port is gone: is the cable in?"
    assert head.state == "following"
    sent = len(head.goals(1)), len(head.goals(2))
    head.show(jawOpen=0.0, headPitch=-0.3)
    head.run(1.0)
    head.wires["bus"].plug()
    head.run(3.0)
    assert (len(head.goals(1)), len(head.goals(2))) == sent  # until somebody enables it again
    assert head.torque(2)  # it never heard how it was lowered: it would fall
    head.ask("disable")
    assert head.run(10.0, until="disarmed")
    assert head.status.measured[3] == pytest.approx(25.0, abs=0.2)  # lowered now, then let go
    assert head.torques()[2:] == [False, False]
    head.enable()
    assert max(abs(np.diff(head.goals(2)[sent[1] - 1 :]))) <= head.largest_step("neck") * 4096 / 360 + 1


def test_it_is_enabled_without_a_joint_that_does_not_answer_which_gets_no_torque_when_it_does(tmp_path):
    head = Head(tmp_path)
    head.bus.servos[2].failing.silent = True
    head.run(2.0)
    assert head.ask("enable").answer.startswith("enabled without neck: it does not answer")
    assert head.run(10.0, until="following")
    head.bus.servos[2].failing.silent = False
    head.run(1.0)
    assert not head.torque(2)
    head.ask("disable")
    head.run(10.0, until="disarmed")
    assert head.ask("enable").answer.startswith("enabled. Nothing")


def test_a_servo_that_got_torque_and_did_not_say_so_is_let_go(tmp_path):
    head = Head(tmp_path)
    head.run(1.5)
    jaw, heard = head.bus.servos[1], head.bus.receive

    def mute_once_it_has_torque(data, now_s):
        said = heard(data, now_s)
        if jaw.failing.mute or not head.torque(1):
            return said
        jaw.failing.mute = True
        return b""

    head.bus.receive = mute_once_it_has_torque
    assert "without jaw" in head.ask("enable").answer
    assert head.torques()[2:] == [False, True]
