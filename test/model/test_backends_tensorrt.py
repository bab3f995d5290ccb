"""TensorRT's calling code with a fake TensorRT and CUDA: engines, cache, builds beside the listener, failures."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_tensorrt import Code, FakeCuda, FakeTensorRT
from stretches import guided

from reactdiff_ros.model.backends import build as build_module
from reactdiff_ros.model.backends.base import BackendError
from reactdiff_ros.model.backends.cuda import Buffer, Cuda
from reactdiff_ros.model.backends.engine import SHAPES, Engine, tensorrt_module
from reactdiff_ros.model.backends.onnxruntime_backend import OnnxRuntimeCpu
from reactdiff_ros.model.backends.opening import Opened, Wanted, open_backend, probe
from reactdiff_ros.model.backends.preparing import build_in_process
from reactdiff_ros.model.backends.variants import ROWS, Variant, variants
from reactdiff_ros.model.plan.planner import Planner
from reactdiff_ros.model.plan.sampler import Sampling, ordinary
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import Weights, find_weights

pytest.importorskip("onnx", reason="onnx is not installed (requirements/test.txt)")
STEPS = 1


@pytest.fixture(scope="module")
def weights(any_weights) -> Weights:
    return find_weights(any_weights)


@pytest.fixture(scope="module")
def built(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with all engines in it."""
    machine = Rig(tmp_path_factory.mktemp("cache") / "engines")
    opened = machine.open(weights)
    assert opened.serving.name == "tensorrt-fp32", opened.state()
    return machine.folder


class Rig:
    """A machine with a fake GPU; `open` waits until TensorRT is in use, or is not to be."""

    def __init__(self, folder: Path, **gpu: Any) -> None:
        self.folder, self.cuda = folder, FakeCuda(**gpu)
        self.trt = FakeTensorRT(self.cuda)
        self.told: list[str] = []
        self.orders: list[dict[str, Any]] = []

    def build(self, order: str) -> tuple[int, str]:
        self.orders.append(json.loads(order))
        return build_module.main(order, self.trt), "what it printed"

    def open(self, weights: Weights, **changes: Any) -> Opened:
        given: dict[str, Any] = {"trt": self.trt, "runtime": self.cuda, "build": self.build, "tell": self.told.append}
        wanted = Wanted("tensorrt", changes.pop("precision", "fp32"), (STEPS,), self.folder)
        opened = open_backend(weights, wanted, lambda: 0.0, **(given | changes))
        if opened.preparing is not None:
            opened.preparing.wait()
        return opened


