"""`reactdiff bag`: recordings in rosbag2's format, without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli.output import EXIT_DONE, json_on_stdout, tell
from reactdiff_ros.cli.progress import progress_bar

_PATH = click.Path(path_type=Path)


@click.group()
def bag() -> None:
    """Bags (rosbag2, mcap or sqlite3): what is in them, from a video, replayed, recorded."""


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
    from reactdiff_ros.bags.info import describe

    with json_on_stdout(as_json) as result:
        with progress_bar(f"{path.name} is read") as progress:
            result.update(describe(path, picture, sound, check=check, progress=progress))
        if not as_json:
            _print(result)
    return EXIT_DONE


def _print(about: dict[str, Any]) -> None:
    click.echo(f"{about['bag']}: {about['storage']}, {about['duration_s']:.1f} s, {about['messages']} messages")
    for topic in about["topics"]:
        rate = f"{topic['rate_hz']:.1f} Hz" if topic["rate_hz"] else ""
        click.echo(f"  {topic['name']:40} {topic['type']:40} {topic['messages']:7} {rate:>9}")
    used = about["replay"]
    if used:
        topics = f"{used['picture'] or 'no picture'} and {used['sound'] or 'no sound'}"
        click.echo(f"replay uses {topics}: {used['duration_s']:.1f} s")
    study = about["study"]
    if study:
        consent = {True: "given", False: "refused", None: "not told"}[study["consent"]]
        click.echo(
            f"study {study['session_id']}, consent {consent}, seed {study['seed']}, {len(study['events'])} events"
        )
    for note in about["notes"]:
        click.echo(f"note: {note}")


@bag.command("from-video")
@click.argument("path", metavar="FILE", type=_PATH)
@click.option("-o", "--output", type=_PATH, default=None, help="Bag to be made; by default FILE's name with _bag.")
@click.option("--storage", type=click.Choice(["mcap", "sqlite3"]), default="mcap", show_default=True)
@click.option("--raw", is_flag=True, help="Pictures as sensor_msgs/Image instead of JPEG: large.")
@click.option("--quality", type=click.IntRange(1, 100), default=85, show_default=True, help="Of JPEG.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def from_video(path: Path, output: Path | None, storage: Any, raw: bool, quality: int, as_json: bool) -> int:
    """FILE, a video or a sound, as the bag that a robot's camera and microphone would have recorded of it.

    The topics are the graph's: /camera/image_raw/compressed and /audio. The clip's time 0 is second 1 of the bag.
    The same FILE gives the same bytes.
    """
    from reactdiff_ros.bags.from_video import bag_from_clip
    from reactdiff_ros.capture.media import MediaClip

    target = output or Path(f"{path.stem}_bag")
    with json_on_stdout(as_json) as result:
        clip = MediaClip(path)
        with progress_bar(path.name) as progress:
            made = bag_from_clip(clip, target, storage=storage, raw=raw, quality=quality, progress=progress)
        notes = []
        if not made.pictures:
            notes.append(f"{path} has no pictures: the bag has no topic of pictures")
        if not made.sounds:
            notes.append(f"{path} has no sound: the bag has no topic of sound")
        if made.damaged:
            notes.append(f"{path} is damaged: {made.damaged} pieces of it were left out")
        for note in notes:
            tell(note)
        result.update(
            bag=str(made.path), pictures=made.pictures, sounds=made.sounds, duration_s=made.duration_s, notes=notes
        )
        tell(f"{made.path}: {made.pictures} pictures and {made.sounds} chunks of sound, {made.duration_s:.1f} s")
    return EXIT_DONE
