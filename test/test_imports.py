"""The architecture as a test: which room may import what. Read from the syntax tree, so lazy imports count too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from reactdiff_ros.launching.table import load_table

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "reactdiff_ros"
TOOLS = ROOT / "tools"
# What every room may know: the values, their basis, time, errors, and where shipped files and settings are.
SHARED = {
    "types", "affect", "attributes", "coefficients", "clock", "errors", "messages", "onnx_network", "pictures",
    "plain_json", "plain_yaml", "portaudio", "resampling", "resources", "settings", "style_words", "styles", "timeline",
    "whole_file", "worker",
}  # fmt: skip
# A room imports the shared values alone.
ROOMS = ("capture", "perception", "turns", "model", "speech", "expression", "actuation", "avatar")
# Above the rooms, one order: each imports what is before it. A running listener loads no laboratory.
RUN_TIME = ("session", "launching", "nodes")
LABORATORY = ("simulator", "recordings", "training", "evaluation", "cli")
FLOORS = (*RUN_TIME, *LABORATORY)
# Where training data comes from: of the rooms only what describes a model's inputs.
SOURCES = {"simulator": {"perception"}, "recordings/datasets": set(), "recordings/bags": {"capture"}}
MODEL_INPUTS = {"diffusion", "style"}
# Inside a room, each folder imports what is before it; "." is the room's own files.
FOLDERS = {
    "actuation": ("robot", "drivers", ".", "emulators"),
    "evaluation": ("bench", "metrics", ".", "report", "runs", "studies"),
    "model": ("diffusion", "backends", "plan", "speaker", ".", "policies"),
    "recordings": ("bags", "datasets", "graph", "replay", "."),
    "training": (".", "paper"),
}
# Heavy or peculiar imports, and the only folders that may have them.
HOMES = {
    "rclpy": {"nodes", "recordings/graph", "evaluation/bench"},
    "mediapipe": set(),  # the networks were converted from it: tools/face_networks
    "onnxruntime": {".", "model"},  # ".": onnx_network.py
    "kaldi_native_fbank": {"perception"},
    "av": {"capture", "recordings/replay"},
    "cv2": {"avatar", "capture", "evaluation", "recordings/replay"},
    "sounddevice": {"."},
    "aiohttp": {"avatar", "actuation/drivers"},
    "pythonosc": {"avatar"},
    "py_mini_racer": {"avatar"},
    "resvg_py": {"avatar"},
    "torch": {"training"},
    "onnx": {"training", "model"},
    "polygraphy": {"model"},
    "tensorrt": set(),  # behind polygraphy
    "numba": {"evaluation"},
    "pyinstrument": {"evaluation"},
    "ruckig": {"actuation"},
    "pydantic": {"actuation", "recordings", "training"},
    "serial": {"actuation/drivers"},
    "scservo_sdk": {"actuation/drivers"},
    "dynamixel_sdk": {"actuation/drivers"},
    "adafruit_pca9685": {"actuation/drivers"},
    "adafruit_blinka": {"actuation/drivers"},
    "rosbags": {"recordings/bags", "recordings/replay"},
    "click": {"cli"},
    "segno": {"avatar", "cli"},
    "cryptography": {"avatar"},
}
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
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                base = node.module or ""
            else:
                stem = package[: len(package) - node.level + 1]
                base = ".".join([*stem, *([node.module] if node.module else [])])
            found.append((base, node.lineno))
            if base == "reactdiff_ros" or node.level:
                found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    return found


def place(path: Path) -> str:
    """The room or composer that a file belongs to, or the name of a module of the package itself."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def own(module: str) -> str | None:
    """The first name below reactdiff_ros of an import of ours."""
    parts = module.split(".")
    return parts[1] if parts[0] == "reactdiff_ros" and len(parts) > 1 else None


def wrong(folder: Path, bad: Callable[[Path, str], object]) -> list[str]:
    """Every import in a folder's files that must not be: place and module."""
    return [f"{where(path, line)}: {m}" for path in files(folder) for m, line in imports(path) if bad(path, m)]


def folder(path: Path) -> str:
    """Where a file lies below the package, "recordings/bags"."""
    return path.relative_to(PACKAGE).parent.as_posix()


def within(path: Path, places: Iterable[str]) -> bool:
    return any(f"{folder(path)}/".startswith(f"{p}/") for p in places)


def test_every_file_has_a_place() -> None:
    assert {place(p) for p in files(PACKAGE)} <= {*ROOMS, *FLOORS, *SHARED, "__init__"}


@pytest.mark.parametrize("name", [*sorted(SHARED), *ROOMS, *FLOORS])
def test_arrows_point_down(name: str) -> None:
    """Shared values import each other, a room adds itself, a floor above them all that is before it."""
    below = SHARED if name in SHARED else {name, *SHARED}
    # The package itself imports recordings (lazily): only what is above them asks it for its version.
    below |= {"__version__"} if name in ("training", "evaluation", "cli") else set()
    if name in FLOORS:
        below |= {*ROOMS, *FLOORS[: FLOORS.index(name)]}
        below |= {"msg", "srv", "action"} if name in ("nodes", "recordings", "evaluation") else set()
    assert not wrong(PACKAGE, lambda path, m: place(path) == name and own(m) not in {None, *below})


