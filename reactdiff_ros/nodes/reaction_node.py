"""The inference node: what the listener plans to do with its face, from what is known of the speaker.

One listener in the namespace of the node, or many in their own namespaces (`listeners`), computed in one batch. In a
blind session the node hides which condition it runs.
"""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, cast

from rcl_interfaces.msg import SetParametersResult

from reactdiff_ros import msg
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.errors import ConfigError, WeightsError
from reactdiff_ros.launching.condition import (
    BLIND,
    CONDITION_VARIABLE,
    blind_condition,
    blind_settings,
    cannot,
    hidden,
    impose,
)
from reactdiff_ros.launching.table import LONGEST_NAMESPACE
from reactdiff_ros.messages import fill, fill_candidates, fill_reaction, speaker_value
from reactdiff_ros.model.backends.base import Precision
from reactdiff_ros.model.backends.opening import Opened, Wanted, open_backend
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.batch import ListenerBatch, QualityChoice, Round, warm
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.explain import Explainer
from reactdiff_ros.model.listener import Listener, ListenerConfig, ShowsCandidates
from reactdiff_ros.model.plan.planner import Drawn
from reactdiff_ros.model.policies import fallback_listener, make_listener
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.controls import CONTROL, LATEST, LOOK_S, ControlInbox, Controls
from reactdiff_ros.nodes.health import Level, Meter, newest, status_message
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.types import REACTION_RATE_HZ, Explanation, ListenerState, Reaction, SpeakerFrame
from reactdiff_ros.worker import Worker

MOST_LISTENERS = 256
_NAMESPACE = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*")
_SEEDS = 1 << 31


def parse_listeners(text: str, seed: int) -> dict[str, int]:
    """Namespaces and seeds of the parameter `listeners`: names with commas between, each with =SEED where wanted.

    Without one a listener's seed is made of the node's seed and its own name, so that no two robots move alike, and
    each moves as before whatever other robots there are. An empty text is one listener, in the node's own namespace "".

    Raises:
        ConfigError: a name is no namespace or is listed twice, a seed is not a whole number, or there are too many.
    """
    members: dict[str, int] = {}
    for entry in filter(None, re.split(r"[\s,]+", text.strip())):
        name, equals, given = entry.partition("=")
        if not _NAMESPACE.fullmatch(name):
            raise ConfigError(f"{name!r} is not a namespace of a listener", todo="write such as robot1, /lab/robot2=7")
        if len(name) > LONGEST_NAMESPACE:
            raise ConfigError(f"a namespace has at most {LONGEST_NAMESPACE} characters", where=name)
        if name in members:
            raise ConfigError(f"the listener {name} is listed twice")
        if equals and not (given.isdecimal() and int(given) < _SEEDS):
            raise ConfigError(f"the seed of the listener {name} is not a whole number below {_SEEDS}", where=given)
        members[name] = int(given) if equals else (seed + zlib.crc32(name.strip("/").encode())) % _SEEDS
    if len(members) > MOST_LISTENERS:
        raise ConfigError(f"{len(members)} listeners are more than the {MOST_LISTENERS} of one node")
    return members or {"": seed}


@dataclass(eq=False)
class Member:
    """One listener in its namespace. The worker alone changes it."""

    name: str
    """Its namespace; "" is the node's own."""
    seed: int
    listener: Listener
    publishers: Mapping[str, Any]
    """By topic; one without a namespace has no status of its own, for the node's covers it."""
    subscriptions: list[Any] = field(default_factory=list)
    inbox: ControlInbox = field(init=False)
    meter: Meter = field(default_factory=Meter)
    controls: Controls = field(default_factory=Controls)
    newest_ns: int = 0
    """Newest evidence in a plan."""
    followed_ns: int | None = None
    """Simulated time up to which it planned."""
    heard_ns: int = 0
    """Steady time of the last frame."""
    missed_ns: int = 0
    """The same, on a clock that stops while a simulated one does."""

    def topic(self, topic: str) -> str:
        """The name of one of its topics."""
        return f"{self.name}/{topic}" if self.name else topic


def member_settings(state: ListenerState) -> dict[str, Any]:
    """A listener's settings in force, as texts."""
    numbers = {n: v if isinstance(v, str) else f"{v:g}" for n, v in state.settings.items()}
    return {"policy": state.policy, "compute_ms": f"{state.compute_ms:.1f}", "turn": state.turn, **numbers}


