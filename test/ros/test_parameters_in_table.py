"""Parameters are defined once: config/nodes.json has what the config dataclasses say (scripts/make_table.py)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def make_table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_table", ROOT / "scripts" / "make_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_the_dataclasses_give(make_table: ModuleType) -> None:
    text = make_table.TABLE.read_text(encoding="utf-8")
    assert make_table.made(text) == text, "run 'python scripts/make_table.py'"


def test_a_changed_default_range_or_text_reaches_the_table(make_table: ModuleType) -> None:
    text = make_table.TABLE.read_text(encoding="utf-8")
    wrong = json.loads(text)
    for node in wrong["nodes"]:
        for entry in node["parameters"]:
            if entry["name"] in ("blink_rate_per_min", "smiling", "max_faces"):
                entry |= {"default": 7, "min": 1, "max": 7, "description": "other"}
    assert make_table.made(json.dumps(wrong)) == text


def test_every_parameter_has_a_sentence(make_table: ModuleType) -> None:
    table = json.loads(make_table.TABLE.read_text(encoding="utf-8"))
    for node in table["nodes"]:
        for entry in node["parameters"]:
            assert entry["description"].endswith("."), entry["name"]
