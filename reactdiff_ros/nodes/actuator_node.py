"""The robot's joints: the listener's face in, commands out, by a thread that never waits for ROS."""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

from reactdiff_ros import msg
from reactdiff_ros.actuation.actuation import Actuation, Face, Request, Status
from reactdiff_ros.actuation.follow import STALE_S
from reactdiff_ros.actuation.hardware import NOT_OPEN, Hardware, in_one_sentence, listed, make_drivers
from reactdiff_ros.actuation.kept_state import Kept
from reactdiff_ros.actuation.mapping import HeadReader
from reactdiff_ros.actuation.robot.calibration import Calibration, calibrated_joints, calibration_path, load_calibration
from reactdiff_ros.actuation.robot.profile import Profile, load_profile
from reactdiff_ros.actuation.schedule import Schedule
from reactdiff_ros.actuation.writers import Writers
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.process import ACTUATOR, BUS, prioritise, wider_than_this_machine
from reactdiff_ros.messages import expression_value, fill_head_pose, fill_header
from reactdiff_ros.msg import ExpressionFrame
from reactdiff_ros.nodes.base import ReactdiffNode, interface
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.settings import state_folder, written_path
from reactdiff_ros.types import EXPRESSION_RATE_HZ, HeadPose
from reactdiff_ros.worker import Worker

if TYPE_CHECKING:
    from reactdiff_ros.actuation.drivers.joint_trajectory import TrajectoryDriver


def state_message(
    profile: Profile, hardware: Hardware, status: Status, stamp_ns: int, *, rate_hz: float, jitter_ms: float,
    latency_ms: float,
) -> msg.ActuatorState:  # fmt: skip
    """Everything that is known of the robot now; the arrays have the profile's order."""
    commands = status.commands
    readings = [hardware.reading(name) for name in profile.joints]
    faults = commands.joint_faults if status.armed else status.faults
    unknown = math.nan
    return msg.ActuatorState(
        header=fill_header(Header(), stamp_ns), robot=profile.name, state=status.state, armed=status.armed,
        software_stop=status.software_stop, fault=commands.fault, message=status.message,
        obstacles=list(status.obstacles), joints=list(profile.joints),
        units=[str(joint.unit) for joint in profile.joints.values()], target=list(commands.target),
        command=list(commands.position), measured=status.measured, limited=commands.limited,
        torque=[on is not False for on in status.torque.values()],
        load=[unknown if r is None or r.load is None else float(r.load) for r in readings],
        temperature=[unknown if r is None or r.temperature_c is None else float(r.temperature_c) for r in readings],
        joint_fault=[faults.get(name, "") for name in profile.joints], rate=rate_hz, jitter_p99=jitter_ms,
        input_age=status.input_age_s if math.isfinite(status.input_age_s) else unknown, latency_p99=latency_ms,
        return_began=commands.return_began_s, return_took=commands.return_took_s, stalls=status.stalls,
    )  # fmt: skip


TO_SI: Final = {"rad": 1.0, "m": 1.0, "deg": math.pi / 180.0}
"""What a joint's unit is in rad or m. Pulses, counts and shares have no angle that a profile states."""


class JointStates:
    """Publishes from a separate thread: the one that ticks does not wait for DDS.

    Args:
        node: the actuator.
        publisher: of JointState.
        profile: its joints in rad, m or degrees are published, the others are left out.
    """

    def __init__(self, node: ActuatorNode, publisher: Any, profile: Profile) -> None:
        self._node, self._publisher = node, publisher
        joints = enumerate(profile.joints.items())
        self._joints = [(name, i, TO_SI[joint.unit]) for i, (name, joint) in joints if joint.unit in TO_SI]
        self._message = interface("sensor_msgs/msg/JointState", "msg")
        self._worker: Worker | None = None
        self._heard = False

    def start(self) -> None:
        """Begin; it ends with the node's deactivation."""
        self._worker = self._node.work(Worker("joints", self._publish, {"status": 1}, self._node.failed))

    def count_listeners(self) -> None:
        """Look whether there are subscribers."""
        self._heard = bool(self._joints) and self._publisher.get_subscription_count() > 0

    def send(self, status: Status) -> None:
        """Publish soon; the newest wins. Never waits."""
        if self._heard and self._worker is not None:
            self._worker.put("status", (self._node.now_ns(), status))

    def _publish(self, _kind: str, item: tuple[int, Status]) -> None:
        stamp_ns, status = item
        commands = status.commands
        message = self._message(
            header=fill_header(Header(), stamp_ns),
            name=[name for name, _, _ in self._joints],
            position=[si * commands.position[i] for _, i, si in self._joints],
            velocity=[si * commands.velocity[i] for _, i, si in self._joints],
        )
        self._node.publish(self._publisher, message)


