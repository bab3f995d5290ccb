"""Options that the commands of evaluation share, and the objects that they make."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.options import FILE, FOLDER, SEEDS
from reactdiff_ros.cli.options import JSON as JSON
from reactdiff_ros.cli.options import VOICES as VOICES
from reactdiff_ros.cli.output import EXIT_DONE, EXIT_ERROR, Number, dumps, echo, json_on_stdout, tell
from reactdiff_ros.cli.progress import progress_bar
from reactdiff_ros.resources import require

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.listeners import StreamListener
    from reactdiff_ros.evaluation.results import Info, Result
    from reactdiff_ros.evaluation.runs.scoring import RunContext, RunOutcome
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
CONTROLLED = click.option(
    "--listener", type=click.Choice(("model", "simulator", "policy")), default="model", show_default=True,
    help="Who listens; simulator: knows the speaker exactly; policy: the same behind noisy perception.",
)  # fmt: skip
MODEL = click.option(
    "--model",
    type=FOLDER,
    metavar="DIR",
    help="Folder that 'reactdiff dev export' wrote (the shipped weights).",
)
SEED = click.option("--seed", type=SEEDS, default=0, show_default=True, help="Another seed, another set.")
OUTPUT = click.option("--output", type=FOLDER, help="Folder for the plots.")
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
LISTENERS = click.option(
    "--listener",
    "listeners",
    multiple=True,
    default=("model",),
    show_default=True,
    metavar="NAME",
    help="model, rules, mime, random, idle, or a class of your own as module:Class or file.py:Class. Several are "
    "compared; the first is under test.",
)
RESULT = click.option(
    "--output",
    type=FILE,
    metavar="RESULT",
    help="Result file to write (.npz), for 'reactdiff report' and 'reactdiff compare'.",
)
RUN = click.option(
    "--run",
    "run_folder",
    type=FOLDER,
    metavar="DIR",
    help="Folder of finished parts; the same command resumes from there (RESULT.parts).",
)
PROCESSES = click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes on this machine."
)
DASK = click.option(
    "--dask",
    metavar="ADDRESS",
    default="",
    help="Dask scheduler, as tcp://host:8786: the parts run on its workers, which see the same paths.",
)
CUTS = click.option(
    "--cuts", type=click.IntRange(0, 1000), default=10, show_default=True,
    help="Moments at which each listener's declared look-ahead is verified (0: not at all).",
)  # fmt: skip
FORCE = click.option("--force", is_flag=True, help="Overwrite an existing result file.")
MOST_NOTES = 20
"""Further notes are only in the result."""

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
        from reactdiff_ros.evaluation.listeners import live_sampling

        return live_sampling(steps=self.steps, guidance=self.guidance, hop_s=self.hop_s)

    def bank(self) -> VoiceBank:
        """The voices of simulated speakers; a bank that is not there is made. The result tells which they were."""
        from reactdiff_ros.cli.voices import voice_bank
        from reactdiff_ros.evaluation.listeners import voices_facts

        bank = voice_bank(self.voices)
        self._rests_on["voices"] = voices_facts(bank)
        return bank

    def listener(self, name: str, model: Path | None) -> StreamListener:
        """Who listens, by the name of LISTENER."""
        from reactdiff_ros.evaluation.listeners import StreamListener

        return self.model(model) if name == "model" else StreamListener(name)

    def model(self, folder: Path | None) -> StreamListener:
        """The model of a folder of weights; None: the shipped ones."""
        from reactdiff_ros.evaluation.listeners import MODEL, StreamListener

        return StreamListener(MODEL, self.weights(folder), self.sampling(), self.workers)

    def weights(self, folder: Path | None) -> Weights:
        """The weights in a folder; None: the shipped ones. The result tells which, and how they are sampled."""
        from reactdiff_ros.evaluation.listeners import weights_facts
        from reactdiff_ros.model.weights import find_weights

        found = find_weights(folder or "")
        self._rests_on.setdefault("weights", []).append(weights_facts(found))
        how = self.sampling()
        self._rests_on["sampling"] = {
            part: getattr(how, part) for part in ("steps", "guidance", "hop", "lead", "recall")
        }
        return found

    def plot(self, name: str, draw: Callable[[Path], Path]) -> None:
        """With --output, draw the picture `name` into that folder."""
        if self.output is not None:
            tell(f"wrote {draw(self.output / name)}")

    @contextmanager
    def result(self) -> Iterator[dict[str, Any]]:
        """The dictionary to fill: with --json the only thing on stdout, else printed indented at the end.

        Added is what it rests on: the hash of the simulator, which weights (a list where several were taken), how they
        were sampled, and which voices.
        """
        with json_on_stdout(self.as_json) as filled:
            yield filled
            filled.update(self._made_with())
        if not self.as_json:
            echo(dumps(filled, indent=2))

    def _made_with(self) -> dict[str, Any]:
        """Simulator, weights, sampling and voices; a sentence for weights that were trained on another simulator."""
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


def result_file(output: Path | None) -> Path | None:
    """Where the result goes where `output` is a folder, or a file's name that ends with .npz.

    Raises:
        ReactdiffError: that file is there already.
    """
    if output is None or output.suffix != ".npz":
        return None if output is None else output / "result.npz"
    absent(output)
    return output


def absent(output: Path | None, *, force: bool = False) -> None:
    """Before a long run: raises ReactdiffError if its result file is there already and not to be written over."""
    from reactdiff_ros.errors import ReactdiffError

    if output is not None and output.exists() and not force:
        raise ReactdiffError(
            "the result file is there already", where=str(output), todo="name another one, or move it away"
        )


@dataclass(frozen=True, slots=True)
class Course:
    """The options of a resumable run; made by `resumable`."""

    cuts: int
    seed: int
    workers: int
    dask: str
    run_folder: Path | None
    output: Path | None
    force: bool
    as_json: bool

    @contextmanager
    def context(self) -> Iterator[RunContext]:
        """Store, workers and progress of the run.

        Raises:
            ReactdiffError: the result file is there already, or the folder cannot be made.
            MissingExtraError: a scheduler is named, and `distributed` is not installed.
        """
        from reactdiff_ros.evaluation.runs.parts import Keep, Resources
        from reactdiff_ros.evaluation.runs.scoring import RunContext

        absent(self.output, force=self.force)
        if self.dask:
            require("distributed")
        if self.dask and self.run_folder is None and self.output is None:
            raise click.UsageError("--dask needs --run or --output: a folder that all workers see")
        folder = self.run_folder
        if folder is None and self.output is not None:
            folder = self.output.with_name(self.output.name + ".parts")
        with tempfile.TemporaryDirectory(prefix="reactdiff-run-") as temporary, _bars() as told:
            keep = Keep((folder or Path(temporary)).resolve())
            yield RunContext(keep, Resources(self.workers, self.dask), told, tell)

    def write(self, result: Result) -> dict[str, str]:
        """Write the result file where one is wanted. What to add to the JSON object."""
        return write(result, self.output, self.force)


def resumable(command: Command) -> Command:
    """Gives a command the options of a resumable run and hands it their `Course` first.

    To be the decorator nearest to the function; the command's own options stand above it.
    """
    parts = (CUTS, SEED, PROCESSES, DASK, RUN, RESULT, FORCE, JSON)
    return gathered(parts, [field.name for field in fields(Course)], Course)(command)


@contextmanager
def _bars() -> Iterator[Callable[[str, float], None]]:
    """One progress bar a round."""
    with ExitStack() as open_bar:
        now: dict[str, Callable[[float], None]] = {}

        def report(what: str, share: float) -> None:
            if what not in now:
                open_bar.close()
                now.clear()
                now[what] = open_bar.enter_context(progress_bar(what))
            now[what](share)

        yield report


def info_of(kind: str, title: str, weights: str, listeners: Sequence[str]) -> Info:
    """The head of a result: when, with which command, on which machine, with which weights and versions."""
    from datetime import datetime, timezone

    from reactdiff_ros.evaluation.bench.machine import hardware
    from reactdiff_ros.evaluation.results import Info, versions_here
    from reactdiff_ros.model.weights import find_weights

    told: dict[str, Any] = {}
    if "model" in listeners:
        found = find_weights(weights)
        told = {"name": found.name, "digest": found.digest, "trained_on": found.simulator}
    return Info(
        kind=kind, title=title, created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=" ".join(["reactdiff", *sys.argv[1:]]), versions=versions_here(), hardware=hardware(), weights=told,
    )  # fmt: skip


def write(result: Result, output: Path | None, force: bool) -> dict[str, str]:
    """Write the result file where one is wanted. What to add to the JSON object."""
    if output is None:
        return {}
    from reactdiff_ros.evaluation.results import write_result

    write_result(result, output, overwrite=force)
    tell(f"the result is in {output}: 'reactdiff report' makes a page of it")
    return {"result": str(output)}


def as_json(ran: RunOutcome) -> dict[str, Any]:
    """A run for stdout."""
    info = ran.result.info
    return {
        "kind": info.kind, "data": info.data, "compat": info.compat, "subject": info.subject,
        "recordings": len(ran.result.items), "minutes": round(ran.result.minutes, 3), "systems": ran.table,
        "failed": ran.failed, "notes": list(ran.notes), "kept_parts": ran.kept, "settings": dict(info.settings),
        "seeds": dict(info.seeds), "weights": dict(info.weights), "hardware": dict(info.hardware),
    }  # fmt: skip


def path_text(path: Path | None) -> str:
    """An absolute path for a plan's settings; empty for none."""
    return "" if path is None else str(path.resolve())


def conclude(ran: RunOutcome, measures: Sequence[str], *, as_json: bool) -> int:
    """Tell what a run found and what went wrong; the exit code."""
    from reactdiff_ros.evaluation.runs.scoring import counted

    if not as_json:
        echo(console(ran.table, measures))
    for sentence in ran.notes[:MOST_NOTES]:
        tell(sentence)
    tell(f"{counted(len(ran.result.items), 'recording')}, {len(ran.failed)} failed")
    return EXIT_ERROR if ran.failed else EXIT_DONE


def console(table: dict[str, dict[str, Any]], measures: Sequence[str]) -> str:
    """The table for people."""

    def cell(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "NO"
        return f"{value:.4g}" if isinstance(value, (int, float)) and value == value else "-"

    rows = [[name, *(cell(figures.get(m)) for m in measures)] for name, figures in table.items()]
    return aligned([["", *measures], *rows])


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """A table of texts; the columns in `left` are left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
