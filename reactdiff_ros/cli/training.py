"""`reactdiff simulate`, `train` and `export`: from simulated dyads to the weights that ship."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="The same seed, the same dyads."
)
@click.option("--dyads", type=click.IntRange(1, 10000), default=16, show_default=True, help="How many.")
@click.option("--seconds", type=click.FloatRange(1.0, 3600.0), default=60.0, show_default=True, help="Length of each.")
@click.option("--voices", type=click.Path(path_type=Path, dir_okay=False), help="Voice bank (see `train --voices`).")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File for the arrays (.npz)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def simulate(seed: int, dyads: int, seconds: float, voices: Path | None, output: Path, as_json: bool) -> int:
    """Simulate speakers and their listeners at 25 Hz and write all their streams to one file.

    Arrays: `speaker_NAME` (dyads, frames, ...) as perception would see the speaker, `listener` (dyads, frames, 58),
    `controls` (dyads, 4).
    """
    import numpy as np

    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.training.simulator import simulate as run
    from reactdiff_ros.training.simulator import simulator_hash
    from reactdiff_ros.training.voice_bank import load_bank
    from reactdiff_ros.types import REACTION_RATE_HZ

    with json_on_stdout(as_json) as result:
        frames = round(seconds * REACTION_RATE_HZ)
        made = run(seed, dyads, frames, load_bank(voices))
        speaker = {f"speaker_{f.name}": getattr(made.speaker, f.name) for f in fields(made.speaker)}
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            with output.open("wb") as file:
                np.savez_compressed(file, listener=made.listener, controls=made.controls, **speaker)
        except OSError as error:
            raise ReactdiffError("the dyads cannot be written", where=str(output), todo=str(error.strerror)) from error
        result.update(output=str(output), dyads=dyads, frames=frames, seed=seed, simulator=simulator_hash())
        tell(f"{dyads} dyads of {frames} frames in {output}")
    return 0


@click.command()
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on from the run's checkpoint.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of everything.")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of encoder and denoiser.")
@click.option("--vae-steps", type=click.IntRange(1), help="Optimiser steps of the autoencoder.")
@click.option("--batch", type=click.IntRange(1), help="Sequences a step.")
@click.option("--threads", type=click.IntRange(1), help="Processor threads.")
@click.option(
    "--voices",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Voice bank of synthesised speech; made with espeak-ng if the file is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def train(output: Path, resume: bool, voices: Path | None, as_json: bool, **settings: int | None) -> int:
    """Train autoencoder, encoder and denoiser on simulated dyads. Ctrl-C saves and ends; --resume goes on."""
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.training.train import TrainConfig, Trainer
    from reactdiff_ros.training.voice_bank import make_bank

    with json_on_stdout(as_json) as result:
        given: dict[str, Any] = {k: v for k, v in settings.items() if v is not None}
        if voices is not None:
            if not voices.exists():
                tell(f"making the voice bank {voices}")
                make_bank(voices)
            given["bank"] = str(voices)
        trainer = Trainer(TrainConfig(**given), output)
        if resume:
            trainer.resume()
        stop = StopFlag()
        last = None
        for last in trainer.run(lambda: stop.set):
            losses = ", ".join(f"{name} {value:.4g}" for name, value in last.losses.items())
            with suppress(OSError):
                click.echo(f"{last.phase} {last.step}/{last.steps}: {losses}", err=True)
        result.update(checkpoint=str(trainer.checkpoint), step=trainer.step, steps=trainer.config.steps)
        result.update(losses=last.losses if last is not None else {}, stopped=stop.set)
        tell(f"{'stopped and saved' if stop.set else 'done'}: {trainer.checkpoint}")
    return 0


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the weights."
)
@click.option("--name", default="live", show_default=True, help="Name of the preset in the manifest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def export(checkpoint: Path, output: Path, name: str, as_json: bool) -> int:
    """Write the averaged model of CHECKPOINT as ONNX graphs, safetensors and a manifest with their hashes."""
    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.training.export import export as run

    with json_on_stdout(as_json) as result:
        files = run(checkpoint, output, name)
        result.update(files={path.name: path.stat().st_size for path in files}, folder=str(output))
        tell(f"{len(files)} files in {output}, {sum(p.stat().st_size for p in files) / 1e6:.1f} MB")
    return 0
