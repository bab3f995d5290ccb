"""Every target of the Makefile is run, in a copy whose programs only tell how they were called."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from command_lines import parses

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^\.PHONY: (.+)$", TEXT, re.MULTILINE)[0].split()
STAND_IN = """#!/bin/sh
printf '%s' "${0##*/}" >>"$CALLS"
for word; do printf '\\t%s' "$word" >>"$CALLS"; done
echo >>"$CALLS"
case "${0##*/} $*" in $FAILING) exit "$CODE" ;; esac
"""
PROGRAMS = ("reactdiff", "python", "ruff", "mypy")
TOOLS = ("cp", "find", "rm", "sed")
"""Of the system's own programs no others are there: a GPU's driver, say."""
MAKE = shutil.which("make") or ""
MADE = ("docs/benchmarks.json", "docs/reliability.json", "docs/soak.json", "docs/evidence.json",
        "docs/evidence_others.json", "runs/evidence_others/evidence.json",
        "docs/images/one.png", "runs/evidence/evidence.json", "runs/evidence/images/one.png", "runs/live/checkpoint.pt",
        "resource/models/live/README.md", "clips/mimictalk_german_20s.mp4", "clips/other.mp4",
        "clips/dyads/one.npz")  # fmt: skip
"""What targets before, or recordings, would have left."""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy; a program is made to fail by a pattern of its command line."""
    if not MAKE:
        pytest.skip("make is not installed")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in [f"bin/{program}" for program in PROGRAMS] + [f"scripts/{s.name}" for s in ROOT.glob("scripts/*.sh")]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)
    for name in (*MADE, "env.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(house: Path, *words: str, failing: str = "none", code: int = 1) -> tuple[int, list[list[str]]]:
    """make's exit status, and the command lines of what it called."""
    calls = house / "calls"
    calls.unlink(missing_ok=True)
    given = {"PATH": f"{house}/bin", "HOME": str(house), "CALLS": str(calls), "FAILING": failing, "CODE": str(code)}
    done = subprocess.run(
        [MAKE, "CLIPS=clips", *words], cwd=house, env=given, capture_output=True, text=True, check=False
    )
    assert "not found" not in done.stderr, done.stderr
    lines = calls.read_text().splitlines() if calls.exists() else []
    return done.returncode, [line.split("\t") for line in lines]


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_calls_what_is_there(house: Path, target: str) -> None:
    code, called = make(house, target)
    assert code == 0
    assert called or target in ("help", "clean")
    for words in called:
        if words[0] == "reactdiff":
            parses(words[1:])
        elif words[0] == "python" and words[1] != "-m":
            assert (ROOT / words[1]).is_file()
        elif words[0].endswith(".sh"):
            assert os.access(ROOT / "scripts" / words[0], os.X_OK)


def test_help_names_every_target_for_people(house: Path) -> None:
    said = subprocess.run([MAKE], cwd=house, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"\bmake ([\w-]+)", said)) == {*TARGETS} - {"help"}


@pytest.mark.parametrize("target", ["faults", "soak", "evidence"])
def test_a_bound_that_fails_is_no_failure_of_make(house: Path, target: str) -> None:
    failing = {"faults": "*bench faults*", "soak": "*bench soak*", "evidence": "*evaluate evidence*"}[target]
    card = ["reactdiff", "dev", "docs", "evidence"]
    code, called = make(house, target, failing=failing)
    assert code == 0
    assert (card in [words[:4] for words in called]) is (target == "evidence")
    code, called = make(house, target, failing=failing, code=2)
    assert code != 0, "it was called wrongly"
    assert card not in [words[:4] for words in called]


@pytest.mark.parametrize("target", [t for t in TARGETS if t not in ("help", "clean") and "setup" not in t])
def test_without_the_environment_nothing_else_is_done(house: Path, target: str) -> None:
    code, called = make(house, target, failing="setup.sh*")
    assert code != 0
    assert [words[0] for words in called] == ["setup.sh"]


def test_training_takes_the_gpu_that_is_there(house: Path) -> None:
    def trained() -> list[str]:
        (words,) = [words for words in make(house, "weights")[1] if words[:3] == ["reactdiff", "dev", "train"]]
        parses(words[1:])
        return words

    assert "--precision" not in trained()
    (house / "bin" / "nvidia-smi").symlink_to(house / "bin" / "reactdiff")
    assert "--precision" in trained()


def test_one_row_of_faults_alone(house: Path) -> None:
    _, called = make(house, "faults", "ARGS=--only servo-mute")
    assert len([words for words in called if words[:3] == ["reactdiff", "bench", "faults"]]) == 1


def test_clean_takes_the_environments_file_and_caches_alone(house: Path) -> None:
    cache = house / "reactdiff_ros" / "__pycache__"
    cache.mkdir(parents=True)
    assert make(house, "clean")[0] == 0
    assert not cache.exists()
    assert not (house / "env.sh").exists()
    assert all((house / name).exists() for name in MADE)
