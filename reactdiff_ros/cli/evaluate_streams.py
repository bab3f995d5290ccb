"""`reactdiff evaluate streams`: what free-running streams are made of, and how plans join."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import Number


@click.command()
@options.MODEL
@click.option(
    "--items", type=click.IntRange(2, 2000), default=100, show_default=True, help="Held-out simulated speakers."
)
@click.option("--seconds", type=Number(8.0, 600.0), default=40.0, show_default=True, help="Of each speaker.")
@options.evaluation(output=True)
def streams(run: options.Run, model: Path | None, items: int, seconds: float) -> int:
    """Free-running streams beside independent ancestral sampling and the simulator's listeners.

    Variance and autocorrelation of each group of coefficients, rates of rare events, jerk at the borders of plans over
    that inside, difference of consecutive plans with unchanged evidence over the spread of candidates, and power in
    three bands over the reference's. raw: as planned, before smoothing; shown: as live; ancestral: each block drawn
    once in many steps.
    """
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.metrics.spectra import BANDS_HZ
    from reactdiff_ros.evaluation.plots import plot_spectra
    from reactdiff_ros.evaluation.studies.sampling import evaluate_streams

    with run.result() as result:
        listener = run.model(model)
        bank = run.bank()
        with progress_bar("free-running streams") as show:
            report = evaluate_streams(listener, seed=run.seed, items=items, seconds=seconds, bank=bank, told=show)
        result.update(report.figures)
        if run.output is not None:
            tell(f"wrote {plot_spectra(report.frequency, report.densities, BANDS_HZ, run.output / 'spectra.png')}")
    return 0
