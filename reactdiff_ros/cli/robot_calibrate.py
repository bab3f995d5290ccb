"""`reactdiff robot calibrate`: ranges, directions and homing offsets of a robot's servos, guided in the terminal."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli.output import echo


@click.command()
@click.argument("robot")
@click.option("--port", "ports", multiple=True, metavar="DRIVER=PORT", help="Port of a driver, instead of looking.")
@click.option("--joint", "joints", multiple=True, metavar="NAME", help="This joint only (repeat for more).")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.json",
    help="File to write [default: the user's configuration, where the robot's driver looks for it].",
)
@click.option("--dry-run", is_flag=True, help="Show what would be sent; open nothing, send nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def calibrate(
    robot: str, ports: tuple[str, ...], joints: tuple[str, ...], output: Path | None, dry_run: bool, as_json: bool
) -> int:
    """Calibrate the servos of ROBOT, a shipped profile or a file: nothing can be enabled before.

    One joint after the other, with you beside it. Servos on a bus are moved by hand to neutral and both ends, then
    slowly by themselves; hobby servos go slowly from pulse to pulse as you say. The result is a JSON file in lerobot's
    shape; the old one is kept beside it. Ctrl-C at any moment leaves the joint as the profile's on_fault says, and
    the old file as it was.
    """
    import time

    from reactdiff_ros.actuation.calibration import calibration_path
    from reactdiff_ros.actuation.drivers.serial_port import ports as serial_ports
    from reactdiff_ros.actuation.profile import load_profile
    from reactdiff_ros.cli.output import json_on_stdout
    from reactdiff_ros.cli.robot_calibrate_console import Console
    from reactdiff_ros.cli.robot_calibrate_move import Time
    from reactdiff_ros.cli.robot_calibrate_plan import plan
    from reactdiff_ros.cli.robot_calibrate_ports import with_ports
    from reactdiff_ros.cli.robot_calibrate_run import Work, drivers_of, wanted_joints
    from reactdiff_ros.cli.robot_calibrate_run import calibrate as run

    with json_on_stdout(as_json) as result:
        profile = load_profile(robot)
        given = dict(_port(text) for text in ports)
        path = output or calibration_path(profile.name)
        clock = Time(time.monotonic, time.sleep)
        work = Work(profile, wanted_joints(profile, joints), path, given, [] if dry_run else serial_ports(), {})
        if dry_run:
            chosen = with_ports(profile, given)
            lines = list(plan(chosen, work.joints, drivers_of(work, chosen, clock)))
            result.update(robot=profile.name, file=str(path), dry_run=True, would_send=lines)
            if not as_json:
                echo("\n".join([*lines, f"would write {path}", "dry run: nothing was opened, sent or written"]))
            return 0
        console = Console(_answers(), echo)
        with console.catching():
            result.update(run(work, console, clock))
        if not as_json:
            backup = f"; the old file is {result['backup']}" if result["backup"] else ""
            echo(f"{path}: {len(result['calibrated'])} joints calibrated{backup}")
            if result["missing"]:
                echo(f"not calibrated, and not enabled before they are: {', '.join(result['missing'])}")
    return 0


def _answers() -> int:
    """Where the operator's answers come from."""
    import sys

    from reactdiff_ros.errors import ConfigError

    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError) as error:
        raise ConfigError("nobody can answer: there is no standard input", todo="run it in a terminal") from error


def _port(text: str) -> tuple[str, str]:
    name, separator, port = text.partition("=")
    if not separator or not name or not port:
        raise click.BadParameter(f"{text!r} is not DRIVER=PORT", param_hint="--port")
    return name, port