def copied(built: Path, folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    for file in built.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_engines_draw_what_the_cpu_draws(weights, built) -> None:
    opened = Rig(built).open(weights)
    assert opened.serving.name == "tensorrt-fp32"
    assert "Fake GPU 9000" in opened.state()
    assert "11.4.0.106" in opened.state()
    cpu = OnnxRuntimeCpu(weights)
    for count, candidates in ((1, 1), (1, 4), (3, 2), (ROWS + 6, 1)):
        for job in (probe(weights.shape, STEPS, count, candidates), guided(probe(weights.shape, STEPS, count))):
            drawn = opened.serving.stretch(job)
            np.testing.assert_allclose(drawn, cpu.stretch(job), atol=1e-4, rtol=1e-3)
            np.testing.assert_array_equal(opened.serving.stretch(job), drawn)
    assert not opened.serving.wanted


def test_the_same_face_as_on_the_cpu(weights, built) -> None:
    faces = []
    for backend in (OnnxRuntimeCpu(weights), Rig(built).open(weights).serving):
        networks = Networks(weights, backend=backend)
        cache = networks.new_cache(2)
        features = np.random.default_rng(1).standard_normal((2, FEATURE_COUNT)).astype(np.float32)
        token, new = networks.encode(features, np.ones((2, STREAM_COUNT), dtype=np.float32), cache)
        cache.push(new)
        planner = Planner(networks, [1, 2], Sampling(steps=STEPS, candidates=2))
        s = networks.shape
        speaker = np.repeat(token[:, None], s["speech"], axis=1)
        missing = np.zeros((2, s["speech"]), dtype=np.float32)
        for slot in (0, 4):
            plan = planner.plan(slot, speaker, missing, ordinary(2), lead=1, frames=16, everyone=True)
        faces.append(plan.drawn)
    np.testing.assert_allclose(faces[1], faces[0], atol=1e-4)


def test_half_precision_without_a_flag(weights, tmp_path) -> None:
    machine = Rig(tmp_path / "engines")
    opened = machine.open(weights, precision="fp16")
    assert opened.serving.name == "tensorrt-fp16"
    job = probe(weights.shape, STEPS, 1, 2)
    np.testing.assert_allclose(opened.serving.stretch(job), OnnxRuntimeCpu(weights).stretch(job), atol=0.05)


def test_work_is_captured_once_and_nothing_is_allocated_later(weights, built) -> None:
    machine = Rig(built)
    serving = machine.open(weights).serving
    job = probe(weights.shape, STEPS)
    serving.stretch(job)
    machine.cuda.calls.clear()
    for _ in range(3):
        serving.stretch(job)
    allowed = {"cudaSetDevice", "cudaGraphLaunch", "cudaStreamSynchronize"}
    assert set(machine.cuda.calls) == allowed
    assert machine.cuda.calls.count("cudaGraphLaunch") == 3


def test_many_shapes_do_not_fill_the_memory(weights, built) -> None:
    machine = Rig(built)
    serving = machine.open(weights).serving
    sizes = []
    for count in range(1, 2 * SHAPES):
        serving.stretch(probe(weights.shape, STEPS, count))
        sizes.append(len(machine.cuda.memory))
    assert max(sizes) == sizes[SHAPES - 1] == sizes[-1]


def test_the_second_start_builds_nothing(weights, built) -> None:
    machine = Rig(built)
    opened = machine.open(weights)
    assert opened.preparing is not None
    assert not machine.orders
    assert opened.preparing.cached == [v.name for v in variants([STEPS])]
    assert not opened.preparing.state()


def test_engines_and_their_folder_are_private(built) -> None:
    assert built.stat().st_mode & 0o777 == 0o700
    files = list(built.iterdir())
    assert files
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in files)
    names = sorted(f.name for f in files if f.suffix == ".engine")
    assert len(names) == 4
    assert all("fp32" in n and "trt11.4.0.106" in n and "Fake-GPU-9000" in n for n in names)
    assert not [f for f in files if f.name.startswith(".")], "nothing half written is left"


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "not what its sidecar tells (engine, bytes)"),
        (lambda path: path.write_bytes(b""), "not what its sidecar tells"),
        (lambda path: path.with_name(path.name + ".json").unlink(), "half written"),
        (lambda path: path.unlink(), "half written"),
        (lambda path: path.with_name(path.name + ".json").write_bytes(b"\xff{"), "unreadable"),
        (lambda path: path.with_name(path.name + ".json").write_bytes(b"[1]"), "not what its sidecar tells"),
    ],
)
def test_a_harmed_engine_is_built_anew(weights, built, tmp_path, harm, sentence) -> None:
    machine = Rig(copied(built, tmp_path / "copy"))
    harm(next(machine.folder.glob("vae_decoder*.engine")))
    opened = machine.open(weights)
    assert opened.serving.name == "tensorrt-fp32"
    assert [o["graph"] for o in machine.orders] == ["vae_decoder"]
    assert any(sentence in text and "built anew" in text for text in machine.told), machine.told


def test_another_driver_builds_anew_and_says_so(weights, built, tmp_path) -> None:
    machine = Rig(copied(built, tmp_path / "copy"), driver=13020)
    assert machine.open(weights).serving.name == "tensorrt-fp32"
    assert len(machine.orders) == 4
    assert any("the driver changed from 13000 to 13020" in text for text in machine.told)


