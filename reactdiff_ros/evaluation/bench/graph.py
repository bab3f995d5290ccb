"""The running graph under a harness: start it, wait for it, listen to it, and count what its processes use.

`bench_live` and `bench_actuator` measure it: how soon the face answers, and how evenly the servos are commanded.
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import psutil
from geometry_msgs.msg import PointStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage

from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench import live
from reactdiff_ros.evaluation.bench.emulated import EmulatedRobot
from reactdiff_ros.evaluation.bench.speech import speech_figures
from reactdiff_ros.launching.live_graph import LiveGraph, LiveOptions, wanted_nodes
from reactdiff_ros.launching.supervisor import NodeCommand
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.messages import from_stamp
from reactdiff_ros.msg import AudioChunk, ExpressionFrame, Reaction, SpeakerFrame
from reactdiff_ros.nodes.base import interface, qos_profile
from reactdiff_ros.nodes.graph_watch import GraphWatch, published_ns, watch_graph
from reactdiff_ros.types import Sound

ACTIVE_S: Final = 60.0
FACE_S: Final = 5.0
FOLLOWS_S: Final = 60.0
ANSWER_S: Final = 20.0
STEP_S: Final = 0.1
DOMAINS: Final = range(71, 91)
"""Below 102, DDS's ports stay clear of Linux's ephemeral ones."""
ACTUATOR: Final = "actuator_node"
FOLLOWING: Final = "following"
_TOPICS: Final = {
    "compressed": live.PICTURES, "raw": "camera/image_raw", "frame": live.SPEAKER, "sound": "audio", "bytes": "audio",
    "samples": "audio",
}  # fmt: skip
"""A worker names the kinds of its items without their topic."""


class Visitor(Protocol):
    """Somebody at the page, whose camera and microphone are those of the graph."""

    def come(self, url: str) -> None:
        """Open the page."""

    def seen(self) -> bool:
        """Do what is needed to be seen; whether the robot sees this visitor now."""

    def begin(self) -> None:
        """Count from now on."""

    def figures(self) -> dict[str, Any]:
        """What was sent, and `face_ms`, a list."""


class StoppedError(ReactdiffError):
    """The user ended the run."""


@contextmanager
def graph_run(
    options: LiveOptions, log: Callable[[str], None], stopped: Callable[[], bool] = lambda: False, *,
    robot: Profile | str | None = None, parent: Path | None = None, step_s: float = STEP_S,
) -> Iterator[GraphRun]:  # fmt: skip
    """A graph that is ready to be started; at the end no process is left, and this process's environment is as before.

    Args:
        options: what to run; if they name no ROS domain, the first one without another listener is taken.
        log: receives one sentence for every event that a user should know.
        stopped: asked several times a second; True ends the run.
        robot: profile, or its name, whose servos are emulated in a separate process; None or "" for none.
        parent: where the folder of the run is made; None: where temporary files go.
        step_s: how long the graph is listened to before its processes are looked after.

    Raises:
        ReactdiffError: another listener runs in the domain, or the robot cannot be emulated.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reactdiff-bench-", dir=parent)))
        servos = stack.enter_context(EmulatedRobot(robot, folder)) if robot else None
        if servos is not None:
            options = servos.options(options)
        stack.callback(os.environ.update, os.environ.copy())
        stack.callback(os.environ.clear)
        yield GraphRun(stack.enter_context(_graph(options, log, folder / "log")), folder, servos, log, stopped, step_s)


def _graph(options: LiveOptions, log: Callable[[str], None], folder: Path) -> LiveGraph:
    """In the domain of the options, or in the first free one."""
    for domain in DOMAINS[:-1] if options.domain is None else ():
        with suppress(ReactdiffError):
            return LiveGraph(replace(options, domain=domain), log, folder)
    return LiveGraph(replace(options, domain=DOMAINS[-1]) if options.domain is None else options, log, folder)


