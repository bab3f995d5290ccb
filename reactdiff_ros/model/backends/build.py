"""Builds one engine. Run as a process of its own, so that a build that is killed or crashes leaves the listener alone.

`python -m reactdiff_ros.model.backends.build ORDER`, ORDER a JSON object: weights (folder), variant, precision, output
(file of the engine), timing (file of TensorRT's timing cache, may be ""). Exit 0, or 1 with a sentence on stderr.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.weights import Weights, find_weights

from .base import BackendError, Precision
from .engine import tensorrt_module
from .variants import Variant, onnx_of, ranges


def build(trt: Any, model: bytes, variant: Variant, precision: Precision, horizon: int, timing: bytes) -> Any:
    """The serialised engine of an ONNX graph, and the timing cache as it is then.

    The network is strongly typed: what is half precision stands in the graph, for TensorRT 11 has no flag for it.

    Raises:
        BackendError: TensorRT does not take the graph or cannot build.
    """
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        told = "; ".join(str(parser.get_error(i)) for i in range(min(parser.num_errors, 3)))
        raise BackendError("TensorRT does not take a network", where=variant.name, todo=told)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 30)
    if precision == "fp32" and hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)  # ten bits of mantissa are not float32
    config.set_timing_cache(config.create_timing_cache(timing), False)
    profile = builder.create_optimization_profile()
    axes = _axes(model)
    for i in range(network.num_inputs):
        name = network.get_input(i).name
        profile.set_shape(name, *ranges(axes[name], variant, horizon))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError("TensorRT cannot build an engine", where=variant.name, todo="its log stands above")
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def write_whole(path: Path, content: bytes) -> None:
    """Write a private file that is either there as a whole or as it was before."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def order(weights: Weights, variant: Variant, precision: Precision, output: Path, timing: Path | None) -> str:
    """The argument of the process."""
    return json.dumps(
        {
            "weights": str(weights.folder), "graph": variant.graph, "schedule": variant.schedule,
            "guided": variant.guided, "precision": precision, "output": str(output), "timing": str(timing or ""),
        }
    )  # fmt: skip


def main(argument: str, trt: Any = None) -> int:
    """Do what an order says."""
    told = json.loads(argument)
    variant = Variant(told["graph"], tuple(told["schedule"]), told["guided"])
    timing = Path(told["timing"]) if told["timing"] else None
    known = b""
    if timing is not None:
        with suppress(OSError):
            known = timing.read_bytes()
    try:
        weights = find_weights(told["weights"])
        module = trt or tensorrt_module()
        model = onnx_of(weights, variant, told["precision"])
        plan, learnt = build(module, model, variant, told["precision"], weights.shape["horizon"], known)
        write_whole(Path(told["output"]), plan)
    except ImportError as error:
        print(f"a package for building engines is missing ({error.name}): install it with pip", file=sys.stderr)
        return 1
    except (ReactdiffError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if timing is not None:
        with suppress(OSError):
            write_whole(timing, learnt)
    return 0


def _axes(model: bytes) -> dict[str, list[int | str]]:
    """Sizes or names of the axes of a graph's inputs."""
    import onnx

    return {
        i.name: [dim.dim_param or dim.dim_value for dim in i.type.tensor_type.shape.dim]
        for i in onnx.load_model_from_string(model).graph.input
    }


if __name__ == "__main__":
    os.nice(10)  # the listener comes first
    sys.exit(main(sys.argv[1]))
