"""What leaves for the servos: inside limits after rounding, no more than the line carries, a stop never behind it."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bus_fixtures import CLOCK, Tap, axes, axis, hobby_axes, port, until, wired
from memory_port import MemoryWire, Ticker

from reactdiff_ros.actuation.drivers.boards import MaestroBoard, OhbotBoard, Pca9685Board
from reactdiff_ros.actuation.drivers.driver import MICROSECONDS, Axis, Counts
from reactdiff_ros.actuation.drivers.dynamixel import DynamixelServos
from reactdiff_ros.actuation.drivers.feetech import FeetechServos
from reactdiff_ros.actuation.drivers.robots import Link
from reactdiff_ros.actuation.drivers.serial_port import QUEUE_S, SerialPort
from reactdiff_ros.actuation.emulators import boards as emulated
from reactdiff_ros.actuation.emulators.rig import Wire
from reactdiff_ros.actuation.emulators.servos import DynamixelBus, FeetechBus
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import (
    DynamixelDriver,
    FeetechDriver,
    MaestroDriver,
    OhbotDriver,
    Pca9685Driver,
    Pulse,
    load_profile,
)

OHBOT, MAESTRO = OhbotDriver(type="ohbot"), MaestroDriver(type="maestro")
OHBOT_BAUD = 19_200
EXACT = 1e-6
MAKES = {
    "feetech": (FeetechServos, FeetechDriver, FeetechBus),
    "dynamixel": (DynamixelServos, DynamixelDriver, DynamixelBus),
}


def bus(make: str, count: int, baud: int = 1_000_000, clock: Ticker | None = None) -> tuple[Any, Any, MemoryWire]:
    """The driver of `count` servos of a make, their bus, and the wire between them."""
    kind, config, emulator = MAKES[make]
    servos = emulator(dict.fromkeys(range(count), 2047.0))
    driver, wire = wired(kind, config(type=make, baud=baud), servos, axes(*range(count)), baud, clock)
    return driver, servos, wire


def ohbot_axes(mirrored: int = 0, margin: int = 0) -> dict[str, Axis]:
    """The joints of the shipped profile, calibrated to ends so far inside of its limits."""
    found = {}
    for name, joint in load_profile("ohbot").joints.items():
        n, low, high = int(joint.output.id), int(joint.lower) + margin, int(joint.upper) - margin
        calibration = Calibration(n, mirrored, 0, *((1000 - high, 1000 - low) if mirrored else (low, high)))
        found[name] = axis(n, joint=name, unit="raw", lower=joint.lower, upper=joint.upper, calibration=calibration)
    return found


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize("margin", [0, 3, 17])
def test_an_ohbot_is_told_no_angle_beyond_a_limit_or_a_calibrated_end(mirrored: int, margin: int) -> None:
    board, joints = emulated.OhbotBoard(), ohbot_axes(mirrored, margin)
    driver, wire = wired(OhbotBoard, OHBOT, board, joints)
    assert driver.check() == {}
    for name, joint in joints.items():
        assert driver.arm(name, joint.lower) is None
        for position in np.linspace(joint.lower - 50, joint.upper + 50, 200):
            wire.clock.now_s += 0.02
            driver.command({name: float(position)})
        low, high = joint.calibration.range_min, joint.calibration.range_max
        counts = np.array(board.motors[joint.id].received) / 180 * 1000
        assert low - EXACT <= counts.min() < low + 1000 / 180
        assert high - 1000 / 180 < counts.max() <= high + EXACT


@pytest.mark.parametrize("hz", [50.0, 60.0, 200.0, 330.0, None], ids=lambda hz: f"pca9685-{hz}" if hz else "maestro")
def test_a_board_makes_no_pulse_beyond_a_limit_or_a_calibrated_end(tmp_path: Path, hz: float | None) -> None:
    pulse = Pulse(zero_us=1500, us_per_unit=10.7)
    joints = axes(0, unit="us", lower=1233.3, upper=1701.1, calibration=Calibration(0, 0, 0, 1240, 1699))
    joints |= axes(1, lower=-37.3, upper=41.9, pulse=pulse, calibration=Calibration(1, 1, 7, 600, 2400))
    driver: MaestroBoard | Pca9685Board
    if hz is None:
        board = emulated.MaestroBoard(6, timeout_s=0.5)
        driver, _ = wired(MaestroBoard, MAESTRO, board, joints)
        made, step = lambda channel: board.channels[channel].target / 4, 0.25
    else:
        i2c = emulated.I2cBus()
        made, step = i2c.add(0x40).pulse_us, 1e6 / hz / 4096
        config = Pca9685Driver(type="pca9685", pulse_hz=hz)
        driver = Pca9685Board(config, joints, CLOCK, i2c=lambda _: i2c, lock_folder=tmp_path)
        driver.open()
    for name, joint in joints.items():
        assert driver.arm(name, joint.lower) is None
        seen = []
        for position in np.linspace(joint.lower - 5, joint.upper + 5, 300):
            driver.command({name: float(position)})
            seen.append(made(joint.id))
        ends = sorted(MICROSECONDS.of(joint, position) for position in (joint.lower, joint.upper))
        assert ends[0] - EXACT <= min(seen) < ends[0] + step
        assert ends[1] - step < max(seen) <= ends[1] + EXACT


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize("unit", ["deg", "rad"])
@pytest.mark.parametrize("scale", [Counts(4096, 360.0, 2047), Counts(1024, 300.0, 511)])
def test_no_count_of_a_servo_is_beyond_its_limits(scale: Counts, unit: str, mirrored: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        size = 1.0 if unit == "rad" else 57.0
        lower, upper = sorted(rng.uniform(-size, size, 2))
        joint = axis(
            1, unit=unit, lower=lower, upper=upper + 0.02 * size, calibration=Calibration(1, mirrored, 0, 0, 4095)
        )
        for position in (-1e9, lower, upper, 1e9, rng.uniform(lower, upper)):
            position_sent = scale.position(joint, scale.of(joint, position))
            assert joint.lower - EXACT <= position_sent <= joint.upper + EXACT


# Lines that carry less than a face makes.


def test_an_ohbots_line_gets_no_more_than_it_carries() -> None:
    tap, joints, rng = Tap(emulated.OhbotBoard()), ohbot_axes(), np.random.default_rng(0)
    clock = Ticker(0.0)
    driver, _ = wired(OhbotBoard, OHBOT, tap, joints, OHBOT_BAUD, clock)
    assert driver.check() == {}
    for name, joint in joints.items():
        clock.now_s += 0.25
        assert driver.arm(name, joint.lower) is None
    tap.heard.clear()
    free_s = clock.now_s
    for _ in range(500):
        clock.now_s += 0.02
        driver.command({name: float(rng.uniform(a.lower, a.upper)) for name, a in joints.items()})
        for at_s, data in tap.heard:
            free_s = max(free_s, at_s) + len(data) * 10.0 / OHBOT_BAUD
        assert free_s - clock.now_s <= QUEUE_S + 1e-9
        sent = [line for _, data in tap.heard for line in data.split(b"\n") if line]
        assert all(re.fullmatch(rb"m0\d,\d+,250", line) for line in sent)
        tap.heard.clear()
    moves = [len(motor.received) for motor in tap.bus.motors]  # type: ignore[attr-defined]
    assert min(moves) > 0.3 * max(moves)  # ranges of 270 to 1000 counts
    assert sum(moves) > 0.8 * 10 * OHBOT_BAUD / 10 / 12


@pytest.mark.parametrize("make", MAKES)
def test_a_bus_sends_the_goals_that_its_line_carries(make: str) -> None:
    """48 servos at 57600 baud: not all goals fit into a tick, and those that are most behind go first."""
    clock, baud = Ticker(0.0), 57_600
    driver, servos, _ = bus(make, 48, baud, clock)
    for joint in driver.axes:
        clock.now_s += 0.02
        driver.command(dict.fromkeys(driver.armed, 0.0))
        assert driver.arm(joint, 0.0) is None
    received = [len(s.received) for s in servos.servos.values()]
    for tick in range(240):
        clock.now_s += 0.02
        driver.command({joint: 20.0 * math.sin(tick / 20.0) for joint in driver.axes})
    got = np.array([len(s.received) for s in servos.servos.values()]) - received
    assert 0 < got.min() <= got.max() <= 3 * got.min()
    first, each = driver.goal_bytes
    assert 0.9 < got.sum() * each / (240 * (0.02 * baud / 10 - first)) <= 1.0


def test_a_port_counts_also_what_the_system_still_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [100.0]
    with Wire(Tap(emulated.OhbotBoard()), port(tmp_path), CLOCK):
        line = SerialPort(str(port(tmp_path)), OHBOT_BAUD, lambda: now[0], lock_folder=tmp_path)
        whole = line.room()
        assert whole == int(QUEUE_S * OHBOT_BAUD / 10)
        line.writePort(b"v\n" * 10)
        assert line.room() == whole - 20
        now[0] += 0.005
        assert line.room() == pytest.approx(whole - 20 + 9.6, abs=1)
        now[0] += 0.1
        assert line.room() == whole
        monkeypatch.setattr(line, "_queued", lambda: 25)
        assert line.room() == pytest.approx(whole - 25, abs=1)
        line.close()


class Socket:
    """Takes messages, some of them slowly, and remembers when each had left."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, int]] = []

    async def send_str(self, text: str) -> None:
        if len(self.sent) % 5 == 4:
            await asyncio.sleep(0.015)
        self.sent.append((CLOCK(), json.loads(text)["n"]))


