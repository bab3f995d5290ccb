from __future__ import annotations

import json
import math
from dataclasses import fields

import pytest

from reactdiff_ros.expression import ExpressionConfig
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.resources import share_path


@pytest.mark.parametrize(("node", "config"), [("expression_node", ExpressionConfig), ("reaction_node", ListenerConfig)])
def test_the_table_of_nodes_has_the_same_defaults_and_ranges(node: str, config: type) -> None:
    table = json.loads(share_path("config/nodes.json").read_text(encoding="utf-8"))
    entry = next(n for n in table["nodes"] if n["name"] == node)
    given = {p["name"]: p for p in entry["parameters"]}
    for field in fields(config):
        parameter = given[field.name]
        if isinstance(field.default, float) and math.isnan(field.default):
            low = field.metadata["low"]
            assert parameter["default"] == parameter["unset"] < low
            assert (parameter["min"], parameter["max"]) == (low, field.metadata["high"]), field.name
            continue
        assert parameter["default"] == field.default, field.name
        if field.metadata["low"] is not None:
            assert (parameter["min"], parameter["max"]) == (field.metadata["low"], field.metadata["high"]), field.name
