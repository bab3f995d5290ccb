"""Writes the parameters that config dataclasses have into config/nodes.json: name, type, default, range, unit, text.

    python scripts/make_table.py           writes the file
    python scripts/make_table.py --check   exits with 1 if that would change it

The dataclass of a room is the one place where its parameters are defined. Launch files and CMake read the JSON file,
because they must not import the package.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from reactdiff_ros.avatar.config import AvatarConfig, OutputsConfig
from reactdiff_ros.capture.camera import CameraConfig
from reactdiff_ros.expression import ExpressionConfig
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.perception import PerceptionConfig
from reactdiff_ros.turns.config import TurnsConfig

TABLE = Path(__file__).resolve().parents[1] / "config" / "nodes.json"
CONFIGS = {
    "camera_node": CameraConfig,
    "perception_node": PerceptionConfig,
    "reaction_node": ListenerConfig,
    "turn_node": TurnsConfig,
    "expression_node": ExpressionConfig,
    "avatar_node": AvatarConfig,
    "output_node": OutputsConfig,
}
TYPES = {bool: "bool", int: "int", float: "double", str: "string"}


def parameter(item: Field[Any], old: dict[str, Any]) -> dict[str, Any]:
    """The entry of one field; a tuple of texts is one text there, with commas."""
    low, high, default, text = item.metadata["low"], item.metadata["high"], item.default, item.metadata["about"]
    if isinstance(default, tuple):
        default, text = ", ".join(default), f"{text} Separated by commas."
    entry: dict[str, Any] = {"name": item.name, "type": TYPES[type(default)], "default": default}
    if item.metadata["choices"]:
        entry["choices"] = list(item.metadata["choices"])
    if low is not None:
        entry |= {"min": low, "max": high}
    if isinstance(default, float) and math.isnan(default):
        # ROS has no optional parameters: a number outside the range means "unset".
        entry["default"] = entry["unset"] = unset = -1.0 if low >= 0.0 else low - 8.0
        text = text.replace("Unset:", f"{unset:g}:")
    unit = "" if item.metadata["unit"] == "1" else item.metadata["unit"]
    return {**entry, "unit": unit, "read_only": old.get("read_only", True), "description": text}


def with_parameters(table: dict[str, Any]) -> dict[str, Any]:
    """The table with the entries of all fields; entries of new fields come last."""
    for node in table["nodes"]:
        if node["name"] in CONFIGS:
            items = {item.name: item for item in fields(CONFIGS[node["name"]]) if item.metadata}
            old = {entry["name"]: entry for entry in node["parameters"]}
            names = [*old, *(name for name in items if name not in old)]
            node["parameters"] = [parameter(items[n], old.get(n, {})) if n in items else old[n] for n in names]
    return table


def formatted(value: Any, indent: int = 0) -> str:
    """JSON with an object that holds no other object in one line."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(v, dict) or (isinstance(v, list) and any(isinstance(i, dict) for i in v)) for v in inner):
        return json.dumps(value, ensure_ascii=False)
    pad = " " * (indent + 2)
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + formatted(v, indent + 2) for v in value) + "\n" + " " * indent + "]"
    lines = (f"{pad}{json.dumps(k)}: {formatted(v, indent + 2)}" for k, v in value.items())
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


def made(text: str) -> str:
    """The text of the table as it should be."""
    return formatted(with_parameters(json.loads(text))) + "\n"


if __name__ == "__main__":
    before = TABLE.read_text(encoding="utf-8")
    after = made(before)
    if "--check" in sys.argv[1:]:
        sys.exit(after != before and f"{TABLE} is not up to date: run 'python scripts/make_table.py'")
    TABLE.write_text(after, encoding="utf-8")
