"""`reactdiff bag replay`: a recording listened to again, as fast as it can, by the very session of the live graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import EXIT_DONE, Number, dumps, echo, json_on_stdout, tell
from reactdiff_ros.vocabulary import POLICIES, RANGES

if TYPE_CHECKING:
    from reactdiff_ros.launching.table import Value
    from reactdiff_ros.recordings.replay import Replayed, ReplaySettings, Step
    from reactdiff_ros.recordings.replay.video import FaceReel

_FILE = click.Path(path_type=Path)


def _controls(command: Any) -> Any:
    """An option for each control of `vocabulary.RANGES`."""
    for name, (low, high) in reversed(list(RANGES.items())):
        text = f"{low:g} to {high:g}; otherwise taken from the style."
        command = click.option(f"--{name.replace('_', '-')}", name, type=Number(low, high), help=text)(command)
    return command


def _listening(command: Any) -> Any:
    """The options that say who listens and how, named as the parameters of the live nodes."""
    options = (
        click.option(
            "--listener", "--policy", "policy", metavar="NAME",
            help=f"{', '.join(POLICIES)}, or a class of your own as module:Class or file.py:Class (model).",
        ),
        click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Same bag, same seed: same bytes (0)."),
        click.option("--style", "--preset", "style", metavar="NAME", help="See 'reactdiff style list' (natural)."),
        _controls,
        click.option("--candidates", type=click.IntRange(1, 16), help="Reactions drawn for one plan."),
        click.option("--robot", metavar="NAME", default="screen", show_default=True, help="As for 'listen'."),
        click.option("--params", type=_FILE, metavar="FILE", help="ROS parameter file, as for 'listen'."),
        click.option(
            "--set", "others", metavar="NAME=VALUE", multiple=True,
            help="Any other parameter of perception_node, reaction_node, expression_node. May be given several times.",
        ),
        click.option("--camera-topic", "--picture", "picture", metavar="TOPIC", default="",
                     help="Pictures of the speaker (found by type); none = without."),
        click.option("--audio-topic", "--sound", "sound", metavar="TOPIC", default="",
                     help="The microphone's sound (found by type); none = without."),
        click.option("--own-voice/--no-own-voice", default=True, show_default=True,
                     help="Heed the bag's robot_speaking: the robot's own voice is not the other's."),
        click.option("--operator", is_flag=True, help="Repeat the changes of style and gestures that the bag holds."),
        click.option("--processes", type=click.IntRange(1, 2), default=2, show_default=True,
                     help="2: decode and perceive in a process of its own. The result is the same."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command("replay")
@click.argument("bag", type=_FILE)
@click.option("-o", "--output", type=_FILE, metavar="OUT_BAG", help="Bag to write: a folder that is not there yet.")
@click.option(
    "--storage", type=click.Choice(("mcap", "sqlite3")), default="mcap", show_default=True, help="Of OUT_BAG."
)
@click.option("--plans", is_flag=True, help="Write the listener's plans as well (listener/reaction).")
@click.option("--video", type=_FILE, metavar="FILE.mp4", help="Video of speaker and listener side by side, with sound.")
@_listening
@click.option("--realtime", is_flag=True, help="Play BAG into the running graph instead, with /clock.")
@click.option("--rate", type=Number(0.05, 20.0), default=1.0, help="Speed of --realtime (1).")
@click.option("--loop", is_flag=True, help="With --realtime: begin again at the end.")
@click.option("--namespace", default="", metavar="NAME", help="With --realtime: ROS namespace of the listener.")
@click.option("--lan", is_flag=True, help="With --realtime: the listener runs on another machine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def bag_replay(
    bag: Path,
    output: Path | None,
    storage: Any,
    plans: bool,
    video: Path | None,
    processes: int,
    realtime: bool,
    rate: float,
    loop: bool,
    namespace: str,
    lan: bool,
    as_json: bool,
    **how: Any,
) -> int:
    """Let a listener hear and see BAG (a bag or a media file) as if live, and write what its face does.

    OUT_BAG gets speaker/frame and listener/expression as the graph publishes them, on the stamps of BAG, with seed,
    parameters and the hash of the weights. The same BAG and options give the same bytes. Ctrl-C ends it early: what is
    done until then is kept, and says so.

    With --realtime nothing is written: BAG is played, with /clock, to the nodes that run already and were started with
    use_sim_time; the listener is theirs.
    """
    if realtime:
        if output is not None or video is not None:
            raise click.UsageError("--realtime writes nothing: 'reactdiff bag record' records the listener's nodes")
        return _realtime(bag, how, lan, as_json, rate=rate, loop=loop, namespace=namespace)
    if output is None and video is None:
        raise click.UsageError("give -o OUT_BAG, --video FILE.mp4, or both")
    from reactdiff_ros.cli.listen import StopFlag

    named = how["policy"] or ""
    own = named if ":" in named else ""
    with json_on_stdout(as_json) as result:
        settings, parameters = settings_of(**how | {"policy": None if own else how["policy"]})
        outputs = _Outputs(
            bag, replace(settings, policy=own or settings.policy), parameters, output, storage, plans, video
        )
        result.update(outputs.run(StopFlag(), ahead=processes > 1))
    if not as_json:
        echo(dumps(result, indent=2))
    return EXIT_DONE


def _realtime(bag: Path, how: dict[str, Any], lan: bool, as_json: bool, **settings: Any) -> int:
    from reactdiff_ros.cli.bag_record import name_space, play_in_realtime
    from reactdiff_ros.recordings.graph.bag_player import PlaySettings

    settings["namespace"] = name_space(settings["namespace"])
    with json_on_stdout(as_json) as result:
        chosen = PlaySettings(picture=how["picture"], sound=how["sound"], **settings)
        result.update(play_in_realtime(bag, chosen, lan=lan))
    if not as_json:
        echo(dumps(result, indent=2))
    return EXIT_DONE


def settings_of(
    *, others: tuple[str, ...], robot: str, params: Path | None, picture: str, sound: str, own_voice: bool,
    operator: bool, **given: Any,
) -> tuple[ReplaySettings, dict[str, dict[str, Value]]]:  # fmt: skip
    """The settings of the options of `_listening`.

    Raises:
        click.UsageError: a parameter, robot, style or value that there is not.
    """
    import yaml

    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.expression import ExpressionEngine
    from reactdiff_ros.plain_yaml import parse_yaml
    from reactdiff_ros.recordings.replay import settings_as_live

    values = {name: value for name, value in given.items() if value is not None}
    for text in others:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--set {text}: write NAME=VALUE")
        try:
            values[name.strip()] = parse_yaml(value)
        except yaml.YAMLError as error:
            raise click.UsageError(f"--set {text}: {' '.join(str(error).split())}") from error
    try:
        settings, parameters = settings_as_live(
            values, robot=robot, params_file=params, picture=picture, sound=sound, own_voice=own_voice,
            operator=operator,
        )  # fmt: skip
        ExpressionEngine(settings.expression)  # knows whether there is such a style
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    return settings, parameters


class _Outputs:
    """What one replay writes."""

    def __init__(
        self,
        path: Path,
        settings: ReplaySettings,
        parameters: dict[str, dict[str, Value]],
        output: Path | None,
        storage: Any,
        plans: bool,
        video: Path | None,
    ) -> None:
        from reactdiff_ros.recordings.replay.output import ReplayBag
        from reactdiff_ros.recordings.replay.replay import open_recording
        from reactdiff_ros.recordings.replay.senses import as_recorded
        from reactdiff_ros.recordings.replay.video import FaceReel, prepare

        self._recording = open_recording(path, settings)
        settings = as_recorded(settings, self._recording)
        face = parameters["expression_node"] | {"camera_on_head": settings.expression.camera_on_head}
        parameters = parameters | {"expression_node": face}
        self._path, self._settings, self._video = path, settings, video
        self._reel = FaceReel() if video is not None else None
        if video is not None:
            prepare(video)
        self._bag = None
        if output is not None:
            self._bag = ReplayBag(output, self._recording, settings, parameters, storage=storage, plans=plans)

    def run(self, stop: Any, ahead: bool) -> dict[str, Any]:
        import time

        from reactdiff_ros.cli.progress import progress_bar
        from reactdiff_ros.evaluation.listeners import Spec, blamed, check
        from reactdiff_ros.recordings.replay.replay import Tally, replay

        tally = Tally()
        begin = time.perf_counter()
        spec = Spec(self._settings.policy)
        try:
            listener = spec.make(self._settings.seed) if spec.own else None
            with progress_bar(self._path.name) as show, blamed(spec):

                def told(seconds: float) -> bool:
                    show(seconds / tally.length_s if tally.length_s else 0.0)
                    return not stop.set

                def each(step: Step) -> None:
                    for plan in step.reactions if spec.own else ():
                        check(plan, spec.text)
                    self._each(step)

                done = replay(
                    self._path, self._settings, listener=listener, tally=tally, ahead=ahead, progress=told, each=each
                )
            seconds = time.perf_counter() - begin
            result = self._finished(done, stop)
            return {**result, "seconds": round(seconds, 3), "times_real_time": round(done.tally.done_s / seconds, 2)}
        except BaseException as error:
            if self._bag:
                self._bag.__exit__(type(error), error, None)
                if self._bag.partial.exists():
                    tell(f"what was written until then is at {self._bag.partial}, not complete")
            raise

    def _each(self, step: Step) -> None:
        if self._bag:
            self._bag.write(step)
        if self._reel is not None:
            self._reel.take(step)

    def _finished(self, done: Replayed, stop: Any) -> dict[str, Any]:
        stopped = stop.set
        tally = done.tally
        for note in tally.notes():
            tell(note)
        written = []
        if self._bag:
            self._bag.close(tally, done.complete)
            written.append(str(self._bag.path))
            mark = "" if done.complete else f", not complete: {tally.done_s:.1f} s of the recording"
            tell(f"wrote {self._bag.path}{mark}")
        if self._reel is not None and self._video is not None:
            tell(self._filmed(self._video, self._reel, stop))
            written.append(str(self._video))
        return {
            "written": written,
            "complete": done.complete,
            "stopped": stopped,
            "recording_s": round(tally.done_s, 3),
            "frames": len(done.times_ns),
            "face_share": round(float(done.speaker.mesh.mean()), 4) if len(done.times_ns) else 0.0,
            "listening_share": round(float(done.listening.mean()), 4) if len(done.times_ns) else 0.0,
            "policy": self._settings.policy,
            "seed": self._settings.seed,
            "backend": tally.state.backend if tally.state else "",
            "perception_ms": _mean_ms(done.perception_s),
            "listener_ms": _mean_ms(done.listener_s),
            "notes": tally.notes(),
        }

    def _filmed(self, path: Path, reel: FaceReel, stop: Any) -> str:
        from reactdiff_ros.cli.progress import progress_bar
        from reactdiff_ros.recordings.replay.video import write_video

        stop.set = False  # what was replayed until Ctrl-C is shown; once more ends the video
        with progress_bar(path.name) as show:

            def told(share: float) -> bool:
                show(share)
                return not stop.set

            length = write_video(path, self._recording, reel, progress=told)
        return f"wrote {path}, {length:.1f} s" + (", not complete" if stop.set else "")


def _mean_ms(seconds: Any) -> float | None:
    return round(1e3 * float(seconds.mean()), 2) if len(seconds) else None
