"""`reactdiff evaluate`: how well a listener listens, measured on streams that depend only on its own past."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli import common, evaluation
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_ERROR, Number, Output, dumps, json_on_stdout, log, progress_bar
from reactdiff_ros.cli.evaluation import PLOTS, Course, Run
from reactdiff_ros.resources import needing

# SYSTEMS, DYAD_SYSTEMS and PARTS are also in the studies, too heavy to import for a help text; a test compares them.
SYSTEMS = (
    "model", "oracle", "shuffled", "mime", "mime_perceived", "nearest_neighbour", "rules", "policy", "listener_mean",
    "random", "ground_truth",
)  # fmt: skip
PEOPLE_SYSTEMS = ("real", "model", "shuffled", "rules", "mime", "policy")
DYAD_SYSTEMS = ("model", "shuffled", "real", "random", "mime", "rules", "policy", "still")
BACKCHANNEL_SYSTEMS = ("people", "model", "shuffled", "rules", "policy")
PARTS = (
    "autoencoder", "speed", "dyads", "response", "behaviour", "streams", "controls", "sessions", "simulator",
)  # fmt: skip
REACT_MEASURES = (
    "FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn", "FRSyn_ms", "frame_ms", "response_lag_ms", "look_ahead_s",
    "causal",
)  # fmt: skip
LAB_MEASURES = (
    "FRC", "FRD", "FRDiv", "FRVar", "smile_coupling", "response_lag_ms", "nods_per_minute", "smiles_per_minute",
    "blinks_per_minute", "jerk", "limit_hits", "frame_ms", "latency_p95_ms",
)  # fmt: skip
PICTURES = (".png", ".pdf", ".svg")


def items_option(least: int, most: int, default: int, text: str = "Held-out simulated speakers.") -> Callable[..., Any]:
    """--items, the number of speakers."""
    return click.option("--items", type=click.IntRange(least, most), default=default, help=text)


def seconds_option(least: float, default: float, text: str = "Length of each speaker's clip.") -> Callable[..., Any]:
    """--seconds, the length of a clip."""
    return click.option("--seconds", type=Number(least, 600.0), default=default, help=text)


def systems_option(names: tuple[str, ...]) -> Callable[..., Any]:
    """--system, the rows of a table."""
    return click.option("--system", "systems", type=common.Choice(names), multiple=True, help="Only these rows (all).")


@click.group(cls=common.Group, checkout=("lips", "turns"))
def evaluate() -> None:
    """Measure the behaviour of a listener."""


def command(function: Callable[..., int]) -> Callable[..., int]:
    """Adds a command to the group. Checks that numba is installed first, because it may be needed after hours."""
    made: Any = click.command()(function)
    made.callback = needing("numba", made.callback)
    evaluate.add_command(made)
    return made  # type: ignore[no-any-return]


@command
@click.option("--clips", type=common.FOLDER, required=True,
              help="Recordings named PERSON_LABEL.mp4, such as w009_angry.mp4.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1, 100), default=5, help="Listeners for each clip.")
@click.option("--style", default="natural", help="Listening style.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes.")
@common.reporting
def appropriateness(result: Output, clips: Path, seeds: int, style: str, workers: int) -> None:
    """Show acted emotions to the listener and measure what it answers.

    The label is the last word of a file's name; level and take behind it are ignored. Concern is the largest of inner
    brows, frown and tilt of the head.
    """
    from reactdiff_ros.evaluation.studies.appropriateness import appropriateness as measure
    from reactdiff_ros.recordings.labels import labelled

    with progress_bar("clips") as show:
        result.update(measure(list(labelled(clips)), seeds=seeds, style=style, workers=workers, progress=show).figures)
    result.say(f"{'label':10s} smile   p95  concern  brows  read right  n")
    for label, row in result["by_label"].items():
        figures = f"{row['smile']:5.2f} {row['smile_p95']:5.2f} {row['concern']:8.2f} {row['brow_raise']:6.2f}"
        result.say(f"{label:10s} {figures} {row['right_class']:11.2f} {row['n']:2d}")
    result.say(f"eyes up minus down: {result['gaze']['up_minus_down']:.3f}")
    if result["without_sound"]:
        log(f"followed by sight alone, for want of sound: {', '.join(result['without_sound'])}")
    for name, problem in result["skipped"].items():
        log(f"{name} was skipped: {problem}")


def _picture(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in PICTURES:
        raise click.BadParameter(f"the picture's name must end with {', '.join(PICTURES)}")
    return evaluation.plots(context, parameter, path)


PICTURE = click.option(
    "--output", type=common.FILE, metavar="PLOT.png", callback=_picture, help="Picture of hazards and nod shapes."
)


@command
@click.option("--timings", type=common.FILE, required=True, metavar="FILE",
              help="Utterances of two people: a table with begin and end (ms) and participant.")  # fmt: skip
@click.option("--speech", type=common.FOLDER, required=True, metavar="DIR",
              help="Real speech (.flac, .wav) that is laid under the utterances.")  # fmt: skip
@click.option("--nods", type=common.FILE, metavar="FILE",
              help="Annotated nods, to compare shapes with: a row for each measure and label.")  # fmt: skip
@common.MODEL
@systems_option(BACKCHANNEL_SYSTEMS)
@click.option("--streams", type=click.IntRange(1, 64), default=4, help="Times that each system listens.")
@click.option("--face/--no-face", default=True,
              help="A neutral face that looks at the listener is seen; or nothing, as without a camera.")  # fmt: skip
@evaluation.evaluation(voices=False, output=PICTURE)
def backchannels(
    run: Run, timings: Path, speech: Path, nods: Path | None, systems: tuple[str, ...], streams: int, face: bool
) -> None:
    """Compare when listeners nod with people's backchannels, on real speech.

    The speech has the turns of a real dialogue; people's backchannels are vocal. Short utterances over or between the
    other's turns are backchannels. Only the time in which the speaker has the floor counts. hazard: responses a second
    by the speaker's pause so far; answers: responses a pause within 1 s of its beginning, by its length, as share and
    less chance; r: their correlations with people's over the bins; after_pauses: share of responses within 1 s of a
    pause of 0.2 s and more, over that of circularly shifted ones (ratio). Intervals are 95 % over minutes. nod_shapes
    (with --nods): quantiles, and distances from annotated nods; amplitude and velocity over their medians, because
    their units differ.
    """
    from reactdiff_ros.evaluation.studies.backchannels import (
        evaluate_backchannels,
        make_dialogue,
        read_nods,
        read_speech,
    )
    from reactdiff_ros.recordings.datasets.turns import read_turns

    if run.output is not None:
        common.check_writable("the picture", run.output)
    chosen = systems or BACKCHANNEL_SYSTEMS
    turns, annotated = read_turns(timings), None if nods is None else read_nods(nods)
    for why, count in turns.left_out.items():
        log(f"rows that are left out: {count} ({why})")
    with progress_bar("voices") as show:
        dialogue = make_dialogue(turns, read_speech(speech), face=face, seed=run.seed, progress=show)
    listener = run.network(run.model) if {"model", "shuffled"} & {*chosen} else None
    with progress_bar("listeners") as show:
        found = evaluate_backchannels(
            dialogue, listener, systems=chosen, streams=streams, seed=run.seed, annotated=annotated, progress=show
        )
    run.result.update(found.figures, seed=run.seed, streams=streams, face=face, minutes=turns.seconds / 60)
    run.result["turns"] = {p.name: {"talk": len(p.talk), "responses": len(p.responses)} for p in turns.people}
    run.result["left_out"] = turns.left_out
    if run.output is not None:
        log(f"wrote {found.pictures['backchannels.png'](run.output)}")


@command
@evaluation.CONTROLLED
@common.MODEL
@items_option(4, 2000, 32)
@seconds_option(10.0, 30.0)
@evaluation.evaluation(output=PLOTS)
def controls(run: Run, items: int, seconds: float) -> None:
    """Sweep every control and entry of a style, on the same speakers and noise.

    Attitude and smiling: share of time with a smile; nodding: nods a minute; liveliness: speed of the head, brow
    raises a minute; responsiveness: answer to an inserted smile, coupling of smiles; delay: lag of that answer;
    controls of the expression: size of what is shown; entries of a style: the same statistic of the output stream.
    """
    from reactdiff_ros.evaluation.studies.controls import evaluate_controls

    run.result["listener"] = run.listener
    run.study(evaluate_controls, run.who(), "controls", items=items, seconds=seconds)


@command
@click.option("--folder", type=common.FOLDER, required=True,
              help="Recorded calls: PAIR[_SESSION]_{au12_r,au06_r,gaze,body_motion}.csv.")  # fmt: skip
@common.MODEL
@click.option("--models", type=common.FOLDER, nargs=4, metavar="DIR0 DIR1 DIR2 DIR3",
              help="Four models, each trained without the pairs of one fold; each is tested on those.")  # fmt: skip
@systems_option(DYAD_SYSTEMS)
@click.option("--permutations", type=click.IntRange(100, 1_000_000), default=5000,
              help="Permutations of speakers across pairs, for p.")  # fmt: skip
@evaluation.evaluation(voices=False, output=evaluation.RESULT)
def dyads(run: Run, folder: Path, models: tuple[Path, ...] | None, systems: tuple[str, ...], permutations: int) -> None:
    """Compare how listeners smile with real listeners, on recorded calls.

    C: mean correlation of the two people's AU12 at lags of 0.3 to 2 s (.10 to .30 passes). p: of that C when speakers
    are permuted across pairs (below .01). D_marg: mean Wasserstein-1 distance of smile rate, length, share of time,
    speed and spread from the real listeners', each over its real deviation (at most .45; for "real" one half of the
    pairs against the other). passes: all three. The random pairing and the mime must fail. All calls are cut to the
    shortest; those of less than half the median length, or with AU12 of less than 75 % of the time, are left out.
    """
    from reactdiff_ros.evaluation.studies.dyads import evaluate_dyads, read_calls

    if run.model is not None and models:
        raise click.UsageError("give --model or --models, not both")
    chosen = systems or DYAD_SYSTEMS
    evaluation.absent(run.output)
    calls = read_calls(folder)
    for name, why in calls.left_out.items():
        log(f"{name} is left out: {why}")
    wanted = (models or (run.model,)) if {"model", "shuffled"} & {*chosen} else ()
    listeners = [run.network(path) for path in wanted]
    with progress_bar("recorded calls") as show:
        found = evaluate_dyads(
            calls, listeners, systems=chosen, seed=run.seed, permutations=permutations, progress=show
        )
    run.result.update(found.figures, frames=calls.frames, left_out=dict(calls.left_out))
    if run.output is not None and found.result is not None:
        head = evaluation.info_of("dyads", "Listeners to people in recorded calls", str(run.model or ""), chosen)
        run.result.update(evaluation.write(found.result(head), run.output, force=False))
    log(found.figures["model"]["note"] if "model" in chosen else "no model among the rows")


@command
@click.option("--folder", type=common.FOLDER, required=True,
              help="Recorded pairs: tables of both faces, or the files of 'evaluate dyads'.")  # fmt: skip
@common.MODEL
@systems_option(PEOPLE_SYSTEMS)
@evaluation.evaluation(voices=False)
def people(run: Run, folder: Path, systems: tuple[str, ...]) -> None:
    """Compare listeners with people, on recordings of both faces of pairs.

    two_sample_auc: how well a classifier tells 4 s windows of the listener from people's (for "real": one half of the
    pairs from the other); partner_auc: how well it tells 20 s with the own partner from 20 s with another's; added_r2:
    what the partner's last 5 s add to the own past in predicting smile, brows and pitch; answers to smiles within 3 s,
    with their lags; autocorrelation of smiles at 5 s. Classifiers are cross-validated by pair, noise of what perception
    can see is added to both sides, and all recordings are cut to the shortest. The documentation describes the tables.
    """
    from reactdiff_ros.evaluation.studies.people import evaluate_people, read_people

    chosen = systems or PEOPLE_SYSTEMS
    pairs = read_people(folder)
    for name, why in pairs.left_out.items():
        log(f"{name} is left out: {why}")
    listener = run.network(run.model) if {"model", "shuffled"} & {*chosen} else None
    with progress_bar("recorded pairs") as show:
        run.result.update(evaluate_people(pairs, listener, systems=chosen, seed=run.seed, progress=show).figures)


@command
@items_option(2, 10_000, 200, "Held-out speakers.")
@seconds_option(4.0, 30.0, "Length of each clip.")
@common.MODEL
@click.option("--systems", metavar="A,B,...", help=f"Only these of {', '.join(SYSTEMS)} (all).")
@common.EMOTIONS
@evaluation.evaluation(output=PLOTS)
def simulator(run: Run, items: int, seconds: float, systems: str | None, emotions: float) -> None:
    """Score model and baselines with REACT's metrics on held-out simulated speakers.

    Intervals are 95 % over speakers. Each system gives 10 independent streams a speaker, scored against 10 appropriate
    simulated listeners: FRC, FRD (sums over the 10), FRDiv, FRDvs, FRVar, and pose (turns of the head and nods). skill
    = (x - shuffled) / (oracle - shuffled); bands: what a listener has to reach all together. Seeds are disjoint from
    training by construction.

    --output takes a folder, for plots and result.npz, or a name that ends with .npz: the result file alone, which
    'reactdiff report' and 'reactdiff compare' read.

    The figures show a known distribution recovered from noisy perception. They are no evidence of human likeness; never
    compare them with figures of real recordings.
    """
    from reactdiff_ros.evaluation.listeners import MODEL, StreamListener
    from reactdiff_ros.evaluation.studies.simulator import evaluate as evaluate_simulator

    named = (name.strip() for name in (",".join(SYSTEMS) if systems is None else systems).split(","))
    chosen = tuple(dict.fromkeys(name for name in named if name))
    if (unknown := [name for name in chosen if name not in SYSTEMS]) or not chosen:
        text = f"{', '.join(unknown) or 'nothing'} is not one of {', '.join(SYSTEMS)}"
        raise click.BadParameter(text, param_hint="--systems")
    plots = run.output if run.output is not None and run.output.suffix != ".npz" else None
    file = plots / "result.npz" if plots is not None else run.output
    evaluation.absent(file, force=plots is not None)
    listener = run.network(run.model) if "model" in chosen else StreamListener(MODEL, workers=run.workers)
    bank = run.bank()
    with progress_bar("held-out speakers") as show:
        found = evaluate_simulator(
            listener, seed=run.seed, items=items, seconds=seconds, systems=chosen, bank=bank, emotions=emotions,
            progress=show,
        )  # fmt: skip
    run.result.update(found.figures)
    if plots is not None:
        run.result["plots"] = [str(draw(plots / name)) for name, draw in found.pictures.items()]
    if file is not None and found.result is not None:
        head = evaluation.info_of("simulator", "Held-out simulated speakers", str(run.model or ""), chosen)
        run.result.update(evaluation.write(found.result(head), file, force=plots is not None))
    if "model" in chosen and run.result["bands"]:
        missed = [name for name, kept in run.result["bands"]["model"].items() if not kept and name != "all"]
        log("the model keeps all bands" if not missed else f"the model misses {', '.join(missed)}")


@command
@common.MODEL
@items_option(2, 2000, 100)
@seconds_option(8.0, 40.0)
@evaluation.evaluation(output=PLOTS)
def streams(run: Run, items: int, seconds: float) -> None:
    """Compare free-running streams with ancestral sampling.

    They are also compared with the simulator's listeners. Variance and autocorrelation of each group of coefficients,
    rates of rare events, jerk at the borders of plans over that inside, difference of consecutive plans with unchanged
    evidence over the spread of candidates, and power in three bands over the reference's. raw: as planned; shown:
    as live; ancestral: each block drawn once in many steps, from the same noise.
    """
    from reactdiff_ros.evaluation.studies.sampling import evaluate_streams

    listener = run.network(run.model)
    run.study(evaluate_streams, listener, "free-running streams", items=items, seconds=seconds)


@command
@evaluation.LISTENER
@common.MODEL
@items_option(8, 2000, 100)
@seconds_option(16.0, 60.0)
@evaluation.evaluation(output=PLOTS)
def behaviour(run: Run, items: int, seconds: float) -> None:
    """Measure smile lags above chance, reliance on the speaker, and realism.

    Lags: shares of the speaker's smiles whose nearest smile of the listener begins in each bin, less the same with
    streams shifted in time; with and without precursors of the speaker's smiles. Reliance: with the own speaker less
    with another's. Realism, of windows of 2 s: Frechet distance to simulated listeners with its floor, and a
    classifier's area under the curve (.5: cannot be distinguished). For a model also where intra- and inter-class
    attention looks on cues that show only in face and voice together.
    """
    from reactdiff_ros.evaluation.studies.behaviour import evaluate_behaviour

    label = f"behaviour, {run.listener}"
    run.study(evaluate_behaviour, run.who(), label, items=items, seconds=seconds)
    run.result["listener"] = run.listener


@command
@evaluation.LISTENER
@common.MODEL
@click.option("--sessions", "count", type=click.IntRange(2, 200), default=20, help="Number of sessions.")
@click.option("--minutes", type=Number(6.0, 600.0), default=60.0, help="Length of each session.")
@evaluation.evaluation()
def sessions(run: Run, count: int, minutes: float) -> None:
    """Check for drift: compare the end of long sessions with their beginning.

    Sessions have changing speakers and absences; the last sixth is compared with the second. Ratios of rates, shares of
    time, means, deviations (style natural) and of the excess of answered smiles (style responsive) with 95 % intervals
    over sessions; how far the head has moved from where it was held; frames at a clamp; and what is left of an extreme
    history after 10 s. A short form: --sessions 6 --minutes 6.
    """
    from reactdiff_ros.evaluation.studies.sessions import evaluate_sessions

    label = f"{count} sessions of {minutes:g} min"
    run.study(evaluate_sessions, run.who(), label, sessions=count, minutes=minutes)
    run.result["listener"] = run.listener


@command
@click.argument("models", nargs=-1, required=True, type=common.FOLDER)
@click.option("--sweep", is_flag=True, help="Steps 1, 2, 4, 8 instead of ablations.")
@items_option(4, 2000, 200, "Paired speakers.")
@seconds_option(6.0, 30.0)
@evaluation.evaluation()
def ablations(run: Run, models: tuple[Path, ...], sweep: bool, items: int, seconds: float) -> None:
    """Compare MODELS on the same speakers and noise.

    MODELS are folders of 'reactdiff dev export'; the speakers are held out. Their manifests name what each was trained
    without ('train --ablate') and with which seed; give three seeds of each. A difference to the full models that is
    smaller than the deviation between seeds is reported as "none".
    """
    from reactdiff_ros.evaluation.bench.machine import commit
    from reactdiff_ros.evaluation.studies import sampling

    if sweep and run.steps is not None:
        raise click.UsageError("--sweep chooses the steps itself")
    run.result["commit"] = commit(Path(__file__).resolve().parent)
    listeners = [run.network(path) for path in models]
    study, label = (sampling.sweep, "sweep") if sweep else (sampling.evaluate_ablations, "ablations")
    run.study(study, listeners, label, items=items, seconds=seconds)


@command
@common.MODEL
@click.option("--dyads", type=common.FOLDER, help="Folder of recorded calls, as for 'evaluate dyads'.")
@click.option("--fold-models", type=common.FOLDER, nargs=4, metavar="DIR0 DIR1 DIR2 DIR3",
              help="Four models, each trained without the pairs of one fold, for the recorded calls.")  # fmt: skip
@items_option(8, 2000, 200, "Held-out speakers; others follow.")
@click.option("--part", "parts", type=common.Choice(PARTS), multiple=True,
              help="Measure only these parts; stored ones are included.")  # fmt: skip
@click.option("--short", is_flag=True, help="A check in minutes that everything runs; the figures are noise.")
@click.option(
    "--hours", type=click.IntRange(2, 200), metavar="N",
    help="N sessions of one hour instead of 6 sessions of six minutes; the bounds assume 20 (2 h on 2 cores).",
)  # fmt: skip
@click.option("--date", metavar="YYYY-MM-DD", help="Date of the evidence (today).")
@click.option("--output", "folder", type=common.FOLDER, required=True, help="Folder of the results.")
@evaluation.evaluation(shown=False)
def evidence(
    run: Run, dyads: Path | None, fold_models: tuple[Path, ...] | None, items: int, parts: tuple[str, ...],
    short: bool, hours: int | None, date: str | None, folder: Path,
) -> int:  # fmt: skip
    """Measure everything about a set of weights, and judge it against the bounds.

    OUTPUT gets evidence.json, the pictures, and in kept/ each part as soon as it is measured. If the command is
    interrupted, start it again: stored parts with the same weights and settings are not measured again. Each part
    carries the commit that it was measured with. 'reactdiff dev docs evidence' makes the page and the model card.
    Speeds are only valid while nothing else runs.
    """
    import datetime
    from time import perf_counter

    from reactdiff_ros.evaluation.bounds import judge, passed
    from reactdiff_ros.evaluation.listeners import voices_facts
    from reactdiff_ros.evaluation.studies.evidence import Subject, collect, sizes_for
    from reactdiff_ros.model.backends.weights import find_weights
    from reactdiff_ros.whole_file import write_whole

    if short and hours:
        raise click.UsageError("--short or --hours, not both")
    if fold_models and dyads is None:
        raise click.UsageError("--fold-models needs --dyads")
    wanted = tuple(part for part in PARTS if part != "dyads" or dyads is not None)
    if dyads is None:
        log("no recorded calls were given (--dyads): nothing is measured on people")
    subject = Subject(
        find_weights(run.model or ""), run.sampling(), perf_counter,
        sizes_for(items, short=short, hours=hours or 0), run.seed, run.bank(), run.workers, dyads,
        tuple(find_weights(path) for path in fold_models or ()),
    )  # fmt: skip
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    with progress_bar(f"evidence for {subject.weights.digest}") as show:
        found = collect(
            subject, folder, parts=wanted, run=parts or None, date=date or today, encode=dumps, log=log,
            progress=show,
        )  # fmt: skip
    run.result.update(found, voices=voices_facts(subject.bank))
    with common.writing("the evidence", folder / "evidence.json"):
        write_whole(folder / "evidence.json", dumps(run.result, indent=1) + "\n")
    verdicts = judge(run.result["parts"])
    for v in verdicts:
        log(f"{v.word:12} {v.bound.part}: {v.bound.name}: {v.measured} (bound: {v.bound.text()})")
    log(passed(verdicts))
    return EXIT_ERROR if run.result["failed"] else EXIT_DONE


@command
@click.option("--data", type=common.FOLDER, required=True, metavar="DIR",
              help="Root of REACT2023, REACT2024 (val.csv, val/...) or MARS (val/facial-attributes/...).")  # fmt: skip
@click.option("--split", type=common.Choice(("train", "val", "test")), default="val", help="Split to evaluate.")
@click.option(
    "--expression-names", "names", type=common.FILE, metavar="FILE",
    help="faceverse_simple_v2.npy, or a list of FaceVerse's 52 names; without it only the speaker's head is seen.",
)  # fmt: skip
@click.option("--streams", type=click.IntRange(1, 64), default=10, help="K reactions a speaker.")
@click.option("--compat", type=common.Choice(("default", "react2024", "mars")),
              help="Whose definitions of the metrics (those of the set's own challenge).")  # fmt: skip
@click.option("--own-targets", is_flag=True, help="Only the recorded reaction is appropriate; no neighbour matrix.")
@click.option("--no-voice", is_flag=True, help="The listener does not hear the speaker; no sound is read.")
@evaluation.resumable
def react(
    course: Course, data: Path, split: str, names: Path | None, streams: int, compat: str | None, own_targets: bool,
    no_voice: bool,
) -> int:  # fmt: skip
    """Score listeners with REACT's metrics on a public data set.

    Time per frame and response lag are measured too. Each listener gives K streams a speaker from its own past.
    Compared on the same speakers: ground truth, the mime with its best lag, random, mean sequence, mean frame, nearest
    neighbour, the rule-based listener, and the control: the listener under test, paired with a different speaker. 95 %
    intervals are over pairs of people.

    A recording that cannot be read is reported and the others go on; the exit code is then 1. To resume an interrupted
    run, give the same command.
    """
    from reactdiff_ros.evaluation.runs.react import Plan, kind_of, run_react
    from reactdiff_ros.recordings.datasets.public import expression_names

    with json_on_stdout(course.as_json) as result, course.context() as context:
        chosen = compat or ("mars" if kind_of(data, split) == "mars" else "react2024")
        known = None if names is None else tuple(expression_names(names))
        if known is None:
            log("without --expression-names only the speaker's head, affect and voice are observed")
        plan = Plan(
            folder=str(data.resolve()), split=split, listeners=course.listeners, weights=course.weights, names=known,
            voice=not no_voice, streams=streams, seed=course.seed, compat=chosen, own_targets=own_targets,
        )  # fmt: skip
        info = course.info("react", f"REACT's metrics on {data.name}, {split}")
        ran = run_react(plan, context, info, course.cuts)
        return course.conclude(result, ran, ran.result, REACT_MEASURES)


@command
@click.option(
    "--listener", default="model", metavar="NAME",
    help="model, rules, mime, random, idle, or a class of your own as module:Class or file.py:Class.",
)  # fmt: skip
@common.MODEL
@click.option("--cuts", type=click.IntRange(1, 10_000), default=50, help="Random moments t.")
@click.option("--seconds", type=Number(1.0, 600.0), default=3.0, help="Length of the recording.")
@click.option(
    "--clips", type=(common.PATH, common.PATH), metavar="CLIP OTHER",
    help="Two recordings with sound, read by the real perception: slow. Without, painted pictures and noise.",
)  # fmt: skip
@common.SEED
@common.reporting
def online(
    result: Output, listener: str, model: Path | None, cuts: int, seconds: float, clips: tuple[Path, Path] | None,
    seed: int,
) -> int:  # fmt: skip
    """Verify that a listener is strictly online, or looks ahead only as it declares.

    A whole session runs, and runs again with every picture and sound after a random t replaced: every face up to
    t - look-ahead must have the same bits. A listener that looks further fails with the frame furthest before its t
    that differed; the exit code is then 1.
    """
    from reactdiff_ros.evaluation.listeners import Spec, named_errors
    from reactdiff_ros.evaluation.online import items_of, verify
    from reactdiff_ros.perception import SpeakerPerception

    spec = Spec(listener, str(model or ""))
    given: dict[str, Any] = {}
    if clips is not None:
        mine, other = (items_of(clip, seconds) for clip in clips)
        given = {"mine": mine, "other": other, "perception": SpeakerPerception()}
    tested = spec.make(seed)
    with progress_bar("cuts") as show, named_errors(spec):
        verdict = verify(tested, seconds=seconds, cuts=cuts, seed=seed, progress=show, **given)
    result.update(listener=listener, seconds=seconds, seed=seed, **verdict.as_dict())
    log(verdict.sentence(spec.name))
    if verdict.deterministic and verdict.acted < 0.2:
        log(f"the change was seen in the face after only {verdict.acted:.0%} of the cuts: this shows little")
    result.say(common.table(result))
    return EXIT_DONE if verdict.holds else EXIT_ERROR


@command
@click.argument("folder", type=common.FOLDER)
@click.option(
    "--pair", "pairs", type=(common.PATH, common.PATH), multiple=True, metavar="SPEAKER LISTENER",
    help="Two views of one conversation, filmed from the same start; files of FOLDER. NAME_speaker and NAME_listener "
    "are paired automatically.",
)  # fmt: skip
@click.option(
    "--study-key", type=common.FILE, metavar="KEY",
    help="Key of a blind study: adds to the result under which condition each bag was recorded (docs/studies.md).",
)  # fmt: skip
@click.option("--streams", type=click.IntRange(1, 64), default=3, help="Times that each listener listens.")
@evaluation.resumable
def recordings(
    course: Course, folder: Path, pairs: tuple[tuple[Path, Path], ...], study_key: Path | None, streams: int
) -> int:
    """Run listeners on the recordings in FOLDER and measure them.

    Recordings are bags, videos and extracted files; each runs through the whole live session. Measured are behaviour
    (rates of nods, smiles, blinks; coupling to the speaker's smiles; response lag), motion (jerk, limit hits), latency
    and time per frame; and, where the real listener was recorded too, REACT's metrics against them. Compared with the
    rule-based listener, mime, random, and the listener under test, paired with another recording.

    A recording that cannot be read, or on which LISTENER fails, is reported and the others go on; the exit code is then
    1. To resume an interrupted run, give the same command. Nothing is written to FOLDER.
    """
    from reactdiff_ros.evaluation.runs.recordings import LabPlan, run_recordings, sources, unblinded
    from reactdiff_ros.recordings.blinding import Key

    key = None if study_key is None else Key(study_key)
    with json_on_stdout(course.as_json) as result, course.context() as context:
        found = sources(folder.resolve(), pairs)
        plan = LabPlan(listeners=course.listeners, weights=course.weights, streams=streams, seed=course.seed)
        info = course.info("recordings", f"Recordings of {folder.name}")
        ran = run_recordings(plan, found, context, info, course.cuts)
        shown = ran.result
        if key is not None:
            shown, conditions = unblinded(ran.result, found, key)
            result.update(study=key.study, conditions=conditions)
        return course.conclude(result, ran, shown, LAB_MEASURES)


@command
@click.argument("file", type=common.FILE)
@click.option(
    "--compat", type=common.Choice(("default", "react2024", "mars")), default="default",
    help="react2024: the challenge's own code; mars: that of 2025 and 2026; default: without its faults.",
)  # fmt: skip
@click.option("--rate-hz", type=Number(1.0, 1000.0), help="Frames per second (25; mars: 30).")
@click.option("--seed", type=common.SEEDS, default=1234, help="mars: of the lists of targets.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, help="Threads.")
@common.figures
def arrays(file: Path, compat: str, rate_hz: float | None, seed: int, workers: int) -> dict[str, Any]:
    """Compute FRC, FRD, FRDiv, FRDvs, FRVar and FRSyn for the arrays in FILE (.npz).

    It holds prediction (N, K, T, 25), listener (M, T, 25), speaker (N, T, 25) and neighbour (N, M), which is 1 where a
    reaction of `listener` is appropriate for a speaker. FRC and FRD are sums over the K predictions. For mars, clips
    may be padded: frames (N,) and listener_frames (M,) are the true lengths.
    """
    from time import perf_counter

    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.evaluation.metrics import react as measures

    data = measures.load_arrays(file)
    with progress_bar("metrics") as show:
        given: dict[str, Any] = {"workers": workers, "timer": perf_counter, "progress": show}
        try:
            if compat == "mars":
                found = measures.evaluate_mars_arrays(data, rate_hz=rate_hz or measures.RATE_HZ, seed=seed, **given)
            else:
                given.update(compat=compat, rate_hz=rate_hz or measures.REFERENCE_RATE_HZ)
                found = measures.evaluate_reactions(*(data[name] for name in measures.NAMES), **given)
        except ReactdiffError as error:
            raise ReactdiffError(error.what, where=f"{file}: {error.where}", todo=error.todo) from error
    return found.as_dict()
