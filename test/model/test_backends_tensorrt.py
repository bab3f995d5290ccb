"""TensorRT's engines: kept, opened, built in the background, replaced. The engines here compute on the CPU; those of a
real GPU are test/gpu's."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from stretches import guided

from reactdiff_ros.cli.training import export
from reactdiff_ros.errors import MissingExtraError
from reactdiff_ros.model.backends import tensorrt_backend
from reactdiff_ros.model.backends.base import BackendError, Stretch
from reactdiff_ros.model.backends.onnxruntime_backend import OnnxRuntimeCpu
from reactdiff_ros.model.backends.opening import Opened, Serving, Wanted, open_backend, prepare, probe
from reactdiff_ros.model.backends.tensorrt_backend import (
    DECODED_BEFORE,
    ROWS,
    EngineCache,
    TensorRT,
    Variant,
    build_in_process,
    onnx_of,
    ranges,
    tensorrt_version,
    variants,
)
from reactdiff_ros.model.plan.corrections import CALM
from reactdiff_ros.model.runtime import VAE_CONTEXT
from reactdiff_ros.model.weights import Weights, find_weights
from reactdiff_ros.types import FloatArray

BUILT = b"an engine"


class CpuEngine:
    """An engine that computes on the CPU; it takes what a real one takes."""

    def __init__(self, cpu: OnnxRuntimeCpu, variant: Variant) -> None:
        self._cpu, self._variant = cpu, variant
        self.fault: BackendError | None = None

    def run(self, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `tensorrt_backend.Engine`."""
        if self.fault is not None:
            raise self.fault
        assert next(len(a) for name, a in inputs.items() if name != "mask") <= ROWS
        if self._variant.graph != "sampler":
            return self._cpu.run(self._variant.graph, inputs)
        return [self._cpu.stretch(Stretch(**inputs, schedule=self._variant.schedule))]  # type: ignore[arg-type]

    def close(self) -> None:
        """See `tensorrt_backend.Engine`."""


class Gpu:
    """Opens and builds engines as a machine with a GPU does."""

    def __init__(self, weights: Weights, folder: Path) -> None:
        self.weights, self.folder = weights, folder
        self.cpu = OnnxRuntimeCpu(weights)
        self.engines: list[CpuEngine] = []
        self.built: list[str] = []
        self.answer: tuple[int, str] = (0, "")
        self.gate = threading.Event()
        self.gate.set()
        self.log: list[str] = []

    def open(self, path: Path, variant: Variant) -> CpuEngine:
        """In place of `open_engine`."""
        if path.read_bytes() != BUILT:
            raise BackendError("a TensorRT engine cannot be loaded", where=path.name)
        self.engines.append(CpuEngine(self.cpu, variant))
        return self.engines[-1]

    def build(self, order: str, started: Any) -> tuple[int, str]:
        """In place of `build_in_process`."""
        assert self.gate.wait(30)
        given = json.loads(order)
        self.built.append(Variant(given["graph"], tuple(given["schedule"]), given["guided"]).name)
        if self.answer[0] == 0:
            Path(given["output"]).write_bytes(BUILT)
        return self.answer

    def backend(self, steps: tuple[int, ...] = (1,)) -> Opened:
        """Served by the CPU until the engines are there."""
        serving = Serving(self.cpu, "")
        backend = TensorRT(
            self.weights, self.cpu, "fp32", EngineCache(self.folder), "10.3", timer=lambda: 0.0, log=self.log.append,
            opened=self.open, built=self.build,
        )  # fmt: skip
        prepare(backend, serving, steps, self.log.append)
        return Opened(serving, backend)


@pytest.fixture(scope="module")
def weights(any_weights: Path) -> Weights:
    return find_weights(any_weights)


@pytest.fixture
def gpu(weights: Weights, tmp_path: Path) -> Gpu:
    return Gpu(weights, tmp_path / "engines")


