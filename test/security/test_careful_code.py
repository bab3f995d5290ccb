"""What code must never do with what comes from outside, read from every file's syntax tree; weights hold no code."""

import ast
import json
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.model.backends.tensorrt_backend import EngineCache
from reactdiff_ros.model.backends.weights import CARD, NODS, sha256

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path for folder in ("reactdiff_ros", "launch", "scripts", "examples") for path in (ROOT / folder).rglob("*.py")
)
SAFE_YAML = {
    "safe_dump", "SafeLoader", "YAMLError", "MarkedYAMLError", "Node", "MappingNode", "SequenceNode", "ScalarNode",
}  # fmt: skip
YAML_READER = "plain_yaml.py"
"""Whatever reads YAML goes through its loader: every failure is one error, with a limit on the size."""


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """Everything in every file."""
    return [(path, node) for path in FILES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def calls() -> Iterator[tuple[str, str, dict[str | None, object]]]:
    """Every call: its place, the dotted name of what is called, and its arguments that are constants with a name."""
    for path, node in nodes():
        if isinstance(node, ast.Call):
            given = {k.arg: k.value.value if isinstance(k.value, ast.Constant) else None for k in node.keywords}
            yield where(path, node), ast.unparse(node.func), given


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def test_yaml_is_loaded_safely_and_by_one_loader() -> None:
    wrong = []
    for path, node in nodes():
        of_yaml = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "yaml"
        if of_yaml and (node.attr not in SAFE_YAML or (node.attr == "SafeLoader" and path.name != YAML_READER)):
            wrong.append(f"{where(path, node)}: yaml.{node.attr}")
        if isinstance(node, ast.ImportFrom) and node.module == "yaml":
            wrong.append(where(path, node))
    assert wrong == []


def test_nothing_is_unpickled_but_arrays_by_a_reader_of_arrays_alone() -> None:
    unpicklers = {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
    importers = {
        path.name
        for path, node in nodes()
        if isinstance(node, ast.Import) and unpicklers & {name.name.split(".")[0] for name in node.names}
    }
    # FaceVerse: the lab's own file of names; its unpickler knows NumPy's arrays alone.
    assert importers <= {"public.py"}
    wrong = []
    for place, name, given in calls():
        if name in ("np.load", "numpy.load") and given.get("allow_pickle", False) is not False:
            wrong.append(place)  # without the word NumPy allows none
        if name == "torch.load" and given.get("weights_only") is not True:
            wrong.append(place)
    assert wrong == []


def test_no_text_becomes_code_no_shell_is_asked_and_no_archive_is_unpacked_to_disk() -> None:
    names = ("eval", "exec", "os.system", "os.popen", "tempfile.mktemp", "subprocess.getoutput")
    ends = (".extractall", ".unpack_archive")
    assert [c for c in calls() if c[1] in names or c[1].endswith(ends) or c[2].get("shell") is True] == []


def test_no_default_listens_beyond_this_machine() -> None:
    """A wildcard address may be recognised, never be a default."""
    values: list[tuple[Path, ast.AST | None]] = []
    for path, node in nodes():
        if isinstance(node, (ast.AnnAssign, ast.Assign)):
            values.append((path, node.value))
        elif isinstance(node, ast.arguments):
            values += [(path, value) for value in (*node.defaults, *node.kw_defaults)]
    wrong = [(path, v) for path, v in values if isinstance(v, ast.Constant) and v.value in ("0.0.0.0", "::")]
    assert [where(*found) for found in wrong] == []


# Weights are data that holds no code; engines, which are code, are kept private.

LIVE = ROOT / "resource" / "models" / "live"
DATA = {".onnx", ".safetensors", ".json", ".md", ".npz"}


def test_every_shipped_file_is_data_and_in_the_manifest() -> None:
    files = {path.name: path.suffix for path in LIVE.iterdir()}
    assert set(files.values()) <= DATA
    named = json.loads((LIVE / "manifest.json").read_text())["files"]
    assert {name for name, suffix in files.items() if suffix in (".onnx", ".safetensors")} <= set(named)
    assert all(sha256(LIVE / name) == wanted for name, wanted in named.items())
    assert [name for name, suffix in files.items() if suffix == ".npz"] == [NODS]
    assert json.loads((LIVE / CARD).read_text())["sha256"] == sha256(LIVE / NODS)
    with np.load(LIVE / NODS, allow_pickle=False) as arrays:  # refuses what would run code
        assert all(arrays[name].dtype == np.float16 for name in arrays.files)


@pytest.mark.parametrize("mode", [None, 0o777, 0o770, 0o722, 0o702])
def test_engines_are_kept_where_nobody_else_can_write(tmp_path: Path, mode: int | None) -> None:
    """They are code for a GPU: their folder is made for the user alone, and one of others is not used."""
    folder = tmp_path / "cache" / "engines"
    if mode is not None:
        folder.mkdir(parents=True)
        folder.chmod(mode)
    cache = EngineCache(folder)
    assert (cache.folder == folder) is (cache.problem == "") is (mode is None)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
