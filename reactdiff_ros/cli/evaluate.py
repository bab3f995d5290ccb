"""`reactdiff evaluate`: how well a listener listens, measured on streams that depend only on its own past."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.options import FILE, FOLDER
from reactdiff_ros.cli.output import EXIT_DONE, EXIT_ERROR, Number, dumps, echo, json_on_stdout, tell
from reactdiff_ros.cli.progress import progress_bar
from reactdiff_ros.resources import needing

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.metrics.react import ReactMetrics

# These lists are also in the studies, which are too heavy to import for a help text; a test compares them.
SYSTEMS = (
    "model", "oracle", "shuffled", "mime", "mime_perceived", "nearest_neighbour", "rules", "policy", "listener_mean",
    "random", "ground_truth",
)  # fmt: skip
DYAD_SYSTEMS = ("model", "shuffled", "real", "random", "mime", "rules", "policy", "still")
PARTS = (
    "autoencoder", "speed", "dyads", "response", "behaviour", "streams", "choice", "controls", "sessions", "simulator",
)  # fmt: skip
REACT_MEASURES = (
    "FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn", "FRSyn_ms", "frame_ms", "response_lag_ms", "look_ahead_s",
    "causal",
)  # fmt: skip
LAB_MEASURES = (
    "FRC", "FRD", "FRDiv", "FRVar", "smile_coupling", "response_lag_ms", "nods_per_minute", "smiles_per_minute",
    "blinks_per_minute", "jerk", "limit_hits", "frame_ms", "latency_p95_ms",
)  # fmt: skip


def items_option(
    least: int, most: int, default: int, text: str = "Held-out simulated speakers."
) -> Callable[[options.Command], options.Command]:
    """--items, the number of speakers."""
    return click.option("--items", type=click.IntRange(least, most), default=default, show_default=True, help=text)


def seconds_option(
    least: float, default: float, text: str = "Length of each speaker's clip."
) -> Callable[[options.Command], options.Command]:
    """--seconds, the length of a clip."""
    return click.option("--seconds", type=Number(least, 600.0), default=default, show_default=True, help=text)


@click.group()
def evaluate() -> None:
    """Measure the behaviour of a listener."""


def command(function: Callable[..., int]) -> Callable[..., int]:
    """Adds a command to the group. Checks that numba is installed first, because it may be needed after hours."""
    made: Any = click.command()(function)
    made.callback = needing("numba", made.callback)
    evaluate.add_command(made)
    return made  # type: ignore[no-any-return]


@command
@options.CONTROLLED
@options.MODEL
@items_option(4, 2000, 32)
@seconds_option(10.0, 30.0)
@options.evaluation(output=True)
def controls(run: options.Run, listener: str, model: Path | None, items: int, seconds: float) -> int:
    """Sweep every control, and every entry of a style, on the same speakers with the same noise.

    Attitude and smiling: share of time with a smile; nodding: nods a minute; liveliness: speed of the head, brow
    raises a minute; responsiveness: answer to an inserted smile, coupling of smiles; delay: lag of that answer;
    controls of the expression: size of what is shown; entries of a style: the same statistic of the output stream.
    """
    from reactdiff_ros.evaluation.plots import plot_controls
    from reactdiff_ros.evaluation.studies.controls import evaluate_controls

    with run.result() as result:
        system, bank = run.listener(listener, model), run.bank()
        with progress_bar("controls") as show:
            figures = evaluate_controls(
                system, seed=run.seed, items=items, seconds=seconds, bank=bank, workers=run.workers, told=show
            )
        result.update(listener=listener, seed=run.seed, items=items, seconds=seconds, **figures)
        run.plot("controls.png", lambda path: plot_controls(figures, path))
    return EXIT_DONE


@command
@click.option(
    "--folder", type=FOLDER, required=True, help="Recorded calls: PAIR[_SESSION]_{au12_r,au06_r,gaze,body_motion}.csv."
)
@options.MODEL
@click.option(
    "--models", type=FOLDER, nargs=4, metavar="DIR0 DIR1 DIR2 DIR3",
    help="Four models, each trained without the pairs of one fold; each is tested on those.",
)  # fmt: skip
@click.option("--system", "systems", type=click.Choice(DYAD_SYSTEMS), multiple=True, help="Only these rows (all).")
@click.option(
    "--permutations", type=click.IntRange(100, 1_000_000), default=5000, show_default=True,
    help="Of speakers across pairs, for p.",
)  # fmt: skip
@options.RESULT
@options.evaluation(voices=False)
def dyads(
    run: options.Run, folder: Path, model: Path | None, models: tuple[Path, ...] | None, systems: tuple[str, ...],
    permutations: int, output: Path | None,
) -> int:  # fmt: skip
    """Smile coupling and smile statistics of listeners to the speakers of recorded calls.

    C: mean correlation of the two people's AU12 at lags of 0.3 to 2 s (.10 to .30 passes). p: of that C when speakers
    are permuted across pairs (below .01). D_marg: mean Wasserstein-1 distance of smile rate, length, share of time,
    speed and spread from the real listeners', each over its real deviation (at most .45; for "real" one half of the
    pairs against the other). passes: all three. The random pairing and the mime must fail. All calls are cut to the
    shortest; those of less than half the median length, or with AU12 of less than 75 % of the time, are left out.
    """
    from reactdiff_ros.evaluation.studies.dyads import dyads_result, evaluate_dyads, read_calls

    if model is not None and models:
        raise click.UsageError("give --model or --models, not both")
    chosen = systems or DYAD_SYSTEMS
    options.absent(output)
    with run.result() as result:
        calls = read_calls(folder)
        for name, why in calls.left_out.items():
            tell(f"{name} is left out: {why}")
        wanted = (models or (model,)) if {"model", "shuffled"} & {*chosen} else ()
        listeners = [run.model(path) for path in wanted]
        with progress_bar("recorded calls") as show:
            table = evaluate_dyads(
                calls, listeners, systems=chosen, seed=run.seed, permutations=permutations,
                told=lambda name, share: show((chosen.index(name) + share) / len(chosen)),
            )  # fmt: skip
        result.update(table.figures, seed=run.seed, calls=len(calls.recordings) // 2, pairs=len(calls.pairs))
        result.update(frames=calls.frames, left_out=dict(calls.left_out))
        if output is not None:
            head = options.info_of("dyads", "Listeners to people in recorded calls", str(model or ""), chosen)
            result.update(options.write(dyads_result(table, calls, head, run.seed), output, force=False))
        tell(table.figures["model"]["note"] if "model" in chosen else "no model among the rows")
    return EXIT_DONE


@command
@items_option(2, 10_000, 200, "Held-out speakers.")
@seconds_option(4.0, 30.0, "Length of each clip.")
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

    The figures show a known distribution recovered from noisy perception. They are no evidence of human likeness; never
    compare them with figures of real recordings.
    """
    from reactdiff_ros.evaluation.baselines import Setup
    from reactdiff_ros.evaluation.plots import plot_systems, plot_time_line
    from reactdiff_ros.evaluation.studies.simulator import Example, SimulatorFile
    from reactdiff_ros.evaluation.studies.simulator import evaluate as evaluate_simulator
    from reactdiff_ros.types import REACTION_RATE_HZ

    chosen = _systems(systems)
    as_file = options.result_file(run.output)
    plots = None if as_file == run.output else run.output
    with run.result() as result:
        weights = run.weights(model) if "model" in chosen else None
        setup = Setup(run.workers, run.bank(), weights, run.sampling())
        example, collected = Example(), SimulatorFile()

        def shown(*streams: Any) -> None:
            example.keep(*streams)
            collected.keep(*streams)

        with progress_bar("held-out speakers") as show:
            result.update(
                evaluate_simulator(
                    seed=run.seed, items=items, frames=round(seconds * REACTION_RATE_HZ), systems=chosen, means=setup,
                    progress=lambda name, share: show((chosen.index(name) + share) / len(chosen)), show=shown,
                    scored=collected.take,
                )
            )  # fmt: skip
        if plots is not None:
            result["plots"] = [
                str(plot_systems(result, chosen, plots / "systems.png")),
                str(plot_time_line(example.speaker, example.listeners, plots / "time_line.png")),
            ]
        if as_file is not None:
            head = options.info_of("simulator", "Held-out simulated speakers", str(model or ""), chosen)
            result.update(options.write(collected.result(head), as_file, force=plots is not None))
        if "model" in chosen and result["bands"]:
            missed = [name for name, kept in result["bands"]["model"].items() if not kept and name != "all"]
            tell("the model keeps all bands" if not missed else f"the model misses {', '.join(missed)}")
    return EXIT_DONE