class GraphRun:
    """A graph and its robot. Every method that waits raises StoppedError when the user ends the run."""

    def __init__(
        self, graph: LiveGraph, folder: Path, servos: EmulatedRobot | None, log: Callable[[str], None],
        stopped: Callable[[], bool], step_s: float,
    ) -> None:  # fmt: skip
        self.graph, self.folder, self.servos, self.log = graph, folder, servos, log
        self.on_step: Callable[[], None] = lambda: None
        """Called after every step of the graph."""
        self._stopped, self._step_s = stopped, step_s
        self._checked_s = 0.0

    def start(self, change: Callable[[NodeCommand], NodeCommand] = lambda command: command) -> None:
        """Start the nodes, each with the command that `change` returns, and listen to them."""
        self.graph.start(wanted_nodes(self.graph.options), change)
        self.watch: GraphWatch = watch_graph(self.graph)
        if self.servos is not None:
            self.robot = GraphRobot(self.watch)

    def until(self, condition: Callable[[], object], limit_s: float) -> bool:
        """Let the graph run until `condition` holds; returns whether it did within the limit."""
        end_s = time.monotonic() + limit_s
        while True:
            now_s = time.monotonic()
            if now_s - self._checked_s >= STEP_S / 2:  # a condition may cost more than a step
                self._checked_s = now_s
                if condition():
                    return True
                if self._stopped():
                    raise StoppedError("the run was stopped")
            if now_s >= end_s:
                return bool(condition())
            self.graph.step(min(self._step_s, end_s - now_s))
            self.on_step()

    def run_for(self, seconds: float) -> None:
        """Let the graph run."""
        self.until(lambda: False, seconds)

    def until_active(self) -> None:
        """Wait until every node is active. Raises ReactdiffError after ACTIVE_S, naming those that are not."""
        graph = self.graph
        if self.until(graph.active, ACTIVE_S):
            return
        late = [r for r in graph.reports.values() if r.values.get("state") != "active"]
        waiting = [name for name in graph.supervisor.names() if not graph.supervisor.heard(name)]
        waiting = waiting or [f"{r.name} ({r.values.get('state', '')}: {r.sentence})" for r in late]
        raise ReactdiffError(f"the graph was not active within {ACTIVE_S:g} s", where=", ".join(waiting))

    def until_face_seen(self, recorder: GraphRecorder) -> None:
        """Wait until every node is active, then up to FACE_S until a face is seen; logs it if there is none."""
        self.until_active()
        if not self.until(lambda: recorder.face_seen, FACE_S):
            self.log(f"no face was seen within {FACE_S:g} s: the measurement starts without one")

    def until_robot_follows(self) -> None:
        """Enable the robot. Raises ReactdiffError, with the actuator's reason, if it does not follow in FOLLOWS_S."""
        end_s, refusal = time.monotonic() + FOLLOWS_S, ""
        while not self.until(self.robot.follows, 1.0):
            if time.monotonic() > end_s:
                raise ReactdiffError("the robot does not follow", where=ACTUATOR, todo=refusal)
            refusal = self.robot.ask_to_follow() or refusal

    def until_visited(self, visitor: Visitor) -> None:
        """Wait until a visitor of the page is seen. Raises ReactdiffError after ACTIVE_S."""
        if self.until(lambda: self.graph.url, ACTIVE_S):
            visitor.come(str(self.graph.url))
            if self.until(visitor.seen, ACTIVE_S):
                return
        raise ReactdiffError(f"the visitor was not seen within {ACTIVE_S:g} s", where=self.graph.url or "no page")

    def processes(self) -> dict[str, list[int]]:
        """Process ids of every node and of what it started."""
        found = {}
        for name, pid in self.graph.supervisor.pids().items():
            found[name] = [pid]
            with suppress(psutil.NoSuchProcess):
                found[name] += [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return found

    def cpu_s(self) -> dict[int, float]:
        """Processor time so far by process id of the nodes, that of their ended children included."""
        found = {}
        for pid in (pid for members in self.processes().values() for pid in members):
            with suppress(psutil.NoSuchProcess):
                found[pid] = sum(psutil.Process(pid).cpu_times()[:4])
        return found

    def spent_s(self, before: Mapping[int, float]) -> dict[str, float]:
        """Processor time of every node since `before`, a result of `cpu_s`, s."""
        now = self.cpu_s()
        return {
            name: spent_s(before, {pid: now[pid] for pid in members if pid in now})
            for name, members in self.processes().items()
        }

    def dropped(self) -> Counter[str]:
        """What the nodes have dropped so far according to their diagnostics, by topic."""
        total: Counter[str] = Counter()
        for report in self.graph.reports.values():
            for key, value in report.values.items():
                if key.startswith("dropped ") and value.isdigit():
                    topic = key.removeprefix("dropped ").split(" (")[0]  # "audio (late)" is a drop of audio
                    total[_TOPICS.get(topic, topic)] += int(value)
        return total


def spent_s(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Processor time between two results of `GraphRun.cpu_s`, s; a process that ended in between counts nothing."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def shared_memory_mb(pids: Iterable[int]) -> float:
    """Summed proportional set size (shared pages count for each sharer in part), 10^6 bytes."""
    total = 0
    for pid in pids:
        with suppress(psutil.Error):
            total += psutil.Process(pid).memory_full_info().pss
    return total / 1e6


class GraphSpeech:
    """Lets the robot of a running graph say a text, and again when it has ended. `count`: texts said to the end."""

    def __init__(self, watch: GraphWatch, text: str) -> None:
        from rclpy.action import ActionClient

        self._kind = interface("reactdiff_ros/action/Say", "action")
        self._client = ActionClient(watch.node, self._kind, "say")
        self._text, self._asked = text, False
        self.count = 0

    def go_on(self) -> None:
        """Ask for the next one, where nothing is said."""
        if not self._asked and self._client.server_is_ready():
            self._asked = True
            self._client.send_goal_async(self._kind.Goal(text=self._text)).add_done_callback(self._accepted)

    def _accepted(self, goal: Any) -> None:
        goal.result().get_result_async().add_done_callback(self._ended)

    def _ended(self, answer: Any) -> None:
        self._asked = False
        self.count += not answer.result().result.aborted


class GraphRobot:
    """The robot of a running graph: listens to actuator/state through `watch`, and calls the actuator's services."""

    def __init__(self, watch: GraphWatch) -> None:
        self._watch = watch
        self.states: list[Any] = []
        """ActuatorState, in order of arrival."""
        spec = load_table().node(ACTUATOR).topic("actuator/state", "publishers")
        qos = qos_profile(load_table().qos[spec.qos])
        watch.tap(interface(spec.type, "msg"), spec.name, lambda message, _info: self.states.append(message), qos)

    @property
    def state(self) -> str:
        """As last reported; "" before the first report."""
        return str(self.states[-1].state) if self.states else ""

    @property
    def whole(self) -> bool:
        """Whether every joint takes part."""
        return bool(self.states) and not any(self.states[-1].joint_fault)

    def follows(self) -> bool:
        """Whether the servos follow the face."""
        return self.state == FOLLOWING

    def ask_to_follow(self) -> str:
        """Enable the robot, as a person would; a stop is cleared first. Returns why the actuator refuses, or ""."""
        try:
            if self.state == "stopped":
                self.reset()
            self.enable()
        except ReactdiffError as error:
            return str(error)
        return ""

    def enable(self, wanted: bool = True) -> str:
        """Give the robot torque, or take it; returns the actuator's answer.

        Raises:
            ReactdiffError: it refuses, or does not answer in ANSWER_S.
        """
        kind = interface("std_srvs/srv/SetBool", "srv")
        refused = f"the robot cannot be {'enabled' if wanted else 'disabled'}"
        return self._call(kind, "enable", kind.Request(data=wanted), refused, ANSWER_S)

    def reset(self, seconds: float = ANSWER_S) -> str:
        """Clear a stop of the robot, as a person would who knows its cause; returns the actuator's answer.

        Raises:
            ReactdiffError: it refuses, or does not answer within `seconds`.
        """
        kind = interface("std_srvs/srv/Trigger", "srv")
        return self._call(kind, "reset", kind.Request(), "the robot cannot be reset", seconds)

    def _call(self, kind: Any, service: str, request: Any, refused: str, seconds: float) -> str:
        client = self._watch.node.create_client(kind, f"{ACTUATOR}/{service}")
        try:
            end_s = time.monotonic() + seconds
            while not client.service_is_ready() and time.monotonic() < end_s:
                self._watch.spin(0.05)
            answer = client.call_async(request)
            while not answer.done() and time.monotonic() < end_s:
                self._watch.spin(0.05)
            if not answer.done():
                raise ReactdiffError("the robot's actuator does not answer", where=ACTUATOR)
            if not answer.result().success:
                raise ReactdiffError(refused, where=ACTUATOR, todo=answer.result().message)
            return str(answer.result().message)
        finally:
            self._watch.node.destroy_client(client)


def header_stamp_ns(serialized: bytes) -> int:
    """The stamp of a serialized message that begins with a header: 4 bytes of CDR encapsulation, then sec and nanosec.

    Reading a picture's stamp this way costs nothing; decoding the message would load the machine under test.
    """
    order = "<" if serialized[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(order + "iI", serialized, 4)
    return int(sec) * NS + int(nanosec)


class GraphRecorder:
    """Records publication times and stamps into `recording` while `watch` spins."""

    def __init__(self, watch: GraphWatch) -> None:
        self.recording = live.Recording()
        self.face_seen = False
        best_effort = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
        reliable = QoSProfile(depth=200)
        watch.tap(CompressedImage, live.PICTURES, self._picture, best_effort, raw=True)
        for kind, topic, qos in ((AudioChunk, "audio", best_effort), (PointStamped, "gaze_target", reliable)):
            watch.tap(kind, topic, partial(self._counted, topic), qos, raw=True)
        watch.tap(SpeakerFrame, live.SPEAKER, self._speaker, reliable)
        watch.tap(Reaction, live.REACTION, self._reaction, reliable)
        watch.tap(ExpressionFrame, live.EXPRESSION, self._expression, reliable)
        watch.tap(AudioChunk, "speech/audio", self._voice, best_effort)

    def _counted(self, topic: str, _message: bytes, info: dict[str, Any]) -> None:
        self._count(topic, info)

    def _count(self, topic: str, info: dict[str, Any]) -> int:
        when = published_ns(info)
        self.recording.published[topic].append(when)
        return when

    def _picture(self, message: bytes, info: dict[str, Any]) -> None:
        self.recording.pictures.append((self._count(live.PICTURES, info), header_stamp_ns(message)))

    def _speaker(self, message: Any, info: dict[str, Any]) -> None:
        self.face_seen = self.face_seen or bool(message.face_present)
        self.recording.speaker.append((self._count(live.SPEAKER, info), from_stamp(message.picture_stamp)))

    def _reaction(self, message: Any, info: dict[str, Any]) -> None:
        self.recording.reactions.append((self._count(live.REACTION, info), from_stamp(message.picture_stamp)))

    def _expression(self, message: Any, info: dict[str, Any]) -> None:
        stamps = (from_stamp(message.picture_stamp), from_stamp(message.reaction_picture_stamp))
        when = self._count(live.EXPRESSION, info)
        self.recording.expressions.append((when, *stamps))
        self.recording.jaws.append((when, float(message.coefficients[INDEX["jawOpen"]])))

    def _voice(self, message: Any, _info: dict[str, Any]) -> None:
        samples = np.array(message.samples, np.int16).reshape(-1, message.channels)
        self.recording.voice.append(Sound(from_stamp(message.header.stamp), message.sample_rate, samples))


def bench_live(
    options: LiveOptions, seconds: float, log: Callable[[str], None], stopped: Callable[[], bool] = lambda: False,
    visitor: Visitor | None = None, text: str = "",
) -> dict[str, Any]:  # fmt: skip
    """One run: start, wait until the graph is active, a face was seen (or 5 s) and 3 s more, measure, stop.

    Args:
        options: with a clip; if they name no ROS domain, a free one is chosen.
        seconds: length of the measured window.
        log: receives one sentence for every event that a user should know.
        stopped: asked several times a second; True ends the run.
        visitor: comes to the page, with the camera and the microphone of the graph.
        text: what the robot says during the run, again and again.

    Raises:
        ReactdiffError: the graph is not active after a minute, the robot does not speak, the visitor does not get in,
            or the run was stopped.
    """
    load_before = os.getloadavg()[0]
    with graph_run(options, log, stopped) as run:
        run.start()
        recorder = GraphRecorder(run.watch)
        if visitor is not None:
            run.until_visited(visitor)
        run.until_face_seen(recorder)
        speech = GraphSpeech(run.watch, text) if text else None
        if speech is not None:
            run.on_step = speech.go_on
        run.run_for(live.WARM_UP_S)
        if visitor is not None:
            visitor.begin()
        drops, cpu_s, began_s, begin_ns = run.dropped(), run.cpu_s(), time.monotonic(), time.time_ns()
        run.run_for(seconds)
        wall_s, end_ns = time.monotonic() - began_s, time.time_ns()
        cores = {node: spent / wall_s for node, spent in run.spent_s(cpu_s).items()}
        visited = visitor.figures() if visitor is not None else None
        if speech is not None and not speech.count:
            raise ReactdiffError("the robot did not speak", where="say", todo="start it with speech:=espeak-ng")
        rss_mb = shared_memory_mb(pid for members in run.processes().values() for pid in members)
        run.run_for(live.TAIL_NS / NS)
        supervisor = run.graph.supervisor
        restarts = {name: supervisor.restarts(name) for name in supervisor.names() if supervisor.restarts(name)}
        if restarts:
            log(f"nodes were restarted during the run: {restarts}")
        dropped = {topic: max(0, n - drops[topic]) for topic, n in run.dropped().items()}
        found = live.summary(
            recorder.recording, begin_ns, min(end_ns, begin_ns + to_ns(wall_s)), dropped=dropped, cores=cores,
            rss_mb=rss_mb, load_before=load_before,
        )  # fmt: skip
    if speech is not None:
        recording = recorder.recording
        inside = [sound for sound in recording.voice if begin_ns <= sound.stamp_ns and sound.end_ns < end_ns]
        found["speech"] = speech_figures(inside, recording.jaws)
    if visited is not None:
        found["visitor"] = {
            **visited,
            "face_ms": live.spread(visited["face_ms"]),
            "sounds_lost": dropped.get("audio", 0),
        }
    return found


SERVO_WARM_UP_S: Final = 6.0
"""The node's own figures are over the last 5 to 10 s."""
JITTER_MS: Final = 5.0
LATENCY_MS: Final = 15.0
"""Required 99th percentiles at 50 Hz with model and page running."""


def bench_actuator(
    options: LiveOptions, robot: str, seconds: float, log: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # fmt: skip
    """Start the graph, enable the robot, measure for `seconds`, stop.

    Args:
        options: what to run.
        robot: profile with servos, which are emulated.
        seconds: measured time.
        log: receives one sentence for every event that a user should know.
        stopped: asked several times a second; True ends the run.

    Returns:
        jitter_p99_ms: delay of commands after they were due, worst of the node's windows of 500 commands;
        latency_p99_median_ms and latency_p99_ms: from the stamp of an expression to the end of the first command that
        follows it, median and worst of the node's windows of 5 s; emulator_interval_p99_ms: deviation of the intervals
        between commands from the period, as received by the emulated servo (including the emulator's own scheduling).

    Raises:
        ReactdiffError: the graph is not active after a minute, or the robot does not follow.
    """
    load = os.getloadavg()[0]
    with graph_run(options, log, stopped, robot=robot) as run:
        run.start()
        run.until_active()
        run.until_robot_follows()
        run.run_for(SERVO_WARM_UP_S)
        states = run.robot.states
        first, since_s, stalls = len(states), time.monotonic(), int(states[-1].stalls)
        run.run_for(seconds)
        assert run.servos is not None
        times = [t for t in run.servos.times() if since_s <= t <= since_s + seconds]
        profile, counted = run.servos.profile, states[first:]
        with suppress(ReactdiffError):  # a robot that has stopped is released at the end of the graph
            run.robot.enable(False)
    if not counted or len(times) < 3:
        raise ReactdiffError("the actuator sent no commands during the measurement", where=ACTUATOR)
    jitter = [float(s.jitter_p99) for s in counted if math.isfinite(s.jitter_p99)]
    latency = [float(s.latency_p99) for s in counted if math.isfinite(s.latency_p99)]
    worst_jitter_ms, worst_latency_ms = max(jitter, default=math.nan), max(latency, default=math.nan)
    return {
        "robot": profile.name,
        "profile_rate_hz": profile.rate_hz,
        "rate_hz": (len(times) - 1) / (times[-1] - times[0]),
        "jitter_p99_ms": worst_jitter_ms,
        "latency_p99_median_ms": float(np.median(latency)) if latency else math.nan,
        "latency_p99_ms": worst_latency_ms,
        "emulator_interval_p99_ms": 1e3 * float(np.percentile(np.abs(np.diff(times) - 1.0 / profile.rate_hz), 99)),
        "following_share": float(np.mean([s.state == "following" for s in counted])),
        "asked_jitter_p99_ms": JITTER_MS,
        "asked_latency_p99_ms": LATENCY_MS,
        "held": worst_jitter_ms <= JITTER_MS and worst_latency_ms <= LATENCY_MS,
        "seconds": seconds,
        "load_before": load,
        "cores": os.cpu_count(),
        "stalls": int(counted[-1].stalls) - stalls,
    }
