"""After lost orders, stops and waits: what is to be let go is, and a reset lets the robot be enabled again."""

from __future__ import annotations

from functools import partial

import pytest
from actuation_fixtures import TICK_S, Head

from reactdiff_ros.actuation.drivers.feetech import TORQUE
from reactdiff_ros.actuation.drivers.servo_bus import WRITE
from reactdiff_ros.actuation.emulators.servos import SYNC_WRITE
from reactdiff_ros.actuation.hardware import NOT_OPEN
from reactdiff_ros.errors import DeviceError


def lose(head: Head, instruction: int, most: int) -> None:
    """The next `most` packets with this instruction about torque do not arrive."""
    heard, lost = head.bus.receive, []

    def receive(data: bytes, now_s: float) -> bytes:
        if len(lost) < most and data[4] == instruction and data[5] == TORQUE:
            lost.append(data)
            return b""
        return heard(data, now_s)

    head.bus.receive = receive


def test_an_order_that_was_lost_is_repeated_until_somebody_confirms_it(tmp_path):
    head = Head(tmp_path, "on_fault: hold\n    output: {driver: bus", "on_fault: release\n    output: {driver: bus")
    head.enable()
    lose(head, WRITE, most=8)
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
        channel.goes_home = False  # else it lets go by itself while nobody speaks
    head.wires["servos"].pull()
    assert head.ask("disable").granted
    head.run(8.0)
    assert head.torques() == [True, True, False, False]
    head.wires["servos"].plug()
    head.run(3.0)
    assert head.torques() == head.torque_told() == [False] * 4


@pytest.fixture
def head(tmp_path):
    """A robot of hobby servos alone, on one Maestro, enabled."""
    return Head(tmp_path, robot="generic_12servo").enable()


@pytest.mark.parametrize(("stands_s", "waits_s"), [(0.6, TICK_S), (1.0, 5.0), (30.0, TICK_S)])
def test_after_the_program_stood_still_a_reset_lets_a_maestro_be_enabled_again(head, stands_s, waits_s):
    """The serial timeout of the board is 0.5 s."""
    head.show(headPitch=0.5, jawOpen=0.5)
    head.run(0.5)
    for _ in range(2):
        head.clock.now_s += stands_s
        head.run(waits_s)
        assert head.state == "stopped"
        assert "watchdog" in head.status.message or "went home" in head.status.message
        assert "reset" in head.ask("enable").answer
        assert head.ask("reset").granted
        assert head.run(10.0, until="disarmed"), head.status.message
        assert (head.status.faults, head.status.obstacles) == ({}, ())
        head.enable()
        assert head.status.commands.joint_faults == {}
        assert all(head.board.channels[n].target for n in range(12))


def test_what_a_joint_did_not_hear_is_not_where_it_stands(head):
    head.run(0.5)
    stood = head.actuation.to_save()["neck_nod"]
    head.clock.now_s += 1.0
    head.run(5.0)  # a robot that heard it would be down by now
    assert head.state == "stopped"
    assert head.actuation.to_save()["neck_nod"] == pytest.approx(stood, abs=1.0)
    assert stood != pytest.approx(head.profile.joints["neck_nod"].lowered, abs=50.0)
    head.ask("reset")
    before = len(head.board.channels[11].received)
    head.enable()
    assert head.board.channels[11].received[before] == pytest.approx(4 * stood, abs=8)


def test_a_reset_tells_what_still_prevents_enabling_and_what_is_over_is_forgotten_at_once(head):
    head.board.silent = True
    assert head.run(3.0, until="stopped")
    answer = head.ask("reset")
    assert answer.granted
    assert "cannot be enabled yet" in answer.answer
    assert "its board does not answer" in answer.answer
    assert head.run(3.0, until="disarmed")
    head.board.silent = False
    assert head.ask("enable").granted


def test_a_driver_that_failed_once_is_asked_again(head, monkeypatch):
    with monkeypatch.context() as failing:
        failing.setattr(head.buses["maestro"], "command", lambda positions: 1 / 0)
        assert head.run(1.0, until="stopped")
        assert "ZeroDivisionError" in head.status.message
    assert head.ask("reset").granted
    assert head.run(10.0, until="disarmed")
    head.enable()


# Devices that let everybody wait, or cannot be opened.


@pytest.mark.parametrize("name", ["servos", "bus"])
def test_waiting_for_torque_is_no_stall(tmp_path, name):
    head = Head(tmp_path)
    bus, arm = head.buses[name], head.buses[name].arm

    def slowly(joint, position):
        head.clock.now_s += 0.0 if bus.armed else 1.8
        return arm(joint, position)

    bus.arm = slowly
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
    assert head.status.faults["eye"].startswith("the library x is not installed")
    assert not head.hardware.open(head.clock.now_s)  # not more than once a second
    errors["bus"] = RuntimeError("a bug")
    head.run(1.2)
    assert head.status.faults["jaw"] == "its driver failed (RuntimeError: a bug)"
    del errors["bus"]
    head.run(1.2)
    assert "jaw" not in head.status.faults
    request = head.ask("enable")
    assert request.granted
    assert "enabled without eye, lid: the library x is not installed" in request.answer
