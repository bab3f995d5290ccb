"""`reactdiff extract`: training and evaluation data from a lab's own videos."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.options import FOLDER, JSON, PATH
from reactdiff_ros.cli.output import EXIT_DONE, EXIT_ERROR, json_on_stdout, tell
from reactdiff_ros.errors import MediaError

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.extraction import Source
    from reactdiff_ros.model.speaker.grid import Track
    from reactdiff_ros.recordings.datasets.recordings import Extracted
    from reactdiff_ros.session import Perception


@click.command()
@click.argument("files", nargs=-1, type=PATH)
@click.option(
    "--pair",
    "couples",
    type=(PATH, PATH),
    multiple=True,
    metavar="SPEAKER LISTENER",
    help="Two recordings of one conversation with the same start, for training; repeatable.",
)
@click.option("--both-roles", is_flag=True, help="Also write each pair with the roles exchanged.")
@click.option("--people", default="", help="Id of the two people; their recordings stay in one fold.")
@click.option("--camera-topic", "--picture", "picture", default="", metavar="TOPIC", help="Camera of a bag.")
@click.option("--audio-topic", "--sound", "sound", default="", metavar="TOPIC", help="Microphone of a bag.")
@click.option("--output", type=FOLDER, required=True, help="Output folder.")
@click.option("--force", is_flag=True, help="Overwrite existing recordings.")
@JSON
def extract(
    files: tuple[Path, ...],
    couples: tuple[tuple[Path, Path], ...],
    both_roles: bool,
    people: str,
    picture: str,
    sound: str,
    output: Path,
    force: bool,
    as_json: bool,
) -> int:
    """Extract training recordings from videos and bags.

    FILES are videos, audio files or bags (rosbag2 folders, .mcap). The people in them are perceived as by the robot, 25
    times a second. Each file becomes NAME.npz with the speaker; each --pair becomes SPEAKER--LISTENER.npz with both,
    ready for training. Files that cannot be read are reported and skipped, and the command exits with 1. Existing
    recordings are kept unless --force is given.
    """
    pairs = [*couples, *((b, a) for a, b in couples)] if both_roles else list(couples)
    targets = _targets(files, pairs, output)
    if not targets:
        raise click.UsageError("give FILES or --pair SPEAKER LISTENER")
    with json_on_stdout(as_json) as result:
        written, kept, failed = _run(targets, people, force, (picture, sound))
        result.update(output=str(output), written=written, kept=kept, failed=failed)
        tell(f"{len(written)} recordings in {output}, {len(kept)} kept, {len(failed)} failed")
    return EXIT_ERROR if failed else EXIT_DONE


def _targets(files: tuple[Path, ...], pairs: list[tuple[Path, Path]], output: Path) -> dict[Path, tuple[Path, ...]]:
    """File to write -> the one or two files that it is made of."""
    sources: list[tuple[Path, ...]] = [*((file,) for file in files), *pairs]
    targets: dict[Path, tuple[Path, ...]] = {}
    for source in sources:
        target = output / ("--".join(path.stem for path in source) + ".npz")
        if target in targets:
            raise click.UsageError(f"{targets[target][0]} and {source[0]} would both be written to {target}")
        targets[target] = source
    return targets


def _run(
    targets: dict[Path, tuple[Path, ...]], people: str, force: bool, topics: tuple[str, str]
) -> tuple[list[dict[str, Any]], list[str], dict[str, str]]:
    from reactdiff_ros.recordings.datasets.recordings import save

    wanted = {target: source for target, source in targets.items() if force or not target.exists()}
    kept = [str(target) for target in targets if target not in wanted]
    for name in kept:
        tell(f"{name} exists and is kept (--force overwrites it)")
    eyes = _Eyes(wanted, topics)
    written: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for target, source in wanted.items():
        try:
            content = eyes.content(source, people)
        except MediaError as error:
            failed[str(target)] = str(error)
            tell(str(error))
            continue
        save(target, content)
        written.append({"file": str(target), "frames": content.frames, **content.about})
    return written, kept, failed


class _Eyes:
    """Perceives each file once; keeps what a later pair still needs."""

    def __init__(self, wanted: dict[Path, tuple[Path, ...]], topics: tuple[str, str]) -> None:
        self._topics = topics
        self._uses = [path for source in wanted.values() for path in source]
        self._known: dict[Path, tuple[Track, Source] | MediaError] = {}
        self._perception: Perception | None = None

    def content(self, source: tuple[Path, ...], people: str) -> Extracted:
        from reactdiff_ros.evaluation.extraction import alone, together

        try:
            seen = [self._seen(path) for path in source]
        finally:
            for path in source:
                self._uses.remove(path)
            self._known = {path: track for path, track in self._known.items() if path in self._uses}
        return alone(*seen[0]) if len(seen) == 1 else together(seen[0], seen[1], people)

    def _seen(self, path: Path) -> tuple[Track, Source]:
        if path not in self._known:
            try:
                self._known[path] = self._perceived(path)
            except MediaError as error:
                self._known[path] = error
        known = self._known[path]
        if isinstance(known, MediaError):
            raise known
        return known

    def _perceived(self, path: Path) -> tuple[Track, Source]:
        from reactdiff_ros.evaluation.extraction import extract_source
        from reactdiff_ros.perception import SpeakerPerception
        from reactdiff_ros.recordings.bags.read import BagSource, open_source

        clip = open_source(path, *self._topics)
        if self._perception is None:
            self._perception = SpeakerPerception()
        with click.progressbar(length=max(1, round(clip.duration_s * 100)), label=path.name, file=sys.stderr) as bar:
            track = extract_source(clip, self._perception, _advance(bar))
        if not clip.has_sound:
            tell(f"{path} has no sound: its recording has no voice")
        if not clip.has_picture:
            tell(f"{path} has no pictures: its recording has no face")
        for note in clip.notes if isinstance(clip, BagSource) else ():
            tell(f"{path}: {note}")
        if clip.damaged_packets and not isinstance(clip, BagSource):
            tell(f"{path} is damaged: {clip.damaged_packets} packets were skipped")
        return track, clip


def _advance(bar: Any) -> Callable[[float], None]:
    def progress(seconds: float) -> None:
        done = min(round(seconds * 100), bar.length)
        if done - bar.pos >= 100:
            bar.update(done - bar.pos)

    return progress
