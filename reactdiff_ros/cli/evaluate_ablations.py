"""`reactdiff evaluate ablations`: what parts of the training and settings of the sampler are worth."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--sweep", is_flag=True, help="Steps 1, 2, 4, 8 with noise tape or warm start, instead of ablations.")
@click.option("--items", type=click.IntRange(4, 2000), default=200, show_default=True, help="Paired speakers.")
@click.option("--seconds", type=click.FloatRange(6.0, 600.0), default=30.0, show_default=True, help="Of each.")
@options.STEPS
@options.GUIDANCE
@options.HOP
@options.SEED
@options.VOICES
@options.WORKERS
@options.JSON
def ablations(
    models: tuple[Path, ...],
    sweep: bool,
    items: int,
    seconds: float,
    steps: int | None,
    guidance: float | None,
    hop_s: float | None,
    seed: int,
    voices: Path | None,
    workers: int,
    as_json: bool,
) -> int:
    """MODELS (folders of 'reactdiff export') on the same held-out speakers with the same noise.

    Their manifests say what each was trained without ('train --ablate') and with which seed; give three seeds of each.
    A difference to the full models that is smaller than the deviation between seeds is called none.
    """
    from reactdiff_ros.cli.output import dumps, json_on_stdout
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.studies.ablations import evaluate_ablations
    from reactdiff_ros.evaluation.studies.ablations import sweep as sweep_sampling
    from reactdiff_ros.evaluation.studies.listeners import ModelListens
    from reactdiff_ros.model.weights import find_weights
    from reactdiff_ros.simulator.voices import load_bank

    if sweep and steps is not None:
        raise click.UsageError("--sweep chooses the steps itself")
    with json_on_stdout(as_json) as result:
        how = options.sampling(steps, guidance, hop_s)
        listeners = [ModelListens(find_weights(path), how, workers=workers) for path in models]
        run = sweep_sampling if sweep else evaluate_ablations
        with progress_bar("sweep" if sweep else "ablations") as show:
            result.update(run(listeners, seed=seed, items=items, seconds=seconds, bank=load_bank(voices), told=show))
    if not as_json:
        click.echo(dumps(result, indent=2))
    return 0
