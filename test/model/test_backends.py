"""The sampler's loop as one graph, in float32 and half precision; what is said where a GPU is not there."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from stretches import guided
from ticks import Ticks

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.backends import onnxruntime_backend
from reactdiff_ros.model.backends.base import BackendError
from reactdiff_ros.model.backends.onnxruntime_backend import OnnxRuntimeCpu, OnnxRuntimeCuda, axes_of, failed
from reactdiff_ros.model.backends.opening import Serving, Wanted, open_backend, probe
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.weights import Weights, find_weights


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


def test_no_cuda_is_a_sentence(weights, monkeypatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BackendError, match=r"no CUDA.*onnxruntime-gpu"):
        OnnxRuntimeCuda(weights)


def test_a_silent_fall_to_the_cpu_is_an_error(weights, monkeypatch) -> None:
    # As onnxruntime-gpu does where its library cannot be loaded: it lists CUDA, and makes a session on the CPU.
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: providers)
    with pytest.raises(BackendError, match="fell back to the CPU"):
        OnnxRuntimeCuda(weights)


@pytest.mark.parametrize("backend", ["auto", "cuda", "tensorrt", "onnxruntime"])
def test_the_listener_runs_without_any_gpu_and_says_why(weights, monkeypatch, backend) -> None:
    monkeypatch.setitem(__import__("sys").modules, "polygraphy", None)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    told: list[str] = []
    opened = open_backend(weights, Wanted(backend), Ticks(), log=told.append)
    assert opened.serving.name == "onnxruntime-cpu"
    reasons = {"auto": ("Polygraphy", "no CUDA"), "cuda": ("no CUDA",), "tensorrt": ("Polygraphy is missing",)}
    assert all(text in opened.state() for text in reasons.get(backend, ("asked for",)))
    assert len(told) == (backend in ("cuda", "tensorrt"))
    job = probe(weights.shape, 2)
    np.testing.assert_array_equal(opened.serving.stretch(job), OnnxRuntimeCpu(weights).stretch(job))


def test_auto_takes_what_is_faster_here(weights, monkeypatch) -> None:
    class Quick(OnnxRuntimeCpu):
        def __init__(self, weights, precision):
            super().__init__(weights)

        name = property(lambda self: "onnxruntime-cuda-fp16")

    class Timer:
        """Every other call took as long as `durations` tells: first the CPU's, then CUDA's."""

        def __init__(self, durations) -> None:
            self.times = iter([t for d in durations for _ in range(5) for t in (0.0, d)])

        def __call__(self) -> float:
            return next(self.times)

    monkeypatch.setitem(__import__("sys").modules, "polygraphy", None)
    monkeypatch.setattr("reactdiff_ros.model.backends.opening.OnnxRuntimeCuda", Quick)
    slow = open_backend(weights, Wanted("auto"), Timer([0.01, 0.02]))
    assert slow.serving.name == "onnxruntime-cpu"
    assert "10.0 ms" in slow.state()
    assert "20.0 ms" in slow.state()
    quick = open_backend(weights, Wanted("auto"), Timer([0.02, 0.01]))
    assert quick.serving.name == "onnxruntime-cuda-fp16"
    many = open_backend(weights, Wanted("auto", listeners=3), Timer([0.02, 0.01]))
    assert "one stretch of 3 listeners: onnxruntime-cpu 20.0 ms" in many.state()
    asked = open_backend(weights, Wanted("cuda"), Timer([0.01, 0.02]))
    assert asked.serving.name == "onnxruntime-cuda-fp16"


def test_words_of_libraries_become_a_sentence() -> None:
    text = "CUDA failure 2: out of memory ; GPU=0\nsecond line"
    assert str(failed("x", RuntimeError(text))).startswith("the GPU has not enough memory: CUDA failure 2")
    assert "second" not in str(failed("x", RuntimeError(text)))
    assert str(failed("ONNX Runtime failed on the GPU", RuntimeError(""))).endswith("RuntimeError")


def test_networks_of_other_weights_are_refused_whatever_the_backend(any_weights, tmp_path) -> None:
    weights = find_weights(any_weights)
    other = replace(weights, shape=weights.shape | {"latent": 5})
    with pytest.raises(WeightsError, match="another version"):
        Networks(other)


@pytest.fixture
def cuda_that_is_the_cpu(monkeypatch) -> None:
    """CUDA's calling code, its sessions and buffers on the CPU."""
    pytest.importorskip("onnx", reason="onnx is not installed (requirements/test.txt)")
    monkeypatch.setattr(onnxruntime_backend, "CUDA", "CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime_backend, "DEVICE", "cpu")
    make = onnxruntime_backend.OnnxRuntimeCuda._session
    monkeypatch.setattr(
        onnxruntime_backend.OnnxRuntimeCuda,
        "_session",
        lambda self, model, where, capture=False: make(self, model, where),
    )


def test_bound_buffers_give_what_the_cpu_gives(weights, cpu, cuda_that_is_the_cpu) -> None:
    gpu = OnnxRuntimeCuda(weights)
    assert gpu.name == "onnxruntime-cuda-fp32"
    for job in (probe(weights.shape, 2, 1, 2), guided(probe(weights.shape, 2, 2, 1)), probe(weights.shape, 2, 1, 2)):
        drawn = gpu.stretch(job)
        np.testing.assert_allclose(drawn, cpu.stretch(job), atol=1e-4)
        other = replace(job, noise=-job.noise)
        np.testing.assert_allclose(gpu.stretch(other), cpu.stretch(other), atol=1e-4)
        np.testing.assert_array_equal(gpu.stretch(job), drawn)
    assert len(gpu._captured) == 2


def test_an_impatient_caller_is_served_by_the_cpu_meanwhile(weights, cpu, cuda_that_is_the_cpu) -> None:
    gpu = OnnxRuntimeCuda(weights)
    gpu.patient = False
    serving = Serving(cpu, "until then")
    serving.switch(gpu, "asked for")
    job = probe(weights.shape, 2)
    np.testing.assert_array_equal(serving.stretch(job), cpu.stretch(job))
    for thread in threading.enumerate():
        if thread.name == "cuda graph":
            thread.join()
    assert len(gpu._captured) == 1
    np.testing.assert_allclose(serving.stretch(job), cpu.stretch(job), atol=1e-4)
    assert serving.name == gpu.name


def test_a_backend_tries_all_work_before_it_takes_over(weights, cpu, cuda_that_is_the_cpu) -> None:
    serving = Serving(cpu, "until then")
    serving.stretch(probe(weights.shape, 2))
    serving.stretch(guided(probe(weights.shape, 2)))
    gpu = OnnxRuntimeCuda(weights)
    serving.switch(gpu, "asked for")
    assert len(gpu._captured) == 2
