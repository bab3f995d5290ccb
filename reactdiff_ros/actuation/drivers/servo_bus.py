"""Buses of servos that answer: asking in turns, faults joint by joint, arming without a jump, and losing the cable."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from reactdiff_ros.actuation.drivers.driver import (
    AGAIN_S,
    LINK_FAULTS,
    MISSES,
    OUTSIDE,
    UNTIL_ARMED,
    Axis,
    Clock,
    Counts,
    Driver,
    Fault,
    FaultKind,
    Reading,
)
from reactdiff_ros.actuation.drivers.serial_port import ANSWER_S, PortGoneError, SerialPort, Turns
from reactdiff_ros.actuation.robot.calibration import Calibration

_T = TypeVar("_T")
_Lost = TypeVar("_Lost")
LOAD_S: Final = 0.5
"""Load may be above its limit for this long: starting to move is no overload."""
COOLER_C: Final = 5.0
"""A joint that was too hot is well again when it is this much cooler."""


@dataclass
class Health:
    """One joint's."""

    axis: Axis
    reading: Reading | None = None
    fault: Fault | None = None
    """Of the line, the model or the calibration."""
    alarm: Fault | None = None
    """Of what the servo measures or says of itself."""
    verified: bool = False
    torque: bool | None = None
    """Whether it has torque; None: it has not reported it."""
    misses: int = 0
    due_s: float = field(default=float("-inf"))
    _loaded_since_s: float | None = None

    @property
    def wrong(self) -> Fault | None:
        """The fault that counts."""
        return self.fault or self.alarm

    def missed(self, fault: Fault, now_s: float) -> None:
        """A question was not answered, or not as it should be."""
        if fault.kind not in LINK_FAULTS:
            self.set(fault, now_s)
            return
        self.misses += 1
        if self.misses >= MISSES or self.fault is not None:
            self.set(fault, now_s)

    def set(self, fault: Fault, now_s: float) -> None:
        """It has this fault; what was measured and verified counts no more."""
        self.fault, self.reading, self.verified = fault, None, False
        if fault.kind != "calibration":  # one with another calibration still reports its torque
            self.torque = None
        self.due_s = now_s + AGAIN_S

    def answered(self, reading: Reading, alarm: Fault | None) -> None:
        """It answered as it should."""
        self.reading, self.misses, self.fault = reading, 0, None
        self.alarm = alarm or self._too_much(reading)

    def _too_much(self, reading: Reading) -> Fault | None:
        axis, heat, load = self.axis, reading.temperature_c, reading.load
        if axis.temperature_c is not None and heat is not None:
            was = self.alarm is not None and self.alarm.kind == "hot"
            if heat > axis.temperature_c - (COOLER_C if was else 0.0):
                return Fault("hot", f"it is {heat:.0f} C, its limit is {axis.temperature_c:.0f} C")
        if axis.load is None or load is None or load <= axis.load:
            self._loaded_since_s = None
            return None
        if self._loaded_since_s is None:
            self._loaded_since_s = reading.time_s
        if reading.time_s - self._loaded_since_s >= LOAD_S:
            return Fault("overload", f"its load is {load:.2f}, its limit is {axis.load:.2f}: is something in its way?")
        return None


RESET: Final = Fault("reset", "it lost its torque: was its power interrupted?")


