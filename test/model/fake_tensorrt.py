"""TensorRT and CUDA's runtime without a GPU: the calls are checked, the numbers come from ONNX Runtime on the CPU.

"Device" memory is host memory; queued work runs at once, or when captured work is launched. An engine is its ONNX
graph with its profile; it is bound to a version and a GPU as real ones are.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np

MAGIC = b"FAKE ENGINE\n"


class Code(IntEnum):
    """cudaError_t."""

    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700


class FakeCuda:
    """`cuda.bindings.runtime`. `failing` maps a call's name to what it returns."""

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, name: bytes = b"Fake GPU 9000", driver: int = 13000, devices: int = 1) -> None:
        self.name, self.driver, self.devices = name, driver, devices
        self.failing: dict[str, Code] = {}
        self.calls: list[str] = []
        self.memory: dict[int, Any] = {}
        self._captured: list[Callable[[], None]] | None = None

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if not name.startswith("cuda") or not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.failing:
                return (self.failing[name], None)
            return found(*arguments)

        call.__name__ = name
        return call

    def cudaGetDeviceCount(self):
        return Code.cudaSuccess, self.devices

    def cudaSetDevice(self, device):
        return (Code.cudaSuccess,)

    def cudaGetDeviceProperties(self, device):
        return Code.cudaSuccess, SimpleNamespace(name=self.name + b"\0", major=9, minor=0)

    def cudaDriverGetVersion(self):
        return Code.cudaSuccess, self.driver

    def cudaMemGetInfo(self):
        return Code.cudaSuccess, 1 << 30, 1 << 31

    def cudaStreamCreate(self):
        return Code.cudaSuccess, 77

    def cudaStreamSynchronize(self, stream):
        assert stream == 77
        assert self._captured is None, "a capture must not wait"
        return (Code.cudaSuccess,)

    def _allocate(self, size):
        memory = ctypes.create_string_buffer(size)
        ctypes.memset(memory, 0x7F, size)  # as good as random
        self.memory[ctypes.addressof(memory)] = memory
        return Code.cudaSuccess, ctypes.addressof(memory)

    def cudaHostAlloc(self, size, flags):
        return self._allocate(size)

    def cudaMalloc(self, size):
        return self._allocate(size)

    def cudaFree(self, address):
        del self.memory[address]
        return (Code.cudaSuccess,)

    def cudaFreeHost(self, address):
        del self.memory[address]
        return (Code.cudaSuccess,)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        assert stream == 77
        assert to in self.memory, "not allocated"
        assert source in self.memory, "not allocated"
        self.queue(lambda: ctypes.memmove(to, source, size))
        return (Code.cudaSuccess,)

    def queue(self, work: Callable[[], Any]) -> None:
        """Do it now, or keep it for the graph."""
        if self._captured is None:
            work()
        else:
            self._captured.append(work)

    def cudaStreamBeginCapture(self, stream, mode):
        self._captured = []
        return (Code.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):
        graph, self._captured = self._captured, None
        return Code.cudaSuccess, graph

    def cudaGraphInstantiate(self, graph, flags):
        return Code.cudaSuccess, list(graph)

    def cudaGraphDestroy(self, graph):
        return (Code.cudaSuccess,)

    def cudaGraphExecDestroy(self, graph):
        return (Code.cudaSuccess,)

    def cudaGraphLaunch(self, graph, stream):
        assert stream == 77
        for work in graph:
            work()
        return (Code.cudaSuccess,)


class FakeTensorRT:
    """The module `tensorrt`, bound to a `FakeCuda`.

    `broken` is None, or what goes wrong: "parse", "build", "context", "enqueue".
    """

    class NetworkDefinitionCreationFlag(IntEnum):
        STRONGLY_TYPED = 1

    class BuilderFlag(IntEnum):
        TF32 = 7  # FP16 is not there, as in TensorRT 11

    class MemoryPoolType(IntEnum):
        WORKSPACE = 0

    class TensorIOMode(IntEnum):
        INPUT = 1
        OUTPUT = 2

    class Logger:
        WARNING, ERROR = 2, 1

        def __init__(self, level):
            self.level = level

    def __init__(self, cuda: FakeCuda, version: str = "11.4.0.106") -> None:
        self.__version__, self.cuda, self.broken = version, cuda, None
        self.built: list[str] = []
        self.timing: list[bytes] = []

    def Builder(self, logger):
        return _Builder(self)

    def OnnxParser(self, network, logger):
        return _Parser(self, network)

    def Runtime(self, logger):
        return SimpleNamespace(deserialize_cuda_engine=self._deserialise)

    def _deserialise(self, plan):
        head, _, rest = bytes(plan).partition(b"\n\n")
        if not head.startswith(MAGIC):
            return None
        told = json.loads(head[len(MAGIC) :])
        if told["version"] != self.__version__ or told["gpu"] != self.cuda.name.decode():
            return None
        return _Engine(self, told["profile"], rest)