@pytest.mark.real_time
def test_no_message_to_a_robot_in_the_network_comes_sooner_than_the_limits_assume() -> None:
    link, socket = Link({"to": "ws://127.0.0.1:9"}, on_message=lambda name, message: None, least_s=0.0196), Socket()
    sending = asyncio.run_coroutine_threadsafe(link._send("to", socket), link._loop)  # type: ignore[arg-type]
    for n in range(60):
        link.send("to", "pose", {"n": n})
        time.sleep((0.02, 0.002, 0.025)[n % 3])
    assert until(lambda: bool(socket.sent) and socket.sent[-1][1] == 59, lambda: time.sleep(0.001), 5.0)
    sending.cancel()
    link.close()
    assert min(np.diff([at_s for at_s, _ in socket.sent])) >= 0.0196 - 1e-3
    assert np.diff([n for _, n in socket.sent]).min() > 0


LATE = {
    "feetech": range(12),
    "dynamixel": range(12),
    "maestro": range(6),
    "ohbot": range(2),
}


@pytest.mark.parametrize(("kind", "lost"), [(kind, number) for kind, numbers in LATE.items() for number in numbers])
def test_one_late_answer_does_not_keep_a_joint_from_being_armed(kind: str, lost: int) -> None:
    if kind in MAKES:
        driver, _, wire = bus(kind, 2)
    elif kind == "maestro":
        driver, wire = wired(MaestroBoard, MAESTRO, emulated.MaestroBoard(6, timeout_s=0.5), hobby_axes(0, 1, 2))
    else:
        driver, wire = wired(OhbotBoard, OHBOT, emulated.OhbotBoard(), ohbot_axes())
    answers = 0

    def losing(answer: bytes) -> bytes:
        nonlocal answers
        answers += bool(answer)
        return b"" if answers == lost + 1 else answer

    wire.garble = losing
    assert driver.check() == {}
    driver.poll(0.01)
    assert [driver.arm(joint, a.clamped(0.0)) for joint, a in driver.axes.items()] == [None] * len(driver.axes)
    driver.poll(0.01)
    assert driver.faults() == {}
    assert answers > lost
