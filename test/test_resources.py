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
