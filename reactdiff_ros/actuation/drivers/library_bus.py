"""What drivers of bus servos share whose packets a maker's library makes: one question, its faults, and sync writes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.actuation.drivers.axes import Axis
from reactdiff_ros.actuation.drivers.driver import Fault
from reactdiff_ros.actuation.drivers.serial_port import PortGoneError, SerialPort
from reactdiff_ros.actuation.drivers.servo_bus import ServoBus

GARBAGE: Final = Fault("garbage", "its answer makes no sense")
WRONG_LENGTH: Final = Fault("garbage", "its answer has the wrong length")


class LibraryBus(ServoBus):
    """See `ServoBus` for the arguments. `_load_library` sets `_sdk`, and `_packets`, its handler of packets."""

    _sdk: Any = None
    _packets: Any = None

    @abstractmethod
    def _receive(self, port: SerialPort) -> tuple[Any, int]:
        """The packet that is answered, and the library's result."""

    def _talk(self, packet: list[int], number: int, answer_bytes: int, id_at: int) -> Any:
        """Send one packet to servo `number`; the packet of `answer_bytes` that it answers, or a Fault.

        Args:
            packet: as the library sends it.
            number: the servo's id.
            answer_bytes: length of the answer, for the time that it may take.
            id_at: where the answer holds its sender's id.

        Raises:
            PortGoneError: the port is not open, or was lost.
        """
        try:
            port = self._port
            if port is None:
                raise PortGoneError("the port is not open", where=self._where)
            port.is_using = False
            if self._packets.txPacket(port, packet) != self._sdk.COMM_SUCCESS:
                return Fault("no_answer", "nothing could be sent to it")
            port.setPacketTimeout(answer_bytes)
            answer, result = self._receive(port)
        except PortGoneError:
            raise
        except (IndexError, ValueError, TypeError):
            return GARBAGE
        if result == self._sdk.COMM_RX_TIMEOUT:
            return Fault("no_answer", "it does not answer: is it plugged in, does it have power, is this its id?")
        if result != self._sdk.COMM_SUCCESS:
            return Fault("checksum", "its answers come broken: look at cable and baud rate")
        if answer[id_at] != number:
            return Fault("wrong_id", f"id {number} was asked, id {answer[id_at]} answered")
        port.carried()
        return answer

    def _write_many(self, address: int, length: int, values: Mapping[int, bytes]) -> None:
        if self._port is None:
            return
        group = self._sdk.GroupSyncWrite(self._port, self._packets, address, length)
        for number, value in values.items():
            group.addParam(number, list(value))
        self._port.is_using = False
        group.txPacket()


def homing_fault(axis: Axis, offset: int) -> Fault | None:
    """What is wrong with the homing offset that a servo has stored, if its joint is calibrated."""
    if axis.calibration is None or offset == axis.calibration.homing_offset:
        return None
    text = f"its homing offset is {offset}, that of its calibration {axis.calibration.homing_offset}"
    return Fault("calibration", f"{text}: calibrate again")
