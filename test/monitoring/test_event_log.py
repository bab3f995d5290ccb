"""A node's log: events, JSON lines, and repeated lines that are held back and counted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.nodes.health import (
    BURST,
    MOST_EVENTS,
    PERIOD_NS,
    EventLog,
    Repeats,
    console_arguments,
    wants_json,
)


class Logger:
    """In place of rclpy's."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.info = lambda text: self.lines.append(("info", text))
        self.warning = lambda text: self.lines.append(("warning", text))
        self.error = lambda text: self.lines.append(("error", text))


def test_repeats_are_held_back_and_counted() -> None:
    repeats = Repeats()
    said = [repeats.held_back("a", i) for i in range(BURST + 7)]
    assert said == [0] * BURST + [None] * 7
    assert repeats.held_back("b", 0) == 0
    assert repeats.held_back("a", PERIOD_NS) == 7
    assert repeats.held_back("a", PERIOD_NS + 1) == 0


def test_events_without_end_take_no_memory_without_end() -> None:
    repeats = Repeats()
    for i in range(5 * MOST_EVENTS):
        repeats.held_back(f"e{i}", 0)
    assert len(repeats._windows) <= MOST_EVENTS


def test_text_lines_go_to_the_logger_alone() -> None:
    logger, written = Logger(), list[str]()
    log = EventLog(logger, "/robot1/camera_node", as_json=False, write=written.append)
    for _ in range(BURST + 3):
        log.error("the camera is gone", "camera")
    for _ in range(BURST + 3):
        log.info("a note")
    assert logger.lines == [("error", "the camera is gone")] * BURST + [("info", "a note")] * (BURST + 3)
    assert not written


def test_json_lines_are_objects_with_the_same_keys() -> None:
    logger, written = Logger(), list[str]()
    log = EventLog(logger, "/camera_node", as_json=True, write=written.append)
    log.warning('two\nlines "quoted" é', "drop audio")
    assert "\n" not in written[0]
    line = json.loads(written[0])
    assert list(line) == ["time", "level", "node", "event", "sentence"]
    assert (line["level"], line["node"], line["event"]) == ("warning", "/camera_node", "drop audio")
    assert line["sentence"] == 'two\nlines "quoted" é'
    assert logger.lines == [("warning", line["sentence"])]


def test_escape_sequences_in_the_text_of_others_are_shown_and_do_nothing() -> None:
    logger, written = Logger(), list[str]()
    EventLog(logger, "/a", as_json=True, write=written.append).error("the robot \x1b]0;pwned\x07 \x9b2J stopped", "a")
    assert logger.lines == [("error", r"the robot \u001b]0;pwned\u0007 \u009b2J stopped")]
    assert str(ReactdiffError("\x1b[2J", where="a\x07", todo="b\x9b")) == r"\u001b[2J (a\u0007): b\u009b"


def test_the_environment_asks() -> None:
    assert wants_json({"REACTDIFF_LOG": " JSON"})
    assert not wants_json({})
    assert console_arguments(["node"], {}) == ["node"]
    assert console_arguments(["node"], {"REACTDIFF_LOG": "json"}) == ["node", "--ros-args", "--disable-stdout-logs"]


@pytest.mark.ros
def test_a_running_node_writes_json_lines_alone(tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ros"))
    from ros_harness import RosGraph

    graph = RosGraph(tmp_path)
    try:
        graph.environment["REACTDIFF_LOG"] = "json"
        node = graph.start("camera_node", device=str(tmp_path / "none"))
        graph.until(lambda: '"level": "error"' in node.log, 40.0, "the error")
        graph.wait_active("camera_node")
        lines = [json.loads(line) for line in node.log.splitlines()]
    finally:
        graph.close()
    error = next(line for line in lines if line["level"] == "error")
    assert error["node"] == "/camera_node"
    assert error["event"] not in ("", "note")
    assert error["sentence"] == graph.sentence("camera_node")
