"""As docs/robots.md has it, from one terminal to the next: emulate, calibrate, enable, and the servo moves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faces_shown import show
from profile_parts import head_of
from ros_harness import START_S, RosGraph

pytestmark = pytest.mark.ros

STATE, EXPRESSION, NODE = "actuator/state", "listener/expression", "actuator_node"
JAW = (
    head_of("jaw")
    + """\
drivers:
  board: {type: maestro, timeout_s: 1.5}
joints:
  jaw:
    unit: us
    group: jaw
    neutral: 1500
    limits: {position: [1400, 1900], speed: 8000, acceleration: 200000, jerk: 9000000}
    map: {sum: {jawOpen: 300}}
    on_fault: release
    output: {driver: board, id: 0}
"""
)
ANSWERS = ["", "y", "+15", "", "", "", "y"]
"""Fingers off; it went the right way; its neutral is 15 us further; that is it; to both limits; write."""


class Terminal:
    """One `reactdiff` that somebody types into."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        code = "import sys; from reactdiff_ros.cli.main import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", code, *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def read(self, wanted: str) -> str:
        """The next line that holds these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if wanted in line:
                return line.strip()
        pytest.fail(f"{wanted!r} was never said")


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[RosGraph]:
    graph = RosGraph(tmp_path)
    graph.environment |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    yield graph
    assert set(graph.close()) == {0}


@pytest.fixture
def robot(graph: RosGraph, tmp_path: Path) -> Iterator[Terminal]:
    (tmp_path / "jaw.yaml").write_text(JAW)
    folder = tmp_path / "emulated"
    terminal = Terminal(graph.environment, "robot", "emulate", str(tmp_path / "jaw.yaml"), "--folder", str(folder))
    terminal.read("Ctrl-C ends")
    yield terminal
    terminal.type("q")
    assert terminal.process.wait(30) == 0
    assert list(folder.iterdir()) == []


def test_an_emulated_robot_is_calibrated_enabled_and_moves(graph: RosGraph, robot: Terminal, tmp_path: Path) -> None:
    profile = str(tmp_path / "emulated" / "jaw_emulated.yaml")

    def said():
        return graph.received[STATE][-1]

    def told() -> str:
        robot.type("where")
        return robot.read("jaw ")

    def where() -> float:
        return float(told().split()[1])

    graph.listen(STATE)
    node = graph.start(NODE, robot=profile, answer_ms=40.0, lock_dir=tmp_path)
    graph.wait_active(NODE)
    graph.until(lambda: graph.received[STATE] and said().obstacles, what="an obstacle")
    assert any("not calibrated: jaw" in sentence for sentence in said().obstacles)
    graph.until(lambda: not any("being opened" in sentence for sentence in said().obstacles), what="an open board")
    assert not graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True).success
    node.stop()

    calibration = Terminal(graph.environment, "robot", "calibrate", profile)
    for question, answer in zip(
        ("fingers off", "did it move", "neutral pose?", "neutral pose?", "lower limit", "upper limit", "write "),
        ANSWERS,
        strict=True,
    ):
        calibration.read(question)
        calibration.type(answer)
    calibration.read("1 joints calibrated")
    assert calibration.process.wait(30) == 0
    assert [p.name for p in (tmp_path / "config").rglob("*.json")] == ["jaw_emulated.json"], "not the real robot's"

    graph.received[STATE].clear()
    graph.diagnostics.clear()
    graph.start(NODE, robot=profile, answer_ms=40.0, lock_dir=tmp_path)
    graph.wait_active(NODE)
    graph.connect(EXPRESSION)
    publish = graph.publisher(EXPRESSION).publish
    graph.until(lambda: graph.received[STATE] and not said().obstacles, START_S, "no obstacles")
    assert graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=True).success

    def shown(jaw: float, pulse: float) -> bool:
        show(graph, publish, 0.2, {"jawOpen": jaw})
        return said().state == "following" and abs(where() - pulse) < 2.0

    graph.until(lambda: shown(1.0, 1815.0), START_S, "its mouth is open")  # 1500 + 300 + the 15 of its calibration
    graph.until(lambda: shown(0.0, 1515.0), START_S, "its mouth is closed")
    assert graph.call("std_srvs/SetBool", f"/{NODE}/enable", data=False).success
    graph.until(lambda: said().state == "disarmed", what="disarmed")
    graph.until(lambda: "pulses" not in told(), what="no pulses")
