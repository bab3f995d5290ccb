"""`reactdiff react` and `gallery`: the listener's face for recordings; `extract`: data for training from recordings."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_ERROR, Output, StopFlag, log, progress_bar
from reactdiff_ros.errors import MediaError
from reactdiff_ros.settings import POLICIES

if TYPE_CHECKING:
    from reactdiff_ros.model.speaker.grid import Track
    from reactdiff_ros.recordings.replay.senses import Recording
    from reactdiff_ros.session import Perception


@click.command()
@click.argument("recording", type=common.PATH)
@click.option(
    "-o", "--output", type=common.PATH, required=True, metavar="OUT",
    help="File to write: .mp4 (person and face side by side), .csv, .npz, or a name without suffix for a bag.",
)  # fmt: skip
@click.option("--style", default="natural", metavar="NAME", help="See 'reactdiff style list'.")
@click.option("--policy", type=common.Choice(POLICIES), default="model", help="Reaction policy.")
@common.SEED
@common.reporting
def react(result: Output, recording: Path, output: Path, style: str, policy: str, seed: int) -> None:
    """Save the listener's reaction to a recording.

    RECORDING is a video, a sound file or a bag. 'reactdiff bag replay' does the same with every setting of the nodes.
    """
    from reactdiff_ros.recordings.listener import Listener, check_output

    check_output(output)
    with common.usage_errors():
        listener = Listener(style, policy, seed=seed)
    stop = StopFlag()
    track = _with_bar(recording.name, stop, lambda report: listener.react(recording, progress=report, processes=2))
    for note in track.notes:
        log(note)
    stop.set = False  # what was done until Ctrl-C is saved; another Ctrl-C ends that too
    _with_bar(output.name, stop, lambda report: track.save(output, progress=report, processes=2))
    result.update(written=str(output), faces=len(track), complete=track.complete and not stop.set)
    log(f"wrote {output}" + ("" if result["complete"] else ", incomplete"))


def _with_bar(label: str, stop: StopFlag, work: Any) -> Any:
    """What `work` returns; its progress function draws a bar, and returns False once it must stop."""
    with progress_bar(label) as show:
        return work(lambda share: show(share) or not stop.set)


@click.command()
@click.argument("clips", type=common.PATH, nargs=-1, required=True)
@click.option("-o", "--output", type=common.PATH, required=True, metavar="DIR", help="New folder for the page.")
@click.option("--style", multiple=True, default=("natural",), metavar="NAME", help="Listening style; repeatable.")
@click.option("--policy", type=common.Choice(POLICIES), multiple=True, default=("model",), help="Policy; repeatable.")
@click.option("--model", multiple=True, default=("",), metavar="DIR", help="Folder of weights; repeatable.")
@click.option("--seed", type=common.SEEDS, multiple=True, default=(0,), help="Seed of all noise; repeatable.")
@click.option("--avatar", default="soft", metavar="LOOK", help="Look of the face: a name, or a file.")
@common.renamed("--look", "--avatar", "avatar")
@click.option("--at", "moments", type=common.Number(0.0, 86400.0), multiple=True, metavar="S",
              help="Moment of the sheets; repeatable.")  # fmt: skip
@click.option("--no-videos", is_flag=True, help="Sheets and curves only, which is much faster.")
@common.reporting
def gallery(
    result: Output, clips: tuple[Path, ...], output: Path, style: tuple[str, ...], policy: tuple[str, ...],
    model: tuple[str, ...], seed: tuple[int, ...], avatar: str, moments: tuple[float, ...], no_videos: bool,
) -> None:  # fmt: skip
    """Make a page with people and the listener's reactions side by side.

    CLIPS are videos of people. Every combination of styles, policies, weights and seeds gets a row of its own.
    """
    from reactdiff_ros.resources import require

    require("py_mini_racer")
    from reactdiff_ros.evaluation.report.gallery import Variant
    from reactdiff_ros.evaluation.report.gallery import gallery as make

    variants = [Variant(*of) for of in product(style, policy, model, seed)]
    with common.usage_errors(), progress_bar("clips") as show:
        page, left_out = make(
            clips, variants, output, look=avatar, moments=moments, videos=not no_videos, progress=show
        )
    result.update(page=str(page), left_out=left_out)
    for sentence in left_out:
        log(f"left out: {sentence}")
    log(f"open {page}")


@click.command()
@click.argument("files", nargs=-1, type=common.PATH)
@click.option("--pair", "couples", type=(common.PATH, common.PATH), multiple=True, metavar="SPEAKER LISTENER",
              help="Two recordings of one conversation with the same start, for training; repeatable.")  # fmt: skip
@click.option("--both-roles", is_flag=True, help="Also write each pair with the roles exchanged.")
@click.option("--people", default="", show_default=False, help="Id of the two people: all of theirs are in one fold.")
@common.TOPICS
@click.option("--output", type=common.FOLDER, required=True, help="Output folder.")
@click.option("--force", is_flag=True, help="Overwrite existing recordings.")
@common.reporting
def extract(
    result: Output, files: tuple[Path, ...], couples: tuple[tuple[Path, Path], ...], both_roles: bool, people: str,
    picture: str, sound: str, output: Path, force: bool,
) -> int:  # fmt: skip
    """Extract training recordings from videos and bags.

    FILES are videos, audio files or bags (rosbag2 folders, .mcap). The people in them are perceived as by the robot, 25
    times a second. Each file becomes NAME.npz with the speaker; each --pair becomes SPEAKER--LISTENER.npz with both,
    ready for training. Files that cannot be read are reported and skipped, and the command exits with 1. Existing
    recordings are kept unless --force is given.
    """
    from reactdiff_ros.perception import SpeakerPerception
    from reactdiff_ros.recordings.datasets.recordings import save
    from reactdiff_ros.recordings.extraction import alone, together, unlike_in_length

    pairs = [*couples, *((b, a) for a, b in couples)] if both_roles else list(couples)
    targets: dict[Path, tuple[Path, ...]] = {}
    for source in (*((file,) for file in files), *pairs):
        target = output / ("--".join(path.stem for path in source) + ".npz")
        if target in targets:
            raise click.UsageError(f"{targets[target][0]} and {source[0]} would both be written to {target}")
        targets[target] = source
    if not targets:
        raise click.UsageError("give FILES or --pair SPEAKER LISTENER")
    known: dict[Path, tuple[Track, Recording]] = {}
    written, kept, failed = list[dict[str, Any]](), list[str](), dict[str, str]()
    perception: Perception | None = None
    for number, (target, source) in enumerate(targets.items()):
        # A file that another recording still needs is perceived once.
        needed = {path for later in list(targets.values())[number:] for path in later}
        known = {path: track for path, track in known.items() if path in needed}
        if target.exists() and not force:
            kept.append(str(target))
            log(f"{target} exists and is kept (--force overwrites it)")
            continue
        try:
            for path in source:
                if path not in known:
                    perception = perception or SpeakerPerception()
                    known[path] = _perceived(path, (picture, sound), perception)
            seen = [known[path] for path in source]
            content = alone(*seen[0]) if len(seen) == 1 else together(seen[0], seen[1], people)
        except MediaError as error:
            failed[str(target)] = str(error)
            log(str(error))
            continue
        if len(seen) == 2 and (note := unlike_in_length(seen[0][0], seen[1][0])):
            log(f"{target}: {note}")
        save(target, content)
        written.append({"file": str(target), "frames": content.frames, **content.about})
    result.update(output=str(output), written=written, kept=kept, failed=failed)
    log(f"{len(written)} recordings in {output}, {len(kept)} kept, {len(failed)} failed")
    return EXIT_ERROR if failed else EXIT_DONE


def _perceived(path: Path, topics: tuple[str, str], perception: Perception) -> tuple[Track, Recording]:
    """The person in a file, frame by frame. Raises MediaError if it cannot be read."""
    from reactdiff_ros.recordings.bags.read import BagSource, open_source
    from reactdiff_ros.recordings.extraction import extract_source

    clip = open_source(path, *topics)
    with progress_bar(path.name) as show:
        track = extract_source(clip, perception, show)
    if not clip.has_sound:
        log(f"{path} has no sound: its recording has no voice")
    if not clip.has_picture:
        log(f"{path} has no pictures: its recording has no face")
    if isinstance(clip, BagSource):
        for note in clip.notes:
            log(f"{path}: {note}")
    elif clip.damaged_packets:
        log(f"{path} is damaged: {clip.damaged_packets} packets were skipped")
    return track, clip
