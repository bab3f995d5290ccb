"""The base of every node: a lifecycle node made from the table, with autostart, worker threads and honest errors."""

from __future__ import annotations

import gc
import importlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle, InvalidParameterTypeException, InvalidParameterValueException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from reactdiff_ros.errors import ConfigError, DeviceError, ReactdiffError
from reactdiff_ros.launching.table import Parameter, Qos, load_table
from reactdiff_ros.nodes.health import ReportingNode
from reactdiff_ros.worker import Worker

POLL_S: Final = 0.1
END_S: Final = 3.0
"""Longest wait for a thread at the deactivation. One that is stuck in a driver is left to end on its own."""


def interface(name: str, kind: str) -> Any:
    """The class of an interface, `package/kind/Name` or `package/Name`. Raises ImportError where it is missing."""
    package, *_, interface_name = name.split("/")
    module = importlib.import_module(f"{package}.{kind}")
    try:
        return getattr(module, interface_name)
    except AttributeError as error:
        raise ImportError(f"{package} has no {interface_name}") from error


def qos_profile(spec: Qos) -> QoSProfile:
    """The profile of a named quality of service."""
    return QoSProfile(
        depth=spec.depth,
        reliability=ReliabilityPolicy[spec.reliability.upper()],
        durability=DurabilityPolicy[spec.durability.upper()],
    )


class Unwatched(CallbackGroup):  # type: ignore[misc]
    """The executor neither waits for its entities nor runs their callbacks."""

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    beginning_execution = can_execute

    def ending_execution(self, entity: Any) -> None:
        """Nothing began."""


class Polled:
    """A subscription in an `Unwatched` group; the middleware keeps its newest `depth` messages."""

    def __init__(self, entity: Any, depth: int) -> None:
        self.entity = entity
        self._depth = depth

    def take(self) -> list[tuple[Any, dict[str, Any]]]:
        """What has come since the last call, oldest first, with rclpy's message info; from any one thread.

        At most `depth` messages, so that a flood cannot hold up the caller. None after the subscription's end.
        """
        found: list[tuple[Any, dict[str, Any]]] = []
        entity = self.entity
        with suppress(InvalidHandle), entity.handle:
            while len(found) < self._depth:
                message = entity.handle.take_message(entity.msg_type, entity.raw)
                if message is None:
                    break
                found.append(message)
        return found


class Parameters:
    """Declares parameters and keeps their values in `values`.

    Args:
        node: whose parameters they are.
        specs: what is declared.
        configured: whether parameters that are read-only are fixed now.

    Raises:
        ConfigError: a start value is of the wrong type, not finite, or out of range.
    """

    def __init__(self, node: Node, specs: Sequence[Parameter], configured: Callable[[], bool]) -> None:
        self.values: dict[str, Any] = {}
        self._node, self._configured = node, configured
        self._specs = {spec.name: spec for spec in specs}
        node.add_on_set_parameters_callback(self._check)
        for spec in specs:
            self._declare(spec)

    def _declare(self, spec: Parameter) -> None:
        described = descriptor(spec)
        try:
            self._node.declare_parameter(spec.name, spec.default, described)
        except (InvalidParameterTypeException, InvalidParameterValueException):
            # Of another type (a whole number for a number) or out of range: ours to say, in one sentence.
            value = spec.checked(self._given(spec.name))
            self._node.declare_parameter(spec.name, value, described, ignore_override=True)
        self.values[spec.name] = self._node.get_parameter(spec.name).value

    def _given(self, name: str) -> Any:
        """The start value that was given for a parameter, of whatever type."""
        self._node.remove_on_set_parameters_callback(self._check)
        value = self._node.declare_parameter(name, None, ParameterDescriptor(dynamic_typing=True)).value
        self._node.undeclare_parameter(name)
        self._node.add_on_set_parameters_callback(self._check)
        return value

    def _check(self, parameters: list[RosParameter]) -> SetParametersResult:
        accepted: dict[str, Any] = {}
        for parameter in parameters:
            spec = self._specs.get(parameter.name)
            if spec is None:
                continue
            if spec.name in self.values and spec.read_only and self._configured():
                reason = f"{spec.name} can be changed only while the node is unconfigured: deactivate and clean it up"
                return SetParametersResult(successful=False, reason=reason)
            try:
                accepted[spec.name] = spec.checked(parameter.value)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
        self.values.update({name: value for name, value in accepted.items() if name in self.values})
        return SetParametersResult(successful=True)


def descriptor(spec: Parameter) -> ParameterDescriptor:
    """What `ros2 param describe` prints."""
    described = ParameterDescriptor(description=spec.description + (f" Unit: {spec.unit}." if spec.unit else ""))
    constraints = [f"one of {', '.join(spec.choices)}"] if spec.choices else []
    constraints += ["fixed while the node is configured"] if spec.read_only else []
    described.additional_constraints = "; ".join(constraints)
    if spec.minimum is not None and spec.maximum is not None:
        low, high = spec.minimum if spec.unset is None else min(spec.minimum, spec.unset), spec.maximum
        if spec.kind == "int":
            described.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
        else:
            described.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)]
    return described


