"""Torque that this process did not give, of one that was killed or of another program: reported, lowered, let go."""

from __future__ import annotations

import numpy as np
import pytest
from actuation_fixtures import TICK_S, Head

from reactdiff_ros.actuation.drivers.feetech import TORQUE

UP = 2047 - 10 * 4096 / 360
DOWN = pytest.approx(25.0, abs=0.2)


def killed(tmp_path, *changes, stopped=False):
    """A head that followed with its neck up when its process was killed, and the process that was started then."""
    head = Head(tmp_path, *changes)
    for channel in head.board.channels:
        channel.goes_home = False  # else the board lets go by itself while nobody speaks
    head.enable()
    head.show(headPitch=-10 / 57.3, jawOpen=0.5)
    head.run(1.5)
    assert head.torques() == [True] * 4
    head.start(stopped=stopped)
    head.run(1.5)
    return head


def test_torque_of_a_killed_process_is_reported_and_nothing_moves_by_itself(tmp_path):
    head = killed(tmp_path)
    told = [head.goals(1), head.goals(2), *(channel.received for channel in head.board.channels)]
    before = [len(goals) for goals in told]
    head.run(3.0)
    assert (head.state, head.status.armed, head.status.obstacles) == ("disarmed", False, ())
    assert head.torque_told() == head.torques() == [True] * 4
    assert "eye, lid, jaw, neck: torque is on (~/enable false lets go where it can)" in head.status.message
    assert [len(goals) for goals in told] == before


@pytest.mark.parametrize("wish", ["disable", "reset", "leave"])
def test_what_holds_is_lowered_without_a_jump_and_let_go(tmp_path, wish):
    head = killed(tmp_path)
    sent = len(head.goals(2))
    request = head.ask(wish)
    assert request.granted
    assert head.state == "lowering"
    assert head.torques() == [False, False, False, True]
    head.ends_without_torque()
    assert head.status.measured[3] == DOWN
    path = [UP, *head.goals(2)[sent:]]
    assert max(abs(np.diff(path))) <= head.largest_step("neck") * 4096 / 360 + 1
    assert np.all(np.diff(path) >= -1)
    if wish == "disable":
        assert request.answer == "disabled; neck: lowered first, then let go"
    head.enable()


@pytest.mark.parametrize("wish", ["disable", "reset", "leave", "software_stop"])
@pytest.mark.parametrize("limp", ["neck", "jaw"])
def test_what_has_no_torque_gets_none_and_is_not_moved(tmp_path, wish, limp):
    head = killed(tmp_path, "software_stop: hold", "software_stop: release")
    number = ["jaw", "neck"].index(limp) + 1
    head.bus.servos[number].table[TORQUE] = 0
    head.bus.servos[number].motor.torque = False
    head.run(0.5)
    assert head.status.torque[limp] is False
    before, heard = len(head.goals(number)), head.bus.receive

    def receive(data, now_s):
        said = heard(data, now_s)
        assert not head.torque(number)
        return said

    head.bus.receive = receive
    assert head.ask(wish).granted
    head.run(5.0)
    assert len(head.goals(number)) == before
    assert head.torques() == [False] * 4


@pytest.mark.parametrize(("does", "kept"), [("hold", False), ("hold", True), ("release", False)])
def test_a_software_stop_does_what_the_profile_says_with_what_holds_already(tmp_path, does, kept):
    """A stop that was kept from before the start holds, too, until a reset lowers."""
    holds = does == "hold"
    head = killed(tmp_path, "software_stop: hold", f"software_stop: {does}", stopped=kept)
    before = len(head.goals(2))
    assert kept or head.ask("software_stop").granted
    head.run(0.5)
    assert head.state == "stopped"
    assert head.torques() == head.torque_told() == [holds] * 4
    assert len(head.goals(2)) == before
    disable = head.ask("disable")
    assert disable.granted is not holds
    assert ("eye, lid, jaw, neck may have torque" in disable.answer) is holds
    assert ("torque is on (~/reset lets go where it can)" in head.status.message) is holds
    assert head.ask("reset").granted
    head.ends_without_torque()
    assert not holds or head.status.measured[3] == DOWN


def test_a_stop_while_it_is_lowered_stops_it(tmp_path):
    head = killed(tmp_path)
    head.ask("disable")
    head.run(0.2)
    assert head.ask("software_stop").granted
    head.run(1.0)
    stands = head.status.measured[3]
    assert -10.0 < stands < 20.0
    head.run(2.0)
    assert head.state == "stopped"
    assert head.torque(2)
    assert head.status.measured[3] == pytest.approx(stands, abs=0.2)


def test_enabling_takes_over_what_holds_where_it_holds(tmp_path):
    head = killed(tmp_path)  # nothing was saved: neutral is somewhere else
    head.board.channels[0].target = 4 * 1620
    head.run(1.5)
    before = len(head.board.channels[0].received), len(head.goals(2))
    assert head.ask("enable").granted
    assert head.run(20.0, until="following")
    assert head.board.channels[0].received[before[0]] == 4 * 1620
    assert abs(head.goals(2)[before[1]] - UP) <= 2