PERIODS = 2.0
"""A controller is given this many periods to reach a point, so that the next one comes before it is there."""


class Controllers:
    """Carries commands from the bus' thread to the topics, in a separate thread: DDS may make it wait."""

    def __init__(self, node: ActuatorNode) -> None:
        self._node = node
        self._drivers: dict[str, TrajectoryDriver] = {}
        self._publishers: dict[str, Any] = {}
        self._worker: Worker | None = None

    def send(self, driver: str, names: list[str], positions: list[float]) -> None:
        """Publish soon; of commands that wait the newest wins. Never waits."""
        if self._worker is not None:
            self._worker.put(driver, (names, positions))

    def start(self, drivers: dict[str, TrajectoryDriver], rate_hz: float) -> None:
        """Make the topics. Raises ImportError where trajectory_msgs is missing."""
        if not drivers:
            return
        self._drivers = drivers
        self._trajectory = interface("trajectory_msgs/msg/JointTrajectory", "msg")
        self._point = interface("trajectory_msgs/msg/JointTrajectoryPoint", "msg")
        self._duration = interface("builtin_interfaces/msg/Duration", "msg")
        self._nanoseconds = int(1e9 * PERIODS / rate_hz)
        qos = self._node.qos["reliable"]
        for name, driver in drivers.items():
            self._publishers[name] = self._node.create_publisher(self._trajectory, driver.topic, qos)
        for topic in dict.fromkeys(driver.states_topic for driver in drivers.values()):
            self._node.follow(interface("sensor_msgs/msg/JointState", "msg"), topic, self._on_states(topic))
        self._worker = self._node.work(
            Worker("trajectories", self._publish, dict.fromkeys(drivers, 1), self._node.failed)
        )

    def stop(self) -> None:
        """Remove the publishers; the rest goes with the node's deactivation."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def count_listeners(self) -> None:
        """Tell the drivers whether a controller is there."""
        for name, driver in self._drivers.items():
            publisher = self._publishers.get(name)
            driver.listeners = 0 if publisher is None else publisher.get_subscription_count()

    def _on_states(self, topic: str) -> Any:
        def heard(message: Any) -> None:
            for driver in self._drivers.values():
                if driver.states_topic == topic:
                    driver.heard(message.name, message.position, time.monotonic())

        return heard

    def _publish(self, driver: str, command: tuple[list[str], list[float]]) -> None:
        names, positions = command
        seconds, nanoseconds = divmod(self._nanoseconds, 1_000_000_000)
        point = self._point(positions=positions, time_from_start=self._duration(sec=seconds, nanosec=nanoseconds))
        # A stamp of zero: begin at once.
        self._node.publish(self._publishers[driver], self._trajectory(joint_names=names, points=[point]))


LEAST_LEFT_S = 0.004
"""Measuring ends this long before the next tick."""
SWITCH_S = 0.0005
"""Python gives another thread its turn after this long; its default of 5 ms would be a quarter of a tick."""
PATIENCE_S = 6.0
"""While nothing moves the thread may wait this long for devices (a robot in the network) before it counts as stuck."""


class BusThread(Worker):
    """Ticks an actuation at its profile's rate until `stop`; then gives the devices back.

    Args:
        actuation: the robot.
        ticked: called with the status of every tick.
        failed: called with every exception, which ends nothing.
        before: called before every tick.
    """

    def __init__(
        self, actuation: Actuation, ticked: Callable[[Status], None], failed: Callable[[Exception, str], None],
        before: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__("bus", lambda *_: None, {}, failed)
        self._actuation, self._ticked, self._report = actuation, ticked, failed
        self._before = before
        self.schedule = Schedule(actuation.profile.rate_hz, time.monotonic())
        self.realtime = False

    def busy_s(self) -> float:
        """How long the thread has been working, beyond what it may take while nothing moves."""
        busy_s = super().busy_s()
        still = self._actuation.state.state in ("disarmed", "preparing", "stopped")
        return max(busy_s - PATIENCE_S, 0.0) if still else busy_s

    def _run(self) -> None:
        sys.setswitchinterval(SWITCH_S)
        self.realtime = prioritise(BUS)
        self.schedule = schedule = Schedule(self._actuation.profile.rate_hz, time.monotonic())
        try:
            while not self._stopping:
                left_s = schedule.due_s - time.monotonic()
                if left_s > 0.0:
                    time.sleep(left_s)
                self._busy_since = time.monotonic()
                self._once(schedule)
                self._busy_since = None
        finally:
            self._actuation.end()

    def _once(self, schedule: Schedule) -> None:
        began_s, waited_s = time.monotonic(), float("nan")
        try:
            self._before()
            status = self._actuation.tick(began_s)
            waited_s = status.waited_s
            self._ticked(status)
        except Exception as error:
            self._actuation.fail(f"internal error: {type(error).__name__}: {error}")
            self._report(error, "bus")
        schedule.ticked(began_s, waited_s)
        try:
            self._actuation.look(schedule.due_s - LEAST_LEFT_S - time.monotonic())
        except Exception as error:
            self._report(error, "bus")


EXPRESSION, STATE, JOINTS = "listener/expression", "actuator/state", "actuator/joint_states"
WRITERS_S = 0.2
FACES = 10
"""Expressions that wait for a tick: enough to see that two publishers send in turns."""
FLOOD_HZ = 4 * EXPRESSION_RATE_HZ
"""More faces than this are a mistake in the program that sends them."""
FLOOD_NEWS = 1.5
"""Another rate is reported when it differs by this factor."""
SAVE_S = 0.5
AUTO_S = 1.0
ANSWER_S = 1.0
"""How long a service waits for the thread's decision; then it says that it is under way."""
LOWER_S = 2.5
"""How long the end of the node waits for what is lowered: it is ended hard after 4 s."""
STALL_NS = 10 * NS
"""How long a stall stays in the diagnostics."""