def test_another_gpu_or_version_has_engines_of_its_own(weights, built, tmp_path) -> None:
    folder = copied(built, tmp_path / "copy")
    other = Rig(folder, name=b"Orin (nvgpu)/x")
    assert other.open(weights).serving.name == "tensorrt-fp32"
    assert len(other.orders) == 4
    newer = Rig(folder)
    newer.trt.__version__ = "10.3.0"
    assert newer.open(weights).serving.name == "tensorrt-fp32"
    assert len(newer.orders) == 4
    assert len(list(folder.glob("*.engine"))) == 12


def test_an_engine_that_tensorrt_refuses_is_built_anew(weights, built, tmp_path) -> None:
    machine = Rig(copied(built, tmp_path / "copy"))
    machine.trt._deserialise, real, refused = None, machine.trt._deserialise, []

    def deserialise(plan: bytes) -> Any:
        if not refused:
            refused.append(plan)
            return None
        return real(plan)

    machine.trt._deserialise = deserialise
    assert machine.open(weights).serving.name == "tensorrt-fp32"
    assert len(machine.orders) == 1
    assert any("cannot be loaded" in text for text in machine.told)


def test_a_cache_that_cannot_be_written_is_no_obstacle(weights, tmp_path) -> None:
    (tmp_path / "file").write_text("not a folder")
    machine = Rig(tmp_path / "file" / "engines")
    opened = machine.open(weights)
    assert opened.serving.name == "tensorrt-fp32"
    assert "cannot be written" in machine.told[0]
    assert "anew at every start" in machine.told[0]
    assert (tmp_path / "file").read_text() == "not a folder"


def test_engines_in_a_folder_that_others_can_write_are_not_loaded(weights, built, tmp_path) -> None:
    folder = copied(built, tmp_path / "copy")
    os.chmod(folder, 0o777)
    machine = Rig(folder)
    machine.open(weights)
    assert "written by others" in machine.told[0]
    assert len(machine.orders) == 4


@pytest.mark.parametrize("broken", ["parse", "build"])
def test_a_build_that_fails_leaves_the_cpu(weights, tmp_path, broken) -> None:
    machine = Rig(tmp_path / "engines")
    machine.trt.broken = broken
    opened = machine.open(weights)
    assert opened.serving.name == "onnxruntime-cpu"
    assert "TensorRT is not in use: an engine could not be built" in opened.state()
    assert not list(machine.folder.glob("*.engine"))


def test_a_build_that_was_killed_leaves_the_cpu(weights, tmp_path) -> None:
    machine = Rig(tmp_path / "engines")
    opened = machine.open(weights, build=lambda order: (-9, ""))
    assert opened.serving.name == "onnxruntime-cpu"
    assert "killed (signal 9)" in opened.state()


def test_a_half_written_build_is_not_taken(weights, tmp_path) -> None:
    machine = Rig(tmp_path / "engines")

    def half(order: str) -> tuple[int, str]:
        Path(json.loads(order)["output"]).write_bytes(b"half")
        return 0, ""

    opened = machine.open(weights, build=half)
    assert opened.serving.name == "onnxruntime-cpu"
    assert "cannot be loaded" in opened.state()


