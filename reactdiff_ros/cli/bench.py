"""`reactdiff bench`: what it costs and how fast it is, measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.bench_actuator import actuator_times
from reactdiff_ros.cli.bench_faults import faults
from reactdiff_ros.cli.bench_listeners import listeners_times
from reactdiff_ros.cli.bench_metrics import metrics as metrics_times
from reactdiff_ros.cli.bench_model import model_times
from reactdiff_ros.cli.bench_profile import profile_times
from reactdiff_ros.cli.bench_record import record as record_times
from reactdiff_ros.cli.bench_reference import reference as reference_times
from reactdiff_ros.cli.bench_replay import replay_times
from reactdiff_ros.cli.bench_response import response
from reactdiff_ros.cli.bench_soak import soak
from reactdiff_ros.cli.output import Number, echo

if TYPE_CHECKING:
    from reactdiff_ros.cli.listen import StopFlag


@click.group()
def bench() -> None:
    """Measure speed, latency, faults and long runs."""


for _command in (
    actuator_times,
    faults,
    listeners_times,
    metrics_times,
    model_times,
    profile_times,
    record_times,
    reference_times,
    replay_times,
    response,
    soak,
):
    bench.add_command(_command)


_CLIP = click.option(
    "--clip", type=click.Path(path_type=Path), help="Media file to play as if live (the demo speaker)."
)
_SECONDS = click.option("--seconds", type=Number(1.0, 86400.0), default=60.0, show_default=True, help="Counted time.")
_COMPUTE = click.option(
    "--compute/--no-compute", default=True, show_default=True, help="Also what 40 ms of live time cost (one more run)."
)
_POLICY = click.option(
    "--policy", metavar="NAME", help="Who decides the reactions: model, rules, mime, random or idle."
)


@bench.command()
@_CLIP
@_SECONDS
@click.option("--runs", type=click.IntRange(1, 99), default=1, show_default=True, help="Runs; the median one is told.")
@_POLICY
@click.option("--backend", metavar="NAME", help="What computes the model (auto).")
@click.option("--params", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="ROS parameter file.")
@_COMPUTE
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def live(
    clip: Path | None,
    seconds: float,
    runs: int,
    policy: str | None,
    backend: str | None,
    params: Path | None,
    compute: bool,
    as_json: bool,
) -> int:
    """Run the real graph (without a browser) on a clip and measure latency, rates, misses, CPU and memory.

    It counts after the graph is active, a face was seen (or 5 s) and 3 s of warm-up; a shorter clip is looped.
    compute: what 40 ms of live time cost in perception, encoder and plans, in one more run without ROS, at the clip's
    own speed; a plan's time is spread over the time until the next one, as it is drawn in a thread of its own.
    """
    from reactdiff_ros.cli.output import dumps, json_on_stdout

    with json_on_stdout(as_json) as result:
        asked = {"policy": policy, "backend": backend}
        given = {k: v for k, v in asked.items() if v is not None}
        result.update(measure_live(clip, seconds, runs, given, params, compute))
    if not as_json:
        echo(dumps(result, indent=2))
    return 0


def measure_live(
    clip: Path | None, seconds: float, runs: int, arguments: dict[str, str], params: Path | None, compute: bool
) -> dict[str, Any]:
    """The median run of the graph on a clip (None: the demo speaker), with what 40 ms cost if so wanted.

    Raises:
        MediaError: there is no such clip.
        click.UsageError: arguments of the graph are wrong.
    """
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.errors import ConfigError, MediaError
    from reactdiff_ros.evaluation.bench.live import median_run
    from reactdiff_ros.evaluation.bench.live_run import bench_live
    from reactdiff_ros.launching.live_graph import LiveOptions, wanted_nodes

    if clip is None:
        from reactdiff_ros.simulator.rendered import demo_clip_path

        clip = demo_clip_path()
    if not clip.is_file():
        raise MediaError("there is no such clip", where=str(clip), todo="name a media file")
    given = {**arguments, "clip": str(clip.absolute())}
    try:
        options = LiveOptions(arguments=given, parameters={"loop": True}, params_file=params)
        wanted_nodes(options)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    stop = StopFlag()
    done: list[dict[str, Any]] = []
    for run in range(1, runs + 1):
        tell(f"run {run} of {runs}: {clip.name}, {seconds:g} s")
        done.append(bench_live(options, seconds, tell, lambda: stop.set))
        tell(_line(done[-1]))
    figures = median_run(done)
    return figures | {"compute": _computed(clip, seconds, arguments, params, stop)} if compute else figures


def _computed(
    clip: Path, seconds: float, arguments: dict[str, str], params: Path | None, stop: StopFlag
) -> dict[str, Any]:  # fmt: skip
    """What 40 ms cost, in this process, with the parameters of the graph that was measured."""
    from time import perf_counter, sleep

    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.evaluation.bench.compute import bench_compute
    from reactdiff_ros.recordings.replay.parameters import settings_as_live

    tell(f"compute: {clip.name}, {seconds:g} s at its own speed")
    settings, _ = settings_as_live(arguments, params_file=params)
    return bench_compute(clip, settings, perf_counter, sleep, seconds=seconds, told=lambda share: not stop.set)


def _line(run: dict[str, Any]) -> str:
    def pair(name: str) -> str:
        value = run[name]
        return "none" if value is None else f"{value['p50']:g} / {value['p99']:g} ms"

    return (
        f"latency {pair('latency_ms')}, reaction {pair('reaction_ms')}, {run['deadline_misses']} misses, "
        f"{run['cpu_cores']:g} cores, {run['rss_mb']:g} MB"
    )
