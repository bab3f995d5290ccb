"""`reactdiff evaluate dyads`: the listener beside real people in recorded calls."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli import run_options as runs

_SYSTEMS = ("model", "shuffled", "real", "random", "mime", "rules", "policy", "still")


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Recorded calls: PAIR[_SESSION]_{au12_r,au06_r,gaze,body_motion}.csv.",
)
@options.MODEL
@click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False),
    nargs=4,
    metavar="DIR0 DIR1 DIR2 DIR3",
    help="Four models, each trained without the pairs of one fold; each is tested on those.",
)
@click.option("--system", "systems", type=click.Choice(_SYSTEMS), multiple=True, help="Only these rows (all).")
@click.option(
    "--permutations",
    type=click.IntRange(100, 1_000_000),
    default=5000,
    show_default=True,
    help="Of speakers across pairs, for p.",
)
@runs.RESULT
@options.evaluation(voices=False)
def dyads(
    run: options.Run,
    folder: Path,
    model: Path | None,
    models: tuple[Path, ...] | None,
    systems: tuple[str, ...],
    permutations: int,
    output: Path | None,
) -> int:
    """Smile coupling and smile statistics of listeners to the speakers of recorded calls.

    C: mean correlation of the two people's AU12 at lags of 0.3 to 2 s (.10 to .30 passes). p: of that C when speakers
    are permuted across pairs (below .01). D_marg: mean Wasserstein-1 distance of smile rate, length, share of time,
    speed and spread from the real listeners', each over its real deviation (at most .45; for "real" one half of the
    pairs against the other). passes: all three. The random pairing and the mime must fail. All calls are cut to the
    shortest; those of less than half the median length, or with AU12 of less than 75 % of the time, are left out.
    """
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.runs.study_results import dyads_result
    from reactdiff_ros.evaluation.studies.dyads import evaluate_dyads, read_calls

    if model is not None and models:
        raise click.UsageError("give --model or --models, not both")
    chosen = systems or _SYSTEMS
    runs.absent(output)
    with run.result() as result:
        calls = read_calls(folder)
        for name, why in calls.left_out.items():
            tell(f"{name} is left out: {why}")
        wanted = (models or (model,)) if {"model", "shuffled"} & {*chosen} else ()
        listeners = [run.model(path) for path in wanted]
        with progress_bar("recorded calls") as show:
            table = evaluate_dyads(
                calls, listeners, systems=chosen, seed=run.seed, permutations=permutations,
                told=lambda name, share: show((chosen.index(name) + share) / len(chosen)),
            )  # fmt: skip
        result.update(table.figures, seed=run.seed, calls=len(calls.recordings) // 2, pairs=len(calls.pairs))
        result.update(frames=calls.frames, left_out=dict(calls.left_out))
        if output is not None:
            head = runs.info_of("dyads", "Listeners to people in recorded calls", str(model or ""), chosen)
            result.update(runs.write(dyads_result(table, calls, head, run.seed), output, force=False))
        tell(table.figures["model"]["note"] if "model" in chosen else "no model among the rows")
    return 0
