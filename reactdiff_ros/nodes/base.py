"""What every node is: a lifecycle node made from the table, with autostart, diagnostics and honest errors."""

from __future__ import annotations

import gc
import platform
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, TypeVar

from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from reactdiff_ros.launching.table import load_table

from ..errors import ReactdiffError
from .heartbeat import GREET_S, Heartbeat
from .interfaces import interface, qos_profile
from .parameters import Parameters
from .polling import Polled, Unwatched
from .telling import TellingNode
from .worker import Worker

_RETURN = TransitionCallbackReturn
_T = TypeVar("_T")


class ReactdiffNode(TellingNode):
    """Base of all nodes. A subclass names its entry of the table and fills in the four hooks.

    `setup` (configure: settings, rooms), `start` (activate: subscriptions, timers, threads), `stop` (deactivate) and
    `teardown` (cleanup). Publishers come from `advertise` in `setup`; subscriptions, services and timers from
    `subscribe`, `serve` and `every` in `start`, and are destroyed by deactivation. What goes wrong in a callback is
    caught: one sentence for the user's mistakes, a traceback in the log for ours, and the node goes on.

    Raises:
        ConfigError: a start value of a parameter is of the wrong type or out of range.
    """

    NAME: ClassVar[str]
    SLOW: ClassVar[str] = "less than half of the outputs come: this machine is overloaded, stop other programs on it"
    """What the diagnostics say where `nominal_hz` is missed by half for 5 s."""

    def __init__(self) -> None:
        table = load_table()
        self.spec = table.node(self.NAME)
        super().__init__(self.NAME)
        self.backend = ""
        self.life = "unconfigured"
        self.workers: list[Worker] = []
        self.qos = {name: qos_profile(spec) for name, spec in table.qos.items()}
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._unwatched = Unwatched()
        self._active_entities: list[tuple[str, Any]] = []
        self._publishers_by_name: dict[str, Any] = {}
        self.values = Parameters(self, self.spec.parameters, lambda: self.life in ("inactive", "active")).values
        self._heartbeat = Heartbeat(self)
        self.create_timer(1.0, self._guarded("status", self._heartbeat.beat), clock=self._steady)
        self._greeting = self.create_timer(GREET_S, self._guarded("status", self._greet), clock=self._steady)
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

    def settings(self) -> dict[str, Any]:
        """Effective settings for the status."""
        return {n: v for n, v in self.values.items() if n != "autostart"}

    def figures(self) -> dict[str, str]:
        """Numbers for the diagnostics, beside state, rate and drops."""
        return {}

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        return "works"

    def hardware_id(self) -> str:
        """For diagnostics: the device of the parameter `device` or `robot`, else this computer."""
        device = self.values.get("device") or self.values.get("robot")
        return f"{self.NAME.removesuffix('_node')} {device}" if device else platform.node()

    def nominal_hz(self) -> float:
        """Outputs a second that are due now; 0: none are, or it is not known."""
        return 0.0

    def observe_health(self) -> None:
        """Called before every status: state or solve problems that come with time."""

    # For subclasses

    def tell(self) -> None:
        """Publish the state of the node now: status and diagnostics."""
        self._heartbeat.beat()

    def configured(self, config: type[_T]) -> _T:
        """The settings of a room from the parameters of the same names; a parameter that is unset is NaN there.

        Raises:
            ConfigError: a value is out of range.
        """
        names = {f.name for f in fields(config)}  # type: ignore[arg-type]
        unset = {p.name for p in self.spec.parameters if p.unset is not None and self.values[p.name] == p.unset}
        given = {n: float("nan") if n in unset else v for n, v in self.values.items() if n in names}
        return config(**given)

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
        self,
        topic: str,
        callback: Callable[..., None],
        *,
        raw: bool = False,
        depth: int | None = None,
        namespace: str = "",
        info: bool = False,
    ) -> Any:
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
        self,
        topic: str,
        callback: Callable[..., None],
        raw: bool,
        depth: int | None,
        namespace: str,
        qos: str = "",
        group: Unwatched | None = None,
    ) -> Any:
        spec = self.spec.topic(topic, "subscribers")
        profile = qos_profile(load_table().qos[qos or spec.qos])
        profile.depth = profile.depth if depth is None else depth
        name = f"{namespace}/{topic}" if namespace else topic
        kind = interface(spec.type, "msg")
        entity = self.create_subscription(kind, name, callback, profile, raw=raw, callback_group=group)
        self._active_entities.append(("subscription", entity))
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

        self._active_entities.append(("service", self.create_service(interface(spec.type, "srv"), name, answer)))

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back at this period of the steady clock until deactivation."""
        timer = self.create_timer(seconds, self._guarded("timer", callback), clock=self._steady)
        self._active_entities.append(("timer", timer))

    def work(self, worker: Worker) -> Worker:
        """Start a worker and watch it until deactivation."""
        self.workers.append(worker)
        worker.start()
        return worker

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
        """Whether anybody subscribes, asked from any thread; nobody where another thread withdraws it meanwhile."""
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
            self.life = to
            self.health.solved(key)
            self.get_logger().info(f"{to}: {self._heartbeat.summary()[1]}" if to == "active" else to)
        except ReactdiffError as error:
            self.life, result = else_to, _RETURN.FAILURE
            self.problem(key, str(error))
        except Exception as error:
            self.life, result = else_to, _RETURN.ERROR
            self.failed(error, f"the transition to {to}")
            self.problem(key, f"the transition to {to} failed: {type(error).__name__}: {error}")
        self.tell()
        return result

    def _greet(self) -> None:
        if not self._heartbeat.greet():
            self._greeting.cancel()

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
            for worker in self.workers:
                worker.stop()
                self.meter.dropped.update(worker.dropped)
            self.workers.clear()
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

    def _guarded(self, where: str, callback: Callable[..., None]) -> Callable[..., None]:
        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self.failed(error, where)

        return guarded
