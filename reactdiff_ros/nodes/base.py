"""What every node is: a lifecycle node made from the table, with autostart, diagnostics and honest errors."""

from __future__ import annotations

import gc
import importlib
import time
import traceback
from collections.abc import Callable
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from .. import msg
from ..clock import NS
from ..errors import ConfigError, MessageError, ReactdiffError
from . import table
from .convert import header
from .health import Health, Level, Limiter, Meter
from .worker import Worker

STUCK_WARN_S = 2.0
STUCK_SILENT_S = 5.0
"""A worker that is stuck for so long takes the heartbeat away, so that the supervisor starts the node again."""
TWIN_S = 30.0
"""How long a second node of the same name must be seen: that of a killed process lingers for DDS's lease of 20 s."""
INTERNAL_NS = 5 * NS
"""How long an internal error stays in the diagnostics after it last came."""
CLOCK_GAP_NS = NS
"""Evidence that is stamped so far from the node's clock cannot drive the face."""

_RETURN = TransitionCallbackReturn


def interface(name: str, kind: str) -> Any:
    """The class of an interface, `package/kind/Name` or `package/Name`. Raises ImportError where it is missing."""
    package, *_, interface_name = name.split("/")
    module = importlib.import_module(f"{package}.{kind}")
    try:
        return getattr(module, interface_name)
    except AttributeError as error:
        raise ImportError(f"{package} has no {interface_name}") from error


