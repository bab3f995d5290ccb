"""The inference node: what the listener plans to do with its face, from what is known of the speaker.

One listener in the node's own namespace, or many in namespaces of theirs (`listeners`), computed in one batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

from rcl_interfaces.msg import SetParametersResult

from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.batch import ListenerBatch, QualityChoice, Round, warm
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import Listener, ListenerConfig, ShowsCandidates
from reactdiff_ros.model.plan.planner import Drawn
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.policies import fallback_listener, make_listener
from reactdiff_ros.types import REACTION_RATE_HZ, Reaction, SpeakerFrame

from . import convert
from .base import ReactdiffNode
from .controls import CONTROL, LATEST, LOOK_S, ControlInbox
from .health import Level
from .reaction_node_backend import ModelBackend
from .reaction_node_seat import Seat, seated, wrong_listeners
from .reaction_node_status import seat_settings, seat_status
from .runner import run
from .worker import Worker

SILENT_NS = 2 * NS
PICTURE_LATENCY_NS = 30_000_000
"""As a session counts it (`SessionConfig.picture_latency_s`)."""
PLANS = Grid(int(NS / REACTION_RATE_HZ))
FLOWING_NS = 60_000_000
"""Frames that come this often or oftener make the plans; else a timer does."""
REPLAY_FRAMES = 50
FOLLOWS_NS = NS // 2
"""Under simulated time plans are made at the times of the frames; without frames for so long, at those of the clock."""
RETRY_NS = 10 * NS
"""Weights that are missing are looked for again after this time."""
GATHER_NS = 8_000_000
"""While other frames wait to be taken in, plans wait for them no longer than this."""
SEATING_S = 0.25
"""How often the parameter `listeners` is looked at."""
PREPARED = 16
"""Batches of so many listeners, who may join, are prepared at the start."""
_FRAME, _SPEAKING, _WEIGHTS = "speaker/frame", "robot_speaking", "weights"
_SEATS, _DRAWN, _DRAW = "listeners", "drawn", "plans"
_REACTION, _CANDIDATES, _STATUS = "listener/reaction", "listener/reaction/candidates", "listener/status"


class ReactionNode(ReactdiffNode):
    """`speaker/frame` in, `listener/reaction` out, for one listener or many.

    One worker thread observes and asks for plans; another one draws them, so that frames are taken in meanwhile.
    Under simulated time the first one draws as well: then a replay gives the same plans on any machine.
    """

    NAME = "reaction_node"
    SLOW: ClassVar[str] = "plans come late even with the fewest steps: this machine is too slow, or has other work"

    def __init__(self) -> None:
        super().__init__()
        self.add_on_set_parameters_callback(self._check_listeners)

    def setup(self) -> None:
        """Make the listeners; where the model's weights cannot be used, rules stand in and the diagnostics say so."""
        self._config = self.configured(ListenerConfig)
        self._seed = int(self.values["seed"])
        self._missing = ""
        self._seated = str(self.values["listeners"])
        wanted = seated(self._seated, self._seed)
        for name in getattr(self, "_seats", {}).keys() - wanted.keys():
            self._withdraw(name)
        self._model = ModelBackend(self.values, self._config, self.simulated(), self._log)
        self._rounds = ListenerBatch()
        self._seats: dict[str, Seat] = {}
        self._many = wanted.keys() != {""}
        for name, seed in wanted.items():
            self._seats[name] = self._seat(name, seed)
        self._prepare()

    def _log(self, sentence: str) -> None:
        self.get_logger().info(sentence)

    def _prepare(self) -> None:
        """Let no plan wait for a graph that is used for the first time."""
        first = next(iter(self._seats.values())).listener
        if isinstance(first, DiffusionListener):
            how = Sampling(steps=self._config.steps, candidates=self._config.candidates)
            warm(first.networks, how, max(len(self._seats), PREPARED) if self._many else 1)
            self._model.live()

    def _seat(self, name: str, seed: int) -> Seat:
        reactions, candidates, latest = (self.advertise(topic, name) for topic in (_REACTION, _CANDIDATES, LATEST))
        status = self.advertise(_STATUS, name) if name else None
        return Seat(name, seed, self._listener(seed), reactions, candidates, latest, status)

    def _listener(self, seed: int) -> Listener:
        """The model, as others that are there already; where its weights cannot be used, the rules."""
        if not self._missing:
            try:
                return self._make_listener(seed)
            except WeightsError as error:
                self._missing = f"{error}; until then the rules listener stands in"
                self._weights_error = str(error)
        return fallback_listener(seed=seed, config=self._config, error=self._weights_error)

    def _make_listener(self, seed: int, like: Listener | None = None) -> Listener:
        if like is None and self._seats:
            like = next(iter(self._seats.values())).listener
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
        depths = {_WEIGHTS: 1, _SEATS: 4 * len(self._seats) + 1024, _DRAWN: 4}
        tick_s = 1.0 / REACTION_RATE_HZ
        self._worker = Worker("reaction", self._handle, depths, self.failed, tick=self._tick, tick_s=tick_s)
        self._drawer = Worker("plans", self._draw_elsewhere, {_DRAW: 1}, self.failed)
        for seat in self._seats.values():
            seat.listener.reset(seat.seed)
            self._open(seat)
        self.work(self._worker)
        self.work(self._drawer)
        self.every(SEATING_S, self._reseat)
        self.every(LOOK_S, self._look_for_controls)

    def _open(self, seat: Seat) -> None:
        """Let a listener take part: subscribe to its topics, and tell the worker."""
        seat.newest_ns, seat.followed_ns = 0, None
        seat.heard_ns, seat.missed_ns = self.steady_ns(), self.running_ns()
        frames = REPLAY_FRAMES if self._inline else 4
        self._worker.put(_SEATS, seat)
        for topic, depth in ((_FRAME, frames), (CONTROL, 8), (_SPEAKING, 8)):
            self._worker.allow(seat.topic(topic), depth)
        for topic in (_FRAME, _SPEAKING):
            seat.subscriptions.append(self.subscribe(topic, partial(self._take, topic, seat), namespace=seat.name))
        seat.inbox = ControlInbox(self, partial(self._take, CONTROL, seat), seat.name)

    def _take(self, topic: str, seat: Seat, message: Any) -> None:
        self._worker.put(seat.topic(topic), (topic, seat, message))

    def _reseat(self) -> None:
        """Let listeners join and leave as the parameter says by now."""
        text = str(self.values["listeners"])
        if text == self._seated:
            return
        self._seated = text
        wanted = seated(text, self._seed)
        self._many = wanted.keys() != {""}
        kept = {name: seat for name, seat in self._seats.items() if wanted.get(name) == seat.seed}
        for name, seat in list(self._seats.items()):
            if name not in kept:
                self._close(seat)
        for name, seed in wanted.items():
            if name not in kept:
                seat = self._seat(name, seed)
                for publisher in (seat.reactions, seat.candidates, seat.latest, seat.status):
                    if publisher is not None:
                        publisher.on_activate(None)
                self._open(seat)
                kept[name] = seat
        self._seats = kept
        self.get_logger().info(f"listens for {', '.join(name or 'its own namespace' for name in kept)}")

    def _close(self, seat: Seat) -> None:
        for entity in seat.subscriptions:
            self.unsubscribe(entity)
        seat.inbox.close()
        self._worker.put(_SEATS, seat.name)
        self._withdraw(seat.name)

    def _withdraw(self, name: str) -> None:
        for topic in (_REACTION, _CANDIDATES, LATEST, *([_STATUS] if name else [])):
            self.withdraw(topic, name)

    def _look_for_controls(self) -> None:
        for seat in self._seats.values():
            seat.inbox.look()

    def _check_listeners(self, parameters: list[Any]) -> SetParametersResult:
        reason = wrong_listeners(parameters, int(self.values["seed"]))
        return SetParametersResult(successful=not reason, reason=reason)

    def stop(self) -> None:
        """Forget the subscriptions, which the deactivation ends."""
        for seat in getattr(self, "_seats", {}).values():
            seat.subscriptions.clear()

    def teardown(self) -> None:
        """End what is being built for the GPU."""
        if hasattr(self, "_model"):
            self._model.close()

    def settings(self) -> dict[str, Any]:
        """Policy, seed and the settings in force; of many listeners, those that they share."""
        seats = list(getattr(self, "_seats", {}).values())
        if not seats:
            return {}
        state = seats[0].listener.state()
        self.backend = state.backend
        shared = self._rounds.figures()
        if not self._many:
            return {"seed": self._seed, **seat_settings(state), **shared}
        names = " ".join(f"{seat.name}={seat.seed}" for seat in seats)
        return {"policy": state.policy, "seed": self._seed, "listeners": names, **shared}

    def figures(self) -> dict[str, str]:
        """Quality, plans and missed deadlines, for the diagnostics."""
        if not hasattr(self, "_seats"):
            return {}
        return {"listeners": str(len(self._seats)), "computed by": self._model.state(), **self._rounds.figures()}

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        states = [seat.listener.state() for seat in self._seats.values()]
        engaged = sum(state.engaged for state in states)
        what = f"{states[0].policy} on {states[0].backend}"
        if self._many:
            return f"{what}, {len(states)} listeners, {engaged} of them with somebody"
        return what + ("" if engaged else ", nobody to listen to")

    def observe_health(self) -> None:
        """Say when nothing comes in, and when plans are late at the lowest quality; tell of each of many listeners."""
        now = self.running_ns()
        silent = [seat for seat in self._seats.values() if now - seat.missed_ns > SILENT_NS]
        topics = ", ".join(seat.topic(_FRAME) for seat in silent)
        sentence = f"nothing comes on {topics}: perception_node is missing or inactive"
        self.set_problem("input", sentence if silent else "", Level.WARN)
        choice = self._rounds.choice
        slow = choice is not None and choice.exhausted
        self.set_problem("slow", self.SLOW if slow else "", Level.WARN)
        if self._missing and self.steady_ns() - self._tried_ns > RETRY_NS:
            self._tried_ns = self.steady_ns()
            self._worker.put(_WEIGHTS, None)
        for seat in self._seats.values():
            if seat.status is not None:
                status = seat_status(seat, self.now_ns(), self.steady_ns(), seat in silent, self._rounds.figures())
                self.publish(seat.status, status)

    # In the worker's thread

    def _handle(self, kind: str, item: Any) -> None:
        if kind == _DRAWN:
            self._finish(item)
        elif kind == _SEATS:
            if isinstance(item, Seat):
                self._rounds.join(item.name, item.listener)
            else:
                self._rounds.leave(item)
                self._fresh.pop(item, None)
        elif kind == _WEIGHTS:
            self._try_weights()
        else:
            self._told(kind, *item)
        self._plan_fresh()

    def _told(self, kind: str, topic: str, seat: Seat, message: Any) -> None:
        if self._seats.get(seat.name) is not seat and seat.name not in self._rounds:
            return  # it has left
        if topic == _FRAME:
            seat.heard_ns, seat.missed_ns = self.steady_ns(), self.running_ns()
            frame = convert.speaker_value(message)
            self.check_clock(kind, frame.stamp_ns)
            if self._inline:
                self._follow(seat, frame)
            else:
                seat.listener.observe(frame)
                self._fresh.setdefault(seat.name, seat.heard_ns)
        elif topic == CONTROL:
            if seat.controls.take(message, seat.listener.control):
                self.publish(seat.latest, seat.controls.message())
                self.solved(kind)
        else:
            seat.listener.robot_speaking(bool(message.data), self.now_ns())

    def _try_weights(self) -> None:
        """Put the model in the place of the rules as soon as its weights can be used."""
        like: Listener | None = None
        try:
            for seat in self._seats.values():
                listener = like = self._make_listener(seat.seed, like)
                listener.control(seat.controls.control)
                seat.listener = listener
                self._rounds.join(seat.name, listener)
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
        for seat in self._seats.values():
            if self._inline:
                followed = seat.followed_ns is not None and abs(now - seat.followed_ns) < FOLLOWS_NS
                if now and not followed:  # before simulated time has begun there is nothing to plan
                    due.append(seat.name)
            elif steady - seat.heard_ns > FLOWING_NS:
                due.append(seat.name)
        if due:
            self._plan(due, now)

    def _follow(self, seat: Seat, frame: SpeakerFrame) -> None:
        """Take in a frame and plan at the times at which a session does, however long perception took for it.

        So a bag played into the graph gives the plans that its offline replay gives, on a slow machine as well.
        """
        seen_ns = 0 if frame.picture_stamp_ns is None else frame.picture_stamp_ns + PICTURE_LATENCY_NS
        due_ns = max(frame.stamp_ns, seen_ns)
        if seat.followed_ns is not None and 0 < due_ns - seat.followed_ns < FOLLOWS_NS:
            for slot in range(PLANS.slot(seat.followed_ns) + 1, PLANS.slot(due_ns - 1) + 1):
                self._plan([seat.name], PLANS.time_ns(slot))
        seat.listener.observe(frame)
        self._plan([seat.name], due_ns)
        seat.followed_ns = due_ns

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
            seat = self._seats.get(name)
            if seat is not None and isinstance(seat.listener, ShowsCandidates):
                asked = self.is_heard(seat.candidates)
                seat.listener.show_candidates(asked or bool(self.values["publish_candidates"]))
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
            seat = self._seats.get(name)
            if seat is not None:
                self._publish(seat, reaction)
        if waited:
            self._plan(waited, self.now_ns())

    def _publish(self, seat: Seat, reaction: Reaction) -> None:
        self.publish(seat.reactions, convert.reaction_message(reaction))
        if reaction.candidates is not None:
            self.publish(seat.candidates, convert.candidates_message(reaction))
        newest = max((s for s in (reaction.picture_stamp_ns, reaction.sound_stamp_ns) if s is not None), default=0)
        latency_ms = (self.now_ns() - newest) / 1e6 if newest > seat.newest_ns else None
        seat.newest_ns = newest
        for meter in (self.meter, seat.meter):
            meter.output(self.steady_ns(), latency_ms)

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


def main() -> int:
    """Run the node, or that of blind sessions."""
    from .reaction_node_blind import node_class

    return run(node_class())
