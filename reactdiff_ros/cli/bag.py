"""`reactdiff bag`: record, mark, inspect, make and replay recordings in rosbag2's format."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import Number, Output, StopFlag, log, progress_bar, ros_namespace
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.settings import POLICIES, RANGES

if TYPE_CHECKING:
    from reactdiff_ros.launching.table import Value
    from reactdiff_ros.recordings.replay import ReplaySettings, Step

MARK_WAIT_S: Final = 5.0
"""How long a mark waits for a recorder."""
_STORAGE = click.option("--storage", type=common.Choice(("mcap", "sqlite3")), default="mcap", help="Format of the bag.")


@click.group(cls=common.Group)
def bag() -> None:
    """Record, inspect, replay and make bags (rosbag2)."""


@bag.command()
@click.argument("path", metavar="BAG", type=common.PATH)
@common.TOPICS
@click.option("--check", is_flag=True, help="Decode all pictures and sound, not only the first ones.")
@common.reporting
def info(result: Output, path: Path, picture: str, sound: str, check: bool) -> None:
    """Print the contents of BAG and its problems.

    Contents are topics, rates, what a replay would use, and the study. BAG is a rosbag2 folder, or its .mcap or .db3
    file. It is opened read-only.
    """
    from reactdiff_ros.recordings.bags.read import describe

    if not path.exists():
        raise MediaError("the bag cannot be read", where=str(path), todo="it does not exist")
    with progress_bar(f"reading {path.name}") as progress:
        result.update(describe(path, picture, sound, check=check, progress=progress))
    result.say(f"{path}: {result['storage']}, {result['duration_s']:.1f} s, {result['messages']} messages")
    for topic in result["topics"]:
        rate = f"{topic['rate_hz']:.1f} Hz" if topic["rate_hz"] else ""
        result.say(f"  {topic['name']:40} {topic['type']:40} {topic['messages']:7} {rate:>9}")
    if used := result["replay"]:
        topics = f"{used['picture'] or 'no picture'} and {used['sound'] or 'no sound'}"
        result.say(f"replay uses {topics}: {used['duration_s']:.1f} s")
    if study := result["study"]:
        consent = {True: "given", False: "refused", None: "unknown"}[study["consent"]]
        what = f"consent {consent}, seed {study['seed']}, {len(study['events'])} events"
        result.say(f"study {study['session_id']}, {what}")
    for note in result["notes"]:
        result.say(f"note: {note}")


@bag.command("from-video")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=common.PATH)
@click.option("-o", "--output", type=common.PATH, show_default="FILE_bag", help="Bag to write.")
@_STORAGE
@click.option("--raw", is_flag=True, help="Store sensor_msgs/Image instead of JPEG (large).")
@click.option("--quality", type=click.IntRange(1, 100), default=85, help="JPEG quality.")
@common.reporting
def from_video(
    result: Output, files: tuple[Path, ...], output: Path | None, storage: Any, raw: bool, quality: int
) -> None:
    """Convert video or audio FILES to a bag with camera and microphone topics.

    The topics are /camera/image_raw/compressed and /audio. The clip's time 0 is second 1 of the bag; several FILES
    follow each other with a pause of a second or two. The same FILES give the same bytes.
    """
    from reactdiff_ros.capture.media import MediaClip
    from reactdiff_ros.recordings.bags.write import bag_from_clips

    target = output or Path(f"{files[0].stem}_bag")
    clips = [MediaClip(path) for path in files]
    with progress_bar(target.name) as progress:
        parts = bag_from_clips(clips, target, storage=storage, raw=raw, quality=quality, progress=progress)
    pictures, sounds = sum(p.pictures for p in parts), sum(p.sounds for p in parts)
    notes: list[str] = []
    for part in parts:
        for count, total, what in ((part.pictures, pictures, "pictures"), (part.sounds, sounds, "sound")):
            so = "" if len(parts) > 1 and total else f": the bag has no topic of {what}"
            notes += [] if count else [f"{part.file} has no {what}{so}"]
        notes += [f"{part.file} is damaged: {part.damaged} packets were skipped"] if part.damaged else []
    for note in notes:
        log(note)
    last = parts[-1]
    seconds = (last.start_ns - parts[0].start_ns) / NS + last.duration_s
    result.update(bag=str(target), pictures=pictures, sounds=sounds, duration_s=seconds, notes=notes)
    result["clips"] = [{"file": str(p.file), "start_s": p.start_ns / NS, "duration_s": p.duration_s} for p in parts]
    log(f"{target}: {pictures} pictures and {sounds} chunks of sound, {seconds:.1f} s")


@bag.command()
@click.option("-o", "--output", required=True, type=common.PATH, help="Bag to write; must not exist.")
@click.option(
    "--consent", default="", show_default=False, metavar="TEXT",
    help="Consent of the person to pictures and sound, as text or an id. Without it, neither is recorded.",
)  # fmt: skip
@click.option("--session", default="", show_default="from the time", metavar="ID", help="Id of the session.")
@click.option("--raw-pictures", is_flag=True, help="Record camera/image_raw instead of JPEG pictures.")
@click.option("--use-sim-time", is_flag=True, help="Use the time of /clock, as when a bag is played into the graph.")
@common.NAMESPACE
@common.LAN
@common.reporting
def record(
    result: Output, output: Path, consent: str, session: str, raw_pictures: bool, use_sim_time: bool,
    namespace: str | None, lan: bool,
) -> None:  # fmt: skip
    """Record the running listener as a bag (MCAP) until Ctrl-C.

    Records what the listener perceives of the person, its plans, its face, its settings and all marks; with --consent
    also pictures and sound. The page shows that recording is on.
    """
    from reactdiff_ros.resources import require
    from reactdiff_ros.settings import written_path

    require("rosbags")
    if output.exists() or output.is_symlink():
        raise MediaError("a file of this name already exists", where=str(output), todo="choose another name")
    join_graph(namespace, lan)
    from reactdiff_ros.recordings.graph.recorder_node import by_topic, record_until_stopped

    values = {
        "output": str(written_path(output).absolute()), "consent": consent.strip(), "session": session.strip(),
        "image_transport": "raw" if raw_pictures else "compressed",
    }  # fmt: skip
    if not lan and (domain := _domain_without_listener(namespace)) is not None:
        log(f"no listener is running in domain {domain} on this machine: nothing is recorded until one starts")
    without = "" if consent.strip() else " without pictures and sound (no --consent)"
    log(f"recording to {output}{without}; Ctrl-C ends it")
    result |= record_until_stopped(values, namespace=ros_namespace(namespace), use_sim_time=use_sim_time)
    counts = by_topic(result["messages"]) or "nothing"
    log(f"wrote {result['bag']}: {counts}" + (f"; {result['dropped']} dropped" if result["dropped"] else ""))


def _domain_without_listener(namespace: str | None) -> int | None:
    """The ROS domain, if no listener runs in it on this machine."""
    from reactdiff_ros.launching.live_graph import Claim, domain_of

    domain = domain_of(os.environ)
    try:
        Claim(domain, ros_namespace(namespace)).release()
    except ReactdiffError:
        return None
    return domain


@bag.command()
@click.argument("text")
@common.NAMESPACE
@common.LAN
def mark(text: str, namespace: str | None, lan: bool) -> None:
    """Mark an event in the running recording.

    For example: reactdiff bag mark "condition B begins".
    """
    if not text.strip():
        raise click.UsageError("TEXT is empty")
    join_graph(namespace, lan)
    from reactdiff_ros.recordings.graph.recorder_node import send_mark

    send_mark(text.strip(), namespace=ros_namespace(namespace), wait_s=MARK_WAIT_S)
    log(f"marked: {text.strip()}")


def join_graph(namespace: str | None, lan: bool) -> None:
    """Set this process's environment so that it discovers the nodes of `reactdiff listen`."""
    from reactdiff_ros.launching.live_graph import LiveOptions, graph_environment

    os.environ.update(graph_environment(LiveOptions(namespace=ros_namespace(namespace), lan=lan)))


