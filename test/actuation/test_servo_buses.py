"""Feetech and Dynamixel drivers on emulated buses, through the makers' unmodified libraries; ports and their locks."""

import errno
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from bus_fixtures import CLOCK, KINDS, Bench, axes, axis, losing, port, sweep, until, wired
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactdiff_ros.actuation.drivers.driver import LINK_FAULTS, Counts, Fault
from reactdiff_ros.actuation.drivers.feetech import FeetechServos
from reactdiff_ros.actuation.drivers.serial_port import QUEUE_S, DeviceLock, PortGoneError, SerialPort, explain
from reactdiff_ros.actuation.emulators.boards import MaestroBoard
from reactdiff_ros.actuation.emulators.rig import Wire
from reactdiff_ros.actuation.emulators.servos import FeetechBus, crc16
from reactdiff_ros.actuation.robot.calibration import Calibration
from reactdiff_ros.actuation.robot.profile import FeetechDriver
from reactdiff_ros.errors import DeviceError

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
    first, idle = bench.bus.servos[1], bench.bus.servos[5]
    assert (idle.received, idle.motor.torque) == ([], False)
    bench.driver.stop()
    bench.driver.command({"j1": 30.0})
    bench.driver.poll(0.05)
    assert first.motor.torque
    assert abs(first.received[-1] - first.motor.position) <= 1
    hotter = Bench(bench.kind, temperature_c=30.0).driver.check()
    assert {(f.kind, "30 C" in str(f)) for f in hotter.values()} == {("hot", True)}  # than its profile allows


FAILURES = {
    "silent": "no_answer", "mute": "no_answer", "bad_checksum": "checksum", "nonsense": "garbage",
    "answers_as": "wrong_id", "overload": "overload", "hot": "hot", "voltage": "voltage",
}  # fmt: skip


@pytest.mark.parametrize(("failure", "kind"), FAILURES.items())
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
    if kind != "scs":
        bench = Bench(kind, calibration=Calibration(1, 0, -77, 0, 4095))
        bench.bus.servos[1].table[TORQUE[kind]] = 1
        assert {f.kind for f in bench.driver.check().values()} == {"calibration"}
        assert [bench.driver.holding(j) for j in ("j1", "j2")] == [True, False]
        assert bench.driver.arm("j1", 0.0).kind == "calibration"


def test_another_series_is_named() -> None:
    config = FeetechDriver(type="feetech", series="scs")
    driver, _ = wired(FeetechServos, config, FeetechBus({1: 2047.0}, "sts"), axes(1))
    assert driver.check()["j1"].kind == "wrong_model"


@pytest.mark.parametrize("kind", ["load", "current"])
def test_a_silent_host_stops_dynamixels_and_the_driver_knows(kind: str) -> None:
    bench = Bench(kind)
    bench.arm_all()
    servo = bench.bus.servos[1]
    servo.motor.speed = 200.0
    assert bench.driver.watchdog_s == 2.0
    bench.driver.command({"j1": 40.0})
    for waits_s, moves in ((1.0, True), (1.1, None), (1.0, False)):
        bench.clock.now_s += waits_s
        bench.bus.step(bench.clock())
        assert moves is None or (servo.motor.velocity > 0.0) is moves
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


def test_polling_keeps_its_time_and_all_torque_goes_at_once_without_waiting_for_answers(bench: Bench) -> None:
    bench.arm_all()
    servos = bench.bus.servos.values()
    for servo in servos:
        servo.failing.mute = True
    began_s = bench.clock.now_s
    bench.driver.release_all()
    assert bench.clock.now_s - began_s < 0.005
    assert not any(servo.motor.torque for servo in servos)
    assert bench.driver.armed == frozenset()
    for _ in range(20):
        began_s = bench.clock.now_s
        bench.driver.poll(0.005)
        assert bench.clock.now_s - began_s < 0.005 + 0.012 + 0.005


def test_a_joint_outside_its_range_and_one_that_moves_are_not_armed(bench: Bench) -> None:
    assert bench.driver.check() == {}
    (first, second, _), real = bench.bus.servos.values(), bench.bus.step
    first.motor.position = bench.driver.axes["j1"].calibration.range_max + 500
    assert bench.driver.arm("j1", 0.0).kind in ("refused", "garbage", "no_answer")

    def shaking(now_s: float) -> None:
        second.motor.position += 60
        real(now_s)

    bench.bus.step = shaking
    assert bench.driver.arm("j2", 0.0).kind in ("refused", "garbage")
    assert bench.driver.armed == frozenset()
    assert first.received == second.received == []


