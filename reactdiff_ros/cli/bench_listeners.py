"""`reactdiff bench listeners`: how many robots one reaction_node serves on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import Number, echo

if TYPE_CHECKING:
    from reactdiff_ros.model.backends.base import Precision


@click.command("listeners")
@options.MODEL
@click.option("--clip", type=click.Path(path_type=Path), help="Media file with a speaker (the demo speaker).")
@click.option(
    "--listeners", type=click.IntRange(1, 256), multiple=True, default=(1, 2, 4, 8, 16), show_default=True,
    help="Numbers of listeners; may be given several times.",
)  # fmt: skip
@click.option("--candidates", type=click.IntRange(1, 16), default=1, show_default=True, help="Candidates of a plan.")
@click.option("--steps", type=click.IntRange(1, 64), default=8, show_default=True, help="Steps of the denoiser.")
@click.option("--seconds", type=Number(1.0, 3600.0), default=20.0, show_default=True, help="Live time each.")
@click.option(
    "--backend", type=click.Choice(("onnxruntime", "cuda", "tensorrt")), default="onnxruntime", show_default=True,
    help="What computes the model.",
)  # fmt: skip
@click.option("--precision", type=click.Choice(("fp32", "fp16")), default="fp16", show_default=True, help="Of a GPU.")
@options.JSON
def listeners_times(
    model: Path | None, clip: Path | None, listeners: tuple[int, ...], candidates: int, steps: int, seconds: float,
    backend: str, precision: Precision, as_json: bool,
) -> int:  # fmt: skip
    """Time many listeners in one batch: each takes in 25 frames a second and plans as reaction_node lets it.

    A load below 1 is real time in one thread. Nothing else should run on the machine meanwhile.
    """
    from time import perf_counter, sleep

    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.listeners import bench_listeners, speaker_frames
    from reactdiff_ros.evaluation.bench.matrix import Clock, opened_backend
    from reactdiff_ros.model.listener import ListenerConfig
    from reactdiff_ros.model.runtime import Networks
    from reactdiff_ros.model.weights import find_weights
    from reactdiff_ros.simulator.rendered import demo_clip_path

    with json_on_stdout(as_json) as result:
        weights = find_weights(model or "")
        clock = Clock(perf_counter, sleep, 1)
        serving, close = opened_backend(weights, backend, precision, (steps,), clock, 1, tell)
        config = ListenerConfig(model_dir=str(model or ""), candidates=candidates, steps=steps)
        played = clip or demo_clip_path()
        result["clip"] = played.name
        with progress_bar("timing") as show:
            result.update(
                bench_listeners(
                    speaker_frames(played, perf_counter), config, perf_counter, counts=listeners, seconds=seconds,
                    networks=Networks(weights, backend=serving), told=show,
                )
            )  # fmt: skip
        close()
    if not as_json:
        echo(dumps(result, indent=2))
    return 0
