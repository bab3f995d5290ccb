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


def groups_of(name: str) -> list[str]:
    """Groups that take a status, as diagnostic_aggregator's GenericAnalyzer decides it (it is not on PyPI)."""
    found = []
    for group, rules in GROUPS.items():
        if not isinstance(rules, dict):
            continue
        assert set(rules) <= {"type", "path", "contains", "startswith", "expected", "timeout"}
        if (
            name in rules.get("expected", ())
            or any(name.startswith(start) for start in rules.get("startswith", ()))
            or any(part in name for part in rules.get("contains", ()))
        ):
            found.append(group)
    return found


@pytest.mark.parametrize("namespace", ["", "robot1/", "lab/robot2/"])
@pytest.mark.parametrize("node", [node.name for node in load_table().nodes])
def test_every_status_is_in_one_group(node: str, namespace: str) -> None:
    assert len(groups_of(namespace + node)) == 1


def topic_paths(value: Any) -> Iterator[str]:
    """Every text of the layout that begins as a topic does."""
    if isinstance(value, dict):
        for child in value.values():
            yield from topic_paths(child)
    elif isinstance(value, list):
        for child in value:
            yield from topic_paths(child)
    elif isinstance(value, str) and value.startswith("/"):
        yield value


PATHS = sorted(set(topic_paths(LAYOUT["configById"])))


def known_topics() -> dict[str, str]:
    """Topic -> type, of what the nodes publish, and of the marks that people publish."""
    topics = [t for node in load_table().nodes for t in (*node.publishers, *node.subscribers)]
    return {f"/{t.name.lstrip('/')}": t.type for t in topics}


@pytest.mark.parametrize("path", PATHS)
def test_every_path_of_the_layout_exists(path: str) -> None:
    match = _PATH.fullmatch(path)
    assert match, path
    kind = known_topics()[match["topic"]]
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
