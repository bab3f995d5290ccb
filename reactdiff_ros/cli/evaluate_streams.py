"""`reactdiff evaluate streams`: what free-running streams are made of, and how plans join."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options


@click.command()
@options.MODEL
@click.option(
    "--items", type=click.IntRange(2, 2000), default=100, show_default=True, help="Held-out simulated speakers."
)
@click.option("--seconds", type=click.FloatRange(8.0, 600.0), default=40.0, show_default=True, help="Of each speaker.")
@options.STEPS
@options.GUIDANCE
@options.HOP
@options.SEED
@options.VOICES
@options.WORKERS
@options.OUTPUT
@options.JSON
def streams(
    model: Path | None,
    items: int,
    seconds: float,
    steps: int | None,
    guidance: float | None,
    hop_s: float | None,
    seed: int,
    voices: Path | None,
    workers: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """Free-running streams beside independent ancestral sampling and the simulator's listeners.

    Variance and autocorrelation of each group of coefficients, rates of rare events, jerk at the borders of plans over
    that inside, difference of consecutive plans with unchanged evidence over the spread of candidates, and power in
    three bands over the reference's. raw: as planned, before smoothing; shown: as live; ancestral: each block drawn
    once in many steps.
    """
    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.metrics.spectra import BANDS_HZ
    from reactdiff_ros.evaluation.plots import plot_spectra
    from reactdiff_ros.evaluation.studies.listeners import ModelListens
    from reactdiff_ros.evaluation.studies.streams_check import evaluate_streams
    from reactdiff_ros.model.weights import find_weights
    from reactdiff_ros.simulator.voices import load_bank

    with json_on_stdout(as_json) as result:
        how = options.sampling(steps, guidance, hop_s)
        listener = ModelListens(find_weights(model or ""), how, workers=workers)
        with progress_bar("free-running streams") as show:
            report = evaluate_streams(
                listener, seed=seed, items=items, seconds=seconds, bank=load_bank(voices), told=show
            )
        result.update(report.figures)
        if output is not None:
            tell(f"wrote {plot_spectra(report.frequency, report.densities, BANDS_HZ, output / 'spectra.png')}")
    if not as_json:
        click.echo(dumps(result, indent=2))
    return 0
