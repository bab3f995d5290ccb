"""`reactdiff bench model`: how long one frame and one plan take."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options


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
@options.JSON
def model_times(
    model: Path | None,
    steps: int | None,
    guidance: float | None,
    candidates: tuple[int, ...],
    threads: int,
    repeats: int,
    as_json: bool,
) -> int:
    """Time the model alone: a new speaker frame through the encoder, and a plan with all its steps and guidance.

    Nothing else should run on the machine meanwhile.
    """
    from time import perf_counter

    from reactdiff_ros.cli.output import dumps, json_on_stdout
    from reactdiff_ros.cli.progress import progress_bar
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
    if not as_json:
        click.echo(dumps(result, indent=2))
    return 0
