"""The architecture as a test: which room may import what. Read from the syntax tree, so lazy imports count too."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TOOLS = ROOT / "reactdiff_ros", ROOT / "tools"
# What every room may know: the values, their basis, time, errors, and where shipped files and settings are.
SHARED = {
    "types", "affect", "attributes", "coefficients", "clock", "errors", "messages", "onnx_network", "pictures",
    "plain_json", "plain_yaml", "portaudio", "resampling", "resources", "settings", "style_words", "styles", "timeline",
    "whole_file", "worker",
}  # fmt: skip
# A room imports the shared values alone.
ROOMS = ("capture", "perception", "turns", "model", "speech", "expression", "actuation", "avatar")
# Above the rooms, one order: each imports what is before it. A running listener loads no laboratory.
FLOORS = ("session", "launching", "nodes", "simulator", "recordings", "training", "evaluation", "cli")
# Inside a room, each folder imports what is before it; "." is the room's own files.
FOLDERS = {
    "actuation": ("robot", "drivers", ".", "emulators"),
    "evaluation": ("bench", "metrics", ".", "report", "runs", "studies"),
    "model": ("diffusion", "backends", "plan", "speaker", ".", "policies"),
    "recordings": ("bags", "datasets", "graph", "replay", "."),
    "training": (".", "paper"),
}
# Heavy or peculiar imports, and the only folders that may have them.
ROS = {"nodes", "recordings/graph", "evaluation/bench"}
HOMES = {
    "rclpy": ROS, "mediapipe": set(), "onnxruntime": {".", "model"}, "kaldi_native_fbank": {"perception"},
    "av": {"capture", "recordings/replay"}, "cv2": {"avatar", "capture", "evaluation", "recordings/replay"},
    "sounddevice": {"."}, "aiohttp": {"avatar", "actuation/drivers"}, "pythonosc": {"avatar"},
    "py_mini_racer": {"avatar"}, "resvg_py": {"avatar"}, "torch": {"training"}, "onnx": {"training", "model"},
    "polygraphy": {"model"}, "tensorrt": set(), "numba": {"evaluation"}, "pyinstrument": {"evaluation"},
    "ruckig": {"actuation"}, "pydantic": {"actuation", "recordings", "training"}, "serial": {"actuation/drivers"},
    "scservo_sdk": {"actuation/drivers"}, "dynamixel_sdk": {"actuation/drivers"},
    "adafruit_pca9685": {"actuation/drivers"}, "adafruit_blinka": {"actuation/drivers"},
    "rosbags": {"recordings/bags", "recordings/replay"}, "click": {"cli"}, "segno": {"avatar", "cli"},
    "cryptography": {"avatar"},
}  # fmt: skip
# mediapipe: the networks were converted from it; tensorrt: behind polygraphy; ".": files of the package itself
UNIX = {"fcntl", "grp", "pwd", "resource", "termios"}
# Time and randomness are arguments here.
PURE = ("perception", "turns", "model", "expression", "actuation")
IMPURE_MODULES = {"time", "random", "datetime", "secrets"}
GENERATORS = {"Generator", "default_rng", "Philox", "PCG64", "SeedSequence", "BitGenerator"}


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@cache
def imports(path: Path) -> list[tuple[str, int]]:
    """(absolute dotted module, line) of every import in a file, TYPE_CHECKING blocks included."""
    found: list[tuple[str, int]] = []
    package = ".".join(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            found.append((base, node.lineno))
            if base == "reactdiff_ros" or node.level:
                found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    return found


def place(path: Path) -> str:
    """The room or composer that a file belongs to, or the name of a module of the package itself."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def own(module: str) -> str | None:
    """The first name below reactdiff_ros of an import of ours."""
    parts = module.split(".")
    return parts[1] if parts[0] == "reactdiff_ros" and len(parts) > 1 else None


