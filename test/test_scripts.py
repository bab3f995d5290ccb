"""Scripts for developers: every one parses, says what is wrong, and does what its first lines say."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from closing_line import closing_line  # noqa: E402

SHELL = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run", ROOT / "docker" / "entrypoint.sh"]


def run(*words: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command said, and its exit status."""
    given = os.environ | environment
    return subprocess.run(list(map(str, words)), cwd=cwd, env=given, capture_output=True, text=True, timeout=600)


def program(path: Path, text: str) -> None:
    """A stand-in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_gpu_checks_run_without_a_gpu(tmp_path: Path) -> None:
    """What they do with the backends of the CPU; nothing else would notice that they no longer fit the planner."""
    pytest.importorskip("torch", reason="torch is not installed")
    results = tmp_path / "results.json"
    words = (sys.executable, "scripts/gpu_checks.py", "--output", results, "--quick")
    done = run(*words, OMP_NUM_THREADS="1")
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


@pytest.mark.parametrize("name", ["setup.sh", "setup_reachy.sh", "audit.sh"])
def test_what_it_does_not_know_is_one_sentence(name: str, tmp_path: Path) -> None:
    for tool in ("pip-audit", "cyclonedx-py"):
        program(tmp_path / "bin" / tool, "")
    run_result = run(
        ROOT / "scripts" / name, "--wrong", REACTDIFF_HOME_DIR=str(tmp_path), REACTDIFF_AUDIT_TOOLS=str(tmp_path)
    )
    assert run_result.returncode in (1, 2)
    assert "unknown" in run_result.stderr
    assert run_result.stderr.count("\n") == 1


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
    run_result = run("scripts/test.sh", *words, cwd=tmp_path, PATH=f"{tools}:{os.environ['PATH']}")
    assert run_result.returncode == code, run_result.stdout + run_result.stderr
    assert said in run_result.stdout + run_result.stderr
    assert "mypy: checked" in run_result.stdout


def test_checks_of_a_gpu_compare_what_computes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed (requirements/train.txt)")
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    gpu_checks = importlib.import_module("gpu_checks")
    weights = gpu_checks.find_weights("")
    checks = gpu_checks.Checks(weights, 8.0, tmp_path / "results.json")
    checks.part("backends", lambda: gpu_checks.backends(checks, weights))
    cpu, other = (checks.results["backends"]["onnxruntime-cpu"], gpu_checks.OnnxRuntimeCpu(weights))
    drawn = other.stretch
    monkeypatch.setattr(other, "stretch", lambda job: drawn(job) + 0.1)
    same, wrong = gpu_checks.parity(weights, cpu, {"same": cpu, "wrong": other}).values()
    assert same["within"]
    assert same["latents"] == same["encoder"] == 0.0
    assert not wrong["within"]
    checks.part("broken", lambda: 1 / 0)
    assert "ZeroDivisionError" in checks.results["failures"][-1]


# One closing line of several runs

SEARCHED = re.compile(r"^(=+ )?.*[0-9]+ (passed|failed|skipped|error).* in [0-9.:]+ ?s", re.MULTILINE)
"""What .ci/run looks for."""


@pytest.mark.parametrize(
    ("logs", "line_wanted"),
    [
        (["== 3 passed, 5 deselected in 1.00s ==", "== 5 passed, 3 deselected in 2.00s =="], "8 passed"),
        (["text\n1 failed, 2 passed, 1 warning in 3.1s\n", "== 2 skipped, 1 error in 9.00s =="],
         "1 failed, 2 passed, 2 skipped, 1 error, 1 warning"),
        (["\x1b[32m== \x1b[1m7 passed\x1b[0m, \x1b[33m2 warnings\x1b[0m\x1b[32m in 70.20s (0:01:10)\x1b[0m ==\x1b[0m"],
         "7 passed, 2 warnings"),
        (["== 1 passed in 1.0s ==\na test's own run: 9 passed in 2s\n== 2 failed in 3.0s ==\n"], "2 failed"),
        (["== 4 passed in 0.1s ==", "no tests ran in 0.01s"], "4 passed"),
        (["== 4 passed in 0.1s ==", "Killed"], "4 passed, 1 error"),
        (["== 3 passed, 1 rerun in 1.0s ==", "== 2 passed, 2 rerun in 1.0s =="], "5 passed, 3 rerun"),
    ],
)  # fmt: skip
def test_counts_are_added_and_a_run_without_an_end_is_an_error(logs: list[str], line_wanted: str) -> None:
    line = closing_line(logs, 754.5)
    assert line.strip("= ") == f"{line_wanted} in 754.50s (0:12:34)"
    assert SEARCHED.search(line)
