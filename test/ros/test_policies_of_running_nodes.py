"""What running nodes publish, hear, serve and call is allowed by their policies: else SROS 2 would stop them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from ros_harness import RosGraph

from reactdiff_ros.launching.access_policies import policy
from reactdiff_ros.launching.table import load_table

pytestmark = pytest.mark.ros
NODES = ("expression_node", "reaction_node", "avatar_node", "perception_node")


def allowed(node: str, kind: str, right: str) -> set[str]:
    root = ET.fromstring(policy(load_table()))
    profile = next(p for p in root.iter("profile") if p.attrib["node"] == node)
    lists = [element for element in profile if element.tag == kind and right in element.attrib]
    return {str(name.text) for element in lists for name in element}


def test_running_nodes_use_no_more_than_they_may(tmp_path):
    with RosGraph(tmp_path) as graph:
        for name in NODES:
            graph.start(name, **({"policy": "rules"} if name == "reaction_node" else {}))
        graph.wait_active(*NODES)
        graph.spin(1.0)
        for name in NODES:
            own = graph.node
            used = {
                ("topics", "publish"): own.get_publisher_names_and_types_by_node(name, "/"),
                ("topics", "subscribe"): own.get_subscriber_names_and_types_by_node(name, "/"),
                ("services", "reply"): own.get_service_names_and_types_by_node(name, "/"),
                ("services", "request"): own.get_client_names_and_types_by_node(name, "/"),
            }
            assert used["topics", "publish"]
            for (kind, right), names in used.items():
                assert {n for n, _ in names} <= allowed(name, kind, right), (name, kind, right)
