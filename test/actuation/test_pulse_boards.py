"""Maestro boards in memory, Ohbot's board, and PCA9685 chips through Adafruit's library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bus_fixtures import CLOCK, axis, hobby_axes, until, wired

from reactdiff_ros.actuation.drivers.boards import PROTOCOL, MaestroBoard, OhbotBoard, Pca9685Board
from reactdiff_ros.actuation.emulators import boards as emulated
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import MaestroDriver, OhbotDriver, Pca9685Driver
from reactdiff_ros.errors import DeviceError

TIMEOUT_S = 0.5


class Maestro:
    """A board, its driver and the wire between them, in memory and in a time of their own."""

    def __init__(self, timeout_s: float = TIMEOUT_S, device: int | None = None, is_device: int = 12) -> None:
        self.board = emulated.MaestroBoard(6, is_device, timeout_s)
        config = MaestroDriver(type="maestro", timeout_s=TIMEOUT_S, device=device)
        self.driver, self.wire = wired(MaestroBoard, config, self.board, hobby_axes(0, 1, 3))
        self.clock = self.wire.clock

    def silence(self) -> None:
        """Nobody speaks for a while."""
        self.clock.now_s += 0.05
        self.board.step(self.clock.now_s)

    def poll(self) -> None:
        """Twenty times a second."""
        self.silence()
        self.driver.poll(0.05)


@pytest.fixture
def maestro() -> Maestro:
    return Maestro()


def test_a_maestro_is_armed_channel_by_channel_and_obeys(maestro: Maestro) -> None:
    assert maestro.driver.check() == {}
    assert maestro.driver.arm("j0", 5.0) is None
    maestro.driver.command({"j0": 20.0, "j1": 20.0})
    assert until(lambda: maestro.board.channels[0].target == 4 * 1700, lambda: maestro.driver.command({"j0": 20.0}))
    assert maestro.board.channels[0].received[0] == 4 * 1550
    assert maestro.board.channels[1].received == []
    for value in (1e9, float("nan"), -1e9):
        maestro.driver.command({"j0": value})
    maestro.driver.poll(0.05)
    assert maestro.driver.faults() == {}
    assert set(maestro.board.channels[0].received) <= {4 * us for us in (1550, 1700, 1900, 1100)}
    maestro.driver.release("j0")
    maestro.driver.poll(0.05)
    assert maestro.board.channels[0].target == 0
    assert maestro.driver.armed == frozenset()


@pytest.mark.parametrize(("device", "hears"), [(None, True), (5, True), (12, False)])
def test_a_maestro_with_a_number_hears_what_names_it(device: int | None, hears: bool) -> None:
    rig = Maestro(device=device, is_device=5)
    fault = rig.driver.arm("j0", 5.0)
    rig.driver.poll(0.05)
    assert (fault is None) is hears
    assert rig.board.channels[0].target == (4 * 1550 if hears else 0)
    assert not rig.board.errors & PROTOCOL


def test_a_maestro_without_serial_timeout_is_not_armed() -> None:
    rig = Maestro(timeout_s=0.0)
    faults = rig.driver.check()
    assert {f.kind for f in faults.values()} == {"watchdog"}
    assert "Control Center" in str(faults["j0"])
    assert rig.driver.arm("j0", 0.0).kind == "watchdog"
    assert rig.board.channels[0].received == []
    rig.board.timeout_s = TIMEOUT_S
    assert rig.driver.check() == {}
    assert rig.driver.arm("j0", 0.0) is None


def test_after_a_silence_the_board_has_gone_home_and_nothing_jumps(maestro: Maestro) -> None:
    assert maestro.driver.arm("j0", 0.0) is None
    channel = maestro.board.channels[0]
    assert until(lambda: bool(channel.received) and channel.target == 0, maestro.silence)
    received = len(maestro.board.channels[0].received)
    maestro.driver.command({"j0": 30.0})
    assert maestro.driver.faults()["j0"].kind == "watchdog"
    maestro.driver.poll(0.05)
    assert maestro.driver.faults()["j0"].kind == "watchdog"
    assert maestro.driver.armed == frozenset()
    assert len(maestro.board.channels[0].received) == received
    assert maestro.driver.arm("j0", 0.0) is None
    assert maestro.driver.faults() == {}


def test_a_silent_maestro_and_one_whose_cable_is_pulled(maestro: Maestro) -> None:
    assert maestro.driver.check() == {}
    assert maestro.driver.arm("j0", 0.0) is None
    maestro.board.silent = True
    assert until(lambda: "j0" in maestro.driver.faults(), maestro.poll)
    assert maestro.driver.faults()["j0"].kind == "no_answer"
    maestro.board.silent = False
    maestro.driver.poll(0.05)
    assert maestro.driver.check() == {}
    maestro.wire.pull()
    maestro.driver.poll(0.05)
    maestro.driver.command({"j0": 10.0})
    assert {f.kind for f in maestro.driver.faults().values()} == {"gone"}
    assert maestro.driver.arm("j0", 0.0) is not None
    maestro.wire.plug()
    assert until(lambda: maestro.driver.faults() == {}, maestro.poll)
    assert maestro.driver.armed == frozenset()
    assert maestro.driver.arm("j0", 0.0) is None


class Pca:
    """A chip, another one's if that is given, and its driver, open."""

    def __init__(self, folder: Path, bus: emulated.I2cBus | None = None) -> None:
        self.bus = bus or emulated.I2cBus()
        self.chip = self.bus.chips[0x41] if bus else self.bus.add(0x41)
        config = Pca9685Driver(type="pca9685", bus=1, address=0x41)
        joints = hobby_axes(0, 1, 3)
        self.driver = Pca9685Board(config, joints, CLOCK, i2c=lambda number: self.bus, lock_folder=folder)
        self.driver.open()


