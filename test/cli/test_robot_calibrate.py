"""Calibration, emulation and `reactdiff robot calibrate`: right results, and a safe end whatever happens."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from calibration_operator import bench, joint, profile_of

from reactdiff_ros.actuation.drivers.serial_port import DeviceLock, SerialPort
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.actuation.kept_state import Kept
from reactdiff_ros.actuation.robot.calibration import Calibration, load_calibration
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.cli.calibrate import StoppedError, find_ports
from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.robot import Emulation
from reactdiff_ros.errors import DeviceError, ReactdiffError
from reactdiff_ros.settings import state_folder

TERMINAL = pytest.mark.real_time  # on pseudo-terminals

WAYS = {"sts": [100, 480, -960, 480], "dynamixel": [100, 480, -960, 480], "scs": [3, 122, -244, 122]}
OLD = '{"neck": {"id": 1, "drive_mode": 0, "homing_offset": 0, "range_min": 1, "range_max": 2}}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the calibration, which holds an old one."""
    path = tmp_path / "calibration.json"
    path.write_text(OLD)
    return path


def assert_it_can_be_armed(rig: Any, calibration: Calibration, at: float, folder: Path) -> None:
    driver = make_drivers(rig.profile, {"neck": calibration}, rig.time.now, lock_folder=folder, answer_s=0.15)["bus"]
    driver.open()
    assert driver.check() == {}
    assert driver.arm("neck", at) is None
    driver.close()


def test_a_port_in_use_is_another_case_than_one_where_nothing_is(tmp_path: Path) -> None:
    profile = load_profile("generic_12servo")
    device = str(tmp_path / "tty")
    Path(device).touch()
    lock = DeviceLock(device, tmp_path)

    def make(found: Any) -> Any:
        return make_drivers(found, {}, time.monotonic, lock_folder=tmp_path)

    with pytest.raises(DeviceError, match=f"maestro answers at no free port .*in use.*: end what uses {device}$"):
        find_ports(profile, ["maestro"], {"maestro": device}, [], make, Any)
    lock.release()
    with pytest.raises(DeviceError, match=r"maestro was not found .*no such port"):
        find_ports(profile, ["maestro"], {"maestro": "/dev/nothing"}, [], make, Any)


@pytest.mark.parametrize(
    ("kind", "turned", "by"),
    [
        *((kind, turned, "memory") for kind in ("sts", "dynamixel", "scs") for turned in (False, True)),
        pytest.param("sts", False, "terminal", marks=TERMINAL),
    ],
)
def test_a_servo_on_a_bus_is_calibrated_and_can_be_armed(
    kind: str, turned: bool, by: str, path: Path, tmp_path: Path
) -> None:
    sign = -1 if turned else 1
    first, *rest = WAYS[kind]
    with bench(tmp_path, kind, [first, *(sign * w for w in rest)], by=by) as somebody:
        result = somebody.calibrate(path)
        assert result["calibrated"] == ["neck"]
        assert result["missing"] == []
        servo = somebody.servo("neck")
        assert not servo.motor.torque
        assert len(servo.received) > 20
        calibration = load_calibration(path)["neck"]
        assert calibration.drive_mode == int(turned)
        half = 511 if kind == "scs" else 2047
        assert calibration.homing_offset == {"sts": 100, "dynamixel": -100, "scs": 0}[kind]
        assert calibration.range_min < half < calibration.range_max
        assert abs(calibration.range_max - half - WAYS[kind][1]) < 20
        # What was sent stayed inside the profile's limits, and did not jump.
        per_degree = 1024 / 300 if kind == "scs" else 4096 / 360
        assert max(abs(raw - half) for raw in servo.received) <= 40 * per_degree + 4
        assert max(abs(b - a) for a, b in itertools.pairwise(servo.received[3:])) <= 40 * per_degree / 8
        assert_it_can_be_armed(somebody.rig, calibration, 0.0, tmp_path)


@pytest.mark.parametrize("turned", [False, True])
def test_a_hobby_servo_is_calibrated_as_its_operator_says(turned: bool, path: Path, tmp_path: Path) -> None:
    answers = [("n: the other way", "n")] if turned else []
    answers += [("is this its neutral", "+30"), ("is this its neutral", "-10"), ("is this its neutral", "much")]
    with bench(tmp_path, "maestro", [], *answers, unit="us", number=3) as somebody:
        somebody.calibrate(path)
        found = load_calibration(path)["neck"]
        assert found == Calibration(3, int(turned), 20, 1120, 1920)
        channel: Any = somebody.rig.buses["bus"].channels[3]
        assert channel.target == 0
        # In quarters of microseconds; after the first pulse it never jumped.
        pulses = [raw for raw in channel.received if raw]
        assert 4 * 1119 <= min(pulses) <= max(pulses) <= 4 * 1921
        assert max(abs(b - a) for a, b in itertools.pairwise(pulses)) <= 4 * 400 / 8
        assert any("not a whole number" in line for line in somebody.said)
        assert_it_can_be_armed(somebody.rig, found, 1500.0, tmp_path)