def test_an_id_that_answers_twice_is_refused(bench: Bench) -> None:
    bench.bus.servos[2].failing.twice = True
    ((joint, fault),) = bench.driver.check().items()
    assert (joint, fault.kind) == ("j2", "wrong_id")
    assert "more than one" in str(fault)
    assert [bench.driver.answers_twice(number) for number in (1, 2)] == [False, True]


@pytest.mark.parametrize("fault", ["reset", "watchdog"])
def test_a_servo_that_lost_its_torque_or_that_its_watchdog_stopped_is_told_and_not_commanded(fault: str) -> None:
    for bench in map(Bench, KINDS if fault == "reset" else ("load", "current")):
        bench.arm_all()
        servo = bench.bus.servos[2]
        if fault == "reset":
            servo.table[TORQUE[bench.kind]], servo.motor.torque = 0, False
        else:
            servo.table[98] = 0xFF
        bench.misses("j2", {"j1": 1.0, "j2": 1.0})
        bench.driver.poll(0.05)
        assert bench.driver.faults()["j2"].kind == fault
        assert bench.driver.armed == {"j1", "j5"}
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


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize(("unit", "size"), [("deg", 57.0), ("rad", 1.0)])
@pytest.mark.parametrize("scale", [Counts(4096, 360.0, 2047), Counts(1024, 300.0, 511)])
def test_no_count_of_a_servo_is_beyond_its_limits(scale: Counts, unit: str, size: float, mirrored: int) -> None:
    rng, calibration = np.random.default_rng(0), Calibration(1, mirrored, 0, 0, 4095)
    for _ in range(300):
        lower, upper = sorted(rng.uniform(-size, size, 2))
        joint = axis(1, calibration=calibration, unit=unit, lower=lower, upper=upper + 0.02 * size)
        for position in (-1e9, lower, upper, 1e9, rng.uniform(lower, upper)):
            assert joint.lower - 1e-6 <= scale.position(joint, scale.of(joint, position)) <= joint.upper + 1e-6


@pytest.mark.parametrize("lost", range(12))
def test_one_late_answer_does_not_keep_a_servo_from_being_armed(bench: Bench, lost: int) -> None:
    bench.wire.garble = losing(lost)
    bench.arm_all()
    assert bench.driver.faults() == {}


PER_DEGREE = {"sts": 4096 / 360, "scs": 1024 / 300, "load": 4096 / 360}
MIDDLE = {"sts": 2047, "scs": 511, "load": 2047}


def framed(kind: str, number: int, error: int, data: bytes) -> bytes:
    """A well-formed answer with any content."""
    if kind == "load":
        head = b"\xff\xff\xfd\x00" + bytes((number,)) + (len(data) + 4).to_bytes(2, "little") + bytes((0x55, error))
        return head + data + crc16(head + data).to_bytes(2, "little")
    body = bytes((number, (len(data) + 2) % 256, error)) + data
    return b"\xff\xff" + body + bytes((~sum(body) & 0xFF,))


HEADERS = [b"\xff\xff", b"\xff\xff\xfd\x00", b"\xff\xff\x01\x00", b"\xff\xff\xfd\x00\x01\x00\x00U"]


def noise(kind: str) -> st.SearchStrategy[bytes]:
    """Bytes; headers and then bytes; well-formed answers of any kind."""
    sized = st.integers(0, 30).flatmap(lambda n: st.binary(min_size=n, max_size=n))
    contents, byte = st.one_of(st.binary(max_size=40), sized), st.integers(0, 255)
    frames = st.builds(framed, st.just(kind), byte, byte, contents)
    return st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(HEADERS), frames), max_size=4).map(b"".join)


