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


def test_one_for_pcs_and_one_for_jetson() -> None:
    assert [path.name for path in FILES] == ["Dockerfile", "Dockerfile.jetson"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_files_that_are_named_are_there(path: Path) -> None:
    named = set(re.findall(r"(?:requirements|scripts|docker)/[\w./-]+\w", "\n".join(instructions(path))))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_it_runs_as_a_user_and_takes_a_fixed_base(path: Path) -> None:
    lines = instructions(path)
    base = next(line.split("=", 1)[1] for line in lines if line.startswith("ARG BASE=")) if "jetson" in path.name else (
        next(line.split()[1] for line in lines if line.startswith("FROM"))
    )  # fmt: skip
    assert ":" in base
    assert not base.endswith(":latest")
    assert "USER listener" in lines
    assert lines[-1].startswith('CMD ["reactdiff", "listen"')


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


def test_docs_say_whether_they_were_built() -> None:
    page = " ".join((ROOT / "docs" / "jetson.md").read_text().split())
    claims = ["Never built as an image" in path.read_text() for path in FILES]
    assert all(claims) == ("Neither image has been built" in page)


def test_aarch64_takes_the_last_mediapipe_that_it_has() -> None:
    lines = (ROOT / "requirements" / "run-no-deps.txt").read_text().splitlines()
    pins = dict(line.split("; platform_machine ") for line in lines if line.startswith("mediapipe"))
    assert pins == {"mediapipe==0.10.21": '!= "aarch64"', "mediapipe==0.10.18": '== "aarch64"'}