@pytest.mark.parametrize(
    ("poses", "speed", "words"),
    [
        ([0, 100, -200], None, "too small"), ([0, 1000, 900], None, "reversed"), ([0, 500, -3000], None, "wrapped"),
        ([0, 480, -960, 480], 1.0, "does not follow"),
    ],
)  # fmt: skip
def test_ranges_that_cannot_be_and_a_blocked_joint_are_refused_and_nothing_is_written(
    poses: list[int], speed: float | None, words: str, path: Path, tmp_path: Path
) -> None:
    with bench(tmp_path, "sts", poses) as somebody:
        servo = somebody.servo("neck")
        servo.motor.speed = speed or servo.motor.speed
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        assert any(words in line for line in somebody.said)
        assert path.read_text() == OLD
        assert not servo.motor.torque
        assert speed or servo.received == []


STOPS = [
    "its torque goes off", "its neutral pose (0 deg)", "its upper end, where the face looks down (40", "its lower end",
    "near its neutral", "fingers off", "  to 40", "  to -40", "did it move freely", "write ",
]  # fmt: skip


def stop() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("kind", "at", "by"),
    [
        *(("sts", at, "memory") for at in STOPS),
        ("dynamixel", "near its neutral", "memory"),
        pytest.param("dynamixel", "  to -40", "terminal", marks=TERMINAL),
    ],
)
def test_ctrl_c_at_any_moment_lets_go_and_leaves_everything_as_it_was(
    kind: str, at: str, by: str, path: Path, tmp_path: Path
) -> None:
    with bench(tmp_path, kind, WAYS[kind], (at, stop), by=by) as somebody:
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        assert any(at in line for line in somebody.said)
        servo = somebody.servo("neck")
        assert not servo.motor.torque
        assert path.read_text() == OLD
        offset = servo.get(31, 2) if kind == "sts" else servo.get(20, 4, signed=True)
        assert offset == 0
    assert [p.name for p in tmp_path.iterdir() if "calibration" in p.name] == ["calibration.json"]


@pytest.mark.parametrize(
    ("changes", "torque"), [({"on_fault": "hold"}, True), ({"on_fault": "lower_then_release", "lowered": -20.0}, False)]
)
def test_a_joint_that_is_stopped_does_its_on_fault(changes: dict[str, Any], torque: bool, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    terminated = ("  to -40", lambda: os.kill(os.getpid(), signal.SIGTERM))
    with bench(tmp_path, "sts", WAYS["sts"], terminated, **changes) as somebody:
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        servo = somebody.servo("neck")
        assert servo.motor.torque == torque
        if torque:
            assert any("it holds where it is" in line for line in somebody.said)
            assert any("calibrate it again" in line for line in somebody.said)
        else:
            assert abs(servo.received[-1] - (2047 - 20 * 4096 / 360)) <= 1
        assert not path.exists()


def test_a_second_ctrl_c_while_it_is_lowered_holds_it(tmp_path: Path) -> None:
    slow = {"on_fault": "lower_then_release", "lowered": -38.0, "limits": {**joint()["limits"], "speed": 400}}
    with bench(tmp_path, "sts", [0, 480, -960, 480], ("  to -40", stop), **slow) as somebody:
        forget, times = somebody.console.forget_stop, []

        def forget_and_stop_again() -> None:
            times.append(1)
            forget()
            stop()

        somebody.console.forget_stop = forget_and_stop_again
        with pytest.raises(StoppedError):
            somebody.calibrate(tmp_path / "calibration.json")
        assert times
        assert somebody.servo("neck").motor.torque
        assert any("it holds where it is, if it can" in line for line in somebody.said)


def test_a_full_disk_leaves_the_old_file_and_the_old_homing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with bench(tmp_path, "sts", WAYS["sts"]) as somebody:
        with pytest.raises(ReactdiffError, match="No space left"):
            somebody.calibrate(path)
        assert path.read_text() == OLD
        assert somebody.servo("neck").get(31, 2) == 0


def reactdiff(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", "import sys; from reactdiff_ros.cli.main import main; sys.exit(main())"]
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, *arguments], stdin=pipe, stdout=pipe, stderr=subprocess.PIPE, text=True)


