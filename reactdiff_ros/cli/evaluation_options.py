"""Options that the commands of evaluation share, and what they come to."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import Number

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.studies.listeners import Listens, ModelListens
    from reactdiff_ros.model.sampler import Sampling
    from reactdiff_ros.simulator.voices import VoiceBank

LISTENER = click.option(
    "--listener",
    type=click.Choice(("model", "simulator", "policy", "rules", "mime", "random", "idle")),
    default="model",
    show_default=True,
    help="Who listens; simulator: knows the speaker exactly; policy: the same behind noisy perception.",
)
MODEL = click.option(
    "--model",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder that 'reactdiff export' wrote (the shipped weights).",
)
SEED = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Another seed, another set."
)
VOICES = click.option(
    "--voices",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Voice bank of synthesised speech, as for 'train' (parametric voices).",
)
OUTPUT = click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for the plots.")
STEPS = click.option("--steps", type=click.IntRange(2, 64), help="Denoiser steps of a plan (as live).")
GUIDANCE = click.option("--guidance", type=Number(0.0, 8.0), help="Guidance on the speaker (as live).")
HOP = click.option("--hop-s", type=Number(0.04, 0.64), help="Time until the next plan (as live).")
WORKERS = click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads.")
EVERY_CORE = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=lambda: min(os.cpu_count() or 1, 64),
    show_default="one a core",
    help="Threads and processes.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")

Command = Callable[..., int]


@dataclass(frozen=True, slots=True)
class Run:
    """What the shared options say; made by `evaluation`."""

    steps: int | None
    guidance: float | None
    hop_s: float | None
    seed: int
    workers: int
    as_json: bool
    voices: Path | None = None
    output: Path | None = None
    """Folder for the plots; None: none are drawn."""

    def sampling(self) -> Sampling:
        """The sampler's settings; what was not given is as live."""
        return sampling(self.steps, self.guidance, self.hop_s)

    def bank(self) -> VoiceBank:
        """The voices of simulated speakers."""
        from reactdiff_ros.simulator.voices import load_bank

        return load_bank(self.voices)

    def listener(self, name: str, model: Path | None) -> Listens:
        """Who listens, by the name of LISTENER."""
        from reactdiff_ros.evaluation.studies.listeners import make_listener

        return make_listener(name, model=model, how=self.sampling(), workers=self.workers)

    def model(self, folder: Path | None) -> ModelListens:
        """The model of a folder of weights; None: the shipped ones."""
        from reactdiff_ros.evaluation.studies.listeners import ModelListens
        from reactdiff_ros.model.weights import find_weights

        return ModelListens(find_weights(folder or ""), self.sampling(), workers=self.workers)

    @contextmanager
    def result(self) -> Iterator[dict[str, Any]]:
        """The dictionary to fill: with --json the only thing on stdout, else printed indented at the end."""
        from reactdiff_ros.cli.output import dumps, json_on_stdout

        with json_on_stdout(self.as_json) as filled:
            yield filled
        if not self.as_json:
            click.echo(dumps(filled, indent=2))


def evaluation(
    *, voices: bool = True, output: bool = False, workers: Callable[[Command], Command] = WORKERS
) -> Callable[[Command], Command]:
    """Gives a command the sampler's options, --seed, --workers and --json, and hands it their `Run` first.

    To be the decorator nearest to the function; the command's own options stand above it.

    Args:
        voices: with --voices.
        output: with --output for plots.
        workers: the option for the number of threads.
    """
    parts: list[Callable[[Command], Command]] = [STEPS, GUIDANCE, HOP, SEED, workers, JSON]
    parts[4:4] = [VOICES] if voices else []
    parts[-1:-1] = [OUTPUT] if output else []
    fields = {"steps", "guidance", "hop_s", "seed", "workers", "as_json"}
    fields |= ({"voices"} if voices else set()) | ({"output"} if output else set())
    return gathered(parts, fields, Run)


def gathered(
    parts: Sequence[Callable[[Command], Command]], fields: Collection[str], kind: Callable[..., Any]
) -> Callable[[Command], Command]:
    """Gives a command these options and hands it what `kind` makes of their values, named `fields`, first."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def decorated(**given: Any) -> int:
            shared = {name: given.pop(name) for name in fields}
            return command(kind(**shared), **given)

        whole: Command = decorated
        for option in reversed(parts):
            whole = option(whole)
        return whole

    return decorate


def sampling(steps: int | None, guidance: float | None, hop_s: float | None) -> Sampling:
    """The sampler's settings; what is None is as live."""
    from reactdiff_ros.evaluation.studies.systems import live_sampling

    return live_sampling(steps=steps, guidance=guidance, hop_s=hop_s)
