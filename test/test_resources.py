import sysconfig
from pathlib import Path

import pytest

from reactdiff_ros import resources
from reactdiff_ros.errors import ReactdiffError


def test_source_tree_is_found_first():
    assert resources.share_path("config").is_dir()
    assert resources.share_path("config").parent == Path(resources.__file__).resolve().parents[1]


def test_installed_share_and_wheel_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "lib" / "reactdiff_ros" / "resources.py"))
    ros, wheel = tmp_path / "ros", tmp_path / "wheel"
    for prefix, name in ((ros, "a.txt"), (wheel, "b.txt")):
        folder = prefix / "share" / "reactdiff_ros" / "resource" / "demo"
        folder.mkdir(parents=True)
        (folder / name).write_text(name)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{ros}")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(wheel))
    assert resources.resource_path("demo/a.txt").read_text() == "a.txt"
    assert resources.resource_path("demo/b.txt").read_text() == "b.txt"


def test_missing_file_names_itself_and_the_remedy():
    with pytest.raises(ReactdiffError, match=r"no_such_thing.*make setup"):
        resources.resource_path("no_such_thing")


def test_the_own_prefix_comes_before_a_sourced_one(tmp_path, monkeypatch):
    own, ros = tmp_path / "own", tmp_path / "ros"
    for prefix, version in ((own, "1.2.3"), (ros, "4.5.6")):
        (prefix / "share" / "reactdiff_ros").mkdir(parents=True)
        (prefix / "share" / "reactdiff_ros" / "package.xml").write_text(f"<version>{version}</version>")
    monkeypatch.setattr(resources, "__file__", str(own / "lib" / "python3" / "reactdiff_ros" / "resources.py"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(ros))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(own))
    assert resources.package_version() == "1.2.3"
    monkeypatch.setattr(resources, "__file__", str(ros / "lib" / "reactdiff_ros" / "resources.py"))
    assert resources.package_version() == "4.5.6"


def test_a_manifest_without_a_version_is_said(tmp_path, monkeypatch):
    folder = tmp_path / "share" / "reactdiff_ros"
    folder.mkdir(parents=True)
    (folder / "package.xml").write_text("<package/>")
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "lib" / "reactdiff_ros" / "resources.py"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    with pytest.raises(ReactdiffError, match="tells no version"):
        resources.package_version()
