"""Feetech serial bus servos through the maker's library (scservo_sdk): STS and SM in little, SCS in big endian order.

Addresses are those of the makers' memory tables of STS3215 and SCS0009.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Counts, Fault
from reactdiff_ros.actuation.drivers.servo_bus import WRONG_LENGTH, Measured, ServoBus, ServoFaultError, check_homing
from reactdiff_ros.actuation.robot.profile import FeetechDriver

MODEL: Final = 3
OFFSET: Final = 31
MODE: Final = 33
TORQUE: Final = 40
GOAL: Final = 42
POSITION: Final = 56
STATUS: Final = 65
LOCK: Final = 55
"""Of the STS series."""
SCALE: Final = {"sts": Counts(4096, 360.0, 2047), "scs": Counts(1024, 300.0, 511)}
SERIES: Final = {"sts": {8, 9}, "scs": {5}}
"""First byte of the models of a series."""

ALARMS: Final[tuple[tuple[int, Fault], ...]] = (
    (4, Fault("hot", "it says that it is too hot")),
    (32, Fault("overload", "it says that it is overloaded: is something in its way?")),
    (8, Fault("overload", "it says that its current is too high: is something in its way?")),
    (1, Fault("voltage", "it says that its voltage is wrong: look at the supply")),
    (2, Fault("sensor", "it says that its position sensor is broken")),
)


class FeetechServos(ServoBus):
    """The servos of one Feetech bus; see `ServoBus` for the arguments."""

    homing_adds = False
    goal_bytes = (8, 3)
    asking_bytes = 8 + 6 + STATUS + 1 - POSITION
    bauds = (38_400, 57_600, 115_200, 250_000, 500_000, 1_000_000)
    address_bytes, torque_at, goal_at = 1, TORQUE, GOAL

    def __init__(self, config: FeetechDriver, axes: Mapping[str, Axis], clock: Clock, **options: Any) -> None:
        super().__init__(config.port, config.baud, axes, clock, **options)
        self._series = config.series
        self.homing_most = 2047 if config.series == "sts" else 0

    def _load_library(self) -> None:
        import scservo_sdk

        self._sdk = scservo_sdk
        # Its own numbers of two bytes follow a setting for the whole process: ours are made here, not there.
        self._packets = scservo_sdk.protocol_packet_handler()

    def _scale(self, axis: Axis) -> Counts:
        return SCALE[self._series]

    def _exchange(self, number: int, instruction: int, body: bytes, length: int) -> tuple[bytes, int]:
        packet = [0, 0, number, len(body) + 2, instruction, *body, 0]
        answer = self._talk(packet, number, length + 6, id_at=2)
        if answer[3] != length + 2 or len(answer) != length + 6:
            raise ServoFaultError("garbage", WRONG_LENGTH)
        return bytes(answer[5:-1]), int(answer[4])

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self._series == "sts" else "big")

    def _bytes(self, value: int) -> bytes:
        return value.to_bytes(2, "little" if self._series == "sts" else "big")

    def _ping(self, number: int) -> int:
        model, _ = self._read(number, MODEL, 2)
        return self._number(model)

    def _identify(self, axis: Axis) -> None:
        model, _ = self._read(axis.id, MODEL, 3)
        if model[0] not in SERIES[self._series]:
            text = f"it is a model {model[0]}.{model[1]}, none of the series {self._series}"
            raise ServoFaultError("wrong_model", f"{text}: correct the profile's series")
        if model[2] != axis.id:
            raise ServoFaultError("wrong_id", f"it says that its id is {model[2]}, not {axis.id}")
        if axis.calibration is None or self._series == "scs":
            return
        settings, _ = self._read(axis.id, OFFSET, 3)
        if settings[2] != 0:
            raise ServoFaultError("wrong_model", f"it is in mode {settings[2]}, not in that of positions (0)")
        check_homing(axis, signed(self._number(settings[:2]), 11))

    def _measure(self, axis: Axis) -> Measured:
        data, error = self._read(axis.id, POSITION, STATUS + 1 - POSITION)
        bits = error | data[9]
        alarm = next((fault for bit, fault in ALARMS if bits & bit), None)
        return Measured(
            count=signed(self._number(data[0:2]), 15),
            load=min(abs(signed(self._number(data[4:6]), 10)) / 1000.0, 1.0),
            temperature_c=float(data[7]),
            alarm=alarm,
        )

    def _torque(self, axis: Axis) -> tuple[bool, Fault | None]:
        data, _ = self._read(axis.id, TORQUE, 1)
        return bool(data[0]), None

    def _read_homing(self, axis: Axis) -> int:
        if self._series == "scs":
            return 0
        offset, _ = self._read(axis.id, OFFSET, 2)
        return signed(self._number(offset), 11)

    def _write_homing(self, axis: Axis, offset: int) -> None:
        if abs(offset) > self.homing_most:
            raise ServoFaultError("refused", f"a homing offset of {offset} is too large: {self.homing_most} at most")
        if not self.homing_most:
            return
        try:  # settings are kept when the lock is open
            self._write(axis, LOCK, b"\x00")
            self._write(axis, OFFSET, self._bytes(magnitude(offset, 11)))
        finally:
            self._write(axis, LOCK, b"\x01")

    def _torque_on(self, axis: Axis, count: int) -> None:
        # Goal first, then torque, then the goal once more: whichever the firmware takes, it stays where it is. Its own
        # time and speed limits are off (0), because the commands are limited already; STS has an acceleration as well.
        goal = self._bytes(max(count, 0)) + bytes(4)
        goal_from = GOAL
        if self._series == "sts":
            goal, goal_from = bytes(1) + goal, GOAL - 1
        self._write(axis, goal_from, goal)
        self._write(axis, TORQUE, b"\x01")
        self._write(axis, goal_from, goal)

    def _torque_off(self, axis: Axis) -> None:
        self._write(axis, TORQUE, b"\x00")

    def _goal(self, count: int) -> bytes:
        return self._bytes(count)


def magnitude(value: int, bit: int) -> int:
    """`value` as the makers write some numbers: its size, and a bit for the sign."""
    return abs(value) | (1 << bit if value < 0 else 0)


def signed(value: int, bit: int) -> int:
    """The number that `magnitude` gives."""
    size = value & ((1 << bit) - 1)
    return -size if value >> bit & 1 else size
