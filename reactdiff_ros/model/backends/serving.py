"""What a listener is served by: a backend that may come later, and the CPU that is always there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from reactdiff_ros.types import FloatArray

from .base import Backend, BackendError, Stretch
from .tensorrt_backend import MissingEngineError
from .variants import Variant

Result = TypeVar("Result")


class Serving:
    """Calls the best backend that works; on an error the CPU does the same work at once, and from then on.

    A switch changes neither noise nor past, so that the face goes on without a jump. Calls may come from several
    threads; the switch is one assignment.

    Args:
        cpu: never fails for want of a GPU.
        why: in words, why `cpu` is in use.
    """

    def __init__(self, cpu: Backend, why: str) -> None:
        self._cpu, self._now = cpu, cpu
        self.why = why
        """Why the backend in use is in use."""
        self.wanted: set[Variant] = set()
        """Engines that were missed."""

    @property
    def name(self) -> str:
        """Of the backend in use."""
        return self._now.name

    @property
    def cpu(self) -> Backend:
        """What is always there."""
        return self._cpu

    def switch(self, backend: Backend, why: str) -> None:
        """Serve by this backend from the next call on."""
        self._now, self.why = backend, why

    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `base.Backend`."""
        return self._either(lambda backend: backend.run(graph, inputs))

    def stretch(self, job: Stretch) -> FloatArray:
        """See `base.Backend`."""
        return self._either(lambda backend: backend.stretch(job))

    def _either(self, call: Callable[[Backend], Result]) -> Result:
        now = self._now
        if now is self._cpu:
            return call(now)
        try:
            return call(now)
        except MissingEngineError as missing:
            self.wanted.add(missing.variant)
        except BackendError as error:
            if self._now is now:
                self.switch(self._cpu, f"{now.name} failed while running, the CPU goes on: {error}")
        return call(self._cpu)
