"""`reactdiff dev train-nods`: the head that says when a listener nods, for weights that are there."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("train-nods")
@click.argument("weights", type=click.Path(path_type=Path, file_okay=False))
@click.option("--voices", type=click.Path(path_type=Path, dir_okay=False), help="Voice bank; made if missing.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of everything.")
@click.option(
    "--pools", type=click.IntRange(1, 1000), default=16, show_default=True, help="Of 128 speakers of a minute."
)
@click.option("--steps", type=click.IntRange(1), default=4000, show_default=True, help="Optimiser steps.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def train_nods(weights: Path, voices: Path | None, seed: int, pools: int, steps: int, as_json: bool) -> int:
    """Train the network that decides when to nod.

    Train the head for nods on the tokens of WEIGHTS (a folder of 'reactdiff dev export') and put it among them.

    It reads simulated speakers through the encoder that is there, which stays as it is. Ten minutes on one core. What
    was measured of the weights without a head, or with another, is no evidence of them.
    """
    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.cli.voices import make_if_missing
    from reactdiff_ros.evaluation.listeners import voices_told
    from reactdiff_ros.model.runtime import Networks
    from reactdiff_ros.model.weights import find_weights
    from reactdiff_ros.simulator.voices import VoiceBank, load_bank
    from reactdiff_ros.training.nods import add_to
    from reactdiff_ros.training.nods import train_nods as train

    with json_on_stdout(as_json) as result:
        found = find_weights(weights)
        if voices is not None:
            make_if_missing(voices)
        bank = VoiceBank() if voices is None else load_bank(voices)
        with progress_bar("nods") as show:
            fit = train(Networks(found), seed=seed, pools=pools, steps=steps, bank=bank, progress=show)
        path = add_to(found, fit, {"seed": seed, "pools": pools, "steps": steps, "voices": voices_told(bank)})
        result.update(file=str(path), gain_nats=fit.gain, rate=fit.rate)
        tell(
            f"{path}: {fit.gain:.2f} nats a nod better than a constant rate, {fit.rate:.2f} times as many as there are"
        )
    return 0
