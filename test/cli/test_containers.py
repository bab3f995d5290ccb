"""Container files cannot be built in a test; that what they name is there, and that they claim no more, can be seen."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "docker").glob("Dockerfile*"))


def instructions(path: Path) -> list[str]:
    """Lines of a Dockerfile that do something, continued ones joined."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_files_that_are_named_are_there(path: Path) -> None:
    named = set(re.findall(r"(?:requirements|scripts|docker)/[\w./-]+\w", "\n".join(instructions(path))))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_shell_lines_parse(path: Path) -> None:
    for line in instructions(path):
        if line.startswith("RUN "):
            done = subprocess.run(["sh", "-n", "-c", line[4:]], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (line, done.stderr)


def test_the_entry_sets_the_environment_and_runs_the_command(tmp_path: Path) -> None:
    entry = (ROOT / "docker" / "entrypoint.sh").read_text()
    assert os.access(ROOT / "docker" / "entrypoint.sh", os.X_OK)
    env = tmp_path / "env.sh"
    env.write_text("GREETING=hello; export GREETING; REACTDIFF_HOME_DIR=/nowhere; export REACTDIFF_HOME_DIR\n")
    script = tmp_path / "entrypoint.sh"
    script.write_text(entry.replace("/opt/reactdiff_ros/env.sh", str(env)))
    done = subprocess.run(
        ["sh", str(script), "sh", "-c", 'echo "$GREETING $1 $REACTDIFF_HOME_DIR"', "-", "two words"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"hello two words {tmp_path}/.local/state/reactdiff_ros\n"
    assert (tmp_path / ".local/state/reactdiff_ros").is_dir()