def member_status(
    member: Member, now_ns: int, steady_ns: int, silent: bool, shared: Mapping[str, str]
) -> msg.ListenerStatus:
    """Its status, as a separate node would report it.

    Args:
        member: the listener.
        now_ns: of the node's clock.
        steady_ns: of the clock of its meter.
        silent: no frames come.
        shared: settings of the whole batch.
    """
    state = member.listener.state()
    fine = f"{state.policy} on {state.backend}" + ("" if state.engaged else ", no one to listen to")
    silence = f"nothing comes on {member.topic('speaker/frame')}: perception_node is missing or inactive"
    return status_message(
        member.meter, now_ns, steady_ns, {"seed": member.seed} | member_settings(state) | dict(shared),
        stage="reaction_node", level=int(Level.WARN if silent or state.error else Level.OK),
        message=silence if silent else state.error or fine, dropped=state.dropped, backend=state.backend,
        last_error=state.error,
    )  # fmt: skip


BUILD_LOG_S = 10.0
"""How often the log reports the progress of an engine build."""


class ModelBackend:
    """The networks, and what executes them.

    Args:
        values: of the node's parameters `backend`, `precision` and `listeners`.
        config: of the listeners.
        simulated: time is simulated: then the CPU computes, for a replay gives the same plans on any machine.
        log: gets sentences.
    """

    def __init__(
        self, values: Mapping[str, Any], config: ListenerConfig, simulated: bool, log: Callable[[str], None]
    ) -> None:
        asked = str(values["backend"])
        self._replays = simulated and asked == "auto"
        self._wanted = Wanted(
            backend="onnxruntime" if self._replays else asked, precision=cast(Precision, str(values["precision"])),
            steps=(config.steps,), listeners=len(parse_listeners(str(values["listeners"]), 0)),
        )  # fmt: skip
        self._config, self._log = config, log
        self._opened: Opened | None = None
        self._networks: Networks | None = None
        self._logged_s = 0.0

    def networks(self) -> Networks:
        """Of all listeners of the node.

        Raises:
            WeightsError: the weights are missing or wrong.
        """
        if self._networks is None:
            weights = find_weights(self._config.model_dir)
            opened = open_backend(weights, self._wanted, time.perf_counter, threads=self._config.threads, log=self._log)
            if self._replays:
                opened.serving.why = "time is simulated, and a replay gives the same plans on any machine"
            self._opened = opened
            self._networks = Networks(weights, backend=opened.serving)
            self._log(f"the model runs on {opened.state()}")
        return self._networks

    def live(self) -> None:
        """From now on no plan waits for preparations of the GPU."""
        if self._opened is not None:
            self._opened.live()

    def state(self) -> str:
        """What is in use and why, and what is being built; "" where there is no model."""
        if self._opened is None:
            return ""
        state = self._opened.state()
        building = self._opened.building()
        if building and time.monotonic() - self._logged_s > BUILD_LOG_S:
            self._logged_s = time.monotonic()
            self._log(building)
        return state

    def close(self) -> None:
        """End what is being built."""
        if self._opened is not None:
            self._opened.close()
        self._opened = self._networks = None


SILENT_NS = 2 * NS
PICTURE_LATENCY_NS = 30_000_000
"""As a session counts it (`SessionConfig.picture_latency_s`)."""
PLANS = Grid(int(NS / REACTION_RATE_HZ))
FLOWING_NS = 60_000_000
"""Frames that come this often or oftener make the plans; else a timer does."""
REPLAY_FRAMES = 50
FOLLOWS_NS = NS // 2
"""Under simulated time plans are made at the times of the frames; without frames for this long, of the clock."""
RETRY_NS = 10 * NS
"""Weights that are missing are looked for again after this time."""
GATHER_NS = 8_000_000
"""While other frames wait to be taken in, plans wait for them no longer than this."""
UPDATE_S = 0.25
"""Period at which the parameter `listeners` is checked."""
PREPARED = 16
"""Batch size that is prepared at the start, for listeners that may join."""
_FRAME, _SPEAKING, _WEIGHTS = "speaker/frame", "robot_speaking", "weights"
_MEMBERS, _DRAWN, _DRAW = "listeners", "drawn", "plans"
_REACTION, _CANDIDATES, _STATUS = "listener/reaction", "listener/reaction/candidates", "listener/status"
_EXPLANATION = "listener/reaction/explanation"


