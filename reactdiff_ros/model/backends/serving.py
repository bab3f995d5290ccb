"""What a listener is served by: a backend that may come later, and the CPU that is always there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Final, TypeVar

from reactdiff_ros.types import FloatArray

from .base import Backend, BackendError, NotReadyError, Stretch
from .tensorrt_backend import MissingEngineError
from .variants import Variant

Result = TypeVar("Result")
Call = Callable[[Backend], object]
KEPT: Final = 16
"""Kinds of work that are remembered, to be tried on a backend before it takes over."""


class Serving:
    """Calls the best backend that works; on an error the CPU does the same work at once, and from then on.

    A switch changes neither noise nor past, so that the face goes on without a jump. A backend has done all kinds of
    work that were asked for so far before it takes over, so that no plan waits for its preparations. Calls may come
    from several threads; the switch is one assignment.

    Args:
        cpu: never fails for want of a GPU.
        why: in words, why `cpu` is in use.
    """

    def __init__(self, cpu: Backend, why: str) -> None:
        self._cpu, self._now = cpu, cpu
        self._seen: dict[Hashable, Call] = {}
        self.why = why
        """Why the backend in use is in use."""
        self.wanted: set[Variant] = set()
        """Engines that were missed."""
        self.missed: Callable[[Variant], None] = lambda variant: None
        """Is told of each of them once."""

    @property
    def name(self) -> str:
        """Of the backend in use."""
        return self._now.name

    @property
    def cpu(self) -> Backend:
        """What is always there."""
        return self._cpu

    def switch(self, backend: Backend, why: str) -> None:
        """Serve by this backend from now on, after it has done each kind of work once.

        Raises:
            BackendError: it failed at that; the backend in use stays.
        """
        if backend is not self._cpu:
            for call in list(self._seen.values()):
                with suppress(NotReadyError):
                    call(backend)
        self._now, self.why = backend, why

    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `base.Backend`."""
        shapes = tuple(array.shape for array in inputs.values())
        return self._either((graph, shapes), lambda backend: backend.run(graph, inputs))

    def stretch(self, job: Stretch) -> FloatArray:
        """See `base.Backend`."""
        kind = (job.schedule, job.noise.shape, job.guided)
        return self._either(kind, lambda backend: backend.stretch(job))

    def _either(self, kind: Hashable, call: Callable[[Backend], Result]) -> Result:
        now = self._now
        if now is self._cpu:
            if kind not in self._seen and len(self._seen) < KEPT:
                self._seen[kind] = call
            return call(now)
        try:
            return call(now)
        except MissingEngineError as missing:
            if missing.variant not in self.wanted:
                self.wanted.add(missing.variant)
                self.missed(missing.variant)
        except NotReadyError:
            pass
        except BackendError as error:
            if self._now is now:
                self.switch(self._cpu, f"{now.name} failed while running, the CPU goes on: {error}")
        return call(self._cpu)
