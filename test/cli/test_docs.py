"""The documentation: its commands parse, its examples and tutorials run.

A comment before a block of a tutorial marks it: `<!-- file NAME -->` is written to that file, `<!-- run -->` is run,
`<!-- shows -->` is all that the block run last said. In the latter `...` stands for any words, on a line of its own
for any lines; only figures may differ.
"""

import os
import re
import shlex
import subprocess
import sys

import pytest
from command_lines import ROOT, blocks, commands, parses


@pytest.mark.parametrize("line", commands("reactdiff"))
def test_commands_parse(line):
    parses(shlex.split(line, comments=True)[1:])


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("page", "code"), list(blocks("python")), ids=lambda v: getattr(v, "name", ""))
def test_python_examples_run(page, code, talk, tmp_path):
    """In a folder with the recording that they name."""
    (tmp_path / "talk.mp4").symlink_to(talk)
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=here)
    assert run.returncode == 0, run.stderr


BLOCK = re.compile(r"^<!-- (file|run|shows) ?(\S*) -->\n+```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLLOWED = [page for page in sorted((ROOT / "docs" / "tutorials").glob("*.md")) if "<!-- run -->" in page.read_text()]


def plain(text: str) -> list[str]:
    """Lines without figures, which a dash of its own stands for too, and with single blanks."""
    figure = re.compile(r"(?:(?<=\s)-)?\d+(?:\.\d+)?|(?<=\s)-(?!\S)")
    return [" ".join(figure.sub("#", line).split()) for line in text.strip().splitlines()]


def says(said: str, shown: str) -> bool:
    """What is shown is a pattern for plain lines, each with its line feed."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n"
        for line in plain(shown)
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in plain(said))) is not None


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
def test_what_is_marked_runs_and_says_what_is_shown(page, tmp_path):
    """For somebody who has nothing yet, in a folder with the package's files; `reactdiff` is ours."""
    (tmp_path / "resource").symlink_to(ROOT / "resource")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "reactdiff"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m reactdiff_ros.cli.main "$@"\n')
    command.chmod(0o755)
    shell = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    shell["PYTHONPATH"] = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    shell |= {"HOME": str(tmp_path), "PATH": f"{command.parent}:{os.environ['PATH']}"}
    said = ""
    for kind, name, text in BLOCK.findall(page.read_text()):
        if kind == "file":
            (tmp_path / name).write_text(text)
        elif kind == "run":
            run = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, env=shell, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            said = run.stdout
            assert run.returncode == 0, f"{text}{said}"
        else:
            assert says(said, text), f"{page.name} shows\n{text}\nbut it said\n{said}"