class Device(Protocol):
    """A camera or microphone."""

    def reconnect(self, now_ns: int) -> bool:
        """Whether it is open, or can be opened now. Raises DeviceError."""

    def close(self) -> None:
        """Give it back."""


_RETURN = TransitionCallbackReturn
_T = TypeVar("_T")


class ReactdiffNode(ReportingNode):
    """Base of all nodes. A subclass names its entry of the table and fills in the four hooks.

    `setup` (configure: settings, rooms), `start` (activate: subscriptions, timers, threads), `stop` (deactivate) and
    `teardown` (cleanup). Publishers come from `advertise` in `setup`; subscriptions, services and timers from
    `subscribe`, `serve` and `every` in `start`, and are destroyed by deactivation. Exceptions of callbacks
    are caught: one sentence for the user's mistakes, a traceback in the log for ours, and the node goes on.

    Raises:
        ConfigError: a start value of a parameter is of the wrong type or out of range.
    """

    def __init__(self) -> None:
        table = load_table()
        self.spec = table.node(self.NAME)
        self.qos = {name: qos_profile(spec) for name, spec in table.qos.items()}
        super().__init__(self.NAME, self.qos["latched"])
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._unwatched = Unwatched()
        self._active_entities: list[tuple[Callable[[Any], object], Any]] = []
        self._threads: list[tuple[threading.Event, threading.Thread]] = []
        self._publishers_by_name: dict[str, Any] = {}
        self.values = Parameters(self, self.spec.parameters, lambda: self.life in ("inactive", "active")).values
        self.create_timer(1.0, self._guarded("status", self.report), clock=self._steady)
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

    # For subclasses

    def configured(self, config: type[_T]) -> _T:
        """The settings of a room from the parameters of the same names. Errors as `Node.configured` of the table."""
        return self.spec.configured(config, self.values)

    def advertise(self, topic: str, namespace: str = "") -> Any:
        """The publisher of a topic of the table, made once; it is silent unless the node is active."""
        name = f"{namespace}/{topic}" if namespace else topic
        if name not in self._publishers_by_name:
            spec = self.spec.topic(topic, "publishers")
            kind = interface(spec.type, "msg")
            self._publishers_by_name[name] = self.create_lifecycle_publisher(kind, name, self.qos[spec.qos])
        return self._publishers_by_name[name]

    def withdraw(self, topic: str, namespace: str = "") -> None:
        """End what `advertise` began."""
        publisher = self._publishers_by_name.pop(f"{namespace}/{topic}" if namespace else topic, None)
        if publisher is not None:
            self.destroy_lifecycle_publisher(publisher)

    def subscribe(
        self, topic: str, callback: Callable[..., None], *, raw: bool = False, depth: int | None = None,
        namespace: str = "", info: bool = False,
    ) -> Any:  # fmt: skip
        """Subscribe to a topic of the table, in the node's namespace or another one, until deactivation.

        `raw`: the callback gets the serialized message. `depth`: of the queue, in place of the table's. `info`: the
        callback also gets rclpy's message info.

        Raises:
            ImportError: the message's package is missing.
        """
        guarded = self._guarded(f"{namespace}/{topic}" if namespace else topic, callback)
        # rclpy gives the info to what can take two arguments and not one.
        call = (lambda message, info: guarded(message, info)) if info else guarded
        return self._subscription(topic, call, raw, depth, namespace)

    def poll(self, topic: str, *, depth: int, raw: bool = False, namespace: str = "", qos: str = "") -> Polled:
        """As `subscribe`, but nothing is called: the newest `depth` messages wait until they are taken.

        `qos`: the name of a quality of service, in place of the table's for this topic.
        """
        entity = self._subscription(topic, lambda _: None, raw, depth, namespace, qos, self._unwatched)
        return Polled(entity, depth)

    def _subscription(
        self, topic: str, callback: Callable[..., None], raw: bool, depth: int | None, namespace: str, qos: str = "",
        group: Unwatched | None = None,
    ) -> Any:  # fmt: skip
        spec = self.spec.topic(topic, "subscribers")
        profile = qos_profile(load_table().qos[qos or spec.qos])
        profile.depth = profile.depth if depth is None else depth
        name = f"{namespace}/{topic}" if namespace else topic
        kind = interface(spec.type, "msg")
        entity = self.create_subscription(kind, name, callback, profile, raw=raw, callback_group=group)
        self._active_entities.append((self.destroy_subscription, entity))
        return entity

    def unsubscribe(self, entity: Any) -> None:
        """End a subscription before the deactivation."""
        self._active_entities = [item for item in self._active_entities if item[1] is not entity]
        self.destroy_subscription(entity)

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

        service = self.create_service(interface(spec.type, "srv"), name, answer)
        self._active_entities.append((self.destroy_service, service))

    def offer(self, name: str, accepted: Callable[[Any, Any], None], cancelled: Callable[[Any], None]) -> None:
        """Offer an action of the table until deactivation, where its package is installed.

        `accepted` takes the goal's handle and the action's class, and must see to it that `execute` of the handle is
        called with the end; `cancelled` takes the handle of a goal that is to stop.
        """
        spec = next(a for a in self.spec.actions if a.name == name)
        try:
            kind = interface(spec.type, "action")
        except ImportError:
            if spec.requires:
                return
            raise

        def cancel(handle: Any) -> CancelResponse:
            self._guarded(name, cancelled)(handle)
            return CancelResponse.ACCEPT

        begin = self._guarded(name, lambda handle: accepted(handle, kind))
        server = ActionServer(self, kind, name, lambda _: None, handle_accepted_callback=begin, cancel_callback=cancel)
        self._active_entities.append((ActionServer.destroy, server))

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back at this period of the steady clock until deactivation."""
        timer = self.create_timer(seconds, self._guarded("timer", callback), clock=self._steady)
        self._active_entities.append((self.destroy_timer, timer))

    def work(self, worker: Worker) -> Worker:
        """Start a worker and watch it until deactivation."""
        self.workers.append(worker)
        worker.start()
        return worker

    def thread(self, name: str, run: Callable[[threading.Event], None]) -> None:
        """Start a thread that may wait for a device or a file, until deactivation: then its event is set."""
        stopping = threading.Event()
        thread = threading.Thread(target=run, args=(stopping,), name=name, daemon=True)
        self._threads.append((stopping, thread))
        thread.start()

    def end_threads(self) -> None:
        """End what `thread` began, before the deactivation does."""
        for stopping, thread in self._threads:
            stopping.set()
            thread.join(END_S)
        self._threads.clear()

    def read(self, name: str, device: Device, take: Callable[[threading.Event], None]) -> None:
        """A thread that opens a device as soon as it can be and calls `take` while it is open, until deactivation.

        A DeviceError is the problem `name`, and the device is tried again.
        """

        def run(stopping: threading.Event) -> None:
            while not stopping.is_set():
                try:
                    if device.reconnect(self.steady_ns()):
                        take(stopping)
                    else:
                        stopping.wait(POLL_S)
                except DeviceError as error:
                    if not stopping.is_set():
                        self.problem(name, str(error))
                except Exception as error:
                    self.failed(error, f"the {name} reader")
                    stopping.wait(POLL_S)
            device.close()

        self.thread(name, run)

    def publish(self, publisher: Any, message: Any) -> None:
        """Publish from any thread; when ROS is being shut down meanwhile or another thread withdraws it, nothing."""
        try:
            publisher.publish(message)
        except InvalidHandle:
            return
        except Exception:
            if self.context.ok() and self.life == "active":
                raise

    def is_heard(self, publisher: Any) -> bool:
        """Whether there are subscribers, from any thread; False if another thread withdraws the publisher meanwhile."""
        try:
            return bool(publisher.get_subscription_count())
        except InvalidHandle:
            return False

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle callback."""
        return self._transition("inactive", "unconfigured", self._configure, super().on_configure, state)

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
        if self.life != "finalized":
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
                self.get_logger().warning(f"transition {wanted} is not possible while the node is {self.life}")
                response.success = False
                return response

        service.callback = guarded

    def _transition(
        self, to: str, else_to: str, hook: Callable[[], None],
        entities: Callable[[LifecycleState], TransitionCallbackReturn], state: LifecycleState,
    ) -> TransitionCallbackReturn:  # fmt: skip
        key = "transition"
        try:
            hook()
            result = entities(state)
            self.life = to
            self.health.solved(key)
            self.get_logger().info(f"{to}: {self.worst_problem().sentence}" if to == "active" else to)
        except ReactdiffError as error:
            self.life, result = else_to, _RETURN.FAILURE
            self.problem(key, str(error))
        except Exception as error:
            self.life, result = else_to, _RETURN.ERROR
            self.failed(error, f"the transition to {to}")
            self.problem(key, f"the transition to {to} failed: {type(error).__name__}: {error}")
        self.report()
        return result

    def _configure(self) -> None:
        try:
            self.setup()
        except Exception:
            self.teardown()
            raise

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
            self.end_threads()
            for worker in self.workers:
                worker.stop()
                self.meter.dropped.update(worker.dropped)
            self.workers.clear()
            for destroy, entity in self._active_entities:
                destroy(entity)
            self._active_entities.clear()
            self.health.clear()

    def _end(self) -> None:
        try:
            self._stop()
        finally:
            self.teardown()

    def _guarded(self, where: str, callback: Callable[..., None]) -> Callable[..., None]:
        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self.failed(error, where)

        return guarded
