"""`reactdiff dev train`: from simulated dyads to a checkpoint."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import Number, echo

if TYPE_CHECKING:
    from reactdiff_ros.recordings.datasets.recording import VoiceOf
    from reactdiff_ros.training.config import TrainConfig
    from reactdiff_ros.training.run import Progress, Start


_ABLATIONS = ("history", "voice", "face", "real", "randomisation")
FINE_TUNING = {"learning_rate": 2e-4, "real_share": 0.5, "average": 0.995, "roll_after": 0.0, "steps": 3000}
"""What --from changes in the defaults: half recorded people, smaller steps."""
_ON_RESUMING = ("threads", "workers", "minutes", "steps")
"""Settings that may change while a run goes on."""


@click.command()
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on from the run's checkpoint, with its settings.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of everything (0).")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of encoder and denoiser (12000).")
@click.option("--vae-steps", type=click.IntRange(1), help="Optimiser steps of the autoencoder (2000).")
@click.option("--minutes", type=Number(0.1), help="Time budget; the schedule ends with it.")
@click.option("--batch", type=click.IntRange(1), help="Sequences a step.")
@click.option("--worlds", type=click.IntRange(2), help="Simulated listeners at a time (192).")
@click.option("--pool-steps", type=click.IntRange(1), help="Optimiser steps until they are drawn anew (150).")
@click.option("--learning-rate", type=Number(1e-6, 1.0), help="Peak of the learning rate.")
@click.option("--onsets", type=Number(0.0, 10.0), help="Extra weight of plans in which an event begins (0).")
@click.option("--threads", type=click.IntRange(1), help="Processor threads (1).")
@click.option("--workers", type=click.IntRange(0, 64), help="Processes that simulate the next dyads (0).")
@click.option(
    "--precision",
    type=click.Choice(["no", "tf32", "bf16", "fp16"]),
    help="Of products (no). On a CPU bf16, if it has AMX.",
)
@click.option("--voices", type=click.Path(path_type=Path, dir_okay=False), help="Voice bank; made if missing.")
@click.option(
    "--dyads",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of recorded calls for masked co-training: data/real_dyads of "
    "github.com/daoramey/nonverbal-dynamics-VC-resolution (MIT; Diao et al., ICMI 2024), or files of that form.",
)
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of your own recordings of two people, as 'reactdiff extract --pair' writes them.",
)
@click.option(
    "--data",
    metavar="KIND:DIR",
    multiple=True,
    help="A public set of recorded people that you have, its train split: react:DIR (REACT2023, REACT2024), mars:DIR "
    "(REACT2025, REACT2026) or dualtalk:DIR (ARKit form). Can be given again for another.",
)
@click.option(
    "--expression-names",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="faceverse_simple_v2.npy, or a list of FaceVerse's 52 names; without it only the heads of react and mars are "
    "observed and none of their labels is learnt.",
)
@click.option(
    "--sound/--no-sound", default=None, help="Read the sound of --data for the speakers' voices (it is read)."
)
@click.option("--fold", metavar="I/N", help="Leave the pairs of fold I of N out of the recorded people (1/4).")
@click.option(
    "--from",
    "start_from",
    type=click.Path(path_type=Path),
    help="What to fine-tune: a checkpoint, a folder of weights, or 'live', the shipped ones. The autoencoder stays.",
)
@click.option(
    "--ablate", type=click.Choice(_ABLATIONS), multiple=True, help="Train without this, to see what it is worth."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def train(output: Path, resume: bool, as_json: bool, **settings: Any) -> int:
    """Train a model on simulated and recorded people.

    Train autoencoder, encoder and denoiser on simulated dyads and, with --dyads, --recordings or --data, on recorded
    people.

    Ctrl-C saves and ends with 130; --resume goes on, also after a kill. The folder gets checkpoint.pt, log.jsonl and
    TensorBoard's files. Several GPUs: 'accelerate launch -m reactdiff_ros.cli.main train ...'.
    """
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.cli.output import EXIT_DONE, EXIT_STOPPED, json_on_stdout, tell
    from reactdiff_ros.cli.voices import make_if_missing
    from reactdiff_ros.training.recorded import summary_of
    from reactdiff_ros.training.run import Logs, refuse_to_begin_over
    from reactdiff_ros.training.train import Trainer

    first = os.environ.get("RANK", "0") == "0"  # of several processes, one reports
    with json_on_stdout(as_json and first) as result:
        config, start = _config(output, resume, {k: v for k, v in settings.items() if v not in (None, ())})
        if first and not resume:
            refuse_to_begin_over(output)
        if config.bank:
            make_if_missing(Path(config.bank))
        trainer = Trainer(config, output, voice_of=_voice_of(config))
        if trainer.recordings and first:
            tell(summary_of(trainer.recordings))
        if resume:
            trainer.resume()
        elif start is not None:
            trainer.begin_with(start)
        stop = StopFlag()
        values: dict[str, float] = {}
        with Logs(output) as logs, _reporter() as report:
            for progress in trainer.run(lambda: stop.set):
                if trainer.accelerator.is_main_process:
                    logs.write(progress)
                    report(progress, logs.problem)
                values |= progress.values
        result.update(checkpoint=str(trainer.checkpoint), step=trainer.step, steps=config.steps, losses=values)
        result.update(stopped=stop.set, facts=trainer.facts, skipped=trainer.skipped, seconds=trainer.spent())
        if first:
            tell(f"{'stopped and saved' if stop.set else 'done'}: {trainer.checkpoint}")
    return EXIT_STOPPED if stop.set else EXIT_DONE


def _config(output: Path, resume: bool, given: dict[str, Any]) -> tuple[TrainConfig, Start | None]:
    """The settings: those of the checkpoint to resume, or the defaults, or those of fine-tuning; and what is given.

    Beside them the networks to begin with, where --from says which.
    """
    from dataclasses import replace

    from reactdiff_ros.training.config import TrainConfig, config_of
    from reactdiff_ros.training.run import CHECKPOINT, read_checkpoint, read_start

    paths = {
        "voices": "bank", "dyads": "dyads", "recordings": "recordings", "expression_names": "expression_names",
        "start_from": "start_from",
    }  # fmt: skip
    values: dict[str, Any] = {
        paths.get(name, name): str(value) if name in paths else value for name, value in given.items()
    }
    if resume:
        before = config_of(read_checkpoint(output / CHECKPOINT), output / CHECKPOINT)
        changed = {name: value for name, value in values.items() if value != getattr(before, name)}
        _refuse_to_change({name: given[name] for name in given if paths.get(name, name) in changed})
        return replace(before, **changed), None
    start = None
    if "start_from" in values:
        start = read_start(Path(values["start_from"]))
        values = {**FINE_TUNING, "shape": start.shape, **values}
        if "minutes" in values and "steps" not in given:
            values["steps"] = TrainConfig().steps
    elif "minutes" in values and "steps" not in values:
        values["steps"] = 10**6
    return TrainConfig(**values), start


def _refuse_to_change(settings: dict[str, Any]) -> None:
    """What --resume cannot change. The run's own settings may be given again: 'make weights' does.

    Raises:
        click.UsageError: among `settings`, which are other than the run's, is more than `_ON_RESUMING`.
    """
    refused = [option for option in train.params if option.name in settings and option.name not in _ON_RESUMING]
    if refused:
        names = [(o.secondary_opts if settings[str(o.name)] is False else o.opts)[0] for o in refused]
        raise click.UsageError(
            f"with --resume a run goes on with its own settings: {', '.join(names)} cannot be changed; "
            f"{', '.join(f'--{name}' for name in _ON_RESUMING)} can"
        )


def _voice_of(config: TrainConfig) -> VoiceOf:
    """What makes a voice of the sound of public sets, where there are any and it is wanted."""
    if not config.hears_sets:
        return None
    from reactdiff_ros.evaluation.extraction import voice_columns

    return voice_columns


@contextmanager
def _reporter() -> Iterator[Callable[[Progress, str], None]]:
    """A progress bar on a terminal, else a line now and then; sentences beside it."""
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.training.run import clock_face

    terminal = sys.stderr.isatty()
    bars: dict[str, Any] = {}
    told: set[str] = set()

    def report(progress: Progress, problem: str) -> None:
        for sentence in (progress.note, problem):
            if sentence and sentence not in told:
                told.add(sentence)
                tell(sentence)
        figures = [name for name in ("velocity", "auxiliary", "attributes") if name in progress.values]
        text = ", ".join(f"{name} {progress.values[name]:.4g}" for name in figures)
        text = f"{progress.step}/{progress.steps} {text}, {clock_face(progress.left_s)} left"
        if terminal:
            if progress.phase not in bars:
                bars[progress.phase] = click.progressbar(
                    length=1000, label=progress.phase, file=sys.stderr, show_eta=False, item_show_func=lambda item: item
                )
            bar = bars[progress.phase]
            bar.update(max(round(1000 * progress.done) - bar.pos, 0), text)
        elif progress.step % 100 == 0:
            with suppress(OSError):
                echo(f"{progress.phase} {text}", err=True)

    yield report
    for bar in bars.values():
        bar.render_finish()
