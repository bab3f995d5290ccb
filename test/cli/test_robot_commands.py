"""reactdiff robot list, check, parameters, simulate."""

from __future__ import annotations

import csv
import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.actuation.profile import load_profile
from reactdiff_ros.cli.main import main
from reactdiff_ros.resources import share_path

COLUMNS = [
    "time", "joint", "target", "command", "velocity", "acceleration",
    "lower", "upper", "max_velocity", "max_acceleration", "limited",
]  # fmt: skip


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    values = np.repeat(rng.uniform(-0.5, 1.2, (20, 58)), 5, axis=0)
    times = 3.5 + np.arange(100) * 0.02
    times[7] = np.nan
    path = tmp_path / "frames.npz"
    np.savez(path, coefficients=values, times=times)
    return path


def test_list_names_every_robot(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robot", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"screen", "reachy_mini"} <= set(found)
    assert found["opsoro_ono"]["joints"] == 13
    assert main(["robot", "list"]) == 0
    assert "generic_12servo" in capsys.readouterr().out


def test_check_names_line_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robot", "check", "ohbot"]) == 0
    text = share_path("config/robots/ohbot.yaml").read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("neutral: 500", "neutral: 5000").replace("{headRoll:", "{headroll:"))
    capsys.readouterr()
    assert main(["robot", "check", str(mine), "--json"]) == 1
    told = capsys.readouterr()
    problems = json.loads(told.out)["problems"]
    assert [p["key"] for p in problems] == ["joints.head_turn.neutral", "joints.head_roll.map.sum.headroll"]
    assert "5000" in mine.read_text().splitlines()[problems[0]["line"] - 1]
    assert f"line {problems[1]['line']}" in told.err
    assert main(["robot", "check", "hal9000"]) == 1


ESCAPE = '"a\\x1b]0;pwned\\x07 \\u009b2J \\u202e b"'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("about: Ohbot 2.1", f"about: {ESCAPE} #"),
        ("about: Its board", f"about: {ESCAPE} #"),
        ("name: ohbot", f"name: {ESCAPE}"),
        ("board: {", f"{ESCAPE}: {{"),
        ("head_nod:", f"{ESCAPE}:"),
        ("unit: raw", f"unit: {ESCAPE}"),
        ("id: 0", f"id: {ESCAPE}"),
        ("neutral: 420", f"neutral: {ESCAPE}"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_escape_sequences_of_a_profile_do_not_reach_the_terminal(
    old: str, new: str, more: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever text of a profile is printed: fields, names, values that are refused."""
    text = share_path("config/robots/ohbot.yaml").read_text()
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    main(["robot", "check", str(path), *more])
    told = "".join(capfd.readouterr())
    assert [c for c in told if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"] == []


def test_escape_sequences_of_settings_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    monkeypatch.setenv("REACTDIFF_CONFIG", str(path))
    for text in (f"arguments: {{camera: {ESCAPE}}}", f"arguments: {{{ESCAPE}: 1}}", f"{ESCAPE}: 1"):
        path.write_text(text)
        main(["config", "show"])
        told = "".join(capfd.readouterr())
        assert "pwned" in told
        assert [c for c in told if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"] == []


def test_every_command_prints_by_echo() -> None:
    """One function takes control characters out of what is printed; the commands use it alone."""
    folder = Path(__file__).parents[2] / "reactdiff_ros" / "cli"
    assert [p.name for p in folder.glob("*.py") if "click.echo" in p.read_text()] == ["output.py"]


def test_simulate_writes_every_tick_and_joint(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    code = main(["robot", "simulate", "--robot", "opsoro_ono", "--frames", str(frames), "--log", str(log), "--json"])
    assert code == 0
    result = json.loads(capsys.readouterr().out)
    profile = load_profile("opsoro_ono")
    with log.open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == COLUMNS
        rows = list(reader)
    assert len(rows) == 100 * 13 == result["ticks"] * result["joints"]
    assert result["frames_dropped"] == 1
    assert [r["joint"] for r in rows[:13]] == list(profile.joints)
    for i, row in enumerate(rows):
        joint = profile.joints[row["joint"]]
        assert float(row["time"]) == pytest.approx(3.5 + (i // 13) / 50, abs=1e-12)
        assert float(row["lower"]) == joint.lower <= float(row["command"]) <= joint.upper == float(row["upper"])
        assert abs(float(row["velocity"])) <= float(row["max_velocity"]) == joint.limits.speed
        assert abs(float(row["acceleration"])) <= float(row["max_acceleration"]) == joint.limits.acceleration
        assert row["limited"] == str(int(row["limited"])) in ("0", "1")
    first = rows[:13]
    assert [float(r["command"]) for r in first] == [j.neutral for j in profile.joints.values()]
    moving = {r["command"] for r in rows if r["joint"] == "mouth_left"}
    assert len(moving) > 50
    assert max(len(c.replace(".", "")) for c in moving) >= 9


def test_a_robot_that_stops_in_simulation_is_a_failure(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def update(self, *_: object) -> None:
            raise RuntimeError("no solution")

    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", lambda *_: Broken())
    arguments = ["--robot", "ros2_control", "--frames", str(frames), "--log", str(tmp_path / "log.csv"), "--json"]
    assert main(["robot", "simulate", *arguments]) == 1
    told = capsys.readouterr()
    assert "no solution" in json.loads(told.out)["fault"]
    assert "the robot stopped" in told.err


def test_a_log_is_never_overwritten_in_silence(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.csv"
    log.write_text("mine")
    arguments = ["robot", "simulate", "--robot", "ros2_control", "--frames", str(frames), "--log", str(log)]
    assert main(arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert log.read_text() == "mine"
    assert main([*arguments, "--force"]) == 0
    assert log.read_text().startswith("time,")
    before = frames.read_bytes()
    assert main([*arguments[:-1], str(frames), "--force"]) == 1
    assert frames.read_bytes() == before
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert main([*arguments[:-1], str(pipe), "--force"]) == 1
    assert "no plain file" in capsys.readouterr().err
    assert pipe.is_fifo()
    pipe.unlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frames.npz", "log.csv"]


def test_a_log_of_an_earlier_run_is_written_anew(frames: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    arguments = ["robot", "simulate", "--robot", "ros2_control", "--frames", str(frames), "--log", str(log)]
    log.touch()  # as mktemp makes one
    assert main(arguments) == 0
    first = log.read_text()
    log.write_text(first[: len(first) // 2])
    assert main(arguments) == 0
    assert log.read_text() == first


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--robot", "hal9000", "no such robot"),
        ("--frames", "none.npz", "cannot be read"),
        ("--log", "frames.npz/log.csv", "cannot be written"),
        ("--log", "x" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, sentence: str
) -> None:
    given = {"--robot": "ros2_control", "--frames": str(frames), "--log": str(tmp_path / "log.csv")}
    given[option] = value if option == "--robot" else str(tmp_path / value)
    assert main(["robot", "simulate", *(word for pair in given.items() for word in pair)]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "log.csv").exists()


def test_parameters_are_a_ros_parameter_file(capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    assert main(["robot", "parameters", "screen"]) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert found["/**/expression_node"]["ros__parameters"]["camera_y_m"] == -0.12
