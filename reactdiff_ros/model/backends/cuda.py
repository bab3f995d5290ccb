"""The few calls of CUDA's runtime that an engine needs, through NVIDIA's own binding (cuda-python): memory, one stream,
captured work. No torch, no cupy: they bring gigabytes, and JetPack's wheels of them are few.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from reactdiff_ros.types import FloatArray

from .base import BackendError


def runtime_module() -> Any:
    """`cuda.bindings.runtime`, or `cuda.cudart` as it was called up to CUDA 12.5 (JetPack 6).

    Raises:
        BackendError: cuda-python is not installed, or finds no CUDA.
    """
    try:
        try:
            from cuda.bindings import runtime
        except ImportError:
            from cuda import cudart as runtime
    except Exception as error:
        raise BackendError(
            "CUDA's Python binding is missing", where=str(error).split("\n")[0],
            todo="pip install -r requirements/tensorrt.txt",
        ) from error  # fmt: skip
    return runtime


class Buffer:
    """The same array in page-locked host memory and on the GPU, allocated once."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...]) -> None:
        self._cuda, self._runtime = cuda, cuda.runtime
        self.size = 4 * int(np.prod(shape))
        # The GPU first: it refuses what does not fit at once, where page-locked memory would be taken from all others.
        self.device = int(cuda.call(self._runtime.cudaMalloc, max(self.size, 4)))
        try:
            self._pinned = cuda.call(self._runtime.cudaHostAlloc, max(self.size, 4), 0)
        except BackendError:
            self._runtime.cudaFree(self.device)
            raise
        memory = (ctypes.c_float * max(self.size // 4, 1)).from_address(int(self._pinned))
        self.host: FloatArray = np.ctypeslib.as_array(memory)[: self.size // 4].reshape(shape)

    def upload(self, stream: Any) -> None:
        """Queue the copy to the GPU."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._cuda.call(self._runtime.cudaMemcpyAsync, self.device, self._pinned, self.size, kind, stream)

    def download(self, stream: Any) -> None:
        """Queue the copy to the host."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._cuda.call(self._runtime.cudaMemcpyAsync, self._pinned, self.device, self.size, kind, stream)

    def free(self) -> None:
        """Give both back. The host's array must not be used any more."""
        self._runtime.cudaFree(self.device)
        self._runtime.cudaFreeHost(self._pinned)


class Cuda:
    """The first GPU, with one stream.

    Args:
        runtime: the module of CUDA's runtime; None: `runtime_module()`.

    Raises:
        BackendError: no binding, no driver, no GPU.
    """

    def __init__(self, runtime: Any = None) -> None:
        self.runtime = runtime or runtime_module()
        if self.call(self.runtime.cudaGetDeviceCount) < 1:
            raise BackendError("there is no NVIDIA GPU")
        self.call(self.runtime.cudaSetDevice, 0)
        properties = self.call(self.runtime.cudaGetDeviceProperties, 0)
        name = properties.name
        text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        self.name = text.strip("\0 ")
        """Of the GPU."""
        self.capability = f"{properties.major}.{properties.minor}"
        self.driver = int(self.call(self.runtime.cudaDriverGetVersion))
        self.stream = self.call(self.runtime.cudaStreamCreate)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a call of the runtime (None, one, or a tuple).

        Raises:
            BackendError: it failed.
        """
        try:
            code, *results = function(*arguments)
        except Exception as error:  # a library that is not there shows at its first call
            raise BackendError("CUDA cannot be used", where=str(error).split("\n")[0]) from error
        if int(code) != 0:
            name = getattr(code, "name", str(code))
            memory = "emoryAllocation" in name
            raise BackendError(
                "the GPU has not enough memory" if memory else "a call of CUDA failed",
                where=f"{getattr(function, '__name__', function)}: {name}",
            )
        return results[0] if len(results) == 1 else tuple(results) or None

    def bind_thread(self) -> None:
        """Make the GPU the one of the calling thread; CUDA keeps that for each thread."""
        self.call(self.runtime.cudaSetDevice, 0)

    def wait(self) -> None:
        """Until all that was queued is done."""
        self.call(self.runtime.cudaStreamSynchronize, self.stream)

    def captured(self, work: Callable[[], None]) -> Any:
        """What `work` queues on the stream, as a graph to `launch`; nothing of it runs now."""
        mode = self.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.call(self.runtime.cudaStreamBeginCapture, self.stream, mode)
        try:
            work()
        finally:
            graph = self.call(self.runtime.cudaStreamEndCapture, self.stream)
        executable = self.call(self.runtime.cudaGraphInstantiate, graph, 0)
        self.call(self.runtime.cudaGraphDestroy, graph)
        return executable

    def launch(self, graph: Any) -> None:
        """Queue captured work."""
        self.call(self.runtime.cudaGraphLaunch, graph, self.stream)

    def forget(self, graph: Any) -> None:
        """Free captured work."""
        self.runtime.cudaGraphExecDestroy(graph)

    def memory(self) -> tuple[int, int]:
        """Bytes of the GPU's memory: free, and all."""
        free, total = self.call(self.runtime.cudaMemGetInfo)
        return int(free), int(total)
