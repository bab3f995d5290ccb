"""`reactdiff bench response`: does the listener answer a smile, a cue, and nothing else?"""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options


@click.command()
@options.LISTENER
@options.MODEL
@click.option("--trials", type=click.IntRange(10, 2000), default=200, show_default=True, help="Paired trials of each.")
@options.evaluation(output=True)
def response(run: options.Run, listener: str, model: Path | None, trials: int) -> int:
    """Responses to inserted events in paired trials on simulated speakers, all else being equal.

    Response: the run with the event stands above the run without by a tenth of the range for 3 frames, 0.3 to 1.5 s
    after the event began (nods: by 2 degrees of head pitch, 0.2 to 1.5 s). rate: share of trials with one; excess:
    that less the share in which it stands below by as much, which is what chance does.
    """
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.plots import plot_responses
    from reactdiff_ros.evaluation.studies.response import bench_response

    with run.result() as result:
        system = run.listener(listener, model)
        bank = run.bank()
        with progress_bar(f"paired trials, {listener}") as show:
            report = bench_response(system, seed=run.seed, trials=trials, bank=bank, progress=show)
        result.update(report.figures, listener=listener, seed=run.seed)
        run.plot("responses.png", lambda path: plot_responses(report.curves, path))
    return 0