class _Builder:
    def __init__(self, trt):
        self._trt = trt

    def create_network(self, flags):
        assert flags == 1 << FakeTensorRT.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return SimpleNamespace(num_inputs=0, inputs=[], model=b"")

    def create_builder_config(self):
        return _Config(self._trt)

    def create_optimization_profile(self):
        shapes: dict[str, Any] = {}

        def set_shape(name, low, usual, high):
            assert all(a <= b <= c for a, b, c in zip(low, usual, high, strict=True)), name
            shapes[name] = [list(low), list(usual), list(high)]

        return SimpleNamespace(set_shape=set_shape, shapes=shapes)

    def build_serialized_network(self, network, config):
        if self._trt.broken == "build":
            return None
        profile = config.profiles[0].shapes
        assert set(profile) == {i.name for i in network.inputs}
        told = {"version": self._trt.__version__, "gpu": self._trt.cuda.name.decode(), "profile": profile}
        self._trt.built.append(",".join(profile))
        return MAGIC + json.dumps(told).encode() + b"\n\n" + network.model


class _Config:
    def __init__(self, trt):
        self._trt, self.profiles = trt, []

    def set_memory_pool_limit(self, pool, size):
        assert size > 0

    def clear_flag(self, flag):
        assert flag == FakeTensorRT.BuilderFlag.TF32

    def create_timing_cache(self, known):
        self._trt.timing.append(bytes(known))
        return SimpleNamespace(serialize=lambda: b"timing")

    def set_timing_cache(self, cache, ignore_mismatch):
        self._cache = cache

    def get_timing_cache(self):
        return self._cache

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)


class _Parser:
    def __init__(self, trt, network):
        self._trt, self._network, self.num_errors = trt, network, 0

    def parse(self, model):
        import onnxruntime as ort

        if self._trt.broken == "parse":
            self.num_errors = 1
            return False
        names = [SimpleNamespace(name=i.name) for i in ort.InferenceSession(model).get_inputs()]
        self._network.model, self._network.inputs, self._network.num_inputs = model, names, len(names)
        self._network.get_input = lambda i: names[i]
        return True

    def get_error(self, number):
        return "no such operator"


class _Engine:
    def __init__(self, trt, profile, model):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.trt, self.profile = trt, profile
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.outputs = [o.name for o in self.session.get_outputs()]
        self.num_io_tensors = len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, number):
        return [*self.inputs, *self.outputs][number]

    def get_tensor_mode(self, name):
        return FakeTensorRT.TensorIOMode.INPUT if name in self.inputs else FakeTensorRT.TensorIOMode.OUTPUT

    def get_tensor_profile_shape(self, name, number):
        assert number == 0
        return [tuple(shape) for shape in self.profile[name]]

    def create_execution_context(self):
        return None if self.trt.broken == "context" else _Context(self)


class _Context:
    def __init__(self, engine):
        self._engine, self._shapes, self._addresses = engine, {}, {}

    def set_input_shape(self, name, shape):
        low, _, high = self._engine.profile[name]
        if any(not a <= n <= b for a, n, b in zip(low, shape, high, strict=True)):
            return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        assert set(self._shapes) == set(self._engine.inputs)
        zeros = {n: np.zeros(s, dtype=np.float32) for n, s in self._shapes.items()}
        number = self._engine.outputs.index(name)
        return self._engine.session.run(None, zeros)[number].shape

    def set_tensor_address(self, name, address):
        assert address in self._engine.trt.cuda.memory
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        assert stream == 77
        assert set(self._addresses) == {*self._engine.inputs, *self._engine.outputs}
        if self._engine.trt.broken == "enqueue":
            return False
        self._engine.trt.cuda.queue(self._execute)
        return True

    def _execute(self):
        given = {n: _array(self._addresses[n], s) for n, s in self._shapes.items()}
        for name, out in zip(self._engine.outputs, self._engine.session.run(None, given), strict=True):
            _array(self._addresses[name], out.shape)[...] = out


def _array(address, shape):
    count = int(np.prod(shape))
    return np.frombuffer((ctypes.c_float * count).from_address(address), dtype=np.float32).reshape(shape)