def _systems(systems: str | None) -> tuple[str, ...]:
    if systems is None:
        return SYSTEMS
    names = tuple(dict.fromkeys(name.strip() for name in systems.split(",") if name.strip()))
    unknown = [name for name in names if name not in SYSTEMS]
    if unknown or not names:
        raise click.BadParameter(
            f"{', '.join(unknown) or 'nothing'} is not one of {', '.join(SYSTEMS)}", param_hint="--systems"
        )
    return names


@command
@options.MODEL
@items_option(2, 2000, 100)
@seconds_option(8.0, 40.0)
@options.evaluation(output=True)
def streams(run: options.Run, model: Path | None, items: int, seconds: float) -> int:
    """Free-running streams compared with independent ancestral sampling and the simulator's listeners.

    Variance and autocorrelation of each group of coefficients, rates of rare events, jerk at the borders of plans over
    that inside, difference of consecutive plans with unchanged evidence over the spread of candidates, and power in
    three bands over the reference's. raw: as planned, before smoothing; shown: as live; ancestral: each block drawn
    once in many steps.
    """
    from reactdiff_ros.evaluation.metrics.spectra import BANDS_HZ
    from reactdiff_ros.evaluation.plots import plot_spectra
    from reactdiff_ros.evaluation.studies.sampling import evaluate_streams

    with run.result() as result:
        listener, bank = run.model(model), run.bank()
        with progress_bar("free-running streams") as show:
            report = evaluate_streams(listener, seed=run.seed, items=items, seconds=seconds, bank=bank, told=show)
        result.update(report.figures)
        run.plot("spectra.png", lambda path: plot_spectra(report.frequency, report.densities, BANDS_HZ, path))
    return EXIT_DONE


