"""`reactdiff evaluate controls`: what each control does to the model's streams."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options


@click.command()
@click.option(
    "--listener",
    type=click.Choice(("model", "simulator", "policy")),
    default="model",
    show_default=True,
    help="Who listens; simulator: knows the speaker exactly; policy: the same behind noisy perception.",
)
@options.MODEL
@click.option(
    "--items", type=click.IntRange(4, 2000), default=32, show_default=True, help="Held-out simulated speakers."
)
@click.option("--seconds", type=click.FloatRange(10.0, 600.0), default=30.0, show_default=True, help="Of each speaker.")
@options.STEPS
@options.GUIDANCE
@options.HOP
@options.SEED
@options.VOICES
@options.WORKERS
@options.OUTPUT
@options.JSON
def controls(
    listener: str,
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
    """Sweep every control, and every entry of a style, on the same speakers with the same noise.

    Attitude and smiling: share of time with a smile; nodding: nods a minute; liveliness: speed of the head, brow
    raises a minute; responsiveness: answer to an inserted smile, coupling of smiles; delay: lag of that answer;
    entries of a style: the same statistic of the stream that comes out.
    """
    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.plots import plot_controls
    from reactdiff_ros.evaluation.studies.controls import evaluate_controls
    from reactdiff_ros.evaluation.studies.listeners import make_listener
    from reactdiff_ros.simulator.voices import load_bank

    with json_on_stdout(as_json) as result:
        how = options.sampling(steps, guidance, hop_s)
        system = make_listener(listener, model=model, how=how, workers=workers)
        with progress_bar("controls") as show:
            figures = evaluate_controls(
                system, seed=seed, items=items, seconds=seconds, bank=load_bank(voices), told=show
            )
        result.update(listener=listener, seed=seed, items=items, seconds=seconds, **figures)
        if output is not None:
            tell(f"wrote {plot_controls(figures, output / 'controls.png')}")
    if not as_json:
        click.echo(dumps(result, indent=2))
    return 0