def wrong(folder: Path, bad: Callable[[Path, str], object]) -> list[str]:
    """Every import in a folder's files that must not be: place and module."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {m}" for path in files(folder) for m, line in imports(path) if bad(path, m)
    ]


def test_every_file_has_a_place_and_every_room_with_folders_is_listed():
    assert {place(p) for p in files(PACKAGE)} <= {*ROOMS, *FLOORS, *SHARED, "__init__"}
    assert {place(p) for p in files(PACKAGE) if len(p.relative_to(PACKAGE).parts) > 2} == {*FOLDERS}


@pytest.mark.parametrize("name", [*sorted(SHARED), *ROOMS, *FLOORS])
def test_arrows_point_down(name):
    """Shared values import each other, a room adds itself, a floor above them all that is before it."""
    below = SHARED if name in SHARED else {name, *SHARED}
    # The package itself imports recordings (lazily): only what is above them asks it for its version.
    below |= {"__version__"} if name in ("training", "evaluation", "cli") else set()
    if name in FLOORS:
        below |= {*ROOMS, *FLOORS[: FLOORS.index(name)]}
        below |= {"msg", "srv", "action"} if name in ("nodes", "recordings", "evaluation") else set()
    assert not wrong(PACKAGE, lambda path, m: place(path) == name and own(m) not in {None, *below})


@pytest.mark.parametrize("room", FOLDERS)
def test_the_folders_of_a_room_have_an_order(room):
    order = FOLDERS[room]

    def bad(path: Path, module: str) -> bool:
        parts = module.split(".")
        if parts[:2] != ["reactdiff_ros", room] or len(parts) < 3:
            return False
        there = parts[2] if parts[2] in order else "."
        here = path.relative_to(PACKAGE / room).parts[0] if path.parent != PACKAGE / room else "."
        return order.index(there) > order.index(here)

    assert not wrong(PACKAGE / room, bad)


def test_a_listener_in_one_process_loads_no_extra_and_nothing_that_windows_lacks():
    rooms = ("launching.one_process", "launching.doctor", "cli.listen", "cli.main", "recordings.listener")
    code = "".join(f"import reactdiff_ros.{room}\n" for room in rooms) + "import sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    extras = {"cv2", "py_mini_racer", "resvg_py", "cryptography", "sounddevice", "psutil", "scipy", "rosbags", "rclpy"}
    assert loaded & extras == set()
    for path in files(PACKAGE):
        if ".".join(path.relative_to(ROOT).with_suffix("").parts) in loaded:
            top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.Import)]
            assert {alias.name for node in top for alias in node.names} & UNIX == set(), path


def test_heavy_imports_and_messages_stay_at_home():
    def bad(path: Path, module: str) -> bool:
        top, place = module.split(".")[0], path.relative_to(PACKAGE).parent.as_posix()
        homes = ROS if own(module) in {"msg", "srv", "action"} or top.endswith("_msgs") else HOMES.get(top)
        return homes is not None and not any(f"{place}/".startswith(f"{home}/") for home in homes)

    assert not wrong(PACKAGE, bad)


def test_only_commands_import_the_tools_and_only_commands_of_the_tools_import_commands():
    """An installation has no such folder: the package imports it in functions."""
    users = {path for path in files(PACKAGE) for module, _ in imports(path) if module.split(".")[0] == "tools"}
    assert {path.relative_to(PACKAGE).as_posix() for path in users} == {"cli/bench.py", "cli/main.py"}
    for path in users:
        top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
        assert not [node.module for node in top if (node.module or "").startswith("tools")]
    assert not wrong(TOOLS, lambda path, module: module.startswith("reactdiff_ros.cli") and path.stem != "commands")


def test_launch_files_import_the_standard_library_and_launch_only():
    allowed = sys.stdlib_module_names | {"launch", "launch_ros"}
    assert not wrong(ROOT / "launch", lambda _, module: module.split(".")[0] not in allowed)


@pytest.mark.parametrize("room", PURE)
def test_time_and_randomness_are_arguments(room):
    assert not wrong(PACKAGE / room, lambda _, module: module.split(".")[0] in IMPURE_MODULES)
    for path in files(PACKAGE / room):
        drawn = set(re.findall(r"\b(?:np|numpy)\.random\.(\w+)", path.read_text(encoding="utf-8")))
        assert drawn <= GENERATORS, path


def test_files_stay_readable():
    every = [*files(PACKAGE), *files(TOOLS)]
    long = {str(p.relative_to(ROOT)): n for p in every if (n := len(p.read_text().splitlines())) > 700}
    assert long == {}


def test_every_test_file_has_a_name_of_its_own():
    """Two of one name in different folders are one module to pytest: neither is collected in a run of both."""
    names = [path.name for path in sorted((ROOT / "test").rglob("*.py")) if path.name != "conftest.py"]
    assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]
