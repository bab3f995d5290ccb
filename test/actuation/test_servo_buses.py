"""Feetech and Dynamixel drivers against emulated buses, through the makers' unmodified libraries."""

from __future__ import annotations

import pytest
from bus_fixtures import KINDS, Bench, axes, sweep, until

from reactdiff_ros.actuation.drivers.driver import LINK_FAULTS
from reactdiff_ros.actuation.drivers.feetech import FeetechServos
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import FeetechDriver

TORQUE = {"sts": 40, "scs": 40, "load": 64, "current": 64}
"""The register of torque."""


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_armed_joints_go_where_they_are_told_and_no_others(bench: Bench) -> None:
    assert bench.driver.check() == {}
    bench.driver.command({"j5": 20.0})
    for joint in ("j1", "j2"):
        assert bench.driver.arm(joint, 0.0) is None
    assert sweep(bench.driver, {"j1": 10.0, "j2": -20.0})
    reading = bench.driver.reading("j1")
    assert 20 < reading.temperature_c < 60
    assert 0 <= reading.load <= 1
    assert bench.driver.faults() == {}
    assert bench.bus.servos[5].received == []
    assert not bench.bus.servos[5].motor.torque
    bench.driver.stop()
    bench.driver.command({"j1": 30.0})
    bench.driver.poll(0.05)
    assert bench.bus.servos[1].motor.torque
    assert abs(bench.bus.servos[1].received[-1] - bench.bus.servos[1].motor.position) <= 1


def test_a_cable_that_is_back_brings_its_joints_back_unarmed(bench: Bench) -> None:
    bench.arm_all()
    bench.wire.pull()
    bench.driver.command({"j1": 20.0})
    assert {f.kind for f in bench.driver.faults().values()} == {"gone"}
    assert bench.driver.arm("j1", 0.0).kind == "gone"
    bench.wire.plug()
    bench.recovers()
    assert bench.driver.armed == frozenset()
    assert bench.driver.arm("j1", 0.0) is None
    assert sweep(bench.driver, {"j1": -10.0})


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
    setattr(bench.bus.servos[2].failing, failure, 9 if failure == "answers_as" else True)
    bench.misses("j2")
    assert bench.driver.faults()["j2"].kind == kind
    assert set(bench.driver.faults()) == {"j2"}
    takes_commands = kind not in LINK_FAULTS
    assert ("j2" in bench.driver.armed) is takes_commands
    assert sweep(bench.driver, {"j1": 12.0, "j5": -12.0})
    setattr(bench.bus.servos[2].failing, failure, None if failure == "answers_as" else False)
    bench.recovers()
    assert ("j2" in bench.driver.armed) is takes_commands  # else it has to be armed again


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_calibration_a_servo_is_measured_and_not_armed(kind: str) -> None:
    bench = Bench(kind, calibration=None)
    assert bench.driver.check() == {}
    assert bench.driver.reading("j1").position == pytest.approx(0.0)
    assert bench.driver.arm("j1", 0.0).kind == "uncalibrated"
    before = bench.driver.count("j1")
    assert (bench.driver.write_homing("j1", -120) is None) is (kind != "scs")  # which stores none
    assert bench.driver.count("j1") - before == {"sts": 120, "scs": 0}.get(kind, -120)
    if kind != "scs":
        bench = Bench(kind, calibration=Calibration(1, 0, -77, 0, 4095))
        bench.bus.servos[1].table[TORQUE[kind]] = 1
        assert {f.kind for f in bench.driver.check().values()} == {"calibration"}
        assert [bench.driver.holding(j) for j in ("j1", "j2")] == [True, False]
        assert bench.driver.arm("j1", 0.0).kind == "calibration"


def test_another_series_is_named() -> None:
    bench = Bench("sts")
    config = FeetechDriver(type="feetech", series="scs")
    driver = FeetechServos(config, axes(1), bench.clock, connect=lambda: bench.wire.connect())
    driver.open()
    assert driver.check()["j1"].kind == "wrong_model"
    driver.close()


@pytest.mark.parametrize("kind", ["sts", "load"])
def test_load_and_temperature_limits_of_the_profile(kind: str) -> None:
    bench = Bench(kind, temperature_c=30.0)
    faults = bench.driver.check()
    assert {f.kind for f in faults.values()} == {"hot"}
    assert "30 C" in str(faults["j1"])


@pytest.mark.parametrize("kind", KINDS)
def test_directions_and_ranges_of_the_calibration(kind: str) -> None:
    middle = 511 if kind == "scs" else 2047
    bench = Bench(kind, drive_mode=1, range_min=middle - 50, range_max=middle + 50)
    bench.arm_all()
    bench.driver.command({"j1": 40.0, "j2": 1.0})
    bench.driver.check()
    assert bench.bus.servos[1].received[-1] == middle - 50
    assert bench.bus.servos[2].received[-1] < middle