_LISTENING = common.options(
    click.option(
        "--policy", metavar="NAME",
        help=f"Reaction policy: {', '.join(POLICIES)}, or your own class as module:Class or file.py:Class (model).",
    ),
    common.renamed("--listener", "--policy", "policy"),
    click.option("--seed", type=common.SEEDS, help="Seed of all noise; same bag and seed, same bytes (0)."),
    click.option("--style", metavar="NAME", show_default="natural",
                 help="Style of listening, see 'reactdiff style list'."),
    common.renamed("--preset", "--style", "style"),
    *(
        click.option(f"--{name.replace('_', '-')}", name, type=Number(low, high), help=f"{low:g} to {high:g} (style).")
        for name, (low, high) in RANGES.items()
    ),
    click.option("--robot", metavar="NAME", default="screen",
                 help="Robot: an overlay or a shipped profile by its name, or a path."),
    click.option("--params", type=common.PATH, metavar="FILE", help="ROS parameter file (YAML)."),
    click.option("--set", "others", metavar="NAME=VALUE", multiple=True,
                 help="Other parameter of perception_node, reaction_node or expression_node; repeatable."),
    common.TOPICS,
    click.option("--own-voice/--no-own-voice", default=True,
                 help="Use the bag's robot_speaking, so that the robot does not react to its own voice."),
    click.option("--operator", is_flag=True, help="Repeat the recorded changes of style and gestures."),
    click.option("--processes", type=click.IntRange(1, 2), default=2,
                 help="Processes; with 2, perception runs in the second one. The result is the same."),
)  # fmt: skip
"""The options of who listens and how, named as the parameters of the live nodes."""


