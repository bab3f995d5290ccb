"""The harness of faults on the real graph: a node that is killed, and numbers that are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")


@pytest.mark.ros
@pytest.mark.real_time
@pytest.mark.slow
def test_a_face_that_dies_comes_back_and_numbers_that_are_none_are_refused() -> None:
    faults = ["--only", "expression-killed", "--only", "numbers-nan"]
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    done = subprocess.run(
        [sys.executable, "-m", "reactdiff_ros.cli.main", "bench", "faults", "--json", *faults],
        capture_output=True, text=True, timeout=150, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr[-3000:]
    assert done.stdout, done.stderr[-3000:]
    rows = {row["fault"]: row for row in json.loads(done.stdout)["faults"]}
    killed, numbers = rows["expression-killed"], rows["numbers-nan"]
    assert killed["normal_after_s"] is not None
    assert killed["page_neutral_s"] is not None or killed["longest_gap_s"] < 0.8  # back before the page had missed it
    assert any("expression_node died (signal SIGKILL)" in said for said in killed["said"])
    assert numbers["finite"]
    assert any("is not finite" in said for said in numbers["said"])
    assert numbers["normal_after_s"] is not None
    assert numbers["longest_gap_s"] < killed["longest_gap_s"], "refused numbers cost no restart"
