"""`reactdiff react` and `gallery`: the listener's face for recordings, as files, or on a page next to the person."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli.interrupts import StopFlag
from reactdiff_ros.cli.options import JSON, PATH, SEEDS
from reactdiff_ros.cli.output import EXIT_DONE, json_on_stdout, tell
from reactdiff_ros.cli.progress import progress_bar
from reactdiff_ros.settings import POLICIES


@click.command()
@click.argument("recording", type=PATH)
@click.option(
    "-o",
    "--output",
    type=PATH,
    required=True,
    metavar="OUT",
    help="File to write: .mp4 (person and face side by side), .csv, .npz, or a name without suffix for a bag.",
)
@click.option(
    "--style",
    default="natural",
    show_default=True,
    metavar="NAME",
    help="See 'reactdiff style list'.",
)
@click.option("--policy", type=click.Choice(POLICIES), default="model", show_default=True, help="Reaction policy.")
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Seed of all noise.")
@JSON
def react(recording: Path, output: Path, style: str, policy: str, seed: int, as_json: bool) -> int:
    """Save the listener's reaction to a recording.

    RECORDING is a video, a sound file or a bag. 'reactdiff bag replay' does the same with every setting of the nodes.
    """
    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.recordings.listener import Listener, check_output

    check_output(output)
    try:
        listener = Listener(style, policy, seed=seed)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    stop = StopFlag()
    with json_on_stdout(as_json) as result:
        track = _with_bar(recording.name, stop, lambda report: listener.react(recording, progress=report, processes=2))
        for note in track.notes:
            tell(note)
        stop.set = False  # what was done until Ctrl-C is saved; another Ctrl-C ends that too
        _with_bar(output.name, stop, lambda report: track.save(output, progress=report, processes=2))
        result.update(written=str(output), faces=len(track), complete=track.complete and not stop.set)
        tell(f"wrote {output}" + ("" if result["complete"] else ", incomplete"))
    return EXIT_DONE


def _with_bar(label: str, stop: Any, work: Any) -> Any:
    with progress_bar(label) as show:

        def report(share: float) -> bool:
            show(share)
            return not stop.set

        return work(report)


@click.command()
@click.argument("clips", type=PATH, nargs=-1, required=True)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="New folder for the page.")
@click.option("--style", multiple=True, default=("natural",), metavar="NAME", help="Listening style; repeatable.")
@click.option(
    "--policy", type=click.Choice(POLICIES), multiple=True, default=("model",), help="Reaction policy; repeatable."
)
@click.option("--model", multiple=True, default=("",), metavar="DIR", help="Folder of weights; repeatable.")
@click.option("--seed", type=SEEDS, multiple=True, default=(0,), help="Seed of all noise; repeatable.")
@click.option("--look", default="soft", show_default=True, help="Look of the face.")
@click.option("--no-videos", is_flag=True, help="Sheets and curves only, which is much faster.")
@JSON
def gallery(
    clips: tuple[Path, ...],
    output: Path,
    style: tuple[str, ...],
    policy: tuple[str, ...],
    model: tuple[str, ...],
    seed: tuple[int, ...],
    look: str,
    no_videos: bool,
    as_json: bool,
) -> int:
    """Make a page with people and the listener's reactions side by side.

    CLIPS are videos of people. Every combination of styles, policies, weights and seeds gets a row of its own.
    """
    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.evaluation.gallery import Variant
    from reactdiff_ros.evaluation.gallery import gallery as make

    variants = [Variant(*of) for of in product(style, policy, model, seed)]
    with json_on_stdout(as_json) as result, progress_bar("clips") as show:
        try:
            page = make(clips, variants, output, look=look, videos=not no_videos, progress=show)
        except ConfigError as error:
            raise click.UsageError(str(error)) from error
        result.update(page=str(page))
    tell(f"open {page}")
    return EXIT_DONE
