"""Scripts for developers: every one parses, says what is wrong, and does what its first lines say."""

from __future__ import annotations

import json
import os
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


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_it_parses_and_is_executable(path: Path) -> None:
    assert os.access(path, os.X_OK)
    shell = path.read_text().splitlines()[0].split("/")[-1].split()[-1]
    assert run(shell, "-n", path).returncode == 0


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
