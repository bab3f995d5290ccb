"""Boards of hobby servos: what is special to a Maestro, an Ohbot and a PCA9685."""

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bus_fixtures import CLOCK, axes, axis, hobby_axes, until, wired
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_port import MemoryWire, Ticker

from reactdiff_ros.actuation.drivers.boards import MaestroBoard, OhbotBoard, Pca9685Board
from reactdiff_ros.actuation.drivers.driver import Axis
from reactdiff_ros.actuation.drivers.serial_port import QUEUE_S
from reactdiff_ros.actuation.emulators import boards as emulated
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import MaestroDriver, OhbotDriver, Pca9685Driver, Pulse, load_profile
from reactdiff_ros.errors import DeviceError


def maestro(timeout_s: float = 0.5, device: int | None = None) -> Any:
    """An emulated board, its driver, open, and the wire between them, in a time of their own."""
    board = emulated.MaestroBoard(6, 5, timeout_s)
    config = MaestroDriver(type="maestro", timeout_s=0.5, device=device)
    return board, *wired(MaestroBoard, config, board, hobby_axes(0, 1, 3))


@pytest.mark.parametrize("device", [None, 5])
def test_a_maestro_with_a_number_or_none_is_not_armed_before_its_serial_timeout_was_seen(device: int | None) -> None:
    board, driver, _ = maestro(0.0, device)
    faults = driver.check()
    assert {f.kind for f in faults.values()} == {"watchdog"}
    assert "Control Center" in str(faults["j0"])
    assert driver.arm("j0", 0.0).kind == "watchdog"
    assert board.channels[0].received == []
    board.timeout_s = 0.5
    assert driver.check() == {}
    assert driver.arm("j0", 5.0) is None
    assert board.channels[0].target == 4 * 1550


def pca9685(folder: Path, bus: emulated.I2cBus, joints: dict[str, Axis], **given_: Any) -> Pca9685Board:
    """The driver of a chip, open."""
    config = Pca9685Driver(type="pca9685", **given_)
    driver = Pca9685Board(config, joints, CLOCK, i2c=lambda number: bus, lock_folder=folder)
    driver.open()
    return driver


def test_a_pca9685_makes_its_pulses_and_is_found_again_unarmed_after_it_lost_power_or_its_bus(tmp_path: Path) -> None:
    bus = emulated.I2cBus()
    chip = bus.add(0x41)
    driver = pca9685(tmp_path, bus, hobby_axes(0, 1, 3), address=0x41)
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
    driver = pca9685(tmp_path, bus, hobby_axes(0, 1, 3), address=0x41)  # another process
    assert chip.pulse_us(1) == pytest.approx(1700, abs=6)  # opening it changes nothing
    assert driver.check() == {}
    assert [driver.holding(j) for j in ("j0", "j1", "j3")] == [False, True, False]
    chip.absent = True
    driver.poll(0.01)
    assert driver.faults()["j1"].kind == "gone"
    assert driver.holding("j1") is None
    driver.close()
    with pytest.raises(DeviceError, match=r"no PCA9685 answers .*0x41"):
        driver.open()
    with pytest.raises(DeviceError, match=r"no such port .*/dev/i2c-63"):
        Pca9685Board(Pca9685Driver(type="pca9685", bus=63), {}, CLOCK, lock_folder=tmp_path).open()


def test_an_ohbot_speaks_its_lines() -> None:
    board = emulated.OhbotBoard()
    given = {"unit": "raw", "lower": 100.0, "upper": 900.0}
    joints = {f"j{n}": axis(n, calibration=Calibration(n, 0, 0, 100, 900), **given) for n in (0, 1)}
    driver, wire = wired(OhbotBoard, OhbotDriver(type="ohbot"), board, joints)
    motor = board.motors[1]
    board.silent = True
    assert driver.check()["j1"].kind == "no_answer"
    assert driver.arm("j1", 500.0) is not None
    board.silent = False
    assert driver.check() == {}
    driver.command({"j1": 500.0})
    assert driver.arm("j1", 500.0) is None
    for value in (600.0, 600.0, 1e9, float("nan"), -1e9):
        driver.command({"j1": value})
    assert motor.received == [90, 108, 162, 18]
    assert (board.motors[0].servo.torque, motor.servo.torque) == (False, True)
    board.step(wire.clock() + 2.0)
    assert motor.servo.position == pytest.approx(100.0)
    driver.release("j1")
    assert not motor.servo.torque
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
    assert (motor.received[-1], motor.servo.torque) == (54, False)
    assert driver.arm("j1", 300.0) is None
    assert motor.servo.torque
    wire.pull()
    assert driver.arm("j1", 500.0).kind == "gone"


