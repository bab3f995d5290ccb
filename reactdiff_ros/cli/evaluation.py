"""What the commands of evaluation share, and `reactdiff report` and `compare`: result files as pages and tables."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import (
    EXIT_DONE,
    EXIT_ERROR,
    Number,
    Output,
    aligned,
    echo,
    json_on_stdout,
    log,
    progress_bar,
)
from reactdiff_ros.errors import ReactdiffError, one_of
from reactdiff_ros.resources import require

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.listeners import StreamListener
    from reactdiff_ros.evaluation.results import Info, Result, Study
    from reactdiff_ros.evaluation.runs.parts import RunContext
    from reactdiff_ros.evaluation.runs.run import RunOutcome
    from reactdiff_ros.model.diffusion.sampler import Sampling
    from reactdiff_ros.simulator.voices import VoiceBank


_REMOVED = {"mood", "prompt", "temperature", "gain", "lag"}
"""Corrections of earlier weights. They are still accepted, so that the same command measures these and those."""


def removable(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """The corrections that are named in a list with commas."""
    from reactdiff_ros.model.plan.corrections import REMOVABLE

    names = tuple(sorted({name.strip() for name in text.split(",")} - {"", *_REMOVED}))
    if unknown := [name for name in names if name not in REMOVABLE]:
        raise click.BadParameter(f"{unknown[0]!r} is unknown: {one_of(unknown[0], REMOVABLE)}")
    return names


class Corrections(click.Option):
    """An option of corrections, whose help has their names; they are imported only for it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option and its help."""
        from reactdiff_ros.model.plan.corrections import REMOVABLE

        self.help = (self.help or "").format(names=", ".join(REMOVABLE))
        return super().get_help_record(ctx)


_WHO = "Who listens; simulator: knows the speaker exactly; policy: the same behind noisy perception."
SIMULATED = ("model", "simulator", "policy")
LISTENER = click.option(
    "--listener", type=common.Choice((*SIMULATED, "rules", "mime", "random", "idle")), default="model", help=_WHO
)
CONTROLLED = click.option("--listener", type=common.Choice(SIMULATED), default="model", help=_WHO)
WORKERS = click.option(
    "--workers", type=click.IntRange(1, 64), default=lambda: min(os.cpu_count() or 1, 64), show_default="one a core",
    help="Threads and processes.",
)  # fmt: skip
RESULT = click.option(
    "--output", type=common.FILE, metavar="RESULT",
    help="Result file to write (.npz), for 'reactdiff report' and 'reactdiff compare'.",
)  # fmt: skip
STEPS = click.option("--steps", type=click.IntRange(2, 64), help="Denoiser steps of a plan (as live).")
WITHOUT = click.option(
    "--without", cls=Corrections, metavar="NAME,...", default="", callback=removable,
    help="Corrections of the model to leave out: {names}.",
)  # fmt: skip
GUIDANCE = click.option("--guidance", type=Number(0.0, 8.0), help="Guidance on the speaker (as live).")
MOST_NOTES = 20
"""Further notes are only in the result."""


def plots(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """A folder or file for plots, if they can be drawn."""
    if path is not None:
        require("matplotlib")  # now, not after the work
    return path


PLOTS = click.option("--output", type=common.FOLDER, callback=plots, help="Folder for the plots.")


@dataclass(frozen=True, slots=True)
class Run:
    """The values of the options of `evaluation`, and of --listener and --model where a command has them."""

    steps: int | None
    guidance: float | None
    hop_s: float | None
    seed: int
    workers: int
    as_json: bool
    voices: Path | None = None
    output: Path | None = None
    """Folder for the plots, a picture, or the result file; None: nothing is written."""
    without: tuple[str, ...] = ()
    listener: str = "model"
    model: Path | None = None
    result: dict[str, Any] = field(default_factory=dict, init=False)
    """What the command found: with --json the only thing on stdout."""
    _rests_on: dict[str, Any] = field(default_factory=dict, init=False)
    """Weights, their sampling and voices that were handed out, as the result describes them."""

    def sampling(self) -> Sampling:
        """The sampler's settings; what was not given is as live."""
        from reactdiff_ros.evaluation.listeners import live_sampling

        live = live_sampling(steps=self.steps, guidance=self.guidance, hop_s=self.hop_s)
        return replace(live, without=self.without)

    def bank(self) -> VoiceBank | None:
        """The voices of simulated speakers; a bank that does not exist is made."""
        from reactdiff_ros.evaluation.listeners import voices_facts

        bank = common.voice_bank(self.voices)
        self._rests_on["voices"] = voices_facts(bank)
        return bank

    def who(self) -> StreamListener:
        """The listener under test."""
        from reactdiff_ros.evaluation.listeners import StreamListener

        if self.listener == "model":
            return self.network(self.model)
        return StreamListener(self.listener, workers=self.workers)

    def network(self, folder: Path | None) -> StreamListener:
        """The model of a folder of weights; None: the shipped ones."""
        from reactdiff_ros.evaluation.listeners import MODEL, StreamListener, weights_facts
        from reactdiff_ros.model.backends.weights import find_weights

        found, how = find_weights(folder or ""), self.sampling()
        self._rests_on.setdefault("weights", []).append(weights_facts(found))
        self._rests_on["sampling"] = {n: getattr(how, n) for n in ("steps", "guidance", "hop", "lead", "recall")}
        if self.without:
            self._rests_on["sampling"]["without"] = list(self.without)
        return StreamListener(MODEL, found, how, self.workers)

    def study(self, function: Callable[..., Study], who: Any, label: str, **sizes: Any) -> None:
        """Do a study of a listener, or several; with --output, its pictures are drawn there."""
        if self.output is not None:
            common.check_writable("the plots", self.output / "plot.png")
        bank = self.bank()
        with progress_bar(label) as show:
            found = function(who, seed=self.seed, bank=bank, progress=show, **sizes)
        self.result.update(found.figures)
        if self.output is not None:
            for name, draw in found.pictures.items():
                log(f"wrote {draw(self.output / name)}")

    def rests_on(self) -> dict[str, Any]:
        """The hash of the simulator, which weights (a list if several), how they were sampled, and which voices."""
        from reactdiff_ros.simulator.dyads import simulator_hash

        here, weights = simulator_hash(), self._rests_on.get("weights", [])
        for other in sorted({one["trained_on"] for one in weights} - {here}):
            log(f"the weights were trained on simulator {other}; this one is {here}")
        one = {"weights": weights[0]} if len(weights) == 1 else {}
        return {"simulator": here, **self._rests_on, **one}


