"""`launch` and `launch_ros` for tests of launch files: what is made keeps what it was made with."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

MODULES = (
    "launch", "launch.actions", "launch.event_handlers", "launch.substitutions", "launch_ros", "launch_ros.actions",
    "launch_ros.parameter_descriptions",
)  # fmt: skip


class StandIn(ModuleType):
    """A module whose every name is a class that keeps what it was made with, `given` the positional ones."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        class Kept(SimpleNamespace):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(kind=name, given=args, **kwargs)

            def perform(self, context: Context) -> Any:
                return context[self.given[0]]

        return Kept


class Context(dict[str, Any]):
    """Launch configurations, as a launch file sees them."""

    @property
    def launch_configurations(self) -> Context:
        return self


def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A launch file as a module."""
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, StandIn(name))
    spec = importlib.util.spec_from_file_location(path.name.replace(".", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
