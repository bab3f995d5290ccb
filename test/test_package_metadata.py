"""What the package says of itself: one version, keys that rosdep knows, licences, a changelog in catkin's form."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import reactdiff_ros
from reactdiff_ros.resources import package_version

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
SOURCES = ("*.py", "*.toml", "*.cfg", "*.sh", "*.in", "*.txt", "*.cmake", "Dockerfile*")
NO_CATKIN = "catkin_pkg is not installed (requirements/test.txt)"


def told(*arguments: str) -> list[str]:
    """What setup.py answers to its questions."""
    command = [sys.executable, "setup.py", "-q", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_one_version_everywhere() -> None:
    version = MANIFEST.findtext("version")
    assert version is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert reactdiff_ros.__version__ == package_version() == version
    assert told("--version", "--name")[-2:] == [version, "reactdiff_ros"]


def test_no_file_but_the_manifest_tells_the_version() -> None:
    files = [p for pattern in SOURCES for p in (*ROOT.glob(pattern), *(ROOT / "reactdiff_ros").rglob(pattern))]
    assert len(files) > 100
    own = re.compile(rf"""version\w*\s*[:=]\s*["']?{re.escape(reactdiff_ros.__version__)}\b""", re.IGNORECASE)
    assert [str(p.relative_to(ROOT)) for p in files if own.search(p.read_text(encoding="utf-8"))] == []


def test_setup_tells_what_the_manifest_tells() -> None:
    told_of = told("--description", "--maintainer", "--maintainer-email", "--author", "--license", "--url")
    maintainer, author = MANIFEST.find("maintainer"), MANIFEST.find("author")
    assert maintainer is not None
    assert author is not None
    assert told_of[-6:] == [
        MANIFEST.findtext("description"),
        maintainer.text,
        maintainer.get("email"),
        author.text,
        MANIFEST.findtext("license"),
        MANIFEST.findtext("url[@type='website']"),
    ]


def test_every_dependency_has_a_rosdep_key() -> None:
    known = yaml.safe_load((ROOT / "test" / "rosdep_keys.yaml").read_text())
    used = {tag.text for tag in MANIFEST if tag.tag.endswith("depend")}
    assert len(used) > 20
    assert used == {*known["ros"], *known["ubuntu"]}


@pytest.mark.skipif(
    shutil.which("cmake") is None or "AMENT_PREFIX_PATH" not in os.environ,
    reason="ROS 2 is not on the path: '. ./env.sh'",
)
def test_the_build_names_what_python_lacks_and_the_line_that_mends_it(tmp_path: Path) -> None:
    """Started from any folder, so the paths are whole; Ubuntu's own pydantic is not enough."""
    (tmp_path / "pydantic.py").write_text("VERSION = '1.10.14'\n")
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path / "build"), f"-DPython3_EXECUTABLE={sys.executable}"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "CMAKE_PREFIX_PATH": os.environ["AMENT_PREFIX_PATH"], "PYTHONPATH": path}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    said = " ".join(done.stderr.split())
    assert done.returncode != 0
    assert "pydantic 2 is needed" in said
    assert f"make -C {ROOT} setup" in said
    assert f"-m pip install -r {ROOT}/requirements/run.txt" in said


def test_imported_ros_packages_are_dependencies() -> None:
    optional = {"hri_msgs", "audio_common_msgs"}
    nodes = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "reactdiff_ros" / "nodes").rglob("*.py"))
    nodes += (ROOT / "config" / "nodes.json").read_text(encoding="utf-8")
    named = set(re.findall(r"\b([a-z0-9_]+)[./](?:msg|srv)(?:\b|/)", nodes))
    dependencies = {tag.text for tag in MANIFEST if tag.tag in ("depend", "exec_depend")}
    assert {"sensor_msgs", "std_srvs", "trajectory_msgs"} <= named
    assert named - optional - {"reactdiff_ros"} <= dependencies


@pytest.mark.parametrize("name", ["LICENSE", "resource/models/live/LICENSE.md", "resource/demo/LICENSE.md", "NOTICE"])
def test_licences_are_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0" in text


def test_every_folder_of_weights_has_its_licence_and_card() -> None:
    models = [path.parent for path in (ROOT / "resource").rglob("manifest.json")]
    assert models
    for folder in models:
        assert (folder / "LICENSE.md").is_file(), folder
        assert re.search(r"^license: apache-2.0$", (folder / "README.md").read_text(), re.MULTILINE), folder


def test_the_manifest_is_valid() -> None:
    package = pytest.importorskip("catkin_pkg.package", reason=NO_CATKIN)
    warnings: list[str] = []
    parsed = package.parse_package(ROOT / "package.xml", warnings=warnings)
    parsed.validate(warnings=warnings)
    assert warnings == []
    assert {url.type for url in parsed.urls} == {"website", "repository", "bugtracker"}
    assert (ROOT / parsed.licenses[0].file).is_file()


def test_the_changelog_is_ready_for_a_release(tmp_path: Path) -> None:
    """As catkin_prepare_release does it: what is forthcoming gets a version and a date, and all is read again."""
    changelog = pytest.importorskip("catkin_pkg.changelog", reason=NO_CATKIN)
    release = pytest.importorskip("catkin_pkg.package_version", reason=NO_CATKIN)
    text = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    released = [tuple(map(int, v.split("."))) for v in re.findall(r"^(\d+\.\d+\.\d+) \(", text, re.MULTILINE)]
    version = str(MANIFEST.findtext("version"))
    label = release.get_forthcoming_label(text)
    if label is not None:
        assert re.search(r"^[\w.]+(?: \(.*\))?\n-+$", text, re.MULTILINE)[0].startswith(label), "stands on top"
        text = release.rename_section(text, label, "999.0.0 (2026-01-01)")
        released.insert(0, (999, 0, 0))
    (tmp_path / "CHANGELOG.rst").write_text(text, encoding="utf-8")
    parsed = changelog.get_changelog_from_path(str(tmp_path), "reactdiff_ros")
    versions = [tuple(map(int, v.split("."))) for v, _, _ in parsed.foreach_version()]
    assert versions == released == sorted(released, reverse=True)
    assert versions
    for number, _, content in parsed.foreach_version():
        assert content, number
    assert max((v for v in released if v < (999, 0, 0)), default=None) in (None, tuple(map(int, version.split("."))))


def test_the_workflow_is_one() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed (requirements/test.txt)")
    workflow = str(ROOT / ".github" / "workflows" / "ci.yml")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", workflow]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
