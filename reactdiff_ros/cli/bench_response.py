"""`reactdiff bench response`: does the listener answer a smile, a cue, and nothing else?"""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options


@click.command()
@options.LISTENER
@options.MODEL
@click.option("--trials", type=click.IntRange(10, 2000), default=200, show_default=True, help="Paired trials of each.")
@options.STEPS
@options.GUIDANCE
@options.HOP
@options.SEED
@options.VOICES
@options.WORKERS
@options.OUTPUT
@options.JSON
def response(
    listener: str,
    model: Path | None,
    trials: int,
    steps: int | None,
    guidance: float | None,
    hop_s: float | None,
    seed: int,
    voices: Path | None,
    workers: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """Responses to inserted events in paired trials on simulated speakers, all else being equal.

    Response: the run with the event stands above the run without by a tenth of the range for 3 frames, 0.3 to 1.5 s
    after the event began (nods: by 2 degrees of head pitch, 0.2 to 1.5 s). rate: share of trials with one; excess:
    that less the share in which it stands below by as much, which is what chance does.
    """
    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.plots import plot_responses
    from reactdiff_ros.evaluation.studies.listeners import make_listener
    from reactdiff_ros.evaluation.studies.response_bench import bench_response
    from reactdiff_ros.simulator.voices import load_bank

    with json_on_stdout(as_json) as result:
        how = options.sampling(steps, guidance, hop_s)
        system = make_listener(listener, model=model, how=how, workers=workers)
        with progress_bar(f"paired trials, {listener}") as show:
            report = bench_response(system, seed=seed, trials=trials, bank=load_bank(voices), progress=show)
        result.update(report.figures, listener=listener, seed=seed)
        if output is not None:
            tell(f"wrote {plot_responses(report.curves, output / 'responses.png')}")
    if not as_json:
        click.echo(dumps(result, indent=2))
    return 0