@contextmanager
def emulated(profile: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The command, and the profile that it wrote."""
    process = reactdiff("robot", "emulate", str(profile), "--folder", str(folder))
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(5)]
        yield process, Path(lines[1].split(": ")[1].strip())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=90)


def answered(process: subprocess.Popen[str], script: list[tuple[str, str]]) -> str:
    """Everything that was said, until all of the script was; each answer once its question is there."""
    assert process.stdout is not None
    assert process.stdin is not None
    said = ""
    for question, answer in script:
        while question not in (line := process.stdout.readline()):
            assert line, f"{question!r} was never asked: {said}{process.stderr.read() if process.stderr else ''}"
            said += line
        said += line
        process.stdin.write(f"{answer}\n")
        process.stdin.flush()
    return said + process.stdout.read()


SCRIPT = [
    ("fingers off", ""), ("did it move", "y"), ("is this its neutral", "+15"), ("is this its neutral", ""),
    ("slowly to its lower limit", ""), ("slowly to its upper limit", ""), ("write ", "y"),
]  # fmt: skip


@pytest.mark.real_time
@pytest.mark.timeout(120)
def test_a_robot_is_emulated_and_calibrated_from_one_terminal_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    profile_of(tmp_path, "maestro", neck=joint("us", 3))
    output = tmp_path / "found.json"
    output.write_text("{}")
    with emulated(tmp_path / "bench.yaml", tmp_path / "dev") as (_, profile):
        robot = load_profile(profile)
        kept = Kept(state_folder("", "robots"), robot.name, robot.joints)
        kept.keep_commands({"neck": 1600.0})
        process = reactdiff("robot", "calibrate", str(profile), "--output", str(output))
        said = answered(process, SCRIPT)
        assert process.wait(timeout=90) == 0
    assert "1 joint calibrated; the previous file is" in said
    assert load_calibration(output) == {"neck": Calibration(3, 0, 15, 1115, 1915)}
    assert (tmp_path / "found.json.1.bak").read_text() == "{}"
    assert kept.commands() == {}  # it stands at its neutral now
    assert list((tmp_path / "dev").iterdir()) == []


def test_a_dry_run_opens_and_sends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a port was opened")

    monkeypatch.setattr(SerialPort, "__init__", opened)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for kind, unit, words in (
        ("sts", "deg", ["homing offset", "2047 to 2502 (neutral to upper)", "torque off"]),
        ("maestro", "us", ["pulses on at 1500", "1500 to 1900 (its upper limit)"]),
        ("ohbot", "raw", ["500 to 800"]),
    ):
        profile_of(tmp_path, kind, neck=joint(unit, 2))
        calibrate = ["robot", "calibrate", str(tmp_path / "bench.yaml"), "--dry-run"]
        assert main([*calibrate, "--port", "bus=/dev/nothing"]) == 0
        said = capsys.readouterr().out
        assert "at /dev/nothing" in said
        assert all(word in said for word in words), said
    assert main(["robot", "calibrate", str(tmp_path / "bench.yaml"), "--dry-run", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["dry_run"] is True
    assert any("500 to 800" in line for line in result["would_send"])
    for robot in ("generic_12servo", "opsoro_ono", "inmoov_head", "ohbot"):
        assert main(["robot", "calibrate", robot, "--dry-run"]) == 0
    assert not list(tmp_path.glob("reactdiff_ros/**/*.json"))


def test_what_can_be_done_beside_an_emulated_robot(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint(), jaw=joint(number=2))
    with Rig(profile, tmp_path / "dev", time.monotonic) as rig:
        beside = Emulation(rig, lambda _: None)
        assert beside.execute(["where"]) == "neck 2047 counts\njaw 2047 counts"
        assert beside.execute(["neck", "+200"]) == "neck 2247 counts"
        for fault, on, off in (("hot", "True", "False"), ("answers_as", "2", "None")):
            assert beside.execute(["neck", fault]) == f"neck: {fault} {on}"
            assert beside.execute(["neck", fault]) == f"neck: {fault} {off}"
        assert beside.execute(["pull", "bus"]) == "bus: the cable is out"
        assert not rig.wires["bus"].link.exists()
        assert beside.execute(["plug", "bus"]) == "bus: the cable is in"
        for nonsense in (["fly"], ["neck", "far"], ["pull", "nose"], ["nose", "3"]):
            assert "switch a fault on" in beside.execute(nonsense)
        rig.buses["bus"].servos[1].motor.torque = True  # type: ignore[attr-defined]
        assert "resists" in beside.execute(["neck", "+10"])
    hobby = profile_of(tmp_path, "maestro", neck=joint("us"))
    with Rig(hobby, tmp_path / "dev", time.monotonic) as rig:
        assert Emulation(rig, lambda _: None).execute(["where"]) == "neck 1500.0 us"
