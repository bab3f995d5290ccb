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
