"""`reactdiff bench`: what it costs and how fast it is, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reactdiff_ros.types import POLICIES


@click.group()
def bench() -> None:
    """Measure the listener."""


@bench.command()
@click.option("--clip", type=click.Path(path_type=Path), help="Media file to play as if live (the demo speaker).")
@click.option("--seconds", type=click.FloatRange(1.0, 86400.0), default=60.0, show_default=True, help="Counted time.")
@click.option("--runs", type=click.IntRange(1, 99), default=1, show_default=True, help="Runs; the median one is told.")
@click.option("--policy", type=click.Choice(POLICIES), help="Who decides the reactions (model).")
@click.option("--backend", metavar="NAME", help="What computes the model (auto).")
@click.option("--params", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="ROS parameter file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def live(
    clip: Path | None,
    seconds: float,
    runs: int,
    policy: str | None,
    backend: str | None,
    params: Path | None,
    as_json: bool,
) -> int:
    """Run the real graph (without a browser) on a clip and measure latency, rates, misses, CPU and memory.

    It counts after the graph is active, a face was seen (or 5 s) and 3 s of warm-up; a shorter clip is looped.
    """
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell
    from reactdiff_ros.errors import MediaError

    if clip is not None and not clip.is_file():
        raise MediaError("there is no such clip", where=str(clip), todo="name a media file")
    with json_on_stdout(as_json) as result:
        from reactdiff_ros.evaluation.live_bench import median_run
        from reactdiff_ros.evaluation.live_run import bench_live
        from reactdiff_ros.nodes.live_graph import LiveOptions

        if clip is None:
            from reactdiff_ros.demo import demo_clip_path

            clip = demo_clip_path()
        given = {"clip": str(clip.absolute()), "policy": policy, "backend": backend}
        options = LiveOptions(
            arguments={k: v for k, v in given.items() if v is not None},
            parameters={"loop": True},
            params_file=params,
        )
        stop = StopFlag()
        done: list[dict[str, Any]] = []
        for run in range(1, runs + 1):
            tell(f"run {run} of {runs}: {clip.name}, {seconds:g} s")
            done.append(bench_live(options, seconds, tell, lambda: stop.set))
            tell(_line(done[-1]))
        result.update(median_run(done))
    if not as_json:
        click.echo(dumps(result, indent=2))
    return 0


def _line(run: dict[str, Any]) -> str:
    def pair(name: str) -> str:
        value = run[name]
        return "none" if value is None else f"{value['p50']:g} / {value['p99']:g} ms"

    return (
        f"latency {pair('latency_ms')}, reaction {pair('reaction_ms')}, {run['deadline_misses']} misses, "
        f"{run['cpu_cores']:g} cores, {run['rss_mb']:g} MB"
    )
