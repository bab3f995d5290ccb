"""`reactdiff evaluate behaviour`: when smiles are returned, whether the speaker matters, and whether it looks real."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import Number


@click.command()
@options.LISTENER
@options.MODEL
@click.option(
    "--items", type=click.IntRange(8, 2000), default=100, show_default=True, help="Held-out simulated speakers."
)
@click.option("--seconds", type=Number(16.0, 600.0), default=60.0, show_default=True, help="Of each speaker.")
@options.evaluation(output=True)
def behaviour(run: options.Run, listener: str, model: Path | None, items: int, seconds: float) -> int:
    """Lags of reciprocal smiles less chance, reliance on the speaker, realism of windows of 2 s.

    Lags: shares of the speaker's smiles whose nearest smile of the listener begins in each bin, less the same with
    streams shifted in time; with and without precursors of the speaker's smiles. Reliance: with the own speaker less
    with another's. Realism: Frechet distance to simulated listeners with its floor, and a classifier's area under the
    curve (.5: cannot be told apart). For a model also where intra- and inter-class attention looks on cues that show
    only in face and voice together.
    """
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.plots import plot_lags
    from reactdiff_ros.evaluation.studies.behaviour import evaluate_behaviour

    with run.result() as result:
        chosen = run.listener(listener, model)
        bank = run.bank()
        with progress_bar(f"behaviour, {listener}") as show:
            report = evaluate_behaviour(chosen, seed=run.seed, items=items, seconds=seconds, bank=bank, told=show)
        result.update(report.figures, listener=listener)
        if run.output is not None:
            shown = {name: (lags.lags_s, lags.chance_lags_s, lags.shifts) for name, lags in report.lags.items()}
            tell(f"wrote {plot_lags(shown, run.output / 'lags.png')}")
    return 0