def test_engines_are_built_once_and_draw_what_the_cpu_draws(gpu: Gpu) -> None:
    first = gpu.backend()
    first.tensorrt.wait(30)
    assert first.serving.name == "tensorrt-fp32", first.state()
    assert gpu.built == [v.name for v in variants((1,))] == list(first.tensorrt.built_s)
    job = probe(gpu.weights.shape, 1, ROWS + 6, 2)
    for work in (job, guided(job)):
        np.testing.assert_array_equal(first.serving.stretch(work), gpu.cpu.stretch(work))  # in two parts
    first.close()
    second = gpu.backend()
    second.tensorrt.wait(30)
    assert len(second.tensorrt.cached) == 4
    assert second.tensorrt.built_s == {}
    second.close()


@pytest.mark.parametrize("harm", ["cut", "another graph", "another version"])
def test_an_engine_that_does_not_fit_is_built_again(gpu: Gpu, weights: Weights, harm: str) -> None:
    cache = EngineCache(gpu.folder)
    sampler = variants((1,))[0]
    path = cache.path(weights, sampler, "fp32", "10.3")
    path.write_bytes(BUILT[:3] if harm == "cut" else BUILT)
    others = {
        cache.path(weights, v, p, n) for v in variants((1, 2)) for p in ("fp32", "fp16") for n in ("10.3", "11.0")
    }
    assert len(others) == 6 * 2 * 2
    if harm != "cut":
        path.rename(cache.path(weights, sampler, "fp16" if harm == "another graph" else "fp32", "11.0"))
    opened = gpu.backend()
    opened.tensorrt.wait(30)
    assert opened.serving.name == "tensorrt-fp32"
    assert gpu.built[0] == "sampler-1"
    assert any("it is built again" in sentence for sentence in gpu.log) == (harm == "cut")
    opened.close()


@pytest.mark.parametrize(("answer", "why"), [((1, "no such operator"), "no such operator"), ((-9, ""), "signal 9")])
def test_a_build_that_fails_leaves_the_cpu_and_says_why(gpu: Gpu, answer: tuple[int, str], why: str) -> None:
    gpu.answer = answer
    opened = gpu.backend()
    opened.tensorrt.wait(30)
    assert opened.serving.name == "onnxruntime-cpu"
    assert why in opened.state()
    assert why in gpu.log[-1]
    opened.close()


def test_the_cpu_serves_while_engines_are_built_and_the_switch_changes_nothing(gpu: Gpu) -> None:
    gpu.gate.clear()
    opened = gpu.backend()
    job = probe(gpu.weights.shape, 1)
    before = opened.serving.stretch(job)
    assert opened.serving.name == "onnxruntime-cpu"
    assert "until the engines of TensorRT 10.3 are ready" in opened.state()
    gpu.gate.set()
    opened.tensorrt.wait(30)
    assert opened.serving.name == "tensorrt-fp32"
    np.testing.assert_array_equal(opened.serving.stretch(job), before)
    opened.close()


def test_a_gpu_that_fails_while_running_leaves_the_face_going(gpu: Gpu) -> None:
    opened = gpu.backend()
    opened.tensorrt.wait(30)
    job = probe(gpu.weights.shape, 1)
    before = opened.serving.stretch(job)
    for engine in gpu.engines:
        engine.fault = BackendError("TensorRT failed on the GPU")
    np.testing.assert_array_equal(opened.serving.stretch(job), before)
    assert opened.serving.name == "onnxruntime-cpu"
    assert "failed while running" in opened.state()
    opened.close()


def test_other_steps_run_on_the_cpu_until_their_engine_is_there(gpu: Gpu) -> None:
    opened = gpu.backend()
    opened.tensorrt.wait(30)
    gpu.gate.clear()
    job = probe(gpu.weights.shape, 2)
    expected = gpu.cpu.stretch(job)
    np.testing.assert_array_equal(opened.serving.stretch(job), expected)
    assert opened.serving.name == "tensorrt-fp32"
    gpu.gate.set()
    for _ in range(600):
        if "sampler-2" in opened.tensorrt.built_s:
            break
        threading.Event().wait(0.05)
    assert "sampler-2" in opened.tensorrt.built_s
    np.testing.assert_array_equal(opened.serving.stretch(job), expected)
    opened.close()