_OF_PLAYING: Final = {"rate", "loop", "namespace", "lan"}
"""Options of --realtime alone."""


@bag.command()
@click.argument("bag", type=common.PATH)
@click.option("-o", "--output", type=common.PATH, metavar="OUT_BAG", help="Bag to write: a folder that does not exist.")
@_STORAGE
@click.option("--plans", is_flag=True, help="Also write the listener's plans (listener/reaction).")
@click.option("--video", type=common.PATH, metavar="FILE.mp4",
              help="Video of speaker and listener side by side, with sound.")  # fmt: skip
@_LISTENING
@click.option("--realtime", is_flag=True, help="Play BAG into the running graph instead, with /clock.")
@click.option("--rate", type=Number(0.05, 20.0), default=1.0, help="With --realtime: playback speed.")
@click.option("--loop", is_flag=True, help="With --realtime: start again at the end.")
@common.NAMESPACE
@common.LAN
@common.reporting
def replay(
    result: Output, bag: Path, output: Path | None, storage: Any, plans: bool, video: Path | None, processes: int,
    realtime: bool, rate: float, loop: bool, namespace: str | None, lan: bool, **how: Any,
) -> None:  # fmt: skip
    """Run the listener on BAG (a bag or a media file) and save its reactions.

    OUT_BAG gets speaker/frame and listener/expression as the live nodes publish them, with the stamps of BAG, and with
    seed, parameters and the hash of the weights. The same BAG and options give the same bytes. Ctrl-C ends the replay
    early and keeps what is done, marked as incomplete.

    With --realtime nothing is written: BAG and /clock are played to nodes that were started with use_sim_time.
    """
    _refuse_unused(realtime)
    if realtime:
        return _play(result, bag, namespace, lan, rate=rate, loop=loop, picture=how["picture"], sound=how["sound"])
    if output is None and video is None:
        raise click.UsageError("give -o OUT_BAG, --video FILE.mp4, or both")
    named = how["policy"] or ""
    own = named if ":" in named else ""
    settings, parameters = settings_of(**how | {"policy": None if own else how["policy"]})
    settings = replace(settings, policy=own or settings.policy)
    result.update(_replay(bag, settings, parameters, output, storage, plans, video, processes > 1))
    speed = f"{result['times_real_time']:g} times real time"
    log(f"replayed {result['recording_s']:g} s with the policy {result['policy']}, {speed}")


def _refuse_unused(realtime: bool) -> None:
    """Raise UsageError for an option on the command line that would change nothing, with or without --realtime."""
    context, both = click.get_current_context(), {"bag", "realtime", "picture", "sound", "as_json"}
    typed = (p for p in context.command.params if context.get_parameter_source(str(p.name)) is common.TYPED)
    wrong = [p.opts[-1] for p in typed if p.name not in both and (p.name in _OF_PLAYING) != realtime]
    if wrong and realtime:
        todo = "it writes nothing and listens with the running nodes; record them with 'reactdiff bag record'"
        raise click.UsageError(f"{', '.join(wrong)} cannot be used with --realtime: {todo}")
    if wrong:
        raise click.UsageError(f"{', '.join(wrong)} can only be used with --realtime")


def _play(result: Output, bag: Path, namespace: str | None, lan: bool, **how: Any) -> None:
    """Play a bag into the running graph until its end or Ctrl-C. Errors as `bag_player.play`."""
    join_graph(namespace, lan)
    from reactdiff_ros.recordings.graph.bag_player import play

    stop, begin = StopFlag(), time.monotonic()
    with progress_bar(bag.name) as progress:
        place = ros_namespace(namespace)
        played = play(bag, namespace=place, log=log, progress=progress, stop=lambda: stop.set, **how)
    result.update(
        bag=str(bag), rate=how["rate"], pictures=played.pictures, sounds=played.sounds,
        recorded_s=round(played.seconds, 3), took_s=round(time.monotonic() - begin, 3),
        late_ms=round(played.late_ms, 1), complete=not stop.set, notes=played.notes,
    )  # fmt: skip
    log(f"played {played.seconds:.1f} s: {played.pictures} pictures and {played.sounds} chunks of sound")


