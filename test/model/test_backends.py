"""Backends: the sampler as one graph, CUDA and TensorRT engines in the place of the CPU. Real GPUs: test/gpu."""

import itertools
import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stretches import guided

from reactdiff_ros.model.backends import onnxruntime_backend
from reactdiff_ros.model.backends.base import BackendError, Stretch
from reactdiff_ros.model.backends.onnxruntime_backend import OnnxRuntimeCpu, OnnxRuntimeCuda, axes_of
from reactdiff_ros.model.backends.opening import Opened, Serving, Wanted, open_backend, prepare, probe
from reactdiff_ros.model.backends.tensorrt_backend import ROWS, EngineCache, TensorRT, Variant, variants
from reactdiff_ros.model.backends.weights import Weights, find_weights
from reactdiff_ros.types import FloatArray


@pytest.fixture(scope="module")
def weights(any_weights) -> Weights:
    return find_weights(any_weights)


@pytest.fixture(scope="module")
def cpu(weights: Weights) -> OnnxRuntimeCpu:
    return OnnxRuntimeCpu(weights)


@pytest.mark.parametrize(
    ("half", "strong", "listeners", "candidates", "fixed"),
    [(False, False, 1, 1, False), (False, True, 3, 2, True), (True, False, 3, 2, True), (True, True, 1, 1, False)],
)
def test_one_graph_draws_what_the_loop_draws(weights, cpu, half, strong, listeners, candidates, fixed) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed (requirements/test.txt)")
    import onnxruntime as ort

    from reactdiff_ros.model.backends.graphs import folded, in_half_precision, sampler_graph

    job = probe(weights.shape, 2, listeners, candidates)
    job = guided(job) if strong else job
    model = sampler_graph(weights.graph("context"), weights.graph("denoiser"), job.schedule, guided=strong)
    model = folded(model, axes_of(job) if fixed else None)
    if half:
        model = in_half_precision(model)
        kinds = {t.data_type for t in model.graph.initializer if len(t.dims) == 2}
        assert kinds == {10}, "weights in float16"
    if fixed:
        assert not any(node.op_type == "Shape" for node in model.graph.node)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert {i.type for i in session.get_inputs()} == {"tensor(float)"}
    drawn = session.run(None, job.inputs())[0]
    np.testing.assert_allclose(drawn, cpu.stretch(job), atol=0.05 if half else 1e-4)


def test_a_silent_fall_to_the_cpu_is_a_sentence(weights, monkeypatch) -> None:
    """Where its library cannot be loaded, onnxruntime-gpu lists CUDA, and makes a session on the CPU."""
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: providers)
    with pytest.raises(BackendError, match="fell back to the CPU"):
        OnnxRuntimeCuda(weights)


@pytest.mark.parametrize("backend", ["auto", "cuda", "tensorrt", "onnxruntime"])
def test_the_listener_runs_without_any_gpu_and_says_why(weights, monkeypatch, backend) -> None:
    monkeypatch.setitem(sys.modules, "polygraphy", None)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    lines: list[str] = []
    opened = open_backend(weights, Wanted(backend), itertools.count(1.0).__next__, log=lines.append)
    assert opened.serving.name == "onnxruntime-cpu"
    reasons = {"auto": ("Polygraphy", "no CUDA"), "cuda": ("no CUDA",), "tensorrt": ("Polygraphy is missing",)}
    assert all(text in opened.state() for text in reasons.get(backend, ("asked for",)))
    assert len(lines) == (backend in ("cuda", "tensorrt"))


def test_auto_takes_what_is_faster_here(weights, cpu, monkeypatch) -> None:
    def opened(backend, cpu_s, cuda_s, **how):
        """Each call lasts as long as given: first those of the CPU, then those of CUDA."""
        times = iter([t for seconds in (cpu_s, cuda_s) for _ in range(5) for t in (0.0, seconds)])
        return open_backend(weights, Wanted(backend, **how), lambda: next(times))

    quick = SimpleNamespace(name="onnxruntime-cuda-fp16", stretch=cpu.stretch)
    monkeypatch.setitem(sys.modules, "polygraphy", None)
    monkeypatch.setattr("reactdiff_ros.model.backends.opening.OnnxRuntimeCuda", lambda *_: quick)
    assert opened("auto", 0.01, 0.02).serving.name == "onnxruntime-cpu"
    many = opened("auto", 0.02, 0.01, listeners=3)
    assert many.serving.name == quick.name
    assert "one stretch of 3 listeners: onnxruntime-cpu 20.0 ms" in many.state()
    assert opened("cuda", 0.01, 0.02).serving.name == quick.name


