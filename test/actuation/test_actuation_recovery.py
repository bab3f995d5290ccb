"""After lost orders, stops and stalls: what is to be let go is, and a reset lets the robot be enabled again."""

from __future__ import annotations

import pytest
from actuation_fixtures import TICK_S, Boards, Head

from reactdiff_ros.actuation.drivers.driver import Fault
from reactdiff_ros.actuation.drivers.feetech import TORQUE
from reactdiff_ros.actuation.drivers.serial_port import PortGoneError
from reactdiff_ros.actuation.drivers.servo_bus import WRITE
from reactdiff_ros.actuation.emulators.servos import SYNC_WRITE


def lose(head: Head, *instructions: int, most: int) -> None:
    """The next `most` packets with these instructions about torque do not arrive."""
    heard, lost = head.bus.receive, []

    def receive(data: bytes, now_s: float) -> bytes:
        if len(lost) < most and data[4] in instructions and data[5] == TORQUE:
            lost.append(data)
            return b""
        return heard(data, now_s)

    head.bus.receive = receive  # type: ignore[method-assign]


def test_one_order_to_all_that_was_lost_is_followed_by_one_to_each(tmp_path):
    head = Head(tmp_path).enable()
    lose(head, SYNC_WRITE, most=1)
    assert head.ask("disable").granted
    head.run(8.0)
    assert head.state == "disarmed"
    assert not head.torque(1)
    assert not head.torque(2)


@pytest.mark.parametrize("most", [2, 8])
def test_an_order_that_nobody_confirms_is_repeated_until_somebody_does(tmp_path, most):
    head = Head(tmp_path, "on_fault: hold\n    output: {driver: bus", "on_fault: release\n    output: {driver: bus")
    head.enable()
    lose(head, WRITE, most=most)
    head.hardware.release("jaw")
    assert "jaw" in head.hardware.faults()
    assert head.torque(1)
    head.run(8.0)
    assert not head.torque(1)


def test_a_board_that_is_lost_while_it_lets_go_does_so_when_it_is_back(tmp_path, monkeypatch):
    head = Head(tmp_path).enable()
    board = head.buses["servos"]

    def gone(_channel: int) -> None:
        monkeypatch.undo()
        raise PortGoneError("the port stopped working", where="memory")

    monkeypatch.setattr(board, "_off", gone)
    assert head.ask("disable").granted
    head.run(8.0)
    assert head.state == "disarmed"
    assert [channel.received[-1] for channel in head.board.channels[:2]] == [0, 0]


BOARD_S = 0.5
"""The serial timeout of the board."""


@pytest.fixture
def head(tmp_path):
    """A robot of hobby servos alone, on one Maestro, enabled."""
    head = Boards(tmp_path, "generic_12servo")
    head.board = head.rig.buses["maestro"]
    head.enable()
    return head


@pytest.mark.parametrize(("stands_s", "waits_s"), [(BOARD_S + 0.1, TICK_S), (1.0, 5.0), (30.0, TICK_S)])
def test_after_the_program_stood_still_a_reset_lets_a_maestro_be_enabled_again(head, stands_s, waits_s):
    head.show(headPitch=0.5, jawOpen=0.5)
    head.run(0.5)
    for _ in range(2):
        head.clock.now_s += stands_s
        head.run(waits_s)
        assert head.state == "stopped"
        assert "watchdog" in head.actuation.state.message or "went home" in head.actuation.state.message
        refused = head.ask("enable")
        assert not refused.granted
        assert "reset" in refused.answer
        reset = head.ask("reset")
        assert reset.granted, reset.answer
        assert head.run(10.0, until="disarmed"), head.actuation.state.message
        assert head.actuation.state.faults == {}
        assert head.actuation.state.obstacles == ()
        head.enable()
        assert head.actuation.state.commands.joint_faults == {}
        assert all(head.board.channels[n].target for n in range(12))


def test_a_disabled_maestro_that_went_home_is_asked_before_it_is_refused(head):
    head.ask("disable")
    assert head.run(10.0, until="disarmed")
    expired = dict.fromkeys(head.profile.joints, Fault("watchdog", "it expired"))
    head.hardware._buses["maestro"]._faults = expired
    head.run(TICK_S)
    assert head.actuation.state.obstacles
    assert head.ask("enable").granted


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


def test_a_reset_tells_what_still_prevents_enabling(head):
    head.board.silent = True
    assert head.run(3.0, until="stopped")
    answer = head.ask("reset")
    assert answer.granted
    assert "cannot be enabled yet" in answer.answer
    assert "its board does not answer" in answer.answer
    head.board.silent = False
    head.run(1.0)
    head.enable()


def test_a_driver_that_failed_once_is_asked_again(head, monkeypatch):
    driver = head.hardware._buses["maestro"]
    with monkeypatch.context() as failing:
        failing.setattr(driver, "command", lambda positions: 1 / 0)
        assert head.run(1.0, until="stopped")
        assert "ZeroDivisionError" in head.actuation.state.message
    assert head.ask("reset").granted
    assert head.run(10.0, until="disarmed")
    head.enable()
