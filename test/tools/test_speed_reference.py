"""The published model next to ours: what is timed, in which order, and what the ratios are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.model.weights import find_weights
from tools.speed.reference import (
    ASKED,
    COMPILED,
    EAGER,
    ONNX,
    OURS,
    PAPER,
    RUNTIMES,
    WINDOW_S,
    Case,
    Plan,
    Times,
    bench_reference,
    ratios_and_parts,
)

SMALL = {
    "va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6, "hidden": 16, "heads": 2, "latent": 16,
    "model_channels": 8, "channel_factors": [1, 2], "attention_at": [1], "residual_blocks": 1, "condition": 32,
}  # fmt: skip
"""Sizes of the paper preset for tests; windows are as long as published."""


def times(seconds: dict[Case, float]) -> Times:
    return {case: [{"encode": 0.0, "steps": total, "decode": 0.0}] for case, total in seconds.items()}


def test_ratios_compare_seconds_for_a_generated_second() -> None:
    plan = Plan()
    ten, clip = Case(PAPER, ONNX, 20, 10), Case(OURS, ONNX, 8, 10, clip=True)
    known = times({
        Case(PAPER, EAGER, 20): 8.0, Case(PAPER, COMPILED, 20): 4.0, Case(PAPER, ONNX, 20): 2.0, ten: 20.0,
        Case(OURS, EAGER, 20): 0.1, Case(OURS, ONNX, 20): 0.04, Case(OURS, ONNX, 8): 0.02,
        Case(OURS, EAGER, 8): 0.05, clip: 5.0,
    })  # fmt: skip
    found = ratios_and_parts(plan, known, {ONNX: ten}, clip)
    wanted = {
        "eager_same_steps": 80.0, "best_cpu_same_steps": 50.0, "eager_default_steps": 400.0,
        "ten_samples_30s": 15 * 20.0 / 5.0,
    }  # fmt: skip
    assert found["ratios"] == pytest.approx(wanted)
    assert found["reached"] == dict.fromkeys(ASKED, True)
    assert found["paper"]["seconds_per_generated_second"] == {EAGER: 4.0, COMPILED: 2.0, ONNX: 1.0}
    assert found["paper"]["step_ms"][EAGER] == pytest.approx(400.0)
    assert found["paper"]["ten_samples"]["seconds_per_generated_second"][ONNX] == pytest.approx(20 / WINDOW_S / 10)


def test_every_window_takes_as_many_steps_as_asked(random_weights: Path) -> None:
    torch = pytest.importorskip("torch")
    from reactdiff_ros.training.paper.config import from_dict
    from reactdiff_ros.training.torch_backend import our_model
    from tools.speed import windows as timing

    config = from_dict(SMALL)
    calls: list[Any] = []
    paper = timing.paper_model(config)
    paper.denoiser.register_forward_hook(lambda module, inputs, out: calls.append(inputs[0].shape))
    timing.paper_window(paper, lambda: 0.0)(20, 3)
    assert calls == 20 * [torch.Size((3, 50, 16))]
    weights = find_weights(random_weights)
    ours, stored = our_model(weights)
    assert stored
    count = []
    velocity = ours.denoiser.velocity
    ours.denoiser.velocity = lambda *given: count.append(given[0].shape) or velocity(*given)
    timing.our_window(ours, lambda: 0.0)(20, 3)
    # 50 frames in stretches of at most 16.
    assert count == 3 * 20 * [torch.Size((3, 1, 16, 28))] + 20 * [torch.Size((3, 1, 2, 28))]


def test_the_graphs_of_the_paper_are_its_networks(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    import numpy as np

    from reactdiff_ros.model.backends.onnxruntime_backend import open_graph
    from reactdiff_ros.training.paper.config import from_dict
    from tools.speed.windows import paper_inputs, paper_model, write_graphs

    config = from_dict(SMALL)
    model = paper_model(config)
    for parameter in model.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    graphs = {name: open_graph(path, 1) for name, path in write_graphs(model, tmp_path).items()}
    given = paper_inputs(config, 3)
    condition = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    steps = np.full(3, 7, dtype=np.int64)
    found = graphs["denoise"]({"x": given["x"], "known": given["known"], "steps": steps, "condition": condition})[0]
    with torch.no_grad():
        wanted = model.denoiser(*(torch.from_numpy(a) for a in (given["x"], given["known"], steps, condition)))
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


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