def test_where_enabling_fails_what_held_before_goes_on_holding_until_it_is_let_go(tmp_path):
    head = killed(tmp_path)
    head.board.channels[0].target = 4 * 1900
    head.run(1.5)
    (obstacle,) = head.status.obstacles
    assert obstacle.startswith("eye is at 1900 us, outside its limits")
    assert not head.ask("enable").granted
    head.board.channels[0].target = 4 * 1500
    head.bus.servos[1].motor.position = head.bus.servos[1].motor.goal = 3500.0  # its driver refuses it
    head.run(1.0)
    assert not head.ask("enable").granted
    head.run(1.0)
    assert head.torque(2)
    assert head.status.measured[3] == pytest.approx(-10.0, abs=0.5)
    head.ask("disable")
    head.ends_without_torque()


def test_a_neck_that_cannot_be_lowered_is_named_and_falls_only_where_a_person_asks(tmp_path):
    head = killed(tmp_path)
    neck = head.bus.servos[2]
    neck.motor.position = neck.motor.goal = 3000.0
    head.run(1.0)
    assert "; support neck: neck is at 83.76 deg, outside its limits" in head.status.message
    assert head.ask("leave").granted
    head.run(1.0)
    assert head.torques() == [False, False, False, True]
    assert neck.motor.position == pytest.approx(3000.0)
    assert head.ask("disable").granted
    head.run(1.0)
    assert head.torques() == [False] * 4


def test_a_neck_that_does_not_answer_is_not_told_to_fall_when_it_does_again(tmp_path):
    head = killed(tmp_path)
    head.bus.servos[2].failing.silent = True
    head.run(1.0)
    disable = head.ask("disable", seconds=4.0)
    assert disable.granted
    assert "may still have torque: neck: it does not answer" in disable.answer
    head.bus.servos[2].failing.silent = False
    head.run(3.0)
    assert head.torques() == [False, False, False, True]
    assert head.torque_told() == [False, False, False, True]
    head.ask("disable")
    head.ends_without_torque()
    assert head.status.measured[3] == DOWN


@pytest.mark.parametrize("begin", [killed, lambda tmp_path: Head(tmp_path).enable()], ids=["found", "enabled"])
def test_the_end_lets_go_what_does_not_fall(tmp_path, begin):
    head = begin(tmp_path)
    head.actuation.end()
    assert head.torques() == [False, False, False, True]


def boards(tmp_path, robot, saves):
    """A shipped robot of hobby servos whose process was killed, and the process that was started then."""
    head = Head(tmp_path, robot=robot)
    head.run(1.5)
    head.ask("disable")
    head.enable()
    head.show(headPitch=-0.2)
    head.run(1.0)
    assert all(head.pulses().values())
    saved = head.kill()
    head.start(saved if saves else None)
    head.run(1.5)
    return head


@pytest.mark.parametrize(("robot", "neck"), [("inmoov_head", "neck"), ("ohbot", "head_nod")])
def test_pulses_of_a_killed_process_go_down_from_where_they_are_and_off(tmp_path, robot, neck):
    head = boards(tmp_path, robot, saves=robot == "ohbot")
    before = head.pulses()
    reported = None if robot == "ohbot" else True
    assert head.torque_told() == [reported] * len(head.profile.joints)
    assert ("torque is unknown, may hold" if robot == "ohbot" else "torque is on") in head.status.message
    assert "support" not in head.status.message
    disable = head.actuation.request("disable")
    path = [before[neck]]
    while head.run(TICK_S, until="disarmed") is False or not disable.done:
        path.append(head.pulses()[neck] or path[-1])
    assert disable.answer == f"disabled; {neck}: lowered first, then let go"
    joint = head.profile.joints[neck]
    unit = 1.0 if robot == "ohbot" else joint.output.pulse.us_per_unit
    largest = abs(joint.limits.speed / 50 * unit) + 6.0  # what the board rounds
    assert max(abs(np.diff(path))) <= largest
    lowered = joint.lowered if robot == "ohbot" else joint.output.pulse.zero_us + unit * joint.lowered
    assert path[-1] == pytest.approx(lowered, abs=6.0)
    head.run(0.5)
    assert not any(head.pulses().values())
    assert head.torque_told() == [False] * len(head.profile.joints)


def test_an_ohbot_whose_position_is_unknown_is_let_go_as_it_is_by_a_person_alone(tmp_path):
    head = boards(tmp_path, "ohbot", saves=False)
    assert "; support head_nod: its position is unknown, so it would fall" in head.status.message
    before = head.pulses()["head_nod"]
    head.ask("leave")
    head.run(0.5)
    assert {name for name, pulse in head.pulses().items() if pulse} == {"head_nod"}
    assert head.pulses()["head_nod"] == before
    assert head.ask("disable").granted
    assert not any(head.pulses().values())
    assert head.torque_told() == [False] * 8
