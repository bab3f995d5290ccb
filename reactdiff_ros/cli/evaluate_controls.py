"""`reactdiff evaluate controls`: what each control does to the model's streams."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import Number


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
@click.option("--seconds", type=Number(10.0, 600.0), default=30.0, show_default=True, help="Of each speaker.")
@options.evaluation(output=True)
def controls(run: options.Run, listener: str, model: Path | None, items: int, seconds: float) -> int:
    """Sweep every control, and every entry of a style, on the same speakers with the same noise.

    Attitude and smiling: share of time with a smile; nodding: nods a minute; liveliness: speed of the head, brow
    raises a minute; responsiveness: answer to an inserted smile, coupling of smiles; delay: lag of that answer;
    controls of the expression: size of what is shown; entries of a style: the same statistic of the stream that
    comes out.
    """
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.plots import plot_controls
    from reactdiff_ros.evaluation.studies.controls import evaluate_controls

    with run.result() as result:
        system = run.listener(listener, model)
        bank = run.bank()
        with progress_bar("controls") as show:
            figures = evaluate_controls(
                system, seed=run.seed, items=items, seconds=seconds, bank=bank, workers=run.workers, told=show
            )
        result.update(listener=listener, seed=run.seed, items=items, seconds=seconds, **figures)
        if run.output is not None:
            tell(f"wrote {plot_controls(figures, run.output / 'controls.png')}")
    return 0