def evaluation(
    *, voices: bool = True, output: Any = None, shown: bool = True
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Gives a command the sampler's options, --seed, --workers and --json, and passes their `Run` as first argument.

    It must be the decorator nearest to the function, which fills the run's result and may return an exit code. What the
    result rests on is added.

    Args:
        voices: with --voices.
        output: the option of that name: PLOTS or RESULT.
        shown: without --json the result is printed as a table.
    """
    hop = click.option("--hop-s", type=Number(0.04, 0.64), help="Time until the next plan (as live).")
    seed = click.option("--seed", type=common.SEEDS, default=0, help="Seed; selects the set of speakers.")
    optional = [common.VOICES] if voices else [], [output] if output else []
    parts = [STEPS, GUIDANCE, WITHOUT, hop, seed, *optional[0], WORKERS, *optional[1], common.JSON]

    def decorate(command: Callable[..., int | None]) -> Callable[..., int]:
        @wraps(command)
        def filled(run: Run, **given: Any) -> int:
            with json_on_stdout(run.as_json, as_table=shown) as printed:
                code = command(run, **given)
                printed.update(run.result | run.rests_on())
            return EXIT_DONE if code is None else code

        return _gathered(parts, Run)(filled)

    return decorate


def _gathered(parts: Sequence[Any], kind: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Gives a command these options; values that are fields of the dataclass `kind` are passed as one object, first."""
    names = [f.name for f in fields(kind) if f.init]

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @wraps(command)
        def decorated(**given: Any) -> int:
            shared = {name: given.pop(name) for name in names if name in given}
            return command(kind(**shared), **given)

        whole: Callable[..., int] = common.options(*parts)(decorated)
        return whole

    return decorate


def absent(output: Path | None, *, force: bool | None = None, what: str = "result file") -> None:
    """Before a long run: raise ReactdiffError if the file cannot be written, or exists and must not be overwritten.

    `force`: None where the command has no --force.
    """
    if output is not None and output.exists() and not force:
        todo = f"choose another name, or {'move it away' if force is None else 'use --force'}"
        raise ReactdiffError(f"the {what} already exists", where=str(output), todo=todo)
    if output is not None:
        common.check_writable(f"the {what}", output)


@dataclass(frozen=True, slots=True)
class Course:
    """The values of the options of a resumable run."""

    cuts: int
    seed: int
    workers: int
    dask: str
    run_folder: Path | None
    output: Path | None
    force: bool
    as_json: bool
    listeners: tuple[str, ...]
    model: Path | None

    @property
    def weights(self) -> str:
        """Absolute path of the weights; empty: the shipped ones."""
        return "" if self.model is None else str(self.model.resolve())

    def info(self, kind: str, title: str) -> Info:
        """The head of the result."""
        return info_of(kind, title, self.weights, self.listeners)

    @contextmanager
    def context(self) -> Iterator[RunContext]:
        """Store, workers and progress of the run.

        Raises:
            ReactdiffError: the result file already exists, or the folder cannot be made.
            MissingExtraError: a scheduler is given, and `distributed` is not installed.
        """
        from reactdiff_ros.evaluation.runs.parts import Keep, RunContext

        absent(self.output, force=self.force)
        if self.dask:
            require("distributed")
        if self.dask and self.run_folder is None and self.output is None:
            raise click.UsageError("--dask needs --run or --output: a folder that all workers see")
        folder = self.run_folder
        if folder is None and self.output is not None:
            folder = self.output.with_name(self.output.name + ".parts")
        with tempfile.TemporaryDirectory(prefix="reactdiff-run-") as temporary, _bars() as report:
            keep = Keep((folder or Path(temporary)).resolve())
            yield RunContext(keep, self.workers, self.dask, report, log)

    def conclude(self, out: dict[str, Any], ran: RunOutcome, shown: Result, measures: Sequence[str]) -> int:
        """Write the result file if one is wanted, describe the run in `out`, and print it; the exit code."""
        from reactdiff_ros.evaluation.runs.run import counted

        info = ran.result.info
        out.update(
            kind=info.kind, data=info.data, compat=info.compat, subject=info.subject, recordings=len(ran.result.items),
            minutes=round(ran.result.minutes, 3), systems=ran.table, failed=ran.failed, notes=list(ran.notes),
            kept_parts=ran.kept, settings=dict(info.settings), seeds=dict(info.seeds), weights=dict(info.weights),
            hardware=dict(info.hardware), **write(shown, self.output, self.force),
        )  # fmt: skip
        if not self.as_json:
            rows = [[name, *(_cell(figures.get(m)) for m in measures)] for name, figures in ran.table.items()]
            echo(aligned([["", *measures], *rows]))
        for sentence in ran.notes[:MOST_NOTES]:
            log(sentence)
        log(f"{counted(len(ran.result.items), 'recording')}, {len(ran.failed)} failed")
        return EXIT_ERROR if ran.failed else EXIT_DONE


resumable = _gathered(
    [
        click.option(
            "--listener", "listeners", multiple=True, default=("model",), metavar="NAME",
            help="model, rules, mime, random, idle, or a class of your own as module:Class or file.py:Class. Several "
            "are compared; the first is under test.",
        ),
        common.MODEL,
        click.option("--cuts", type=click.IntRange(0, 1000), default=10,
                     help="Moments at which each listener's declared look-ahead is verified (0: not at all)."),
        common.SEED,
        click.option("--workers", type=click.IntRange(1, 256), default=1, help="Processes on this machine."),
        click.option("--dask", metavar="ADDRESS", default="", show_default=False,
                     help="Dask scheduler (tcp://host:8786) whose workers compute the parts; they see the same paths."),
        click.option("--run", "run_folder", type=common.FOLDER, metavar="DIR",
                     help="Folder of finished parts; the same command resumes from there (RESULT.parts)."),
        RESULT,
        click.option("--force", is_flag=True, help="Overwrite an existing result file."),
        common.JSON,
    ],
    Course,
)  # fmt: skip
"""Gives a command the options of a resumable run and passes their `Course` as first argument."""


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
    from reactdiff_ros.model.backends.weights import find_weights

    used: dict[str, Any] = {}
    if "model" in listeners:
        found = find_weights(weights)
        used = {"name": found.name, "digest": found.digest, "trained_on": found.simulator}
    return Info(
        kind=kind, title=title, created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=" ".join(["reactdiff", *sys.argv[1:]]), versions=versions_here(), hardware=hardware(), weights=used,
    )  # fmt: skip


def write(result: Result, output: Path | None, force: bool) -> dict[str, str]:
    """Write the result file where one is wanted. What to add to the JSON object."""
    if output is None:
        return {}
    from reactdiff_ros.evaluation.results import write_result

    write_result(result, output, overwrite=force)
    log(f"the result is in {output}: 'reactdiff report' makes a page of it")
    return {"result": str(output)}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, (int, float)) and value == value else "-"