@pytest.mark.parametrize("hz", [50.0, 60.0, 200.0, 330.0, None], ids=lambda hz: f"pca9685-{hz}" if hz else "maestro")
def test_a_board_makes_no_pulse_beyond_a_limit_or_a_calibrated_end(tmp_path: Path, hz: float | None) -> None:
    pulse = Pulse(zero_us=1500, us_per_unit=10.7)
    joints = axes(0, unit="us", lower=1233.3, upper=1701.1, calibration=Calibration(0, 0, 0, 1240, 1699))
    joints |= axes(1, lower=-37.3, upper=41.9, pulse=pulse, calibration=Calibration(1, 1, 7, 600, 2400))
    driver: MaestroBoard | Pca9685Board
    if hz is None:
        board = emulated.MaestroBoard(6, timeout_s=0.5)
        driver, _ = wired(MaestroBoard, MaestroDriver(type="maestro"), board, joints)
        made, step = lambda channel: board.channels[channel].target / 4, 0.25
    else:
        i2c = emulated.I2cBus()
        made, step = i2c.add(0x40).pulse_us, 1e6 / hz / 4096
        driver = pca9685(tmp_path, i2c, joints, pulse_hz=hz)
    for name, joint in joints.items():
        assert driver.arm(name, joint.lower) is None
        seen = []
        for position in np.linspace(joint.lower - 5, joint.upper + 5, 300):
            driver.command({name: float(position)})
            seen.append(made(joint.id))
        low, high = {"j0": (1240.0, 1699.0), "j1": (1507 - 10.7 * 41.9, 1507 + 10.7 * 37.3)}[name]  # j1 is mirrored
        assert low - 1e-6 <= min(seen) < low + step
        assert high - step < max(seen) <= high + 1e-6


def test_an_ohbots_line_gets_no_more_than_it_carries_so_that_a_stop_never_waits() -> None:
    board, rng, heard = emulated.OhbotBoard(), np.random.default_rng(0), []
    profile, clock, receive = load_profile("ohbot"), Ticker(0.0), board.receive
    (driver,) = make_drivers(profile, Rig(profile, Path(), clock).calibrations, clock).values()
    wire = MemoryWire(board, clock, 19_200)
    wire.plug()
    driver._connect_port = wire.connect
    driver.open()
    assert driver.check() == {}
    for name, joint in driver.axes.items():
        clock.now_s += 0.25
        assert driver.arm(name, joint.lower) is None
    board.receive = lambda data, now_s: heard.append((now_s, data)) or receive(data, now_s)
    free_s = clock.now_s
    for _ in range(500):
        clock.now_s += 0.02
        driver.command({name: float(rng.uniform(a.lower, a.upper)) for name, a in driver.axes.items()})
        for at_s, data in heard:
            free_s = max(free_s, at_s) + len(data) * 10.0 / 19_200
            assert re.fullmatch(rb"(m0\d,\d+,250\n)+", data)
        assert free_s - clock.now_s <= QUEUE_S + 1e-9
        heard.clear()
    moves = [len(motor.received) for motor in board.motors]
    assert min(moves) > 0.3 * max(moves)  # ranges of 270 to 1000 counts
    assert sum(moves) > 0.8 * 10 * 19_200 / 10 / 12


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    chunks=st.lists(st.one_of(st.none(), st.binary(max_size=6)), min_size=1, max_size=8),
    values=st.lists(st.floats(), min_size=1, max_size=10),
)
def test_a_babbling_maestro_never_raises(chunks: list[bytes | None], values: list[float]) -> None:
    board, driver, wire = maestro()
    turn = itertools.cycle(chunks)

    def garble(true: bytes) -> bytes:
        said = next(turn)
        return true if said is None else said

    wire.garble = garble
    driver.check()
    for value in values:
        driver.arm("j0", value)
        driver.command({"j0": value, "j1": value})
        driver.poll(0.01)
        assert all(str(fault) for fault in driver.faults().values())
    assert board.channels[1].received == []
    assert all(4 * 1100 <= quarters <= 4 * 1900 for quarters in board.channels[0].received)