class ServoFaultError(Exception):
    """A servo gave no usable answer, or is not as it should be; `fault` says why."""

    def __init__(self, kind: FaultKind, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(kind, text)


@dataclass(frozen=True, slots=True)
class Measured:
    """One servo's answer, in its own counts."""

    count: int
    load: float
    temperature_c: float
    alarm: Fault | None


SAME: Final = 0.01
"""Two measurements of a joint at rest differ by less than this share of all counts."""
LOOK_EVERY: Final = 17
"""The torque register is read after this many measurements; a prime, so that every joint has its turn."""
SECOND_S: Final = 0.004
"""How long a second answer to one question is waited for."""
GONE: Final = Fault("gone", "its port is gone: is the cable in?")
WRONG_LENGTH: Final = "its answer has the wrong length"
PING, READ, WRITE = 1, 2, 3
"""Instructions of both makers' protocols."""


class ServoBus(Driver):
    """What drivers of bus servos share; see `driver.Driver`.

    Args:
        port: the device.
        baud: bits a second.
        axes: the joints on it.
        clock: seconds of a clock that only goes forward.
        answer_s: how long one answer may take beyond its time on the wire.
        lock_folder: for the lock file.
        connect: opens the port; default: `SerialPort` with the arguments above.
    """

    feedback = True
    homing_adds: ClassVar[bool]
    """Whether a count is that of the sensor plus the homing offset; else it is minus."""
    goal_bytes: ClassVar[tuple[int, int]]
    """Bytes of a packet of goals without any, and those of each goal in it."""
    asking_bytes: ClassVar[int]
    """Bytes of a question for everything that is measured, and of its answer."""
    bauds: ClassVar[tuple[int, ...]]
    """Baud rates that such servos have."""
    address_bytes: ClassVar[int]
    """Of an address, and of a length, in a packet."""
    torque_at: ClassVar[int]
    goal_at: ClassVar[int]
    """Registers of torque and goal."""
    receive_options: ClassVar[tuple[Any, ...]] = ()
    """Of the library's `rxPacket`, beyond the port."""
    homing_most: int
    """The largest homing offset that it takes, either way; 0: it stores none."""
    _sdk: Any = None
    """The maker's library, and its handler of packets: `_load_library` sets both."""
    _packets: Any = None

    def __init__(
        self,
        port: str,
        baud: int,
        axes: Mapping[str, Axis],
        clock: Clock,
        *,
        answer_s: float = ANSWER_S,
        lock_folder: Path | None = None,
        connect: Callable[[], SerialPort] | None = None,
    ) -> None:
        super().__init__(axes, clock)
        self._where, self._baud = port, baud
        options: dict[str, Any] = {"answer_s": answer_s, "lock_folder": lock_folder}
        self._connect_port = connect or (lambda: SerialPort(port, baud, clock, **options))
        self._port: SerialPort | None = None
        self._turns = Turns()
        self._health = {name: Health(axis) for name, axis in self.axes.items()}
        self._turn = self._asked = 0

    # What every make of servos does in its own way. All may raise PortGoneError and ServoFaultError, and nothing else.

    @abstractmethod
    def _load_library(self) -> None:
        """Import the maker's library."""

    @abstractmethod
    def _identify(self, axis: Axis) -> None:
        """Check id, model and settings."""

    @abstractmethod
    def _scale(self, axis: Axis) -> Counts:
        """Its scale, once identified."""

    @abstractmethod
    def _measure(self, axis: Axis) -> Measured:
        """Ask for everything at once."""

    @abstractmethod
    def _torque(self, axis: Axis) -> tuple[bool, Fault | None]:
        """Whether it has torque, and why it does not move although it has."""

    @abstractmethod
    def _read_homing(self, axis: Axis) -> int:
        """The homing offset that is stored in the servo."""

    @abstractmethod
    def _write_homing(self, axis: Axis, offset: int) -> None:
        """Store the homing offset in the servo."""

    @abstractmethod
    def _torque_on(self, axis: Axis, count: int) -> None:
        """Torque, with `count` as the goal."""

    @abstractmethod
    def _torque_off(self, axis: Axis) -> None:
        """No torque."""

    @abstractmethod
    def _goal(self, count: int) -> bytes:
        """A count, as the register of goals takes it."""

    @abstractmethod
    def _ping(self, number: int) -> int:
        """The model of the servo with that id."""

    @abstractmethod
    def _exchange(self, number: int, instruction: int, body: bytes, length: int) -> tuple[bytes, int]:
        """Send one packet to one servo; `length` bytes that it answers, and its error byte."""

    # The interface.

    def open(self) -> None:
        """Open the port; see `Driver.open`."""
        self._load_library()
        if self._port is None:
            self._port = self._connect_port()
            self._opened = True

    def close(self) -> None:
        """Give the port back; see `Driver.close`."""
        self._opened = False
        self._armed.clear()
        for health in self._health.values():
            health.reading, health.verified, health.torque = None, False, None
        if self._port is not None:
            self._port.close()
            self._port = None

    def faults(self) -> dict[str, Fault]:
        """What is wrong now, by joint."""
        return {name: health.wrong for name, health in self._health.items() if health.wrong is not None}

    def reading(self, joint: str) -> Reading | None:
        """The newest measurement of a joint."""
        return self._health[joint].reading

    def holding(self, joint: str) -> bool | None:
        """What its torque register says; None: it was not read, or a later order was not confirmed."""
        return self._health[joint].torque

    def check(self) -> dict[str, Fault]:
        """Identify every joint again, and measure it; what lasts until a joint is armed is over where it is not."""
        for health in self._health.values():
            health.verified, health.fault, health.misses, health.torque = False, None, 0, None
            if health.axis.joint not in self._armed:
                self._forgive(health)
            for _ in range(MISSES):
                if self._port is None or self._ask(health):
                    break
            if health.verified and self.answers_twice(health.axis.id):
                text = f"more than one servo answers to id {health.axis.id}: give each its own"
                health.set(Fault("wrong_id", text), self._clock())
        if self._port is None:
            self._lost()
        return self.faults()

    def poll(self, budget_s: float) -> None:
        """Ask joints in turns until `budget_s` is spent, at least one."""
        started_s = self._clock()
        if self._port is None:
            self._come_back()
        names = list(self._health)
        for _ in names:
            if self._port is None:
                return
            self._turn = (self._turn + 1) % len(names)
            health = self._health[names[self._turn]]
            if health.due_s > started_s:
                continue
            self._ask(health)
            if self._clock() - started_s + self._usual_s() > budget_s:
                return

    def arm(self, joint: str, position: float) -> Fault | None:
        """Torque on, at the measured position; `position` is not needed. One late answer is asked for again."""
        for _ in range(MISSES):
            fault = self._try_to_arm(self._health[joint])
            if fault is None or fault.kind not in LINK_FAULTS or self._port is None:
                break
        return fault

    def _try_to_arm(self, health: Health) -> Fault | None:
        fault = self._may_arm(health)
        if fault is not None:
            return fault
        self._expire()
        count = self._on_port(lambda _: self._hold(health), GONE)
        if isinstance(count, Fault):
            return count
        self._armed.add(health.axis.joint)
        self._commanded_s, health.torque = self._clock(), True
        self._begin_at_count(health, count)
        return None

    def _begin_at_count(self, health: Health, count: int) -> None:
        """The joint has torque at `count`: commands begin there, also where that is a little beyond an end."""
        axis, scale = health.axis, self._scale(health.axis)
        position = scale.position(axis, count)
        if health.reading is not None:
            health.reading = replace(health.reading, time_s=self._clock(), position=position)
        self._beyond.pop(axis.joint, None)
        if scale.of(axis, position) == count:
            return
        low, high = scale.range(axis)
        assert axis.calibration is not None  # it would not have been armed
        self._beyond[axis.joint] = replace(
            axis, lower=min(axis.lower, position), upper=max(axis.upper, position),
            calibration=replace(axis.calibration, range_min=min(low, count), range_max=max(high, count)),
        )  # fmt: skip

    def ends(self, joint: str) -> tuple[float, float] | None:
        """The lowest and highest position that a joint takes; see `Driver.ends`."""
        axis, scale = self.axes[joint], self.scale(joint)
        one, other = (scale.position(axis, count) for count in scale.range(axis))
        return axis.between(one, other, self.step(joint))

    def step(self, joint: str) -> float:
        """One count of a joint, in its unit."""
        return self.scale(joint).step(self.axes[joint])

    def command(self, positions: Mapping[str, float]) -> None:
        """Send positions of armed joints, in one packet."""
        self._expire()
        now_s = self._clock()
        counts = {}
        for joint, position in self._accepted(positions).items():
            axis, scale = self.axes[joint], self.scale(joint)
            counts[axis.id] = inside = scale.of(axis, position)
            if joint in self._beyond:
                counts[axis.id] = scale.of(self._beyond[joint], position)
                if counts[axis.id] == inside:
                    del self._beyond[joint]
        if counts:
            self._on_port(lambda port: self._send(port, counts, now_s), None)

    def _send(self, port: SerialPort, counts: Mapping[int, int], now_s: float) -> None:
        first, each = self.goal_bytes
        counts = self._turns.choose(counts, dict.fromkeys(counts, each), port.room() - first)
        if counts:
            self._write_many(self.goal_at, {number: self._goal(count) for number, count in counts.items()})
            self._turns.sent(counts)
            self._commanded_s = now_s

    def release(self, joint: str) -> None:
        """Torque off; tried even where the joint has a fault, and one that does not confirm it has a fault."""
        self._armed.discard(joint)
        health = self._health[joint]
        tries = 1 if health.fault is not None else 2
        fault: Fault | None = GONE
        for _ in range(tries):
            if fault is not None:
                fault = self._on_port(lambda _: self._torque_off(health.axis), GONE)
        if fault is None:
            health.torque = False
        elif self._port is not None:
            health.set(fault, self._clock())

    def release_all(self) -> None:
        """Torque off everywhere, in one packet without an answer."""
        self._armed.clear()
        for health in self._health.values():
            health.torque = None
        off = dict.fromkeys((axis.id for axis in self.axes.values()), b"\x00")
        self._on_port(lambda _: self._write_many(self.torque_at, off), None)

    def scan(self, ids: Iterable[int]) -> dict[int, int]:
        """Models of the servos that answer, by id; one answer's time each. For looking at an unknown bus."""
        models = {number: self._on_port(lambda _, n=number: self._ping(n), None) for number in ids}  # type: ignore[misc]
        return {number: model for number, model in models.items() if isinstance(model, int)}

    def answers_twice(self, number: int) -> bool:
        """Whether something else follows the answer of the servo with that id: another that has the same."""

        def more(port: SerialPort) -> bool:
            self._ping(number)
            return bool(port.read(1, SECOND_S))

        return self._on_port(more, lost=False) is True

    def count(self, joint: str) -> int | Fault:
        """Where a joint is, in counts of the servo, also without calibration."""
        return self._on_port(lambda _: self._measure(self.axes[joint]).count, GONE)

    @classmethod
    def slow_line(cls, config: Any, joints: int, rate_hz: float) -> str:
        """What is wrong with a line that does not carry a question, and a goal for each joint, at every tick."""

        def goals(baud: int) -> int:
            first, each = cls.goal_bytes
            return int((baud / 10.0 / rate_hz - cls.asking_bytes - first) / each)

        if goals(config.baud) >= joints:
            return ""
        better = next((baud for baud in cls.bauds if goals(baud) >= joints), 0)
        todo = f"set it and its servos to {better} baud" if better else "put some of them on another"
        return f"{config.baud} baud are too few for {joints} servos, which would move late and in steps: {todo}"

    def scale(self, joint: str) -> Counts:
        """The scale of a joint's servo, once it was checked."""
        return self._scale(self.axes[joint])

    def recalibrate(self, joint: str, calibration: Calibration | None) -> None:
        """Another calibration for a joint, which is released: for calibration alone."""
        self.release(joint)
        axis = replace(self.axes[joint], calibration=calibration)
        self.axes = {**self.axes, joint: axis}
        self._health[joint].axis, self._health[joint].verified = axis, False

    def homing(self, joint: str) -> int | Fault:
        """The homing offset that is stored in a servo."""
        return self._on_port(lambda _: self._read_homing(self.axes[joint]), GONE)

    def write_homing(self, joint: str, offset: int) -> Fault | None:
        """Store a homing offset in a servo, which has no torque then: for calibration alone."""
        self.release(joint)
        health = self._health[joint]
        health.verified = False
        return self._on_port(lambda _: self._write_homing(health.axis, offset), GONE)

    # Inside.

    def _on_port(self, work: Callable[[SerialPort], _T], lost: _Lost) -> _T | Fault | _Lost:
        """The result of `work`, or the servo's fault; `lost` where the port is not open, or goes meanwhile."""
        if self._port is None:
            return lost
        try:
            return work(self._port)
        except ServoFaultError as error:
            return error.fault
        except PortGoneError:
            self._lost()
            return lost

    def _expire(self) -> None:
        for joint, fault in self._expired().items():
            self._health[joint].alarm = fault

    @staticmethod
    def _forgive(health: Health) -> None:
        if health.alarm is not None and health.alarm.kind in UNTIL_ARMED:
            health.alarm = None

    def _may_arm(self, health: Health) -> Fault | None:
        if self._port is None:
            return GONE
        fault = health.axis.calibration_fault("id")
        if fault is not None:
            return fault
        self._forgive(health)
        if not health.verified:
            self._ask(health)
        return health.wrong or (None if health.verified else Fault("no_answer", "it does not answer"))

    def _hold(self, health: Health) -> int:
        """Torque where it is, which is asked twice: after a wrong answer it would jump. Returns: its count."""
        axis, scale = health.axis, self._scale(health.axis)
        counts = [self._measure(axis).count for _ in range(2)]
        low, high = scale.range(axis)
        room = OUTSIDE * (high - low)
        if abs(counts[0] - counts[1]) > SAME * scale.counts:
            raise ServoFaultError("garbage", f"it says that it is at {counts[0]} and at {counts[1]}: does it move?")
        if not max(low - room, 0) <= counts[1] <= min(high + room, scale.counts - 1):
            text = f"it is at {counts[1]}, outside its calibrated range of {low} to {high}"
            raise ServoFaultError("refused", f"{text}: bring it inside by hand, or calibrate again")
        health.torque = None
        self._torque_on(axis, counts[1])
        return counts[1]

    def _ask(self, health: Health) -> bool:
        """One question, and what follows from the answer; whether it was a good one."""
        axis = health.axis
        measured = self._on_port(lambda _: self._look(health), GONE)
        asks = isinstance(measured, Measured) or measured.kind == "calibration"
        lapsed = self._on_port(lambda _: self._lapsed(health), None) if asks else None
        if self._port is None:
            return False
        now_s = self._clock()
        if isinstance(measured, Measured):
            scale = self._scale(axis)
            if 0 <= measured.count < scale.counts:
                health.verified = True
                kept = health.alarm if health.alarm is not None and health.alarm.kind in UNTIL_ARMED else None
                position = scale.position(axis, measured.count)
                reading = Reading(now_s, position, measured.load, measured.temperature_c)
                health.answered(reading, measured.alarm or lapsed or kept)
                return True
            measured = Fault("garbage", f"it says that it is at {measured.count}, where it cannot be")
        health.missed(measured, now_s)
        if health.fault is not None:
            self._armed.discard(axis.joint)
        return False

    def _look(self, health: Health) -> Measured:
        if not health.verified:
            self._identify(health.axis)
        return self._measure(health.axis)

    def _lapsed(self, health: Health) -> Fault | None:
        """Read whether a joint has torque, now and then and while it is unknown; why an armed one no longer moves."""
        self._asked += 1
        if health.torque is not None and self._asked % LOOK_EVERY:
            return None
        try:
            health.torque, fault = self._torque(health.axis)
        except ServoFaultError:
            return None
        if health.axis.joint not in self._armed:
            return None
        if fault is None and not health.torque:
            fault = RESET
        if fault is not None:
            self._armed.discard(health.axis.joint)
        return fault

    def _usual_s(self) -> float:
        """What one good question and its answer take on the wire."""
        return 50 * 10.0 / self._baud + 0.001

    def _lost(self) -> None:
        now_s = self._clock()
        if self._port is not None:
            self._port.close()
            self._port = None
        self._retry_s = now_s + AGAIN_S
        self._armed.clear()
        for health in self._health.values():
            health.set(GONE, now_s)
            health.due_s = now_s

    # Packets, by the maker's library.

    def _talk(self, packet: list[int], number: int, answer_bytes: int, id_at: int) -> Any:
        """Send one packet to servo `number`; the packet of `answer_bytes` that it answers.

        Args:
            packet: as the library sends it.
            number: the servo's id.
            answer_bytes: length of the answer, for the time that it may take.
            id_at: where the answer holds its sender's id.

        Raises:
            PortGoneError: the port is not open, or was lost.
            ServoFaultError: no answer came that can be used.
        """
        try:
            port = self._port
            if port is None:
                raise PortGoneError("the port is not open", where=self._where)
            port.is_using = False
            if self._packets.txPacket(port, packet) != self._sdk.COMM_SUCCESS:
                raise ServoFaultError("no_answer", "nothing could be sent to it")
            port.setPacketTimeout(answer_bytes)
            answer, result = self._packets.rxPacket(port, *self.receive_options)
        except (IndexError, ValueError, TypeError) as error:
            raise ServoFaultError("garbage", "its answer makes no sense") from error
        if result == self._sdk.COMM_RX_TIMEOUT:
            text = "it does not answer: is it plugged in, does it have power, is this its id?"
            raise ServoFaultError("no_answer", text)
        if result != self._sdk.COMM_SUCCESS:
            raise ServoFaultError("checksum", "its answers come broken: look at cable and baud rate")
        if answer[id_at] != number:
            raise ServoFaultError("wrong_id", f"id {number} was asked, id {answer[id_at]} answered")
        port.carried()
        return answer

    def _read(self, number: int, address: int, length: int) -> tuple[bytes, int]:
        """The registers of a servo from `address` on, and the error byte that comes with them."""
        n = self.address_bytes
        data, error = self._exchange(number, READ, address.to_bytes(n, "little") + length.to_bytes(n, "little"), length)
        if len(data) != length:
            raise ServoFaultError("garbage", WRONG_LENGTH)
        return data, error

    def _write(self, axis: Axis, address: int, data: bytes) -> None:
        self._exchange(axis.id, WRITE, address.to_bytes(self.address_bytes, "little") + data, 0)

    def _write_many(self, address: int, values: Mapping[int, bytes]) -> None:
        """The same register of several servos, in one packet without an answer."""
        if self._port is None or not values:
            return
        group = self._sdk.GroupSyncWrite(self._port, self._packets, address, len(next(iter(values.values()))))
        for number, value in values.items():
            group.addParam(number, list(value))
        self._port.is_using = False
        group.txPacket()


def check_homing(axis: Axis, offset: int) -> None:
    """Raise ServoFaultError where a servo has stored another homing offset than its joint was calibrated with."""
    if axis.calibration is not None and offset != axis.calibration.homing_offset:
        text = f"its homing offset is {offset}, that of its calibration {axis.calibration.homing_offset}"
        raise ServoFaultError("calibration", f"{text}: calibrate again")