class HeadPosePublisher:
    """Publishes where the head is, if the profile has one and its pose is known.

    Args:
        node: a node of the table that publishes `actuator/head_pose`; make it in `setup`.
        profile: the robot.
    """

    def __init__(self, node: Any, profile: Profile) -> None:
        self._node = node
        self._reader = HeadReader(profile) if profile.head is not None else None
        self._publisher = node.advertise("actuator/head_pose")
        self._last_s = -math.inf

    def publish(self, status: Status, hardware: Hardware, now_ns: int, steady_s: float) -> None:
        """After a tick; `now_ns` of the node's clock is `steady_s` of the drivers'. Nothing if nothing is new.

        A joint that cannot be measured counts at its commanded position while it has torque.
        """
        if self._reader is None:
            return
        measured = hardware.measured()
        commanded = zip(status.commands.position, status.commands.torque, strict=True)
        pose = self._reader.pose(measured, [position if torque else math.nan for position, torque in commanded])
        if pose is None:
            return
        readings = [hardware.reading(joint) for joint in self._reader.joints]
        times = [r.time_s for r in readings if r is not None and r.position is not None]
        time_s = sum(times) / len(times) if times else status.time_s
        if time_s <= self._last_s:
            return
        self._last_s = time_s
        stamp_ns = now_ns - round((steady_s - time_s) * NS)
        self._node.publish(self._publisher, fill_head_pose(PoseStamped(), HeadPose(stamp_ns, pose.astype(np.float32))))


