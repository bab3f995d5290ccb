"""The examples do what they say."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from loaded_files import loaded
from ros_harness import START_S, RosGraph

EXAMPLES = Path(__file__).parents[2] / "examples"


class Publisher:
    def __init__(self) -> None:
        self.said: list[bool] = []
        self.enough = threading.Event()

    def publish(self, message) -> None:
        self.said.append(bool(message.data))
        if len(self.said) >= 4:
            self.enough.set()


def test_own_speech_is_told_before_during_and_after():
    example = loaded("examples/robot_speaking.py")
    publisher, begun = Publisher(), []

    def say(text: str) -> None:
        begun.append((text, list(publisher.said)))
        publisher.enough.wait(60.0)

    example.speak(publisher, say, "hello")
    assert begun[0][0] == "hello"
    assert begun[0][1][:1] == [True], "told before the first word"
    assert publisher.said[:-1] == [True] * (len(publisher.said) - 1)
    assert len(publisher.said) >= 5, "repeated while it speaks"
    assert publisher.said[-1] is False


@pytest.mark.ros
def test_a_gesture_is_sent_once_a_listener_is_there(tmp_path: Path):
    with RosGraph(tmp_path) as graph:
        graph.listen("listener/gesture")
        with subprocess.Popen([sys.executable, str(EXAMPLES / "gesture.py"), "nod"], env=graph.environment) as sent:
            graph.until(lambda: graph.received["listener/gesture"] or sent.poll(), START_S, "a gesture")
            assert sent.wait(30) == 0
    assert [(g.name, g.strength) for g in graph.received["listener/gesture"]] == [("nod", 1.0)]
