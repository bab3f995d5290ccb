"""Commands of a checkout that train and measure the small networks: `reactdiff dev train-expression`, `train-turns` and
`train-lips`, `reactdiff evaluate turns` and `lips`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_STOPPED, Number, Output, StopFlag, log, progress_bar
from reactdiff_ros.cli.evaluate import command
from reactdiff_ros.cli.training import dev


@dev.command("train-expression")
@click.option("--clips", type=common.FOLDER, required=True, help="Folder of the recordings: OWNER/NAME/PATH each.")
@click.option("--table", type=common.FILE, help="CSV of the recordings and labels; default: the repository's.")
@click.option("--output", type=common.PATH, required=True, help="The JSON file to write.")
@common.SEED
@common.reporting
def train_expression(result: Output, clips: Path, table: Path | None, output: Path, seed: int) -> None:
    """Train perception's read-out of expressions.

    The table has a row for each recording, or part of one, in which a person shows one expression. `python -m
    tools.small_networks.expression_clips` gets the recordings. Prints how well people are read who were left out.
    """
    from reactdiff_ros.types import EXPRESSION_CLASSES
    from tools.small_networks.expression import read_clips
    from tools.small_networks.expression import train as fit
    from tools.small_networks.expression_clips import TABLE, read_spans

    common.check_writable("the read-out", output)
    found = fit(read_clips(read_spans(table or TABLE), clips, lambda path: log(f"reading {path}")), seed)
    common.write_text("the read-out", output, json.dumps(found, indent=1) + "\n")
    result.update(file=str(output), **found["people_not_trained_on"])
    shown = found["people_not_trained_on"]
    log(f"{output}: people who were left out: balanced accuracy {shown['balanced_accuracy']:.2f}")
    for name, row in zip(EXPRESSION_CLASSES, shown["confusion"], strict=True):
        log(f"  {name:9s}" + "".join(f"{share:6.2f}" for share in row))


@dev.command("train-turns")
@click.option("--timings", type=common.FOLDER, required=True,
              help="Folder of dialogues: a table (.csv) each with begin and end (ms) and participant.")  # fmt: skip
@click.option("--leave-out", type=common.FILE, multiple=True, help="A dialogue to evaluate on later; repeatable.")
@click.option("--phrases", type=common.FOLDER, metavar="DIR",
              help="Phrases that end or go on with the same words: NAME_short_1.flac, NAME_long_1.flac.")  # fmt: skip
@click.option("--output", type=common.PATH, required=True, help="The JSON file to write.")
@click.option("--network", default="auto", help="smart-turn's ONNX file; auto: of pipecat-ai; none: without.")
@click.option("--sessions", type=click.IntRange(2), default=48, help="Synthesised voices.")
@click.option("--worlds", type=click.IntRange(8), default=48, help="Simulated faces.")
@common.SEED
@common.reporting
def train_turns(
    result: Output, timings: Path, leave_out: tuple[Path, ...], phrases: Path | None, output: Path, network: str,
    sessions: int, worlds: int, seed: int,
) -> None:  # fmt: skip
    """Train the read-out of turn-taking.

    Timing is learnt from real dialogues, what voice and smart-turn add from voices of espeak-ng laid under them, what
    the face adds from simulated speakers. Prints AUC and log loss of timing over folds of conversations.
    """
    from reactdiff_ros.recordings.datasets.turns import read_turns
    from reactdiff_ros.turns.readout import written
    from reactdiff_ros.turns.smart_turn import SmartTurn, find_network
    from tools.small_networks.turns.train import Plan, about
    from tools.small_networks.turns.train import train as fit

    common.check_writable("the read-out", output)
    left = {path.resolve() for path in leave_out}
    paths = [path for path in sorted(timings.glob("*.csv")) if path.resolve() not in left]
    dialogues = {path.stem: read_turns(path) for path in paths}
    file, plan = find_network(network), Plan(sessions, worlds)
    with progress_bar("turns") as show:
        heads, figures = fit(
            list(dialogues.values()), seed, None if file is None else SmartTurn(file), plan, phrases, show
        )
    stem = "none" if file is None else file.stem
    facts = {"phrases": phrases is not None} | about(dialogues, seed, plan, stem, figures)
    common.write_text("the read-out", output, written(heads, facts))
    result.update(file=str(output), **facts)
    for head, found in figures.items():
        log(f"  {head:12s} AUC {found['auc']:.3f}, log loss {found['log_loss']:.3f} of {found['constant']:.3f}")


@dev.command("train-lips")
@click.option("--output", type=common.FOLDER, required=True, help="Folder of the run; lips.npz in it is the network.")
@click.option("--resume", is_flag=True, help="Resume the run from its checkpoint.")
@common.SEED
@click.option("--sentences", type=click.IntRange(8), default=1500, help="Sentences that espeak-ng says.")
@click.option("--steps", type=click.IntRange(1), default=3500, help="Optimiser steps.")
@click.option("--minutes", type=Number(0.1), help="Save the run and stop after this time; --resume continues it.")
@click.option("--facegood", type=common.FOLDER, help="Folder of FACEGOOD's NAME.flac and NAME_bs116_30fps.npz.")
@click.option("--names", type=common.FILE, help="FACEGOOD's names of the 116 weights (.npy).")
@click.option("--clip", "clips", type=common.FILE, multiple=True, help="A recording of a talking person; repeatable.")
@click.option("--phrases", type=common.FOLDER, help="Folder of sounds with a TextGrid of ARPAbet phones each.")
@common.reporting
def train_lips(
    result: Output, output: Path, resume: bool, seed: int, sentences: int, steps: int, minutes: float | None,
    facegood: Path | None, names: Path | None, clips: tuple[Path, ...], phrases: Path | None,
) -> int:  # fmt: skip
    """Train the network that moves the lips from sound.

    Voices of espeak-ng and flite (which must be installed) carry the curves of their timed sounds; FACEGOOD's curves
    and the lips of recorded people are added where they are given. About eight minutes on one core.
    """
    from time import monotonic

    from tools.small_networks import lips

    if facegood is not None and names is None:
        raise click.UsageError("--facegood needs --names")
    begin = monotonic()
    config = lips.LipConfig(seed=seed, sentences=sentences, steps=steps)
    stop = StopFlag()
    with progress_bar("material") as show:
        takes = lips.material(config, output, facegood, names, clips, phrases, show)
    log(f"{len(takes)} takes, {sum(len(t.mels) for t in takes) / 6000:.0f} minutes")
    done = lips.run(
        takes, config, output, resume=resume, progress=log,
        stopped=lambda: stop.set or (minutes is not None and monotonic() - begin > 60 * minutes),
    )  # fmt: skip
    result.update(file=str(output / lips.FILE), steps=done, of=steps, takes=len(takes))
    log(f"{output / lips.FILE}: {done} of {steps} steps")
    return EXIT_DONE if done >= steps else EXIT_STOPPED


@command
@click.option("--timings", type=common.FILE, metavar="FILE",
              help="Utterances of two people: a table with begin and end (ms) and participant.")  # fmt: skip
@click.option("--gaze", type=common.FILE, metavar="FILE", help="Annotated gaze of the two, an ELAN file (.eaf).")
@click.option("--recordings", type=common.FOLDER, metavar="DIR",
              help="Recordings with marked turns: clips with .rttm, eot-bench, or TurnBench.")  # fmt: skip
@click.option("--weights", type=common.FILE, metavar="FILE", help="Read-out (the shipped one).")
@click.option("--network", default="auto", help="smart-turn's ONNX file; auto: of pipecat-ai; none: without.")
@click.option("--sessions", type=click.IntRange(0, 500), default=12,
              help="Synthesised voices that are laid under the timings; 0: none.")  # fmt: skip
@click.option("--worlds", type=click.IntRange(0, 500), default=32, help="Simulated faces; 0: none.")
@common.SEED
@common.figures
def turns(
    timings: Path | None, gaze: Path | None, recordings: Path | None, weights: Path | None, network: str, sessions: int,
    worlds: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Measure how early the end of a turn is detected and how well signals predict it.

    wait_s: mean wait after the end of a turn with at most 5 and 10 % false cutoffs, of the best threshold and timeout,
    compared with the best fixed timeout; saved: relative reduction. shift_hold: whether a pause ends the turn, after
    0.2 s. Systems leave out voice, smart-turn's network and face. reliability: expected calibration error, and shares
    by probability. barge_in: speech over the other's turn.
    """
    if timings is None and recordings is None:
        raise click.UsageError("give --timings or --recordings")
    from reactdiff_ros.recordings.datasets.turns import read_turns
    from reactdiff_ros.turns.readout import read_readout
    from reactdiff_ros.turns.smart_turn import INSTALL, SmartTurn, find_network
    from tools.small_networks.turns.spoken_turns import read_spoken_turns
    from tools.small_networks.turns.study import of_faces, of_recordings, of_timings
    from tools.small_networks.turns.timings import read_gaze
    from tools.small_networks.turns.voices import UNSEEN, make_endings

    readout, file = read_readout(weights), find_network(network)
    if file is None and network == "auto":
        log(f"without smart-turn's network: {INSTALL}")
    asked = None if file is None else SmartTurn(file)
    result: dict[str, Any] = {"weights": readout.digest, "network": "none" if file is None else file.stem, "seed": seed}
    if timings is not None:
        dialogue, looked = read_turns(timings), None if gaze is None else read_gaze(gaze)
        if timings.stem in readout.about.get("timings", ()):
            log(f"the read-out was trained on {timings.stem}: its figures are not a test")
        endings = None
        if sessions:
            with progress_bar("voices") as show:
                endings = make_endings(sessions, seed, asked, UNSEEN, show)
        with progress_bar("dialogue") as show:
            result["timings"] = of_timings(dialogue, readout, endings=endings, gaze=looked, seed=seed, progress=show)
    if recordings is not None:
        with progress_bar("recordings") as show:
            result["recordings"] = of_recordings(read_spoken_turns(recordings), readout, asked, show)
    if worlds:
        result["simulated_faces"] = of_faces(readout, worlds, seed + 1000)
    return result


