"""Diagnostics groups and the Foxglove layout name what the nodes really publish."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reactdiff_ros.launching.table import load_table
from reactdiff_ros.recordings.bags import interfaces

CONFIG = Path(__file__).resolve().parents[2] / "config"
NODES = load_table().nodes
GROUPS = yaml.safe_load((CONFIG / "diagnostics" / "aggregator.yaml").read_text())["/**"]["ros__parameters"]
LAYOUT = json.loads((CONFIG / "foxglove" / "reactdiff.json").read_text())
PATH = re.compile(r'(?P<topic>/[\w/]+)(?:\{(?P<key>\w+)=="(?P<value>\w+)"\})?(?P<rest>(?:\.\w+(?:\[\d+\])?)*)')
# Of what the nodes publish, and of the marks that people publish.
TYPES = {f"/{t.name.lstrip('/')}": t.type for n in NODES for t in (*n.publishers, *n.subscribers)}


def test_every_status_is_in_one_group():
    """A node's status has its whole name, so that `contains` finds it in any namespace."""
    groups = [rules for rules in GROUPS.values() if isinstance(rules, dict)]
    assert all(set(rules) <= {"type", "path", "contains", "timeout"} for rules in groups)
    for node in NODES:
        assert sum(any(part in f"lab/robot2/{node.name}" for part in rules["contains"]) for rules in groups) == 1


def texts(value: Any) -> Iterator[str]:
    """Every text of a layout."""
    if isinstance(value, str):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(child)


@pytest.mark.parametrize("path", sorted({text for text in texts(LAYOUT["configById"]) if text.startswith("/")}))
def test_every_path_of_the_layout_exists(path):
    match = PATH.fullmatch(path)
    assert match, path
    message = interfaces.empty(TYPES[match["topic"]])
    if match["key"]:
        assert hasattr(message, match["key"])
        assert match["key"] != "stage" or match["value"] in {node.name for node in NODES}
    for step in match["rest"].split(".")[1:]:
        field, _, index = step.rstrip("]").partition("[")
        message = getattr(message, field)
        message = message[int(index)] if index else message
