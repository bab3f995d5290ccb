"""Dynamixel X servos, protocol 2, through the maker's library (dynamixel_sdk), with their Bus Watchdog.

Addresses, units and error bits are those of the makers' e-manual of the X series.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.actuation.drivers.driver import Axis, Clock, Counts, Fault
from reactdiff_ros.actuation.drivers.servo_bus import (
    PING,
    WRONG_LENGTH,
    Measured,
    ServoBus,
    ServoFaultError,
    check_homing,
)
from reactdiff_ros.actuation.robot.profile import DynamixelDriver

MODEL: Final = 0
MODE: Final = 11
OFFSET: Final = 20
CURRENT_LIMIT: Final = 38
TORQUE: Final = 64
HARDWARE_ERROR: Final = 70
WATCHDOG: Final = 98
PROFILE: Final = 108
GOAL: Final = 116
LOAD: Final = 126
HEAT: Final = 146
SCALE: Final = Counts(4096, 360.0, 2047)
WATCHDOG_TICK_S: Final = 0.02
WATCHDOG_EXPIRED: Final = 0xFF

WITH_LOAD: Final = frozenset({1060, 1070, 1080, 1090, 1160})
"""XL430, XC430 and their doubles measure load in 0.1 %; the others measure current."""
WITH_CURRENT: Final = frozenset(
    {
        *(1000, 1010, 1040, 1050, 1100, 1110, 1140, 1150),  # XH430, XH540
        *(1020, 1030, 1120, 1130),  # XM430, XM540
        *(1170, 1180, 1190, 1200, 1210, 1220, 1230, 1240, 1270, 1280),  # XW540, XL330, XC330, XW430
    }
)
ALERT: Final = 0x80
ALARMS: Final[tuple[tuple[int, Fault], ...]] = (
    (4, Fault("hot", "it says that it is too hot")),
    (32, Fault("overload", "it says that it is overloaded: is something in its way?")),
    (1, Fault("voltage", "it says that its voltage is wrong: look at the supply")),
    (8, Fault("sensor", "it says that its position sensor is broken")),
    (16, Fault("voltage", "it says that it had an electric shock, or too little current")),
)
REFUSALS: Final = {
    1: "it could not do it",
    2: "it does not know the instruction",
    3: "it received a broken packet",
    4: "the value is out of range",
    5: "the length is wrong",
    6: "the value is outside the limits that are stored in it",
    7: "it does not allow it now",
}


class DynamixelServos(ServoBus):
    """The servos of one Dynamixel bus; see `ServoBus` for the arguments."""

    homing_adds = True
    goal_bytes = (14, 5)
    asking_bytes = 14 + 11 + HEAT + 1 - LOAD
    bauds = (9600, 57_600, 115_200, 1_000_000, 2_000_000, 3_000_000, 4_000_000)
    address_bytes, torque_at, goal_at, receive_options = 2, TORQUE, GOAL, (False,)
    homing_most = 1024  # in mode 3, the one of positions, larger ones are ignored

    def __init__(self, config: DynamixelDriver, axes: Mapping[str, Axis], clock: Clock, **options: Any) -> None:
        super().__init__(config.port, config.baud, axes, clock, **options)
        self._ticks = min(max(round(config.watchdog_s / WATCHDOG_TICK_S), 1), 127)
        self.watchdog_s = self._ticks * WATCHDOG_TICK_S
        self._full: dict[int, float] = {}
        """What counts as full load, by id."""

    def _load_library(self) -> None:
        import dynamixel_sdk

        self._sdk, self._packets = dynamixel_sdk, dynamixel_sdk.Protocol2PacketHandler()

    def _scale(self, axis: Axis) -> Counts:
        return SCALE

    def _exchange(self, number: int, instruction: int, body: bytes, length: int) -> tuple[bytes, int]:
        # An answer may be longer than asked for: only `_read` knows its exact length.
        size = len(body) + 3
        packet = [0, 0, 0, 0, number, size & 0xFF, size >> 8, instruction, *body, 0, 0]
        answer = self._talk(packet, number, length + 11, id_at=4)
        data = bytes(answer[9 : 9 + (answer[5] | answer[6] << 8) - 4])
        error = int(answer[8])
        if error & ~ALERT:
            raise ServoFaultError("refused", f"it refuses: {REFUSALS.get(error & ~ALERT, 'unknown error')}")
        if len(data) < length:
            raise ServoFaultError("garbage", WRONG_LENGTH)
        return data, error

    def _ping(self, number: int) -> int:
        data, _ = self._exchange(number, PING, b"", 3)
        return int.from_bytes(data[:2], "little")

    def _identify(self, axis: Axis) -> None:
        data, _ = self._read(axis.id, MODEL, 12)
        model = int.from_bytes(data[:2], "little")
        if model not in WITH_LOAD | WITH_CURRENT:
            raise ServoFaultError("wrong_model", f"it is a model {model}, no Dynamixel of the X series that is known")
        if data[7] != axis.id:
            raise ServoFaultError("wrong_id", f"it says that its id is {data[7]}, not {axis.id}")
        if data[MODE] != 3:
            raise ServoFaultError("wrong_model", f"it is in mode {data[MODE]}, not in that of positions (3)")
        settings, _ = self._read(axis.id, OFFSET, CURRENT_LIMIT + 2 - OFFSET)
        limit = int.from_bytes(settings[-2:], "little")
        self._full[axis.id] = 1000.0 if model in WITH_LOAD else max(float(limit), 1.0)
        check_homing(axis, int.from_bytes(settings[:4], "little", signed=True))

    def _measure(self, axis: Axis) -> Measured:
        data, error = self._read(axis.id, LOAD, HEAT + 1 - LOAD)
        alarm = self._alarm(axis) if error & ALERT else None
        load = abs(int.from_bytes(data[0:2], "little", signed=True)) / self._full.get(axis.id, 1000.0)
        return Measured(
            count=int.from_bytes(data[6:10], "little", signed=True),
            load=min(load, 1.0),
            temperature_c=float(data[20]),
            alarm=alarm,
        )

    def _alarm(self, axis: Axis) -> Fault | None:
        data, _ = self._read(axis.id, HARDWARE_ERROR, 1)
        return next((fault for bit, fault in ALARMS if data[0] & bit), None)

    def _torque(self, axis: Axis) -> tuple[bool, Fault | None]:
        data, _ = self._read(axis.id, TORQUE, WATCHDOG + 1 - TORQUE)
        fault = None
        if data[-1] == WATCHDOG_EXPIRED:
            fault = Fault("watchdog", "its watchdog has stopped it: it heard nothing, although something was sent")
        return bool(data[0]), fault

    def _read_homing(self, axis: Axis) -> int:
        data, _ = self._read(axis.id, OFFSET, 4)
        return int.from_bytes(data, "little", signed=True)

    def _write_homing(self, axis: Axis, offset: int) -> None:
        self._write(axis, OFFSET, offset.to_bytes(4, "little", signed=True))

    def _torque_on(self, axis: Axis, count: int) -> None:
        # The watchdog is cleared first: while it has expired, goals are refused. The profile (108 to 115) is off,
        # because the commands are limited already. Goal before and after torque: it stays, whichever it takes.
        goal = self._goal(count)
        self._write(axis, WATCHDOG, b"\x00")
        self._write(axis, PROFILE, bytes(8) + goal)
        self._write(axis, TORQUE, b"\x01")
        self._write(axis, GOAL, goal)
        self._write(axis, WATCHDOG, bytes((self._ticks,)))

    def _torque_off(self, axis: Axis) -> None:
        # Torque first: one that hears, and does not answer, has lost it at least.
        self._write(axis, TORQUE, b"\x00")
        self._write(axis, WATCHDOG, b"\x00")

    def _goal(self, count: int) -> bytes:
        return count.to_bytes(4, "little", signed=True)
