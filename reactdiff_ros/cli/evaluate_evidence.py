"""`reactdiff evaluate evidence`: everything that is measured about a set of weights, with one command."""

from __future__ import annotations

from pathlib import Path

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
@click.option(
    "--part",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    help="Measure only these parts; stored ones are included.",
)
@click.option("--short", is_flag=True, help="A check in minutes that everything runs; the figures are noise.")
@click.option(
    "--hours",
    type=click.IntRange(2, 200),
    metavar="N",
    help="N sessions of one hour instead of 6 sessions of six minutes; the bounds assume 20 (2 h on 2 cores).",
)
@click.option("--date", metavar="YYYY-MM-DD", help="Date of the evidence (today).")
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the results.",
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
    """Measure everything about a set of weights, and judge it against the bounds.

    OUTPUT gets evidence.json, the pictures, and in kept/ each part as soon as it is measured. If the command is
    interrupted, start it again: stored parts with the same weights and settings are not measured again. Each part
    carries the commit that it was measured with. 'reactdiff dev docs evidence' makes the page and the model card.
    Speeds are only valid while nothing else runs.
    """
    import datetime
    from time import perf_counter

    from reactdiff_ros.cli.output import EXIT_DONE, EXIT_ERROR, dumps, json_on_stdout, tell, writing
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bounds import judge, passed
    from reactdiff_ros.evaluation.listeners import voices_told
    from reactdiff_ros.evaluation.studies.evidence import Subject, collect, sizes_for
    from reactdiff_ros.model.weights import find_weights
    from reactdiff_ros.whole_file import write_whole

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
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        with progress_bar(f"evidence for {subject.weights.digest}") as show:
            found = collect(
                subject, folder, parts=wanted, run=parts or None, date=date or today, encode=dumps, tell=tell,
                told=lambda part, share: show((wanted.index(part) + share) / len(wanted)),
            )  # fmt: skip
        result.update(found, voices=voices_told(subject.bank))
        with writing("the evidence", folder / "evidence.json"):
            write_whole(folder / "evidence.json", dumps(result, indent=1) + "\n")
        verdicts = judge(result["parts"])
        for v in verdicts:
            tell(f"{v.word:12} {v.bound.part}: {v.bound.name}: {v.measured} (bound: {v.bound.text()})")
        tell(passed(verdicts))
    return EXIT_ERROR if result["failed"] else EXIT_DONE
