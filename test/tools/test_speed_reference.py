"""The published model next to ours: its graphs, and whole runs of the comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.model.backends.weights import find_weights
from tools.speed.reference import ASKED, EAGER, ONNX, RUNTIMES, Plan, bench_reference

SMALL = {
    "va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6, "hidden": 16, "heads": 2, "latent": 16,
    "model_channels": 8, "channel_factors": [1, 2], "attention_at": [1], "residual_blocks": 1, "condition": 32,
}  # fmt: skip
"""Sizes of the paper preset for tests; windows are as long as published."""


def test_the_graphs_of_the_paper_are_its_networks(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    import numpy as np

    from reactdiff_ros.model.backends.onnxruntime_backend import open_graph
    from reactdiff_ros.training.paper.config import from_dict
    from reactdiff_ros.training.paper.networks import export_parts
    from tools.speed.windows import paper_inputs, paper_model

    config = from_dict(SMALL)
    model = paper_model(config)
    for parameter in model.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    graphs = {name: open_graph(path, 1) for name, path in export_parts(model, tmp_path).items()}
    given = paper_inputs(config, 3)
    condition = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    steps = np.full(3, 7, dtype=np.int64)
    found = graphs["denoise"]({"x": given["x"], "known": given["known"], "steps": steps, "condition": condition})[0]
    with torch.no_grad():
        wanted = model.denoiser(*(torch.from_numpy(a) for a in (given["x"], given["known"], steps, condition)))
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


@pytest.mark.slow
def test_the_short_form_at_the_published_shapes(capfd: pytest.CaptureFixture[str]) -> None:
    """The published model costs what its size costs, and ours at least 25 times less, whatever else runs here."""
    pytest.importorskip("torch")
    code = main(["bench", "reference", "--short", "--json"])
    printed = capfd.readouterr()
    if code == 1 and "GB of memory" in printed.err:
        pytest.skip(printed.err.strip())
    assert code == 0
    figures = json.loads(printed.out)
    assert figures["paper"]["parameters"]["total"] == pytest.approx(542e6, rel=0.02)
    assert figures["ratios"]["eager_same_steps"] > 25
    assert set(figures["ratios"]) == set(ASKED)
    assert figures["ratios"]["ten_samples_30s"] is None
    assert len(figures["paper"]["repeats_s"][EAGER]) == 1


@pytest.mark.slow
def test_a_whole_run_on_small_networks(random_weights: Path) -> None:
    pytest.importorskip("torch")
    from time import perf_counter

    from reactdiff_ros.training.paper.config import from_dict

    config = from_dict(SMALL)
    shares: list[float] = []
    plan = Plan(steps=3, default_steps=2, samples=2, clip_s=2.0, repeats=2, runtimes=(EAGER, ONNX))
    weights = find_weights(random_weights)
    found = bench_reference(weights, plan, perf_counter, config=config, threads=1, progress=shares.append)
    assert all(ratio > 0 for ratio in found["ratios"].values())
    assert set(found["paper"]["step_ms"]) == {EAGER, ONNX} < set(RUNTIMES)
    assert len(found["ours"]["repeats_s"][ONNX]) == 2
    assert found["threads"] == 1
    assert shares[-1] == 1.0
    assert any("random weights" in note for note in found["notes"])
