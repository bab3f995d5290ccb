"""The command line as a whole: help, usage errors, exit codes, JSON, and the robots' commands."""

import csv
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import click
import numpy as np
import pytest

from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.cli import main as command_line
from reactdiff_ros.cli.common import json_on_stdout
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.resources import share_path

ROOT = Path(__file__).resolve().parents[2]


def every_command(command: click.Command = command_line.cli, path: tuple[str, ...] = ()) -> Iterator[Any]:
    yield pytest.param(path, command, id=" ".join(path))
    for name, part in command.commands.items() if isinstance(command, click.Group) else ():
        yield from every_command(part, (*path, name))


@pytest.mark.parametrize(("path", "command"), [*every_command()])
def test_every_command_explains_itself_and_its_numbers_are_finite(path, command, capsys):
    assert main([*path, "--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: reactdiff")
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{parameter.name} is not described"
        for number in ("nan", "inf", "-inf") if isinstance(parameter.type, click.types.FloatParamType) else ():
            with pytest.raises(click.BadParameter):
                parameter.type.convert(number, parameter, None)


def test_old_names_of_commands_and_options_are_hidden_and_noted(capsys):
    assert main(["train", "--help"]) == 0
    assert "now 'reactdiff dev train'" in capsys.readouterr().err
    assert main(["listen", "--look", "nosuch"]) == 2
    assert "--look is now --avatar" in capsys.readouterr().err
    assert main(["listen", "--help"]) == 0
    assert "--look " not in capsys.readouterr().out


def test_figures_are_a_table_for_people(capsys):
    with json_on_stdout(False, as_table=True) as result:
        result |= {"latency_ms": {"p50": 21.70004, "n": 1499}, "held": True, "curve": np.arange(30.0), "gone": None}
        result |= {"parts": {"a": {"x": 1, "of": [1, 2]}, "b": {"x": None}}, "rows": [{"ms": {"p50": 1e5}}]}
    assert capsys.readouterr().out.splitlines() == [
        "latency_ms  p50 21.7, n 1499", "held        yes", "curve       30 values, 0 to 29", "gone        -",
        "parts.a.x   1", "parts.a.of  1, 2", "parts.b     x -", "rows.1      ms p50 100000",
    ]  # fmt: skip


def test_help_is_instant():
    code = "import sys, reactdiff_ros.cli.main; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"rclpy", "cv2", "torch", "av", "numpy", "yaml"} & set(run.stdout.split()) == set()


@pytest.mark.parametrize(("arguments", "code", "words"), [
    ("listen --clip x.mp4 --camera 0", 2, "--clip replaces"),
    ("listen --camera none --microphone none", 2, "needs a camera"),
    ("listen --clip /nowhere/talk.mp4", 2, "/nowhere/talk.mp4"),
    ("dev simulate --dyads 1 --seconds 0", 2, "1.0<=x<=3600.0"),
    ("lisen", 2, "Did you mean 'listen'?"),
    ("react x.mp4 -o y.mp4 --policy modell", 2, "'--policy': 'modell' is unknown: did you mean 'mod"),
    ("bag replay x -o y --policy modell", 2, "--policy cannot be 'modell': did you mean 'model'?"),
    ("robot check ohbt", 1, "there is no such robot (ohbt): did you mean 'ohbot'?"),
    ("bag info nosuch", 1, "the bag cannot be read (nosuch): it does not exist"),
    ("study open bags", 2, "--key KEY"),
])  # fmt: skip
def test_what_is_wrong_is_a_sentence_with_what_is_right(arguments, code, words, tmp_path, monkeypatch, reactdiff):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bags").mkdir()
    _, said = reactdiff(*arguments.split(), code=code)
    assert words in said
    assert "Traceback" not in said


def test_an_output_that_cannot_be_written_is_said_before_the_work(tmp_path, reactdiff):
    (tmp_path / "file").write_text("not a folder")
    for command in (
        "bench record", "bench soak", "bench faults", "bench profile", "dev simulate", "dev train-expression --clips .",
        "dev train-turns --timings .", "evaluate simulator", "evaluate controls",
    ):  # fmt: skip
        _, said = reactdiff(*command.split(), "--output", tmp_path / "file" / "figures.npz", code=1)
        assert "cannot be written" in said
        assert not any(f"{bar}:" in said for bar in ("faults", "stream", "profiling", "held-out speakers", "controls"))


def test_errors_become_sentences_and_exit_codes(monkeypatch, reactdiff):
    broken = ReactdiffError("it is broken", where="here", todo="mend it")
    for error, code, said in (
        (broken, 1, "reactdiff: it is broken (here): mend it\n"), (KeyboardInterrupt(), 130, ""),
        (ModuleNotFoundError("no", name="torch.nn"), 3, "train"), (ModuleNotFoundError("no", name="rclpy"), 3, "setup"),
    ):  # fmt: skip
        fail = click.Command("fail", callback=Mock(side_effect=error))
        monkeypatch.setitem(command_line.cli.commands, "fail", fail)
        assert said in reactdiff("fail", code=code)[1]


def test_json_is_the_only_thing_on_stdout_and_strict(capfd):
    with json_on_stdout(True) as result:
        print("a library talks")
        os.write(1, b"a C library talks\n")
        result |= {"nan": float("nan"), "array": np.array([1.0, np.inf], np.float32), "path": Path("/x")}
    out, err = capfd.readouterr()
    assert json.loads(out) == {"nan": None, "array": [1.0, None], "path": "/x"}
    assert "a library talks" in err
    assert "a C library talks" in err


def test_escape_sequences_of_a_profile_do_not_reach_the_terminal(tmp_path, capfd):
    """Whatever text of a profile is printed: fields, names, values that are refused."""
    text, path = share_path("config/robots/ohbot.yaml").read_text(), tmp_path / "mine.yaml"
    escape = '"a\\x1b]0;pwned\\x07 \\u009b2J \\u202e b"'
    for old, new in (
        ("about: Ohbot 2.1", f"about: {escape} #"), ("head_nod:", f"{escape}:"), ("neutral: 420", f"neutral: {escape}"),
    ):  # fmt: skip
        assert old in text
        path.write_text(text.replace(old, new, 1))
        for more in ((), ("--json",)):
            main(["robot", "check", str(path), *more])
        captured = "".join(capfd.readouterr())
        assert [c for c in captured if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"] == []


def test_simulate_writes_every_tick_within_its_limits_and_fails_where_the_robot_stops(tmp_path, monkeypatch, reactdiff):
    times = 3.5 + np.arange(100) * 0.02
    times[7] = np.nan
    faces = np.repeat(np.random.default_rng(2).uniform(-0.5, 1.2, (20, 58)), 5, axis=0)
    frames, log = tmp_path / "frames.npz", tmp_path / "log.csv"
    np.savez(frames, coefficients=faces, times=times)
    log.write_text("mine")
    simulate = ["robot", "simulate", "--robot", "opsoro_ono", "--frames", frames, "--json", "--log"]
    assert "--force" in reactdiff(*simulate, log, code=1)[1]
    assert log.read_text() == "mine"
    reactdiff(*simulate, frames, "--force", code=1)  # nor over what it reads
    result, _ = reactdiff(*simulate, log, "--force")
    profile = load_profile("opsoro_ono")
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100 * 13 == result["ticks"] * result["joints"]
    assert result["frames_dropped"] == 1
    assert [float(r["command"]) for r in rows[:13]] == [j.neutral for j in profile.joints.values()]
    for i, row in enumerate(rows):
        joint = profile.joints[row["joint"]]
        assert float(row["time"]) == pytest.approx(3.5 + (i // 13) / 50, abs=1e-12)
        assert float(row["lower"]) == joint.lower <= float(row["command"]) <= joint.upper == float(row["upper"])
        assert abs(float(row["velocity"])) <= float(row["max_velocity"]) == joint.limits.speed
        assert abs(float(row["acceleration"])) <= float(row["max_acceleration"]) == joint.limits.acceleration
    assert len({r["command"] for r in rows if r["joint"] == "mouth_left"}) > 50
    broken = Mock(update=Mock(side_effect=RuntimeError("no solution")))
    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", lambda *_: broken)
    result, said = reactdiff(*simulate, log, "--force", code=1)
    assert "no solution" in result["fault"]
    assert "the robot stopped" in said
