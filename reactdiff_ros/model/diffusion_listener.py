"""The listener that is a model: speaker tokens in, plans drawn by latent diffusion out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import to_ns
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.explain import REPEAT_S, Question, Step
from reactdiff_ros.model.listener import ListenerConfig, PolicyListener
from reactdiff_ros.model.plan.corrections import (
    HEAD_SHARE,
    Empathy,
    NodGate,
    answered,
    conditioning,
    greeting,
    heeding,
    presented,
)
from reactdiff_ros.model.plan.level import HORIZON_FRAMES, Level
from reactdiff_ros.model.plan.planner import Draft, Drawn, Planner, draw_plan, live_frames
from reactdiff_ros.model.speaker.engagement import EvidenceWatch
from reactdiff_ros.model.speaker.grid import SpeakerGrid
from reactdiff_ros.settings import RANGES
from reactdiff_ros.types import (
    REACTION_RATE_HZ,
    FloatArray,
    ListenerControl,
    ListenerState,
    Reaction,
    SpeakerFrame,
    Turn,
)

MOST_LATE: Final = round(RANGES["delay_s"][1] * REACTION_RATE_HZ)
"""Slots of the longest reaction delay."""
MOST_STEPS: Final = 32


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A plan that is due, in the state of the listener at that time."""

    slot: int
    reason: str
    planner: Planner
    draft: Draft | None
    """None: nothing is to be drawn, the face is neutral."""
    presence: NDArray[np.float64]
    """(at least the plan's frames,) share of the face that is shown."""
    head: NDArray[np.float64] | None
    """The same of the head's motion."""
    answers: NDArray[np.float64]
    """(the plan's frames, 5) see `corrections.Empathy`."""
    turn: Turn
    engaged: bool
    all_candidates: bool
    """The reaction carries all candidates."""
    picture_stamp_ns: int | None
    sound_stamp_ns: int | None


