"""After lost orders and waits, and torque that another process gave: it is told, lowered, let go, enabled again."""

from functools import partial

import numpy as np
import pytest
from actuation_fixtures import TICK_S, Head

from reactdiff_ros.actuation.drivers.feetech import TORQUE
from reactdiff_ros.actuation.drivers.servo_bus import WRITE
from reactdiff_ros.actuation.emulators.servos import SYNC_WRITE
from reactdiff_ros.actuation.hardware import NOT_OPEN
from reactdiff_ros.errors import DeviceError


def lose(head, instruction, most):
    """The next `most` packets with this instruction about torque do not arrive."""
    heard, lost = head.bus.receive, []

    def receive(data, now_s):
        if len(lost) < most and data[4] == instruction and data[5] == TORQUE:
            lost.append(data)
            return b""
        return heard(data, now_s)

    head.bus.receive = receive


def test_an_order_that_was_lost_is_repeated_until_somebody_confirms_it(tmp_path):
    head = Head(tmp_path, "on_fault: hold\n    output: {driver: bus", "on_fault: release\n    output: {driver: bus")
    lose(head.enable(), WRITE, most=8)
    head.hardware.release("jaw")
    assert "jaw" in head.hardware.faults()
    assert head.torque(1)
    head.run(8.0)
    assert not head.torque(1)
    head = Head(tmp_path).enable()
    lose(head, SYNC_WRITE, most=1)  # one order to all, which is followed by one to each
    assert head.ask("disable").granted
    head.ends_without_torque()


def test_a_board_that_is_lost_while_it_lets_go_does_so_when_it_is_back(tmp_path):
    head = Head(tmp_path).enable()
    for channel in head.board.channels:
        channel.goes_home = False  # otherwise it lets go by itself when nothing arrives
    head.wires["servos"].pull()
    assert head.ask("disable").granted
    head.run(8.0)
    assert head.torques() == [True, True, False, False]
    head.wires["servos"].plug()
    head.run(3.0)
    assert head.torques() == head.torque_told() == [False] * 4


@pytest.fixture
def maestro(tmp_path):
    """A robot of hobby servos alone, on one Maestro, enabled."""
    return Head(tmp_path, robot="generic_12servo").enable()


@pytest.mark.parametrize(("stands_s", "waits_s"), [(0.6, TICK_S), (1.0, 5.0), (30.0, TICK_S)])
def test_after_the_program_was_suspended_a_reset_lets_a_maestro_be_enabled_again(maestro, stands_s, waits_s):
    """The serial timeout of the board is 0.5 s. Joints that did not hear how they were lowered are where they were."""
    maestro.show(headPitch=0.5, jawOpen=0.5)
    maestro.run(0.5)
    for _ in range(2):
        stood = maestro.actuation.to_save()["neck_nod"]
        maestro.clock.now_s += stands_s
        maestro.run(waits_s)
        assert maestro.state == "stopped"
        assert "watchdog" in maestro.status.message or "went home" in maestro.status.message
        assert maestro.actuation.to_save()["neck_nod"] == pytest.approx(stood, abs=1.0)
        assert "reset" in maestro.ask("enable").answer
        assert maestro.ask("reset").granted
        assert maestro.run(10.0, until="disarmed"), maestro.status.message
        assert (maestro.status.faults, maestro.status.obstacles) == ({}, ())
        before = len(maestro.board.channels[11].received)
        maestro.enable()
        assert maestro.board.channels[11].received[before] == pytest.approx(4 * stood, abs=8)
        assert maestro.status.commands.joint_faults == {}
        assert all(maestro.board.channels[n].target for n in range(12))


def test_a_reset_tells_what_still_prevents_enabling_and_what_is_over_is_forgotten_at_once(maestro, monkeypatch):
    maestro.board.silent = True
    assert maestro.run(3.0, until="stopped")
    answer = maestro.ask("reset")
    assert answer.granted
    assert "cannot be enabled yet" in answer.answer
    assert "its board does not answer" in answer.answer
    assert maestro.run(3.0, until="disarmed")
    maestro.board.silent = False
    maestro.enable()
    with monkeypatch.context() as failing:
        failing.setattr(maestro.buses["maestro"], "command", lambda positions: 1 / 0)
        assert maestro.run(1.0, until="stopped")
        assert "ZeroDivisionError" in maestro.status.message
    assert maestro.ask("reset").granted
    assert maestro.run(10.0, until="disarmed")
    maestro.enable()


