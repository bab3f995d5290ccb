"""What a node reports of itself: problems, rates, its log, and a heartbeat once a second on ROS topics."""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MessageError, ReactdiffError, printable
from reactdiff_ros.messages import fill_header

try:
    from rclpy.event_handler import EventHandler
except ImportError:  # humble
    from rclpy.qos_event import QoSEventHandler as EventHandler

RATE_WINDOW_NS = NS
LATENCY_WINDOW_NS = 5 * NS
NEWS_NS = NS
"""Longest time for which a remark of another kind is held back."""
EVENTS_NS = NS // 10
"""How long of each second the executor looks for events of publishers and subscriptions."""
CLOCK = "clock"
"""Key of what is wrong with the node's own clock."""


class Level(IntEnum):
    """Levels as in diagnostic_msgs and ListenerStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


class Problem(NamedTuple):
    """One sentence that is true now."""

    level: Level
    sentence: str


class Health:
    """Problems by key: the worst one in force is what the node says of itself. Thread-safe."""

    def __init__(self) -> None:
        self._problems: dict[str, Problem] = {}
        self._lock = threading.Lock()
        self.last_error = ""
        """The last sentence of level ERROR, also after it was solved, or of a malformed message; empty: none so far."""

    def problem(self, key: str, sentence: str, level: Level) -> bool:
        """State a problem. True if this is news: nothing of that key was in force, or another sentence."""
        with self._lock:
            new = Problem(level, sentence)
            changed = self._problems.get(key) != new
            self._problems[key] = new
            if level is Level.ERROR:
                self.last_error = sentence
            return changed

    def solved(self, key: str) -> str | None:
        """The problem is over: its sentence, or None if there was none."""
        with self._lock:
            problem = self._problems.pop(key, None)
            return problem.sentence if problem else None

    def clear(self) -> None:
        """Forget all problems in force (not the last error)."""
        with self._lock:
            self._problems.clear()

    def __contains__(self, key: str) -> bool:
        return key in self._problems

    def summary(self, fine: str) -> Problem:
        """The worst problem in force, the clock's first, then the oldest; `fine` at level OK when there is none."""
        with self._lock:
            # A clock that does not run explains whatever else is missing.
            worst = max(self._problems.items(), key=lambda item: (item[1].level, item[0] == CLOCK), default=None)
            return worst[1] if worst else Problem(Level.OK, fine)


class Meter:
    """Outputs a second and their latency, over sliding windows of a steady clock. Thread-safe."""

    def __init__(self) -> None:
        self._outputs: deque[int] = deque(maxlen=1024)
        self._latencies: deque[tuple[int, float]] = deque(maxlen=1024)
        self._lock = threading.Lock()
        self.dropped: Counter[str] = Counter()

    def output(self, now_ns: int, latency_ms: float | None = None) -> None:
        """One output at `now_ns`; its latency, where it carries evidence."""
        with self._lock:
            self._outputs.append(now_ns)
            if latency_ms is not None:
                self._latencies.append((now_ns, latency_ms))

    def rate_hz(self, now_ns: int, window_ns: int = RATE_WINDOW_NS) -> float:
        """Outputs a second over the last second, or another time."""
        with self._lock:
            return sum(t > now_ns - window_ns for t in self._outputs) * NS / window_ns

    def latency_ms(self, now_ns: int) -> tuple[float, float]:
        """Median and 99th percentile over the last 5 s; NaN where there was none."""
        with self._lock:
            recent = [ms for t, ms in self._latencies if t > now_ns - LATENCY_WINDOW_NS]
        p50, p99 = np.percentile(recent, (50, 99)) if recent else (np.nan, np.nan)
        return float(p50), float(p99)


def status_message(
    meter: Meter, now_ns: int, steady_ns: int, settings: Mapping[str, Any], **fields: Any
) -> msg.ListenerStatus:
    """A status of these `fields`, settings as texts, and what the meter says now. `now_ns`: of the node's clock."""
    p50, p99 = meter.latency_ms(steady_ns)
    return msg.ListenerStatus(
        header=fill_header(Header(), now_ns), rate=meter.rate_hz(steady_ns), latency_p50=p50, latency_p99=p99,
        settings=[f"{name}={value}" for name, value in settings.items()], **fields,
    )  # fmt: skip


