"""What is to be let go is let go, also when the first order to do so was lost."""

from __future__ import annotations

import pytest
from actuation_fixtures import Head

from reactdiff_ros.actuation.drivers.serial_port import PortGoneError
from reactdiff_ros.actuation.emulators.feetech import TORQUE
from reactdiff_ros.actuation.emulators.servo import SYNC_WRITE, WRITE


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
    head = Head(tmp_path)
    head.enable()
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
    head = Head(tmp_path)
    head.enable()
    board = head.buses["servos"]

    def gone(_channel: int) -> None:
        monkeypatch.undo()
        raise PortGoneError("the port stopped working", where="memory")

    monkeypatch.setattr(board, "_off", gone)
    assert head.ask("disable").granted
    head.run(8.0)
    assert head.state == "disarmed"
    assert [channel.received[-1] for channel in head.board.channels[:2]] == [0, 0]
