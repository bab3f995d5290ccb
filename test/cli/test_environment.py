"""env.sh as `make setup` wrote it: in any POSIX shell, from any directory, any number of times."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENV = ROOT / "env.sh"
CLEAN = {"HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@pytest.mark.ros
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_sourced_twice_from_elsewhere_it_gives_the_same_path_and_the_command(shell: str, tmp_path: Path) -> None:
    if not ENV.exists():
        pytest.skip("env.sh is written by 'make setup', which has not run in this checkout")
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} on this machine")
    script = (
        f'. "{ENV}" && first="$PATH|$PYTHONPATH|$AMENT_PREFIX_PATH|$LD_LIBRARY_PATH" && . "{ENV}" && '
        '[ "$first" = "$PATH|$PYTHONPATH|$AMENT_PREFIX_PATH|$LD_LIBRARY_PATH" ] && echo same && '
        'reactdiff --help && python -c "import rclpy, reactdiff_ros.msg; print(reactdiff_ros.__file__)"'
    )
    run = subprocess.run([program, "-euc", script], capture_output=True, text=True, cwd=tmp_path, env=CLEAN, timeout=60)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "same"
    assert lines[1].startswith("Usage: reactdiff")
    assert "reactdiff_ros/__init__.py" in lines[-1]


def test_nothing_of_the_environment_lies_in_the_source_folder() -> None:
    if not ENV.exists():
        pytest.skip("env.sh is written by 'make setup', which has not run in this checkout")
    variables = [line.split("=", 1)[1].split(";")[0] for line in ENV.read_text().splitlines() if "_HOME_DIR=" in line]
    assert len(variables) == 1
    assert ROOT not in Path(variables[0].strip("'")).parents