def _topics(name: str) -> tuple[str, ...]:
    """What a listener in this namespace publishes."""
    return (_REACTION, _CANDIDATES, _EXPLANATION, LATEST, *([_STATUS] if name else []))


class ReactionNode(ReactdiffNode):
    """`speaker/frame` in, `listener/reaction` out, for one listener or many.

    One worker thread observes and asks for plans; another one draws them, so that frames are taken in meanwhile.
    Under simulated time the first one draws as well: then a replay gives the same plans on any machine.
    """

    NAME = "reaction_node"
    SLOW: ClassVar[str] = "plans come late even with the fewest steps: this machine is too slow, or has other work"

    def __init__(self) -> None:
        super().__init__()
        self._seed = int(self.values["seed"])
        self.add_on_set_parameters_callback(self._check_listeners)

    def setup(self) -> None:
        """Make the listeners; where the model's weights cannot be used, rules stand in and the diagnostics say so."""
        self._config = self.configured(ListenerConfig)
        self._seed = int(self.values["seed"])
        self._missing = ""
        self._listeners = str(self.values["listeners"])
        wanted = parse_listeners(self._listeners, self._seed)
        for name in getattr(self, "_members", {}).keys() - wanted.keys():
            self._withdraw(name)
        self._model = ModelBackend(self.values, self._config, self.simulated(), self._log)
        self._rounds = ListenerBatch()
        self._members: dict[str, Member] = {}
        self._many = wanted.keys() != {""}
        for name, seed in wanted.items():
            self._members[name] = self._member(name, seed)
        self._prepare()

    def _log(self, sentence: str) -> None:
        self.get_logger().info(sentence)

    def _prepare(self) -> None:
        """Let no plan wait for a graph that is used for the first time."""
        first = next(iter(self._members.values())).listener
        if isinstance(first, DiffusionListener):
            how = Sampling(steps=self._config.steps, candidates=self._config.candidates)
            warm(first.networks, how, max(len(self._members), PREPARED) if self._many else 1)
            self._model.live()

    def _member(self, name: str, seed: int) -> Member:
        publishers = {topic: self.advertise(topic, name) for topic in _topics(name)}
        return Member(name, seed, self._listener(seed), publishers)

    def _listener(self, seed: int) -> Listener:
        """The model, as others that are there already; where its weights cannot be used, the rules."""
        if not self._missing:
            try:
                return self._make_listener(seed)
            except WeightsError as error:
                self._missing = f"{error}; until then the rules listener replaces it"
                self._weights_error = str(error)
        return fallback_listener(seed=seed, config=self._config, error=self._weights_error)

    def _make_listener(self, seed: int, like: Listener | None = None) -> Listener:
        if like is None and self._members:
            like = next(iter(self._members.values())).listener
        policy = str(self.values["policy"])
        given = {"networks": self._model.networks()} if policy == "model" else {}
        return make_listener(policy, seed=seed, config=self._config, timer=time.perf_counter, like=like, **given)

    def start(self) -> None:
        """Subscribe and start the threads."""
        self._inline = self.simulated()
        chosen = not self._inline and self.values["quality"] == "auto" and self.values["policy"] == "model"
        self._rounds = ListenerBatch(QualityChoice(self._config.steps, self._config.candidates) if chosen else None)
        self._fresh: dict[str, int] = {}
        self._tried_ns = self.steady_ns()
        if self._missing:
            self.problem("weights", self._missing)
        depths = {_WEIGHTS: 1, _MEMBERS: 4 * len(self._members) + 1024, _DRAWN: 4}
        tick_s = 1.0 / REACTION_RATE_HZ
        self._worker = Worker("reaction", self._handle, depths, self.failed, tick=self._tick, tick_s=tick_s)
        self._drawer = Worker("plans", self._draw_elsewhere, {_DRAW: 1}, self.failed)
        self._explainer = Explainer(self._explained, time.perf_counter, self.failed)
        for member in self._members.values():
            member.listener.reset(member.seed)
            self._open(member)
        self.work(self._worker)
        self.work(self._drawer)
        self.work(self._explainer.worker)
        self.every(UPDATE_S, self._update_members)
        self.every(LOOK_S, self._look_for_controls)

    def _open(self, member: Member) -> None:
        """Let a listener take part: subscribe to its topics, and tell the worker."""
        member.newest_ns, member.followed_ns = 0, None
        member.heard_ns, member.missed_ns = self.steady_ns(), self.running_ns()
        frames = REPLAY_FRAMES if self._inline else 4
        self._worker.put(_MEMBERS, member)
        for topic, depth in ((_FRAME, frames), (CONTROL, 8), (_SPEAKING, 8)):
            self._worker.allow(member.topic(topic), depth)
        for topic in (_FRAME, _SPEAKING):
            member.subscriptions.append(
                self.subscribe(topic, partial(self._take, topic, member), namespace=member.name)
            )
        member.inbox = ControlInbox(self, partial(self._take, CONTROL, member), member.name)

    def _take(self, topic: str, member: Member, message: Any) -> None:
        self._worker.put(member.topic(topic), (topic, member, message))

    def _update_members(self) -> None:
        """Let listeners join and leave as the parameter says by now."""
        text = str(self.values["listeners"])
        if text == self._listeners:
            return
        self._listeners = text
        wanted = parse_listeners(text, self._seed)
        self._many = wanted.keys() != {""}
        kept = {name: member for name, member in self._members.items() if wanted.get(name) == member.seed}
        for name, member in list(self._members.items()):
            if name not in kept:
                self._close(member)
        for name, seed in wanted.items():
            if name not in kept:
                member = self._member(name, seed)
                for publisher in member.publishers.values():
                    publisher.on_activate(None)
                self._open(member)
                kept[name] = member
        self._members = kept
        self.get_logger().info(f"listens for {', '.join(name or 'its own namespace' for name in kept)}")

    def _close(self, member: Member) -> None:
        for entity in member.subscriptions:
            self.unsubscribe(entity)
        member.inbox.close()
        self._worker.put(_MEMBERS, member.name)
        self._withdraw(member.name)

    def _withdraw(self, name: str) -> None:
        for topic in _topics(name):
            self.withdraw(topic, name)

    def _look_for_controls(self) -> None:
        for member in self._members.values():
            member.inbox.look()

    def _check_listeners(self, parameters: list[Any]) -> SetParametersResult:
        try:
            for parameter in parameters:
                if parameter.name == "listeners":
                    parse_listeners(str(parameter.value), self._seed)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def stop(self) -> None:
        """Forget the subscriptions, which the deactivation ends."""
        for member in getattr(self, "_members", {}).values():
            member.subscriptions.clear()

    def teardown(self) -> None:
        """End what is being built for the GPU."""
        if hasattr(self, "_model"):
            self._model.close()

    def settings(self) -> dict[str, Any]:
        """Policy, seed and the settings in force; of many listeners, those that they share."""
        members = list(getattr(self, "_members", {}).values())
        if not members:
            return {}
        state = members[0].listener.state()
        self.backend = state.backend
        shared = self._rounds.figures()
        if not self._many:
            return {"seed": self._seed, **member_settings(state), **shared}
        names = " ".join(f"{member.name}={member.seed}" for member in members)
        return {"policy": state.policy, "seed": self._seed, "listeners": names, **shared}

    def figures(self) -> dict[str, str]:
        """Quality, plans and missed deadlines, for the diagnostics."""
        if not hasattr(self, "_members"):
            return {}
        return {"listeners": str(len(self._members)), "computed by": self._model.state(), **self._rounds.figures()}

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        states = [member.listener.state() for member in self._members.values()]
        engaged = sum(state.engaged for state in states)
        what = f"{states[0].policy} on {states[0].backend}"
        if self._many:
            return f"{what}, {len(states)} listeners, {engaged} of them engaged"
        return what + ("" if engaged else ", no one to listen to")

    def observe_health(self) -> None:
        """Say when nothing comes in, and when plans are late at the lowest quality; tell of each of many listeners."""
        now = self.running_ns()
        silent = [member for member in self._members.values() if now - member.missed_ns > SILENT_NS]
        topics = ", ".join(member.topic(_FRAME) for member in silent)
        sentence = f"nothing comes on {topics}: perception_node is missing or inactive"
        self.set_problem("input", sentence if silent else "", Level.WARN)
        choice = self._rounds.choice
        slow = choice is not None and choice.exhausted
        self.set_problem("slow", self.SLOW if slow else "", Level.WARN)
        if self._missing and self.steady_ns() - self._tried_ns > RETRY_NS:
            self._tried_ns = self.steady_ns()
            self._worker.put(_WEIGHTS, None)
        for member in self._members.values():
            if publisher := member.publishers.get(_STATUS):
                figures = self._rounds.figures()
                status = member_status(member, self.now_ns(), self.steady_ns(), member in silent, figures)
                self.publish(publisher, status)

    # In the worker's thread

    def _handle(self, kind: str, item: Any) -> None:
        if kind == _DRAWN:
            self._finish(item)
        elif kind == _MEMBERS:
            if isinstance(item, Member):
                self._rounds.join(item.name, item.listener)
            else:
                self._rounds.leave(item)
                self._fresh.pop(item, None)
        elif kind == _WEIGHTS:
            self._try_weights()
        else:
            self._accept(kind, *item)
        self._plan_fresh()

    def _accept(self, kind: str, topic: str, member: Member, message: Any) -> None:
        if self._members.get(member.name) is not member and member.name not in self._rounds:
            return  # it has left
        if topic == _FRAME:
            member.heard_ns, member.missed_ns = self.steady_ns(), self.running_ns()
            frame = speaker_value(message)
            self.check_clock(kind, frame.stamp_ns)
            if self._inline:
                self._follow(member, frame)
            else:
                member.listener.observe(frame)
                self._fresh.setdefault(member.name, member.heard_ns)
        elif topic == CONTROL:
            if member.controls.take(message, member.listener.control):
                self.publish(member.publishers[LATEST], member.controls.message())
                self.solved(kind)
        else:
            member.listener.robot_speaking(bool(message.data), self.now_ns())

    def _try_weights(self) -> None:
        """Put the model in the place of the rules as soon as its weights can be used."""
        like: Listener | None = None
        try:
            for member in self._members.values():
                listener = like = self._make_listener(member.seed, like)
                listener.control(member.controls.control)
                member.listener = listener
                self._rounds.join(member.name, listener)
        except WeightsError:
            return
        self._missing = ""
        self._prepare()
        self.solved("weights", "the model's weights are there: the model listens")

    def _tick(self) -> None:
        # While frames come, plans are drawn when one has just come: then a plan has the newest evidence, and evidence
        # waits 40 ms less for it.
        now, steady = self.now_ns(), self.steady_ns()
        due = []
        for member in self._members.values():
            if self._inline:
                followed = member.followed_ns is not None and abs(now - member.followed_ns) < FOLLOWS_NS
                if now and not followed:  # before simulated time has begun there is nothing to plan
                    due.append(member.name)
            elif steady - member.heard_ns > FLOWING_NS:
                due.append(member.name)
        if due:
            self._plan(due, now)

    def _follow(self, member: Member, frame: SpeakerFrame) -> None:
        """Take in a frame and plan at the times at which a session does, however long perception took for it.

        So a bag played into the graph gives the plans that its offline replay gives, on a slow machine as well.
        """
        seen_ns = 0 if frame.picture_stamp_ns is None else frame.picture_stamp_ns + PICTURE_LATENCY_NS
        due_ns = max(frame.stamp_ns, seen_ns)
        if member.followed_ns is not None and 0 < due_ns - member.followed_ns < FOLLOWS_NS:
            for slot in range(PLANS.slot(member.followed_ns) + 1, PLANS.slot(due_ns - 1) + 1):
                self._plan([member.name], PLANS.time_ns(slot))
        member.listener.observe(frame)
        self._plan([member.name], due_ns)
        member.followed_ns = due_ns

    def _plan_fresh(self) -> None:
        """Plan for those of whom frames came, together with those whose frames wait to be taken in."""
        if not self._fresh or (self._rounds.busy and self._worker.waiting()):
            return
        oldest_ns = min(self._fresh.values())
        if not self._worker.waiting() or self.steady_ns() - oldest_ns > GATHER_NS:
            names = list(self._fresh)
            self._fresh.clear()
            self._plan(names, self.now_ns())

    def _plan(self, names: Iterable[str], now_ns: int) -> None:
        for name in names:
            member = self._members.get(name)
            if member is not None and isinstance(member.listener, ShowsCandidates):
                asked = self.is_heard(member.publishers[_CANDIDATES])
                member.listener.show_candidates(asked or bool(self.values["publish_candidates"]))
        due = self._rounds.due(dict.fromkeys(names, now_ns), time.perf_counter())
        if due is None:
            return
        for name, error in due.failed.items():
            self.failed(error, f"{name}/{_REACTION}" if name else _REACTION)
        if self._inline or not due.draws:
            self._finish(self._draw(due))
        else:
            self._drawer.put(_DRAW, due)

    def _finish(self, drawn: tuple[dict[str, Drawn], float]) -> None:
        waited = self._rounds.tried()
        for name, reaction in self._rounds.finished(*drawn, time.perf_counter()).items():
            member = self._members.get(name)
            if member is not None:
                self._publish(member, reaction)
        if waited:
            self._plan(waited, self.now_ns())

    def _publish(self, member: Member, reaction: Reaction) -> None:
        self.publish(member.publishers[_REACTION], fill_reaction(msg.Reaction(), reaction))
        if reaction.candidates is not None:
            self.publish(member.publishers[_CANDIDATES], fill_candidates(msg.ReactionCandidates(), reaction))
        if isinstance(member.listener, DiffusionListener) and self.is_heard(member.publishers[_EXPLANATION]):
            self._explainer.ask(member.name, member.listener)
        newest_ns = newest(reaction.picture_stamp_ns, reaction.sound_stamp_ns) or 0
        latency_ms = (self.now_ns() - newest_ns) / 1e6 if newest_ns > member.newest_ns else None
        member.newest_ns = newest_ns
        for meter in (self.meter, member.meter):
            meter.output(self.steady_ns(), latency_ms)

    # In the explainer's thread

    def _explained(self, name: str, why: Explanation) -> None:
        member = self._members.get(name)
        if member is not None:
            self.publish(member.publishers[_EXPLANATION], fill(msg.Explanation(), why))

    # In the drawing thread, or in the worker's

    def _draw_elsewhere(self, kind: str, due: Round) -> None:
        self._worker.put(_DRAWN, self._draw(due))

    def _draw(self, due: Round) -> tuple[dict[str, Drawn], float]:
        begin = time.perf_counter()
        try:
            drawn = due.draw()
        except Exception as error:  # the round must end, or no plan would ever be drawn again
            self.failed(error, _DRAW)
            drawn = {}
        return drawn, time.perf_counter() - begin


