"""`reactdiff bench record`: figures of this machine, kept in a file with hardware and date."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli.output import Number

WHAT = ("live", "model", "reference")


@click.command("record")
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@click.option("--what", type=click.Choice(WHAT), multiple=True, default=WHAT, show_default=True,
              help="Which benches; may be given several times.")  # fmt: skip
@click.option("--seconds", type=Number(1.0, 86400.0), default=60.0, show_default=True, help="Counted time (live).")
@click.option("--runs", type=click.IntRange(1, 99), default=3, show_default=True, help="Runs of each clip (live).")
@click.option("--repeats", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Of 'bench model'.")
@click.option("--minutes", type=Number(0.5, 60.0), default=10.0, show_default=True, help="For the reference.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File for the figures (JSON)."
)
def record(
    clips: tuple[Path, ...], what: tuple[str, ...], seconds: float, runs: int, repeats: int, minutes: float,
    output: Path,
) -> int:  # fmt: skip
    """Run the benches and write their figures into the file: `bench live` on each of CLIPS (none: the demo speaker).

    What other benches, other commands and, of model and reference, other machines have written there is kept. The
    reference needs torch and is left out without it.
    """
    from reactdiff_ros.cli.output import dumps, tell, writing
    from reactdiff_ros.whole_file import write_whole

    figures = _known(output)
    with writing("the figures", output):
        output.parent.mkdir(parents=True, exist_ok=True)
    if "live" in what:
        figures |= {**_where(), "live": [_live(clip, seconds, runs) for clip in clips or (None,)]}
    if "model" in what:
        _keep(figures["model"], _model(repeats))
    if "reference" in what:
        try:
            _keep(figures["reference"], _reference(minutes))
        except ModuleNotFoundError as error:
            tell(f"the reference is left out: {error.name} is not installed (requirements/train.txt)")
    with writing("the figures", output):
        write_whole(output, dumps(figures, indent=1) + "\n")
    tell(f"wrote {output}")
    return 0


def _known(output: Path) -> dict[str, Any]:
    """What an existing file holds; an empty one otherwise.

    Raises:
        ReactdiffError: there is a file, and it holds no figures.
    """
    from reactdiff_ros.errors import ReactdiffError

    figures: dict[str, Any] = {**_where(), "live": [], "model": [], "reference": [], "other": []}
    if not output.exists():
        return figures
    try:
        known: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
        if not {"live", "date", "commit", "hardware"} <= set(known) or any(
            not isinstance(entry, dict) for what in WHAT for entry in known.get(what, ())
        ):
            raise ValueError("no figures")
        return figures | known
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ReactdiffError(
            "the file that is there holds no figures", where=str(output), todo="move it away, or give another --output"
        ) from error


def _where() -> dict[str, Any]:
    import datetime

    from reactdiff_ros.evaluation.bench.machine import commit, hardware

    today = datetime.datetime.now(datetime.timezone.utc).date()
    return {"date": today.isoformat(), "commit": commit(Path.cwd()), "hardware": hardware()}


def _keep(entries: list[Any], entry: dict[str, Any]) -> None:
    """Put an entry in the place of the one of the same machine."""
    same = [i for i, known in enumerate(entries) if _machine(known) == _machine(entry)]
    if same:
        entries[same[0]] = entry
    else:
        entries.append(entry)


def _machine(entry: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entry["hardware"].get(name) for name in ("cpu", "cores", "gpu"))


def _live(clip: Path | None, seconds: float, runs: int) -> dict[str, Any]:
    from reactdiff_ros.cli.bench import measure_live

    # Relative: a folder of this machine's user means nothing to the reader.
    option = f"--clip {os.path.relpath(clip)} " if clip else ""
    command = f"reactdiff bench live {option}--seconds {seconds:g} --runs {runs} --json"
    result = measure_live(clip, seconds, runs, {}, None, compute=True)
    return {"clip": clip.name if clip else "demo speaker", "command": command, "runs": runs, "result": result}


def _model(repeats: int) -> dict[str, Any]:
    from time import perf_counter, sleep

    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.matrix import Clock, bench_matrix
    from reactdiff_ros.evaluation.bench.model import bench_model
    from reactdiff_ros.model.plan.sampler import Sampling
    from reactdiff_ros.model.weights import find_weights

    weights, how = find_weights(), Sampling()
    with progress_bar("model") as show:
        result = bench_model(weights, how, perf_counter, repeats=repeats, told=show)
    with progress_bar("rows") as show:
        result |= bench_matrix(weights, how, Clock(perf_counter, sleep, repeats), told=show, say=tell)
    return {"command": f"reactdiff bench model --repeats {repeats} --json", **_where(), "result": result}


def _reference(minutes: float) -> dict[str, Any]:
    from time import perf_counter

    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.reference import Plan
    from reactdiff_ros.evaluation.bench.reference_run import Run
    from reactdiff_ros.model.weights import find_weights

    threads = len(os.sched_getaffinity(0))
    with progress_bar("reference") as show:
        run = Run(
            find_weights(), Plan(budget_s=60 * minutes), perf_counter, threads=threads, told=show, say=tell
        )  # fmt: skip
        result = run.figures()
    return {"command": f"reactdiff bench reference --minutes {minutes:g} --json", **_where(), "result": result}