def newest(*stamps_ns: int | None) -> int | None:
    """The newest of the stamps that there are."""
    return max((stamp for stamp in stamps_ns if stamp is not None), default=None)


class Limiter:
    """Lets a repeated remark through at first and then at most once in PERIOD_NS of a steady clock.

    One of another kind than the last under the same key is news, and held back for less.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, str]] = {}

    def due(self, key: str, now_ns: int, kind: str = "") -> bool:
        """Whether to say it now."""
        last_ns, last_kind = self._last.get(key, (None, ""))
        if last_ns is not None and now_ns - last_ns < (PERIOD_NS if kind == last_kind else NEWS_NS):
            return False
        self._last[key] = now_ns, kind
        return True


STANDS_NS = 2 * NS
"""A simulated clock that did not move for this long is frozen."""
FAR_NS = NS
"""Evidence stamped further from the node's clock cannot drive the face."""
LONGEST_LOAD_NS = 8 * NS
"""No load makes evidence so late: a clock differs."""
STEADY_NS = 5 * NS
"""Under load some evidence arrives in time: if none did for this long, a clock differs."""


class ClockWatch:
    """Looks at a node's clock now and then. All arguments are ns: the node's clock, and a steady one."""

    def __init__(self) -> None:
        self._now_ns: int | None = None
        self._since_ns = 0
        self._standing_ns = 0
        self._stood_ns = 0

    def look(self, now_ns: int, steady_ns: int) -> None:
        """Once a second or oftener."""
        if now_ns != self._now_ns:
            self._stood_ns += self._standing_ns
            self._now_ns, self._since_ns, self._standing_ns = now_ns, steady_ns, 0
        else:
            self._standing_ns = steady_ns - self._since_ns

    def running_ns(self, steady_ns: int) -> int:
        """The steady clock without the time in which the node's clock was seen to stand still.

        For timeouts: while a bag is paused, nothing is missing.
        """
        return steady_ns - self._stood_ns - self._standing_ns

    def sentence(self) -> str:
        """What is wrong with the clock; empty when it runs."""
        if self._now_ns == 0:
            return (
                "waits for /clock, on which nothing comes: play a bag with its clock (ros2 bag play --clock 200), "
                "or start without use_sim_time"
            )
        if self._standing_ns >= STANDS_NS:
            return "/clock is frozen: the bag is paused or has ended"
        return ""


class StampWatch:
    """Compares the stamps of each topic with the node's clock: a load makes them late at times, a clock all of them."""

    def __init__(self) -> None:
        self._since_ns: dict[str, int] = {}

    def sentence(self, topic: str, late_ns: int, steady_ns: int) -> str:
        """What is wrong with evidence that is `late_ns` behind the node's clock (negative: ahead); empty: nothing."""
        if abs(late_ns) <= FAR_NS:
            self._since_ns.pop(topic, None)
            return ""
        since_ns = self._since_ns.setdefault(topic, steady_ns)
        if 0 < late_ns < LONGEST_LOAD_NS and steady_ns - since_ns < STEADY_NS:
            return f"{topic} arrives more than 1 s late: this machine is overloaded, stop other programs on it"
        return (
            f"{topic} is stamped more than 1 s away from this node's clock: start with use_sim_time:=true for a bag, "
            "or synchronise the clocks of the machines"
        )


NOTE: Final = "note"
"""The event of lines that belong to no problem."""
BURST: Final = 5
"""Lines of an event that pass within PERIOD_NS; lines without an event always pass."""
PERIOD_NS: Final = 10 * NS
MOST_EVENTS: Final = 1000
"""Events come from keys of the code, but topics are in some of them."""


