"""Diagnostics groups and the Foxglove layout name what the nodes really publish."""

import re
from pathlib import Path

import yaml

from reactdiff_ros.launching.table import load_table
from reactdiff_ros.recordings.bags import interfaces

CONFIG = Path(__file__).resolve().parents[2] / "config"
NODES = load_table().nodes
GROUPS = yaml.safe_load((CONFIG / "diagnostics" / "aggregator.yaml").read_text())["/**"]["ros__parameters"]
LAYOUT = (CONFIG / "foxglove" / "reactdiff.json").read_text()
PATH = re.compile(r'"(/[\w/]+)(?:\{[^}]*\})?((?:\.\w+(?:\[\d+\])?)*)"')
# Of what the nodes publish, and of the marks that people publish.
TYPES = {f"/{t.name.lstrip('/')}": t.type for n in NODES for t in (*n.publishers, *n.subscribers)}


def test_every_status_is_in_one_group():
    """A node's status has its whole name, so that `contains` finds it in any namespace."""
    groups = [rules for rules in GROUPS.values() if isinstance(rules, dict)]
    assert all(set(rules) <= {"type", "path", "contains", "timeout"} for rules in groups)
    for node in NODES:
        assert sum(any(part in f"lab/robot2/{node.name}" for part in rules["contains"]) for rules in groups) == 1


def test_every_path_of_the_layout_exists():
    paths = PATH.findall(LAYOUT)
    assert len(paths) == LAYOUT.count('"/')
    assert set(re.findall(r'stage==\\"(\w+)', LAYOUT)) <= {node.name for node in NODES}
    for topic, fields in paths:
        message = interfaces.empty(TYPES[topic])
        for step in fields.split(".")[1:]:
            field, _, index = step.rstrip("]").partition("[")
            message = getattr(message, field)
            message = message[int(index)] if index else message