class ReactdiffNode(LifecycleNode):
    """Base of all nodes. A subclass names its entry of the table and fills in the four hooks.

    `setup` (configure: settings, rooms), `start` (activate: subscriptions, timers, threads), `stop` (deactivate) and
    `teardown` (cleanup). Publishers come from `advertise` in `setup`; subscriptions, services and timers from
    `subscribe`, `serve` and `every` in `start`, and are destroyed by deactivation. What goes wrong in a callback is
    caught: one sentence for the user's mistakes, a traceback in the log for ours, and the node goes on.

    Raises:
        ConfigError: a start value of a parameter is of the wrong type or out of range.
    """

    NAME: ClassVar[str]

    def __init__(self) -> None:
        self.spec = table.load_table().node(self.NAME)
        super().__init__(self.NAME)
        self.health = Health()
        self.meter = Meter()
        self.backend = ""
        self._limiter = Limiter()
        self._state = "unconfigured"
        self._workers: list[Worker] = []
        self._qos = {name: _qos(q) for name, q in table.load_table().qos.items()}
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._active_entities: list[tuple[str, Any]] = []
        self._publishers_by_name: dict[str, Any] = {}
        self._twin_since_ns: int | None = None
        self._internal_ns = 0
        self.values: dict[str, Any] = {}
        self._declare()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", self._qos["reliable"])
        self._status = self.create_publisher(msg.ListenerStatus, "listener/status", self._qos["reliable"])
        self.create_timer(1.0, self._guarded("status", self._beat), clock=self._steady)
        self._refuse_impossible_transitions()

    # Hooks

    def setup(self) -> None:
        """Configure. A ReactdiffError fails the transition with its sentence; a missing device must not raise."""

    def start(self) -> None:
        """Activate."""

    def stop(self) -> None:
        """Deactivate: must work after a `start` that failed half-way."""

    def teardown(self) -> None:
        """Clean up: must work after a `setup` that failed half-way."""

    def changed(self, name: str, value: Any) -> None:
        """A parameter that is not read-only was set while the node is configured."""

    def settings(self) -> dict[str, Any]:
        """Effective settings for the status."""
        return {n: v for n, v in self.values.items() if n != "autostart"}

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        return "works"

    def observe_health(self) -> None:
        """Called before every status: state or solve problems that come with time."""

    # For subclasses

    def now_ns(self) -> int:
        """The node's clock (simulated where use_sim_time says so)."""
        return int(self.get_clock().now().nanoseconds)

    def steady_ns(self) -> int:
        """A clock that never jumps, for watchdogs and rates."""
        return time.monotonic_ns()

    def advertise(self, topic: str) -> Any:
        """The publisher of a topic of the table, made once; it is silent unless the node is active."""
        if topic not in self._publishers_by_name:
            spec = self.spec.topic(topic, "publishers")
            self._publishers_by_name[topic] = self.create_lifecycle_publisher(
                interface(spec.type, "msg"), topic, self._qos[spec.qos]
            )
        return self._publishers_by_name[topic]

    def subscribe(self, topic: str, callback: Callable[[Any], None]) -> Any:
        """Subscribe to a topic of the table until deactivation. Raises ImportError if its package is missing."""
        spec = self.spec.topic(topic, "subscribers")
        entity = self.create_subscription(
            interface(spec.type, "msg"), topic, self._guarded(topic, callback), self._qos[spec.qos]
        )
        self._active_entities.append(("subscription", entity))
        return entity

    def serve(self, name: str, callback: Callable[[Any, Any], Any]) -> None:
        """Offer a service of the table until deactivation; errors are answered with success false and a sentence."""
        spec = next(s for s in self.spec.services if s.name == name)

        def answer(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except ReactdiffError as error:
                response.success, response.message = False, str(error)
            except Exception as error:
                self.failed(error, name)
                response.success, response.message = False, f"{name} failed, see the log"
            return response

        self._active_entities.append(("service", self.create_service(interface(spec.type, "srv"), name, answer)))

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back at this period of the steady clock until deactivation."""
        timer = self.create_timer(seconds, self._guarded("timer", callback), clock=self._steady)
        self._active_entities.append(("timer", timer))

    def work(self, worker: Worker) -> Worker:
        """Start a worker and watch it until deactivation."""
        self._workers.append(worker)
        worker.start()
        return worker

    def publish(self, publisher: Any, message: Any) -> None:
        """Publish from any thread; when ROS is being shut down meanwhile, nothing."""
        try:
            publisher.publish(message)
        except Exception:
            if self.context.ok() and self._state == "active":
                raise

    def problem(self, key: str, sentence: str, level: Level = Level.ERROR) -> None:
        """State a problem in force: logged and published at once when it is news."""
        if self.health.problem(key, sentence, level):
            log = self.get_logger().error if level is Level.ERROR else self.get_logger().warning
            log(sentence)
            self._beat()

    def solved(self, key: str, sentence: str = "") -> None:
        """The problem of this key is over."""
        was = self.health.solved(key)
        if was is not None:
            self.get_logger().info(sentence or f"solved: {was}")
            self._beat()

    def dropped(self, topic: str, error: MessageError) -> None:
        """A message from outside was dropped: counted, said at first and at most every 10 s."""
        self.meter.dropped[topic] += 1
        self.health.note_error(str(error))
        if self._limiter.due(f"drop {topic}", self.steady_ns()):
            self.get_logger().warning(f"dropped a message of {topic} ({self.meter.dropped[topic]} so far): {error}")

    def failed(self, error: Exception, where: str = "worker") -> None:
        """Whatever a callback or worker raised: it ends nothing."""
        if isinstance(error, MessageError):
            self.dropped(where, error)
        elif isinstance(error, ReactdiffError):
            self.problem(where, str(error))
        elif self.context.ok():
            sentence = f"internal error in {where}: {type(error).__name__}: {error}"
            self._internal_ns = self.steady_ns()
            self.health.problem("internal", sentence, Level.ERROR)
            if self._limiter.due(f"error {where}", self.steady_ns()):
                self.get_logger().error(sentence + "\n" + "".join(traceback.format_exception(error)))

    def check_clock(self, topic: str, stamp_ns: int) -> None:
        """Say so when evidence is stamped far from this node's clock, as when a bag is replayed without its time."""
        gap_ns = abs(self.now_ns() - stamp_ns)
        if gap_ns > CLOCK_GAP_NS:
            self.problem(
                f"clock {topic}",
                f"{topic} is stamped more than 1 s away from this node's clock: start with use_sim_time:=true for a "
                "bag, or synchronise the clocks of the machines",
                Level.WARN,
            )
        else:
            self.solved(f"clock {topic}")

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle callback."""
        return self._transition("inactive", "unconfigured", self.setup, super().on_configure, state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle callback."""
        result = self._transition("active", "inactive", self._start, super().on_activate, state)
        gc.collect()
        gc.freeze()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle callback."""
        return self._transition("inactive", "inactive", self._stop, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle callback."""
        return self._transition("unconfigured", "unconfigured", self.teardown, super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle callback."""
        return self._transition("finalized", "finalized", self._end, super().on_shutdown, state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle callback: after an internal error the node is as at its start."""
        self._transition("unconfigured", "unconfigured", self._end, super().on_error, state)
        return _RETURN.SUCCESS

    def close(self) -> None:
        """End in order, from whatever state: the last transition, then silence."""
        if self._state != "finalized":
            try:
                self.trigger_shutdown()
            except Exception:
                self._end()

    def start_by_itself(self) -> None:
        """With autostart: configure and activate."""
        if self.values["autostart"] and self.trigger_configure() == _RETURN.SUCCESS:
            self.trigger_activate()

    def _refuse_impossible_transitions(self) -> None:
        """Answer a request for an impossible transition with success false: rclpy's own service raises on it."""
        service = self._service_change_state
        change = service.callback

        def guarded(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except Exception:
                wanted = request.transition.label or request.transition.id
                self.get_logger().warning(f"transition {wanted} is not possible while the node is {self._state}")
                response.success = False
                return response

        service.callback = guarded

    def _transition(
        self,
        to: str,
        else_to: str,
        hook: Callable[[], None],
        entities: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
    ) -> TransitionCallbackReturn:
        key = "transition"
        try:
            hook()
            result = entities(state)
            self._state = to
            self.health.solved(key)
            self.get_logger().info(f"{to}: {self._summary()[1]}" if to == "active" else to)
        except ReactdiffError as error:
            self._state, result = else_to, _RETURN.FAILURE
            self.problem(key, str(error))
        except Exception as error:
            self._state, result = else_to, _RETURN.ERROR
            self.failed(error, f"the transition to {to}")
            self.problem(key, f"the transition to {to} failed: {type(error).__name__}: {error}")
        self._beat()
        return result

    def _start(self) -> None:
        # Publishers are enabled by the managed entities, which rclpy activates after this; a worker may be faster.
        for publisher in self._publishers_by_name.values():
            publisher.on_activate(None)
        try:
            self.start()
        except Exception:
            self._stop()
            raise

    def _stop(self) -> None:
        try:
            self.stop()
        finally:
            for worker in self._workers:
                worker.stop()
                self.meter.dropped.update(worker.dropped)
            self._workers.clear()
            destroy = {
                "subscription": self.destroy_subscription,
                "service": self.destroy_service,
                "timer": self.destroy_timer,
            }
            for kind, entity in self._active_entities:
                destroy[kind](entity)
            self._active_entities.clear()
            self.health.clear()

    def _end(self) -> None:
        try:
            self._stop()
        finally:
            self.teardown()

    # Parameters

    def _declare(self) -> None:
        self.add_on_set_parameters_callback(self._check_parameters)
        for spec in self.spec.parameters:
            descriptor = _descriptor(spec)
            try:
                self.declare_parameter(spec.name, spec.default, descriptor)
            except (InvalidParameterTypeException, InvalidParameterValueException):
                value = spec.checked(self._override(spec.name))
                self.declare_parameter(spec.name, value, descriptor, ignore_override=True)
            self.values[spec.name] = self.get_parameter(spec.name).value

    def _override(self, name: str) -> Any:
        """The start value that was given for a parameter, of whatever type."""
        self.remove_on_set_parameters_callback(self._check_parameters)
        value = self.declare_parameter(name, None, ParameterDescriptor(dynamic_typing=True)).value
        self.undeclare_parameter(name)
        self.add_on_set_parameters_callback(self._check_parameters)
        return value

    def _check_parameters(self, parameters: list[RosParameter]) -> SetParametersResult:
        accepted: dict[str, Any] = {}
        for parameter in parameters:
            if parameter.name not in {p.name for p in self.spec.parameters}:
                continue
            spec = self.spec.parameter(parameter.name)
            if parameter.name in self.values and spec.read_only and self._state != "unconfigured":
                reason = f"{spec.name} can be changed only while the node is unconfigured: deactivate and clean it up"
                return SetParametersResult(successful=False, reason=reason)
            try:
                accepted[spec.name] = spec.checked(parameter.value)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
        known = {name: value for name, value in accepted.items() if name in self.values}
        self.values.update(known)
        if self._state in ("inactive", "active"):
            for name, value in known.items():
                self.changed(name, value)
        return SetParametersResult(successful=True)

    # Status

    def _guarded(self, where: str, callback: Callable[..., None]) -> Callable[..., None]:
        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self.failed(error, where)

        return guarded

    def _summary(self) -> tuple[Level, str]:
        if self._state == "active":
            problem = self.health.summary(self.fine())
        else:
            problem = self.health.summary("configured, not active" if self._state == "inactive" else "not configured")
        level = problem.level if self._state == "active" else max(problem.level, Level.WARN)
        return level, problem.sentence

    def _beat(self) -> None:
        """Publish status and diagnostics, the node's heartbeat."""
        stuck_s = max((w.busy_s() for w in self._workers), default=0.0)
        if stuck_s > STUCK_SILENT_S:
            return
        if stuck_s > STUCK_WARN_S:
            self.health.problem("stuck", f"{self.NAME} has worked on one input for {stuck_s:.0f} s", Level.ERROR)
        else:
            self.health.solved("stuck")
        self._look_for_twin()
        if self.steady_ns() - self._internal_ns > INTERNAL_NS:
            self.health.solved("internal")
        if self.now_ns() == 0:
            self.problem("clock", "waits for /clock, on which nothing comes (use_sim_time is set)", Level.WARN)
        else:
            self.solved("clock")
        if self._state == "active":
            self.observe_health()
        level, sentence = self._summary()
        now = self.steady_ns()
        dropped = self.meter.dropped + sum((w.dropped for w in self._workers), type(self.meter.dropped)())
        status = msg.ListenerStatus(
            header=header(self.now_ns()),
            stage=self.NAME,
            level=int(level),
            message=sentence,
            rate=self.meter.rate_hz(now),
            dropped=dropped.total(),
            backend=self.backend,
            settings=[f"{n}={v}" for n, v in self.settings().items()],
            last_error=self.health.last_error,
        )
        status.latency_p50, status.latency_p99 = self.meter.latency_ms(now)
        self.publish_always(self._status, status)
        values = {"state": self._state, "rate_hz": f"{status.rate:g}", "dropped": str(status.dropped)}
        values |= {f"dropped {topic}": str(n) for topic, n in dropped.items()}
        diagnostic = DiagnosticStatus(
            level=bytes([level]),
            name=self.get_fully_qualified_name().lstrip("/"),
            hardware_id="reactdiff_ros",
            message=sentence,
            values=[KeyValue(key=k, value=v) for k, v in values.items()],
        )
        self.publish_always(self._diagnostics, DiagnosticArray(header=status.header, status=[diagnostic]))

    def publish_always(self, publisher: Any, message: Any) -> None:
        """Publish in any state of the lifecycle; when ROS is being shut down meanwhile, nothing."""
        try:
            publisher.publish(message)
        except Exception:
            if self.context.ok():
                raise

    def _look_for_twin(self) -> None:
        own = (self.get_name(), self.get_namespace())
        twins = sum(found == own for found in self.get_node_names_and_namespaces())
        now = self.steady_ns()
        if twins < 2:
            self._twin_since_ns = None
            self.solved("twin")
        elif self._twin_since_ns is None:
            self._twin_since_ns = now
        elif now - self._twin_since_ns > TWIN_S * NS and "twin" not in self.health:
            sentence = f"another node is called {self.get_fully_qualified_name()}: stop it or use another namespace"
            self.problem("twin", sentence)


def _qos(spec: table.Qos) -> QoSProfile:
    return QoSProfile(
        depth=spec.depth,
        reliability=ReliabilityPolicy[spec.reliability.upper()],
        durability=DurabilityPolicy[spec.durability.upper()],
    )


def _descriptor(spec: table.Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=spec.description + (f" Unit: {spec.unit}." if spec.unit else ""))
    constraints = []
    if spec.choices:
        constraints.append(f"one of {', '.join(spec.choices)}")
    if spec.read_only:
        constraints.append("fixed while the node is configured")
    descriptor.additional_constraints = "; ".join(constraints)
    if spec.minimum is not None and spec.maximum is not None:
        if spec.kind == "int":
            bounds = IntegerRange(from_value=int(spec.minimum), to_value=int(spec.maximum), step=0)
            descriptor.integer_range = [bounds]
        else:
            limits = FloatingPointRange(from_value=float(spec.minimum), to_value=float(spec.maximum), step=0.0)
            descriptor.floating_point_range = [limits]
    return descriptor