def test_a_cache_that_cannot_be_used_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = EngineCache(tmp_path / "file" / "engines")
    assert "built at every start" in cache.problem
    assert cache.folder.is_dir()


def test_profiles_cover_what_is_drawn_and_decoded(weights: Weights) -> None:
    assert DECODED_BEFORE == VAE_CONTEXT + CALM - 1
    low, usual, high = ranges(["N", "M", 7], Variant("sampler", (1.0,), guided=True), weights.shape["horizon"])
    assert (low, usual, high) == ([1, 2, 7], [8, 2, 7], [64, 32, 7])


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_graphs_of_engines_have_free_axes_and_draw_what_the_cpu_draws(weights: Weights, precision: str) -> None:
    ort, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    variant = variants((2,))[1]
    model = onnx_of(weights, variant, precision)  # type: ignore[arg-type]
    kinds = {t.data_type for t in onnx.load_model_from_string(model).graph.initializer}
    assert (onnx.TensorProto.FLOAT16 in kinds) == (precision == "fp16")
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    job = guided(probe(weights.shape, 2, 3, 2))
    drawn = session.run(["drawn"], job.inputs())[0]
    np.testing.assert_allclose(drawn, OnnxRuntimeCpu(weights).stretch(job), atol=1e-4 if precision == "fp32" else 0.5)


def test_what_is_missing_is_a_sentence_and_the_cpu_goes_on(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "polygraphy", None)
    with pytest.raises(BackendError, match="Polygraphy is missing"):
        tensorrt_version()
    log: list[str] = []
    opened = open_backend(weights, Wanted("tensorrt"), lambda: 0.0, log=log.append)
    assert opened.serving.name == "onnxruntime-cpu"
    assert "Polygraphy is missing" in log[0]
    failed = CliRunner().invoke(export, ["--tensorrt", "--model", str(weights.folder), "--json"], standalone_mode=False)
    assert isinstance(failed.exception, MissingExtraError)


def test_export_builds_engines_ahead(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_backend, "tensorrt_version", lambda: "10.3")
    monkeypatch.setattr(
        "reactdiff_ros.model.backends.opening.open_backend",
        lambda weights, wanted, timer, log: gpu.backend(wanted.steps),
    )
    given = ["--tensorrt", "--model", str(gpu.weights.folder), "--steps", "1", "--precision", "fp32", "--json"]
    run = CliRunner().invoke(export, given, standalone_mode=False)
    assert run.exception is None, run.output
    assert sorted(json.loads(run.stdout)["engines"]["built_s"]) == sorted(v.name for v in variants((1,)))


@pytest.mark.parametrize("arguments", [(), ("x.pt",), ("--output", "y"), ("--tensorrt", "--output", "y")])
def test_halves_of_a_question_are_refused(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(export, list(arguments))
    assert result.exit_code == 2
    assert "CHECKPOINT" in result.output


def test_a_real_process_says_why_it_cannot_build_and_can_be_killed(weights: Weights, tmp_path: Path) -> None:
    order = {
        "weights": str(tmp_path / "none"), "graph": "encoder", "schedule": [], "guided": False, "precision": "fp32",
        "output": str(tmp_path / "x.engine"), "version": "10.3",
    }  # fmt: skip
    started: list[subprocess.Popen[str]] = []
    code, error = build_in_process(json.dumps(order), started.append)
    assert (code, "weights are missing" in error) == (1, True)
    assert not (tmp_path / "x.engine").exists()
    code, _ = build_in_process(json.dumps(order), lambda process: os.kill(process.pid, 9))
    assert code == -9
