"""On a real NVIDIA GPU: every backend gives what the CPU gives, the same bits for the same input."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from stretches import guided

from reactdiff_ros.model.backends.base import Backend, BackendError
from reactdiff_ros.model.backends.onnxruntime_backend import OnnxRuntimeCpu, OnnxRuntimeCuda
from reactdiff_ros.model.backends.opening import Wanted, open_backend, probe
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.tensorrt_backend import tensorrt_version
from reactdiff_ros.model.backends.weights import Weights, find_weights
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.plan.planner import Planner

pytestmark = pytest.mark.gpu
FACE = {"fp32": 1e-4, "fp16": 1e-2}


@pytest.fixture(scope="module")
def weights() -> Weights:
    return find_weights()


@pytest.fixture(scope="module", params=["cuda-fp32", "cuda-fp16", "tensorrt-fp32", "tensorrt-fp16"])
def backend(
    request: pytest.FixtureRequest, weights: Weights, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    kind, precision = request.param.split("-")
    if kind == "cuda":
        try:
            yield OnnxRuntimeCuda(weights, precision)
        except BackendError as error:
            pytest.skip(str(error))
        return
    needs_tensorrt()
    wanted = Wanted("tensorrt", precision, (8,), tmp_path_factory.mktemp("engines") / "cache")
    opened = open_backend(weights, wanted, perf_counter)
    assert opened.tensorrt is not None, opened.state()
    opened.tensorrt.wait()
    assert opened.serving.name == f"tensorrt-{precision}", opened.state()
    yield opened.serving
    opened.close()


def needs_tensorrt() -> None:
    try:
        tensorrt_version()
    except BackendError as error:
        pytest.skip(str(error))


def bound(backend: Backend) -> float:
    return FACE[backend.name.rsplit("-", 1)[1]]


def plans(weights: Weights, backend: Backend, listeners: int, candidates: int) -> np.ndarray:
    networks = Networks(weights, backend=backend)
    planner = Planner(networks, list(range(listeners)), Sampling(candidates=candidates))
    s = networks.shape
    heard = len(networks.ages)
    speaker = np.random.default_rng(0).standard_normal((listeners, heard, s["width"])).astype(np.float32)
    missing = np.zeros((listeners, heard), dtype=np.float32)
    shown = []
    for slot in (0, 4, 8):
        draft = planner.draft(slot, speaker, missing, ordinary(listeners), lead=1, frames=12, all_candidates=True)
        shown.append(planner.plan(draft).faces)
    return np.stack(shown)


@pytest.mark.parametrize(("listeners", "candidates"), [(1, 1), (1, 10), (3, 2), (70, 1)])
def test_a_stretch_is_the_cpus(backend: Backend, weights: Weights, listeners: int, candidates: int) -> None:
    job = probe(weights.shape, 8, listeners, candidates)
    cpu = OnnxRuntimeCpu(weights)
    for work in (job, guided(job)):
        drawn = backend.stretch(work)
        np.testing.assert_allclose(drawn, cpu.stretch(work), atol=50 * bound(backend))  # latents go up to 8
        np.testing.assert_array_equal(backend.stretch(work), drawn)


def test_the_same_seed_gives_the_same_face(backend: Backend, weights: Weights) -> None:
    one, two = plans(weights, OnnxRuntimeCpu(weights), 2, 3), plans(weights, backend, 2, 3)
    # Three plans, one upon another: errors may grow a little beyond those of one.
    np.testing.assert_allclose(two, one, atol=3 * bound(backend))


def test_torch_on_the_gpu_agrees(weights: Weights) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    from reactdiff_ros.training.torch_backend import Torch, model_of

    job = guided(probe(weights.shape, 8, 2, 3))
    one, two = Torch(model_of(weights)).stretch(job), Torch(model_of(weights), "cuda").stretch(job)
    np.testing.assert_allclose(two, one, atol=1e-3)


def test_engines_come_from_the_cache_the_second_time(weights: Weights, tmp_path: Path) -> None:
    needs_tensorrt()
    wanted = Wanted("tensorrt", "fp16", (2,), tmp_path / "cache")
    for cached in (0, 4):
        opened = open_backend(weights, wanted, perf_counter)
        assert opened.tensorrt is not None
        opened.tensorrt.wait()
        assert len(opened.tensorrt.cached) == cached, opened.state()
        opened.close()
