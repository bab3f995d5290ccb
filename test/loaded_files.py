"""Python files that belong to no package, such as scripts and examples, as modules."""

import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def loaded(name: str) -> Any:
    """The module in a file of this repository ("scripts/x.py")."""
    path = ROOT / name
    spec = importlib.util.spec_from_file_location(path.name.removesuffix(".py").replace(".", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
