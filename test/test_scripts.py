"""Scripts for developers: every one parses, says what is wrong, and does what its first lines say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHELL = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run", ROOT / "docker" / "entrypoint.sh"]


def run(*words: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command said, and its exit status."""
    given = os.environ | environment
    return subprocess.run(list(map(str, words)), cwd=cwd, env=given, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_gpu_checks_run_without_a_gpu(tmp_path: Path) -> None:
    """What they do with the backends of the CPU; nothing else would notice that they no longer fit the planner."""
    pytest.importorskip("torch", reason="torch is not installed")
    results = tmp_path / "results.json"
    done = run(sys.executable, "scripts/gpu_checks.py", "--output", results, "--quick", OMP_NUM_THREADS="1")
    found = json.loads(results.read_text())
    assert (done.returncode, found["failures"]) == (0, [])
    assert found["parity_with_torch"]["onnxruntime-cpu"]["within"]
    assert found["same_reactions"]["onnxruntime-cpu"]["max"] == 0.0
    assert [row["candidates"] for row in found["plans_onnxruntime-cpu"]] == [1, 10]


def test_the_diagrams_in_the_docs_are_those_of_the_code(tmp_path: Path) -> None:
    done = run(sys.executable, "scripts/make_diagrams.py", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    made = sorted(tmp_path.iterdir())
    assert made
    for path in made:
        assert path.read_text() == (ROOT / "docs" / "images" / path.name).read_text(), "run scripts/make_diagrams.py"


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_it_parses_and_is_executable(path: Path) -> None:
    assert os.access(path, os.X_OK)
    shell = path.read_text().splitlines()[0].split("/")[-1].split()[-1]
    assert run(shell, "-n", path).returncode == 0


def program(path: Path, text: str) -> None:
    """A stand-in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("ended", "typed", "words", "code", "said"),
    [
        ("0 0 0", 0, (), 0, "6 passed"),
        ("5 0 5", 0, ("test/ros",), 0, "6 passed"),  # 5: pytest found no test in that run
        ("5 5 5", 0, ("test/none",), 1, "FAILED: pytest"),
        ("0 137 0", 0, (), 1, "FAILED: pytest"),
        ("0 0 1", 0, (), 1, "FAILED: pytest"),
        ("0 0 0", 1, (), 1, "FAILED: mypy"),
        ("1 0 0", 0, ("-m", "slow"), 1, "FAILED: pytest"),
    ],
)
def test_all_tests_fail_where_one_part_does(
    tmp_path: Path, ended: str, typed: int, words: tuple[str, ...], code: int, said: str
) -> None:
    for name in ("test.sh", "closing_line.py"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    tools = tmp_path / "bin"
    program(tools / "ruff", "")
    program(tools / "mypy", f"echo checked; exit {typed}")
    program(
        tools / "python",
        f'ended=({ended}); case "$*" in '
        f'*pytest*"not real_time and not"*) echo "3 passed in 1.00s"; exit ${{ended[2]}} ;; '
        f'*pytest*"not real_time and"*) echo "2 passed in 1.00s"; exit ${{ended[1]}} ;; '
        f'*pytest*) echo "1 passed in 1.00s"; exit ${{ended[0]}} ;; *) exec {sys.executable} "$@" ;; esac',
    )
    done = run("scripts/test.sh", *words, cwd=tmp_path, PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "mypy: checked" in done.stdout


@pytest.mark.ros
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_env_sh_sourced_twice_from_elsewhere_gives_the_same_path_and_the_command(shell: str, tmp_path: Path) -> None:
    env = ROOT / "env.sh"
    if not env.exists():
        pytest.skip("env.sh is written by 'make setup', which has not run in this checkout")
    script = (
        f'. "{env}" && first="$PATH|$PYTHONPATH|$AMENT_PREFIX_PATH|$LD_LIBRARY_PATH" && . "{env}" && '
        '[ "$first" = "$PATH|$PYTHONPATH|$AMENT_PREFIX_PATH|$LD_LIBRARY_PATH" ] && '
        'reactdiff --help && python -c "import rclpy, reactdiff_ros.msg; print(reactdiff_ros.__file__)"'
    )
    clean = {"HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    run = subprocess.run([shell, "-euc", script], capture_output=True, text=True, cwd=tmp_path, env=clean, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Usage: reactdiff")
    assert "reactdiff_ros/__init__.py" in run.stdout.splitlines()[-1]
