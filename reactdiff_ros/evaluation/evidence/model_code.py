"""Which code of the model made a part's figures: a hash that goes among the part's settings.

Only the model's side is in it, from the conditions to the drawn face. A study's own code is not: it changes with every
figure that is added, and hours of measuring would be repeated for a word; whoever changes what a figure means raises
`collection.FORMAT`.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import reactdiff_ros.model

ROOM: Final = Path(reactdiff_ros.model.__file__).parent
ENTRIES: Final = ("streams", "conditioning", "style")
"""What evaluation calls of the model's room; it is hashed with all that it imports of that room."""


@cache
def model_code(room: Path = ROOM) -> str:
    """The first 12 hex digits of the SHA-256 over the syntax trees, docstrings and comments left out.

    The same in every version of Python, and as it was when the process first asked.
    """
    digest = hashlib.sha256()
    for name, tree in sorted(_trees(room).items()):
        digest.update(f"{name}: {_outline(tree)}\n".encode())
    return digest.hexdigest()[:12]


def _trees(room: Path) -> dict[str, ast.Module]:
    """ENTRIES and what they import of the room, directly or not; no backends, which give the same numbers."""
    found: dict[str, ast.Module] = {}
    wanted = list(ENTRIES)
    while wanted:
        name = wanted.pop()
        path = room / f"{name}.py"
        if name not in found and path.is_file():
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
            wanted += _imported(found[name])
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    """Modules of the room that a module of it imports from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            whole = node.module or ""
            inner = whole if node.level == 1 else whole.removeprefix("reactdiff_ros.model").lstrip(".")
            if node.level == 1 or whole.startswith("reactdiff_ros.model"):
                yield from [inner.split(".")[0]] if inner else [alias.name for alias in node.names]


def _outline(node: object) -> str:
    """A syntax tree as text without docstrings and empty fields, of which every version of Python has others."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return ""
    if isinstance(node, ast.AST):
        named = ((name, getattr(node, name, None)) for name in node._fields)
        inner = ", ".join(f"{name}={_outline(value)}" for name, value in named if value is not None and value != [])
        return f"{type(node).__name__}({inner})"
    return f"[{', '.join(map(_outline, node))}]" if isinstance(node, list) else repr(node)