class HiddenMeter(Meter):
    """Rates and latencies differ between listeners: a blind session reports none."""

    def rate_hz(self, now_ns: int, window_ns: int = 0) -> float:
        """Nothing."""
        return float("nan")

    def latency_ms(self, now_ns: int) -> tuple[float, float]:
        """Nothing."""
        return float("nan"), float("nan")


class BlindReactionNode(ReactionNode):
    """As ReactionNode, with the settings of the condition in force and nothing published that reveals them.

    Nothing replaces a condition that cannot run: the node says so and stays unconfigured.
    """

    SLOW = "plans come late: this machine is too slow, or has other work"

    def __init__(self) -> None:
        super().__init__()
        condition = blind_condition()
        if condition is None:
            raise ConfigError("this session is not blind")
        self._condition = condition
        self.meter = HiddenMeter()

    def setup(self) -> None:
        """Make the listener of the condition."""
        if self.values["listeners"]:
            raise ConfigError("a blind session has one listener", todo="leave the parameter 'listeners' empty")
        self._backend_name = BLIND
        with suppress(WeightsError):  # which weights are installed does not depend on the condition
            self._backend_name = f"{BLIND}@{find_weights(str(self.values['model_dir'])).digest}"
        impose(self._condition, self.NAME, self.values)
        super().setup()

    def settings(self) -> dict[str, Any]:
        """Which session, and the seal of its condition."""
        given = super().settings()
        if not given:
            return blind_settings(self._condition)
        self.backend = self._backend_name
        return {"seed": given["seed"], "turn": given["turn"], **blind_settings(self._condition)}

    def figures(self) -> dict[str, str]:
        """None: they differ between listeners."""
        return {}

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        engaged = any(member.listener.state().engaged for member in self._members.values())
        idle = "" if engaged else ", no one to listen to"
        return f"session {self._condition.session}, condition hidden{idle}"

    def _log(self, sentence: str) -> None:
        pass

    def _make_listener(self, seed: int, like: Listener | None = None) -> Listener:
        try:
            return super()._make_listener(seed, like)
        except WeightsError:
            raise cannot(self._condition) from None

    def _publish(self, member: Member, reaction: Reaction) -> None:
        super()._publish(member, hidden(reaction))

    def _explained(self, name: str, why: Explanation) -> None:
        """Nothing: it would tell the policy."""


def main() -> int:
    """Run the node, or that of a blind session."""
    blind = os.environ.get(CONDITION_VARIABLE, "").strip()
    return run(BlindReactionNode if blind else ReactionNode)
