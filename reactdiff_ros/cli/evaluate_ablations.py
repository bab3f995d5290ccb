"""`reactdiff evaluate ablations`: what parts of the training and settings of the sampler are worth."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import Number


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--sweep", is_flag=True, help="Steps 1, 2, 4, 8 with noise tape or warm start, instead of ablations.")
@click.option("--items", type=click.IntRange(4, 2000), default=200, show_default=True, help="Paired speakers.")
@click.option("--seconds", type=Number(6.0, 600.0), default=30.0, show_default=True, help="Of each.")
@options.evaluation()
def ablations(run: options.Run, models: tuple[Path, ...], sweep: bool, items: int, seconds: float) -> int:
    """MODELS (folders of 'reactdiff dev export') on the same held-out speakers with the same noise.

    Their manifests say what each was trained without ('train --ablate') and with which seed; give three seeds of each.
    A difference to the full models that is smaller than the deviation between seeds is called none.
    """
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.machine import commit
    from reactdiff_ros.evaluation.studies.sampling import evaluate_ablations
    from reactdiff_ros.evaluation.studies.sampling import sweep as sweep_sampling

    if sweep and run.steps is not None:
        raise click.UsageError("--sweep chooses the steps itself")
    with run.result() as result:
        result["commit"] = commit(Path(__file__).resolve().parent)
        listeners = [run.model(path) for path in models]
        study = sweep_sampling if sweep else evaluate_ablations
        bank = run.bank()
        with progress_bar("sweep" if sweep else "ablations") as show:
            result.update(study(listeners, seed=run.seed, items=items, seconds=seconds, bank=bank, told=show))
    return 0
