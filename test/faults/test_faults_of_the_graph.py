"""The harness on the real graph: a face that dies comes back, numbers that are none harm nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")
pytestmark = pytest.mark.ros
SLACK = 3.0
"""Bounds are for a machine that does nothing else; tests share theirs."""


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


def test_a_face_that_dies_comes_back_and_numbers_that_are_none_are_refused():
    rows = faults("expression-killed", "numbers-nan")
    killed, numbers = rows["expression-killed"], rows["numbers-nan"]
    assert killed["normal_after_s"] < SLACK * 2.0
    assert killed["page_neutral_s"] is not None or killed["longest_gap_s"] < 0.8  # back before the page had missed it
    assert any("expression_node died (signal SIGKILL)" in said for said in killed["said"])
    assert numbers["finite"]
    assert any("is not finite" in said for said in numbers["said"])
    assert numbers["normal_after_s"] < SLACK * 2.0
    assert numbers["longest_gap_s"] < SLACK * 0.1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_fault():
    rows = faults(timeout_s=1100.0)
    assert {name: row["violations"] for name, row in rows.items() if row["normal_after_s"] is None} == {}
    assert all(row["finite"] for row in rows.values())
