"""`reactdiff evaluate sessions`: an hour of listening, and whether anything drifts."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import Number


@click.command()
@options.LISTENER
@options.MODEL
@click.option("--sessions", "count", type=click.IntRange(2, 200), default=20, show_default=True, help="How many.")
@click.option("--minutes", type=Number(6.0, 600.0), default=60.0, show_default=True, help="Length of each session.")
@options.evaluation()
def sessions(run: options.Run, listener: str, model: Path | None, count: int, minutes: float) -> int:
    """Long sessions of changing speakers with absences: the last sixth against the second.

    Ratios of rates, shares of time, means, deviations (style natural) and of the excess of answered smiles (style
    responsive) with 95 % intervals over sessions; how far the head has moved from where it was held; frames at a
    clamp; and what is left of an extreme history after 10 s. A short form: --sessions 6 --minutes 6.
    """
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.studies.sessions import evaluate_sessions

    with run.result() as result:
        chosen = run.listener(listener, model)
        bank = run.bank()
        with progress_bar(f"{count} sessions of {minutes:g} min") as show:
            figures = evaluate_sessions(
                chosen, seed=run.seed, sessions=count, minutes=minutes, bank=bank, workers=run.workers, told=show
            )
        result.update(figures, listener=listener)
    return 0
