"""Boards of hobby servos: what is special to a Maestro, an Ohbot and a PCA9685; and whole robots, emulated."""

from __future__ import annotations

from pathlib import Path

import pytest
from bus_fixtures import CLOCK, axis, hobby_axes, until, wired

from reactdiff_ros.actuation.drivers.boards import PROTOCOL, MaestroBoard, OhbotBoard, Pca9685Board
from reactdiff_ros.actuation.emulators import boards as emulated
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import MaestroDriver, OhbotDriver, Pca9685Driver, load_profile
from reactdiff_ros.errors import ConfigError, DeviceError


class Maestro:
    """A board, its driver and the wire between them, in memory and in a time of their own."""

    def __init__(self, timeout_s: float = 0.5, device: int | None = None, is_device: int = 12) -> None:
        self.board = emulated.MaestroBoard(6, is_device, timeout_s)
        config = MaestroDriver(type="maestro", timeout_s=0.5, device=device)
        self.driver, self.wire = wired(MaestroBoard, config, self.board, hobby_axes(0, 1, 3))

    def silence(self) -> None:
        """Nobody speaks for a while."""
        self.wire.clock.now_s += 0.05
        self.board.step(self.wire.clock.now_s)


@pytest.mark.parametrize(("device", "hears"), [(None, True), (5, True), (12, False)])
def test_a_maestro_with_a_number_hears_what_names_it(device: int | None, hears: bool) -> None:
    rig = Maestro(device=device, is_device=5)
    fault = rig.driver.arm("j0", 5.0)
    rig.driver.poll(0.05)
    assert (fault is None) is hears
    assert rig.board.channels[0].target == (4 * 1550 if hears else 0)
    assert not rig.board.errors & PROTOCOL


def test_a_maestro_is_not_armed_before_its_serial_timeout_was_seen() -> None:
    rig = Maestro(timeout_s=0.0)
    faults = rig.driver.check()
    assert {f.kind for f in faults.values()} == {"watchdog"}
    assert "Control Center" in str(faults["j0"])
    assert rig.driver.arm("j0", 0.0).kind == "watchdog"
    assert rig.board.channels[0].received == []
    rig.board.timeout_s = 0.5
    assert rig.driver.check() == {}
    assert rig.driver.arm("j0", 0.0) is None


def test_after_a_silence_a_maestro_has_gone_home_and_gets_no_commands_until_it_is_armed() -> None:
    rig = Maestro()
    assert rig.driver.arm("j0", 0.0) is None
    channel = rig.board.channels[0]
    assert until(lambda: bool(channel.received) and channel.target == 0, rig.silence)
    received = len(channel.received)
    rig.driver.command({"j0": 30.0})
    for _ in range(2):
        assert rig.driver.faults()["j0"].kind == "watchdog"
        rig.driver.poll(0.05)
    assert rig.driver.armed == frozenset()
    assert len(channel.received) == received
    assert rig.driver.arm("j0", 0.0) is None
    assert rig.driver.faults() == {}


def test_a_pulse_that_a_maestro_reports_once_is_no_position_to_start_from() -> None:
    rig = Maestro()
    rig.board.channels[1].target, rig.board.channels[1].goes_home = 4 * 1700, False
    widths = iter(range(100))
    rig.wire.garble = lambda data: data[:2] + bytes((next(widths), 24)) if len(data) == 4 else data
    assert rig.driver.check() == {}
    assert rig.driver.holding("j1") is True
    assert rig.driver.reading("j1") is None


def pca9685(folder: Path, bus: emulated.I2cBus, address: int = 0x41) -> Pca9685Board:
    """The driver of a chip, open."""
    config = Pca9685Driver(type="pca9685", bus=1, address=address)
    driver = Pca9685Board(config, hobby_axes(0, 1, 3), CLOCK, i2c=lambda number: bus, lock_folder=folder)
    driver.open()
    return driver


def test_a_pca9685_makes_its_pulses_and_is_found_again_unarmed_after_it_lost_power_or_its_bus(tmp_path: Path) -> None:
    bus = emulated.I2cBus()
    chip = bus.add(0x41)
    driver = pca9685(tmp_path, bus)
    assert driver.arm("j1", 0.0) is None
    assert chip.pulse_us(1) == pytest.approx(1500, abs=6)
    driver.command({"j1": 30.0, "j0": 30.0})
    assert chip.pulse_us(1) == pytest.approx(1800, abs=6)
    assert chip.pulse_us(0) == 0.0
    chip.reset()
    driver.poll(0.01)
    assert {f.kind for f in driver.faults().values()} == {"gone"}
    assert until(lambda: driver.faults() == {}, lambda: driver.poll(0.01))
    driver.command({"j1": 30.0})
    assert chip.pulse_us(1) == 0.0
    assert driver.arm("j1", 20.0) is None
    driver.close()
    driver = pca9685(tmp_path, bus)  # another process
    assert chip.pulse_us(1) == pytest.approx(1700, abs=6)  # opening it changes nothing
    assert driver.check() == {}
    assert [driver.holding(j) for j in ("j0", "j1", "j3")] == [False, True, False]
    chip.absent = True
    driver.poll(0.01)
    assert driver.faults()["j1"].kind == "gone"
    assert driver.holding("j1") is None