@command
@click.option("--sound", type=common.FILE, help="Speech, any media file.")
@click.option("--truth", type=common.FILE, help="What its lips did: FACEGOOD's 116 weights or ARKit's 52 (.npy, .npz).")
@click.option("--names", type=common.FILE, help="FACEGOOD's names of the 116 weights (.npy).")
@click.option("--rate", type=Number(1.0, 1000.0), default=30.0, help="Rows of --truth a second.")
@click.option("--timing", type=common.FILE, help="JSON: alphabet, symbols, starts, ends (s).")
@click.option("--clip", "clips", type=common.FILE, multiple=True,
              help="A recording of a talking person, whose lips perception reads; repeatable.")  # fmt: skip
@click.option("--voices", is_flag=True, help="Voices of flite and espeak-ng that the network was not trained on.")
@click.option("--piper", type=common.FILE, help="With --voices: also this voice of piper (.onnx).")
@click.option("--python", default="python", help="Interpreter with piper-tts and onnx.")
@click.option("--weights", type=common.FILE, show_default="the shipped weights", help="lips.npz of 'dev train-lips'.")
@click.option(
    "--mesh", type=common.FOLDER, help="ICT-FaceKit's folder FaceXModel: also errors of the shown face in mm."
)
@common.figures
def lips(
    sound: Path | None, truth: Path | None, names: Path | None, rate: float, timing: Path | None,
    clips: tuple[Path, ...], voices: bool, piper: Path | None, python: str, weights: Path | None,
    mesh: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """Measure how well the lips follow sound.

    r: correlation with known lips at the lag that fits best (lag_ms). closure_f1: closed lips found within 40 ms;
    what counts as closed comes from --timing, else from --truth. silence: mean jaw. shuffled: the mouth of other
    moments at its best lag. loudness: a mouth that opens with the level. rms_error: of the coefficients that move.
    mesh_mm: largest error of a lip vertex, mean over frames; how much more a vertex of the upper face moves in truth.
    """
    from reactdiff_ros.speech.lips import read_weights
    from tools.small_networks import lips_study as study
    from tools.small_networks.known_lips import KnownLips, perceived_lips, read_truth, sound_of
    from tools.small_networks.mesh import read_mesh

    if (sound is None) != (truth is None) or (sound is None and not clips and not voices):
        raise click.UsageError("give --sound with --truth, --clip or --voices")
    found: dict[str, Any] = {}
    network = read_weights(weights)
    face = None if mesh is None else read_mesh(mesh)
    if sound is not None and truth is not None:
        values, rate_hz = read_truth(truth, names, rate)
        known = KnownLips(sound.stem, sound_of(sound), values, rate_hz)
        found |= study.evaluate(known, network, None if timing is None else study.read_timing(timing), face).figures
    if clips:
        found["clips"] = {path.stem: study.evaluate(perceived_lips(path), network, mesh=face).figures for path in clips}
    if voices:
        with progress_bar("voices") as show:
            spoken = None if piper is None else (piper, python)
            found["voices"] = study.evaluate_voices(network, piper_voice=spoken, progress=show).figures
        found["silence"] = {"jawOpen": study.silent_mouth(network)}
    return found