@pytest.fixture
def pca(tmp_path: Path) -> Iterator[Pca]:
    rig = Pca(tmp_path)
    yield rig
    rig.driver.close()


def test_a_pca9685_makes_the_pulses_that_it_is_told(pca: Pca) -> None:
    driver, chip = pca.driver, pca.chip
    assert driver.check() == {}
    assert driver.arm("j1", 0.0) is None
    assert chip.pulse_us(1) == pytest.approx(1500, abs=6)
    driver.command({"j1": 30.0, "j0": 30.0})
    assert chip.pulse_us(1) == pytest.approx(1800, abs=6)
    assert chip.pulse_us(0) == 0.0
    driver.command({"j1": -1e12})
    assert chip.pulse_us(1) == pytest.approx(1100, abs=6)
    driver.stop()
    driver.command({"j1": 0.0})
    assert chip.pulse_us(1) == pytest.approx(1100, abs=6)
    driver.release("j1")
    assert chip.pulse_us(1) == 0.0


def test_a_pca9685_that_loses_power_or_its_bus_is_found_again_unarmed(pca: Pca) -> None:
    driver, chip = pca.driver, pca.chip
    assert driver.arm("j1", 0.0) is None
    chip.reset()
    driver.poll(0.01)
    assert {f.kind for f in driver.faults().values()} == {"gone"}
    assert until(lambda: driver.faults() == {}, lambda: driver.poll(0.01))
    driver.command({"j1": 30.0})
    assert chip.pulse_us(1) == 0.0
    assert driver.arm("j1", 0.0) is None
    chip.absent = True
    driver.command({"j1": 10.0})
    assert driver.faults()["j1"].kind == "gone"


def test_no_chip_no_bus(tmp_path: Path) -> None:
    bus = emulated.I2cBus()
    bus.add(0x41).absent = True
    with pytest.raises(DeviceError, match=r"no PCA9685 answers .*0x41"):
        Pca(tmp_path, bus)
    config = Pca9685Driver(type="pca9685", bus=63, address=0x40)
    with pytest.raises(DeviceError, match=r"no such port .*/dev/i2c-63"):
        Pca9685Board(config, {}, CLOCK, lock_folder=tmp_path).open()


def test_a_maestro_reports_the_pulses_that_another_program_left(maestro: Maestro) -> None:
    maestro.board.channels[1].target, maestro.board.channels[1].goes_home = 4 * 1700, False
    assert maestro.driver.holding("j1") is None  # it was not asked yet
    assert maestro.driver.check() == {}
    assert [maestro.driver.holding(j) for j in ("j0", "j1", "j3")] == [False, True, False]
    reading = maestro.driver.reading("j1")
    assert (reading.position, reading.sent) == (None, pytest.approx(20.0))
    assert maestro.driver.reading("j0") is None
    maestro.board.channels[3].target = 6000
    assert until(lambda: maestro.driver.holding("j3") is True, maestro.poll)
    maestro.driver.release("j1")
    assert maestro.driver.holding("j1") is False
    assert until(lambda: maestro.board.channels[1].target == 0, maestro.poll)
    maestro.board.silent = True
    assert until(lambda: maestro.driver.holding("j1") is None, maestro.poll)


