"""`reactdiff react`: the listener's face for a recording, as a video, a table, arrays or a bag."""

from __future__ import annotations

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