class Repeats:
    """Counts lines by event on a steady clock. Thread-safe."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, int, int]] = {}
        self._lock = threading.Lock()

    def held_back(self, event: str, now_ns: int) -> int | None:
        """None: hold this line back; else say it, and how many were held back before it."""
        with self._lock:
            began_ns, said, held = self._windows.get(event, (now_ns, 0, 0))
            if now_ns - began_ns >= PERIOD_NS:
                began_ns, said = now_ns, 0
            if said >= BURST:
                self._windows[event] = (began_ns, said, held + 1)
                return None
            if len(self._windows) >= MOST_EVENTS and event not in self._windows:
                self._windows.clear()
            self._windows[event] = (began_ns, said + 1, 0)
            return held


class EventLog:
    """What a node's `get_logger` gives: rclpy's logger, with events.

    Args:
        logger: rclpy's.
        node: its whole name.
        as_json: write a JSON object a line with `write`; rclpy's console output is then off (`console_arguments`).
            None: as the environment says.
        write: takes a line without its end.
    """

    def __init__(
        self, logger: Any, node: str, as_json: bool | None = None, write: Callable[[str], None] | None = None
    ) -> None:  # fmt: skip
        self._logger, self._node = logger, node
        self._json = wants_json(os.environ) if as_json is None else as_json
        self._write = write or _to_stderr
        self._repeats = Repeats()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)

    # rclpy remembers where a line was logged, and refuses another severity from there: one call each.

    def info(self, sentence: str, event: str = NOTE) -> None:
        """Something that people may want to know."""
        if line := self._line("info", sentence, event):
            self._logger.info(line)

    def warning(self, sentence: str, event: str = NOTE) -> None:
        """Something that may be wrong."""
        if line := self._line("warning", sentence, event):
            self._logger.warning(line)

    def error(self, sentence: str, event: str = NOTE) -> None:
        """Something that is wrong."""
        if line := self._line("error", sentence, event):
            self._logger.error(line)

    def _line(self, level: str, sentence: str, event: str) -> str:
        sentence = printable(sentence)
        held = 0 if event == NOTE else self._repeats.held_back(f"{level} {event}", time.monotonic_ns())
        if held is None:
            return ""
        if self._json:
            entry = {"time": time.time(), "level": level, "node": self._node, "event": event, "sentence": sentence}
            self._write(json.dumps(entry | ({"suppressed": held} if held else {}), ensure_ascii=False))
        return f"{sentence} ({held} similar lines were suppressed)" if held else sentence


def wants_json(environment: Any) -> bool:
    """Whether the environment asks for JSON lines."""
    return str(environment.get("REACTDIFF_LOG", "")).strip().lower() == "json"


def console_arguments(args: list[str] | None, environment: Any) -> list[str] | None:
    """Arguments of rclpy.init: without its own lines on the console where those are JSON."""
    more = ["--ros-args", "--disable-stdout-logs"] if wants_json(environment) else []
    return [*(sys.argv if args is None else args), *more] if more else args


def _to_stderr(line: str) -> None:
    # One write: those of threads must not mix, and print makes two.
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


PASSING_NS = 5 * NS
"""How long an internal error, a dropped message or a wrong stamp stays in the diagnostics after its last occurrence."""
STUCK_WARN_S = 2.0
STUCK_SILENT_S = 5.0
"""A worker that is stuck for this long stops the heartbeat, so that the supervisor restarts the node."""
TWIN_S = 30.0
"""How long a second node of the same name must be seen: that of a killed process lingers for DDS's lease of 20 s."""
RATE_NS = 5 * NS
"""Window over which the rate of outputs is judged."""
SLOW, RECOVERED = 0.45, 0.55
"""Shares of the nominal rate below which a node is slow, and from which it is not; webcams halve it in dim light."""