@pytest.mark.parametrize("kind", MIDDLE)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_garbage_never_raises_and_never_moves_anything_outside(kind: str, data: st.DataObject) -> None:
    """Also positions are possible ones, and goals stay inside the limits of 40 degrees either way."""
    reach = round(40 * PER_DEGREE[kind])
    line = Bench(kind, (1, 2, 3), range_min=MIDDLE[kind] - reach, range_max=MIDDLE[kind] + reach)
    driver, clock = line.driver, line.clock
    answers = data.draw(st.lists(st.one_of(st.none(), noise(kind)), min_size=1, max_size=12))
    turns = itertools.count(1)

    def garble(true: bytes) -> bytes:
        turn = next(turns)
        said = answers[turn % len(answers)]
        return true if said is None else said + true if turn % 3 == 0 else said

    line.wire.garble = garble
    for value in data.draw(st.lists(st.floats(), min_size=4, max_size=4)):
        began_s = clock.now_s
        driver.check()
        for joint in ("j1", "j2"):
            assert isinstance(driver.arm(joint, value), Fault | None)
        driver.command({"j1": value, "j2": -value})
        driver.poll(0.01)
        driver.release("j2")
        driver.count("j3")
        assert clock.now_s - began_s < 60 * 0.03, "40 questions at most, each with a time limit"
        for reading in filter(None, map(driver.reading, driver.axes)):
            assert -181 <= reading.position <= 181
            assert 0 <= reading.load <= 1
        assert all(str(fault) for fault in driver.faults().values())
    # Arming goes where the servo says that it stands (its answers were made up), which may be 5 % outside.
    for servo in line.bus.servos.values():
        assert all(abs(raw - MIDDLE[kind]) <= 1.1 * 40 * PER_DEGREE[kind] + 1 for raw in servo.received)
    assert line.bus.servos[3].received == []


# One writer a port: missing, busy and forbidden ports are told in one sentence that helps.


def opened(folder: Path) -> SerialPort:
    return SerialPort(str(port(folder)), 115_200, CLOCK, lock_folder=folder)


def test_what_is_no_serial_port_a_forbidden_one_and_a_lock_without_a_folder_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a port")
    for name, words in (("none", r"no such port .*none.*plugged in"), ("file", "cannot be opened")):
        with pytest.raises(DeviceError, match=words):
            SerialPort(str(tmp_path / name), 9600, CLOCK, lock_folder=tmp_path)
    assert list(tmp_path.glob("LCK*")) == []
    assert (tmp_path / "file").read_text() == "not a port"
    sentence = str(explain(str(tmp_path / "file"), PermissionError(errno.EACCES, "denied")))
    assert "usermod -aG " in sentence
    with pytest.raises(DeviceError, match="cannot be made"):
        DeviceLock("/dev/ttyX", tmp_path / "nowhere")


def test_a_port_has_one_writer_and_the_holder_is_named(tmp_path: Path) -> None:
    other, elsewhere = tmp_path / "another_name", tmp_path / "elsewhere"
    elsewhere.mkdir()
    other.symlink_to(port(tmp_path))
    with Wire(MaestroBoard(), port(tmp_path), CLOCK):
        first = opened(tmp_path)
        with pytest.raises(DeviceError, match=rf"in use .*process {os.getpid()} "):
            SerialPort(str(other), 9600, CLOCK, lock_folder=tmp_path)
        with pytest.raises(DeviceError, match="in use"):  # of a program that only locks the device
            SerialPort(str(port(tmp_path)), 9600, CLOCK, lock_folder=elsewhere)
        first.close()
        first.close()
        assert list(tmp_path.glob("LCK*")) == []
        lock = Path(f"{tmp_path}/LCK..{os.path.realpath(port(tmp_path)).removeprefix('/dev/').replace('/', '_')}")
        lock.write_text("         1\nminicom root\n")  # a process without flock, which lives
        with pytest.raises(DeviceError, match="process 1 minicom root has it"):
            opened(tmp_path)
        for left in ("nonsense", "999999999"):
            lock.write_text(left)
            opened(tmp_path).close()


def test_a_port_counts_what_is_still_to_be_sent_and_a_pulled_cable_is_told_by_every_call(tmp_path: Path) -> None:
    wire = Wire(MaestroBoard(), port(tmp_path), CLOCK)
    wire.plug()
    now = [100.0]
    line = SerialPort(str(port(tmp_path)), 19_200, lambda: now[0], lock_folder=tmp_path)
    whole = line.room()
    assert whole == int(QUEUE_S * 19_200 / 10)
    line.writePort(b"v\n" * 10)
    assert line.room() == whole - 20
    now[0] += 0.005
    assert line.room() == pytest.approx(whole - 20 + 9.6, abs=1)
    line.close()
    line = opened(tmp_path)
    line.clearPort()
    wire.say(b"abc")
    assert line.read(3, 5.0) == b"abc"
    assert line.read(1, 0.01) == b""
    wire.pull()
    for call in (lambda: line.read(1, 1.0), lambda: line.writePort(b"x"), line.clearPort):
        with pytest.raises(PortGoneError):
            call()
    line.close()
