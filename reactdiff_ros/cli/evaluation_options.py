"""Options that the commands of evaluation share, and what they come to."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import Number, echo
from reactdiff_ros.resources import require

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.studies.listeners import Listens, ModelListens
    from reactdiff_ros.model.plan.sampler import Sampling
    from reactdiff_ros.model.weights import Weights
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
    help="Folder that 'reactdiff dev export' wrote (the shipped weights).",
)
SEED = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Another seed, another set."
)
VOICES = click.option(
    "--voices",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Voice bank of synthesised speech; made if missing (parametric voices).",
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
    _rests_on: dict[str, Any] = field(default_factory=dict, init=False)
    """Weights, their sampling and voices that were handed out, as the result tells them."""

    def __post_init__(self) -> None:
        if self.output is not None:
            require("matplotlib")  # now, not after the work

    def sampling(self) -> Sampling:
        """The sampler's settings; what was not given is as live."""
        return sampling(self.steps, self.guidance, self.hop_s)

    def bank(self) -> VoiceBank:
        """The voices of simulated speakers; a bank that is not there is made. The result tells which they were."""
        from reactdiff_ros.cli.voices import voice_bank
        from reactdiff_ros.evaluation.studies.provenance import voices_told

        bank = voice_bank(self.voices)
        self._rests_on["voices"] = voices_told(bank)
        return bank

    def listener(self, name: str, model: Path | None) -> Listens:
        """Who listens, by the name of LISTENER."""
        from reactdiff_ros.evaluation.studies.listeners import make_listener

        return self.model(model) if name == "model" else make_listener(name)

    def model(self, folder: Path | None) -> ModelListens:
        """The model of a folder of weights; None: the shipped ones."""
        from reactdiff_ros.evaluation.studies.listeners import ModelListens

        return ModelListens(self.weights(folder), self.sampling(), workers=self.workers)

    def weights(self, folder: Path | None) -> Weights:
        """The weights in a folder; None: the shipped ones. The result tells which, and how they are sampled."""
        from reactdiff_ros.evaluation.studies.provenance import weights_told
        from reactdiff_ros.model.weights import find_weights

        found = find_weights(folder or "")
        self._rests_on.setdefault("weights", []).append(weights_told(found))
        how = self.sampling()
        self._rests_on["sampling"] = {
            part: getattr(how, part) for part in ("steps", "guidance", "hop", "lead", "recall")
        }
        return found

    @contextmanager
    def result(self) -> Iterator[dict[str, Any]]:
        """The dictionary to fill: with --json the only thing on stdout, else printed indented at the end.

        Added is what it rests on: the hash of the simulator, which weights (a list where several were taken), how they
        were sampled, and which voices.
        """
        from reactdiff_ros.cli.output import dumps, json_on_stdout

        with json_on_stdout(self.as_json) as filled:
            yield filled
            filled.update(self._made_with())
        if not self.as_json:
            echo(dumps(filled, indent=2))

    def _made_with(self) -> dict[str, Any]:
        """Simulator, weights, sampling and voices; a sentence for weights that were trained on another simulator."""
        from reactdiff_ros.cli.output import tell
        from reactdiff_ros.simulator.dyads import simulator_hash

        here, weights = simulator_hash(), self._rests_on.get("weights", [])
        for other in sorted({told["trained_on"] for told in weights} - {here}):
            tell(f"the weights were trained on simulator {other}; this one is {here}")
        made_with = {"simulator": here, **self._rests_on}
        return {**made_with, "weights": weights[0]} if len(weights) == 1 else made_with


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
