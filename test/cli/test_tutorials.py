"""The tutorials are followed: what is marked in them runs, in order, and says what they show; only figures may differ.

A comment before a block marks it: `<!-- file NAME -->` is written to that file, `<!-- run -->` is run,
`<!-- shows -->` is all that the block run last said. In the latter `...` stands for any words, on a line of its own
for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))

BLOCK = re.compile(r"^<!-- (file|run|shows) ?(\S*) -->\n+```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLLOWED = [page for page in TUTORIALS if "<!-- run -->" in page.read_text()]


def plain(text: str) -> list[str]:
    """Lines without figures, which a dash of its own stands for too, and with single blanks."""
    figure = re.compile(r"(?:(?<=\s)-)?\d+(?:\.\d+)?|(?<=\s)-(?!\S)")
    return [" ".join(figure.sub("#", line).split()) for line in text.strip().splitlines()]


def pattern(shown: str) -> str:
    """What is shown as a regular expression for plain lines, each with its line feed."""
    return "".join(
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n"
        for line in plain(shown)
    )


def says(said: str, shown: str) -> bool:
    return re.fullmatch(pattern(shown), "".join(f"{line}\n" for line in plain(said))) is not None


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has nothing yet, in a folder with the package's files; `reactdiff` is ours."""
    (tmp_path / "resource").symlink_to(ROOT / "resource")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "reactdiff"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m reactdiff_ros.cli.main "$@"\n')
    command.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    search = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    return environment | {"HOME": str(tmp_path), "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": search}


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on a quiet machine; a minute of clip is listened to
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
def test_what_is_marked_runs_and_says_what_is_shown(page: Path, shell: dict[str, str], tmp_path: Path) -> None:
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
