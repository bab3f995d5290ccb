"""`reactdiff evaluate evidence`: everything that is measured of a set of weights, by one command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli import evaluation_options as options

# As in evaluation/evidence/parts.py, which is too heavy to import for a help text; a test holds them equal.
PARTS = (
    "autoencoder", "speed", "dyads", "response", "behaviour", "streams", "choice", "controls", "sessions", "simulator",
)  # fmt: skip


@click.command()
@options.MODEL
@click.option(
    "--dyads",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of recorded calls, as for 'evaluate dyads'.",
)
@click.option(
    "--fold-models",
    type=click.Path(path_type=Path, file_okay=False),
    nargs=4,
    metavar="DIR0 DIR1 DIR2 DIR3",
    help="Four models, each trained without the pairs of one fold, for the recorded calls.",
)
@click.option(
    "--items", type=click.IntRange(8, 2000), default=200, show_default=True, help="Held-out speakers; others follow."
)
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only these; others if they are there.")
@click.option("--short", is_flag=True, help="Minutes instead of hours, to see that everything runs: noise as figures.")
@click.option(
    "--hours",
    type=click.IntRange(2, 200),
    metavar="N",
    help="N sessions of an hour instead of 6 of six minutes; the bounds are meant for 20 (two hours of two cores).",
)
@click.option("--date", metavar="YYYY-MM-DD", help="Date that the evidence carries (today).")
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the files.",
)
@options.evaluation()
def evidence(
    run: options.Run,
    model: Path | None,
    dyads: Path | None,
    fold_models: tuple[Path, ...] | None,
    items: int,
    parts: tuple[str, ...],
    short: bool,
    hours: int | None,
    date: str | None,
    folder: Path,
) -> int:
    """Measure all that is measured of a set of weights, and hold it to its bounds.

    OUTPUT gets a file a part as soon as it is done, evidence.json with all of them, and pictures. Called again, it
    goes on where it was; a part with the same weights, settings and code of the model is not run again. 'reactdiff
    docs evidence' makes the page and the model card of it. Speeds are true only while nothing else runs.
    """
    import datetime
    from time import perf_counter

    from reactdiff_ros.cli.output import EXIT_DONE, EXIT_ERROR, dumps, json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.evidence.collection import EVIDENCE, assemble, collect, write
    from reactdiff_ros.evaluation.evidence.parts import Subject, sizes_for
    from reactdiff_ros.evaluation.studies.provenance import voices_told
    from reactdiff_ros.model.weights import find_weights

    if short and hours:
        raise click.UsageError("--short or --hours, not both")
    if fold_models and dyads is None:
        raise click.UsageError("--fold-models needs --dyads")
    wanted = tuple(part for part in PARTS if part != "dyads" or dyads is not None)
    with json_on_stdout(run.as_json) as result:
        if dyads is None:
            tell("no recorded calls were given (--dyads): nothing is measured on people")
        subject = Subject(
            find_weights(model or ""), run.sampling(), perf_counter,
            sizes_for(items, short=short, hours=hours or 0), run.seed, run.bank(), run.workers, dyads,
            tuple(find_weights(path) for path in fold_models or ()),
        )  # fmt: skip
        with progress_bar(f"evidence for {subject.weights.digest}") as show:
            found = collect(
                subject, folder, parts=wanted, run=parts or None, encode=dumps, tell=tell,
                told=lambda part, share: show((wanted.index(part) + share) / len(wanted)),
            )  # fmt: skip
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        result.update(assemble(found, subject, date=date or today), voices=voices_told(subject.bank))
        write(folder / EVIDENCE, dumps(result, indent=1))
        sum_up(result, tell)
    return EXIT_ERROR if result["failed"] else EXIT_DONE


def sum_up(evidence: dict[str, Any], tell: Any) -> None:
    """A line a bound on stderr, and how many hold."""
    from reactdiff_ros.cli.evidence_page import count, measured, verdict_word

    for row in evidence["bounds"]:
        tell(f"{verdict_word(row):12} {row['part']}: {row['name']}: {measured(row)} (bound: {row['bound']})")
    tell(count(evidence["bounds"]))