@command
@options.LISTENER
@options.MODEL
@items_option(8, 2000, 100)
@seconds_option(16.0, 60.0)
@options.evaluation(output=True)
def behaviour(run: options.Run, listener: str, model: Path | None, items: int, seconds: float) -> int:
    """Lags of reciprocal smiles less chance, reliance on the speaker, realism of windows of 2 s.

    Lags: shares of the speaker's smiles whose nearest smile of the listener begins in each bin, less the same with
    streams shifted in time; with and without precursors of the speaker's smiles. Reliance: with the own speaker less
    with another's. Realism: Frechet distance to simulated listeners with its floor, and a classifier's area under the
    curve (.5: cannot be distinguished). For a model also where intra- and inter-class attention looks on cues that show
    only in face and voice together.
    """
    from reactdiff_ros.evaluation.plots import plot_lags
    from reactdiff_ros.evaluation.studies.behaviour import evaluate_behaviour

    with run.result() as result:
        chosen, bank = run.listener(listener, model), run.bank()
        with progress_bar(f"behaviour, {listener}") as show:
            report = evaluate_behaviour(chosen, seed=run.seed, items=items, seconds=seconds, bank=bank, told=show)
        result.update(report.figures, listener=listener)
        run.plot("lags.png", lambda path: plot_lags(report.lags, path))
    return EXIT_DONE


