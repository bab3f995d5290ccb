"""`reactdiff dev paper`: the published model in its published sizes, for labs that have the REACT data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli.output import EXIT_DONE, EXIT_STOPPED, json_on_stdout, tell
from reactdiff_ros.errors import ReactdiffError

_FOLDER = click.Path(path_type=Path, file_okay=False)
_DATA = click.option("--data", type=_FOLDER, required=True, help="REACT data set, with the predictors' features.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
_DEVICE = click.option("--device", help="Device of torch (cpu, cuda); default: a GPU if there is one.")


@click.group()
def paper() -> None:
    """Train and sample the published model (542 M parameters)."""


@paper.command()
@_DATA
@click.option("--output", type=_FOLDER, required=True, help="Folder of the run.")
@click.option("--config", "settings", type=click.Path(path_type=Path, dir_okay=False), help="Settings, a JSON file.")
@click.option("--protocol", type=click.Choice(["offline", "online"]), help="What is known of the speaker.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs of each of the two parts.")
@click.option("--batch", type=click.IntRange(1), help="Clips a step.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of everything.")
@_DEVICE
@click.option("--resume", is_flag=True, help="Go on from the run's checkpoint.")
@_JSON
def train(
    data: Path, output: Path, settings: Path | None, device: str | None, resume: bool, as_json: bool, **given: Any
) -> int:
    """Train autoencoder and diffusion. Weights are chosen by the validation split. Ctrl-C saves and ends with 130."""
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.training.paper.config import from_dict, read_config
    from reactdiff_ros.training.paper.networks import count_parameters
    from reactdiff_ros.training.paper.train import MODEL, Trainer
    from reactdiff_ros.training.run import refuse_to_begin_over

    with json_on_stdout(as_json) as result:
        values = read_config(settings) if settings is not None else {}
        config = from_dict({**values, **{k: v for k, v in given.items() if v is not None}})
        tell(f"{count_parameters(config)['total'] / 1e6:.1f} M parameters, {config.protocol}")
        trainer = Trainer(config, data, output, device)
        if resume:
            trainer.resume()
        else:
            refuse_to_begin_over(output)
        stop = StopFlag()
        last = None
        with click.progressbar(length=trainer.steps, label="paper", file=sys.stderr) as bar:
            for last in trainer.run(lambda: stop.set):
                losses = ", ".join(f"{name} {value:.4g}" for name, value in last.losses.items())
                bar.label = f"{last.part} epoch {last.epoch + 1}: {losses}"
                bar.update(last.step - bar.pos)
        model = output / MODEL
        result.update(model=str(model), checkpoint=str(trainer.checkpoint), config=config.as_dict(), stopped=stop.set)
        result.update(step=None if last is None else last.step, steps=trainer.steps)
        tell(f"stopped and saved: {trainer.checkpoint}" if stop.set else f"done: {model}")
    return EXIT_STOPPED if stop.set else EXIT_DONE


@paper.command()
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@_DATA
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True, help="Whose speakers."
)
@click.option("--output", type=_FOLDER, required=True, help="Folder for the arrays.")
@click.option("--count", type=click.IntRange(1), default=10, show_default=True, help="Reactions a clip.")
@click.option("--frames", type=click.IntRange(1), default=750, show_default=True, help="Frames a clip.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of the noise.")
@_DEVICE
@_JSON
def sample(
    model: Path,
    data: Path,
    split: str,
    output: Path,
    count: int,
    frames: int,
    seed: int,
    device: str | None,
    as_json: bool,
) -> int:
    """Draw reactions to every speaker of a split with MODEL and write attributes.npy (N, COUNT, FRAMES, 25).

    coefficients.npy (N, COUNT, FRAMES, 58) holds the same faces in FaceVerse's order, clips.txt the speakers' names.
    """
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.training.paper import drawing
    from reactdiff_ros.training.paper.train import load_model

    with json_on_stdout(as_json) as result:
        trained = load_model(model, device)
        stop = StopFlag()
        done = None
        with click.progressbar(length=1, label=f"{split}: drawing", file=sys.stderr) as bar:
            for done in drawing.sample(
                trained, data, split, output, count=count, frames=frames, seed=seed, stopped=lambda: stop.set
            ):
                bar.length = done.clips
                bar.update(1)
        if done is None or stop.set:
            raise ReactdiffError("stopped before all clips were drawn: nothing was written", where=str(output))
        shape = [done.clips, count, frames, 25]
        result.update(output=str(output), shape=shape, seed=seed, protocol=trained.config.protocol)
        tell(f"{done.clips} clips of {count} reactions in {output / drawing.ATTRIBUTES}")
    return 0
