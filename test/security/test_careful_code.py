"""What the code must never do with what comes from outside: read from the syntax tree of every file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    """Every call with the dotted name of what is called."""
    return ((path, node, ast.unparse(node.func)) for path, node in nodes() if isinstance(node, ast.Call))


def keyword(call: ast.Call, name: str) -> object:
    value = next((k.value for k in call.keywords if k.arg == name), None)
    return value.value if isinstance(value, ast.Constant) else None


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
    importers = {
        path.name
        for path, node in nodes()
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [])
        if name.split(".")[0] in ("pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle")
    }
    # FaceVerse: the lab's own file of names; its unpickler knows NumPy's arrays alone.
    assert importers <= {"public.py"}
    wrong = []
    for path, call, name in calls():
        given = any(k.arg == "allow_pickle" for k in call.keywords)  # without the word NumPy allows none
        if name in ("np.load", "numpy.load") and given and keyword(call, "allow_pickle") is not False:
            wrong.append(where(path, call))
        if name == "torch.load" and keyword(call, "weights_only") is not True:
            wrong.append(where(path, call))
    assert wrong == []


def test_no_text_becomes_code_no_shell_is_asked_and_no_archive_is_unpacked_to_disk() -> None:
    names = ("eval", "exec", "os.system", "os.popen", "tempfile.mktemp", "subprocess.getoutput")
    wrong = [
        f"{where(path, call)}: {name}"
        for path, call, name in calls()
        if name in names or name.endswith((".extractall", ".unpack_archive")) or keyword(call, "shell") is True
    ]
    assert wrong == []


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
