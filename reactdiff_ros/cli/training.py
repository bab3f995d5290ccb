"""`reactdiff dev train`, `train-nods`, `export` and `paper`: models, from simulated and recorded people to weights."""

from __future__ import annotations

import os
import sys
from contextlib import closing, suppress
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_STOPPED, Number, Output, StopFlag, log, progress_bar
from reactdiff_ros.cli.evaluation import Corrections, removable
from reactdiff_ros.errors import MissingExtraError, ReactdiffError

if TYPE_CHECKING:
    from reactdiff_ros.model.backends.base import Precision
    from reactdiff_ros.recordings.datasets.recording import VoiceOf
    from reactdiff_ros.training.config import TrainConfig
    from reactdiff_ros.training.run import Progress, Start


_ABLATIONS = ("history", "voice", "face", "fusion", "real", "randomisation")
FINE_TUNING = {"learning_rate": 2e-4, "real_share": 0.5, "average": 0.9997, "steps": 3000}
"""Defaults that --from changes: half recorded people, smaller steps."""
_ON_RESUMING = ("threads", "workers", "minutes", "steps")
"""Settings that may differ when a run is resumed."""


@click.group(cls=common.Group, checkout=("train-expression", "train-lips", "train-turns"))
def dev() -> None:
    """Train, simulate and export models; generate pages."""


