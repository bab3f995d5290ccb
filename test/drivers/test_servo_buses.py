"""Feetech and Dynamixel drivers against emulated buses, through the makers' unmodified libraries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bus_fixtures import ANSWER_S, CLOCK, axes, port, sweep, until

from reactdiff_ros.drivers.axes import Calibration
from reactdiff_ros.drivers.dynamixel import DynamixelServos
from reactdiff_ros.drivers.feetech import FeetechServos
from reactdiff_ros.drivers.servo_bus import ServoBus
from reactdiff_ros.emulators.dynamixel import DynamixelBus
from reactdiff_ros.emulators.feetech import FeetechBus
from reactdiff_ros.emulators.wire import Wire
from reactdiff_ros.robots.drivers import DynamixelDriver, FeetechDriver

KINDS = ("sts", "scs", "load", "current")
IDS = (1, 2, 5)


class Bench:
    """A driver, the bus that it talks to, and the wire between them."""

    def __init__(self, kind: str, folder: Path, **changes: Any) -> None:
        middle = 511 if kind == "scs" else 2047
        start = dict.fromkeys(IDS, float(middle))
        top = 1023 if kind == "scs" else 4095
        joints = axes(*IDS, **changes)
        if "calibration" not in changes:
            joints = {
                f"j{i}": a for i in IDS for a in [axes(i, calibration=Calibration(i, 0, 0, 0, top), **changes)[f"j{i}"]]
            }
        self.bus: Any
        options = {"answer_s": ANSWER_S, "lock_folder": folder}
        place = str(port(folder))
        self.driver: ServoBus
        if kind in ("sts", "scs"):
            self.bus = FeetechBus(start, kind)  # type: ignore[arg-type]
            self.driver = FeetechServos(
                FeetechDriver(type="feetech", series=kind, port=place),
                joints,
                CLOCK,
                **options,  # type: ignore[arg-type]
            )
        else:
            self.bus = DynamixelBus(start, 1060 if kind == "load" else 1020)
            # A long watchdog, because this machine may be busy elsewhere for some tenths of a second.
            config = DynamixelDriver(type="dynamixel", port=place, baud=1_000_000, watchdog_s=2.0)
            self.driver = DynamixelServos(config, joints, CLOCK, **options)
        self.wire = Wire(self.bus, port(folder), CLOCK)

    def arm_all(self) -> None:
        assert self.driver.check() == {}
        for joint in self.driver.axes:
            assert self.driver.arm(joint, 0.0) is None
        assert self.driver.armed == set(self.driver.axes)

    def misses(self, joint: str) -> None:
        """Poll until the joint has a fault."""
        assert until(lambda: joint in self.driver.faults(), lambda: self.driver.poll(0.05)), joint


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(request.param, tmp_path)
    bench.wire.plug()
    bench.driver.open()
    yield bench
    bench.driver.close()
    bench.wire.pull()


def test_joints_go_where_they_are_told(bench: Bench) -> None:
    bench.arm_all()
    assert sweep(bench.driver, {"j1": 10.0, "j2": -20.0, "j5": 35.0})
    reading = bench.driver.reading("j1")
    assert reading is not None
    assert reading.temperature_c is not None
    assert 20 < reading.temperature_c < 60
    assert reading.voltage_v is not None
    assert 5 < reading.voltage_v < 15
    assert reading.load is not None
    assert 0 <= reading.load <= 1
    assert bench.driver.faults() == {}


def test_commands_outside_the_limits_are_clamped_and_nonsense_is_left_out(bench: Bench) -> None:
    bench.arm_all()
    assert sweep(bench.driver, {"j1": 20.0, "j2": 20.0, "j5": 20.0})
    for value in (1e9, -1e9, float("nan"), float("inf")):
        bench.driver.command({"j1": value})
    bench.driver.command({"j2": float("nan"), "nobody": 3.0})
    assert bench.driver.check() == {}
    per_degree = (1024 / 300) if bench.bus.servos[1].order == "big" else 4096 / 360
    middle = 511 if bench.bus.servos[1].order == "big" else 2047
    with bench.wire.lock:
        for number in IDS:
            assert all(abs(raw - middle) <= 40 * per_degree + 1 for raw in bench.bus.servos[number].received), (
                bench.bus.servos[number].received
            )


def test_nothing_moves_that_is_not_armed(bench: Bench) -> None:
    assert bench.driver.check() == {}
    bench.driver.command({"j1": 20.0})
    assert bench.driver.arm("j2", 0.0) is None
    assert sweep(bench.driver, {"j2": 15.0})
    with bench.wire.lock:
        assert bench.bus.servos[1].received == []
        assert not bench.bus.servos[1].motor.torque


def test_arming_does_not_jump(bench: Bench) -> None:
    with bench.wire.lock:
        servo = bench.bus.servos[1]
        servo.motor.position += 100
        stands = servo.motor.position
    assert bench.driver.check() == {}
    assert bench.driver.arm("j1", 0.0) is None
    for _ in range(5):
        bench.driver.poll(0.02)
    with bench.wire.lock:
        assert set(servo.received) == {round(stands)}
        assert servo.motor.torque
        assert abs(servo.motor.position - stands) <= 0.5


def test_release_takes_the_torque_away_and_stop_holds(bench: Bench) -> None:
    bench.arm_all()
    bench.driver.release("j1")
    bench.driver.stop()
    assert bench.driver.armed == frozenset()
    bench.driver.command({"j2": 30.0})
    bench.driver.poll(0.05)
    with bench.wire.lock:
        assert not bench.bus.servos[1].motor.torque
        assert bench.bus.servos[2].motor.torque
        assert abs(bench.bus.servos[2].received[-1] - bench.bus.servos[2].motor.position) <= 1


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ("silent", "no_answer"),
        ("mute", "no_answer"),
        ("bad_checksum", "checksum"),
        ("nonsense", "garbage"),
        ("answers_as", "wrong_id"),
        ("overload", "overload"),
        ("hot", "hot"),
        ("voltage", "voltage"),
    ],
)
def test_a_failing_servo_is_named_and_the_rest_works(bench: Bench, failure: str, kind: str) -> None:
    bench.arm_all()
    with bench.wire.lock:
        setattr(bench.bus.servos[2].failing, failure, 9 if failure == "answers_as" else True)
    bench.misses("j2")
    assert bench.driver.faults()["j2"].kind == kind
    assert set(bench.driver.faults()) == {"j2"}
    assert sweep(bench.driver, {"j1": 12.0, "j5": -12.0})
    with bench.wire.lock:
        setattr(bench.bus.servos[2].failing, failure, None if failure == "answers_as" else False)
    assert until(lambda: bench.driver.faults() == {}, lambda: bench.driver.poll(0.05))


def test_a_joint_that_was_lost_takes_no_commands_until_it_is_armed_again(bench: Bench) -> None:
    bench.arm_all()
    assert sweep(bench.driver, {"j2": 10.0})
    with bench.wire.lock:
        bench.bus.servos[2].failing.silent = True
    bench.misses("j2")
    assert "j2" not in bench.driver.armed
    with bench.wire.lock:
        bench.bus.servos[2].failing.silent = False
        before = list(bench.bus.servos[2].received)
    assert until(lambda: bench.driver.faults() == {}, lambda: bench.driver.poll(0.05))
    bench.driver.command({"j2": -40.0})
    bench.driver.poll(0.05)
    with bench.wire.lock:
        assert bench.bus.servos[2].received == before
    assert bench.driver.arm("j2", 0.0) is None
    assert sweep(bench.driver, {"j2": 11.0})


def test_half_of_the_bus_gone_leaves_the_rest(bench: Bench) -> None:
    with bench.wire.lock:
        for number in (1, 2):
            bench.bus.servos[number].failing.silent = True
    faults = bench.driver.check()
    assert {j: f.kind for j, f in faults.items()} == {"j1": "no_answer", "j2": "no_answer"}
    fault = bench.driver.arm("j1", 0.0)
    assert fault is not None
    assert bench.driver.arm("j5", 0.0) is None
    assert sweep(bench.driver, {"j5": 20.0})


def test_cable_pulled_and_put_back(bench: Bench) -> None:
    bench.arm_all()
    assert sweep(bench.driver, {"j1": 10.0, "j2": 10.0, "j5": 10.0})
    bench.wire.pull()
    bench.driver.command({"j1": 20.0})
    bench.misses("j1")
    assert {f.kind for f in bench.driver.faults().values()} == {"gone"}
    assert bench.driver.armed == frozenset()
    bench.driver.command({"j1": 30.0})
    bench.driver.release("j1")
    assert bench.driver.arm("j1", 0.0) is not None
    before = {n: list(s.received) for n, s in bench.bus.servos.items()}
    bench.wire.plug()
    assert until(lambda: bench.driver.faults() == {}, lambda: bench.driver.poll(0.05))
    bench.driver.command({"j1": -40.0, "j2": -40.0})
    bench.driver.poll(0.05)
    with bench.wire.lock:
        assert {n: s.received for n, s in bench.bus.servos.items()} == before
        assert abs(bench.bus.servos[2].motor.velocity) == 0
    for joint in bench.driver.axes:
        assert bench.driver.arm(joint, 0.0) is None
    assert sweep(bench.driver, {"j1": -10.0})


def test_scan_finds_ids_and_models(bench: Bench) -> None:
    found = bench.driver.scan(range(0, 7))
    assert sorted(found) == [1, 2, 5]
    assert set(found.values()) <= {777, 1284, 1060, 1020}


@pytest.mark.parametrize("kind", KINDS)
def test_without_calibration_it_measures_but_does_not_arm(kind: str, tmp_path: Path) -> None:
    bench = Bench(kind, tmp_path, calibration=None)
    with bench.wire:
        bench.driver.open()
        assert bench.driver.check() == {}
        reading = bench.driver.reading("j1")
        assert reading is not None
        assert reading.position == pytest.approx(0.0)
        fault = bench.driver.arm("j1", 0.0)
        assert fault is not None
        assert fault.kind == "uncalibrated"
        assert isinstance(bench.driver.count("j1"), int)
        bench.driver.close()


@pytest.mark.parametrize("kind", ["sts", "load"])
def test_a_servo_with_another_homing_offset_is_not_armed(kind: str, tmp_path: Path) -> None:
    bench = Bench(kind, tmp_path, calibration=Calibration(1, 0, -77, 0, 4095))
    with bench.wire:
        bench.driver.open()
        assert {f.kind for f in bench.driver.check().values()} == {"calibration"}
        fault = bench.driver.arm("j1", 0.0)
        assert fault is not None
        assert fault.kind == "calibration"
        bench.driver.close()


def test_another_series_is_named(tmp_path: Path) -> None:
    bench = Bench("sts", tmp_path)
    config = FeetechDriver(type="feetech", series="scs", port=str(port(tmp_path)))
    driver = FeetechServos(config, axes(1), CLOCK, answer_s=ANSWER_S, lock_folder=tmp_path)
    with bench.wire:
        driver.open()
        assert driver.check()["j1"].kind == "wrong_model"
        driver.close()


@pytest.mark.parametrize("kind", ["sts", "load"])
def test_load_and_temperature_limits_of_the_profile(kind: str, tmp_path: Path) -> None:
    bench = Bench(kind, tmp_path, temperature_c=30.0)
    with bench.wire:
        bench.driver.open()
        faults = bench.driver.check()
        assert {f.kind for f in faults.values()} == {"hot"}
        assert "30 C" in str(faults["j1"])
        bench.driver.close()


@pytest.mark.parametrize("kind", KINDS)
def test_directions_and_ranges_of_the_calibration(kind: str, tmp_path: Path) -> None:
    middle = 511 if kind == "scs" else 2047
    bench = Bench(kind, tmp_path, calibration=Calibration(1, 1, 0, middle - 50, middle + 50))
    with bench.wire:
        bench.driver.open()
        bench.arm_all()
        bench.driver.command({"j1": 40.0, "j2": 1.0})
        bench.driver.check()
        with bench.wire.lock:
            assert bench.bus.servos[1].received[-1] == middle - 50
            assert bench.bus.servos[2].received[-1] < middle
        bench.driver.close()
