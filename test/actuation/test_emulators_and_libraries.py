"""The makers' libraries, with their own ports, talk to the emulated buses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import dynamixel_sdk
import pytest
import scservo_sdk
import serial
from bus_fixtures import CLOCK, port

from reactdiff_ros.actuation.emulators.boards import MaestroBoard
from reactdiff_ros.actuation.emulators.rig import Wire
from reactdiff_ros.actuation.emulators.servos import DynamixelBus, FeetechBus, crc16

ASKING_S, PAUSE_S = 30.0, 0.15


def heard(handler: Any, ask: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """Ask until the answer is good: on a busy machine the emulator is late for the library's own limit of 34 ms.

    A late answer must not be taken for that of the next question: before it is asked again, the line is quiet.
    """
    answer: Any = None
    end_s, pause_s = CLOCK() + ASKING_S, 0.01
    while CLOCK() < end_s:
        with suppress(IndexError):  # what the library makes of an answer that comes after its time
            if good(answer := ask()):
                return answer
        handler.is_using = False  # nor does it let go of its port then
        handler.ser.timeout = pause_s
        while handler.ser.read(4096):
            pass
        handler.ser.timeout = 0.0
        pause_s = min(2.0 * pause_s, PAUSE_S)
    raise AssertionError(answer)


@pytest.mark.real_time
@pytest.mark.parametrize(("series", "end"), [("sts", 0), ("scs", 1)])
def test_feetechs_library_reads_and_writes(series: str, end: int, tmp_path: Path) -> None:
    bus = FeetechBus({1: 500.0, 2: 700.0}, series)  # type: ignore[arg-type]
    with Wire(bus, port(tmp_path), CLOCK):
        handler = scservo_sdk.PortHandler(str(port(tmp_path)))
        assert handler.openPort()
        packets = scservo_sdk.PacketHandler(end)
        model = 777 if series == "sts" else 1284
        heard(handler, lambda: packets.ping(handler, 1), lambda a: a == (model, scservo_sdk.COMM_SUCCESS, 0))
        heard(handler, lambda: packets.read2ByteTxRx(handler, 2, 56), lambda a: a[0] == 700)
        heard(handler, lambda: packets.ping(handler, 9), lambda a: a[1] == scservo_sdk.COMM_RX_TIMEOUT)
        heard(handler, lambda: packets.write1ByteTxRx(handler, 1, 40, 1), lambda a: a[0] == scservo_sdk.COMM_SUCCESS)
        group = scservo_sdk.GroupSyncWrite(handler, packets, 42, 2)
        assert group.addParam(1, [scservo_sdk.SCS_LOBYTE(600), scservo_sdk.SCS_HIBYTE(600)])
        assert group.txPacket() == scservo_sdk.COMM_SUCCESS
        heard(handler, lambda: packets.read2ByteTxRx(handler, 1, 56), lambda a: a[0] == 600)
        reads = scservo_sdk.GroupSyncRead(handler, packets, 56, 2)
        assert reads.addParam(1)
        assert reads.addParam(2)
        heard(handler, reads.txRxPacket, lambda a: a == scservo_sdk.COMM_SUCCESS)
        handler.closePort()
    scservo_sdk.scservo_def.SCS_SETEND(0)


@pytest.mark.real_time
def test_robotis_library_reads_writes_and_finds(tmp_path: Path) -> None:
    bus = DynamixelBus({1: 1000.0, 3: 2000.0})
    with Wire(bus, port(tmp_path), CLOCK):
        handler = dynamixel_sdk.PortHandler(str(port(tmp_path)))
        assert handler.openPort()
        packets = dynamixel_sdk.PacketHandler(2.0)
        good = dynamixel_sdk.COMM_SUCCESS
        heard(handler, lambda: packets.ping(handler, 1), lambda a: a == (1060, good, 0))
        heard(handler, lambda: packets.broadcastPing(handler)[0], lambda a: a == {1: [1060, 45], 3: [1060, 45]})
        heard(handler, lambda: packets.read4ByteTxRx(handler, 3, 132), lambda a: a[0] == 2000)
        # Settings are refused while it has torque, and goals outside its limits always.
        heard(handler, lambda: packets.write1ByteTxRx(handler, 1, 64, 1), lambda a: a == (good, 0))
        heard(handler, lambda: packets.write1ByteTxRx(handler, 1, 11, 3), lambda a: a == (good, 7))
        heard(handler, lambda: packets.write4ByteTxRx(handler, 1, 116, 5000), lambda a: a == (good, 6))
        heard(handler, lambda: packets.write4ByteTxRx(handler, 1, 116, 1200), lambda a: a == (good, 0))
        heard(handler, lambda: packets.read4ByteTxRx(handler, 1, 132), lambda a: a[0] == 1200)
        reads = dynamixel_sdk.GroupSyncRead(handler, packets, 132, 4)
        assert reads.addParam(1)
        assert reads.addParam(3)
        heard(handler, reads.txRxPacket, lambda a: a == good)
        assert [reads.getData(i, 132, 4) for i in (1, 3)] == [1200, 2000]
        handler.closePort()


@pytest.mark.real_time
def test_a_maestro_answers_a_plain_serial_port(tmp_path: Path) -> None:
    board = MaestroBoard(6)
    with Wire(board, port(tmp_path), CLOCK), serial.Serial(str(port(tmp_path)), timeout=5.0) as line:
        line.write(bytes((0x84, 2, 6000 & 0x7F, 6000 >> 7)))
        line.write(bytes((0x90, 2)))
        assert int.from_bytes(line.read(2), "little") == 6000
        line.write(bytes((0xAA, 12, 0x04, 3, 6400 & 0x7F, 6400 >> 7, 0x90, 3)))
        assert int.from_bytes(line.read(2), "little") == 6400
        line.write(b"\xff\xa1")
        assert int.from_bytes(line.read(2), "little") == 1 << 4


def test_the_crc_is_the_makers() -> None:
    packet = bytes.fromhex("ff ff fd 00 01 03 00 01 19 4e")  # the e-manual's example of a ping
    assert crc16(packet[:-2]) == int.from_bytes(packet[-2:], "little")
    assert crc16(b"123456789") == dynamixel_sdk.Protocol2PacketHandler().updateCRC(0, b"123456789", 9)
