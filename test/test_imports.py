"""The architecture as a test: which room may import what. Read from the syntax tree, so lazy imports count too."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "reactdiff_ros"
ROOMS = ("capture", "perception", "model", "expression", "robots", "drivers", "emulators", "avatar", "outputs")
# Rooms that stand on another: drivers read the profiles' types, emulated robots the joints of drivers.
ROOM_MAY_IMPORT = {"drivers": {"robots"}, "emulators": {"robots", "drivers"}}
COMPOSERS = {"session", "nodes", "evaluation", "training", "cli", "demo", "replay"}
# Who stands on whom among those that put rooms together. Nodes fill the accounts of what is measured of a graph.
COMPOSER_MAY_IMPORT = {
    "session": set(),
    "demo": set(),
    "nodes": {"session", "evaluation"},
    "replay": {"session", "nodes", "demo"},
    "training": {"session"},
    "evaluation": COMPOSERS - {"cli"},
}
NODES_MAY_IMPORT_OF_EVALUATION = {"bench", "faults"}
# Where training data comes from: numpy alone, no torch, and of the rooms only what describes a model's inputs.
SOURCES = ("simulator", "datasets", "bags")
SOURCES_MAY_IMPORT = {"simulator": {"perception"}, "datasets": set(), "bags": {"capture"}}
MODEL_INPUTS = {"tokens", "conditions", "style"}
# What every room may know: the values, their basis, time, errors, and where shipped files and settings are.
SHARED = {
    "types",
    "attributes",
    "coefficients",
    "clock",
    "errors",
    "extras",
    "messages",
    "plain_yaml",
    "resources",
    "settings",
    "styles",
    "vocabulary",
    "whole_file",
}
# Heavy or peculiar imports, and the only folders that may have them.
HOMES = {
    "rclpy": {"nodes"},
    "mediapipe": {"perception", "demo"},  # demo: its list of connections, when the mesh is made
    "onnxruntime": {"perception", "model"},
    "kaldi_native_fbank": {"perception", "training"},
    "av": {"capture", "demo", "replay"},
    "sounddevice": {"capture"},
    "aiohttp": {"avatar", "outputs", "drivers", "evaluation"},  # evaluation: pages that the fault harness opens
    "pythonosc": {"outputs"},
    "torch": {"training"},
    "onnx": {"training", "model"},
    "tensorrt": {"model"},
    "cuda": {"model"},
    "numba": {"evaluation"},
    "pyinstrument": {"evaluation"},
    "ruckig": {"robots"},
    "pydantic": {"robots"},
    "serial": {"drivers"},
    "scservo_sdk": {"drivers"},
    "dynamixel_sdk": {"drivers"},
    "adafruit_pca9685": {"drivers"},
    "adafruit_blinka": {"drivers"},
    "rosbags": {"bags"},
    "click": {"cli"},
    "segno": {"cli"},
}
# Time and randomness are arguments here.
PURE = ("perception", "model", "expression", "robots", "drivers", "emulators", "outputs")
IMPURE_MODULES = {"time", "random", "datetime", "secrets"}
GENERATORS = {"Generator", "default_rng", "Philox", "PCG64", "SeedSequence", "BitGenerator"}


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@cache
def imports(path: Path) -> list[tuple[str, int]]:
    """(absolute dotted module, line) of every import in a file, TYPE_CHECKING blocks included."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                base = node.module or ""
            else:
                stem = package[: len(package) - node.level + 1]
                base = ".".join([*stem, *([node.module] if node.module else [])])
            yield base, node.lineno
            if base == "reactdiff_ros" or node.level:
                for alias in node.names:
                    yield f"{base}.{alias.name}", node.lineno


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


def test_every_file_has_a_place() -> None:
    known = {*ROOMS, *COMPOSERS, *SOURCES, *SHARED, "__init__"}
    assert {place(p) for p in files(PACKAGE)} <= known


def test_a_room_imports_itself_and_the_shared_values_only() -> None:
    wrong = [
        f"{where(path, line)}: {module}"
        for room in ROOMS
        for path in files(PACKAGE / room)
        for module, line in imports(path)
        if own(module) is not None and own(module) not in {room, *SHARED, *ROOM_MAY_IMPORT.get(room, ()), "__version__"}
    ]
    assert wrong == []


def test_sources_of_training_data_know_only_what_describes_inputs() -> None:
    wrong = []
    for source in SOURCES:
        allowed = {source, *SHARED, *SOURCES_MAY_IMPORT[source], "__version__"}
        for path in files(PACKAGE / source):
            for module, line in imports(path):
                name = own(module)
                of_model = name == "model" and module.split(".")[2:3] and module.split(".")[2] in MODEL_INPUTS
                if name is not None and name not in allowed and not of_model:
                    wrong.append(f"{where(path, line)}: {module}")
    assert wrong == []


