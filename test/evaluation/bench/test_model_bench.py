"""Times of the model alone, with a clock that is given."""

import json

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.bench.model import bench_model
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.weights import find_weights


def test_every_call_is_timed_after_a_warm_up(random_weights):
    ticks = iter(range(10_000))
    shares = []
    figures = bench_model(
        find_weights(random_weights), Sampling(steps=2), lambda: float(next(ticks)), candidates=(1, 3), repeats=5,
        told=shares.append,
    )  # fmt: skip
    assert figures["encoder_frame_ms"] == {"p50": 1000.0, "p99": 1000.0, "min": 1000.0}
    assert set(figures["plan_ms"]) == {"1", "3"}
    assert next(ticks) == 3 * (10 + 2 * 5)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_command(random_weights, capfd):
    assert main(["bench", "model", "--model", str(random_weights), "--repeats", "3", "--steps", "2", "--json"]) == 0
    figures = json.loads(capfd.readouterr().out)
    assert figures["steps"] == 2
    assert figures["plan_ms"]["10"]["p50"] > figures["encoder_frame_ms"]["min"] > 0
    assert sum(figures["parameters"].values()) > 1000


def test_no_weights(tmp_path, capfd):
    assert main(["bench", "model", "--model", str(tmp_path), "--json"]) == 1
    assert "weights are missing" in capfd.readouterr().err
