"""`reactdiff evaluate recordings`: a lab's own bags and videos."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli import run_options as runs
from reactdiff_ros.cli.output import json_on_stdout

MEASURES = (
    "FRC", "FRD", "FRDiv", "FRVar", "smile_coupling", "response_lag_ms", "nods_per_minute", "smiles_per_minute",
    "blinks_per_minute", "jerk", "limit_hits", "frame_ms", "latency_p95_ms",
)  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--pair",
    "pairs",
    type=(click.Path(path_type=Path), click.Path(path_type=Path)),
    multiple=True,
    metavar="SPEAKER LISTENER",
    help="Two views of one conversation, filmed from the same start; files of FOLDER. NAME_speaker and NAME_listener "
    "are paired by themselves.",
)
@click.option(
    "--study-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Key of a blind study: the result tells under which condition each bag was recorded (docs/studies.md).",
)
@runs.LISTENERS
@options.MODEL
@click.option(
    "--streams", type=click.IntRange(1, 64), default=3, show_default=True, help="Times that each listener listens."
)
@runs.course
def recordings(
    course: runs.Course,
    folder: Path,
    pairs: tuple[tuple[Path, Path], ...],
    study_key: Path | None,
    listeners: tuple[str, ...],
    model: Path | None,
    streams: int,
) -> int:
    """Listeners on the bags, videos and extracted files of FOLDER, through the whole live session.

    Measured are behaviour (rates of nods, smiles, blinks; coupling to the speaker's smiles; response lag), motion
    (jerk, limit hits), latency and time a frame; where the one who really listened was recorded too, REACT's metrics
    against them. Beside them: the rule-based listener, mime, random, and the listener under test while it listened to
    another recording.

    A recording that cannot be read, or on which LISTENER fails, is named and the others go on; the exit code is then 1.
    A run that was ended goes on where it was: give the same command. Nothing is written to FOLDER.
    """
    from reactdiff_ros.evaluation.online import verified
    from reactdiff_ros.evaluation.runs.recordings import LabPlan, run_recordings, sources, unblinded
    from reactdiff_ros.recordings.studies.blinding import Key

    key = None if study_key is None else Key(study_key)
    with json_on_stdout(course.as_json) as result, course.desk() as desk:
        found = sources(folder.resolve(), pairs)
        plan = LabPlan(listeners, runs.path_text(model), streams, course.seed)
        info = runs.info_of("recordings", f"Recordings of {folder.name}", plan.weights, listeners)
        ran = run_recordings(plan, found, desk, info, verified(plan.specs(), course.cuts, course.seed, desk))
        shown, told = ran.result, {}
        if key is not None:
            shown, conditions = unblinded(ran.result, found, key)
            told = {"study": key.study, "conditions": conditions}
        result.update(runs.as_json(ran), **told, **course.write(shown))
    return runs.conclude(ran, MEASURES, as_json=course.as_json)