@command
@options.LISTENER
@options.MODEL
@click.option(
    "--sessions", "count", type=click.IntRange(2, 200), default=20, show_default=True, help="Number of sessions."
)
@click.option("--minutes", type=Number(6.0, 600.0), default=60.0, show_default=True, help="Length of each session.")
@options.evaluation()
def sessions(run: options.Run, listener: str, model: Path | None, count: int, minutes: float) -> int:
    """Long sessions of changing speakers with absences: the last sixth compared with the second.

    Ratios of rates, shares of time, means, deviations (style natural) and of the excess of answered smiles (style
    responsive) with 95 % intervals over sessions; how far the head has moved from where it was held; frames at a
    clamp; and what is left of an extreme history after 10 s. A short form: --sessions 6 --minutes 6.
    """
    from reactdiff_ros.evaluation.studies.sessions import evaluate_sessions

    with run.result() as result:
        chosen, bank = run.listener(listener, model), run.bank()
        with progress_bar(f"{count} sessions of {minutes:g} min") as show:
            figures = evaluate_sessions(
                chosen, seed=run.seed, sessions=count, minutes=minutes, bank=bank, workers=run.workers, told=show
            )
        result.update(figures, listener=listener)
    return EXIT_DONE


@command
@click.argument("models", nargs=-1, required=True, type=FOLDER)
@click.option("--sweep", is_flag=True, help="Steps 1, 2, 4, 8 with noise tape or warm start, instead of ablations.")
@items_option(4, 2000, 200, "Paired speakers.")
@seconds_option(6.0, 30.0)
@options.evaluation()
def ablations(run: options.Run, models: tuple[Path, ...], sweep: bool, items: int, seconds: float) -> int:
    """MODELS (folders of 'reactdiff dev export') on the same held-out speakers with the same noise.

    Their manifests name what each was trained without ('train --ablate') and with which seed; give three seeds of each.
    A difference to the full models that is smaller than the deviation between seeds is reported as "none".
    """
    from reactdiff_ros.evaluation.bench.machine import commit
    from reactdiff_ros.evaluation.studies.sampling import evaluate_ablations
    from reactdiff_ros.evaluation.studies.sampling import sweep as sweep_sampling

    if sweep and run.steps is not None:
        raise click.UsageError("--sweep chooses the steps itself")
    with run.result() as result:
        result["commit"] = commit(Path(__file__).resolve().parent)
        listeners = [run.model(path) for path in models]
        study, bank = sweep_sampling if sweep else evaluate_ablations, run.bank()
        with progress_bar("sweep" if sweep else "ablations") as show:
            result.update(study(listeners, seed=run.seed, items=items, seconds=seconds, bank=bank, told=show))
    return EXIT_DONE


