"""`reactdiff evaluate sessions`: an hour of listening, and whether anything drifts."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options


@click.command()
@options.LISTENER
@options.MODEL
@click.option("--sessions", "count", type=click.IntRange(2, 200), default=20, show_default=True, help="How many.")
@click.option(
    "--minutes", type=click.FloatRange(6.0, 600.0), default=60.0, show_default=True, help="Length of each session."
)
@options.STEPS
@options.GUIDANCE
@options.HOP
@options.SEED
@options.VOICES
@options.WORKERS
@options.JSON
def sessions(
    listener: str,
    model: Path | None,
    count: int,
    minutes: float,
    steps: int | None,
    guidance: float | None,
    hop_s: float | None,
    seed: int,
    voices: Path | None,
    workers: int,
    as_json: bool,
) -> int:
    """Long sessions of changing speakers with absences: the last sixth against the second.

    Ratios of rates, shares of time, means, deviations (style natural) and of the excess of answered smiles (style
    responsive) with 95 % intervals over sessions; frames at a clamp; and what is left of an extreme history after
    10 s. A short form: --sessions 6 --minutes 6.
    """
    from reactdiff_ros.cli.output import dumps, json_on_stdout
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.studies.listeners import make_listener
    from reactdiff_ros.evaluation.studies.sessions import evaluate_sessions
    from reactdiff_ros.simulator.voices import load_bank

    with json_on_stdout(as_json) as result:
        how = options.sampling(steps, guidance, hop_s)
        chosen = make_listener(listener, model=model, how=how, workers=workers)
        with progress_bar(f"{count} sessions of {minutes:g} min") as show:
            figures = evaluate_sessions(
                chosen, seed=seed, sessions=count, minutes=minutes, bank=load_bank(voices), told=show
            )
        result.update(figures, listener=listener)
    if not as_json:
        click.echo(dumps(result, indent=2))
    return 0
