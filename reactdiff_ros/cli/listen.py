"""`reactdiff listen`: the whole listener as supervised processes, and the address of its face."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import StopFlag, dumps, log
from reactdiff_ros.cli.study import enter_blind
from reactdiff_ros.resources import demo_clip_path, missing_for_nodes, ros_command

if TYPE_CHECKING:
    from reactdiff_ros.launching.live_graph import LiveGraph, LiveOptions
    from reactdiff_ros.launching.one_process import OneProcess
    from reactdiff_ros.launching.table import Value

NEEDS = {
    "actuator_node": "ruckig", "camera_node": "cv2", "clip_node": "cv2", "microphone_node": "sounddevice",
    "perception_node": "cv2", "recorder_node": "rosbags",
}  # fmt: skip
"""Modules of extras without which these nodes cannot start."""
OWN = (".json", ".glb", ".vrm")
"""Suffixes of own looks and avatars."""
POLL_S = 0.1
FACE_FIRST_S = 4.0
"""The other nodes start when the page answers, at the latest this long after it was started."""


def choose_source(camera: str | None, microphone: str | None, clip: Path | None) -> tuple[dict[str, str], str]:
    """Where pictures and sound come from, as arguments of the table of nodes; and the sentence that says so.

    The given devices; by default the first webcam with the default microphone, or the demo speaker. A camera that is
    named is used even if it is not connected: its node reports that and waits for it.
    """
    from reactdiff_ros.launching.devices import MicrophoneQuestion, cameras
    from reactdiff_ros.launching.table import BROWSER

    if clip is not None:
        visitor = {"camera": BROWSER} if camera == BROWSER else {}
        return {"clip": str(clip.absolute()), **visitor}, f"playing {clip} as if live"
    if camera == BROWSER:
        return {"camera": camera, "microphone": microphone or BROWSER}, "the page asks its visitor for the camera"
    # PortAudio takes its time: it answers while the cameras are asked.
    question = MicrophoneQuestion() if microphone is None and camera != "none" else None
    seen = f"camera {camera}"
    if camera is None:
        found = next((c for c in cameras() if not c.problem), None)
        if found is None and question is not None:
            question.drop()
            sentence = "no camera found: playing the bundled demo speaker until the page's visitor shares a camera"
            return {"clip": str(demo_clip_path()), "camera": BROWSER}, sentence
        camera, seen = (str(found.index), f"camera {found.name or found.index}") if found else ("none", "")
    microphone = microphone or "none"
    heard = f"microphone {microphone}" if microphone != "none" else "no microphone"
    if question is not None:
        answer = question.answer()
        microphone = "default" if answer.default else "none"
        heard = answer.default or f"no microphone{f' ({answer.problem})' if answer.problem else ''}"
    devices = {"camera": camera, "microphone": microphone}
    if set(devices.values()) == {"none"}:
        return devices, "waiting for a bag that is played with its clock (use_sim_time)"
    return devices, f"{seen if camera != 'none' else 'no camera'}, {heard}"


@click.command()
@click.argument("assignments", nargs=-1, metavar="[NAME:=VALUE]...")
@click.option(
    "--camera", metavar="DEVICE",
    help="Camera: V4L2 index, /dev/videoN, URL or file; browser = camera and microphone of the page's visitor; none.",
)  # fmt: skip
@click.option("--microphone", metavar="DEVICE", help="Microphone: default, index or name; none = no microphone.")
@click.option("--clip", type=common.PATH, help="Media file to play as if live, instead of camera and microphone.")
@click.option("--once", is_flag=True, help="Play the clip once, then end.")
@click.option("--policy", metavar="NAME", help="Reaction policy: model, rules, mime, random or idle.")
@click.option("--style", metavar="NAME", help="Style of listening, see 'reactdiff style list' (natural).")
@click.option("--backend", metavar="NAME", help="Inference backend: auto, onnxruntime, cuda or tensorrt (auto).")
@click.option(
    "--avatar", is_flag=False, flag_value="yes", metavar="[LOOK]",
    help="Screen face: soft, paper, robot, night, pixel, eyes, cub, head (3D), FILE.json, FILE.glb, FILE.vrm; none.",
)  # fmt: skip
@click.option("--no-avatar", is_flag=True, help="Same as --avatar none.")
@common.renamed("--look", "--avatar", "avatar")
@click.option("--port", type=click.IntRange(1024, 65535), help="Port of the page; if it is in use, the next free one.")
@click.option(
    "--host", metavar="ADDRESS",
    help="Address to serve the page on (127.0.0.1). Beyond this machine, the link contains a token.",
)  # fmt: skip
@click.option(
    "--https", is_flag=True,
    help="Encrypt the page, so that phones give their camera; served on every address unless --host is given.",
)  # fmt: skip
@click.option("--robot", metavar="NAME", help="Robot: an overlay or a shipped profile by its name, or a path.")
@click.option("--namespace", metavar="NAME", help="ROS namespace of all nodes.")
@click.option("--lan/--no-lan", default=None, help="Discover nodes on other machines (no).")
@click.option("--seed", type=common.SEEDS, help="Seed of all noise (0).")
@click.option("--params", type=common.FILE, metavar="FILE", help="ROS parameter file (YAML).")
@click.option("--study", type=common.FILE, metavar="FILE",
              help="Sessions file of a blind study; runs session:=ID without revealing its condition.")  # fmt: skip
@click.option("--no-ros", is_flag=True, help="Run in one process, without ROS; the default where ROS is not installed.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as one JSON object on stdout.")
def listen(
    assignments: tuple[str, ...], camera: str | None, microphone: str | None, clip: Path | None, once: bool,
    policy: str | None, style: str | None, backend: str | None, avatar: str | None, no_avatar: bool,
    port: int | None, host: str | None, https: bool, robot: str | None, namespace: str | None, lan: bool | None,
    seed: int | None, params: Path | None, study: Path | None, no_ros: bool, as_json: bool,
) -> int:  # fmt: skip
    """Start the listener and print the address of its face. Ctrl-C stops it.

    Without options, it uses the first webcam and the default microphone, or a bundled demo speaker if there is no
    webcam. Your own settings (reactdiff config show) override these defaults, and options override both.
    Launch arguments are accepted as NAME:=VALUE: record:=true (docs/bags.md), use_sim_time:=true, and so on.
    """
    if no_avatar:
        avatar = "none"
    if avatar == "none" and (port or host or https):
        raise click.UsageError("--port, --host and --https need the screen face")
    own_look = Path(avatar).absolute() if avatar is not None and avatar.endswith(OWN) else None
    avatar = avatar if own_look is None else str(own_look)
    face = avatar not in (None, "none")
    options = {
        "camera": camera, "microphone": microphone, "clip": None if clip is None else str(clip.absolute()),
        "policy": policy, "backend": backend, "avatar": None if avatar == "yes" else avatar, "robot": robot,
        "namespace": namespace, "lan": None if lan is None else str(lan).lower(),
        "params_file": None if params is None else str(params.absolute()),
    }  # fmt: skip
    given = read_assignments(assignments) | {name: value for name, value in options.items() if value is not None}
    missing = missing_for_nodes()
    if no_ros or missing:
        given |= {name: str(value) for name, value in (("study", study), ("style", style)) if value is not None}
        parameters = {"seed": seed, "port": port, "host": host, "https": https or None}
        return _without_ros(missing, given, parameters, once, as_json)
    if study is not None:
        enter_blind(study, given, style)
    if once and not given.get("clip"):
        raise click.UsageError("--once needs --clip")
    parameters = {"seed": seed, "port": port, "host": host, "style": style, "loop": False if once else None}
    parameters["https"] = https or None
    from reactdiff_ros.avatar.config import check_own
    from reactdiff_ros.capture.media import MediaClip
    from reactdiff_ros.errors import MediaError

    with common.usage_errors():
        if own_look is not None and (sentence := check_own(own_look)):
            log(sentence)
        live, source = live_options(given, {k: v for k, v in parameters.items() if v is not None}, face=face)
        if source[2] is not None and given.get("clip"):
            with common.usage_errors(MediaError):  # before a node fails because of it
                MediaClip(source[2])
        return run(live, lambda: choose_source(*source), StopFlag(), once=once, as_json=as_json)


def live_options(
    given: dict[str, str], parameters: dict[str, Value], *, face: bool
) -> tuple[LiveOptions, tuple[str | None, str | None, Path | None]]:
    """What to run, from what is given and the lab's own settings; and camera, microphone and clip, where set.

    Args:
        given: arguments of the table of nodes.
        parameters: node parameters by name, for every node that has one of that name.
        face: serve the screen face even if the settings disable it.

    Raises:
        click.UsageError: arguments that do not go together.
        ConfigError: an argument, a value or a file is wrong.
        MissingExtraError: a requested node needs a library that is not installed.
    """
    from reactdiff_ros.launching.configuration import lab_settings
    from reactdiff_ros.launching.live_graph import LiveOptions, wanted_nodes
    from reactdiff_ros.launching.table import BROWSER
    from reactdiff_ros.resources import require
    from reactdiff_ros.settings import written_path
    from reactdiff_ros.styles import Style, apply_control, style_book
    from reactdiff_ros.types import ListenerControl

    if given.get("clip") and (given.get("camera", BROWSER) != BROWSER or given.get("microphone")):
        raise click.UsageError("--clip replaces --camera and --microphone: give one or the other")
    lab = lab_settings(given)
    arguments = given | {name: str(setting.value) for name, setting in lab.arguments.items()}
    if face and arguments.get("avatar") == "none":
        del arguments["avatar"]
    camera, microphone, clip = (arguments.pop(name, None) or None for name in ("camera", "microphone", "clip"))
    if clip == "none":
        clip = None
    if arguments.get("use_sim_time") == "true" and clip is None:  # the pictures of a bag, not those of now
        camera, microphone = camera or "none", microphone or "none"
    elif camera == "none" and microphone == "none":
        raise click.UsageError("the listener needs a camera, a microphone or a clip")
    if parameters.get("https") and "host" not in lab.parameters.get("avatar_node", {}):
        parameters = {"host": "0.0.0.0", **parameters}
    namespace, lan, params = (arguments.pop(name, "") for name in ("namespace", "lan", "params_file"))
    if "style" in parameters and not params:  # such a file may name another file of styles
        file = lab.parameters.get("expression_node", {}).get("styles_file")
        control = ListenerControl(style=str(parameters["style"]))
        apply_control(Style(), control, style_book(str(file.value) if file else ""))
    live = LiveOptions(
        arguments=arguments, parameters=parameters, settings=lab.ros_parameters(),
        params_file=written_path(params) if params else None, namespace=common.ros_namespace(namespace),
        lan=lan == "true",
    )  # fmt: skip
    for node in wanted_nodes(live):
        if node.name in NEEDS:
            require(NEEDS[node.name])
    if lab.files:
        log(f"settings of {', '.join(map(str, lab.files))}")
    return live, (camera, microphone, None if clip is None else Path(clip))


def read_assignments(words: tuple[str, ...]) -> dict[str, str]:
    """Arguments of the table of nodes, as the launch file takes them (NAME:=VALUE).

    Raises:
        click.UsageError: not of that form, or an argument that must be given as an option.
    """
    given = {}
    for name, value in map(common.assignment, words):
        if name in ("namespace", "params_file", "lan"):
            option = {"params_file": "params"}.get(name, name)
            raise click.UsageError(f"use --{option} instead of {name}:=")
        given[name] = value
    if given.get("record_to"):
        from reactdiff_ros.settings import written_path

        given["record_to"] = str(written_path(given["record_to"]).absolute())
    return given


def run(
    options: LiveOptions, source: Callable[[], tuple[dict[str, str], str]], stop: StopFlag, *, once: bool = False,
    as_json: bool = False,
) -> int:  # fmt: skip
    """Start the face, choose the source, start the rest; supervise until stopped or, with `once`, the clip ends."""
    from reactdiff_ros.launching import live_graph
    from reactdiff_ros.launching.process import ServiceManager
    from reactdiff_ros.launching.table import load_table
    from reactdiff_ros.nodes.graph_watch import watch_graph

    # The port of the page by option or settings; None: a parameter file may set it.
    avatar = options.settings.get("/**/avatar_node", {}).get("ros__parameters", {})
    default = None if options.params_file else load_table().node("avatar_node").parameter("port").default
    wanted = options.parameters.get("port", avatar.get("port", default))
    manager = ServiceManager(os.environ)
    domain = live_graph.domain_of(live_graph.graph_environment(options))
    folder = live_graph.state_folder() / "logs" / f"listen-{domain}{options.namespace.replace('/', '-')}"
    with live_graph.LiveGraph(options, log, folder) as graph:
        graph.start(live_graph.first_nodes(options))
        devices, sentence = source()
        log(sentence)
        graph.options = replace(options, arguments={**options.arguments, **devices})
        nodes = live_graph.wanted_nodes(graph.options)
        watch_graph(graph)
        printed = None
        whole = time.monotonic() + (FACE_FIRST_S if any(n.name == "avatar_node" for n in nodes) else 0.0)
        while not stop.set:
            graph.step()
            if once and "clip_node" in graph.reports and graph.reports["clip_node"].values.get("ended") == "true":
                log("the clip has ended")
                break
            manager.alive(time.monotonic())
            if whole and (graph.url or time.monotonic() > whole):
                graph.start(nodes)
                whole = 0.0
                manager.ready(f"{sentence}; {graph.url or 'no page'}")
            if graph.url and graph.url != printed:
                if printed is None:
                    _say_port(wanted, graph.url)
                if printed is None or not as_json:
                    _announce(graph, as_json, {node.name for node in nodes}, graph.supervisor.pids())
                printed = graph.url
        log("stopping")
        manager.stopping()
    return 0


WITHOUT_ROS = {"camera", "microphone", "clip", "policy", "style", "avatar", "seed", "port", "host", "https"}
"""Options of a listener in one process."""


def _without_ros(missing: str, given: dict[str, str], parameters: dict[str, Any], once: bool, as_json: bool) -> int:
    """Serve the page until stopped; camera and microphone are those of its visitor.

    Raises:
        click.UsageError: an option that needs ROS.
        ReactdiffError: a setting, a file, the weights or the port.
    """
    from reactdiff_ros.avatar import AvatarConfig
    from reactdiff_ros.avatar.config import check_own
    from reactdiff_ros.capture.media import MediaClip
    from reactdiff_ros.errors import MediaError
    from reactdiff_ros.launching.listener_settings import listener_settings
    from reactdiff_ros.launching.one_process import OneProcess
    from reactdiff_ros.launching.table import BROWSER

    needs = sorted(given.keys() - WITHOUT_ROS)
    needs += [n for n in ("camera", "microphone") if given.get(n, BROWSER) not in (BROWSER, "none")]
    if given.get("avatar") == "none":
        needs.append("avatar none")
    if needs:
        options = ", ".join(f"--{name.removesuffix('_file')}" for name in needs)
        todo = f"{missing} is not installed ({ros_command()})" if missing else "leave out --no-ros"
        raise click.UsageError(f"{options} cannot be used without ROS: {todo}")
    stop = StopFlag()
    clip = Path(given["clip"]) if "clip" in given else None
    with common.usage_errors():
        if clip is not None:
            with common.usage_errors(MediaError):
                MediaClip(clip)
        page: dict[str, Any] = {"host": "0.0.0.0"} if parameters["https"] else {}
        page |= {n: v for n, v in (parameters | {"look": given.get("avatar")}).items() if n != "seed" and v is not None}
        avatar = AvatarConfig(**page)
        if own_sentence := check_own(Path(avatar.look)):
            log(own_sentence)
        set_ = {"seed": parameters["seed"], "policy": given.get("policy"), "style": given.get("style")}
        settings, _ = listener_settings({n: v for n, v in set_.items() if v is not None})
        parts = settings.parts()
    shown = None if given.get("camera") == BROWSER else clip or demo_clip_path()
    if missing:
        log(f"{missing} is not installed: the listener runs in one process, for the page alone")
    log("the page asks its visitor for the camera" if shown is None else f"playing {shown.name} until a visitor comes")
    with OneProcess(*parts, settings.listener, avatar, shown, log, seed=settings.seed, loop=not once) as alone:
        _say_port(avatar.port, alone.url)
        _announce(alone, as_json, {"browser_node"}, {"reactdiff": os.getpid()})
        while not (stop.set or (once and alone.clip_ended)):
            time.sleep(POLL_S)
    log("stopping")
    return 0


def _say_port(wanted: object, url: str) -> None:
    """Say that the page did not get the port that it was to have; None or 0: any will do."""
    port = urlsplit(url).port
    if wanted and port != wanted:
        log(f"port {wanted} is in use: the page is on port {port}")


def _announce(graph: LiveGraph | OneProcess, as_json: bool, nodes: set[str], pids: Mapping[str, int]) -> None:
    from reactdiff_ros.avatar.access import reached

    urls = page_links(graph)
    shared = urls[0] != graph.url
    uses = ["arm the robot"] if "actuator_node" in nodes else []
    uses += ["end a visit"] if shared and "browser_node" in nodes else []
    with suppress(OSError):
        if not as_json:
            print(f"Open the face in a browser (Ctrl-C ends the listener): {urls[0]}", flush=True)
            for url in urls[1:]:
                print(f"  or, from another network: {url}", flush=True)
            if shared:
                print(qr_code(urls[0]), end="", flush=True)
            if graph.trust[0]:
                page, fingerprint = reached(graph.trust[0])[0], graph.trust[1]
                print(f"An iPhone or iPad, or a browser that refuses the page, first opens {page}", flush=True)
                print(f"  Fingerprint of the certificate there (SHA-256): {fingerprint}", flush=True)
            if uses:
                print(f"The operator's token, to {' and to '.join(uses)} from the page: {graph.page_token}", flush=True)
        elif not getattr(sys.stdout, "closed", False):
            token = {"page_token": graph.page_token} if uses else {}
            trust = {"trust": reached(graph.trust[0])[0]} if graph.trust[0] else {}
            print(dumps({"url": urls[0], "nodes": dict(pids), **trust, **token}), flush=True)


def page_links(graph: LiveGraph | OneProcess) -> list[str]:
    """The page's address; where the page asks for a token, links that hold it, one for each network."""
    from reactdiff_ros.avatar.access import ASKS, links
    from reactdiff_ros.launching.live_graph import page_status

    url = graph.url or ""
    return links(url, graph.link_token) if page_status(url) == ASKS else [url]


def qr_code(link: str) -> str:
    """`link` as a QR code in block characters; empty where stdout is no terminal, or one that has none."""
    if not sys.stdout.isatty():
        return ""
    # An installation from a distribution's packages has no segno: the link is printed all the same.
    with suppress(ModuleNotFoundError, UnicodeEncodeError):
        import segno

        picture = StringIO()
        segno.make(link, error="l", micro=False).terminal(picture, compact=True)
        picture.getvalue().encode(getattr(sys.stdout, "encoding", None) or "ascii")
        return picture.getvalue()
    return ""
