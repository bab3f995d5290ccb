"""`reactdiff evaluate backchannels`: listeners in the turns of a dialogue; `cli.evaluate` adds it."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import common, evaluation
from reactdiff_ros.cli.common import log, progress_bar
from reactdiff_ros.cli.evaluation import Run

SYSTEMS = ("people", "model", "shuffled", "rules", "policy")
PICTURES = (".png", ".pdf", ".svg")


def _picture(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in PICTURES:
        raise click.BadParameter(f"the picture's name must end with {', '.join(PICTURES)}")
    return evaluation.plots(context, parameter, path)


PICTURE = click.option(
    "--output", type=common.FILE, metavar="PLOT.png", callback=_picture, help="Picture of hazards and nod shapes."
)


@click.option("--timings", type=common.FILE, required=True, metavar="FILE",
              help="Utterances of two people: a table with begin and end (ms) and participant.")  # fmt: skip
@click.option("--speech", type=common.FOLDER, required=True, metavar="DIR",
              help="Real speech (.flac, .wav) that is laid under the utterances.")  # fmt: skip
@click.option("--nods", type=common.FILE, metavar="FILE",
              help="Annotated nods, to compare shapes with: a row for each measure and label.")  # fmt: skip
@common.MODEL
@click.option("--system", "systems", type=common.Choice(SYSTEMS), multiple=True, help="Only these rows (all).")
@click.option("--streams", type=click.IntRange(1, 64), default=4, help="Times that each system listens.")
@click.option("--face/--no-face", default=True,
              help="A neutral face that looks at the listener is seen; or nothing, as without a camera.")  # fmt: skip
@evaluation.evaluation(voices=False, output=PICTURE)
def backchannels(
    run: Run, timings: Path, speech: Path, nods: Path | None, systems: tuple[str, ...], streams: int, face: bool
) -> None:
    """Compare when listeners nod with people's backchannels, on real speech.

    The speech has the turns of a real dialogue; people's backchannels are vocal. Short utterances over or between the
    other's turns are backchannels. Only the time in which the speaker has the floor counts. hazard: responses a second
    by the speaker's pause so far; answers: responses a pause within 1 s of its beginning, by its length, as share and
    less chance; r: their correlations with people's over the bins; after_pauses: share of responses within 1 s of a
    pause of 0.2 s and more, over that of circularly shifted ones (ratio). Intervals are 95 % over minutes. nod_shapes
    (with --nods): quantiles, and distances from annotated nods; amplitude and velocity over their medians, because
    their units differ.
    """
    from reactdiff_ros.evaluation.studies.backchannels import (
        evaluate_backchannels,
        make_dialogue,
        read_nods,
        read_speech,
    )
    from reactdiff_ros.recordings.datasets.turns import read_turns

    if run.output is not None:
        common.check_writable("the picture", run.output)
    chosen = systems or SYSTEMS
    turns, annotated = read_turns(timings), None if nods is None else read_nods(nods)
    for why, count in turns.left_out.items():
        log(f"rows that are left out: {count} ({why})")
    with progress_bar("voices") as show:
        dialogue = make_dialogue(turns, read_speech(speech), face=face, seed=run.seed, progress=show)
    listener = run.network(run.model) if {"model", "shuffled"} & {*chosen} else None
    with progress_bar("listeners") as show:
        found = evaluate_backchannels(
            dialogue, listener, systems=chosen, streams=streams, seed=run.seed, annotated=annotated, progress=show
        )
    run.result.update(found.figures, seed=run.seed, streams=streams, face=face, minutes=turns.seconds / 60)
    run.result["turns"] = {p.name: {"talk": len(p.talk), "responses": len(p.responses)} for p in turns.people}
    run.result["left_out"] = turns.left_out
    if run.output is not None:
        log(f"wrote {found.pictures['backchannels.png'](run.output)}")
