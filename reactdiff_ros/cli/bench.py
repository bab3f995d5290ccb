"""`reactdiff bench`: measures what it costs, how fast it is, what faults do to it and whether it lasts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import common, evaluation
from reactdiff_ros.cli.common import Number, StopFlag, log, progress_bar
from reactdiff_ros.errors import MediaError, MissingExtraError
from reactdiff_ros.resources import require, require_tools

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.bench.graph import Visitor
    from reactdiff_ros.launching.live_graph import LiveOptions
    from reactdiff_ros.launching.table import Value
    from reactdiff_ros.model.backends.base import Precision

CLIP = click.option("--clip", type=common.PATH, help="Media file to play (the demo speaker).")
POLICY = click.option("--policy", metavar="NAME", help="Reaction policy: model, rules, mime, random or idle.")


def runs_option(default: int, text: str = "Number of runs; the median is reported.") -> Callable[..., Any]:
    """--runs, the number of measurements."""
    return click.option("--runs", type=click.IntRange(1, 99), default=default, help=text)


def seconds_option(
    least: float, most: float, default: float, text: str = "Length of the measurement."
) -> Callable[..., Any]:
    """--seconds, the length of a measurement."""
    return click.option("--seconds", type=Number(least, most), default=default, help=text)


@click.group(cls=common.Group, checkout=("faults", "metrics", "profile", "record", "reference", "replay", "soak"))
def bench() -> None:
    """Measure speed, latency, faults and long runs."""


def played_clip(clip: Path | None) -> Path:
    """The clip, or the demo speaker. Raises MediaError if there is no such file."""
    from reactdiff_ros.resources import demo_clip_path

    played = clip or demo_clip_path()
    if not played.is_file():
        raise MediaError("there is no such clip", where=str(played), todo="name a media file")
    return played


def looped_graph(
    clip: Path | None, arguments: dict[str, str | None], parameters: dict[str, Value] | None = None, *,
    params_file: Path | None = None, own_domain: bool = True,
) -> LiveOptions:  # fmt: skip
    """What to run, on a clip in a loop if there is one.

    `own_domain`: in a free ROS domain even where ROS_DOMAIN_ID is set.

    Raises:
        click.UsageError: the graph has no such arguments or values.
    """
    from reactdiff_ros.launching.live_graph import LiveOptions, domain_of, wanted_nodes

    given = {} if clip is None else {"clip": str(clip.absolute())}
    given |= {name: value for name, value in arguments.items() if value is not None}
    domain = None if own_domain or not os.environ.get("ROS_DOMAIN_ID") else domain_of(os.environ)
    with common.usage_errors():
        wanted = LiveOptions(given, {"loop": True, **(parameters or {})}, params_file=params_file, domain=domain)
        wanted_nodes(wanted)
    return wanted


@bench.command()
@CLIP
@click.option(
    "--camera", type=common.Choice(["browser"]),
    help="browser: the clip is what a visitor of the page shows, in headless Chromium (from a checkout).",
)  # fmt: skip
@seconds_option(1.0, 86400.0, 60.0)
@runs_option(1)
@POLICY
@click.option("--say", "text", default="", metavar="TEXT", help="Let the robot say this all the time.")
@click.option("--backend", metavar="NAME", help="Inference backend (auto).")
@click.option("--params", type=common.FILE, metavar="FILE", help="ROS parameter file.")
@click.option("--compute/--no-compute", default=True,
              help="Also measure the computing time of 40 ms of live time (one more run).")  # fmt: skip
@common.figures
def live(
    clip: Path | None, camera: str | None, seconds: float, runs: int, policy: str | None, text: str,
    backend: str | None, params: Path | None, compute: bool,
) -> dict[str, Any]:  # fmt: skip
    """Run the real graph on a clip and measure latency, rates, CPU and memory.

    No browser runs unless --camera browser is given. The measurement starts when the graph is active, a face was seen
    (or after 5 s) and 3 s have passed; a shorter clip is looped. compute: time that perception, encoder and plans need
    for every 40 ms, in one more run without ROS, at the clip's own speed; a plan's time is spread over the time until
    the next one, as it is drawn in its own thread.
    """
    arguments = {"camera": camera, "policy": policy, "backend": backend}
    return measure_live(clip, seconds, runs, arguments, params, compute, text)


def measure_live(
    clip: Path | None, seconds: float, runs: int, arguments: dict[str, str | None], params: Path | None, compute: bool,
    text: str = "",
) -> dict[str, Any]:  # fmt: skip
    """The median run of the graph on a clip (None: the demo speaker); `compute`: also what 40 ms cost.

    Raises:
        MediaError: there is no such clip.
        click.UsageError: arguments of the graph are wrong.
    """
    from reactdiff_ros.evaluation.bench.graph import bench_live
    from reactdiff_ros.evaluation.bench.live import median_run

    played, visited = played_clip(clip), arguments.get("camera") is not None
    wanted = looped_graph(None if visited else played, arguments, params_file=params)
    stop = StopFlag()
    done: list[dict[str, Any]] = []
    for run in range(1, runs + 1):
        log(f"run {run} of {runs}: {played.name}, {seconds:g} s")
        with _visitor(played) if visited else nullcontext() as visitor:
            found = bench_live(wanted, seconds, log, lambda: stop.set, visitor, text)
        done.append(found)
        times = {name: found[f"{name}_ms"] for name in ("latency", "reaction")}
        parts = [f"{n} " + ("none" if v is None else f"{v['p50']:g} / {v['p99']:g} ms") for n, v in times.items()]
        parts += [f"{found['deadline_misses']} misses", f"{found['cpu_cores']:g} cores", f"{found['rss_mb']:g} MB"]
        log(", ".join(parts))
    figures = median_run(done)
    if compute:  # in this process, with the parameters of the graph that was measured
        from reactdiff_ros.evaluation.bench.compute import bench_compute
        from reactdiff_ros.recordings.replay.parameters import settings_as_live

        log(f"compute: {played.name}, {seconds:g} s at its own speed")
        given = {name: value for name, value in arguments.items() if value is not None}
        settings, _ = settings_as_live(given, params_file=params)
        figures["compute"] = bench_compute(
            played, settings, perf_counter, sleep, seconds=seconds, stopped=lambda: stop.set
        )
    return figures


@contextmanager
def _visitor(clip: Path) -> Iterator[Visitor]:
    """Whose camera is a clip. Raises MissingExtraError outside a checkout, or without Chromium."""
    require_tools()
    require("websocket")
    from tools.chromium import find_chromium
    from tools.visitor import Visitor

    if find_chromium() is None:
        raise MissingExtraError("Chromium", "apt-get install chromium")
    with TemporaryDirectory(prefix="reactdiff-visitor-") as folder, Visitor(clip, Path(folder)) as visitor:
        yield visitor


@bench.command()
@click.option("--robot", default="generic_12servo", metavar="NAME", help="Profile with servos.")
@CLIP
@seconds_option(1.0, 86400.0, 30.0)
@POLICY
@common.figures
def actuator(robot: str, clip: Path | None, seconds: float, policy: str | None) -> dict[str, Any]:
    """Measure the servo commands of the real graph on a clip, with emulated servos.

    The graph includes page and model; the servos are emulated in another process. Reports 99th percentiles: the delay
    of commands after they were due (jitter), and the time from an expression's stamp to the end of the first command
    that follows it (latency). At 50 Hz, 5 ms and 15 ms are required.
    """
    from reactdiff_ros.evaluation.bench.graph import bench_actuator

    stop = StopFlag()
    return bench_actuator(looped_graph(played_clip(clip), {"policy": policy}), robot, seconds, log, lambda: stop.set)


@bench.command()
@common.MODEL
@CLIP
@click.option("--listeners", type=click.IntRange(1, 256), multiple=True, default=(1, 2, 4, 8, 16),
              help="Number of listeners, repeatable.")  # fmt: skip
@click.option("--candidates", type=click.IntRange(1, 16), default=1, help="Candidates per plan, all of them published.")
@click.option("--steps", type=click.IntRange(1, 64), default=8, help="Steps of the denoiser.")
@seconds_option(1.0, 3600.0, 20.0, "Live time each.")
@click.option("--backend", type=common.Choice(("onnxruntime", "cuda", "tensorrt")), default="onnxruntime",
              help="Inference backend.")  # fmt: skip
@click.option("--precision", type=common.Choice(("fp32", "fp16")), default="fp16", help="On a GPU.")
@common.figures
def listeners(
    model: Path | None, clip: Path | None, listeners: tuple[int, ...], candidates: int, steps: int, seconds: float,
    backend: str, precision: Precision,
) -> dict[str, Any]:  # fmt: skip
    """Time many listeners in one batch.

    Each observes 25 frames a second and plans as reaction_node lets it. A load below 1 is real time in one thread.
    Nothing else should run on the machine meanwhile.
    """
    from reactdiff_ros.evaluation.bench.model import Clock, bench_listeners, opened_backend, speaker_frames
    from reactdiff_ros.model.backends.runtime import Networks
    from reactdiff_ros.model.backends.weights import find_weights
    from reactdiff_ros.model.listener import ListenerConfig

    weights, played = find_weights(model or ""), played_clip(clip)
    serving, close = opened_backend(weights, backend, precision, (steps,), Clock(perf_counter, sleep, 1), 1, log)
    config = ListenerConfig(
        model_dir=str(model or ""), steps=steps, candidates=candidates, publish_candidates=candidates > 1
    )
    with progress_bar("timing") as show:
        given: Any = {"counts": listeners, "seconds": seconds, "networks": Networks(weights, backend=serving)}
        frames = speaker_frames(played, perf_counter)
        found = bench_listeners(frames, config, perf_counter, progress=show, **given)
    close()
    return {"clip": played.name, **found}


@bench.command()
@common.MODEL
@evaluation.STEPS
@evaluation.GUIDANCE
@click.option("--candidates", type=click.IntRange(1, 64), multiple=True, default=(1, 10),
              help="Candidates per plan, repeatable.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 64), default=1, help="Threads of ONNX Runtime.")
@click.option("--repeats", type=click.IntRange(1, 100_000), default=200, help="Timed calls of each.")
@click.option("--backend", "backends", type=common.Choice(("onnxruntime", "torch", "cuda", "tensorrt")), multiple=True,
              help="Rows of this backend only, repeatable (default: all that work here).")  # fmt: skip
@click.option("--rows/--no-rows", default=True,
              help="Also by backend, precision, steps, candidates, listeners and length.")  # fmt: skip
@common.figures
def model(
    model: Path | None, steps: int | None, guidance: float | None, candidates: tuple[int, ...], threads: int,
    repeats: int, backends: tuple[str, ...], rows: bool,
) -> dict[str, Any]:  # fmt: skip
    """Time the model alone: the encoder for a new speaker frame, and a whole plan.

    A plan has all its steps and guidance. rows: median, p99, plans a second, times real time (a plan and its frames
    within a hop) and memory of each; one thing is varied at a time, with the rest as live, one candidate and one
    listener. TensorRT builds its engines first if there are none. Nothing else should run on the machine meanwhile.
    """
    from reactdiff_ros.evaluation.listeners import live_sampling

    how = live_sampling(steps=steps, guidance=guidance)
    return measure_model(model or "", how, candidates, threads, repeats, backends, rows)


def measure_model(
    folder: Path | str, how: Any, candidates: tuple[int, ...], threads: int, repeats: int, only: tuple[str, ...],
    rows: bool,
) -> dict[str, Any]:  # fmt: skip
    """What `bench model` prints."""
    from reactdiff_ros.evaluation.bench.model import BACKENDS, Clock, bench_model, bench_rows
    from reactdiff_ros.model.backends.weights import find_weights

    weights = find_weights(folder)
    with progress_bar("model") as show:
        figures = bench_model(
            weights, how, perf_counter, candidates=candidates, threads=threads, repeats=repeats, progress=show
        )
    if rows:
        backends = [pair for pair in BACKENDS if not only or pair[0] in only]
        clock = Clock(perf_counter, sleep, repeats)
        with progress_bar("rows") as show:
            figures |= bench_rows(weights, how, clock, backends=backends, threads=threads, progress=show, log=log)
    return figures


@bench.command()
@evaluation.LISTENER
@common.MODEL
@click.option("--trials", type=click.IntRange(10, 2000), default=200, help="Paired trials of each.")
@evaluation.evaluation(output=evaluation.PLOTS)
def response(run: evaluation.Run, trials: int) -> None:
    """Measure responses to inserted events, in paired trials.

    Speakers are simulated, and only the event differs within a pair. Response: the run with the event exceeds the run
    without by a tenth of the range for 3 frames, 0.3 to 1.5 s after the event began (nods: by 2 degrees of head pitch,
    0.2 to 1.5 s). rate: share of trials with a response; excess: the rate minus the share of trials in which the run
    with the event is lower by as much, which is what chance does.
    """
    from reactdiff_ros.evaluation.studies.controls import bench_response

    label = f"paired trials, {run.listener}"
    run.study(bench_response, run.who(), label, trials=trials)
    run.result.update(listener=run.listener)
