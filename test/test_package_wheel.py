"""The wheel of the ROS-free core, built from the source archive; scripts/try_wheel.py runs it in a clean place."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def left_out(folder: str, names: list[str]) -> set[str]:
    """What is not copied: caches, and what git ignores at the top."""
    ignored = {name for name in names if name == "__pycache__" or name.endswith((".egg-info", "_cache"))}
    top = {".git", ".hypothesis", "runs", "build", "install", "log", "venv"}
    return ignored | (top & set(names) if Path(folder) == ROOT else set())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_archive_and_wheel_have_what_it_takes_and_no_strays(tmp_path: Path) -> None:
    """Built from a copy, because building leaves files behind."""
    pytest.importorskip("wheel", reason="wheel is not installed (requirements/test.txt)")
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=left_out)
    (copy / "runs").mkdir()
    (copy / "runs" / "checkpoint.pt").write_bytes(b"not to be shipped")
    sdist = [sys.executable, "setup.py", "-q", "sdist", "--formats=tar", "--dist-dir", ".."]
    subprocess.run(sdist, cwd=copy, check=True, capture_output=True, timeout=240)
    with tarfile.open(next(tmp_path.glob("*.tar"))) as packed:
        packed.extractall(tmp_path, filter="data")
    archive = next(path for path in tmp_path.glob("reactdiff_ros-*") if path.is_dir())
    assert not (archive / "runs").exists()
    for name in ("CMakeLists.txt", "LICENSE", "scripts/setup.sh", "launch", "msg", "test/conftest.py"):
        assert (archive / name).exists(), name
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", "..")
    build = [sys.executable, "-m", "pip", "-q", "wheel", *options, "."]
    subprocess.run(build, cwd=archive, check=True, capture_output=True, timeout=240)
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
