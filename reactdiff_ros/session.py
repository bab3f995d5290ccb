"""The whole listener in one process, without ROS: perception, listener and expression on one time line.

Used by replay, evaluation, tests and training. The rooms are the same objects that the nodes run.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from reactdiff_ros.clock import NS, Grid, to_ns
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.perception import gaze_target
from reactdiff_ros.settings import check_settings, setting
from reactdiff_ros.types import EXPRESSION_RATE_HZ, ExpressionFrame, People, Picture, Reaction, Sound, SpeakerFrame

TICKS: Final = Grid(int(NS / EXPRESSION_RATE_HZ))
JUMP_NS: Final = NS // 2
PLAN_EVERY: Final = 2
"""The plan timer runs at every second tick: 25 Hz."""
MAX_WAITING: Final = 3000


class Perception(Protocol):
    """What the session needs of `perception.SpeakerPerception`."""

    @property
    def people(self) -> People | None:
        """Who was in view in the last picture; None: not known."""
        ...

    def observe_picture(self, picture: Picture) -> SpeakerFrame:
        """The speaker after this picture."""
        ...

    def observe_sound(self, sound: Sound) -> list[SpeakerFrame]:
        """Take in sound; frames only while no pictures come."""
        ...

    def robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """The robot itself speaks, or has ended: its voice is none of the people's."""
        ...

    def reset(self) -> None:
        """Forget all people."""
        ...


@dataclass(frozen=True)
class SessionConfig:
    """Times that a graph of processes takes, as a session counts them.

    Raises:
        ConfigError: a value is out of range.
    """

    picture_latency_s: float = setting(
        0.03, "From a picture's capture until perception has read it.", unit="s", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        check_settings(self, "session")


class ListeningSession:
    """Pictures and sound in, the face's 50 frames a second out, in the order of stamps.

    A picture acts at its stamp plus `picture_latency_s`, a chunk of sound at its end. Everything is deterministic and
    causal: the frame for time t is a function of what was pushed for times up to t, and of the seeds of listener and
    expression. A push for a time that is already past acts at the next step; one more than 0.5 s before it is a new
    time line: what waits is dropped and the session goes on from there.

    `speaker_frames` and `reactions` of the last `advance` are kept for recording.
    """

    def __init__(
        self, perception: Perception, listener: Listener, expression: ExpressionEngine,
        config: SessionConfig | None = None,
    ) -> None:  # fmt: skip
        self.perception, self.listener, self.expression = perception, listener, expression
        self._latency_ns = to_ns((config or SessionConfig()).picture_latency_s)
        self.rejected = 0
        """Malformed inputs dropped since the start."""
        self.dropped = 0
        """Inputs dropped because too many waited."""
        self.speaker_frames: Sequence[SpeakerFrame] = ()
        """What perception returned within the last `advance`."""
        self.reactions: Sequence[Reaction] = ()
        """What the listener planned within the last `advance`."""
        self._waiting: list[tuple[int, int, Picture | Sound]] = []
        self._count = 0
        self._next_slot: int | None = None

    def reset(self, seed: int | None = None) -> None:
        """Start again on any time line; with `seed`, listener and expression start its noise."""
        self.perception.reset()
        self.listener.reset(seed)
        self.expression.reset(seed)
        self._waiting.clear()
        self._next_slot = None

    def push_picture(self, picture: Picture) -> None:
        """A camera picture, at its stamp."""
        self._push(picture.stamp_ns + self._latency_ns, picture)

    def push_sound(self, sound: Sound) -> None:
        """A chunk of sound."""
        self._push(sound.end_ns, sound)

    def advance(self, to_ns: int) -> list[ExpressionFrame]:
        """Run until `to_ns` and return the faces after the last one and up to `to_ns`, in the order of stamps.

        The first face is that of the first tick at or after the first input, or of `to_ns` itself without any.
        """
        heard: list[SpeakerFrame] = []
        plans: list[Reaction] = []
        faces: list[ExpressionFrame] = []
        self.speaker_frames, self.reactions = heard, plans
        if self._next_slot is None or TICKS.time_ns(self._next_slot) > to_ns + JUMP_NS:
            first = min(self._waiting[0][0], to_ns) if self._waiting else to_ns
            self._next_slot = TICKS.slot(first + TICKS.period_ns - 1)
        while TICKS.time_ns(self._next_slot) <= to_ns:
            tick_ns = TICKS.time_ns(self._next_slot)
            while self._waiting and self._waiting[0][0] <= tick_ns:
                due_ns, _, item = heapq.heappop(self._waiting)
                self._take(item, max(due_ns, tick_ns - TICKS.period_ns + 1), heard, plans)
            if self._next_slot % PLAN_EVERY == 0:
                self._plan(tick_ns, plans)
            faces.append(self.expression.tick(tick_ns))
            self._next_slot += 1
        return faces

    def _push(self, due_ns: int, item: Picture | Sound) -> None:
        if self._next_slot is not None and due_ns < TICKS.time_ns(self._next_slot) - JUMP_NS:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._next_slot = None
        if len(self._waiting) >= MAX_WAITING:
            heapq.heappop(self._waiting)
            self.dropped += 1
        heapq.heappush(self._waiting, (due_ns, self._count, item))
        self._count += 1

    def _take(self, item: Picture | Sound, now_ns: int, heard: list[SpeakerFrame], plans: list[Reaction]) -> None:
        try:
            if isinstance(item, Picture):
                frames = [self.perception.observe_picture(item)]
            else:
                frames = self.perception.observe_sound(item)
        except MessageError:
            self.rejected += 1
            return
        if isinstance(item, Picture) and self.perception.people is not None:
            with suppress(MessageError):  # counted by the expression
                self.expression.on_people(self.perception.people, now_ns)
        for frame in frames:
            self.observe(frame, now_ns)
            heard.append(frame)
            self._plan(now_ns, plans)

    def observe(self, frame: SpeakerFrame, now_ns: int) -> None:
        """Give a speaker frame from elsewhere (a bag, a simulator) to listener and expression at `now_ns`."""
        try:
            self.listener.observe(frame)
            target = gaze_target(frame)
            if target is not None:
                self.expression.on_gaze_target(target, now_ns)
            if frame.voice is not None:
                self.expression.on_speaking(frame.voice.speaking, now_ns)
        except MessageError:
            self.rejected += 1

    def robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """The robot itself speaks (repeated; lapses after 1 s) or has ended: its voice is not the other's."""
        self.perception.robot_speaking(speaking, now_ns)
        self.listener.robot_speaking(speaking, now_ns)
        self.expression.on_robot_speaking(speaking, now_ns)

    def _plan(self, now_ns: int, plans: list[Reaction]) -> None:
        reaction = self.listener.plan(now_ns)
        if reaction is None:
            return
        plans.append(reaction)
        try:
            self.expression.on_reaction(reaction, now_ns)
        except MessageError:
            self.rejected += 1