def test_cudas_bound_buffers_give_what_the_cpu_gives(weights, cpu, monkeypatch) -> None:
    """CUDA's calling code, its sessions and buffers on the CPU; the second stretch of a kind is a captured graph."""
    pytest.importorskip("onnx", reason="onnx is not installed (requirements/test.txt)")
    monkeypatch.setattr(onnxruntime_backend, "CUDA", "CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime_backend, "DEVICE", "cpu")
    make = OnnxRuntimeCuda._session
    monkeypatch.setattr(OnnxRuntimeCuda, "_session", lambda self, model, where, capture=False: make(self, model, where))
    gpu = OnnxRuntimeCuda(weights)
    assert gpu.name == "onnxruntime-cuda-fp32"
    for job in (probe(weights.shape, 2, 1, 2), guided(probe(weights.shape, 2, 2, 1)), probe(weights.shape, 2, 1, 2)):
        drawn = gpu.stretch(job)
        np.testing.assert_allclose(drawn, cpu.stretch(job), atol=1e-4)
        other = replace(job, noise=-job.noise)
        np.testing.assert_allclose(gpu.stretch(other), cpu.stretch(other), atol=1e-4)
        np.testing.assert_array_equal(gpu.stretch(job), drawn)


# TensorRT's engines, kept, opened, built in the background and replaced


class Gpu:
    """Opens and builds engines as a machine with a GPU does; they compute on the CPU."""

    def __init__(self, cpu: OnnxRuntimeCpu, weights: Weights, folder: Path) -> None:
        self.cpu, self.weights, self.cache = cpu, weights, EngineCache(folder)
        self.built: list[str] = []
        self.log: list[str] = []
        self.answer: tuple[int, str] = (0, "")
        self.fault: BackendError | None = None
        self.gate = threading.Event()
        self.gate.set()

    def open(self, path: Path, variant: Variant) -> Any:
        """In place of `open_engine`."""
        if path.read_bytes() != b"an engine":
            raise BackendError("a TensorRT engine cannot be loaded", where=path.name)
        return SimpleNamespace(run=partial(self.run, variant), close=lambda: None)

    def run(self, variant: Variant, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        if self.fault is not None:
            raise self.fault
        assert next(len(a) for name, a in inputs.items() if name != "mask") <= ROWS
        if variant.graph != "sampler":
            return self.cpu.run(variant.graph, inputs)
        return [self.cpu.stretch(Stretch(**inputs, schedule=variant.schedule))]  # type: ignore[arg-type]

    def build(self, order: str, started: Any) -> tuple[int, str]:
        """In place of `build_in_process`."""
        assert self.gate.wait(30)
        given = json.loads(order)
        self.built.append(Variant(given["graph"], tuple(given["schedule"]), given["guided"]).name)
        if self.answer[0] == 0:
            Path(given["output"]).write_bytes(b"an engine")
        return self.answer

    def backend(self) -> Opened:
        """Served by the CPU until the engines are there."""
        serving = Serving(self.cpu, "")
        backend = TensorRT(
            self.weights, self.cpu, "fp32", self.cache, "10.3", timer=lambda: 0.0, log=self.log.append,
            opened=self.open, built=self.build,
        )  # fmt: skip
        prepare(backend, serving, (1,), self.log.append)
        return Opened(serving, backend)

    def ready(self) -> Opened:
        """After all were opened or built."""
        opened = self.backend()
        opened.tensorrt.wait(30)
        return opened


@pytest.fixture
def gpu(cpu: OnnxRuntimeCpu, weights: Weights, tmp_path: Path) -> Gpu:
    return Gpu(cpu, weights, tmp_path / "engines")


def test_the_cpu_serves_until_engines_are_built_and_when_they_fail_and_they_are_built_once(gpu: Gpu) -> None:
    gpu.answer = (1, "no such operator")
    refused = gpu.ready()
    assert refused.serving.name == "onnxruntime-cpu"
    assert "no such operator" in refused.state()
    refused.close()
    gpu.answer = (0, "")
    gpu.built.clear()
    gpu.gate.clear()
    first, job = gpu.backend(), probe(gpu.weights.shape, 1)
    before = first.serving.stretch(job)
    assert first.serving.name == "onnxruntime-cpu"
    assert "until the engines of TensorRT 10.3 are ready" in first.state()
    gpu.gate.set()
    first.tensorrt.wait(30)
    assert first.serving.name == "tensorrt-fp32", first.state()
    assert gpu.built == [v.name for v in variants((1,))] == list(first.tensorrt.built_s)
    np.testing.assert_array_equal(first.serving.stretch(job), before)
    many = probe(gpu.weights.shape, 1, ROWS + 6, 2)  # in two parts, whose matrices may be summed in another order
    for work in (many, guided(many)):
        np.testing.assert_allclose(first.serving.stretch(work), gpu.cpu.stretch(work), rtol=0, atol=1e-4)
    gpu.fault = BackendError("TensorRT failed on the GPU")
    np.testing.assert_array_equal(first.serving.stretch(job), before)
    assert first.serving.name == "onnxruntime-cpu"
    assert "failed while running" in first.state()
    first.close()
    second = gpu.ready()
    assert (len(second.tensorrt.cached), second.tensorrt.built_s) == (4, {})
    second.close()


@pytest.mark.parametrize("harm", ["cut", "another graph", "another version"])
def test_an_engine_that_does_not_fit_is_built_again(gpu: Gpu, harm: str) -> None:
    cut = harm == "cut"
    precision, version = "fp16" if harm == "another graph" else "fp32", "10.3" if cut else "11.0"
    gpu.cache.path(gpu.weights, variants((1,))[0], precision, version).write_bytes(b"an" if cut else b"an engine")
    opened = gpu.ready()
    assert (opened.serving.name, gpu.built[0]) == ("tensorrt-fp32", "sampler-1")
    assert any("it is built again" in sentence for sentence in gpu.log) == cut
    opened.close()
