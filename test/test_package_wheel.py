"""The wheel of the ROS-free core, built from the source archive and run where neither source nor ROS is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def left_out(folder: str, names: list[str]) -> set[str]:
    """What is not copied: caches, and what git ignores at the top."""
    ignored = {name for name in names if name == "__pycache__" or name.endswith((".egg-info", "_cache"))}
    top = {".git", ".hypothesis", "runs", "build", "install", "log", "venv"}
    return ignored | (top & set(names) if Path(folder) == ROOT else set())


def done(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> None:
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, unpacked. Built from a copy, because building leaves files behind."""
    pytest.importorskip("wheel", reason="wheel is not installed (requirements/test.txt)")
    folder = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT, folder / "copy", ignore=left_out)
    (folder / "copy" / "runs").mkdir()
    (folder / "copy" / "runs" / "checkpoint.pt").write_bytes(b"not to be shipped")
    done(sys.executable, "setup.py", "-q", "sdist", "--formats=tar", "--dist-dir", "..", cwd=folder / "copy")
    with tarfile.open(next(folder.glob("*.tar"))) as packed:
        packed.extractall(folder, filter="data")
    return next(path for path in folder.glob("reactdiff_ros-*") if path.is_dir())


@pytest.fixture(scope="module")
def wheel(archive: Path) -> Path:
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", "..")
    done(sys.executable, "-m", "pip", "-q", "wheel", *options, ".", cwd=archive)
    return next(archive.parent.glob("*.whl"))


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run("doctor")` runs the installed command in an empty folder, with an empty home and no ROS on any path."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", symlinks=True, with_pip=True)
    python = folder / "venv" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (folder / "home").mkdir()
    (folder / "empty").mkdir()
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(folder / "home"), "LANG": "C.UTF-8"}
    # The start-up hook of ROS wheels would bring ROS back.
    environment["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    done(python, "-m", "pip", "-q", "install", "--no-deps", "--no-index", wheel, cwd=folder, env=environment)
    # What the package depends on comes from where the tests have it, but nothing from paths that ROS sets.
    set_by_ros = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    folders = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages") and p not in set_by_ros]
    (site / "environment.pth").write_text("\n".join([sysconfig.get_path("purelib"), *folders]) + "\n")

    def command(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        program = (python, *arguments) if arguments[0] == "-c" else (python.parent / "reactdiff", *arguments)
        ended = subprocess.run(
            program, cwd=folder / "empty", env=environment, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended

    return command


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """One second of the demo speaker, as a file that is not the package's."""
    path = tmp_path / "talk.mp4"
    with av.open(str(ROOT / "resource" / "demo" / "speaker.mp4")) as demo, av.open(str(path), "w") as out:
        picture = out.add_stream_from_template(demo.streams.video[0])
        for packet in demo.demux(demo.streams.video[0]):
            if packet.dts is None or packet.pts * packet.time_base >= 1:
                break
            packet.stream = picture
            out.mux(packet)
    return path


def test_the_archive_has_what_it_takes(archive: Path) -> None:
    tops = ("CMakeLists.txt", "package.xml", "CHANGELOG.rst", "CITATION.cff", "CONTRIBUTING.md", "LICENSE")
    for name in (*tops, "scripts/setup.sh", "test/conftest.py"):
        assert (archive / name).is_file(), name
    for folder in ("msg", "srv", "launch", "config", "requirements", "docs", "resource/models/live"):
        assert any((archive / folder).iterdir()), folder
    assert not (archive / "runs").exists()
    assert [str(path) for path in archive.rglob("*.pyc")] == []


def test_the_wheel_has_no_strays(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        sizes = {info.filename: info.file_size for info in packed.infolist()}
    share = f"{wheel.name.rsplit('-', 3)[0]}.data/data/share/reactdiff_ros/"
    for name in sizes:
        source = name.removeprefix(share)
        if ".dist-info/" not in name:
            assert (ROOT / source).is_file(), name
            top = source.split("/")[0]
            assert top in {"reactdiff_ros", "action", "config", "msg", "requirements", "resource", "package.xml"}
            assert not source.endswith((".pyc", ".pt", ".csv", ".fp16.onnx", ".safetensors")), name
    for kind in (".py", ".js", ".css", ".html", ".j2"):
        wanted = {str(p.relative_to(ROOT)) for p in (ROOT / "reactdiff_ros").rglob(f"*{kind}")}
        assert {name for name in sizes if name.startswith("reactdiff_ros/") and name.endswith(kind)} == wanted
    assert wheel.stat().st_size < 27e6


def test_it_finds_what_ships_beside_it(run: Run) -> None:
    assert "opsoro_ono" in run("robot", "list").stdout
    assert run("--version").stdout.split()[-1] in (ROOT / "package.xml").read_text()
    checked = run("robot", "check", "ohbot")
    assert str(ROOT) not in checked.stdout + checked.stderr
    assert "run this command from a checkout" in run("dev", "docs", "nodes", code=3).stderr
    pages = run("-c", "from reactdiff_ros.avatar import web; print(web.__file__)").stdout.strip()
    assert (Path(pages).parent / "page" / "robot" / "index.html").is_file()


def test_the_doctor_finds_all_that_ships_and_misses_ros(run: Run) -> None:
    lines = run("doctor", code=1).stdout.splitlines()
    assert any(line.startswith("ok") and line.split()[1] == "weights" and str(ROOT) not in line for line in lines)
    missed = {line.split()[1] for line in lines if line.startswith("ERROR")}
    assert missed & {"ros", "python", "packages", "weights", "backend"} == {"ros"}, lines


def test_a_clip_is_read(run: Run, clip: Path, tmp_path: Path) -> None:
    report = json.loads(run("extract", clip, "--output", tmp_path / "recordings", "--json").stdout)
    assert [Path(row["file"]).is_file() for row in report["written"]] == [True]


def test_the_model_listens(run: Run) -> None:
    code = (
        "from reactdiff_ros.expression import ExpressionEngine;"
        "from reactdiff_ros.model.policies import make_listener;"
        "from reactdiff_ros.perception import SpeakerPerception;"
        "from reactdiff_ros.session import ListeningSession;"
        "session = ListeningSession(SpeakerPerception(), make_listener('model', seed=1), ExpressionEngine(seed=1));"
        "session.advance(0); print(len(session.advance(2_000_000_000)))"
    )
    assert int(run("-c", code).stdout.splitlines()[-1]) == 100


def test_what_needs_ros_says_so(run: Run) -> None:
    output = run("listen", "--robot", "ohbot", code=2).stderr
    assert "--robot cannot be used without ROS" in output
    assert "Traceback" not in output
