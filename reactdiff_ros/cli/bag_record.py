"""`reactdiff bag record`, `reactdiff bag mark`, and what `bag replay --realtime` does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reactdiff_ros.recordings.graph.bag_player import PlaySettings

WAIT_S = 5.0
"""How long a mark waits for somebody who records."""


@click.command()
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Bag to write; it must not be there yet."
)
@click.option(
    "--consent", default="", metavar="TEXT",
    help="The person's consent to pictures and sound, as a text or an id. Without it they are not recorded.",
)  # fmt: skip
@click.option("--session", default="", metavar="ID", help="Id of the session (made from the time).")
@click.option("--raw-pictures", is_flag=True, help="Record camera/image_raw in place of its JPEG pictures.")
@click.option("--use-sim-time", is_flag=True, help="Stamp by /clock, as when a bag is played into the graph.")
@click.option("--namespace", default="", metavar="NAME", help="ROS namespace of the listener.")
@click.option("--lan", is_flag=True, help="The listener runs on another machine (started with --lan).")
@click.option("--json", "as_json", is_flag=True, help="Print what was recorded as one JSON object.")
def record(
    output: Path,
    consent: str,
    session: str,
    raw_pictures: bool,
    use_sim_time: bool,
    namespace: str,
    lan: bool,
    as_json: bool,
) -> int:
    """Record the running listener as a bag (MCAP) until Ctrl-C.

    Recorded are what it understood of the person, its plans, its face, its settings and every mark; with --consent
    also pictures and sound. The page beside the face shows that recording is on.
    """
    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.errors import MediaError
    from reactdiff_ros.extras import require
    from reactdiff_ros.settings import written_path

    require("rosbags")
    if output.exists() or output.is_symlink():
        raise MediaError("there is something of this name already", where=str(output), todo="choose another name")
    join(namespace, lan)
    from reactdiff_ros.recordings.graph.record_command import record_until_stopped

    values = {
        "output": str(written_path(output).absolute()),
        "consent": consent.strip(),
        "session": session.strip(),
        "image_transport": "raw" if raw_pictures else "compressed",
    }
    tell(f"records to {output}; Ctrl-C ends it" if consent.strip() else NO_CONSENT.format(output))
    with json_on_stdout(as_json) as result:
        result |= record_until_stopped(values, namespace=name_space(namespace), use_sim_time=use_sim_time)
        counts = ", ".join(f"{topic} {count}" for topic, count in result["messages"].items()) or "nothing"
        tell(f"wrote {result['bag']}: {counts}" + (f"; {result['dropped']} dropped" if result["dropped"] else ""))
    return 0


NO_CONSENT = "records to {} without pictures and sound, for no --consent was given; Ctrl-C ends it"


@click.command()
@click.argument("text")
@click.option("--namespace", default="", metavar="NAME", help="ROS namespace of the listener.")
@click.option("--lan", is_flag=True, help="The listener runs on another machine (started with --lan).")
def mark(text: str, namespace: str, lan: bool) -> int:
    """Mark an event in the bag that is being recorded: reactdiff bag mark "condition B begins"."""
    from reactdiff_ros.cli.output import tell

    if not text.strip():
        raise click.UsageError("a mark needs words")
    join(namespace, lan)
    from reactdiff_ros.recordings.graph.record_command import send_mark

    send_mark(text.strip(), namespace=name_space(namespace), wait_s=WAIT_S)
    tell(f"marked: {text.strip()}")
    return 0


def play_in_realtime(bag: Path, settings: PlaySettings, *, lan: bool = False) -> dict[str, Any]:
    """Play a bag into the running graph with a progress bar, until its end or Ctrl-C; what was played, for JSON.

    Errors as `bag_player.play`.
    """
    join(settings.namespace, lan)
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.cli.output import tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.recordings.graph.bag_player import play

    stop = StopFlag()
    begin = time.monotonic()
    with progress_bar(bag.name) as progress:
        played = play(bag, settings, say=tell, progress=_now_and_then(progress), stop=lambda: stop.set)
    return {
        "bag": str(bag),
        "rate": settings.rate,
        "pictures": played.pictures,
        "sounds": played.sounds,
        "recorded_s": round(played.seconds, 3),
        "took_s": round(time.monotonic() - begin, 3),
        "late_ms": round(played.late_ms, 1),
        "complete": not stop.set,
        "notes": played.notes,
    }


def join(namespace: str, lan: bool) -> None:
    """Let this process find the listener's nodes, as `reactdiff listen` starts them."""
    import os

    from reactdiff_ros.launching.live_graph import LiveOptions, graph_environment

    os.environ.update(graph_environment(LiveOptions(namespace=name_space(namespace), lan=lan)))


def name_space(text: str) -> str:
    """A namespace as ROS writes it: "" or "/name"."""
    return "/" + text.strip("/") if text.strip("/") else ""


def _now_and_then(progress: Callable[[float], None]) -> Callable[[float], None]:
    """A progress bar that is drawn ten times a second at most."""
    last = 0.0

    def show(share: float) -> None:
        nonlocal last
        if time.monotonic() - last > 0.1:
            last = time.monotonic()
            progress(share)

    return show