@command
@options.MODEL
@click.option("--dyads", type=FOLDER, help="Folder of recorded calls, as for 'evaluate dyads'.")
@click.option(
    "--fold-models", type=FOLDER, nargs=4, metavar="DIR0 DIR1 DIR2 DIR3",
    help="Four models, each trained without the pairs of one fold, for the recorded calls.",
)  # fmt: skip
@items_option(8, 2000, 200, "Held-out speakers; others follow.")
@click.option(
    "--part", "parts", type=click.Choice(PARTS), multiple=True,
    help="Measure only these parts; stored ones are included.",
)  # fmt: skip
@click.option("--short", is_flag=True, help="A check in minutes that everything runs; the figures are noise.")
@click.option(
    "--hours", type=click.IntRange(2, 200), metavar="N",
    help="N sessions of one hour instead of 6 sessions of six minutes; the bounds assume 20 (2 h on 2 cores).",
)  # fmt: skip
@click.option("--date", metavar="YYYY-MM-DD", help="Date of the evidence (today).")
@click.option("--output", "folder", type=FOLDER, required=True, help="Folder of the results.")
@options.evaluation()
def evidence(
    run: options.Run, model: Path | None, dyads: Path | None, fold_models: tuple[Path, ...] | None, items: int,
    parts: tuple[str, ...], short: bool, hours: int | None, date: str | None, folder: Path,
) -> int:  # fmt: skip
    """Measure everything about a set of weights, and judge it against the bounds.

    OUTPUT gets evidence.json, the pictures, and in kept/ each part as soon as it is measured. If the command is
    interrupted, start it again: stored parts with the same weights and settings are not measured again. Each part
    carries the commit that it was measured with. 'reactdiff dev docs evidence' makes the page and the model card.
    Speeds are only valid while nothing else runs.
    """
    import datetime
    from time import perf_counter

    from reactdiff_ros.cli.output import writing
    from reactdiff_ros.evaluation.bounds import judge, passed
    from reactdiff_ros.evaluation.listeners import voices_told
    from reactdiff_ros.evaluation.studies.evidence import Subject, collect, sizes_for
    from reactdiff_ros.model.weights import find_weights
    from reactdiff_ros.whole_file import write_whole

    if short and hours:
        raise click.UsageError("--short or --hours, not both")
    if fold_models and dyads is None:
        raise click.UsageError("--fold-models needs --dyads")
    wanted = tuple(part for part in PARTS if part != "dyads" or dyads is not None)
    with json_on_stdout(run.as_json) as result:
        if dyads is None:
            tell("no recorded calls were given (--dyads): nothing is measured on people")
        subject = Subject(
            find_weights(model or ""), run.sampling(), perf_counter,
            sizes_for(items, short=short, hours=hours or 0), run.seed, run.bank(), run.workers, dyads,
            tuple(find_weights(path) for path in fold_models or ()),
        )  # fmt: skip
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        with progress_bar(f"evidence for {subject.weights.digest}") as show:
            found = collect(
                subject, folder, parts=wanted, run=parts or None, date=date or today, encode=dumps, tell=tell,
                told=lambda part, share: show((wanted.index(part) + share) / len(wanted)),
            )  # fmt: skip
        result.update(found, voices=voices_told(subject.bank))
        with writing("the evidence", folder / "evidence.json"):
            write_whole(folder / "evidence.json", dumps(result, indent=1) + "\n")
        verdicts = judge(result["parts"])
        for v in verdicts:
            tell(f"{v.word:12} {v.bound.part}: {v.bound.name}: {v.measured} (bound: {v.bound.text()})")
        tell(passed(verdicts))
    return EXIT_ERROR if result["failed"] else EXIT_DONE


@command
@click.option(
    "--data", type=FOLDER, required=True, metavar="DIR",
    help="Root of REACT2023, REACT2024 (val.csv, val/...) or MARS (val/facial-attributes/...).",
)  # fmt: skip
@click.option(
    "--split", type=click.Choice(("train", "val", "test")), default="val", show_default=True, help="Split to evaluate."
)
@options.LISTENERS
@options.MODEL
@click.option(
    "--expression-names", "names", type=FILE, metavar="FILE",
    help="faceverse_simple_v2.npy, or a list of FaceVerse's 52 names; without it only the speaker's head is seen.",
)  # fmt: skip
@click.option("--streams", type=click.IntRange(1, 64), default=10, show_default=True, help="K reactions a speaker.")
@click.option(
    "--compat", type=click.Choice(("default", "react2024", "mars")),
    help="Whose definitions of the metrics (those of the set's own challenge).",
)  # fmt: skip
@click.option("--own-targets", is_flag=True, help="Only the recorded reaction is appropriate; no neighbour matrix.")
@click.option("--no-voice", is_flag=True, help="The listener does not hear the speaker; no sound is read.")
@options.resumable
def react(
    course: options.Course, data: Path, split: str, listeners: tuple[str, ...], model: Path | None, names: Path | None,
    streams: int, compat: str | None, own_targets: bool, no_voice: bool,
) -> int:  # fmt: skip
    """REACT's metrics of listeners on a split of a public set, with the time per frame and the response lag.

    Each listener gives K streams a speaker from its own past. Compared on the same speakers: ground truth, the mime
    with its best lag, random, mean sequence, mean frame, nearest neighbour, the rule-based listener, and the control:
    the listener under test while it listened to somebody else. 95 % intervals are over pairs of people.

    A recording that cannot be read is reported and the others go on; the exit code is then 1. To resume an interrupted
    run, give the same command.
    """
    from reactdiff_ros.evaluation.online import verified
    from reactdiff_ros.evaluation.runs.react import Plan, kind_of, run_react
    from reactdiff_ros.recordings.datasets.public import expression_names

    with json_on_stdout(course.as_json) as result, course.context() as context:
        chosen = compat or ("mars" if kind_of(data, split) == "mars" else "react2024")
        known = None if names is None else tuple(expression_names(names))
        if known is None:
            tell("without --expression-names only the speaker's head, affect and voice are observed")
        plan = Plan(
            folder=str(data.resolve()), split=split, listeners=listeners, weights=options.path_text(model), names=known,
            voice=not no_voice, streams=streams, seed=course.seed, compat=chosen, own_targets=own_targets,
        )  # fmt: skip
        info = options.info_of("react", f"REACT's metrics on {data.name}, {split}", plan.weights, listeners)
        ran = run_react(plan, context, info, verified(plan.specs(), course.cuts, course.seed, context))
        result.update(options.as_json(ran), **course.write(ran.result))
    return options.conclude(ran, REACT_MEASURES, as_json=course.as_json)


