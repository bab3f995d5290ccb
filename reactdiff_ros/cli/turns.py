"""`reactdiff evaluate turns`; `cli.evaluate` adds it to its group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import log, progress_bar


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
    """How soon the end of a turn is found, and how well turn-taking signals say what comes.

    wait_s: mean wait after the end of a turn with at most 5 and 10 % false cutoffs, of the best threshold and timeout,
    beside the best timeout alone; saved: the share that it is shorter. shift_hold: whether a pause ends the turn, after
    0.2 s. Systems leave out voice, smart-turn's network and face. reliability: expected calibration error, and shares
    by probability. barge_in: speech over the other's turn.
    """
    if timings is None and recordings is None:
        raise click.UsageError("give --timings or --recordings")
    from reactdiff_ros.evaluation.studies.turns import of_faces, of_recordings, of_timings
    from reactdiff_ros.recordings.datasets.gaze import read_gaze
    from reactdiff_ros.recordings.datasets.spoken_turns import read_spoken_turns
    from reactdiff_ros.recordings.datasets.turns import read_turns
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
            log(f"the read-out was trained on {timings.stem}: its figures are no test")
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
