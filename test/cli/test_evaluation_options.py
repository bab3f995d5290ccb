"""The options that the commands of evaluation share: declared once, handed over as one object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.main import cli

SHARED = {"steps", "guidance", "hop_s", "seed", "workers", "as_json"}
COMMANDS = {
    "ablations": {"voices"}, "behaviour": {"voices", "output"}, "controls": {"voices", "output"}, "dyads": {"output"},
    "evidence": {"voices"}, "sessions": {"voices"}, "simulator": {"voices", "output"}, "streams": {"voices", "output"},
}  # fmt: skip


def command(*names: str) -> click.Command:
    found: click.Command = cli
    for name in names:
        assert isinstance(found, click.Group)
        made = found.get_command(click.Context(found), name)
        assert made is not None
        found = made
    return found


@pytest.mark.parametrize(
    ("path", "more"),
    [(("evaluate", name), more) for name, more in COMMANDS.items()] + [(("bench", "response"), {"voices", "output"})],
)
def test_every_command_has_the_shared_options_once(path: tuple[str, ...], more: set[str]) -> None:
    names = [parameter.name for parameter in command(*path).params]
    assert len(names) == len(set(names))
    assert set(names) >= SHARED | more
    assert not ({"voices", "output"} - more) & set(names)


def test_what_is_given_arrives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[options.Run, str]] = []

    @click.command()
    @click.argument("name")
    @options.evaluation(output=True, workers=options.EVERY_CORE)
    def verb(run: options.Run, name: str) -> int:
        """A verb."""
        seen.append((run, name))
        with run.result() as result:
            print("a library talks")
            result["name"] = name
        return 0

    def call(*arguments: str) -> dict[str, Any]:
        verb.main([*arguments], standalone_mode=False)
        value: dict[str, Any] = json.loads(capsys.readouterr().out.split("a library talks\n")[-1])
        return value

    assert call("a") == {"name": "a"}
    run, _ = seen[-1]
    assert (run.steps, run.guidance, run.hop_s, run.seed, run.output, run.voices) == (None, None, None, 0, None, None)
    assert run.workers >= 1
    call("b", "--steps", "4", "--guidance", "2", "--hop-s", "0.32", "--seed", "7", "--workers", "3", "--output", "x")
    run, name = seen[-1]
    assert (name, run.seed, run.workers, run.output) == ("b", 7, 3, Path("x"))
    how = run.sampling()
    assert (how.steps, how.guidance, how.hop) == (4, 2.0, 8)


def test_json_is_alone_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @options.evaluation(voices=False)
    def verb(run: options.Run) -> int:
        """A verb."""
        with run.result() as result:
            print("a library talks")
            result["seed"] = run.seed
        return 0

    verb.main(["--json", "--seed", "3"], standalone_mode=False)
    captured = capfd.readouterr()
    assert json.loads(captured.out) == {"seed": 3}
    assert "a library talks" in captured.err
