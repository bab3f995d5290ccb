"""`reactdiff bench reference`: the published model at its published sizes beside ours."""

from __future__ import annotations

import os
from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import Number, echo


@click.command("reference")
@options.MODEL
@click.option("--steps", type=click.IntRange(2, 1000), default=20, show_default=True, help="Steps of both.")
@click.option("--samples", type=click.IntRange(1, 64), default=10, show_default=True, help="Samples of the clip.")
@click.option("--repeats", type=click.IntRange(1, 99), default=3, show_default=True, help="Timed rounds; the median.")
@click.option("--threads", type=click.IntRange(1, 256), help="Of both; default: the cores of this process.")
@click.option("--minutes", type=Number(0.5, 60.0), default=10.0, show_default=True,
              help="Rounds that would pass it are left out.")  # fmt: skip
@click.option("--short", is_flag=True, help="eager_same_steps alone, 2 steps, one round, CPU seconds of one thread.")
@options.JSON
def reference(
    model: Path | None, steps: int, samples: int, repeats: int, threads: int | None, minutes: float, short: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Time the paper preset at its published shapes (542 M parameters) and ours, on the same threads, in turn.

    ratios: the paper's seconds for a generated second over ours. eager_same_steps: both in torch eager;
    best_cpu_same_steps: each in its fastest of torch eager, torch.compile and ONNX Runtime; eager_default_steps: the
    paper's in torch eager over ours at our default steps as it ships; ten_samples_30s: the paper's in its fastest over
    ours at our default steps. Takes 9 GB of memory (--short: 3); nothing else should run on the machine meanwhile.
    """
    from dataclasses import replace
    from time import perf_counter, process_time

    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.reference import EAGER, Plan
    from reactdiff_ros.evaluation.bench.reference_run import Run
    from reactdiff_ros.model.weights import find_weights

    plan = Plan(steps=steps, samples=samples, repeats=repeats, budget_s=60 * minutes)
    timer = perf_counter
    if short:  # in CPU seconds, which other processes hardly change
        timer, threads = process_time, 1
        plan = replace(plan, steps=2, repeats=1, runtimes=(EAGER,), ratios=("eager_same_steps",))
    with json_on_stdout(as_json) as result:
        weights = find_weights(model or "")
        with progress_bar("reference") as show:
            run = Run(weights, plan, timer, threads=threads or len(os.sched_getaffinity(0)), told=show, say=tell)
            result.update(run.figures(), short=short)
    if not as_json:
        echo(dumps(result, indent=2))
    return 0