@click.command()
@click.argument("result", type=common.FILE)
@click.option("-o", "--output", type=common.FILE, metavar="PAGE.html",
              help="The page (next to the result, with its name).")  # fmt: skip
@click.option("--faces/--no-faces", default=True, help="Rendered faces; they take most of the time.")
@click.option("--items", type=click.IntRange(1, 100), default=8, help="Recordings with time lines.")
@click.option("--force", is_flag=True, help="Overwrite an existing page.")
@common.renamed("--overwrite", "--force", "force", is_flag=True)
@common.reporting
def report(out: Output, result: Path, output: Path | None, faces: bool, items: int, force: bool) -> None:
    """Make a one-page report of a RESULT file that 'evaluate' wrote.

    Figures against baselines, the shuffled-speaker control and published figures, time lines of speaker and listener,
    behaviour compared with people's, latency, faces, and the worst moments. The page needs no network and no
    other file; the same result gives the same page.
    """
    from reactdiff_ros.evaluation.report.page import build_page
    from reactdiff_ros.evaluation.results import read_result

    page = output if output is not None else result.with_suffix(".html")
    absent(page, force=force, what="page")
    read = read_result(result)
    with progress_bar("page") as show:
        html = build_page(read, with_faces=faces, most_items=items, progress=show)
    common.write_text("the page", page, html)
    out.update(page=page, bytes=len(html.encode()), items=len(read.items), systems=len(read.systems))
    log(f"open {page} in a browser")