@pytest.mark.parametrize("kind", ["load", "current"])
def test_a_silent_host_stops_dynamixels_and_the_driver_knows(kind: str) -> None:
    bench = Bench(kind)
    bench.arm_all()
    servo = bench.bus.servos[1]
    servo.motor.speed = 200.0
    assert bench.driver.watchdog_s == 2.0
    bench.driver.command({"j1": 40.0})
    bench.clock.now_s += 1.0
    bench.bus.step(bench.clock())
    assert servo.motor.velocity > 0
    for waits_s in (1.1, 1.0):
        bench.clock.now_s += waits_s
        bench.bus.step(bench.clock())
    assert servo.motor.velocity == 0.0
    stopped = servo.motor.position
    assert stopped < 2047 + 430
    received = len(servo.received)
    bench.driver.command({"j1": 40.0})
    assert len(servo.received) == received
    assert bench.driver.armed == frozenset()
    assert {f.kind for f in bench.driver.faults().values()} == {"watchdog"}
    assert bench.driver.arm("j1", 0.0) is None
    assert servo.received[-1] == round(stopped)
    assert sweep(bench.driver, {"j1": 40.0})


def test_a_watchdog_that_stopped_one_servo_although_something_was_sent() -> None:
    bench = Bench("load")
    bench.arm_all()
    bench.bus.servos[2].table[98] = 0xFF
    bench.misses("j2", {"j1": 1.0, "j2": 1.0})
    assert bench.driver.faults()["j2"].kind == "watchdog"
    assert bench.driver.armed == {"j1", "j5"}


def test_polling_keeps_its_time(bench: Bench) -> None:
    bench.arm_all()
    for servo in bench.bus.servos.values():
        servo.failing.silent = True
    for _ in range(20):
        began = bench.clock.now_s
        bench.driver.poll(0.005)
        assert bench.clock.now_s - began < 0.005 + 0.012 + 0.005


def test_a_joint_outside_its_range_and_one_that_moves_are_not_armed(bench: Bench) -> None:
    assert bench.driver.check() == {}
    first = bench.bus.servos[1]
    first.motor.position = bench.driver.axes["j1"].calibration.range_max + 500
    assert bench.driver.arm("j1", 0.0).kind in ("refused", "garbage", "no_answer")
    second, real = bench.bus.servos[2], bench.bus.step

    def shaking(now_s: float) -> None:
        second.motor.position += 60
        real(now_s)

    bench.bus.step = shaking
    assert bench.driver.arm("j2", 0.0).kind in ("refused", "garbage")
    assert bench.driver.armed == frozenset()
    assert first.received == []
    assert second.received == []


def test_an_id_that_answers_twice_is_refused(bench: Bench) -> None:
    bench.bus.servos[2].failing.twice = True
    faults = bench.driver.check()
    assert {j: f.kind for j, f in faults.items()} == {"j2": "wrong_id"}
    assert "more than one" in str(faults["j2"])
    assert bench.driver.answers_twice(2)
    assert not bench.driver.answers_twice(1)


def test_all_torque_goes_at_once_without_waiting_for_answers(bench: Bench) -> None:
    bench.arm_all()
    for servo in bench.bus.servos.values():
        servo.failing.mute = True
    began_s = bench.clock.now_s
    bench.driver.release_all()
    assert bench.clock.now_s - began_s < 0.005
    assert not any(servo.motor.torque for servo in bench.bus.servos.values())
    assert bench.driver.armed == frozenset()


def test_a_servo_whose_power_was_interrupted_is_told_and_not_commanded(bench: Bench) -> None:
    bench.arm_all()
    servo = bench.bus.servos[2]
    servo.table[TORQUE[bench.kind]] = 0
    servo.motor.torque = False
    bench.misses("j2", {"j1": 1.0, "j2": 1.0})
    assert bench.driver.faults()["j2"].kind == "reset"
    assert bench.driver.armed == {"j1", "j5"}
    bench.driver.poll(0.05)
    assert bench.driver.faults()["j2"].kind == "reset"
    assert bench.driver.arm("j2", 0.0) is None
    assert bench.driver.faults() == {}


def test_torque_is_what_the_register_says_whoever_wrote_it(bench: Bench) -> None:
    register = TORQUE[bench.kind]
    assert bench.driver.holding("j1") is None  # it was not asked yet
    bench.bus.servos[2].table[register] = 1
    assert bench.driver.check() == {}
    assert [bench.driver.holding(j) for j in ("j1", "j2", "j5")] == [False, True, False]
    bench.bus.servos[1].table[register] = 1
    assert until(lambda: bench.driver.holding("j1") is True, lambda: bench.driver.poll(0.02))
    assert bench.driver.armed == frozenset()
    bench.driver.release("j2")
    assert bench.driver.holding("j2") is False
    assert bench.bus.servos[2].table[register] == 0