def test_the_cpu_serves_while_engines_are_built_and_no_frame_jumps(weights, tmp_path) -> None:
    machine = Rig(tmp_path / "engines")
    go, began = threading.Event(), threading.Event()

    def slow(order: str) -> tuple[int, str]:
        began.set()
        assert go.wait(60)
        return machine.build(order)

    now = [0.0]
    opened = open_backend(
        weights, Wanted("tensorrt", "fp32", (STEPS,), machine.folder), lambda: now[0],
        trt=machine.trt, runtime=machine.cuda, build=slow, tell=machine.told.append,
    )  # fmt: skip
    assert opened.preparing is not None
    assert began.wait(60)
    now[0] = 12.0
    assert "building engine 1 of 4 (sampler-1, fp32) for Fake GPU 9000" in opened.state()
    assert "12 s of about 60 s" in opened.state()
    assert opened.serving.name == "onnxruntime-cpu"
    networks = Networks(weights, backend=opened.serving)
    alone = Networks(weights)
    planners = [Planner(n, [3], Sampling(steps=STEPS)) for n in (networks, alone)]
    s = networks.shape
    speaker = np.random.default_rng(0).standard_normal((1, s["speech"], s["width"])).astype(np.float32)
    missing = np.zeros((1, s["speech"]), dtype=np.float32)
    for slot in range(0, 24, 4):
        if slot == 12:
            go.set()
            opened.preparing.wait()
            assert networks.backend == "tensorrt-fp32"
        one, two = (p.plan(slot, speaker, missing, ordinary(1), lead=1, frames=16) for p in planners)
        np.testing.assert_allclose(one.shown, two.shown, atol=1e-4)


def test_builds_that_are_given_up_end(weights, tmp_path) -> None:
    machine = Rig(tmp_path / "engines")
    opened: list[Opened] = []

    def build(order: str) -> tuple[int, str]:
        preparing = opened[0].preparing
        assert preparing is not None
        preparing._stopped = True
        return -15, ""

    holder = threading.Event()

    def first(order: str) -> tuple[int, str]:
        assert holder.wait(60)
        return build(order)

    opened.append(
        open_backend(
            weights, Wanted("tensorrt", "fp32", (STEPS,), machine.folder), lambda: 0.0, trt=machine.trt,
            runtime=machine.cuda, build=first,
        )
    )  # fmt: skip
    holder.set()
    opened[0].close()
    assert opened[0].serving.name == "onnxruntime-cpu"


@pytest.mark.parametrize("fault", ["enqueue", "context", "illegal", "memory"])
def test_a_gpu_that_fails_while_running_leaves_the_face_going(weights, built, fault) -> None:
    machine = Rig(built)
    opened = machine.open(weights)
    job, cpu = probe(weights.shape, STEPS), OnnxRuntimeCpu(weights)
    if fault == "illegal":
        opened.serving.stretch(job)
        machine.cuda.failing["cudaStreamSynchronize"] = Code.cudaErrorIllegalAddress
    elif fault == "memory":
        machine.cuda.failing["cudaMalloc"] = Code.cudaErrorMemoryAllocation
    else:
        machine.trt.broken = fault
    np.testing.assert_array_equal(opened.serving.stretch(job), cpu.stretch(job))
    assert opened.serving.name == "onnxruntime-cpu"
    assert "tensorrt-fp32 failed while running, the CPU goes on" in opened.state()
    if fault in ("context", "memory"):
        assert "not enough memory" in opened.state()
    assert opened.serving.stretch(job).shape == job.noise.shape


def test_other_steps_run_on_the_cpu_until_their_engine_is_there(weights, built, tmp_path) -> None:
    machine = Rig(copied(built, tmp_path / "copy"))
    go, done = threading.Event(), threading.Event()

    def build(order: str) -> tuple[int, str]:
        assert go.wait(60)
        code = machine.build(order)
        done.set()
        return code

    opened = machine.open(weights, build=build)
    job, cpu = probe(weights.shape, 2), OnnxRuntimeCpu(weights)
    variant = Variant("sampler", job.schedule, False)
    for _ in range(2):
        np.testing.assert_array_equal(opened.serving.stretch(job), cpu.stretch(job))
    assert opened.serving.wanted == {variant}
    assert opened.serving.name == "tensorrt-fp32", "the rest stays on the GPU"
    go.set()
    assert done.wait(60)
    opened.close()
    assert [o["graph"] for o in machine.orders] == ["sampler"]
    assert "built engine sampler-2 in 0 s" in machine.told


