"""`reactdiff evaluate react`: a listener on REACT2023, REACT2024 or MARS, beside the baselines."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli import run_options as runs
from reactdiff_ros.cli.output import json_on_stdout, tell

MEASURES = (
    "FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn", "FRSyn_ms", "frame_ms", "response_lag_ms",
    "look_ahead_s", "causal",
)  # fmt: skip


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Root of REACT2023, REACT2024 (val.csv, val/...) or MARS (val/facial-attributes/...).",
)
@click.option(
    "--split", type=click.Choice(("train", "val", "test")), default="val", show_default=True, help="Whose clips."
)
@runs.LISTENERS
@options.MODEL
@click.option(
    "--expression-names",
    "names",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="faceverse_simple_v2.npy, or a list of FaceVerse's 52 names; without it only the speaker's head is seen.",
)
@click.option("--streams", type=click.IntRange(1, 64), default=10, show_default=True, help="K reactions a speaker.")
@click.option(
    "--compat",
    type=click.Choice(("default", "react2024", "mars")),
    help="Whose definitions of the metrics (those of the set's own challenge).",
)
@click.option("--own-targets", is_flag=True, help="Only the recorded reaction is appropriate; no neighbour matrix.")
@click.option("--no-voice", is_flag=True, help="The listener does not hear the speaker; no sound is read.")
@runs.course
def react(
    course: runs.Course,
    data: Path,
    split: str,
    listeners: tuple[str, ...],
    model: Path | None,
    names: Path | None,
    streams: int,
    compat: str | None,
    own_targets: bool,
    no_voice: bool,
) -> int:
    """REACT's metrics of listeners on a split of a public set, with the time a frame and the response lag beside them.

    Each listener gives K streams a speaker from its own past. Beside them, on the same speakers: ground truth, the
    mime with its best lag, random, mean sequence, mean frame, nearest neighbour, the rule-based listener, and the
    control: the listener under test while it listened to somebody else. 95 % intervals are over pairs of people.

    A recording that cannot be read is named and the others go on; the exit code is then 1. A run that was ended goes
    on where it was: give the same command.
    """
    from reactdiff_ros.evaluation.online import verified
    from reactdiff_ros.evaluation.runs.react import Plan, kind_of, run_react
    from reactdiff_ros.recordings.datasets.faceverse import expression_names

    with json_on_stdout(course.as_json) as result, course.desk() as desk:
        chosen = compat or ("mars" if kind_of(data, split) == "mars" else "react2024")
        known = None if names is None else tuple(expression_names(names))
        if known is None:
            tell("without --expression-names only the speaker's head, affect and voice are observed")
        plan = Plan(
            folder=str(data.resolve()), split=split, listeners=listeners, weights=runs.path_text(model), names=known,
            voice=not no_voice, streams=streams, seed=course.seed, compat=chosen, own_targets=own_targets,
        )  # fmt: skip
        info = runs.info_of("react", f"REACT's metrics on {data.name}, {split}", plan.weights, listeners)
        declared = verified(plan.specs(), course.cuts, course.seed, desk)
        ran = run_react(plan, desk, info, declared)
        result.update(runs.as_json(ran), **course.write(ran.result))
    return runs.conclude(ran, MEASURES, as_json=course.as_json)