@click.command()
@click.option("--output", type=common.FOLDER, required=True, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Resume the run from its checkpoint, with its settings.")
@click.option("--seed", type=common.SEEDS, help="Seed of all random numbers (0).")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of encoder and denoiser (12000).")
@click.option("--vae-steps", type=click.IntRange(1), help="Optimiser steps of the autoencoder (2000).")
@click.option("--decoder-steps", type=click.IntRange(1), help="Steps of the decoder's own fit after that (1500).")
@click.option("--minutes", type=Number(0.1), help="Time budget; the schedule ends with it.")
@click.option("--batch", type=click.IntRange(1), help="Sequences per step.")
@click.option("--worlds", type=click.IntRange(2), help="Simulated listeners at the same time (192).")
@click.option("--pool-steps", type=click.IntRange(1), help="Optimiser steps until new listeners are drawn (150).")
@click.option("--learning-rate", type=Number(1e-6, 1.0), help="Peak learning rate.")
@click.option("--emotions", type=Number(0.0, 1.0), help="Share of simulated speakers who have emotional episodes (0).")
@click.option("--ambivalence", type=Number(0.0, 1.0),
              help="Share of the others who have episodes of ambivalence (0); a quarter of the sequences are then "
                   "answers to it.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), help="Processor threads (1).")
@click.option("--workers", type=click.IntRange(0, 64), help="Processes that simulate dyads in the background (0).")
@click.option("--precision", type=common.Choice(["no", "tf32", "bf16", "fp16"]),
              help="Reduced precision of matrix products (no). On CPUs with bf16 instructions: bf16.")  # fmt: skip
@common.VOICES
@click.option(
    "--dyads", type=common.FOLDER,
    help="Folder of recorded calls for masked co-training: data/real_dyads of "
    "github.com/daoramey/nonverbal-dynamics-VC-resolution (MIT; Diao et al., ICMI 2024), or files of the same form.",
)  # fmt: skip
@click.option(
    "--speakers", type=common.FOLDER,
    help="The same: half of the simulated speakers smile and look as these people do, at another pace and size.",
)  # fmt: skip
@click.option(
    "--recordings", type=common.FOLDER,
    help="Folder of your own recordings of two people, as 'reactdiff extract --pair' writes them.",
)  # fmt: skip
@click.option(
    "--data", metavar="KIND:DIR", multiple=True,
    help="Public data set on your disk (train split): react:DIR (REACT2023, REACT2024), mars:DIR (REACT2025, "
    "REACT2026) or dualtalk:DIR (ARKit form); repeatable.",
)  # fmt: skip
@click.option(
    "--expression-names", type=common.FILE, metavar="FILE",
    help="faceverse_simple_v2.npy, or a list of FaceVerse's 52 names; without it, react and mars contribute only "
    "head movements, and no labels.",
)  # fmt: skip
@click.option("--sound/--no-sound", default=None, help="Use the sound of --data for the speakers' voices (yes).")
@click.option("--fold", metavar="I/N", help="Exclude the pairs of fold I of N of the recorded people (1/4).")
@click.option(
    "--from", "start_from", type=common.PATH,
    help="Fine-tune a checkpoint, a folder of weights, or 'live' (shipped weights). Latents stay as they are.",
)  # fmt: skip
@click.option("--keep-encoder", is_flag=True, default=None, help="With --from: train the denoiser alone.")
@click.option("--keep", type=Number(0.0, 1.0), help="With --from: share of those networks in the new ones (0).")
@click.option("--speaker-guidance", type=Number(0.5, 4.0), help="With --from: learn to react as with this guidance.")
@click.option("--condition-guidance", type=Number(1.0, 4.0), help="The same for controls and style (1).")
@click.option("--ablate", type=common.Choice(_ABLATIONS), multiple=True, help="Train without this part; repeatable.")
@common.JSON
def train(output: Path, resume: bool, as_json: bool, **settings: Any) -> int:
    """Train a model on simulated and recorded people.

    Trains autoencoder, encoder and denoiser on simulated dyads and, with --dyads, --recordings or --data, on recorded
    people.

    Ctrl-C saves the run and exits with 130; --resume continues it, also after a crash. The folder contains
    checkpoint.pt, log.jsonl and files for TensorBoard. To use several GPUs:
    'accelerate launch -m reactdiff_ros.cli.main dev train ...'.
    """
    from reactdiff_ros.training.recorded import summary_of
    from reactdiff_ros.training.run import Logs, refuse_to_begin_over
    from reactdiff_ros.training.train import Trainer

    first = os.environ.get("RANK", "0") == "0"  # of several processes, one reports
    with common.json_on_stdout(as_json and first) as result:
        config, start = _config(output, resume, {k: v for k, v in settings.items() if v not in (None, ())})
        if first and not resume:
            refuse_to_begin_over(output)
        if config.bank:
            common.make_voices(Path(config.bank))
        voice_of: VoiceOf = None
        if config.hears_sets:
            from reactdiff_ros.recordings.extraction import voice_columns

            voice_of = voice_columns
        trainer = Trainer(config, output, voice_of=voice_of)
        if trainer.recordings and first:
            log(summary_of(trainer.recordings))
        if resume:
            trainer.resume()
        elif start is not None:
            trainer.begin_with(start)
        stop = StopFlag()
        values: dict[str, float] = {}
        reported = {""}
        with closing(Logs(output)) as logs:
            for progress in trainer.run(lambda: stop.set):
                if trainer.accelerator.is_main_process:
                    logs.write(progress)
                    _report(progress)
                    for sentence in {progress.note, logs.problem} - reported:
                        reported.add(sentence)
                        log(sentence)
                values |= progress.values
        result.update(checkpoint=str(trainer.checkpoint), step=trainer.step, steps=config.steps, losses=values)
        result.update(stopped=stop.set, facts=trainer.facts, skipped=trainer.skipped, seconds=trainer.spent())
        if first:
            log(f"{'stopped and saved' if stop.set else 'done'}: {trainer.checkpoint}")
    return EXIT_STOPPED if stop.set else EXIT_DONE


def _config(output: Path, resume: bool, given: dict[str, Any]) -> tuple[TrainConfig, Start | None]:
    """The settings: those of the checkpoint to resume, or the defaults, or those of fine-tuning; and what is given.

    Also the networks to start from, if --from is given. With --resume the run's own settings may be given again:
    'make weights' does.
    """
    from reactdiff_ros.training.config import Shape, TrainConfig, config_of
    from reactdiff_ros.training.run import CHECKPOINT, read_checkpoint, read_start

    values: dict[str, Any] = {
        "bank" if n == "voices" else n: str(v) if isinstance(v, Path) else v for n, v in given.items()
    }
    if resume:
        before = config_of(read_checkpoint(output / CHECKPOINT), output / CHECKPOINT)
        changed = {name: value for name, value in values.items() if value != getattr(before, name)}
        refused = {"voices" if name == "bank" else name for name in changed} - {*_ON_RESUMING}
        if refused:
            options = [option for option in train.params if option.name in refused]
            names = [(o.secondary_opts if given[str(o.name)] is False else o.opts)[0] for o in options]
            raise click.UsageError(
                f"--resume continues a run with its own settings: {', '.join(names)} cannot be changed; "
                f"{', '.join(f'--{name}' for name in _ON_RESUMING)} can"
            )
        return replace(before, **changed), None
    start = None
    if "start_from" in values:
        start = read_start(Path(values["start_from"]))
        shape = replace(start.shape, far=Shape().far, memory=Shape().memory)  # older networks learn to remember
        values = {**FINE_TUNING, "shape": shape, **values}
    if "minutes" in values and "steps" not in given:
        values["steps"] = 10**6 if start is None else TrainConfig().steps
    return TrainConfig(**values), start


def _report(progress: Progress) -> None:
    """A line every 100 steps."""
    if progress.step % 100 == 0:
        losses = {name: progress.values.get(name) for name in ("velocity", "auxiliary", "attributes", "fine")}
        text = ", ".join(f"{name} {value:.4g}" for name, value in losses.items() if value is not None)
        left = timedelta(seconds=round(progress.left_s)) if progress.left_s == progress.left_s else "?"
        with suppress(OSError):
            common.echo(f"{progress.phase} {progress.step}/{progress.steps} {text}, {left} left", err=True)


@click.command("train-nods")
@click.argument("weights", type=common.FOLDER)
@common.VOICES
@common.SEED
@click.option("--pools", type=click.IntRange(1, 1000), default=24, help="Pools of 128 speakers, a minute each.")
@click.option("--steps", type=click.IntRange(1), default=4000, help="Optimiser steps.")
@common.reporting
def train_nods(result: Output, weights: Path, voices: Path | None, seed: int, pools: int, steps: int) -> None:
    """Train the network that decides when to nod.

    The network reads the tokens of the encoder in WEIGHTS (a folder of 'reactdiff dev export'), which is not changed,
    and is written to the same folder. Takes half an hour on one core. Earlier measurements of these weights do not
    apply any more.
    """
    from reactdiff_ros.evaluation.listeners import voices_facts
    from reactdiff_ros.model.backends.runtime import Networks
    from reactdiff_ros.model.backends.weights import find_weights
    from reactdiff_ros.training.nods import add_to
    from reactdiff_ros.training.nods import train_nods as train

    found, bank = find_weights(weights), common.voice_bank(voices)
    with progress_bar("nods") as show:
        fit = train(Networks(found), seed=seed, pools=pools, steps=steps, bank=bank, progress=show)
    path = add_to(found, fit, {"seed": seed, "pools": pools, "steps": steps, "voices": voices_facts(bank)})
    result.update(file=str(path), gain_nats=fit.gain, rate=fit.rate)
    gain = f"{fit.gain:.2f} nats per nod better than a constant rate"
    log(f"{path}: {gain}, {fit.rate:.2f} times the true number of nods")


@click.command()
@click.argument("checkpoint", type=common.FILE, required=False)
@click.option("--output", type=common.FOLDER, help="Folder of the weights.")
@click.option("--name", default="live", help="Name of the preset in the manifest.")
@click.option("--learnt", cls=Corrections, metavar="NAME,...", default="", callback=removable,
              help="Corrections that these networks do without: {names}.")  # fmt: skip
@click.option("--tensorrt", is_flag=True, help="Build the TensorRT engines for this GPU in advance.")
@click.option("--model", default="", show_default=False, help="Without CHECKPOINT: weights of the engines (shipped).")
@click.option("--precision", type=common.Choice(["fp32", "fp16"]), default="fp32", help="Engine precision.")
@click.option("--steps", type=click.IntRange(1, 64), multiple=True, default=(8,), help="Denoiser steps; repeatable.")
@common.reporting
def export(
    result: Output, checkpoint: Path | None, output: Path | None, name: str, learnt: tuple[str, ...], tensorrt: bool,
    model: str, precision: Precision, steps: tuple[int, ...],
) -> None:  # fmt: skip
    """Export a checkpoint as ONNX graphs or TensorRT engines.

    Writes the averaged model of CHECKPOINT as ONNX graphs (float32 and float16), safetensors and a manifest with their
    hashes. With --tensorrt, also builds engines for this GPU in the user's cache (REACTDIFF_ENGINES, or
    ~/.cache/reactdiff_ros/engines); without CHECKPOINT, for the weights in --model.
    """
    if checkpoint is None and not tensorrt:
        raise click.UsageError("give a CHECKPOINT, or --tensorrt to build engines for existing weights")
    if (checkpoint is None) != (output is None):
        raise click.UsageError("CHECKPOINT and --output need each other")
    if checkpoint is not None and output is not None:
        from reactdiff_ros.training.export import MODEL_CARD
        from reactdiff_ros.training.export import export as run

        files = run(checkpoint, output, name, learnt)
        result.update(files={path.name: path.stat().st_size for path in files}, folder=str(output))
        if output / MODEL_CARD in files:
            log(f"{output / MODEL_CARD} described other weights; it now says that these are not measured")
        log(f"{len(files)} files in {output}, {sum(p.stat().st_size for p in files) / 1e6:.1f} MB")
    if tensorrt:
        result["engines"] = _engines(str(output or model), precision, steps)


def _engines(folder: str, precision: Precision, steps: tuple[int, ...]) -> dict[str, Any]:
    """Build what is missing; progress goes to stderr."""
    from time import perf_counter

    from reactdiff_ros.model.backends.base import BackendError
    from reactdiff_ros.model.backends.opening import Wanted, open_backend
    from reactdiff_ros.model.backends.tensorrt_backend import tensorrt_version
    from reactdiff_ros.model.backends.weights import find_weights

    weights = find_weights(folder)
    try:
        tensorrt_version()
    except BackendError as error:
        raise MissingExtraError("TensorRT", f"{error}; see docs/gpu.md") from error
    opened = open_backend(weights, Wanted("tensorrt", precision, steps), perf_counter, log=log)
    backend = opened.tensorrt
    try:
        with progress_bar("engines") as show:
            while backend is not None and backend.running():
                show(backend.share())
                backend.wait(0.2)
    finally:
        opened.close()
    if backend is None or not opened.serving.name.startswith("tensorrt"):
        raise ReactdiffError("engines cannot be built here", todo=opened.serving.why)
    log(f"{len(backend.built_s)} engines built, {len(backend.cached)} found in the cache: {backend.folder}")
    return {
        "folder": str(backend.folder), "built_s": backend.built_s, "from_cache": backend.cached,
        "precision": precision, "tensorrt": backend.version,
    }  # fmt: skip


_DATA = click.option("--data", type=common.FOLDER, required=True, help="REACT data set with the predictors' features.")
_DEVICE = click.option("--device", help="Device of torch: cpu or cuda. Default: a GPU, if available.")


@click.group(cls=common.Group)
def paper() -> None:
    """Train and sample the published model (542 M parameters)."""


@paper.command("train")
@_DATA
@click.option("--output", type=common.FOLDER, required=True, help="Folder of the run.")
@click.option("--config", "settings", type=common.FILE, help="Settings, a JSON file.")
@click.option("--protocol", type=common.Choice(["offline", "online"]), help="Know the whole clip, or the past alone.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs of each of the two parts.")
@click.option("--batch", type=click.IntRange(1), help="Clips per step.")
@click.option("--seed", type=common.SEEDS, help="Seed of all random numbers.")
@_DEVICE
@click.option("--resume", is_flag=True, help="Resume the run from its checkpoint.")
@common.reporting
def train_paper(
    result: Output, data: Path, output: Path, settings: Path | None, device: str | None, resume: bool, **given: Any
) -> int:
    """Train autoencoder and diffusion; the validation split selects the weights. Ctrl-C saves and exits with 130."""
    from reactdiff_ros.training.paper.config import from_dict, read_config
    from reactdiff_ros.training.paper.networks import count_parameters
    from reactdiff_ros.training.paper.train import MODEL, Trainer
    from reactdiff_ros.training.run import refuse_to_begin_over

    values = read_config(settings) if settings is not None else {}
    config = from_dict({**values, **{k: v for k, v in given.items() if v is not None}})
    log(f"{count_parameters(config)['total'] / 1e6:.1f} M parameters, {config.protocol}")
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
    result.update(model=str(model), checkpoint=str(trainer.checkpoint), config=asdict(config), stopped=stop.set)
    result.update(step=None if last is None else last.step, steps=trainer.steps)
    log(f"stopped and saved: {trainer.checkpoint}" if stop.set else f"done: {model}")
    return EXIT_STOPPED if stop.set else EXIT_DONE


@paper.command()
@click.argument("model", type=common.FILE)
@_DATA
@click.option("--split", type=common.Choice(["train", "val", "test"]), default="test", help="Split to use.")
@click.option("--output", type=common.FOLDER, required=True, help="Folder for the arrays.")
@click.option("--count", type=click.IntRange(1), default=10, help="Reactions per clip.")
@click.option("--frames", type=click.IntRange(1), default=750, help="Frames per clip.")
@common.SEED
@_DEVICE
@common.reporting
def sample(
    result: Output, model: Path, data: Path, split: str, output: Path, count: int, frames: int, seed: int,
    device: str | None,
) -> None:  # fmt: skip
    """Draw reactions to every speaker of a split with MODEL.

    Writes attributes.npy (N, COUNT, FRAMES, 25). coefficients.npy (N, COUNT, FRAMES, 58) holds the same faces in
    FaceVerse's order, clips.txt the speakers' names.
    """
    from reactdiff_ros.training.paper import drawing
    from reactdiff_ros.training.paper.train import load_model

    trained = load_model(model, device)
    stop = StopFlag()
    with progress_bar(f"{split}: drawing") as show:
        given: Any = {"count": count, "frames": frames, "seed": seed, "stopped": lambda: stop.set}
        clips = drawing.sample(trained, data, split, output, progress=show, **given)
    if not clips:
        raise ReactdiffError("stopped early: nothing was written", where=str(output))
    shape = [clips, count, frames, 25]
    result.update(output=str(output), shape=shape, seed=seed, protocol=trained.config.protocol)
    log(f"{clips} clips of {count} reactions in {output / drawing.ATTRIBUTES}")