@pytest.mark.parametrize("gpu", [{"devices": 0}, {"failing": True}])
def test_no_gpu_is_a_sentence(weights, tmp_path, gpu) -> None:
    machine = Rig(tmp_path / "engines", **({} if "failing" in gpu else gpu))
    if "failing" in gpu:
        machine.cuda.failing["cudaGetDeviceCount"] = Code.cudaErrorNoDevice
    opened = machine.open(weights)
    assert opened.serving.name == "onnxruntime-cpu"
    assert "backend tensorrt cannot be used, the model runs on the CPU" in machine.told[0]


def test_an_old_tensorrt_is_refused(monkeypatch) -> None:
    import sys
    from types import ModuleType

    old = ModuleType("tensorrt")
    old.__version__ = "8.6.1"
    monkeypatch.setitem(sys.modules, "tensorrt", old)
    with pytest.raises(BackendError, match=r"too old.*10 or 11"):
        tensorrt_module()


def test_an_engine_refuses_shapes_beyond_its_profile(weights, built) -> None:
    machine = Rig(built)
    plan = next(built.glob("sampler-1-fp32*.engine")).read_bytes()
    engine = Engine(machine.trt, Cuda(machine.cuda), plan)
    assert engine.most == ROWS
    with pytest.raises(BackendError, match="does not take this shape"):
        engine.run(probe(weights.shape, STEPS, ROWS + 1).inputs())
    assert engine.run(probe(weights.shape, STEPS).inputs())[0].shape[0] == 1
    engine.close()
    assert not machine.cuda.memory


@pytest.mark.parametrize("refused", ["cudaMalloc", "cudaHostAlloc"])
def test_a_buffer_that_does_not_fit_leaves_nothing_behind(refused) -> None:
    runtime = FakeCuda()
    runtime.failing[refused] = Code.cudaErrorMemoryAllocation
    with pytest.raises(BackendError, match="not enough memory"):
        Buffer(Cuda(runtime), (4,))
    assert not runtime.memory


def test_expected_time_is_that_of_the_last_build(weights, built, tmp_path) -> None:
    folder = copied(built, tmp_path / "copy")
    for sidecar in folder.glob("*.json"):
        told = json.loads(sidecar.read_text())
        sidecar.write_text(json.dumps(told | {"built_s": 33.0, "driver": 1}))
    machine = Rig(folder)
    machine.open(weights)
    assert any("of about 33 s" in text for text in machine.told), machine.told


def test_the_process_builds_what_the_order_says(weights, tmp_path, capsys) -> None:
    machine = Rig(tmp_path)
    output = tmp_path / "x.engine"
    order = build_module.order(weights, Variant("vae_decoder"), "fp32", output, tmp_path / "timing")
    assert build_module.main(order, machine.trt) == 0
    assert output.read_bytes().startswith(b"FAKE")
    assert build_module.main(order, machine.trt) == 0
    assert machine.trt.timing == [b"", b"timing"]
    lost = json.dumps(json.loads(order) | {"weights": str(tmp_path / "nowhere")})
    assert build_module.main(lost, machine.trt) == 1
    assert "weights are missing" in capsys.readouterr().err


def test_a_real_process_tells_why_it_cannot_build(weights, tmp_path, monkeypatch) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    started: list[Any] = []
    order = build_module.order(weights, Variant("encoder"), "fp32", tmp_path / "x.engine", None)
    code, told = build_in_process(order, started.append)
    assert code == 1
    assert "TensorRT is missing (libnvinfer.so.10" in told
    assert started[0].poll() == 1


def test_a_real_process_that_is_killed(weights, tmp_path, monkeypatch) -> None:
    (tmp_path / "tensorrt.py").write_text("import time\ntime.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    order = build_module.order(weights, Variant("encoder"), "fp32", tmp_path / "x.engine", None)
    assert build_in_process(order, lambda process: process.kill()) == (-9, "")
