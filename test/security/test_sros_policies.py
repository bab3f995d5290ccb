"""SROS 2 policies: the shipped file is that of the table, each right belongs to somebody who needs it, and the running
nodes use no more than they may."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from reactdiff_ros.launching.access_policies import OPERATOR_PUBLISHES, enclave, policy
from reactdiff_ros.launching.live_graph import LiveOptions, node_command
from reactdiff_ros.launching.table import load_table

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config" / "sros2" / "reactdiff.policy.xml"
TABLE = load_table()
KINDS = {
    "publish": "topics", "subscribe": "topics", "reply": "services", "request": "services", "execute": "actions",
    "call": "actions",
}  # fmt: skip


def rights(text: str) -> dict[str, dict[str, set[str]]]:
    """By node: publish, subscribe, reply, request, execute, call."""
    found: dict[str, dict[str, set[str]]] = {}
    for profile in ET.fromstring(text).iter("profile"):
        mine = found.setdefault(profile.attrib["node"], {right: set() for right in KINDS})
        for element in profile:
            for right, value in element.attrib.items():
                assert value == "ALLOW"
                assert element.tag == KINDS[right]
                mine[right] |= {str(name.text) for name in element}
    return found


def test_the_shipped_file_is_that_of_the_table() -> None:
    assert FILE.read_text() == policy(TABLE), (
        "run 'reactdiff dev docs policies --output config/sros2/reactdiff.policy.xml'"
    )


def test_every_node_may_do_what_the_table_says_and_nobody_else_publishes_the_face() -> None:
    found = rights(policy(TABLE))
    for node in TABLE.nodes:
        mine = found[node.name]
        for topics, right in ((node.publishers, "publish"), (node.subscribers, "subscribe")):
            for topic in topics:
                if "<" not in topic.name:
                    name = topic.name if topic.name.startswith("/") else f"/{topic.name.replace('~', node.name)}"
                    assert name in mine[right]
    owners = {name for name, mine in found.items() if "/listener/expression" in mine["publish"]}
    assert owners == {"expression_node"}
    assert {n for n, mine in found.items() if "/actuator_node/enable" in mine["request"]} == {"operator", "avatar_node"}
    assert {n for n, mine in found.items() if "/say" in mine["call"]} == {"operator"}
    assert {n for n, mine in found.items() if "/say" in mine["execute"]} == {"speech_node"}
    assert {n for n, mine in found.items() if mine["request"]} == {"operator", "avatar_node"}
    assert {n for n, mine in found.items() if "/listener/control" in mine["publish"]} == {"operator", "avatar_node"}
    assert all(f"/{topic}" in found["operator"]["publish"] for topic in OPERATOR_PUBLISHES)
    assert not any(
        "*" in name for mine in found.values() for names in mine.values() for name in names if "humans" not in name
    )


def test_a_namespace_is_in_every_name() -> None:
    found = rights(policy(TABLE, "/robot1"))
    mine = found["expression_node"]
    assert "/robot1/listener/expression" in mine["publish"]
    assert "/robot1/expression_node/change_state" in mine["reply"]
    absolute = {"/rosout", "/clock", "/parameter_events", "/diagnostics"}
    strange = {n for m in found.values() for names in m.values() for n in names if not n.startswith("/robot1/")}
    assert {n for n in strange if not n.startswith("/humans/")} == absolute


def test_processes_are_started_in_their_enclaves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "lib" / "reactdiff_ros" / "expression_node"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    command = node_command(TABLE.node("expression_node"), LiveOptions(namespace="/robot1"), tmp_path).command
    at = command.index("--enclave")
    assert command[at + 1] == enclave("expression_node", "/robot1") == "/reactdiff/robot1/expression_node"
    assert enclave("expression_node") in {place.attrib["path"] for place in ET.parse(FILE).getroot().iter("enclave")}