@command
@click.option(
    "--listener", default="model", show_default=True, metavar="NAME",
    help="model, rules, mime, random, idle, or a class of your own as module:Class or file.py:Class.",
)  # fmt: skip
@options.MODEL
@click.option("--cuts", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Random moments t.")
@click.option("--seconds", type=Number(1.0, 600.0), default=3.0, show_default=True, help="Length of the recording.")
@click.option(
    "--clips", type=(click.Path(path_type=Path), click.Path(path_type=Path)), metavar="CLIP OTHER",
    help="Two recordings with sound, read by the real perception: slow. Without, painted pictures and noise.",
)  # fmt: skip
@options.SEED
@options.JSON
def online(
    listener: str, model: Path | None, cuts: int, seconds: float, clips: tuple[Path, Path] | None, seed: int,
    as_json: bool,
) -> int:  # fmt: skip
    """Verify that a listener is strictly online, or looks ahead no further than it declares.

    A whole session runs, and runs again with every picture and sound after a random t replaced: every face up to
    t - look-ahead must have the same bits. A listener that looks further fails with the frame furthest before its t
    that differed; the exit code is then 1.
    """
    from reactdiff_ros.evaluation.listeners import Spec, blamed
    from reactdiff_ros.evaluation.online import items_of, verify
    from reactdiff_ros.perception import SpeakerPerception

    with json_on_stdout(as_json) as result:
        spec = Spec(listener, str(model or ""))
        given: dict[str, Any] = {}
        if clips is not None:
            mine, other = (items_of(clip, seconds) for clip in clips)
            given = {"mine": mine, "other": other, "perception": SpeakerPerception()}
        made = spec.make(seed)
        with progress_bar("cuts") as told, blamed(spec):
            verdict = verify(made, seconds=seconds, cuts=cuts, seed=seed, told=told, **given)
        result.update(listener=listener, seconds=seconds, seed=seed, **verdict.as_dict())
        tell(verdict.sentence(spec.name))
        if verdict.deterministic and verdict.acted < 0.2:
            tell(f"the change was seen in the face after only {verdict.acted:.0%} of the cuts: this shows little")
    if not as_json:
        echo(dumps(result, indent=2))
    return EXIT_DONE if verdict.holds else EXIT_ERROR


@command
@click.argument("folder", type=FOLDER)
@click.option(
    "--pair", "pairs", type=(click.Path(path_type=Path), click.Path(path_type=Path)), multiple=True,
    metavar="SPEAKER LISTENER",
    help="Two views of one conversation, filmed from the same start; files of FOLDER. NAME_speaker and NAME_listener "
    "are paired automatically.",
)  # fmt: skip
@click.option(
    "--study-key", type=FILE, metavar="KEY",
    help="Key of a blind study: adds to the result under which condition each bag was recorded (docs/studies.md).",
)  # fmt: skip
@options.LISTENERS
@options.MODEL
@click.option(
    "--streams", type=click.IntRange(1, 64), default=3, show_default=True, help="Times that each listener listens."
)
@options.resumable
def recordings(
    course: options.Course, folder: Path, pairs: tuple[tuple[Path, Path], ...], study_key: Path | None,
    listeners: tuple[str, ...], model: Path | None, streams: int,
) -> int:  # fmt: skip
    """Listeners on the bags, videos and extracted files of FOLDER, through the whole live session.

    Measured are behaviour (rates of nods, smiles, blinks; coupling to the speaker's smiles; response lag), motion
    (jerk, limit hits), latency and time per frame; and, where the real listener was recorded too, REACT's metrics
    against them. Compared with the rule-based listener, mime, random, and the listener under test while it listened to
    another recording.

    A recording that cannot be read, or on which LISTENER fails, is reported and the others go on; the exit code is then
    1. To resume an interrupted run, give the same command. Nothing is written to FOLDER.
    """
    from reactdiff_ros.evaluation.online import verified
    from reactdiff_ros.evaluation.runs.recordings import LabPlan, run_recordings, sources, unblinded
    from reactdiff_ros.recordings.blinding import Key

    key = None if study_key is None else Key(study_key)
    with json_on_stdout(course.as_json) as result, course.context() as context:
        found = sources(folder.resolve(), pairs)
        plan = LabPlan(listeners, options.path_text(model), streams, course.seed)
        info = options.info_of("recordings", f"Recordings of {folder.name}", plan.weights, listeners)
        declared = verified(plan.specs(), course.cuts, course.seed, context)
        ran = run_recordings(plan, found, context, info, declared)
        shown, study = ran.result, {}
        if key is not None:
            shown, conditions = unblinded(ran.result, found, key)
            study = {"study": key.study, "conditions": conditions}
        result.update(options.as_json(ran), **study, **course.write(shown))
    return options.conclude(ran, LAB_MEASURES, as_json=course.as_json)


@command
@click.argument("file", type=FILE)
@click.option(
    "--compat", type=click.Choice(("default", "react2024", "mars")), default="default", show_default=True,
    help="react2024: the challenge's own code; mars: that of 2025 and 2026; default: without its faults.",
)  # fmt: skip
@click.option("--rate-hz", type=Number(1.0, 1000.0), help="Frames per second (25; mars: 30).")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=1234, show_default=True, help="mars: of the lists of targets."
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads.")
@options.JSON
def arrays(file: Path, compat: str, rate_hz: float | None, seed: int, workers: int, as_json: bool) -> int:
    """FRC, FRD, FRDiv, FRDvs, FRVar and FRSyn of the arrays in FILE (.npz).

    It holds prediction (N, K, T, 25), listener (M, T, 25), speaker (N, T, 25) and neighbour (N, M), which is 1 where a
    reaction of `listener` is appropriate for a speaker. FRC and FRD are sums over the K predictions. For mars, clips
    may be padded: frames (N,) and listener_frames (M,) are the true lengths.
    """
    from time import perf_counter

    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.evaluation.metrics.mars import NAMES, RATE_HZ, evaluate_mars_arrays, load_arrays
    from reactdiff_ros.evaluation.metrics.react import REFERENCE_RATE_HZ, evaluate_reactions

    with json_on_stdout(as_json) as result:
        data = load_arrays(file)
        with progress_bar("metrics") as show:
            common: dict[str, Any] = {"workers": workers, "timer": perf_counter, "told": show}
            try:
                if compat == "mars":
                    found: ReactMetrics = evaluate_mars_arrays(data, rate_hz=rate_hz or RATE_HZ, seed=seed, **common)
                else:
                    four = [data[name] for name in NAMES]
                    mode: Any = compat
                    found = evaluate_reactions(*four, compat=mode, rate_hz=rate_hz or REFERENCE_RATE_HZ, **common)
            except ReactdiffError as error:
                raise ReactdiffError(error.what, where=f"{file}: {error.where}", todo=error.todo) from error
        result.update(found.as_dict())
    if not as_json:
        echo(dumps(result, indent=2))
    return EXIT_DONE
