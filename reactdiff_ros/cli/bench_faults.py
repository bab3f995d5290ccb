"""`reactdiff bench faults`: what the face does when something breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli.output import echo


@click.command()
@click.option("--clip", type=click.Path(path_type=Path), help="Media file to play as if live (the demo speaker).")
@click.option("--only", metavar="NAME", multiple=True, help="This fault; may be given several times (all).")
@click.option("--short", is_flag=True, help="The few faults that a check of a change runs.")
@click.option("--list", "as_list", is_flag=True, help="Name the faults and end.")
@click.option(
    "--robot", default="", metavar="NAME",
    help="Profile whose servos are emulated and watched too; bus_head: a head for faults of servos on a bus.",
)  # fmt: skip
@click.option("--policy", metavar="NAME", help="Who decides the reactions: model, rules, mime, random or idle.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False),
    help="File for the figures (JSON), written after every fault; what stands there of other faults stays.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Leave out the faults that stand in --output already.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def faults(
    clip: Path | None,
    only: tuple[str, ...],
    short: bool,
    as_list: bool,
    robot: str,
    policy: str | None,
    output: Path | None,
    resume: bool,
    as_json: bool,
) -> int:
    """Run the real graph on a clip, break one thing after another and measure what the face does.

    In a ROS domain of its own, or in ROS_DOMAIN_ID where it is set. Exit code 1 when a bound is not held. All faults
    take about twenty minutes; nothing else should run on the machine meanwhile. What needs root is left out without it,
    with the reason.
    """
    import os

    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell, writing
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.errors import ConfigError, MediaError
    from reactdiff_ros.evaluation.faults.catalogue import chosen
    from reactdiff_ros.evaluation.faults.figures import kept, summary
    from reactdiff_ros.evaluation.faults.groups import run_faults
    from reactdiff_ros.evaluation.faults.hardware import on_a_bus
    from reactdiff_ros.evaluation.faults.robot import profile_of
    from reactdiff_ros.launching.live_graph import LiveOptions, domain_of, wanted_nodes
    from reactdiff_ros.whole_file import write_whole

    try:
        bus = as_list or (bool(robot) and on_a_bus(profile_of(robot)))
        wanted = chosen(only, short=short, robot=as_list or bool(robot), bus=bus)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    if as_list:
        for fault in wanted:
            echo(f"{fault.name:22} {fault.what}")
        return 0
    if resume and output is None:
        raise click.UsageError("--resume needs --output: the file whose faults are left out")
    if resume:
        there = {row["fault"] for row in kept(output)}
        wanted = tuple(fault for fault in wanted if fault.name not in there)
    if clip is None:
        from reactdiff_ros.simulator.rendered import demo_clip_path

        clip = demo_clip_path()
    if not clip.is_file():
        raise MediaError("there is no such clip", where=str(clip), todo="name a media file")
    arguments = {"clip": str(clip.absolute())} | ({"policy": policy} if policy else {})
    domain = domain_of(os.environ) if os.environ.get("ROS_DOMAIN_ID") else None
    try:
        options = LiveOptions(arguments=arguments, parameters={"loop": True}, domain=domain)
        wanted_nodes(options)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    stop, before = StopFlag(), kept(output)
    rows: list[dict[str, Any]] = []

    def measured(row: dict[str, Any]) -> None:
        rows.append(row)
        if output is not None:
            with writing("the figures", output):
                write_whole(output, dumps(summary(before, rows, clip=clip.name), indent=2) + "\n")
        show(len(rows) / len(wanted))

    if output is not None:
        with writing("the figures", output):
            output.parent.mkdir(parents=True, exist_ok=True)
    with json_on_stdout(as_json) as result:
        with progress_bar("faults") as show:
            done = run_faults(options, robot, wanted, tell, measured, lambda: stop.set)
        result.update(summary(before, rows, clip=clip.name), left_out=done["left_out"])
        if output is not None and rows:
            tell(f"wrote {output}")
    if not as_json:
        echo(dumps(result, indent=2))
    return 0 if done["within_bounds"] else 1