def test_no_chip_no_bus(tmp_path: Path) -> None:
    bus = emulated.I2cBus()
    bus.add(0x41).absent = True
    with pytest.raises(DeviceError, match=r"no PCA9685 answers .*0x41"):
        pca9685(tmp_path, bus)
    config = Pca9685Driver(type="pca9685", bus=63, address=0x40)
    with pytest.raises(DeviceError, match=r"no such port .*/dev/i2c-63"):
        Pca9685Board(config, {}, CLOCK, lock_folder=tmp_path).open()


def test_an_ohbot_speaks_its_lines() -> None:
    board = emulated.OhbotBoard()
    given = {"unit": "raw", "lower": 100.0, "upper": 900.0}
    joints = {f"j{n}": axis(n, calibration=Calibration(n, 0, 0, 100, 900), **given) for n in (0, 1)}
    driver, wire = wired(OhbotBoard, OhbotDriver(type="ohbot"), board, joints)
    board.silent = True
    assert driver.check()["j1"].kind == "no_answer"
    assert driver.arm("j1", 500.0) is not None
    board.silent = False
    began_s = wire.clock.now_s
    assert driver.check() == {}
    assert wire.clock.now_s - began_s < 0.01, "it waits no longer than for the answer"
    driver.command({"j1": 500.0})
    assert driver.arm("j1", 500.0) is None
    for value in (600.0, 600.0, 1e9, float("nan"), -1e9):
        driver.command({"j1": value})
    assert board.motors[1].received == [90, 108, 162, 18]
    assert [motor.servo.torque for motor in board.motors[:2]] == [False, True]
    board.step(wire.clock() + 2.0)
    assert board.motors[1].servo.position == pytest.approx(100.0)
    driver.release("j1")
    assert not board.motors[1].servo.torque
    assert [driver.holding(j) for j in ("j0", "j1")] == [None, False]  # it cannot report
    for silent, polls in ((True, 5), (False, 3)):
        board.silent = silent
        for _ in range(polls):
            wire.clock.now_s += 1.1
            began_s = wire.clock.now_s
            driver.poll(0.01)
            assert wire.clock.now_s - began_s < 0.01
        assert {fault.kind for fault in driver.faults().values()} == ({"no_answer"} if silent else set())
    assert driver.steer("j1", 300.0) is None  # steered, it is not attached
    assert (board.motors[1].received[-1], board.motors[1].servo.torque) == (54, False)
    assert driver.arm("j1", 300.0) is None
    assert board.motors[1].servo.torque
    wire.pull()
    assert driver.arm("j1", 500.0).kind == "gone"


@pytest.mark.parametrize("robot", ["generic_12servo", "opsoro_ono", "ohbot", "inmoov_head"])
def test_shipped_robots_can_be_tried_without_hardware(robot: str, tmp_path: Path) -> None:
    with Rig(load_profile(robot), tmp_path, CLOCK) as rig:
        options = {"lock_folder": tmp_path, "i2c": lambda _: rig.i2c, "answer_s": 0.5}
        drivers, joints = make_drivers(rig.profile, rig.calibrations, CLOCK, **options), rig.profile.joints
        for driver in drivers.values():
            driver.open()
            assert driver.check() == {}
            for name in driver.axes:
                driver.command({done: joints[done].neutral for done in driver.armed})
                assert driver.arm(name, joints[name].neutral) is None
            driver.command({name: joints[name].upper for name in driver.axes})
            assert driver.faults() == {}
            driver.close()
        assert sum(len(driver.axes) for driver in drivers.values()) == len(joints)


def test_a_screen_and_two_boards_at_one_address_cannot_be_emulated(tmp_path: Path) -> None:
    screen, ono = load_profile("screen"), load_profile("opsoro_ono")
    assert make_drivers(screen, {}, CLOCK) == {}
    with pytest.raises(ConfigError, match="cannot be emulated"):
        Rig(screen, tmp_path, CLOCK)
    for address, refused in ((0x40, True), (0x41, False)):
        more = Pca9685Driver(type="pca9685", bus=2, address=address)
        two = ono.model_copy(update={"drivers": {**ono.drivers, "more": more}})
        if refused:
            with pytest.raises(ConfigError, match=r"two boards at address 0x40 .*driver more"):
                Rig(two, tmp_path, CLOCK)
        else:
            assert set(Rig(two, tmp_path, CLOCK).i2c.chips) == {0x40, 0x41}
