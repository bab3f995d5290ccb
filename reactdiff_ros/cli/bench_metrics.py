"""`reactdiff bench metrics`: how much faster the metrics are than the challenge's way of computing them."""

from __future__ import annotations

import click

from reactdiff_ros.cli.output import echo


@click.command("metrics")
@click.option("--speakers", type=click.IntRange(1, 64), default=2, show_default=True, help="Speakers of the set.")
@click.option("--targets", type=click.IntRange(1, 256), default=10, show_default=True, help="Targets of a speaker.")
@click.option("--frames", type=click.IntRange(60, 10_000), default=750, show_default=True, help="Frames of a clip.")
@click.option("--repeats", type=click.IntRange(1, 100), default=3, show_default=True, help="Timed runs of ours.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of the generated set.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def metrics(speakers: int, targets: int, frames: int, repeats: int, seed: int, as_json: bool) -> int:
    """Time FRD, FRC and FRSyn against the challenge's algorithm (tslearn) on one core, in CPU seconds of this run."""
    from time import process_time

    from reactdiff_ros.cli.output import dumps, json_on_stdout
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.metrics import bench_metrics
    from reactdiff_ros.resources import require

    require("tslearn")
    with json_on_stdout(as_json) as result:
        with progress_bar("timing") as show:
            figures = bench_metrics(
                process_time, seed=seed, speakers=speakers, targets=targets, frames=frames, repeats=repeats, told=show
            )
        result.update(figures)
    if not as_json:
        echo(dumps(result, indent=2))
    return 0
