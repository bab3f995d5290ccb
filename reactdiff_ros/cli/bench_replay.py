"""`reactdiff bench replay`: how many times faster than its own time a bag is replayed."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli.output import Number, echo
from reactdiff_ros.settings import POLICIES


@click.command("replay")
@click.option("--clip", type=click.Path(path_type=Path), help="Media file to make the bag of (the demo speaker).")
@click.option("--seconds", type=Number(1.0, 3600.0), default=60.0, show_default=True, help="Of the clip.")
@click.option("--runs", type=click.IntRange(1, 99), default=3, show_default=True, help="Runs; the median one is told.")
@click.option("--policy", type=click.Choice(POLICIES), default="model", show_default=True, help="Who listens.")
@click.option("--processes", type=click.IntRange(1, 2), default=2, show_default=True, help="As for 'bag replay'.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def replay_times(clip: Path | None, seconds: float, runs: int, policy: str, processes: int, as_json: bool) -> int:
    """Make a bag of a clip (the demo speaker: 640x480, 25 pictures a second) and time `reactdiff bag replay` on it.

    Nothing else should run on the machine meanwhile.
    """
    from time import perf_counter

    from reactdiff_ros.cli.output import dumps, json_on_stdout
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.replay import bench_replay
    from reactdiff_ros.simulator.rendered import demo_clip_path

    with json_on_stdout(as_json) as result, progress_bar("replaying") as show:
        result.update(
            bench_replay(
                clip or demo_clip_path(), perf_counter, seconds=seconds, runs=runs, policy=policy,
                processes=processes, told=show,
            )
        )  # fmt: skip
    if not as_json:
        echo(dumps(result, indent=2))
    return 0