class ReportingNode(LifecycleNode):  # type: ignore[misc]
    """Keeps the problems in force and the figures of a node, and publishes both: `listener/status` and `/diagnostics`.

    Both are published once a second and at every change. They are latched: late subscribers get the last one.
    """

    NAME: ClassVar[str]
    SLOW: ClassVar[str] = "less than half of the outputs come: this machine is overloaded, stop other programs on it"
    """What the diagnostics say if `nominal_hz` is missed by half for 5 s."""

    def __init__(self, name: str, qos: QoSProfile) -> None:
        super().__init__(name)
        self._log_events = EventLog(super().get_logger(), self.get_fully_qualified_name())
        self.life = "unconfigured"
        self.backend = ""
        self.values: dict[str, Any] = {}
        """Of the parameters, once they are declared."""
        self.workers: list[Any] = []
        self.health = Health()
        self.meter = Meter()
        self.clock_watch = ClockWatch()
        self._stamp_watch = StampWatch()
        self._limiter = Limiter()
        self._passing_ns: dict[str, int] = {}
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos)
        self._status = self.create_publisher(msg.ListenerStatus, "listener/status", qos)
        self._twin_since_ns: int | None = None
        self._rated_since_ns: int | None = None
        self._reporting_in = 0
        """The thread that is publishing a report now: a problem found meanwhile must not start another report."""

    @property
    def waitables(self) -> Iterator[Any]:
        """As rclpy's, but for a tenth of the time: without the events of publishers and subscriptions.

        There are up to four for each, which rarely come and can wait a second, and at every spin the executor puts each
        into a wait set. Without them a node that runs at 50 Hz needs a tenth to a fifth less.
        """
        events = self.steady_ns() % NS < EVENTS_NS
        return (item for item in super().waitables if events or not isinstance(item, EventHandler))

    # What a subclass reports

    def settings(self) -> dict[str, Any]:
        """Effective settings for the status."""
        return {n: v for n, v in self.values.items() if n != "autostart"}

    def figures(self) -> dict[str, str]:
        """Values for the diagnostics, in addition to state, rate and drops."""
        return {}

    def fine(self) -> str:
        """What the diagnostics say if there is no problem."""
        return "works"

    def nominal_hz(self) -> float:
        """Outputs per second that are due now; 0: none, or unknown."""
        return 0.0

    def observe_health(self) -> None:
        """Called before every report of an active node: state or solve problems that depend on time."""

    def counted(self, evidence_ns: int | None) -> None:
        """One output was published; its latency is since this stamp, None: it carries no (new) evidence."""
        self.meter.output(self.steady_ns(), None if evidence_ns is None else (self.now_ns() - evidence_ns) / 1e6)

    # Clocks and the log

    def get_logger(self) -> Any:
        """The node's log, whose lines have events; rclpy's own until the node is constructed."""
        return getattr(self, "_log_events", None) or super().get_logger()

    def now_ns(self) -> int:
        """The node's clock (simulated if use_sim_time is set)."""
        return int(self.get_clock().now().nanoseconds)

    def steady_ns(self) -> int:
        """A clock that never jumps, for watchdogs and rates."""
        return time.monotonic_ns()

    def running_ns(self) -> int:
        """As `steady_ns`, but stops while a simulated clock does: for timeouts of inputs."""
        return self.clock_watch.running_ns(self.steady_ns())

    def simulated(self) -> bool:
        """Whether the node's clock is /clock."""
        return bool(self.get_parameter("use_sim_time").value)

    # Problems

    def problem(self, key: str, sentence: str, level: Level = Level.ERROR) -> None:
        """State a problem in force: logged and published at once if it is new."""
        if self.health.problem(key, sentence, level):
            log = self.get_logger().error if level is Level.ERROR else self.get_logger().warning
            log(sentence, key)
            self.report()

    def solved(self, key: str, sentence: str = "") -> None:
        """The problem of this key is over."""
        was = self.health.solved(key)
        if was is not None:
            self.get_logger().info(sentence or f"solved: {was}", key)
            self.report()

    def set_problem(self, key: str, sentence: str, level: Level = Level.ERROR) -> None:
        """The problem of this key is in force while there is a sentence for it; empty: it is over."""
        if sentence:
            self.problem(key, sentence, level)
        else:
            self.solved(key)

    def dropped(self, topic: str, error: MessageError) -> None:
        """A message from outside was dropped: counted, and logged again every 10 s and for another reason."""
        self.meter.dropped[topic] += 1
        self.health.last_error = str(error)
        key, now = f"drop {topic}", self.steady_ns()
        self._passing_ns[key] = now
        if self._limiter.due(key, now, error.what) or key not in self.health:
            self.problem(key, f"dropped a message of {topic} ({self.meter.dropped[topic]} so far): {error}", Level.WARN)

    def failed(self, error: Exception, where: str = "worker") -> None:
        """Handle an exception of a callback or worker; the node goes on."""
        if isinstance(error, MessageError):
            self.dropped(where, error)
        elif isinstance(error, ReactdiffError):
            self.problem(where, str(error))
        elif self.context.ok():
            sentence = f"internal error in {where}: {type(error).__name__}: {error}"
            self._passing_ns["internal"] = self.steady_ns()
            self.health.problem("internal", sentence, Level.ERROR)
            if self._limiter.due(f"error {where}", self.steady_ns()):
                self.get_logger().error(sentence + "\n" + "".join(traceback.format_exception(error)), "internal")

    def check_clock(self, topic: str, stamp_ns: int) -> None:
        """Warn if evidence is stamped far from this node's clock, as when a bag is replayed without its time."""
        now, steady = self.now_ns(), self.steady_ns()
        if now == 0:
            return  # the first /clock is still to come
        sentence = self._stamp_watch.sentence(topic, now - stamp_ns, steady)
        if sentence:
            self._passing_ns[f"clock {topic}"] = steady
            self.problem(f"clock {topic}", sentence, Level.WARN)

    # Reports

    def worst_problem(self) -> Problem:
        """Level and sentence of the node now."""
        if self.life == "active":
            return self.health.summary(self.fine())
        problem = self.health.summary("configured, not active" if self.life == "inactive" else "not configured")
        return problem._replace(level=max(problem.level, Level.WARN))

    def report(self) -> None:
        """Check the node and publish its status and diagnostics; silent while a worker is stuck."""
        if self._reporting_in == threading.get_ident():
            return
        self._reporting_in = threading.get_ident()
        try:
            if not self._stuck():
                self._check()
                self._publish_report()
        finally:
            self._reporting_in = 0

    def _check(self) -> None:
        now = self.steady_ns()
        self._look_for_twin(now)
        self.clock_watch.look(self.now_ns(), now)
        self.set_problem(CLOCK, self.clock_watch.sentence(), Level.WARN)
        for key in [key for key, last_ns in list(self._passing_ns.items()) if now - last_ns > PASSING_NS]:
            del self._passing_ns[key]
            self.health.solved(key)
        if self.life == "active":
            self.observe_health()
        self._check_rate(now)

    def _publish_report(self) -> None:
        now = self.steady_ns()
        level, sentence = self.worst_problem()
        dropped = self.meter.dropped + sum((w.dropped for w in self.workers), Counter[str]())
        status = status_message(
            self.meter, self.now_ns(), now, self.settings(), stage=self.NAME, level=int(level), message=sentence,
            dropped=dropped.total(), backend=self.backend, last_error=self.health.last_error,
        )  # fmt: skip
        values = {"state": self.life, "rate_hz": f"{status.rate:g}", "dropped": str(status.dropped)}
        values |= self.figures()
        values |= {f"dropped {topic}": str(n) for topic, n in dropped.items()}
        device = self.values.get("device") or self.values.get("robot")
        hardware = f"{self.NAME.removesuffix('_node')} {device}" if device else platform.node()
        diagnostic = DiagnosticStatus(
            level=bytes([level]), name=self.get_fully_qualified_name().lstrip("/"), hardware_id=hardware,
            message=sentence, values=[KeyValue(key=k, value=v) for k, v in values.items()],
        )  # fmt: skip
        try:
            self._status.publish(status)
            self._diagnostics.publish(DiagnosticArray(header=status.header, status=[diagnostic]))
        except Exception:
            if self.context.ok():  # else ROS is being shut down
                raise

    def _stuck(self) -> bool:
        stuck_s = max((w.busy_s() for w in self.workers), default=0.0)
        if stuck_s > STUCK_WARN_S:
            sentence = f"{self.NAME} has worked on one input for {stuck_s:.0f} s"
            if self.health.problem("stuck", sentence, Level.ERROR):
                self.get_logger().error(sentence)
        else:
            self.health.solved("stuck")
        return stuck_s > STUCK_SILENT_S

    def _check_rate(self, now: int) -> None:
        nominal_hz = self.nominal_hz() if self.life == "active" else 0.0
        since_ns = now if self._rated_since_ns is None else self._rated_since_ns
        self._rated_since_ns = since_ns if nominal_hz > 0.0 else None
        rated = nominal_hz > 0.0 and now - since_ns >= RATE_NS
        enough = (RECOVERED if "rate" in self.health else SLOW) * nominal_hz
        self.set_problem("rate", self.SLOW if rated and self.meter.rate_hz(now, RATE_NS) < enough else "", Level.WARN)

    def _look_for_twin(self, now: int) -> None:
        own = (self.get_name(), self.get_namespace())
        twins = sum(found == own for found in self.get_node_names_and_namespaces())
        since_ns = now if self._twin_since_ns is None else self._twin_since_ns
        self._twin_since_ns = since_ns if twins > 1 else None
        if twins < 2:
            self.solved("twin")
        elif now - since_ns > TWIN_S * NS:
            name = self.get_fully_qualified_name()
            self.problem("twin", f"another node is called {name}: stop it or use another namespace")
