"""`reactdiff robot preview`: a profile's mapping, and the robot that it makes, without hardware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reactdiff_ros.cli.output import echo

if TYPE_CHECKING:
    from reactdiff_ros.avatar.server import PreviewServer
    from reactdiff_ros.cli.robot_preview_run import Preview

LOOK_AGAIN_S: Final = 0.5
"""How often the file is looked at."""
BEHIND_S: Final = 0.25
"""Ticks that are so late are not made up for."""


@click.command()
@click.argument("robot", metavar="NAME")
@click.option(
    "--frames",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.npz",
    help="Clip to play: arrays coefficients (T, 58) and times (T), s. Without: every part in turn.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the mapping into this picture (.png, .svg, .pdf) and end.",
)
@click.option("--force", is_flag=True, help="Overwrite the picture.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8770, help="Port of the page; the next free one if taken."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def preview(robot: str, frames: Path | None, output: Path | None, force: bool, port: int, as_json: bool) -> int:
    """Show the robot NAME, a shipped profile or a file, in the browser: what moves each joint, and a clip played on it.

    The clip goes through the real mapping, limits and following, and no hardware is touched. The file is read again
    whenever it changes; an error in it is shown in the page, with its line and key. Ctrl-C ends it.
    """
    if force and output is None:
        raise click.UsageError("--force needs --output")
    from reactdiff_ros.actuation.profile import profile_path
    from reactdiff_ros.actuation.simulate import read_frames, tick_count
    from reactdiff_ros.cli.output import json_on_stdout
    from reactdiff_ros.cli.robot_preview_clip import sequence
    from reactdiff_ros.cli.robot_preview_run import Preview

    given = sequence() if frames is None else read_frames(frames)
    path = profile_path(robot)
    shown = Preview(path, given, str(frames) if frames is not None else "every part in turn")
    tick_count(shown.profile, given)
    if output is not None:
        with json_on_stdout(as_json) as result:
            _draw(shown, output, force)
            result.update(
                robot=shown.profile.name, file=str(path), joints=len(shown.profile.joints), output=str(output)
            )
            if not as_json:
                echo(f"{output}: the mapping of {shown.profile.name}")
        return 0
    import asyncio

    return asyncio.run(_serve(shown, port, as_json))


def _draw(shown: Preview, output: Path, force: bool) -> None:
    from reactdiff_ros.cli.robot_preview_plot import draw_mapping
    from reactdiff_ros.errors import ReactdiffError

    if output.exists() and (not force or output.resolve() == shown.path.resolve()):
        raise ReactdiffError("the picture is there already", where=str(output), todo="give another name, or --force")
    draw_mapping(shown.profile, output)


async def _serve(shown: Preview, port: int, as_json: bool) -> int:
    import asyncio
    import signal

    from reactdiff_ros.avatar import AvatarConfig
    from reactdiff_ros.avatar.server import PreviewServer
    from reactdiff_ros.cli.output import tell

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not the loop's own handler: the loop's end takes that away, and a copy of the signal would come through.
        signal.signal(number, lambda *_: loop.is_closed() or loop.call_soon_threadsafe(stop.set))

    def wants(report: dict[str, Any]) -> bool:
        good = _obey(shown, report)
        if good:
            server.describe(_described(shown))
        return good

    server = PreviewServer(wants, AvatarConfig(port=port))
    server.describe(_described(shown))
    url = await server.start()
    work = asyncio.ensure_future(_play(shown, server))
    end = asyncio.ensure_future(stop.wait())
    _announce(shown, url, as_json)
    try:
        await asyncio.wait({work, end}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        work.cancel()
        end.cancel()
        await server.stop()
    tell("stopping")
    return 0


def _announce(shown: Preview, url: str, as_json: bool) -> None:
    from reactdiff_ros.cli.output import dumps

    told = {"url": url, "robot": shown.profile.name, "file": str(shown.path), "joints": len(shown.profile.joints)}
    echo(dumps(told) if as_json else f"{shown.profile.name} is here (Ctrl-C ends it): {url}")


def _obey(shown: Preview, report: dict[str, Any]) -> bool:
    """Do what a page wants; False: it means nothing."""
    if set(report) == {"fps", "play"} and isinstance(report["play"], str):
        if report["play"] == "restart":
            shown.restart()
            return True
        return shown.play(report["play"])
    place = report.get("seek")
    if set(report) != {"fps", "seek"} or isinstance(place, bool) or not isinstance(place, (int, float)):
        return False
    if not 0.0 <= place <= 1.0:
        return False
    shown.seek(float(place))
    return True


def _described(shown: Preview) -> dict[str, Any]:
    return shown.description() | {"fault": shown.fault}


async def _play(shown: Preview, server: PreviewServer) -> None:
    """Tick at the profile's rate while somebody looks, and look at the file."""
    import asyncio

    from reactdiff_ros.avatar.wire import encode_robot

    loop = asyncio.get_running_loop()
    due = look = loop.time()
    fault = ""
    while True:
        if loop.time() >= look:
            look = loop.time() + LOOK_AGAIN_S
            if shown.reload():
                server.describe(_described(shown))
        if server.watched:
            told, asked = shown.tick()
            server.show(
                encode_robot(
                    told.state,
                    shown.generation,
                    told.time_s,
                    shown.position,
                    asked,
                    told.target,
                    told.position,
                    told.limited,
                )
            )
            if told.fault != fault:
                fault = told.fault
                server.describe(_described(shown))
        due += 1.0 / shown.profile.rate_hz
        if loop.time() - due > BEHIND_S:
            due = loop.time()
        await asyncio.sleep(max(due - loop.time(), 0.0))