class ActuatorNode(ReactdiffNode):
    """`listener/expression` in, the robot's joints out, `actuator/state`. Active is watching; ~/enable gives torque."""

    NAME = "actuator_node"

    def setup(self) -> None:
        """Read the profile, and what was kept of the last run."""
        self._profile: Profile = load_profile(str(self.values["robot"]))
        self._reach = wider_than_this_machine(os.environ)
        self.set_problem("discovery", self._reach, Level.WARN)
        folder = state_folder(str(self.values["state_dir"]), "robots")
        self._kept = Kept(folder, self._profile.name, self._profile.joints)
        self._states = self.advertise(STATE)
        self._joints = JointStates(self, self.advertise(JOINTS), self._profile)
        self._head = HeadPosePublisher(self, self._profile)
        self.backend = ",".join(driver.type for driver in self._profile.drivers.values())

    def start(self) -> None:
        """Watch the hardware, without torque."""
        profile = self._profile
        self._thread: BusThread | None = None
        calibrations, problem = self._calibrations()
        self._controllers = Controllers(self)
        drivers: dict[str, Any] = make_drivers(
            profile, calibrations, time.monotonic, send=self._controllers.send, resolve=self.resolve_topic_name,
            lock_folder=written_path(str(self.values["lock_dir"])) if self.values["lock_dir"] else None,
            answer_s=float(self.values["answer_ms"]) / 1000.0,
        )  # fmt: skip
        topics = {name: drivers[name] for name, config in profile.drivers.items() if config.type == "joint_trajectory"}
        self._actuation = Actuation(
            profile, Hardware(profile, drivers, time.monotonic, time.sleep), time.monotonic,
            saved=self._kept.commands(), stopped=self._kept.stopped,
            uncalibrated=tuple(j for j in calibrated_joints(profile) if j not in calibrations),
        )  # fmt: skip
        self._actuation.obstacle("calibration", problem)
        self._reported = ("", 0, float("nan"))
        self._stall_ns = 0
        self._writers = {topic: Writers(topic) for topic in (EXPRESSION, *(t.topic for t in topics.values()))}
        self._controllers.start(topics, profile.rate_hz)
        self._changed = self.create_guard_condition(self._guarded(STATE, self._publish_state))
        self._last_state = self._actuation.state.state
        self._look_for_writers()
        self._faces = self.poll(EXPRESSION, depth=FACES, raw=True)
        self._polled_s, self._flood_hz = time.monotonic(), 0.0
        self._thread = BusThread(self._actuation, self._ticked, self.failed, self._guarded(EXPRESSION, self._take_face))
        self.work(self._thread)
        self._joints.start()
        self.work(Worker("keeper", lambda *_: None, {}, self.failed, tick=self._keep, tick_s=SAVE_S))
        self.serve("~/enable", self._on_enable)
        self.serve("~/software_stop", self._on_stop)
        self.serve("~/reset", self._on_reset)
        self.every(1.0 / float(self.values["state_hz"]), self._publish_state)
        self.every(WRITERS_S, self._look_for_writers)
        if profile.head is not None:
            self.every(1.0 / profile.rate_hz, self._publish_head)
        self._auto = bool(self.values["auto_enable"])
        if self._auto:
            self.every(AUTO_S, self._auto_enable)

    def stop(self) -> None:
        """Lower what would fall, let go, give the ports back."""
        thread, self._thread = getattr(self, "_thread", None), None
        if thread is not None:
            leave = self._actuation.request("leave")
            until_s = time.monotonic() + LOWER_S
            while not leave.done or (self._actuation.state.armed and not self._holds()):
                if time.monotonic() > until_s:
                    break
                time.sleep(0.01)
            if self._actuation.state.armed or any(self._actuation.state.torque.values()):
                self.get_logger().warning("not everything was let go: what would fall or was stopped holds")
            thread.stop()
            self._keep()
        if hasattr(self, "_controllers"):
            self._controllers.stop()
        changed = self.__dict__.pop("_changed", None)
        if changed is not None:
            self.destroy_guard_condition(changed)

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        return self._actuation.state.message if hasattr(self, "_actuation") else "works"

    def settings(self) -> dict[str, Any]:
        """Effective settings, and the figures of the thread."""
        given, thread = super().settings(), getattr(self, "_thread", None)
        if thread is None:
            return given
        commands = self._actuation.state.commands
        return given | {
            "profile_rate_hz": self._profile.rate_hz, "realtime": thread.realtime,
            "jitter_p99_ms": f"{1000.0 * thread.schedule.jitter_p99_s():.2f}",
            "return_began_s": f"{commands.return_began_s:.3f}", "return_took_s": f"{commands.return_took_s:.3f}",
        }  # fmt: skip

    def observe_health(self) -> None:
        """One problem for each kind of fault, in force as long as it lasts."""
        if getattr(self, "_reach", ""):
            # Set again: of warnings the oldest is what the node reports, and this one never ends.
            self.health.solved("discovery")
            self.health.problem("discovery", self._reach, Level.WARN)
        if getattr(self, "_thread", None) is None:
            return
        status = self._actuation.state
        self.set_problem("robot", status.message if status.commands.fault else "")
        stopped = "stopped by a person: ~/reset clears it" if status.software_stop else ""
        self.set_problem("software_stop", stopped, Level.WARN)
        on = [name for name, has in status.torque.items() if has and status.state == "disarmed"]
        held = f"{listed(on)}: torque is on although the robot is disarmed, ~/enable false lets go" if on else ""
        self.set_problem("torque", held, Level.WARN)
        wrong = status.commands.joint_faults if status.armed else status.faults
        wrong = {joint: text for joint, text in wrong.items() if text != NOT_OPEN}
        self.set_problem("joints", f"without {in_one_sentence(wrong)}" if wrong else "")
        others = [sentence for sentence in status.obstacles if sentence != in_one_sentence(status.faults)]
        self.set_problem("obstacles", f"cannot be enabled: {'; '.join(others)}" if others else "", Level.WARN)
        rate_hz = self._writers[EXPRESSION].rate_hz
        if not self._flood_hz / FLOOD_NEWS < rate_hz < self._flood_hz * FLOOD_NEWS:
            self._flood_hz = rate_hz
        flood = f"faces come at {self._flood_hz:,.0f} Hz on {EXPRESSION}: the newest of every tick is taken"
        self.set_problem("flood", flood if self._flood_hz > FLOOD_HZ else "", Level.WARN)
        stale = status.armed and status.state in ("returning", "following") and status.input_age_s >= STALE_S
        self.set_problem("input", f"nothing comes on {EXPRESSION}: neutral" if stale else "", Level.WARN)
        if self._stall_ns and self.steady_ns() - self._stall_ns > STALL_NS:
            self._stall_ns = 0
            self.solved("stall")

    def follow(self, kind: Any, topic: str, callback: Any) -> None:
        """Subscribe to a topic that the profile names, until deactivation; also to who gives no guarantees."""
        entity = self.create_subscription(kind, topic, self._guarded(topic, callback), self.qos["sensor"])
        self._active_entities.append((self.destroy_subscription, entity))

    # Topics and services, in ROS' thread.

    def _on_enable(self, request: Any, response: Any) -> Any:
        self._look_for_writers()
        return self._answer(self._actuation.request("enable" if request.data else "disable"), response)

    def _on_stop(self, _request: Any, response: Any) -> Any:
        request = self._actuation.request("software_stop")
        unkept = self._keep_stop()  # meanwhile the bus' thread stops the robot
        self._answer(request, response).message += unkept
        return response

    def _on_reset(self, _request: Any, response: Any) -> Any:
        self._answer(self._actuation.request("reset"), response).message += self._keep_stop()
        return response

    def _keep_stop(self) -> str:
        """Wait until the disk has that the robot is stopped, or is not; what to add to an answer where it has not."""
        try:
            self._kept.keep_stop(lambda: self._actuation.stopped)
        except ReactdiffError as error:
            return f", but {error}"
        return ""

    @staticmethod
    def _answer(request: Request, response: Any) -> Any:
        decided = request.wait(ANSWER_S)
        response.success = request.granted if decided else True
        response.message = request.answer if decided else f"under way: see {STATE}"
        return response

    def _auto_enable(self) -> None:
        """Enable as soon as it can be, once after every start of the computer: not again after a crash."""
        status = self._actuation.state
        if self._auto and status.state == "disarmed" and not status.obstacles and status.input_age_s < STALE_S:
            self._auto = False
            try:
                if self._kept.first_since_boot():
                    self._actuation.request("enable")
                else:
                    self.get_logger().warning("auto_enable has acted since this computer was started: use ~/enable")
            except ReactdiffError as error:
                self.problem("auto_enable", str(error), Level.WARN)

    def _look_for_writers(self) -> None:
        now_s, fatal = time.monotonic(), ""
        for topic, writers in self._writers.items():
            finding = writers.look(self.get_publishers_info_by_topic(topic), now_s)
            self._actuation.obstacle(topic, finding.sentence)
            self.set_problem(f"writers {topic}", finding.sentence)
            fatal = fatal or (finding.sentence if finding.now else "")
        if fatal:
            self._actuation.fail(fatal)
        self._controllers.count_listeners()
        self._joints.count_listeners()

    def _publish_state(self) -> None:
        thread = self._thread
        if thread is None:
            return
        status = self._actuation.state
        self._report_changes(status)
        _, latency_ms = self.meter.latency_ms(self.steady_ns())
        message = state_message(
            self._profile, self._actuation.hardware, status, self.now_ns(), rate_hz=thread.schedule.rate_hz(),
            jitter_ms=1000.0 * thread.schedule.jitter_p99_s(), latency_ms=latency_ms,
        )  # fmt: skip
        self.publish(self._states, message)

    def _publish_head(self) -> None:
        if self._thread is not None:
            actuation = self._actuation
            self._head.publish(actuation.state, actuation.hardware, self.now_ns(), time.monotonic())

    def _report_changes(self, status: Status) -> None:
        """In the log and the diagnostics, when it is news."""
        commands = status.commands
        state, stalls, took_s = self._reported
        self._reported = (status.state, status.stalls, commands.return_took_s)
        if status.stalls > stalls:
            self._stall_ns = self.steady_ns()
            self.problem("stall", "the program stalled: the robot continued from its measured position", Level.WARN)
        began_s, now_took_s = commands.return_began_s, commands.return_took_s
        if math.isfinite(began_s) and math.isfinite(now_took_s) and now_took_s != took_s:
            self.get_logger().info(
                f"no face came: the return to neutral began {began_s:.3f} s after the last one, "
                f"and took {now_took_s:.3f} s"
            )
        if status.state != state:
            self.get_logger().info(f"{status.state}: {status.message}")
            self.report()

    # In other threads.

    def _take_face(self) -> None:
        """In the bus' thread, before a tick: the newest face. Older ones are counted, not read: there may be many."""
        last_s, self._polled_s = self._polled_s, time.monotonic()
        arrived = self._faces.take()
        for _, info in arrived:
            self._writers[EXPRESSION].heard(info.get("publication_sequence_number"))
        if not arrived:
            return
        data, info = arrived[-1]
        frame = expression_value(deserialize_message(data, ExpressionFrame))
        # It came since the last look, however the system's clock was set meanwhile.
        age_s = min(max((time.time_ns() - info["received_timestamp"]) / NS, 0.0), self._polled_s - last_s)
        transit_s = (self.now_ns() - frame.stamp_ns) / NS - age_s
        self._actuation.take(Face(frame.coefficients, self._polled_s - age_s, transit_s))

    def _ticked(self, status: Status) -> None:
        """In the bus' thread: nothing here may wait."""
        latency_s = status.latency_s
        self.meter.output(self.steady_ns(), 1000.0 * latency_s if math.isfinite(latency_s) else None)
        self._joints.send(status)
        if status.state != self._last_state:
            self._last_state = status.state
            self._changed.trigger()

    def _keep(self) -> None:
        """In the keeper's thread: disks are slow."""
        try:
            self._kept.keep_stop(lambda: self._actuation.stopped)
            self._kept.keep_commands(self._actuation.to_save())
        except ReactdiffError as error:
            self.problem("kept", str(error), Level.WARN)
        else:
            self.solved("kept")

    def _holds(self) -> bool:
        """Stopped, at rest: nothing will be let go any more without a reset."""
        status = self._actuation.state
        return status.state == "stopped" and not any(status.commands.velocity)

    def _calibrations(self) -> tuple[dict[str, Calibration], str]:
        """The calibrations of this robot, and what is wrong with their file."""
        given = str(self.values["calibration"])
        try:
            path = written_path(given) if given else calibration_path(self._profile.name)
            return load_calibration(path), ""
        except ReactdiffError as error:
            return {}, str(error)


def main() -> int:
    """Run the node."""
    prioritise(ACTUATOR)
    try:
        return run(ActuatorNode)
    finally:
        gc.unfreeze()  # else ruckig's binding says on stderr, at the end, that it leaks
