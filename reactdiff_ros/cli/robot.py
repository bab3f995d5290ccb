"""`reactdiff robot`: profiles of robots, checked and tried without hardware."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import echo
from reactdiff_ros.cli.robot_calibrate import calibrate
from reactdiff_ros.cli.robot_emulate import emulate
from reactdiff_ros.cli.robot_preview import preview

if TYPE_CHECKING:
    from reactdiff_ros.actuation.profile import Profile
    from reactdiff_ros.actuation.simulate import Block

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.group()
def robot() -> None:
    """Check, preview, emulate, calibrate and simulate robots."""


for _command in (preview, calibrate, emulate):
    robot.add_command(_command)


@robot.command("list")
@_JSON
def list_robots(as_json: bool) -> int:
    """The profiles that come with the package."""
    from reactdiff_ros.actuation.profile import load_profile, shipped_profiles
    from reactdiff_ros.cli.output import json_on_stdout

    with json_on_stdout(as_json) as result:
        for name, path in shipped_profiles().items():
            profile = load_profile(path)
            result[name] = summary(profile) | {"file": str(path)}
            if not as_json:
                echo(f"{name:16} {profile.about}")
    return 0


def summary(profile: Profile) -> dict[str, Any]:
    """What a profile says of itself, for JSON."""
    return {
        "about": profile.about,
        "shows": profile.shows,
        "published": profile.published,
        "chosen": profile.chosen,
        "tested": profile.tested,
        "rate_hz": profile.rate_hz,
        "joints": len(profile.joints),
        "groups": profile.groups,
        "drivers": {name: driver.type for name, driver in profile.drivers.items()},
    }


@robot.command()
@click.argument("profile")
@_JSON
def check(profile: str, as_json: bool) -> int:
    """Check the PROFILE of a robot, a file or the name of a shipped one: every error with its line and key."""
    from reactdiff_ros.actuation.marks import ProfileError
    from reactdiff_ros.actuation.profile import load_profile, profile_path
    from reactdiff_ros.cli.output import EXIT_ERROR, json_on_stdout, tell

    path = profile_path(profile)
    with json_on_stdout(as_json) as result:
        result.update(file=str(path), problems=[])
        try:
            found = load_profile(path)
        except ProfileError as error:
            result["problems"] = [
                {"line": p.line, "key": p.key, "what": p.what, "todo": p.todo} for p in error.problems
            ]
            for problem in error.problems:
                tell(f"{path}, {problem}")
            return EXIT_ERROR
        result.update(summary(found))
        if not as_json:
            echo(f"{path}: {found.name}, {len(found.joints)} joints, no errors")
            loss = found.host_loss
            echo(f"when this computer dies: {loss.does} (noticed by: {loss.watchdog}). {loss.about}")
    return 0


@robot.command()
@click.argument("profile")
@click.option("--recorded", is_flag=True, help="For pictures of a clip or a bag: they do not turn with the head.")
@_JSON
def parameters(profile: str, recorded: bool, as_json: bool) -> int:
    """Print the ROS parameters that follow from the PROFILE of a robot: where its camera sits."""
    import yaml

    from reactdiff_ros.cli.output import json_on_stdout
    from reactdiff_ros.launching.configuration import robot_parameters

    with json_on_stdout(as_json) as result:
        result.update(robot_parameters(profile, recorded=recorded) or {})
        if not as_json:
            echo(yaml.safe_dump(result), nl=False)
    return 0


@robot.command()
@click.option("--robot", "name", required=True, metavar="NAME", help="A shipped profile by its name, or a file.")
@click.option(
    "--frames",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.npz",
    help="Arrays coefficients (T, 58) and times (T), s.",
)
@click.option(
    "--log", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="LOG.csv", help="CSV to write."
)
@click.option("--force", is_flag=True, help="Overwrite what is there and is no log of an earlier run.")
@_JSON
def simulate(name: str, frames: Path, log: Path, force: bool, as_json: bool) -> int:
    """Run mapping, limits and following over coefficient frames, from neutral at rest; no robot is needed.

    One row a tick and joint, at the profile's rate, in the joint's own unit: time, joint, target, command, velocity,
    acceleration, lower, upper, max_velocity, max_acceleration, limited (1: the target was cut, or the command is not
    there yet). Frames whose time is NaN, infinite or goes back are dropped. Exit code 1 if the robot stopped.
    """
    from reactdiff_ros.actuation.profile import load_profile
    from reactdiff_ros.actuation.simulate import read_frames, tick_count
    from reactdiff_ros.actuation.simulate import simulate as run
    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar

    with json_on_stdout(as_json) as result:
        profile = load_profile(name)
        given = read_frames(frames)
        count = tick_count(profile, given)
        fault, limited, done = "", 0, 0
        with _new_file(log, force, frames) as file, progress_bar(profile.name) as show:
            write_header(file)
            for block in run(profile, given):
                write_rows(file, profile, block)
                done += len(block.time)
                limited += int(block.limited.sum())
                fault = block.fault
                show(done / count)
        share = limited / (done * len(profile.joints))
        result.update(
            robot=profile.name,
            log=str(log),
            frames=len(given.times),
            frames_dropped=given.dropped,
            ticks=done,
            joints=len(profile.joints),
            limited_share=share,
            fault=fault or None,
        )
        if fault:
            tell(f"the robot stopped: {fault}")
        if not as_json:
            dropped = f", {given.dropped} frames dropped" if given.dropped else ""
            echo(f"{log}: {done} ticks of {len(profile.joints)} joints{dropped}")
    return 1 if fault else 0


def write_header(file: IO[str]) -> None:
    """The names of the columns."""
    file.write(_header())


def _header() -> str:
    from reactdiff_ros.actuation.simulate import COLUMNS

    return ",".join(COLUMNS) + "\n"


def write_rows(file: IO[str], profile: Profile, block: Block) -> None:
    """The rows of some ticks. Floats are written so that reading gives the same bits."""
    joints = [
        (name, f"{j.lower!r},{j.upper!r},{j.limits.speed!r},{j.limits.acceleration!r}")
        for name, j in profile.joints.items()
    ]
    columns = (block.target, block.command, block.velocity, block.acceleration, block.limited)
    for time, *row in zip(block.time.tolist(), *(c.tolist() for c in columns), strict=True):
        for (name, limits), target, command, velocity, acceleration, limited in zip(joints, *row, strict=True):
            file.write(f"{time!r},{name},{target!r},{command!r},{velocity!r},{acceleration!r},{limits},{limited:d}\n")


@contextmanager
def _new_file(path: Path, force: bool, source: Path) -> Iterator[IO[str]]:
    """A text file that is there when all of it is; what was there before stays, unless `force` or an earlier log.

    Raises:
        ReactdiffError: something else is there already, or it cannot be written.
    """
    import os

    from reactdiff_ros.errors import ReactdiffError

    part = path.parent / f".{path.name[:60]}.{os.getpid()}.part"
    try:
        there = path.exists()
        if there and not path.is_file():
            raise ReactdiffError("the log cannot be written", where=str(path), todo="it is no plain file")
        if there and (path.resolve() == source.resolve() or not (force or _is_log(path))):
            raise ReactdiffError(
                "something else is there already", where=str(path), todo="give another name, or --force"
            )
        with part.open("x", encoding="utf-8") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise ReactdiffError("the log cannot be written", where=str(path), todo=str(error.strerror)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _is_log(path: Path) -> bool:
    """Whether a file is empty or begins as a log of an earlier run: nothing of anybody's is lost with it."""
    header = _header().encode()
    with path.open("rb") as file:
        return file.read(len(header)) in (b"", header)