# Devices that let everybody wait, or cannot be opened.


@pytest.mark.parametrize("name", ["servos", "bus"])
def test_waiting_for_torque_is_no_stall(tmp_path, monkeypatch, name):
    head = Head(tmp_path)
    bus, arm = head.buses[name], head.buses[name].arm
    monkeypatch.setattr(bus, "arm", lambda *what: (bus.armed or head.clock.wait(1.8), arm(*what))[1])
    head.enable()
    assert head.status.stalls == 0
    assert head.torques() == [True] * 4


def test_what_cannot_be_opened_is_said_tried_again_and_done_without(tmp_path, monkeypatch):
    head = Head(tmp_path)
    assert head.status.faults == dict.fromkeys(("eye", "lid", "jaw", "neck"), NOT_OPEN)
    in_use = DeviceError("the port is in use", where="/dev/x", todo="process 7 has it: end that first")
    errors = {"bus": in_use, "servos": ModuleNotFoundError("No module named 'x'", name="x")}

    def opening(name, opened):
        if name in errors:
            raise errors[name]
        opened()

    for name, bus in head.buses.items():
        monkeypatch.setattr(bus, "open", partial(opening, name, bus.open))
    head.run(0.1)
    assert head.status.faults["jaw"] == "the port is in use (/dev/x): process 7 has it: end that first"
    assert not head.hardware.open(head.clock.now_s)  # not more than once a second
    del errors["bus"]
    head.run(1.2)
    assert "enabled without eye, lid: the library x is not installed" in head.ask("enable").answer


# Torque that this process did not give, of one that was killed or of another program.

UP = 2047 - 10 * 4096 / 360
DOWN = pytest.approx(25.0, abs=0.2)


def killed(tmp_path, *changes, stopped=False):
    """A head that followed with its neck up when its process was killed, and the process that was started then."""
    head = Head(tmp_path, *changes).stays().enable()
    head.show(headPitch=-10 / 57.3, jawOpen=0.5)
    head.run(1.5)
    assert head.torques() == [True] * 4
    head.start(stopped=stopped)
    head.run(1.5)
    return head


@pytest.mark.parametrize("wish", ["disable", "reset", "leave"])
def test_what_holds_is_reported_does_not_move_by_itself_and_is_lowered_without_a_jump_and_let_go(tmp_path, wish):
    head = killed(tmp_path)
    goals = [head.goals(1), head.goals(2), *(channel.received for channel in head.board.channels)]
    before = list(map(len, goals))
    head.run(3.0)
    assert (head.state, head.status.armed, head.status.obstacles) == ("disarmed", False, ())
    assert head.torque_told() == head.torques() == [True] * 4
    assert "eye, lid, jaw, neck: torque is on (~/enable false lets go where it can)" in head.status.message
    assert list(map(len, goals)) == before
    request = head.ask(wish)
    assert request.granted
    assert head.state == "lowering"
    assert head.torques() == [False, False, False, True]
    head.ends_without_torque()
    assert head.status.measured[3] == DOWN
    steps = np.diff([UP, *head.goals(2)[before[1] :]])
    assert -1 <= min(steps) <= max(steps) <= head.largest_step("neck") * 4096 / 360 + 1
    assert wish != "disable" or request.answer == "disabled; neck: lowered first, then let go"
    head.enable()


@pytest.mark.parametrize("wish", ["disable", "reset", "leave", "software_stop"])
@pytest.mark.parametrize(("limp", "number"), [("jaw", 1), ("neck", 2)])
def test_what_has_no_torque_gets_none_and_is_not_moved(tmp_path, wish, limp, number):
    head = killed(tmp_path, "software_stop: hold", "software_stop: release")
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
    assert (head.state, len(head.goals(2))) == ("stopped", before)
    assert head.torques() == head.torque_told() == [holds] * 4
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
    assert (head.state, head.torque(2)) == ("stopped", True)
    assert head.status.measured[3] == pytest.approx(stands, abs=0.2)


