"""The harnesses on the real graph: faults are measured, every process is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.resources import demo_clip_path
from tools.soak.graph import SUPERVISOR, run_graph
from tools.soak.journal import LongRun, read_journal

pytestmark = pytest.mark.ros


def faults(*names: str, timeout_s: float = 150.0) -> dict[str, dict]:
    command = [sys.executable, "-m", "reactdiff_ros.cli.main", "bench", "faults", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    done = subprocess.run(
        [*command, *(word for name in names for word in ("--only", name))],
        capture_output=True, text=True, timeout=timeout_s, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr[-3000:]
    assert done.stdout, done.stderr[-3000:]
    return {row["fault"]: row for row in json.loads(done.stdout)["faults"]}


@pytest.mark.real_time
@pytest.mark.slow
def test_a_face_that_dies_comes_back_and_numbers_that_are_none_are_refused():
    rows = faults("expression-killed", "numbers-nan")
    killed, numbers = rows["expression-killed"], rows["numbers-nan"]
    assert killed["normal_after_s"] is not None
    assert killed["page_neutral_s"] is not None or killed["longest_gap_s"] < 0.8  # back before the page had missed it
    assert any("expression_node died (signal SIGKILL)" in said for said in killed["said"])
    assert numbers["finite"]
    assert any("is not finite" in said for said in numbers["said"])
    assert numbers["normal_after_s"] is not None
    assert numbers["longest_gap_s"] < killed["longest_gap_s"], "refused numbers cost no restart"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_fault():
    rows = faults(timeout_s=1100.0)
    assert {name: row["violations"] for name, row in rows.items() if row["normal_after_s"] is None} == {}
    assert all(row["finite"] for row in rows.values())


@pytest.mark.slow
def test_every_process_is_counted_and_a_stopped_soak_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROS_DOMAIN_ID", "ROS_LOG_DIR", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)  # the graph sets its own
    monkeypatch.setattr("tools.soak.graph.WARM_UP_S", 0.5)  # of the figures, which are not looked at
    options = LiveOptions(arguments={"clip": str(demo_clip_path()), "policy": "rules"}, parameters={"loop": True})
    path, logged = tmp_path / "graph.jsonl", list[str]()
    shares: list[float] = []
    stop = [True]

    def go(robot: str) -> bool:
        run = LongRun(
            path, 6.0, 3.0, shares.append, logged.append,
            stopped=lambda: stop[0] and bool(shares) and shares[-1] > 0.6,
        )  # fmt: skip
        return run_graph(options, robot, run)

    assert not go("")
    stop[0] = False
    assert go("generic_12servo")
    first, second = read_journal(path)
    assert (first.seconds, first.ended) == (3.0, "stopped")
    assert (second.seconds, second.ended) == (3.0, "done")
    assert (second.begun["robot"], second.begun["policy"]) == ("generic_12servo", "rules")
    (minute,) = second.minutes
    assert {"clip_node", "perception_node", "actuator_node", SUPERVISOR} <= set(minute["processes"])
    assert all(held["rss_mb"] > 20 and held["threads"] > 1 for held in minute["processes"].values())
    assert minute["counts"]["faces"] > 75
    assert minute["counts"]["robot_follows"] > 0.0
    assert sum(minute["times"]["latency"].values()) > 20
    assert 0.0 < minute["cpu_s"] < 30.0
    assert minute["apart_ms"] is None or abs(minute["apart_ms"]) < 1000.0  # None: perception was starved
