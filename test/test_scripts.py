"""Scripts for developers, and the archive and wheel that are built."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
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
def test_the_gpu_checks_run_without_a_gpu(tmp_path):
    """What they do with the backends of the CPU; nothing else would notice that they no longer fit the planner."""
    pytest.importorskip("torch", reason="torch is not installed")
    results = tmp_path / "results.json"
    done = run(sys.executable, "scripts/gpu_checks.py", "--output", results, "--quick", OMP_NUM_THREADS="1")
    found = json.loads(results.read_text())
    assert (done.returncode, found["failures"]) == (0, [])
    assert found["parity_with_torch"]["onnxruntime-cpu"]["within"]
    assert found["same_reactions"]["onnxruntime-cpu"]["max"] == 0.0
    assert [row["candidates"] for row in found["plans_onnxruntime-cpu"]] == [1, 10]


def test_the_diagrams_in_the_docs_are_those_of_the_code(tmp_path):
    done = run(sys.executable, "scripts/make_diagrams.py", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    made = sorted(tmp_path.iterdir())
    assert made
    for path in made:
        assert path.read_text() == (ROOT / "docs" / "images" / path.name).read_text(), "run scripts/make_diagrams.py"


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_it_parses_and_is_executable(path):
    assert os.access(path, os.X_OK)
    shell = path.read_text().splitlines()[0].split("/")[-1].split()[-1]
    assert run(shell, "-n", path).returncode == 0


@pytest.mark.parametrize(("ended", "typed", "words", "said"), [
    ("5 0 5", 0, "test/ros", "6 passed"), ("5 5 5", 0, "test/none", "FAILED: pytest"),
    ("0 137 0", 0, "", "FAILED: pytest"), ("0 0 1", 0, "", "FAILED: pytest"), ("0 0 0", 1, "", "FAILED: mypy"),
    ("1 0 0", 0, "-m slow", "FAILED: pytest"),
])  # fmt: skip
def test_all_tests_fail_where_one_part_does(tmp_path, ended, typed, words, said):
    """With stand-ins for the programs that it runs; 5 is pytest's status where a run has no tests."""
    tools = tmp_path / "bin"
    python = (
        f'ended=({ended}); case "$*" in '
        f'*pytest*"not real_time and not"*) echo "3 passed in 1.00s"; exit ${{ended[2]}} ;; '
        f'*pytest*"not real_time and"*) echo "2 passed in 1.00s"; exit ${{ended[1]}} ;; '
        f'*pytest*) echo "1 passed in 1.00s"; exit ${{ended[0]}} ;; *) exec {sys.executable} "$@" ;; esac'
    )
    for folder in (tools, tmp_path / "scripts"):
        folder.mkdir()
    for name in ("test.sh", "closing_line.py"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    for name, text in (("ruff", ""), ("mypy", f"echo checked; exit {typed}"), ("python", python)):
        (tools / name).write_text(f"#!/bin/bash\n{text}\n")
        (tools / name).chmod(0o755)
    done = run("scripts/test.sh", *words.split(), cwd=tmp_path, PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == ("FAILED" in said), done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "mypy: checked" in done.stdout


@pytest.mark.ros
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_env_sh_sourced_from_elsewhere_gives_the_command_and_ros(shell, tmp_path):
    env = ROOT / "env.sh"
    if not env.exists():
        pytest.skip("env.sh is written by 'make setup', which has not run in this checkout")
    code = "import rclpy, reactdiff_ros.msg; print(reactdiff_ros.__file__)"
    script = f". '{env}' && reactdiff --help && python -c '{code}'"
    clean = {"HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    done = subprocess.run([shell, "-euc", script], capture_output=True, text=True, cwd=tmp_path, env=clean, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: reactdiff")
    assert "reactdiff_ros/__init__.py" in done.stdout.splitlines()[-1]


def left_out(folder: str, names: list[str]) -> set[str]:
    """What is not copied: caches, and what git ignores at the top."""
    ignored = {name for name in names if name == "__pycache__" or name.endswith((".egg-info", "_cache"))}
    top = {".git", ".hypothesis", "runs", "build", "install", "log", "venv"}
    return ignored | (top & set(names) if Path(folder) == ROOT else set())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_archive_and_wheel_have_what_it_takes_and_no_strays(tmp_path):
    """Built from a copy, because building leaves files behind."""
    pytest.importorskip("wheel", reason="wheel is not installed (requirements/test.txt)")
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=left_out)
    (copy / "runs").mkdir()
    (copy / "runs" / "checkpoint.pt").write_bytes(b"not to be shipped")
    sdist = [sys.executable, "setup.py", "-q", "sdist", "--formats=tar", "--dist-dir", ".."]
    subprocess.run(sdist, cwd=copy, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar"))) as packed:
        packed.extractall(tmp_path, filter="data")
    archive = next(path for path in tmp_path.glob("reactdiff_ros-*") if path.is_dir())
    assert not (archive / "runs").exists()
    for name in ("CMakeLists.txt", "LICENSE", "scripts/setup.sh", "launch", "msg", "test/conftest.py"):
        assert (archive / name).exists(), name
    build = [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "..", "."]
    subprocess.run(build, cwd=archive, check=True, capture_output=True)
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as packed_wheel:
        names = {info.filename for info in packed_wheel.infolist() if ".dist-info/" not in info.filename}
    share = f"{wheel.name.rsplit('-', 3)[0]}.data/data/share/reactdiff_ros/"
    for source in (name.removeprefix(share) for name in names):
        assert (ROOT / source).is_file(), source
        top = source.split("/")[0]
        assert top in {"reactdiff_ros", "action", "config", "msg", "requirements", "resource", "package.xml"}
        assert not source.endswith((".pyc", ".pt", ".csv", ".fp16.onnx", ".safetensors")), source
    for kind in (".py", ".js", ".css", ".html", ".j2"):
        wanted = {str(p.relative_to(ROOT)) for p in (ROOT / "reactdiff_ros").rglob(f"*{kind}")}
        assert {name for name in names if name.startswith("reactdiff_ros/") and name.endswith(kind)} == wanted
    assert wheel.stat().st_size < 27e6