def test_enabling_takes_over_what_holds_where_it_holds_and_where_it_fails_that_goes_on_holding(tmp_path):
    head = killed(tmp_path)  # nothing was saved: neutral is somewhere else
    eye, neck = head.board.channels[0], head.goals(2)
    eye.target = 4 * 1900
    head.run(1.5)
    (obstacle,) = head.status.obstacles
    assert obstacle.startswith("eye is at 1900 us, outside its limits")
    assert not head.ask("enable").granted
    eye.target = 4 * 1620
    head.bus.servos[1].motor.position = head.bus.servos[1].motor.goal = 3500.0  # its driver refuses it
    head.run(1.0)
    assert not head.ask("enable").granted
    head.run(1.0)
    assert head.torque(2)
    assert head.status.measured[3] == pytest.approx(-10.0, abs=0.5)
    head.bus.servos[1].motor.position = head.bus.servos[1].motor.goal = 2047.0
    head.run(1.0)
    before = len(eye.received), len(neck)
    assert head.ask("enable").granted
    assert head.run(20.0, until="following")
    assert eye.received[before[0]] == 4 * 1620
    assert abs(neck[before[1]] - UP) <= 2


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
    assert "may still have torque: neck: it does not answer" in head.ask("disable", seconds=4.0).answer
    head.bus.servos[2].failing.silent = False
    head.run(3.0)
    assert head.torques() == head.torque_told() == [False, False, False, True]
    head.ask("disable")
    head.ends_without_torque()
    assert head.status.measured[3] == DOWN


@pytest.mark.parametrize("begin", [killed, lambda tmp_path: Head(tmp_path).enable()], ids=["found", "enabled"])
def test_the_end_lets_go_what_does_not_fall(tmp_path, begin):
    head = begin(tmp_path)
    head.actuation.end()
    assert head.torques() == [False, False, False, True]


def hobby_robot(tmp_path, robot, saves):
    """A shipped robot of hobby servos whose process was killed, and the process that was started then."""
    head = Head(tmp_path, robot=robot)
    head.run(1.5)
    head.ask("disable")
    head.enable()
    head.show(headPitch=-0.2)
    head.run(1.0)
    assert all(head.pulses().values())
    head.hardware.close()  # as the kernel does with what a killed process had: its locks are free
    head.start(head.actuation.to_save() if saves else None)
    head.run(1.5)
    return head


@pytest.mark.parametrize(("robot", "neck"), [("inmoov_head", "neck"), ("ohbot", "head_nod")])
def test_pulses_of_a_killed_process_go_down_from_where_they_are_and_off(tmp_path, robot, neck):
    reports = robot != "ohbot"
    head = hobby_robot(tmp_path, robot, saves=not reports)
    joint, path = head.profile.joints[neck], [head.pulses()[neck]]
    assert head.torque_told() == [True if reports else None] * len(head.profile.joints)
    assert ("torque is on" if reports else "torque is unknown, may hold") in head.status.message
    assert "support" not in head.status.message
    disable = head.actuation.request("disable")
    while head.run(TICK_S, until="disarmed") is False or not disable.done:
        path.append(head.pulses()[neck] or path[-1])
    assert disable.answer == f"disabled; {neck}: lowered first, then let go"
    zero, unit = (joint.output.pulse.zero_us, joint.output.pulse.us_per_unit) if reports else (0.0, 1.0)
    assert max(abs(np.diff(path))) <= abs(joint.limits.speed / 50 * unit) + 6.0  # what the board rounds
    assert path[-1] == pytest.approx(zero + unit * joint.lowered, abs=6.0)
    head.run(0.5)
    assert not any(head.pulses().values())
    assert head.torque_told() == [False] * len(head.profile.joints)


def test_an_ohbot_whose_position_is_unknown_is_let_go_as_it_is_by_a_person_alone(tmp_path):
    head = hobby_robot(tmp_path, "ohbot", saves=False)
    assert "; support head_nod: its position is unknown, so it would fall" in head.status.message
    before = head.pulses()["head_nod"]
    head.ask("leave")
    head.run(0.5)
    assert {name: pulse for name, pulse in head.pulses().items() if pulse} == {"head_nod": before}
    assert head.ask("disable").granted
    assert not any(head.pulses().values())
    assert head.torque_told() == [False] * 8
