"""`reactdiff bench model`: how long one frame and one plan take."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import echo


@click.command("model")
@options.MODEL
@options.STEPS
@options.GUIDANCE
@click.option(
    "--candidates", type=click.IntRange(1, 64), multiple=True, default=(1, 10), show_default=True,
    help="Candidates of a plan; may be given several times.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads of ONNX Runtime.")
@click.option("--repeats", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Timed calls of each.")
@click.option(
    "--backend", "backends", type=click.Choice(("onnxruntime", "torch", "cuda", "tensorrt")), multiple=True,
    help="Rows of this backend alone; may be given several times (default: all that work here).",
)  # fmt: skip
@click.option("--rows/--no-rows", default=True, show_default=True,
              help="Also by backend, precision, steps, candidates, listeners and length.")  # fmt: skip
@options.JSON
def model_times(
    model: Path | None,
    steps: int | None,
    guidance: float | None,
    candidates: tuple[int, ...],
    threads: int,
    repeats: int,
    backends: tuple[str, ...],
    rows: bool,
    as_json: bool,
) -> int:
    """Time the model alone: a new speaker frame through the encoder, and a plan with all its steps and guidance.

    rows: median, p99, plans a second, times real time (a plan and its frames within a hop) and memory of each; one
    thing is varied at a time, with the rest as live, one candidate and one listener. TensorRT builds its engines first
    where there are none. Nothing else should run on the machine meanwhile.
    """
    from time import perf_counter, sleep

    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.matrix import BACKENDS, Clock, bench_matrix
    from reactdiff_ros.evaluation.bench.model import bench_model
    from reactdiff_ros.model.weights import find_weights

    with json_on_stdout(as_json) as result:
        how = options.sampling(steps, guidance, None)
        weights = find_weights(model or "")
        with progress_bar("timing") as show:
            figures = bench_model(
                weights, how, perf_counter, candidates=candidates, threads=threads, repeats=repeats, told=show
            )
        result.update(figures)
        if rows:
            chosen = [pair for pair in BACKENDS if not backends or pair[0] in backends]
            clock = Clock(perf_counter, sleep, repeats)
            with progress_bar("rows") as show:
                result.update(bench_matrix(weights, how, clock, backends=chosen, threads=threads, told=show, say=tell))
    if not as_json:
        echo(dumps(result, indent=2))
    return 0
