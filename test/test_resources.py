"""Shipped files are found wherever the package runs from; what is not installed is one sentence with the command."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from reactdiff_ros import resources
from reactdiff_ros.errors import ReactdiffError

ROOT = Path(__file__).resolve().parents[1]
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize(("modules", "command", "said"), [
    ({"ruckig", "serial"}, "listen --robot ohbot", "setup-robots"),
    ({"jinja2", "matplotlib", "numba", "rosbags"}, "bag replay talk.mcap -o out --video x.mp4", "setup-evaluate"),
])  # fmt: skip
def test_a_command_names_what_it_lacks_and_ends_with_3(modules, command, said, tmp_path):
    (tmp_path / "run.stamp").touch()
    (tmp_path / "talk.mcap").write_bytes(b"\x89MCAP0\r\n")
    code = WITHOUT.format(modules=modules) + (
        f"sys.prefix = {str(tmp_path / 'venv')!r}\n"
        f"from reactdiff_ros.cli.main import main\nsys.exit(main({command.split()!r}))"
    )
    path = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    given = os.environ | {"REACTDIFF_HOME_DIR": str(tmp_path), "PYTHONPATH": path}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1].endswith(f"make -C {ROOT} {said}"), done.stderr
    assert "Traceback" not in done.stderr


def test_files_of_an_installed_share_and_of_a_wheel_are_found(tmp_path, monkeypatch):
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
    with pytest.raises(ReactdiffError, match=r"no_such_thing.*make setup"):
        resources.resource_path("no_such_thing")


@pytest.mark.skipif(sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="counts threads on two cores")
def test_products_take_one_thread():
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    code = "import os, reactdiff_ros, numpy as n; n.ones((500, 500)) @ n.ones((500, 500)); "
    code += "print(len(os.listdir('/proc/self/task')))"
    counted = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(counted.stdout) == 1
