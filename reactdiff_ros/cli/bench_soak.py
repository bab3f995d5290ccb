"""`reactdiff bench soak`: hours of listening, and whether anything grows, drifts or slows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import Number, echo

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.soak.long_run import LongRun

FOLDER = Path("runs/soak")
SHORT_S = 30.0
SHORT_EVERY_S = 2.0


@click.command("soak")
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@click.option("--part", type=click.Choice(["stream", "graph"]), multiple=True, help="This run only (both, in turn).")
@click.option(
    "--stream-hours", type=Number(0.01, 10000.0), default=8.0, show_default=True,
    help="Of stream through the session.",
)  # fmt: skip
@click.option(
    "--graph-hours", type=Number(0.01, 10000.0), default=1.0, show_default=True,
    help="In real time through the graph.",
)  # fmt: skip
@click.option("--short", is_flag=True, help="Half a minute each, written down every two seconds: a check of a change.")
@click.option("--robot", default="", metavar="NAME", help="Profile whose servos are emulated and follow, in the graph.")
@click.option("--policy", metavar="NAME", help="Who decides the reactions: model, rules, mime, random or idle.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all noise, and of the visits.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, show_default=True,
    help="Of the journals; a run whose journal is there goes on.",
)  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File for the figures (JSON).")
@click.option("--judge", "judge_only", is_flag=True, help="Run nothing: figures of the journals as they are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def soak(
    clips: tuple[Path, ...],
    part: tuple[str, ...],
    stream_hours: float,
    graph_hours: float,
    short: bool,
    robot: str,
    policy: str | None,
    seed: int,
    folder: Path,
    output: Path | None,
    judge_only: bool,
    as_json: bool,
) -> int:
    """Let the listener run for hours and look for leaks, drifts and slowing.

    First hours of stream as fast as it goes through the session in one process: people of CLIPS (the demo speaker)
    come one after another in shuffled order, with absences. Then real time through the graph, on the first clip in a
    loop. Every minute is written down at once: a run that was killed goes on when it is started again, in a new leg.
    Exit code 1 when a bound is not held or a run is not complete.
    """
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell
    from reactdiff_ros.errors import MediaError
    from reactdiff_ros.evaluation.soak.long_run import LongRun
    from reactdiff_ros.evaluation.soak.stream import open_clips
    from reactdiff_ros.simulator.rendered import demo_clip_path

    seconds = {"stream": 3600.0 * stream_hours, "graph": 3600.0 * graph_hours}
    if short:
        seconds = dict.fromkeys(seconds, SHORT_S)
    wanted = part or tuple(seconds)
    opened = [] if judge_only else open_clips(clips or (demo_clip_path(),))
    stop = StopFlag()
    with json_on_stdout(as_json) as result:
        given = {"seed": seed} | ({"policy": policy} if policy else {})
        for name in () if judge_only else wanted:
            if stop.set:
                break
            run = LongRun(
                folder / f"{name}.jsonl", seconds[name], SHORT_EVERY_S if short else 60.0, _begun(),
                say=tell, stopped=lambda: bool(stop.set),
            )  # fmt: skip
            if name == "stream":
                _stream(opened, given, run)
            else:
                _graph(opened[0].path, given, robot, run)
        result.update(_figures(seconds, folder, seed))
        if not result["parts"]:
            raise MediaError("there is no journal of a long run", where=str(folder), todo="run it without --judge")
        if output is not None:
            _keep(output, dumps(result, indent=1))
    if not as_json:
        for row in result["bounds"]:
            held = {True: "held", False: "NOT HELD", None: "not measured"}[row["holds"]]
            value = "" if row["value"] is None else f"{row['value']:.4g}"
            echo(f"{row['part']:7} {row['name']:58} {row['bound']:16} {value:>10} {held} {row['of']}")
    return 1 if any(row["holds"] is False for row in result["bounds"]) else 0


def _stream(opened: list[Any], given: dict[str, Any], run: LongRun) -> None:
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.soak.stream import run_stream
    from reactdiff_ros.recordings.replay.parameters import settings_as_live

    settings, _ = settings_as_live(given)
    begun = {"clips": [clip.path.name for clip in opened], "policy": settings.policy, "seed": settings.seed}
    with progress_bar("stream") as show:
        run_stream(opened, settings, replace(run, begun={**run.begun, **begun}, told=show))


def _graph(clip: Path, given: dict[str, Any], robot: str, run: LongRun) -> None:
    import os

    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.evaluation.soak.graph import run_graph
    from reactdiff_ros.launching.live_graph import LiveOptions, domain_of, wanted_nodes

    arguments = {"clip": str(clip.absolute())} | ({"policy": given["policy"]} if "policy" in given else {})
    domain = domain_of(os.environ) if os.environ.get("ROS_DOMAIN_ID") else None
    try:
        options = LiveOptions(arguments=arguments, parameters={"loop": True, "seed": given["seed"]}, domain=domain)
        wanted_nodes(options)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    begun = {"clips": [clip.name], "robot": robot, "pages": 2, **given}
    with progress_bar("graph") as show:
        run_graph(options, robot, replace(run, begun={**run.begun, **begun}, told=show))


def _begun() -> dict[str, Any]:
    """What every leg tells of itself."""
    import datetime
    import os

    from reactdiff_ros.evaluation.bench.machine import commit

    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "at": now.isoformat(timespec="seconds"), "commit": commit(Path.cwd()), "nice": os.nice(0),
        "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def _figures(seconds: dict[str, float], folder: Path, seed: int) -> dict[str, Any]:
    """Of every journal that is there."""
    import datetime

    from reactdiff_ros.evaluation.bench.machine import hardware
    from reactdiff_ros.evaluation.soak.figures import assemble, part_figures
    from reactdiff_ros.evaluation.soak.journal import read_journal

    legs = {name: read_journal(folder / f"{name}.jsonl") for name in seconds}
    parts = {name: part_figures(found, seconds[name], seed) for name, found in legs.items() if found}
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return assemble(parts, hardware=hardware(), date=today.isoformat())


def _keep(path: Path, text: str) -> None:
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.whole_file import write_whole

    try:
        write_whole(path, text + "\n")
    except OSError as error:
        todo = f"{error.strerror}; the journals are whole: try again with --judge"
        raise ReactdiffError("the figures cannot be written", where=str(path), todo=todo) from error
    tell(f"wrote {path}")
