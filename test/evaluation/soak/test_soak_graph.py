"""The real graph for some seconds: what is written down of every process, and that a stopped run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.evaluation.soak.graph import SUPERVISOR, run_graph
from reactdiff_ros.evaluation.soak.journal import read_journal
from reactdiff_ros.evaluation.soak.long_run import LongRun
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.simulator.rendered import demo_clip_path

pytestmark = pytest.mark.ros


def test_every_process_is_counted_and_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROS_DOMAIN_ID", "ROS_LOG_DIR", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)  # the graph sets its own
    monkeypatch.setattr("reactdiff_ros.evaluation.soak.graph.WARM_UP_S", 0.5)  # of the figures, which are not looked at
    options = LiveOptions(arguments={"clip": str(demo_clip_path()), "policy": "rules"}, parameters={"loop": True})
    path, said = tmp_path / "graph.jsonl", list[str]()
    shares: list[float] = []
    stop = [True]

    def go(robot: str) -> bool:
        run = LongRun(
            path, 6.0, 3.0, told=shares.append, say=said.append,
            stopped=lambda: stop[0] and bool(shares) and shares[-1] > 0.6,
        )  # fmt: skip
        return run_graph(options, robot, run)

    assert not go("")
    stop[0] = False
    assert go("generic_12servo")
    first, second = read_journal(path)
    assert (first.seconds, first.ended) == (3.0, "stopped")
    assert (second.seconds, second.ended) == (3.0, "done")
    (minute,) = second.minutes
    assert {"clip_node", "perception_node", "actuator_node", SUPERVISOR} <= set(minute["processes"])
    assert all(held["rss_mb"] > 20 and held["threads"] > 1 for held in minute["processes"].values())
    assert minute["counts"]["faces"] > 75
    assert minute["counts"]["robot_follows"] > 0.0
    assert sum(minute["times"]["latency"].values()) > 20
    assert 0.0 < minute["cpu_s"] < 30.0
    assert minute["apart_ms"] is None or abs(minute["apart_ms"]) < 1000.0  # None: perception was starved
