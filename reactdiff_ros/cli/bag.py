"""`reactdiff bag`: recordings in rosbag2's format, without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.bag_record import mark, record
from reactdiff_ros.cli.bag_replay import bag_replay
from reactdiff_ros.cli.output import EXIT_DONE, echo, json_on_stdout, tell
from reactdiff_ros.cli.progress import progress_bar
from reactdiff_ros.clock import NS

if TYPE_CHECKING:
    from reactdiff_ros.recordings.bags.write import Part

_PATH = click.Path(path_type=Path)


@click.group()
def bag() -> None:
    """Record, inspect, replay and make bags (rosbag2)."""


for _command in (bag_replay, record, mark):
    bag.add_command(_command)


@bag.command()
@click.argument("path", metavar="BAG", type=_PATH)
@click.option("--picture", default="", metavar="TOPIC", help="The speaker's camera; found by type without it.")
@click.option("--sound", default="", metavar="TOPIC", help="The microphone, likewise.")
@click.option("--check", is_flag=True, help="Decode every picture and sound, not the first ones alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def info(path: Path, picture: str, sound: str, check: bool, as_json: bool) -> int:
    """What BAG holds: topics, types, rates and spans, what replay would use, the study, and what is odd about it.

    BAG is a rosbag2 folder, or its .mcap or .db3 file. It is never written to.
    """
    from reactdiff_ros.recordings.bags.read import describe

    with json_on_stdout(as_json) as result:
        with progress_bar(f"{path.name} is read") as progress:
            result.update(describe(path, picture, sound, check=check, progress=progress))
        if not as_json:
            _print(result)
    return EXIT_DONE


def _print(about: dict[str, Any]) -> None:
    echo(f"{about['bag']}: {about['storage']}, {about['duration_s']:.1f} s, {about['messages']} messages")
    for topic in about["topics"]:
        rate = f"{topic['rate_hz']:.1f} Hz" if topic["rate_hz"] else ""
        echo(f"  {topic['name']:40} {topic['type']:40} {topic['messages']:7} {rate:>9}")
    used = about["replay"]
    if used:
        topics = f"{used['picture'] or 'no picture'} and {used['sound'] or 'no sound'}"
        echo(f"replay uses {topics}: {used['duration_s']:.1f} s")
    study = about["study"]
    if study:
        consent = {True: "given", False: "refused", None: "not told"}[study["consent"]]
        echo(f"study {study['session_id']}, consent {consent}, seed {study['seed']}, {len(study['events'])} events")
    for note in about["notes"]:
        echo(f"note: {note}")


@bag.command("from-video")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_PATH)
@click.option("-o", "--output", type=_PATH, default=None, help="Bag to be made; else FILE's name with _bag.")
@click.option(
    "--storage", type=click.Choice(["mcap", "sqlite3"]), default="mcap", show_default=True, help="Format of the bag."
)
@click.option("--raw", is_flag=True, help="Pictures as sensor_msgs/Image instead of JPEG: large.")
@click.option("--quality", type=click.IntRange(1, 100), default=85, show_default=True, help="Of JPEG.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def from_video(
    files: tuple[Path, ...], output: Path | None, storage: Any, raw: bool, quality: int, as_json: bool
) -> int:
    """FILE, a video or a sound, as the bag that a robot's camera and microphone would have recorded of it.

    The topics are the graph's: /camera/image_raw/compressed and /audio. The clip's time 0 is second 1 of the bag;
    several FILEs follow each other, a second or two apart. The same FILEs give the same bytes.
    """
    from reactdiff_ros.capture.media import MediaClip
    from reactdiff_ros.recordings.bags.write import bag_from_clips

    target = output or Path(f"{files[0].stem}_bag")
    with json_on_stdout(as_json) as result:
        clips = [MediaClip(path) for path in files]
        with progress_bar(target.name) as progress:
            parts = bag_from_clips(clips, target, storage=storage, raw=raw, quality=quality, progress=progress)
        pictures, sounds = sum(p.pictures for p in parts), sum(p.sounds for p in parts)
        notes = [note for part in parts for note in _lacks(part, len(parts) > 1, pictures, sounds)]
        for note in notes:
            tell(note)
        last = parts[-1]
        seconds = (last.start_ns - parts[0].start_ns) / NS + last.duration_s
        result.update(bag=str(target), pictures=pictures, sounds=sounds, duration_s=seconds, notes=notes)
        result["clips"] = [{"file": str(p.file), "start_s": p.start_ns / NS, "duration_s": p.duration_s} for p in parts]
        tell(f"{target}: {pictures} pictures and {sounds} chunks of sound, {seconds:.1f} s")
    return EXIT_DONE


def _lacks(part: Part, one_of_several: bool, pictures: int, sounds: int) -> list[str]:
    """What a clip does not have, and what that means for the bag."""
    notes = []
    for count, total, what in ((part.pictures, pictures, "pictures"), (part.sounds, sounds, "sound")):
        if not count:
            so = "" if one_of_several and total else f": the bag has no topic of {what}"
            notes.append(f"{part.file} has no {what}{so}")
    if part.damaged:
        notes.append(f"{part.file} is damaged: {part.damaged} pieces of it were left out")
    return notes