def test_a_pulse_that_a_maestro_reports_once_is_no_position_to_start_from(maestro: Maestro) -> None:
    maestro.board.channels[1].target, maestro.board.channels[1].goes_home = 4 * 1700, False
    widths = iter(range(100))
    maestro.wire.garble = lambda data: data[:2] + bytes((next(widths), 24)) if len(data) == 4 else data
    assert maestro.driver.check() == {}
    assert maestro.driver.holding("j1") is True
    assert maestro.driver.reading("j1") is None


def test_a_pca9685_reports_the_pulses_that_another_process_left(pca: Pca, tmp_path: Path) -> None:
    assert pca.driver.arm("j1", 20.0) is None
    pca.driver.close()
    driver = Pca(tmp_path, pca.bus).driver
    assert pca.chip.pulse_us(1) == pytest.approx(1700, abs=6)  # opening it changes nothing
    assert driver.holding("j1") is None
    assert driver.check() == {}
    assert [driver.holding(j) for j in ("j0", "j1", "j3")] == [False, True, False]
    assert driver.reading("j1").sent == pytest.approx(20.0, abs=0.6)
    driver.release("j1")
    assert driver.holding("j1") is False
    assert pca.chip.pulse_us(1) == 0.0
    pca.chip.absent = True
    driver.poll(0.01)
    assert driver.holding("j1") is None
    driver.close()


class Ohbot:
    """A board with two joints on it, as raw counts."""

    def __init__(self) -> None:
        self.board = emulated.OhbotBoard()
        given = {"unit": "raw", "lower": 100.0, "upper": 900.0}
        joints = {f"j{n}": axis(n, calibration=Calibration(n, 0, 0, 100, 900), **given) for n in (0, 1)}
        self.driver, self.wire = wired(OhbotBoard, OhbotDriver(type="ohbot"), self.board, joints)

    def attached(self) -> list[bool]:
        return [motor.servo.torque for motor in self.board.motors[:2]]


def test_an_ohbot_speaks_its_lines() -> None:
    rig = Ohbot()
    driver, board, clock = rig.driver, rig.board, rig.wire.clock
    board.silent = True
    assert driver.check()["j1"].kind == "no_answer"
    assert driver.arm("j1", 500.0) is not None
    board.silent = False
    began_s = clock.now_s
    assert driver.check() == {}
    assert clock.now_s - began_s < 0.01, "it waits no longer than for the answer"
    driver.command({"j1": 500.0})
    assert driver.arm("j1", 500.0) is None
    for value in (600.0, 600.0, 1e9, float("nan"), -1e9):
        driver.command({"j1": value})
    assert board.motors[1].received == [90, 108, 162, 18]
    assert rig.attached() == [False, True]
    board.step(clock() + 2.0)
    assert board.motors[1].servo.position == pytest.approx(100.0)
    driver.release("j1")
    assert rig.attached() == [False, False]
    for silent, polls in ((True, 5), (False, 3)):
        board.silent = silent
        for _ in range(polls):
            clock.now_s += 1.1
            began_s = clock.now_s
            driver.poll(0.01)
            assert clock.now_s - began_s < 0.01
        assert {fault.kind for fault in driver.faults().values()} == ({"no_answer"} if silent else set())
    rig.wire.pull()
    assert driver.arm("j1", 500.0) is not None
    assert driver.faults()["j1"].kind == "gone"


def test_an_ohbot_may_hold_until_it_was_told_to_let_go() -> None:
    rig = Ohbot()
    rig.board.motors[0].servo.torque = True
    assert rig.driver.check() == {}
    assert [rig.driver.holding(j) for j in ("j0", "j1")] == [None, None]
    rig.driver.release("j0")
    assert rig.driver.holding("j0") is False
    assert rig.attached() == [False, False]
    assert rig.driver.arm("j1", 500.0) is None
    assert [rig.driver.holding(j) for j in ("j0", "j1")] == [False, True]
    rig.wire.pull()
    rig.driver.command({"j1": 600.0})
    assert [rig.driver.holding(j) for j in ("j0", "j1")] == [None, None]


def test_an_ohbot_is_steered_without_being_attached() -> None:
    rig = Ohbot()
    rig.board.motors[0].servo.torque = True
    assert rig.driver.check() == {}
    for joint in ("j0", "j1"):
        assert rig.driver.steer(joint, 500.0) is None
        assert rig.driver.holding(joint) is None
    rig.driver.command({"j0": 300.0, "j1": 300.0})
    assert [motor.received[-1] for motor in rig.board.motors[:2]] == [54, 54]
    assert rig.attached() == [True, False]
    assert rig.driver.arm("j1", 300.0) is None  # enabling attaches it
    assert rig.attached() == [True, True]