@pytest.mark.parametrize("source", SOURCES)
def test_sources_of_training_data_know_only_what_describes_inputs(source: str) -> None:
    allowed = {None, *SHARED, *SOURCES[source], source.split("/")[0]}

    def bad(_: Path, module: str) -> bool:
        describes = module == "reactdiff_ros.model" or (own(module) == "model" and module.split(".")[2] in MODEL_INPUTS)
        return own(module) not in allowed and not describes

    assert not wrong(PACKAGE / source, bad)


@pytest.mark.parametrize("room", FOLDERS)
def test_the_folders_of_a_room_have_an_order(room: str) -> None:
    order = FOLDERS[room]

    def bad(path: Path, module: str) -> bool:
        parts = module.split(".")
        if parts[:2] != ["reactdiff_ros", room] or len(parts) < 3:
            return False
        there = parts[2] if parts[2] in order else "."
        here = path.relative_to(PACKAGE / room).parts[0] if path.parent != PACKAGE / room else "."
        return order.index(there) > order.index(here)

    assert not wrong(PACKAGE / room, bad)


def test_all_rooms_with_folders_are_listed() -> None:
    with_folders = {place(path) for path in files(PACKAGE) if len(path.relative_to(PACKAGE).parts) > 2}
    assert with_folders == {*FOLDERS}


def test_a_running_listener_imports_no_laboratory_but_the_recorder() -> None:
    """Its command and the table of nodes; what the nodes and launching import, the arrows say."""
    other = {*LABORATORY} - {"cli"}
    assert [m for m, _ in imports(PACKAGE / "cli" / "listen.py") if own(m) in other] == []
    outside = [node.module for node in load_table().nodes if not node.module.startswith("reactdiff_ros.nodes.")]
    assert outside == ["reactdiff_ros.recordings.graph.recorder_node"]


def test_a_listener_in_one_process_loads_no_extra_and_nothing_that_windows_lacks() -> None:
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


def test_heavy_imports_stay_at_home() -> None:
    assert not wrong(PACKAGE, lambda path, m: (homes := HOMES.get(m.split(".")[0])) and not within(path, homes))


def of_messages(module: str) -> bool:
    return own(module) in {"msg", "srv", "action"} or module.split(".")[0].endswith("_msgs")


def test_ros_messages_are_imported_by_nodes_only() -> None:
    assert not wrong(PACKAGE, lambda path, module: of_messages(module) and not within(path, HOMES["rclpy"]))


def test_every_file_of_nodes_needs_ros() -> None:
    """What needs neither rclpy nor the base of the nodes nor messages is a room's, and is tested there without ROS."""

    def needs_ros(module: str) -> bool:
        return module.split(".")[0] == "rclpy" or module == "reactdiff_ros.nodes.base" or of_messages(module)

    modules = [path for path in files(PACKAGE / "nodes") if path.stem != "__init__"]
    assert [path.name for path in modules if not any(needs_ros(module) for module, _ in imports(path))] == []


def test_only_commands_import_the_tools_that_are_not_installed() -> None:
    """Where there are any: an installation has no such folder."""
    users = {path for path in files(PACKAGE) for module, _ in imports(path) if module.split(".")[0] == "tools"}
    assert {path.relative_to(PACKAGE).as_posix() for path in users} == {"cli/bench.py", "cli/main.py"}
    for path in users:
        top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
        assert not [node.module for node in top if (node.module or "").startswith("tools")]


def test_of_the_tools_only_commands_import_commands_and_none_imports_a_test() -> None:
    def bad(path: Path, module: str) -> bool:
        return module.startswith("test") or (module.startswith("reactdiff_ros.cli") and path.stem != "commands")

    assert not wrong(TOOLS, bad)


def test_launch_files_import_the_standard_library_and_launch_only() -> None:
    allowed = sys.stdlib_module_names | {"launch", "launch_ros"}
    assert not wrong(ROOT / "launch", lambda _, module: module.split(".")[0] not in allowed)


@pytest.mark.parametrize("room", PURE)
def test_time_and_randomness_are_arguments(room: str) -> None:
    assert not wrong(PACKAGE / room, lambda _, module: module.split(".")[0] in IMPURE_MODULES)
    drawn = []
    for path in files(PACKAGE / room):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == "random"
                and isinstance(node.value.value, ast.Name)
                and node.value.value.id in {"np", "numpy"}
                and node.attr not in GENERATORS
            ):
                drawn.append(f"{where(path, node.lineno)}: np.random.{node.attr}")
    assert drawn == []


def test_files_stay_readable() -> None:
    every = [*files(PACKAGE), *files(TOOLS)]
    long = {str(p.relative_to(ROOT)): n for p in every if (n := len(p.read_text().splitlines())) > 700}
    assert long == {}


def test_every_test_file_has_a_name_of_its_own():
    """Two of one name in different folders are one module to pytest: neither is collected in a run of both."""
    names = [path.name for path in sorted((ROOT / "test").rglob("*.py")) if path.name != "conftest.py"]
    assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]