def settings_of(
    *, others: tuple[str, ...], params: Path | None, **given: Any
) -> tuple[ReplaySettings, dict[str, dict[str, Value]]]:
    """The settings of the options of `_LISTENING`.

    Raises:
        click.UsageError: an unknown parameter, robot, style or value.
    """
    import yaml

    from reactdiff_ros.plain_yaml import parse_yaml
    from reactdiff_ros.recordings.replay import settings_as_live

    recording = {name: given.pop(name) for name in ("robot", "picture", "sound", "own_voice", "operator")}
    values = {name: value for name, value in given.items() if value is not None}
    for text in others:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--set {text}: write NAME=VALUE")
        try:
            values[name.strip()] = parse_yaml(value)
        except yaml.YAMLError as error:
            raise click.UsageError(f"--set {text}: {' '.join(str(error).split())}") from error
    with common.usage_errors():
        return settings_as_live(values, params_file=params, **recording)


def _replay(
    path: Path, settings: ReplaySettings, parameters: dict[str, dict[str, Value]], output: Path | None, storage: Any,
    plans: bool, video: Path | None, ahead: bool,
) -> dict[str, Any]:  # fmt: skip
    """Replay, write what is wanted, and describe it for JSON."""
    import numpy as np

    from reactdiff_ros.evaluation.listeners import Spec, check, named_errors
    from reactdiff_ros.recordings.replay.replay import ReplayBag, Tally, open_recording
    from reactdiff_ros.recordings.replay.replay import replay as run
    from reactdiff_ros.recordings.replay.senses import as_recorded
    from reactdiff_ros.recordings.replay.video import prepare, write_video

    recording = open_recording(path, settings)
    settings = as_recorded(settings, recording)
    face = parameters["expression_node"] | {"camera_on_head": settings.expression.camera_on_head}
    if video is not None:
        prepare(video)
    stop, tally, begin = StopFlag(), Tally(), time.perf_counter()
    spec = Spec(settings.policy)
    written: list[str] = []
    bag: ReplayBag | None = None

    def each(step: Step) -> None:
        for plan in step.reactions if spec.own else ():
            check(plan, spec.text)
        if bag is not None:
            bag.write(step)

    def report(seconds: float) -> bool:
        show(seconds / tally.length_s if tally.length_s else 0.0)
        return not stop.set

    with ExitStack() as stack:
        if output is not None:
            record = parameters | {"expression_node": face}
            bag = ReplayBag(output, recording, settings, record, storage=storage, plans=plans)
            partial = bag.partial
            stack.callback(lambda: log(f"the incomplete bag is {partial}") if partial.exists() else None)
            stack.enter_context(bag)
        listener = spec.make(settings.seed) if spec.own else None
        with progress_bar(path.name) as show, named_errors(spec):
            done = run(path, settings, listener=listener, tally=tally, ahead=ahead, progress=report, each=each)
        seconds, stopped = time.perf_counter() - begin, stop.set
        for note in tally.notes():
            log(note)
        if bag is not None:
            bag.describe(tally, done.complete)
    if bag is not None:
        written.append(str(bag.path))
        log(f"wrote {bag.path}" + ("" if done.complete else f", incomplete: {tally.done_s:.1f} s"))
    if video is not None:
        stop.set = False  # what was replayed until Ctrl-C is shown; another Ctrl-C ends the video
        with progress_bar(video.name) as show:
            length = write_video(video, recording, done.faces, progress=lambda share: show(share) or not stop.set)
        written.append(str(video))
        log(f"wrote {video}, {length:.1f} s" + (", incomplete" if stop.set else ""))

    def mean(values: Any, digits: int, scale: float = 1.0) -> float | None:
        return round(scale * float(np.mean(values)), digits) if len(values) else None

    listening = [face.mode == "listening" for face in done.faces]
    return {
        "complete": done.complete, "recording_s": round(tally.done_s, 3), "frames": len(done.faces),
        "face_share": mean(done.face_seen, 4) or 0.0, "listening_share": mean(listening, 4) or 0.0,
        "policy": settings.policy, "seed": settings.seed, "backend": tally.state.backend if tally.state else "",
        "perception_ms": mean(done.perception_s, 2, 1e3), "listener_ms": mean(done.listener_s, 2, 1e3),
        "notes": tally.notes(), "written": written, "stopped": stopped, "seconds": round(seconds, 3),
        "times_real_time": round(tally.done_s / seconds, 2),
    }  # fmt: skip
