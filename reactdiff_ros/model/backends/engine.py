"""One TensorRT engine at work: buffers allocated once for each shape, one stream, the work captured and replayed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

import numpy as np

from reactdiff_ros.types import FloatArray

from .base import BackendError
from .cuda import Buffer, Cuda

SHAPES: Final = 12
"""Shapes of inputs whose buffers and captured work are kept."""


def tensorrt_module() -> Any:
    """The module `tensorrt`.

    Raises:
        BackendError: it is not installed or does not load.
    """
    try:
        import tensorrt
    except Exception as error:
        raise BackendError(
            "TensorRT is missing", where=str(error).split("\n")[0],
            todo="install TensorRT 10 or 11 (JetPack brings it) and its Python binding",
        ) from error  # fmt: skip
    major = int(str(tensorrt.__version__).split(".")[0])
    if major < 10:
        raise BackendError(
            "TensorRT is too old", where=f"version {tensorrt.__version__}", todo="use TensorRT 10 or 11 (JetPack 6)"
        )
    return tensorrt


class Engine:
    """A deserialised engine. Calls from several threads wait for each other.

    Args:
        trt: the module `tensorrt`.
        cuda: the GPU.
        plan: the serialised engine.
        capture: replay CUDA graphs.

    Raises:
        BackendError: the engine is not for this TensorRT or GPU, or broken.
    """

    def __init__(self, trt: Any, cuda: Cuda, plan: bytes, *, capture: bool = True) -> None:
        self._trt, self._cuda, self.capture = trt, cuda, capture
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        try:
            self._engine = self._runtime.deserialize_cuda_engine(plan)
        except Exception as error:
            raise BackendError("a TensorRT engine cannot be loaded", where=str(error).split("\n")[0]) from error
        if self._engine is None:
            raise BackendError("a TensorRT engine cannot be loaded")
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        given = trt.TensorIOMode.INPUT
        self.inputs = [n for n in names if self._engine.get_tensor_mode(n) == given]
        self.outputs = [n for n in names if n not in self.inputs]
        first = self.inputs[0]
        self.most = int(self._engine.get_tensor_profile_shape(first, 0)[2][0])
        """Rows (listeners or speakers) that the engine takes at once."""
        self._works: OrderedDict[tuple[tuple[int, ...], ...], _Work] = OrderedDict()
        self._lock = Lock()

    def run(self, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """Outputs, in the engine's order; arrays of their own.

        Raises:
            BackendError: a shape that the engine does not take, no memory, or the GPU is gone.
        """
        with self._lock:
            self._cuda.bind_thread()
            return self._work(inputs).run(inputs)

    def close(self) -> None:
        """Free the buffers."""
        with self._lock:
            while self._works:
                self._works.popitem()[1].free()

    def _work(self, inputs: Mapping[str, FloatArray]) -> _Work:
        shapes = tuple(tuple(inputs[name].shape) for name in self.inputs)
        if shapes not in self._works:
            while len(self._works) >= SHAPES:
                self._works.popitem(last=False)[1].free()
            self._works[shapes] = _Work(self, dict(zip(self.inputs, shapes, strict=True)))
        self._works.move_to_end(shapes)
        return self._works[shapes]

    def context(self) -> Any:
        """A new execution context."""
        context = self._engine.create_execution_context()
        if context is None:
            raise BackendError("the GPU has not enough memory", where="TensorRT's execution context")
        return context

    @property
    def cuda(self) -> Cuda:
        """The GPU."""
        return self._cuda


class _Work:
    """What an engine does for inputs of one shape."""

    def __init__(self, engine: Engine, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._cuda, self._context = engine.cuda, engine.context()
        self._buffers: dict[str, Buffer] = {}
        self._graph: Any = None
        self._inputs, self._outputs = engine.inputs, engine.outputs
        try:
            for name, shape in shapes.items():
                if not self._context.set_input_shape(name, shape):
                    raise BackendError("a TensorRT engine does not take this shape", where=f"{name} {shape}")
                self._allocate(name, shape)
            for name in engine.outputs:
                self._allocate(name, tuple(self._context.get_tensor_shape(name)))
            # Once without capture: TensorRT prepares itself in the first call after a change of shapes.
            self._queue()
            self._cuda.wait()
            if engine.capture:
                self._graph = self._cuda.captured(self._queue)
        except BackendError:
            self.free()
            raise

    def run(self, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """Outputs for these inputs."""
        for name in self._inputs:
            np.copyto(self._buffers[name].host, inputs[name], casting="same_kind")
        if self._graph is not None:
            self._cuda.launch(self._graph)
        else:
            self._queue()
        self._cuda.wait()
        return [self._buffers[name].host.copy() for name in self._outputs]

    def free(self) -> None:
        """Give the memory back."""
        if self._graph is not None:
            self._cuda.forget(self._graph)
        for buffer in self._buffers.values():
            buffer.free()
        self._buffers.clear()

    def _allocate(self, name: str, shape: tuple[int, ...]) -> None:
        if min(shape, default=0) < 0:
            raise BackendError("a TensorRT engine does not tell the shape of its output", where=f"{name} {shape}")
        buffer = self._buffers[name] = Buffer(self._cuda, shape)
        buffer.host[...] = 0
        if not self._context.set_tensor_address(name, buffer.device):
            raise BackendError("a TensorRT engine does not take a buffer", where=name)

    def _queue(self) -> None:
        stream = self._cuda.stream
        for name in self._inputs:
            self._buffers[name].upload(stream)
        if not self._context.execute_async_v3(int(stream)):
            raise BackendError("TensorRT failed on the GPU", where="execute_async_v3")
        for name in self._outputs:
            self._buffers[name].download(stream)
