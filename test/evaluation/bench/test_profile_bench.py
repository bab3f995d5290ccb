"""The profile: samples are told to whom they belong, and the page and picture are made of them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from reactdiff_ros.cli.bench_profile import profile_page, profile_times
from reactdiff_ros.evaluation.bench.profile import own_times, plot_profile


def frame(function, file, time, *children):
    return SimpleNamespace(function=function, file_path=file, time=time, children=list(children))


SITE = "/home/me/.venv/lib/python3.11/site-packages"


@pytest.mark.parametrize("house", ["/home/me/reactdiff_ros", SITE])
def test_time_in_libraries_is_told_with_the_function_that_called_them(house):
    run = frame("run", f"{SITE}/onnxruntime/capi/x.py", 5.0, frame("run", "<built-in>", 4.5))
    encode = frame("encode", f"{house}/reactdiff_ros/model/runtime.py", 6.0, run)
    root = frame("_listen", f"{house}/reactdiff_ros/evaluation/bench/profile.py", 10.0, encode)
    told = own_times(root)
    assert told[0] == {
        "function": "encode",
        "where": "reactdiff_ros/model/runtime.py",
        "in": "onnxruntime",
        "share": 0.5,
    }
    assert [(t["function"], t["in"], t["share"]) for t in told[1:]] == [
        ("_listen", "itself", 0.4), ("encode", "itself", 0.1),
    ]  # fmt: skip
    assert "/home" not in json.dumps(told)


@pytest.fixture(scope="module")
def figures():
    rng = np.random.default_rng(0)
    pair = {"p50": 3.2, "p99": 9.0}
    names = ("perception_ms", "encoder_ms", "plan_ms", "compute_ms", "burst_ms")
    return {
        "clip": "speaker.mp4", "time": "wall", "seconds": 20.0, "backend": "onnxruntime-cpu",
        "hardware": {"cpu": "some", "cores": 2},
        "summary": {**dict.fromkeys(names, pair), "slots": 400, "over_40_ms": 3},
        "slots": {n: rng.uniform(0, 5, 400) for n in ("perception", "encoder", "plans", "whole_plans")},
        "functions": [{"function": "f", "where": "reactdiff_ros/model/a.py", "in": "numpy", "share": 0.125}],
    }  # fmt: skip


def test_the_page_tells_stages_and_functions(figures, tmp_path):
    page = profile_page(figures)
    assert "| encoder: the listener takes in a frame | 3.2 | 9 |" in page
    assert "| `f` | `reactdiff_ros/model/a.py` | numpy | 12.5 % |" in page
    assert plot_profile(figures, tmp_path / "images" / "p.png").stat().st_size > 5000


def test_the_command_writes_page_and_picture(tmp_path):
    pytest.importorskip("pyinstrument", reason="pyinstrument is not installed (requirements/test.txt)")
    page = tmp_path / "performance.md"
    done = CliRunner().invoke(profile_times, ["--seconds", "3", "--cpu", "--output", str(page), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    shares = [f["share"] for f in result["functions"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.5 < sum(shares) <= 1.001
    assert any(f["in"] == "onnxruntime" for f in result["functions"][:3])
    assert result["summary"]["slots"] > 10
    assert result["time"] == "processor"
    assert "## The listener, by function" in page.read_text()
    assert (tmp_path / "images" / "performance_profile.png").is_file()
