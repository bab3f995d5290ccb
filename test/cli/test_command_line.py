"""The command line as a whole: help, usage errors, exit codes, JSON, Ctrl-C, and the robots' commands."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.cli import main as command_line
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.resources import share_path

Out = pytest.CaptureFixture[str]

ROOT = Path(__file__).resolve().parents[2]


def every_command(command: click.Command = command_line.cli, path: tuple[str, ...] = ()) -> Iterator[Any]:
    yield pytest.param(path, command, id=" ".join(path))
    for name, part in command.commands.items() if isinstance(command, click.Group) else ():
        yield from every_command(part, (*path, name))


@pytest.mark.parametrize(("path", "command"), [*every_command()])
def test_every_command_explains_itself_and_its_numbers_are_finite(
    path: tuple[str, ...], command: click.Command, capsys: Out
) -> None:
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: reactdiff")
    assert command.help
    if isinstance(command, click.Group):
        assert "..." not in text.partition("Options:")[2], "sentences are whole"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{parameter.name} is not described"
        for number in ("nan", "inf", "-inf") if isinstance(parameter.type, click.types.FloatParamType) else ():
            with pytest.raises(click.BadParameter):
                parameter.type.convert(number, parameter, None)


def test_names_from_before_dev_still_work_with_a_note(capsys: Out) -> None:
    assert main(["train", "--help"]) == 0
    assert "now 'reactdiff dev train'" in capsys.readouterr().err
    assert main(["dev", "train", "--help"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "old", "new"),
    [
        (["listen", "--look", "no such look"], "--look", "--avatar"),
        (["gallery", "clip.mp4", "-o", "page", "--look", "no such look"], "--look", "--avatar"),
        (["report", "nosuch.npz", "--overwrite"], "--overwrite", "--force"),
        (["bag", "info", "nosuch", "--picture", "/image"], "--picture", "--camera-topic"),
        (["extract", "--output", "out", "--sound", "/audio"], "--sound", "--audio-topic"),
        (["bag", "replay", "nosuch", "-o", "out", "--listener", "rules"], "--listener", "--policy"),
        (["bag", "replay", "nosuch", "-o", "out", "--preset", "warm"], "--preset", "--style"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_old_names_of_options_are_hidden_and_noted(
    arguments: list[str], old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: Out,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) != 0
    assert f"{old} is now {new}" in capsys.readouterr().err
    assert main([*arguments, "--help"]) == 0
    shown = capsys.readouterr()
    assert (f"{new} " in shown.out, f"{old} " in shown.out, shown.err) == (True, False, "")


def test_figures_are_a_table_for_people(capsys: Out) -> None:
    from reactdiff_ros.cli.common import json_on_stdout

    figures = {
        "latency_ms": {"p50": 21.70004, "n": 1499}, "held": True, "curve": np.arange(30.0), "missing": float("nan"),
        "parts": {"a": {"x": 1, "of": [1, 2]}, "b": {"x": None}}, "rows": [{"steps": 2, "ms": {"p50": 1e5}}],
    }  # fmt: skip
    with json_on_stdout(False, as_table=True) as result:
        result.update(figures)
    assert capsys.readouterr().out.splitlines() == [
        "latency_ms  p50 21.7, n 1499", "held        yes", "curve       30 values, 0 to 29", "missing     -",
        "parts.a.x   1", "parts.a.of  1, 2", "parts.b     x -", "rows.1      steps 2, ms p50 100000",
    ]  # fmt: skip


def test_without_a_terminal_progress_is_a_line_a_minute(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    from reactdiff_ros.cli import common

    now_s = 0.0
    monkeypatch.setattr(common.time, "monotonic", lambda: now_s)
    with common.progress_bar("voices") as show:
        for second in range(150):
            now_s = float(second)
            show(second / 150)
    assert capsys.readouterr().err == "reactdiff: voices: 40%\nreactdiff: voices: 80%\n"


def test_help_names_the_corrections_that_there_are(capsys: Out) -> None:
    from reactdiff_ros.model.plan.corrections import REMOVABLE

    for arguments in (["evaluate", "controls"], ["dev", "export"]):
        assert main([*arguments, "--help"]) == 0
        assert ", ".join(REMOVABLE) in " ".join(capsys.readouterr().out.split())


def test_help_is_instant() -> None:
    code = (
        "import sys, reactdiff_ros.cli.main; print({'rclpy', 'cv2', 'torch', 'av', 'numpy', 'yaml'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("listen --clip x.mp4 --camera 0", 2, "--clip replaces"),
        ("listen --once", 2, "--once needs --clip"),
        ("listen --camera none --microphone none", 2, "needs a camera"),
        ("listen --no-avatar --port 9000", 2, "--port"),
        ("listen --policy modell", 2, "--policy cannot be 'modell': did you mean 'model'?"),
        ("listen --no-ros --policy modell", 2, "--policy cannot be 'modell': did you mean 'model'?"),
        ("listen --avatar papper", 2, "--avatar cannot be 'papper': did you mean 'paper'?"),
        ("listen --style warmm", 2, "did you mean 'warm'?"),
        ("listen --clip /nowhere/talk.mp4", 2, "/nowhere/talk.mp4"),
        ("listen --namespace a.b", 2, "a.b"),
        ("listen --params /nowhere/parameters.yaml", 2, "/nowhere/parameters.yaml"),
        ("bench live --seconds nan", 2, "is not a number"),
        ("bench live --policy modell", 2, "--policy cannot be 'modell': did you mean 'model'?"),
        ("dev simulate --dyads 1 --seconds 0", 2, "1.0<=x<=3600.0"),
        ("dev train --output nowhere --minutes inf", 2, "is not a number"),
        ("lisen", 2, "Did you mean 'listen'?"),
        ("react x.mp4 -o y.mp4 --policy modell", 2, "'--policy': 'modell' is unknown: did you mean 'mod"),
        ("bag replay x -o y --policy modell", 2, "--policy cannot be 'modell': did you mean 'model'?"),
        ("bag replay x -o y --listener modell", 2, "policy cannot be 'modell': did you mean 'model'?"),
        ("robot check ohbt", 1, "there is no such robot (ohbt): did you mean 'ohbot'?"),
        ("robot check hal9000", 1, "screen, or a path"),
        ("robot check notes.md", 1, "is not a YAML file"),
        ("bag info nosuch", 1, "the bag cannot be read (nosuch): it does not exist"),
        ("study open bags", 2, "--key KEY"),
    ],
)
def test_what_is_wrong_is_a_sentence_with_what_is_right(
    arguments: str, code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: Out,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("* a list: not YAML\n")
    (tmp_path / "bags").mkdir()
    assert main(arguments.split()) == code
    out, err = capfd.readouterr()
    assert words in err
    assert out == ""
    assert "Traceback" not in err
    assert "reading" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench", "record"], ["bench", "soak"], ["bench", "faults"], ["bench", "profile"], ["dev", "simulate"],
        ["dev", "train-expression", "--clips", "."], ["dev", "train-turns", "--timings", "."],
        ["evaluate", "simulator"], ["evaluate", "controls"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_output_that_cannot_be_written_is_said_before_the_work(
    arguments: list[str], tmp_path: Path, capfd: Out
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert main([*arguments, "--output", str(tmp_path / "file" / "figures.npz")]) == 1
    err = capfd.readouterr().err
    assert "cannot be written" in err
    assert not any(f"{bar}:" in err for bar in ("faults", "stream", "profiling", "held-out speakers", "controls"))


def test_errors_become_sentences_and_exit_codes(monkeypatch: pytest.MonkeyPatch, capfd: Out) -> None:
    def command(error: Exception) -> click.Command:
        def fail() -> None:
            raise error

        return click.Command("fail", callback=fail)

    for error, code, said in (
        (ReactdiffError("it is broken", where="here", todo="mend it"), 1, "reactdiff: it is broken (here): mend it\n"),
        (ModuleNotFoundError("no", name="torch.nn"), 3, "train"),
        (ModuleNotFoundError("no", name="rclpy"), 3, "setup"),
        (KeyboardInterrupt(), 130, ""),
    ):
        monkeypatch.setitem(command_line.cli.commands, "fail", command(error))
        assert main(["fail"]) == code
        assert said in capfd.readouterr().err


def test_json_is_the_only_thing_on_stdout_and_strict(capfd: Out) -> None:
    from reactdiff_ros.cli.common import json_on_stdout

    with json_on_stdout(True) as result:
        print("a library talks")
        os.write(1, b"a C library talks\n")
        result["nan"] = float("nan")
        result["array"] = np.array([1.0, np.inf], dtype=np.float32)
        result["path"] = Path("/x")
    out, err = capfd.readouterr()
    assert json.loads(out) == {"nan": None, "array": [1.0, None], "path": "/x"}
    assert "a library talks" in err
    assert "a C library talks" in err


@pytest.mark.parametrize(
    ("words", "ready", "gap_s"),
    [
        (["robot", "emulate", "ohbot", "--folder", "FOLDER"], "Ctrl-C ends", 0.03),
        (["robot", "preview", "ohbot", "--port", "18776"], "http://", 0.0),
        (["robot", "preview", "ohbot", "--port", "18776"], "http://", 0.1),
    ],
    ids=["emulate", "preview at once", "preview later"],
)
def test_a_copy_of_ctrl_c_changes_neither_the_end_nor_the_exit_code(
    words: list[str], ready: str, gap_s: float, tmp_path: Path
) -> None:
    log, given = tmp_path / "said", [str(tmp_path) if word == "FOLDER" else word for word in words]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "reactdiff_ros.cli.main", *given],
            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        end_s = time.monotonic() + 60.0
        while ready not in log.read_text() and process.poll() is None and time.monotonic() < end_s:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        time.sleep(gap_s)
        process.send_signal(signal.SIGINT)
        assert process.wait(60.0) == 0
    finally:
        process.kill()
    assert "Traceback" not in log.read_text()


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


def test_check_names_line_and_key(tmp_path: Path, capsys: Out) -> None:
    assert main(["robot", "check", "ohbot"]) == 0
    text = share_path("config/robots/ohbot.yaml").read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("neutral: 500", "neutral: 5000").replace("{headRoll:", "{headroll:"))
    capsys.readouterr()
    assert main(["robot", "check", str(mine), "--json"]) == 1
    captured = capsys.readouterr()
    problems = json.loads(captured.out)["problems"]
    assert [p["key"] for p in problems] == ["joints.head_turn.neutral", "joints.head_roll.map.sum.headroll"]
    assert "5000" in mine.read_text().splitlines()[problems[0]["line"] - 1]
    assert f"line {problems[1]['line']}" in captured.err


ESCAPE = '"a\\x1b]0;pwned\\x07 \\u009b2J \\u202e b"'


@pytest.mark.parametrize(
    ("old", "new"),
    [("about: Ohbot 2.1", f"about: {ESCAPE} #"), ("head_nod:", f"{ESCAPE}:"), ("neutral: 420", f"neutral: {ESCAPE}")],
)
def test_escape_sequences_of_a_profile_do_not_reach_the_terminal(
    old: str, new: str, tmp_path: Path, capfd: Out
) -> None:
    """Whatever text of a profile is printed: fields, names, values that are refused."""
    text = share_path("config/robots/ohbot.yaml").read_text()
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    for more in ((), ("--json",)):
        main(["robot", "check", str(path), *more])
    captured = "".join(capfd.readouterr())
    assert [c for c in captured if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"] == []


def test_simulate_writes_every_tick_and_joint(frames: Path, tmp_path: Path, capsys: Out) -> None:
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
    frames: Path, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def update(self, *_: object) -> None:
            raise RuntimeError("no solution")

    monkeypatch.setattr("reactdiff_ros.actuation.motion.Ruckig", lambda *_: Broken())
    arguments = ["--robot", "ros2_control", "--frames", str(frames), "--log", str(tmp_path / "log.csv"), "--json"]
    assert main(["robot", "simulate", *arguments]) == 1
    captured = capsys.readouterr()
    assert "no solution" in json.loads(captured.out)["fault"]
    assert "the robot stopped" in captured.err


def test_a_log_is_never_overwritten_in_silence(frames: Path, tmp_path: Path, capsys: Out) -> None:
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
    assert "not a plain file" in capsys.readouterr().err
    assert pipe.is_fifo()
    pipe.unlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frames.npz", "log.csv"]
