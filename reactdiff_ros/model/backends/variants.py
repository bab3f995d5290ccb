"""What engines are built of: one variant for each graph, and for each loop of the sampler that is in use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from reactdiff_ros.model.plan.solvers import angles
from reactdiff_ros.model.weights import Weights, sha256

from .base import Precision

GRAPHS_VERSION: Final = 3
"""Of how graphs are put together here; another one makes other engines."""
DECODED_BEFORE: Final = 16
"""Frames of the past that are decoded with a plan: the decoder's context and those over which `sampler.faces` calms."""
ROWS: Final = 64
"""Listeners or speakers that an engine takes at once; more go one part after another."""
CANDIDATES: Final = 16
"""Candidates that an engine takes at once."""
OPTIMAL_ROWS: Final = 8
"""What engines are tuned for: the candidates of one listener after the first stretch, or a few listeners."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A graph that an engine is built from."""

    graph: str
    """"encoder", "vae_decoder" or "sampler"."""
    schedule: tuple[float, ...] = ()
    guided: bool = False

    @property
    def name(self) -> str:
        """For files and logs."""
        if self.graph != "sampler":
            return self.graph
        return f"sampler-{len(self.schedule)}" + ("-guided" if self.guided else "")


def variants(steps: Sequence[int]) -> list[Variant]:
    """What a listener needs with these numbers of steps, the sampler first."""
    loops = [Variant("sampler", tuple(angles(n)), guided) for n in dict.fromkeys(steps) for guided in (False, True)]
    return [*loops, Variant("vae_decoder"), Variant("encoder")]


def sources(variant: Variant) -> list[str]:
    """The shipped graphs that a variant is made of."""
    return ["context", "denoiser"] if variant.graph == "sampler" else [variant.graph]


def onnx_hash(weights: Weights, variant: Variant) -> str:
    """Hex SHA-256 of all that the variant's ONNX graph follows from."""
    parts = {graph: sha256(weights.graph(graph)) for graph in sources(variant)}
    told = {"version": GRAPHS_VERSION, "parts": parts, "variant": asdict(variant), "rows": ROWS, "most": CANDIDATES}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def onnx_of(weights: Weights, variant: Variant, precision: Precision) -> bytes:
    """The variant's ONNX graph, folded, with free axes. Needs the package `onnx`."""
    import onnx

    from .half import folded, in_half_precision
    from .sampler_graph import sampler_graph

    model: Any
    if variant.graph == "sampler":
        context, denoiser = (weights.graph(name) for name in sources(variant))
        model = sampler_graph(context, denoiser, variant.schedule, guided=variant.guided)
    else:
        model = onnx.load(str(weights.graph(variant.graph)))
    model = folded(model)
    if precision == "fp16":
        model = in_half_precision(model)
    raw: bytes = model.SerializeToString()
    return raw


def ranges(shape: Sequence[int | str], variant: Variant, horizon: int) -> tuple[list[int], list[int], list[int]]:
    """Smallest, usual and largest size of each axis of an input; free axes are named or negative."""
    twice = 2 if variant.guided else 1
    sizes = {
        "N": (1, OPTIMAL_ROWS, ROWS), "listeners": (1, OPTIMAL_ROWS, ROWS), "speakers": (1, 1, ROWS),
        "K": (1, 1, CANDIDATES), "M": (twice, twice, twice * CANDIDATES), "H": (1, 4, horizon),
        "frames": (7, DECODED_BEFORE + 12, DECODED_BEFORE + horizon),
    }  # fmt: skip
    columns = [sizes[axis] if isinstance(axis, str) else (axis, axis, axis) for axis in shape]
    low, usual, high = (list(column) for column in zip(*columns, strict=True))
    return low, usual, high
