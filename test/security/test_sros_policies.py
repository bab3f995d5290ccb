"""SROS 2 policies: the shipped file is that of the table, and each right belongs to somebody who needs it."""

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

from reactdiff_ros.launching.access_policies import OPERATOR_PUBLISHES, policy
from reactdiff_ros.launching.table import load_table

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config" / "sros2" / "reactdiff.policy.xml"
TABLE = load_table()


def rights(text: str) -> dict[str, dict[str, set[str]]]:
    """By node: publish, subscribe, reply, request, execute, call."""
    found: dict[str, dict[str, set[str]]] = {}
    for profile in ET.fromstring(text).iter("profile"):
        mine = found.setdefault(profile.attrib["node"], defaultdict(set))
        for element in profile:
            for right, value in element.attrib.items():
                assert value == "ALLOW"
                mine[right] |= {str(name.text) for name in element}
    return found


def test_the_shipped_file_is_that_of_the_table() -> None:
    todo = "run 'reactdiff dev docs policies --output config/sros2/reactdiff.policy.xml'"
    assert FILE.read_text() == policy(TABLE), todo


def test_every_node_may_do_what_the_table_says_and_nobody_else_publishes_the_face() -> None:
    found = rights(policy(TABLE))
    for node in TABLE.nodes:
        for topics, right in ((node.publishers, "publish"), (node.subscribers, "subscribe")):
            names = [topic.name.replace("~", node.name) for topic in topics if "<" not in topic.name]
            assert {f"/{name.lstrip('/')}" for name in names} <= found[node.name][right]

    def may(right: str, name: str) -> set[str]:
        return {node for node, mine in found.items() if name in mine[right]}

    assert may("publish", "/listener/expression") == {"expression_node"}
    assert may("publish", "/listener/control") == {"operator", "avatar_node"}
    assert may("request", "/actuator_node/enable") == {"operator", "avatar_node"}
    assert may("call", "/say") == {"operator"}
    assert may("execute", "/say") == {"speech_node"}
    assert {node for node, mine in found.items() if mine["request"]} == {"operator", "avatar_node"}
    assert {f"/{topic}" for topic in OPERATOR_PUBLISHES} <= found["operator"]["publish"]
    names = {name for mine in found.values() for each in mine.values() for name in each}
    assert not [name for name in names if "*" in name and "humans" not in name]


def test_a_namespace_is_in_every_name() -> None:
    found = rights(policy(TABLE, "/robot1"))
    names = {name for mine in found.values() for each in mine.values() for name in each}
    strange = {name for name in names if not name.startswith(("/robot1/", "/humans/"))}
    assert strange == {"/rosout", "/clock", "/parameter_events", "/diagnostics"}