def test_shared_values_import_no_room_and_no_composer() -> None:
    wrong = [
        f"{where(PACKAGE / f'{name}.py', line)}: {module}"
        for name in SHARED
        if (PACKAGE / f"{name}.py").exists()
        for module, line in imports(PACKAGE / f"{name}.py")
        if own(module) in {*ROOMS, *COMPOSERS, *SOURCES}
    ]
    assert wrong == []


def test_rooms_and_composers_do_not_import_the_command_line() -> None:
    wrong = [
        f"{where(path, line)}: {module}"
        for path in files(PACKAGE)
        if place(path) != "cli"
        for module, line in imports(path)
        if own(module) == "cli"
    ]
    assert wrong == []


@pytest.mark.parametrize("composer", sorted(COMPOSER_MAY_IMPORT))
def test_composers_stand_on_each_other_in_one_order(composer: str) -> None:
    wrong = []
    for path in (p for p in files(PACKAGE) if place(p) == composer):
        for module, line in imports(path):
            name, part = own(module), module.split(".")[2:3]
            allowed = {composer, *COMPOSER_MAY_IMPORT[composer]}
            of_evaluation = composer == "nodes" and name == "evaluation"
            if name in COMPOSERS and (
                name not in allowed or (of_evaluation and not NODES_MAY_IMPORT_OF_EVALUATION & {*part})
            ):
                wrong.append(f"{where(path, line)}: {module}")
    assert wrong == []


def test_every_room_says_at_its_door_what_enters_leaves_and_may_be_imported() -> None:
    """The simulator's text is part of the hash that weights carry: it changes with the simulator."""
    silent = []
    for room in sorted({*ROOMS, *SOURCES, *COMPOSERS} - {"session", "simulator"}):
        text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))) or ""
        words = [line.split(":")[0] for line in text.splitlines()]
        imported = next((line for line in text.splitlines() if line.startswith("Imports:")), "")
        named = ROOM_MAY_IMPORT.get(room, SOURCES_MAY_IMPORT.get(room, set()))
        if not {"Enters", "Leaves", "Imports"} <= {*words} or any(n not in imported for n in named):
            silent.append(room)
    assert silent == []


def test_heavy_imports_stay_at_home() -> None:
    wrong = [
        f"{where(path, line)}: {module}"
        for path in files(PACKAGE)
        for module, line in imports(path)
        if place(path) not in HOMES.get(module.split(".")[0], {place(path)})
    ]
    assert wrong == []


def test_ros_messages_are_imported_by_nodes_only() -> None:
    wrong = [
        f"{where(path, line)}: {module}"
        for path in files(PACKAGE)
        if place(path) != "nodes"
        for module, line in imports(path)
        if own(module) in {"msg", "srv"} or module.split(".")[0].endswith("_msgs")
    ]
    assert wrong == []


def test_launch_files_import_the_standard_library_and_launch_only() -> None:
    allowed = sys.stdlib_module_names | {"launch", "launch_ros"}
    wrong = [
        f"{where(path, line)}: {module}"
        for path in files(ROOT / "launch")
        for module, line in imports(path)
        if module.split(".")[0] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("room", PURE)
def test_time_and_randomness_are_arguments(room: str) -> None:
    wrong = [
        f"{where(path, line)}: {module}"
        for path in files(PACKAGE / room)
        for module, line in imports(path)
        if module.split(".")[0] in IMPURE_MODULES
    ]
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
                wrong.append(f"{where(path, node.lineno)}: np.random.{node.attr}")
    assert wrong == []


def test_the_reader_of_imports_sees_what_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    room = tmp_path / "reactdiff_ros" / "perception"
    room.mkdir(parents=True)
    source = room / "x.py"
    source.write_text(
        "from ..model import listener\nfrom .. import avatar\nfrom . import own\n"
        "def lazy():\n    import torch.nn\n    from reactdiff_ros.cli.main import main\n"
    )
    found = {module for module, _ in imports(source)}
    assert {"reactdiff_ros.model", "reactdiff_ros.avatar", "torch.nn", "reactdiff_ros.cli.main"} <= found
    assert {own(m) for m in found} >= {"model", "avatar", "perception", "cli"}


def test_files_stay_readable() -> None:
    long = {str(p.relative_to(ROOT)): n for p in files(PACKAGE) if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports them by their bare names."""
    names = [path.name for path in sorted((ROOT / "test").rglob("*.py")) if path.name != "conftest.py"]
    assert sorted({name for name in names if names.count(name) > 1}) == []
