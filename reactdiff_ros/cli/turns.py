"""`reactdiff evaluate backchannels` and `turns`: listeners in the turns of a dialogue; `cli.evaluate` adds both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli import common, evaluation
from reactdiff_ros.cli.common import log, progress_bar
from reactdiff_ros.cli.evaluation import Run

# Also in the study, which is too heavy to import for a help text; a test compares them.
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


@click.option("--timings", type=common.FILE, metavar="FILE",
              help="Utterances of two people: a table with begin and end (ms) and participant.")  # fmt: skip
@click.option("--gaze", type=common.FILE, metavar="FILE", help="Annotated gaze of the two, an ELAN file (.eaf).")
@click.option("--recordings", type=common.FOLDER, metavar="DIR",
              help="Recordings with marked turns: clips with .rttm, eot-bench, or TurnBench.")  # fmt: skip
@click.option("--weights", type=common.FILE, metavar="FILE", help="Read-out (the shipped one).")
@click.option("--network", default="auto", help="smart-turn's ONNX file; auto: of pipecat-ai; none: without.")
@click.option("--sessions", type=click.IntRange(0, 500), default=12,
              help="Synthesised voices that are laid under the timings; 0: none.")  # fmt: skip
@click.option("--worlds", type=click.IntRange(0, 500), default=32, help="Simulated faces; 0: none.")
@common.SEED
@common.figures
def turns(
    timings: Path | None, gaze: Path | None, recordings: Path | None, weights: Path | None, network: str, sessions: int,
    worlds: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Measure how early the end of a turn is detected and how well signals predict it.

    wait_s: mean wait after the end of a turn with at most 5 and 10 % false cutoffs, of the best threshold and timeout,
    compared with the best fixed timeout; saved: relative reduction. shift_hold: whether a pause ends the turn, after
    0.2 s. Systems leave out voice, smart-turn's network and face. reliability: expected calibration error, and shares
    by probability. barge_in: speech over the other's turn.
    """
    if timings is None and recordings is None:
        raise click.UsageError("give --timings or --recordings")
    from reactdiff_ros.evaluation.studies.turns import of_faces, of_recordings, of_timings
    from reactdiff_ros.recordings.datasets.spoken_turns import read_spoken_turns
    from reactdiff_ros.recordings.datasets.turns import read_gaze, read_turns
    from reactdiff_ros.training.turns.voices import UNSEEN, make_endings
    from reactdiff_ros.turns.readout import read_readout
    from reactdiff_ros.turns.smart_turn import INSTALL, SmartTurn, find_network

    readout, file = read_readout(weights), find_network(network)
    if file is None and network == "auto":
        log(f"without smart-turn's network: {INSTALL}")
    asked = None if file is None else SmartTurn(file)
    result: dict[str, Any] = {"weights": readout.digest, "network": "none" if file is None else file.stem, "seed": seed}
    if timings is not None:
        dialogue, looked = read_turns(timings), None if gaze is None else read_gaze(gaze)
        if timings.stem in readout.about.get("timings", ()):
            log(f"the read-out was trained on {timings.stem}: its figures are not a test")
        endings = None
        if sessions:
            with progress_bar("voices") as show:
                endings = make_endings(sessions, seed, asked, UNSEEN, show)
        with progress_bar("dialogue") as show:
            result["timings"] = of_timings(dialogue, readout, endings=endings, gaze=looked, seed=seed, progress=show)
    if recordings is not None:
        with progress_bar("recordings") as show:
            result["recordings"] = of_recordings(read_spoken_turns(recordings), readout, asked, show)
    if worlds:
        result["simulated_faces"] = of_faces(readout, worlds, seed + 1000)
    return result
