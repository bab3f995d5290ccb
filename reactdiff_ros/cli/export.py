"""`reactdiff dev export`: the weights of a checkpoint as they ship, and engines for this machine's GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder of the weights.")
@click.option("--name", default="live", show_default=True, help="Name of the preset in the manifest.")
@click.option("--tensorrt", is_flag=True, help="Build TensorRT's engines for this GPU ahead of time.")
@click.option("--model", default="", help="Without CHECKPOINT: weights to build engines of (the shipped).")
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True, help="Of engines.")
@click.option("--steps", type=click.IntRange(1, 64), multiple=True, default=(8,), show_default=True, help="Of engines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def export(
    checkpoint: Path | None,
    output: Path | None,
    name: str,
    tensorrt: bool,
    model: str,
    precision: str,
    steps: tuple[int, ...],
    as_json: bool,
) -> int:
    """Export a checkpoint as ONNX graphs or TensorRT engines.

    Write the averaged model of CHECKPOINT as ONNX graphs (float32 and float16), safetensors and a manifest.

    The manifest holds their hashes. With --tensorrt, build this GPU's engines of them into the user's cache
    (REACTDIFF_ENGINES, else ~/.cache/reactdiff_ros/engines); without CHECKPOINT, of the weights in --model.
    """
    from reactdiff_ros.cli.output import json_on_stdout, tell

    if checkpoint is None and not tensorrt:
        raise click.UsageError("give a CHECKPOINT, or --tensorrt for engines of the weights that are there")
    if (checkpoint is None) != (output is None):
        raise click.UsageError("CHECKPOINT and --output belong together")
    with json_on_stdout(as_json) as result:
        if checkpoint is not None and output is not None:
            from reactdiff_ros.training.export import MODEL_CARD
            from reactdiff_ros.training.export import export as run

            files = run(checkpoint, output, name)
            result.update(files={path.name: path.stat().st_size for path in files}, folder=str(output))
            if output / MODEL_CARD in files:
                tell(f"{output / MODEL_CARD} told of other weights; it now says that these are not measured")
            tell(f"{len(files)} files in {output}, {sum(p.stat().st_size for p in files) / 1e6:.1f} MB")
        if tensorrt:
            result["engines"] = _engines(str(output or model), precision, steps)
    return 0


def _engines(folder: str, precision: str, steps: tuple[int, ...]) -> dict[str, Any]:
    """Build what is missing; progress goes to stderr."""
    from time import perf_counter

    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.errors import MissingExtraError, ReactdiffError
    from reactdiff_ros.model.backends.base import BackendError
    from reactdiff_ros.model.backends.opening import Wanted, open_backend
    from reactdiff_ros.model.backends.tensorrt_backend import tensorrt_version
    from reactdiff_ros.model.weights import find_weights

    weights = find_weights(folder)
    try:
        tensorrt_version()
    except BackendError as error:
        raise MissingExtraError("TensorRT", f"{error}; docs/gpu.md tells how") from error
    wanted = Wanted("tensorrt", "fp32" if precision == "fp32" else "fp16", steps)
    opened = open_backend(weights, wanted, perf_counter, log=tell)
    backend = opened.tensorrt
    if backend is None:
        raise ReactdiffError("engines cannot be built here", todo=opened.serving.why)
    try:
        with progress_bar("engines") as show:
            while backend.running():
                show(backend.share())
                backend.wait(0.2)
    finally:
        opened.close()
    if not opened.serving.name.startswith("tensorrt"):
        raise ReactdiffError("engines cannot be built here", todo=opened.serving.why)
    tell(f"{len(backend.built_s)} engines built, {len(backend.cached)} were there: {backend.folder}")
    return {
        "folder": str(backend.folder), "built_s": backend.built_s, "from_cache": backend.cached,
        "precision": precision, "tensorrt": backend.version,
    }  # fmt: skip
