"""What is chosen on the face's page goes out as messages."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from ros_harness import RosGraph

pytestmark = pytest.mark.ros


def test_a_style_and_a_gesture_of_the_page_are_published(tmp_path: Path) -> None:
    with RosGraph(tmp_path) as graph:
        graph.listen("listener/control", "listener/gesture")
        avatar = graph.start("avatar_node", port=18795)
        graph.wait_active("avatar_node")
        url = graph.page(avatar)
        for topic, path in (("listener/control", "style/warm"), ("listener/gesture", "gesture/nod")):
            graph.until(lambda name=topic: graph.node.count_publishers(f"/{name}") > 0, what="the publisher")
            graph.spin(0.5)
            request = urllib.request.Request(f"{url}api/choose/{path}", b"{}", {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=5.0) as answer:
                assert json.load(answer)["done"]
            graph.until(lambda name=topic: graph.received[name], what=f"the message on {topic}")
        assert graph.received["listener/control"][0].style == "warm"
        assert graph.received["listener/gesture"][0].name == "nod"
        assert graph.received["listener/gesture"][0].strength == 1.0
