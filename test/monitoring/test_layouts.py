"""Diagnostics groups and the Foxglove layout name what the nodes really publish."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reactdiff_ros.launching.table import load_table
from reactdiff_ros.recordings.bags import interfaces

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = json.loads((ROOT / "config" / "foxglove" / "reactdiff.json").read_text())
GROUPS = yaml.safe_load((ROOT / "config" / "diagnostics" / "aggregator.yaml").read_text())["/**"]["ros__parameters"]
_PATH = re.compile(r'(?P<topic>/[\w/]+)(?:\{(?P<key>\w+)=="(?P<value>\w+)"\})?(?P<rest>(?:\.\w+(?:\[\d+\])?)*)')


@pytest.mark.parametrize("node", [node.name for node in load_table().nodes])
def test_every_status_is_in_one_group(node: str) -> None:
    """A node's status has its whole name, so that `contains` finds it in any namespace."""
    groups = [rules for rules in GROUPS.values() if isinstance(rules, dict)]
    assert all(set(rules) <= {"type", "path", "contains", "timeout"} for rules in groups)
    assert sum(any(part in f"lab/robot2/{node}" for part in rules["contains"]) for rules in groups) == 1


def texts(value: Any) -> Iterator[str]:
    """Every text of a layout."""
    if isinstance(value, (dict, list)):
        for child in value.values() if isinstance(value, dict) else value:
            yield from texts(child)
    elif isinstance(value, str):
        yield value


PATHS = sorted({text for text in texts(LAYOUT["configById"]) if text.startswith("/")})


# Of what the nodes publish, and of the marks that people publish.
TYPES = {f"/{t.name.lstrip('/')}": t.type for n in load_table().nodes for t in (*n.publishers, *n.subscribers)}


@pytest.mark.parametrize("path", PATHS)
def test_every_path_of_the_layout_exists(path: str) -> None:
    match = _PATH.fullmatch(path)
    assert match, path
    kind = TYPES[match["topic"]]
    message = interfaces.empty(kind)
    if match["key"]:
        assert hasattr(message, match["key"])
        assert match["key"] != "stage" or match["value"] in {node.name for node in load_table().nodes}
    for step in match["rest"].split(".")[1:]:
        field, _, index = step.rstrip("]").partition("[")
        assert hasattr(message, field), f"{kind} has no {field}"
        message = getattr(message, field)
        if index:
            message = message[int(index)]