@click.command()
@click.argument("first", type=common.FILE, metavar="A")
@click.argument("second", type=common.FILE, metavar="B")
@click.option("--system-a", metavar="NAME", help="System of A (the one under test).")
@click.option("--system-b", metavar="NAME", help="System of B (the one under test).")
@common.SEED
@common.reporting
def compare(out: Output, first: Path, second: Path, system_a: str | None, system_b: str | None, seed: int) -> None:
    """Compare two result files, with 95 % intervals.

    Every figure that both have is shown as B minus A, with the 95 % interval of the difference. Recordings are
    matched by their ids and drawn in pairs by bootstrap; without matches each run is drawn separately. A difference
    whose interval contains 0 is reported as "none". To compare two systems of one result, name it twice, with
    --system-b.
    """
    from reactdiff_ros.evaluation.report import tables
    from reactdiff_ros.evaluation.report.summary import interval, number, value
    from reactdiff_ros.evaluation.results import read_result

    one = read_result(first)
    other = one if second == first else read_result(second)
    a, b = tables.chosen(one, system_a, str(first)), tables.chosen(other, system_b, str(second))
    found = tables.compare((one, a), (other, b), seed)
    out.update(found.as_dict())
    rows = [("figure", f"A {a.name}", f"B {b.name}", "B - A", "95 % interval", "difference")]
    for c in found.figures:
        gap = c.difference
        row = (number(c.first), number(c.second), value(gap), interval(gap) or gap.how)
        rows.append((c.metric.name, *row, c.verdict))
    out.say("\n".join([aligned(rows, left=(0, 5)), "", *found.notes]).rstrip())
