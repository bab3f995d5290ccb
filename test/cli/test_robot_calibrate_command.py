"""reactdiff robot calibrate and emulate as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from calibration_operator import joint, profile_of

from reactdiff_ros.actuation.calibration import Calibration, load_calibration
from reactdiff_ros.actuation.drivers.serial_port import SerialPort
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.robot import Emulation


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
    return said + rest(process.stdout)


def rest(stream: IO[str]) -> str:
    return stream.read()


SCRIPT = [
    ("fingers off", ""),
    ("did it move", "y"),
    ("is this its neutral", "+15"),
    ("is this its neutral", ""),
    ("slowly to its lower limit", ""),
    ("slowly to its upper limit", ""),
    ("write ", "y"),
]


@pytest.mark.real_time
@pytest.mark.timeout(120)
def test_a_robot_is_emulated_and_calibrated_from_one_terminal_to_the_other(tmp_path: Path) -> None:
    profile_of(tmp_path, "maestro", neck=joint("us", 3))
    output = tmp_path / "found.json"
    output.write_text("{}")
    with emulated(tmp_path / "bench.yaml", tmp_path / "dev") as (_, profile):
        process = reactdiff("robot", "calibrate", str(profile), "--output", str(output))
        said = answered(process, SCRIPT)
        assert process.wait(timeout=90) == 0
    assert "1 joints calibrated; the previous file is" in said
    assert load_calibration(output) == {"neck": Calibration(3, 0, 15, 1115, 1915)}
    assert (tmp_path / "found.json.1.bak").read_text() == "{}"
    assert list((tmp_path / "dev").iterdir()) == []


@pytest.mark.timeout(120)
def test_ctrl_c_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    profile_of(tmp_path, "maestro", neck=joint("us", 3))
    with emulated(tmp_path / "bench.yaml", tmp_path / "dev") as (_, profile):
        process = reactdiff("robot", "calibrate", str(profile), "--output", str(tmp_path / "found.json"))
        assert process.stdout is not None
        while "fingers off" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=90)
    assert process.returncode == 1
    assert errors.strip() == "reactdiff: the calibration was stopped"
    assert not (tmp_path / "found.json").exists()


def test_a_dry_run_opens_and_sends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a port was opened")

    monkeypatch.setattr(SerialPort, "__init__", opened)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for kind, unit, words in (
        ("sts", "deg", ["homing offset", "2047 to 2502 (neutral to upper)", "torque off"]),
        ("scs", "deg", ["stores none", "511 to 648"]),
        ("dynamixel", "rad", ["from -1024 to 1024"]),
        ("maestro", "us", ["pulses on at 1500", "1500 to 1900 (its upper limit)"]),
        ("ohbot", "raw", ["500 to 800"]),
    ):
        changes = (
            {"limits": {"position": [-1, 1], "speed": 5, "acceleration": 50, "jerk": 900}} if unit == "rad" else {}
        )
        profile_of(tmp_path, kind, neck=joint(unit, 2, **changes))
        assert (
            main(["robot", "calibrate", str(tmp_path / "bench.yaml"), "--dry-run", "--port", "bus=/dev/nothing"]) == 0
        )
        said = capsys.readouterr().out
        assert "would ask for 2" in said
        assert "at /dev/nothing" in said
        assert "nothing was opened, sent or written" in said
        assert all(word in said for word in words), said
    assert main(["robot", "calibrate", str(tmp_path / "bench.yaml"), "--dry-run", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["dry_run"] is True
    assert any("500 to 800" in line for line in result["would_send"])
    for robot in ("generic_12servo", "opsoro_ono", "inmoov_head", "ohbot"):
        assert main(["robot", "calibrate", robot, "--dry-run"]) == 0
    assert not list(tmp_path.glob("reactdiff_ros/**/*.json"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["hal9000"], 1, "no such robot"),
        (["screen"], 1, "no servos to calibrate"),
        (["reachy_mini"], 1, "no servos to calibrate"),
        (["ohbot", "--joint", "nose", "--dry-run"], 1, "no such joint"),
        (["ohbot", "--port", "tty"], 2, "DRIVER=PORT"),
        (["ohbot", "--port", "nose=/dev/x", "--dry-run"], 1, "no driver nose"),
        (["opsoro_ono", "--port", "servos=/dev/x", "--dry-run"], 1, "omit --port: no driver"),
        (["ohbot", "--port", "board=/dev/none"], 1, "no such port"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["robot", "calibrate", *arguments]) == code
    os.close(write)
    assert words in capsys.readouterr().err


def test_without_a_terminal_nobody_can_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["robot", "calibrate", "ohbot"]) == 1
    assert "no standard input" in capsys.readouterr().err


def test_what_can_be_done_beside_an_emulated_robot(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint(), jaw=joint(number=2))
    with Rig(profile, tmp_path / "dev", time.monotonic) as rig:
        beside = Emulation(rig, lambda _: None)
        assert beside.execute(["where"]) == "neck 2047 counts\njaw 2047 counts"
        assert beside.execute(["neck", "+200"]) == "neck 2247 counts"
        assert beside.execute(["neck", "hot"]) == "neck: hot True"
        assert beside.execute(["neck", "hot"]) == "neck: hot False"
        assert beside.execute(["neck", "answers_as"]) == "neck: answers_as 2"
        assert beside.execute(["neck", "answers_as"]) == "neck: answers_as None"
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_emulator_that_is_ended_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    profile_of(tmp_path, "sts", neck=joint())
    with emulated(tmp_path / "bench.yaml", tmp_path / "dev") as (process, profile):
        assert profile.exists()
        process.send_signal(number)
        assert process.wait(90) == 0
    assert list((tmp_path / "dev").iterdir()) == []


def test_emulation_never_writes_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile_of(tmp_path, "sts", neck=joint())
    (tmp_path / "bench_emulated.yaml").write_text("mine")
    assert main(["robot", "emulate", str(tmp_path / "bench.yaml"), "--folder", str(tmp_path)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert (tmp_path / "bench_emulated.yaml").read_text() == "mine"


@pytest.mark.parametrize(("robot", "words"), [("screen", "cannot be emulated"), ("inmoov_head", "I2C")])
def test_robots_that_cannot_be_emulated_are_a_sentence(
    robot: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["robot", "emulate", robot]) == 1
    assert words in capsys.readouterr().err