class DiffusionListener(PolicyListener):
    """Policy "model": see `listener.Listener` for the contract.

    A plan of 0.48 s (longer with long hops) is drawn from the newest speaker tokens and the listener's own past;
    `hop_s` of it is committed, then there is a new plan, at once on clear new evidence. Where they are asked for,
    `candidates` plans are drawn from the same past; the first one is followed.

    Args:
        seed: of the noise.
        config: settings of the listener.
        timer: seconds of a monotonic clock, for `compute_s`; None: not measured (0).
        networks: loaded ones, which several listeners may share; None: those of `config`.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    NAME: ClassVar[str] = "model"
    DELAYED: ClassVar[bool] = False

    def __init__(
        self,
        *,
        seed: int,
        config: ListenerConfig | None = None,
        timer: Callable[[], float] | None = None,
        networks: Networks | None = None,
    ) -> None:
        config = config or ListenerConfig()
        self.networks = networks or Networks(find_weights(config.model_dir), config.threads)
        """What it plans with."""
        self._quality = (config.steps, config.candidates)
        self.timer = timer
        self._compute_s = 0.0
        self.grid = SpeakerGrid(self.networks, keep=int(self.networks.ages[0]) + 9 + MOST_LATE)
        """What it knows of the speaker."""
        self._watch = EvidenceWatch()
        self._all_candidates = config.publish_candidates
        super().__init__(seed=seed, config=config)

    def _start(self) -> None:
        super()._start()
        how = Sampling(
            steps=self._quality[0], guidance=self._config.guidance, hop=self._clock.hop,
            candidates=self._quality[1],
        )  # fmt: skip
        self._planner = Planner(self.networks, [self._seed], how)
        self._frames = live_frames(how, self.networks.shape["horizon"])
        self.grid.clear()
        self._watch.clear()
        self._head = Level(1.0)
        self._gate = NodGate()
        self._empathy = Empathy(self._seed)
        self._drawn: deque[Step] = deque(maxlen=MOST_STEPS)
        """Its last plans, oldest first."""

    def set_quality(self, steps: int, candidates: int) -> None:
        """Plan with this many steps and candidates from now on; see `batch.QualityChoice`."""
        if (steps, candidates) != self._quality:
            self._quality = (steps, candidates)
            self._planner.set_quality(steps, candidates)

    def show_candidates(self, wanted: bool) -> None:
        """Whether plans carry all their candidates; see `listener.ShowsCandidates`."""
        self._all_candidates = wanted

    def question(self) -> Question | None:
        """What `explain.explain` needs to say why it planned what it did last; None: nothing was drawn."""
        if not self._drawn:
            return None
        last = self._drawn[-1].draft.slot
        recent = [step for step in self._drawn if last - step.draft.slot <= REPEAT_S * REACTION_RATE_HZ]
        stamp_ns = self._clock.grid.time_ns(last)
        return Question(stamp_ns, recent, tuple(self.grid.history), self._empathy.tilt)

    def control(self, control: ListenerControl) -> None:
        """Change style; a new attitude or responsiveness acts at once, also in the middle of a greeting."""
        before = self._style
        super().control(control)
        if (self._style.attitude, self._style.responsiveness) != (before.attitude, before.responsiveness):
            self._engagement.greeted()

    def state(self) -> ListenerState:
        """What is in force; see `Listener.state`."""
        state = super().state()
        steps, candidates = self._quality
        settings = {**state.settings, "steps": steps, "candidates": candidates}
        return replace(state, backend=self._backend, compute_ms=1e3 * self._compute_s, settings=settings)

    @property
    def _backend(self) -> str:
        return f"{self.networks.backend} {self.networks.name}"

    def _observed(self, frame: SpeakerFrame) -> None:
        self.grid.push(frame)
        self._empathy.observe(frame)
        self._watch.observe(frame, speaks=self._engagement.other_speaks(frame.stamp_ns))
        if self._clock.last_slot is not None:
            since = self._clock.grid.slot(frame.stamp_ns) + 1 - self._clock.last_slot
            self._evidence = self._evidence or self._watch.clear_change(since)

    def _reaction(self, slot: int, reason: str) -> Reaction:
        begin = self.timer() if self.timer is not None else 0.0
        request = self.request(slot, reason)
        drawn = None if request.draft is None else draw_plan(self.networks, request.draft)
        seconds = self.timer() - begin if self.timer is not None else 0.0
        return self.answer(request, drawn, seconds)

    def request(self, slot: int, reason: str) -> PlanRequest:
        """What is to be drawn for the plan that `due` returned, in the state of now. `answer` comes next."""
        presence = self._levels(slot)
        self._watch.planned()
        self._empathy.look(self._clock.grid.time_ns(slot), to_ns(self._style.delay_s))
        frame = self._newest
        draft = head = None
        if not presence.any():
            self._planner.forget()
            self._drawn.clear()
        else:
            draft = self._draft(slot)
            head = self._head.frames(slot, HEAD_SHARE if self._turn == "robot_speaking" else 1.0)
        return PlanRequest(
            slot=slot, reason=reason, planner=self._planner, draft=draft, presence=presence, head=head,
            answers=self._empathy.frames(slot, self._frames), turn=self._turn,
            engaged=self._engaged, all_candidates=self._all_candidates,
            picture_stamp_ns=None if frame is None else frame.picture_stamp_ns,
            sound_stamp_ns=None if frame is None or self._engagement.deaf(frame.stamp_ns) else frame.sound_stamp_ns,
        )  # fmt: skip

    def follows(self, request: PlanRequest) -> bool:
        """Whether it was not reset since."""
        return request.planner is self._planner

    def answer(self, request: PlanRequest, drawn: Drawn | None, compute_s: float) -> Reaction:
        """The requested plan, from what was drawn of its draft in `compute_s`."""
        self._compute_s = compute_s
        plans = self._shown(request, drawn)
        return Reaction(
            start_ns=self._clock.grid.time_ns(request.slot),
            rate_hz=REACTION_RATE_HZ,
            coefficients=plans[0],
            commit_frames=self._clock.hop,
            engaged=request.engaged,
            seed=self._seed,
            policy=self.NAME,
            backend=self._backend,
            compute_s=compute_s,
            picture_stamp_ns=request.picture_stamp_ns,
            sound_stamp_ns=request.sound_stamp_ns,
            candidates=plans if request.all_candidates else None,
            reason=request.reason,
            turn=request.turn,
        )

    def _draft(self, slot: int) -> Draft:
        lead = self._lead(slot)
        met_s = self._engagement.met_s(self._clock.grid.time_ns(slot))
        style = greeting(self._style, met_s, self._config.greeting_s, self._empathy.pleased)
        conditions = conditioning(heeding(style, self._empathy.negative), self._turn)
        newest = slot - 1 - lead - int(conditions.late[0])
        speaker, missing = self.grid.tokens(newest, self.networks.ages)
        return self._planner.draft(
            slot, speaker[None], missing[None], conditions, lead=lead, frames=self._frames,
            broad=np.full(1, self.grid.broad(newest), dtype=np.float32), all_candidates=self._all_candidates,
        )  # fmt: skip

    def _shown(self, request: PlanRequest, drawn: Drawn | None) -> FloatArray:
        """The candidates (K, H, 58) as they may be shown."""
        if request.draft is None or request.head is None or drawn is None:
            count = self._quality[1] if request.all_candidates else 1
            return np.zeros((count, self._frames, COEFFICIENT_COUNT), dtype=np.float32)
        request.planner.finish(request.draft, drawn)
        plan = self._gate.let_through(request.slot, request.turn, drawn.shown[0], drawn.still[0])
        self._drawn.append(Step(replace(request.draft, noise=request.draft.noise[:, :1]), request.answers))
        if "empathy" not in self.networks.learnt:
            plan = answered(plan, request.answers, self._empathy.tilt)
        return presented(plan, request.presence, request.head)

    def _lead(self, slot: int) -> int:
        """Slots between the newest evidence and the plan; the grid is filled up where that is too many."""
        longest = self.networks.shape["max_lead"] - HORIZON_FRAMES
        self.grid.advance(slot - 1 - longest)
        newest = self.grid.newest
        return longest if newest is None else int(np.clip(slot - 1 - newest, 0, longest))
