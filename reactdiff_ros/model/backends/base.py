"""The interface of what executes the networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.types import FloatArray

Precision = Literal["fp32", "fp16"]


class BackendError(ReactdiffError):
    """A backend is not there, cannot load, or failed while running; another one goes on."""


class NotReadyError(BackendError):
    """Work that is not prepared yet on a backend that works; meanwhile another one does it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is drawn at once: M noisy stretches for each of N listeners, M = K candidates or, guided, twice as many."""

    speaker: FloatArray
    """(N, S, D) tokens, oldest first."""
    past: FloatArray
    """(N, past, L) latents, behind the tokens of the memory where the networks have one."""
    conditions: FloatArray
    """(N, condition_count)."""
    mask: FloatArray
    """(N, M, C) of the context tokens; guided: K that see the speaker, then K that do not."""
    noise: FloatArray
    """(N, K, H, L)."""
    schedule: tuple[float, ...]
    """Noise angles, one for each evaluation."""
    strength: FloatArray | None = None
    """(N, 1, 1, 1) guidance; None: 1."""

    @property
    def guided(self) -> bool:
        """Whether the speaker is drawn without as well."""
        return self.strength is not None

    def inputs(self) -> dict[str, FloatArray]:
        """By the names of the sampler's graph, see `graphs`."""
        arrays = {
            "speaker": self.speaker, "past": self.past, "conditions": self.conditions, "mask": self.mask,
            "noise": self.noise,
        }  # fmt: skip
        return arrays if self.strength is None else arrays | {"strength": self.strength}


class Backend(Protocol):
    """Executes the graphs of one set of weights. May be called from several threads.

    Every call may raise BackendError; `opening.Serving` then goes on with the CPU.
    """

    @property
    def name(self) -> str:
        """As published with every reaction: "onnxruntime-cpu", "tensorrt-fp16", ..."""
        ...

    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """Outputs of one of `weights.GRAPHS`. All float32."""
        ...

    def stretch(self, job: Stretch) -> FloatArray:
        """What the denoiser draws, (N, K, H, L), by `solvers.fitted_multistep` along `job.schedule`."""
        ...
