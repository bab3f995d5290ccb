"""Options that the runs over many recordings share, and the desk that they make."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.evaluation_options import JSON, SEED, Command, gathered
from reactdiff_ros.cli.output import EXIT_DONE, EXIT_ERROR, echo, tell
from reactdiff_ros.cli.progress import progress_bar
from reactdiff_ros.resources import require

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.results import Info, Result
    from reactdiff_ros.evaluation.runs.run import Desk, Ran

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
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="RESULT",
    help="Result file to write (.npz), for 'reactdiff report' and 'reactdiff compare'.",
)
RUN = click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where finished parts are kept; the same command goes on from there (RESULT.parts).",
)
WORKERS = click.option(
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
FORCE = click.option("--force", is_flag=True, help="Write over a result file that is there.")
TOLD_NOTES = 20
"""Notes beyond so many stand in the result alone."""


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
    """What the options of a resumable run say; made by `course`."""

    cuts: int
    seed: int
    workers: int
    dask: str
    run_folder: Path | None
    output: Path | None
    force: bool
    as_json: bool

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """Where the run works.

        Raises:
            ReactdiffError: the result file is there already, or the folder cannot be made.
            MissingExtraError: a scheduler is named, and `distributed` is not installed.
        """
        from reactdiff_ros.evaluation.runs.keep import Keep
        from reactdiff_ros.evaluation.runs.pools import Means
        from reactdiff_ros.evaluation.runs.run import Desk

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
            yield Desk(keep, Means(self.workers, self.dask), told, tell)

    def write(self, result: Result) -> dict[str, str]:
        """Write the result file where one is wanted. What to add to the JSON object."""
        return write(result, self.output, self.force)


def course(command: Command) -> Command:
    """Gives a command the options of a resumable run and hands it their `Course` first.

    To be the decorator nearest to the function; the command's own options stand above it.
    """
    parts = (CUTS, SEED, WORKERS, DASK, RUN, RESULT, FORCE, JSON)
    return gathered(parts, [field.name for field in fields(Course)], Course)(command)


@contextmanager
def _bars() -> Iterator[Callable[[str, float], None]]:
    """One progress bar a round."""
    now: list[Any] = ["", None, None]

    def end() -> None:
        if now[1] is not None:
            now[1].__exit__(None, None, None)
            now[1] = None

    def told(what: str, share: float) -> None:
        if what != now[0]:
            end()
            now[0], now[1] = what, progress_bar(what)
            now[2] = now[1].__enter__()
        now[2](share)

    try:
        yield told
    finally:
        end()


def info_of(kind: str, title: str, weights: str, listeners: Sequence[str]) -> Info:
    """The head of a result: when, with which command, on which machine, with which weights and versions."""
    from datetime import datetime, timezone

    from reactdiff_ros.evaluation.bench.machine import hardware
    from reactdiff_ros.evaluation.result_files import versions_here
    from reactdiff_ros.evaluation.results import Info
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
    from reactdiff_ros.evaluation.result_files import write_result

    write_result(result, output, overwrite=force)
    tell(f"the result is in {output}: 'reactdiff report' makes a page of it")
    return {"result": str(output)}


def as_json(ran: Ran) -> dict[str, Any]:
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


def conclude(ran: Ran, measures: Sequence[str], *, as_json: bool) -> int:
    """Tell what a run found and what went wrong; the exit code."""
    from reactdiff_ros.evaluation.runs.run import counted

    if not as_json:
        echo(console(ran.table, measures))
    for sentence in ran.notes[:TOLD_NOTES]:
        tell(sentence)
    tell(f"{counted(len(ran.result.items), 'recording')}, {len(ran.failed)} failed")
    return EXIT_ERROR if ran.failed else EXIT_DONE


def console(table: dict[str, dict[str, Any]], measures: Sequence[str]) -> str:
    """The table for people."""
    rows = [["", *measures]]
    for name, figures in table.items():
        rows.append([name, *(_figure(figures.get(m)) for m in measures)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def _figure(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, (int, float)) and value == value else "-"
