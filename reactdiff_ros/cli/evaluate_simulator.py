"""`reactdiff evaluate simulator`: a listener beside the simulator's own people on speakers that it has not met."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli import run_options as runs
from reactdiff_ros.cli.output import Number

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.baselines import Setup

# As in evaluation/studies/systems.py, which is too heavy to import for a help text; a test holds them equal.
SYSTEMS = (
    "model", "oracle", "shuffled", "mime", "mime_perceived", "nearest_neighbour", "rules", "policy", "listener_mean",
    "random", "ground_truth",
)  # fmt: skip


@click.command()
@click.option("--items", type=click.IntRange(2, 10_000), default=200, show_default=True, help="Held-out speakers.")
@click.option("--seconds", type=Number(4.0, 600.0), default=30.0, show_default=True, help="Length of each clip.")
@options.MODEL
@click.option("--systems", metavar="A,B,...", help=f"Only these of {', '.join(SYSTEMS)} (all).")
@options.evaluation(output=True, workers=options.EVERY_CORE)
def simulator(run: options.Run, items: int, seconds: float, model: Path | None, systems: str | None) -> int:
    """REACT's metrics of the model and of baselines on held-out simulated speakers, with 95 % intervals over speakers.

    Each system gives 10 independent streams a speaker, scored against 10 appropriate simulated listeners: FRC, FRD
    (sums over the 10), FRDiv, FRDvs, FRVar, and pose (turns of the head and nods). skill = (x - shuffled) / (oracle -
    shuffled); bands: what a listener has to reach all together. Seeds are disjoint from training by construction.

    --output takes a folder, for plots and result.npz, or a name that ends with .npz: the result file alone, which
    'reactdiff report' and 'reactdiff compare' read.

    The figures show a known distribution recovered from noisy perception. They are no evidence of human likeness and
    never to be set beside figures of real recordings.
    """
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.plots import plot_systems, plot_time_line
    from reactdiff_ros.evaluation.runs.study_results import SimulatorFile
    from reactdiff_ros.evaluation.studies.simulator import Example, evaluate
    from reactdiff_ros.types import REACTION_RATE_HZ

    chosen = _chosen(systems)
    as_file = runs.result_file(run.output)
    plots = None if as_file == run.output else run.output
    with run.result() as result:
        means = _means(chosen, model, run)
        example = Example() if plots is not None else None
        collected = SimulatorFile() if as_file is not None else None

        def shown(*made: Any) -> None:
            for keeps in (example, collected):
                if keeps is not None:
                    keeps.keep(*made)

        with progress_bar("held-out speakers") as show:
            result.update(
                evaluate(
                    seed=run.seed, items=items, frames=round(seconds * REACTION_RATE_HZ), systems=chosen, means=means,
                    progress=lambda name, share: show((chosen.index(name) + share) / len(chosen)),
                    show=shown,
                    scored=collected.take if collected is not None else None,
                )
            )  # fmt: skip
        if plots is not None and example is not None:
            result["plots"] = [
                str(plot_systems(result, chosen, plots / "systems.png")),
                str(plot_time_line(example.speaker, example.listeners, plots / "time_line.png")),
            ]
        if collected is not None:
            head = runs.info_of("simulator", "Held-out simulated speakers", str(model or ""), chosen)
            result.update(runs.write(collected.result(head), as_file, force=plots is not None))
        _sum_up(result, chosen, tell)
    return 0


def _chosen(systems: str | None) -> tuple[str, ...]:
    if systems is None:
        return SYSTEMS
    names = tuple(dict.fromkeys(name.strip() for name in systems.split(",") if name.strip()))
    unknown = [name for name in names if name not in SYSTEMS]
    if unknown or not names:
        raise click.BadParameter(
            f"{', '.join(unknown) or 'nothing'} is not one of {', '.join(SYSTEMS)}", param_hint="--systems"
        )
    return names


def _means(chosen: tuple[str, ...], model: Path | None, run: options.Run) -> Setup:
    from reactdiff_ros.evaluation.baselines import Setup

    weights = run.weights(model) if "model" in chosen else None
    return Setup(run.workers, run.bank(), weights, run.sampling())


def _sum_up(result: dict[str, Any], chosen: tuple[str, ...], tell: Any) -> None:
    """One sentence on the subject."""
    if "model" in chosen and result["bands"]:
        missed = [name for name, kept in result["bands"]["model"].items() if not kept and name != "all"]
        tell("the model keeps all bands" if not missed else f"the model misses {', '.join(missed)}")
