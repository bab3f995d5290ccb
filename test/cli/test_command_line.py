"""What every command promises: help, one JSON object, exit codes, sentences instead of tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from reactdiff_ros.cli import main as command_line
from reactdiff_ros.errors import ReactdiffError

ROOT = Path(__file__).resolve().parents[2]


def every_command(group: click.Command = command_line.cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from every_command(command, (*path, name))


@pytest.mark.parametrize("path", list(every_command()), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: reactdiff")
    command: click.Command = command_line.cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{parameter.name} is not described"


def test_help_lists_sections_and_leaves_development_to_its_own_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--help"]) == 0
    text = capsys.readouterr().out
    sections = ["Use:", "Robots:", "Recordings and studies:", "Development:"]
    assert [line for line in text.splitlines() if line in sections] == sections
    assert "train" not in text.replace("Train, simulate", "").replace("training recordings", "")
    for command in command_line.cli.commands.values():
        assert len(command.get_short_help_str(limit=200)) <= 70, command.name


def test_names_from_before_dev_still_work_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["train", "--help"]) == 0
    assert "now 'reactdiff dev train'" in capsys.readouterr().err
    assert command_line.main(["dev", "train", "--help"]) == 0
    assert capsys.readouterr().err == ""
    assert command_line.main(["listen", "--look", "no such look"]) == 2
    assert "--look is now --avatar" in capsys.readouterr().err


def test_help_is_instant() -> None:
    code = (
        "import sys, reactdiff_ros.cli.main; print({'rclpy', 'cv2', 'torch', 'av', 'numpy', 'yaml'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "arguments",
    [
        ["listen", "--clip", "x.mp4", "--camera", "0"],
        ["listen", "--once"],
        ["listen", "--camera", "none", "--microphone", "none"],
        ["listen", "--no-avatar", "--port", "9000"],
        ["listen", "--policy", "clairvoyant"],
        ["listen", "--avatar", "no such look"],
        ["listen", "--clip", "/nowhere/talk.mp4"],
        ["listen", "--namespace", "a b"],
        ["listen", "--params", "/nowhere/parameters.yaml"],
        ["bench", "live", "--seconds", "0"],
        ["bench", "live", "--seconds", "nan"],
        ["dev", "simulate", "--dyads", "1", "--seconds", "NaN"],
        ["dev", "train", "--output", "nowhere", "--minutes", "inf"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_a_sentence(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "Error: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["lisen"], 2, "Did you mean 'listen'?"),
        (["listen", "--policy", "modell"], 2, "--policy cannot be 'modell': did you mean 'model'?"),
        (["listen", "--avatar", "papper"], 2, "--avatar cannot be 'papper': did you mean 'paper'?"),
        (["listen", "--style", "warmm"], 2, "did you mean 'warm'?"),
        (["bag", "info", "nosuch"], 1, "the bag cannot be read (nosuch): it does not exist"),
        (["study", "open", "bags"], 2, "--key KEY"),
        (["robot", "check", "notes.md"], 1, "is not a YAML file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_names_are_answered_with_the_right_ones(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("* a list: not YAML\n")
    (tmp_path / "bags").mkdir()
    assert command_line.main(arguments) == code
    out, err = capfd.readouterr()
    assert words in err
    assert "reading" not in out + err


@pytest.mark.parametrize("path", list(every_command()), ids=" ".join)
def test_every_number_of_an_option_is_finite(path: tuple[str, ...]) -> None:
    command: click.Command = command_line.cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    for parameter in command.params:
        if isinstance(parameter.type, click.types.FloatParamType):
            for text in ("nan", "inf", "-inf"):
                with pytest.raises(click.BadParameter):
                    parameter.type.convert(text, parameter, None)


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "node: 3", "\x00"])
def test_a_bad_parameter_file_is_a_sentence(text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    assert command_line.main(["listen", "--params", str(path)]) == 2
    assert "the parameter file" in capfd.readouterr().err


def test_errors_become_sentences_and_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
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
        assert command_line.main(["fail"]) == code
        assert said in capfd.readouterr().err


def test_json_is_the_only_thing_on_stdout_and_strict(capfd: pytest.CaptureFixture[str]) -> None:
    from reactdiff_ros.cli.output import json_on_stdout

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
