"""Who talks, who has the floor, and how the floor was used so far: a function of stamped observations alone."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from reactdiff_ros.clock import NS

Holder = Literal["none", "user", "robot"]
SHARE_S: Final = 10.0
"""Window of the share of time in which the person talks."""
_SHARE_NS: Final = round(SHARE_S * NS)
PAUSE_S: Final = 0.5
"""Prior mean of the pauses within a turn (Heldner and Edlund 2010: 0.5 s), worth as much as PAUSE_WEIGHT pauses."""
PAUSE_WEIGHT: Final = 3.0
_FORGET: Final = 0.95
"""Of the weight of the pauses so far, at each new one."""


@dataclass(slots=True)
class Side:
    """When one side of the conversation talks."""

    speaking: bool = False
    began_ns: int | None = None
    """Of the current or the last utterance."""
    ended_ns: int | None = None
    """Of the last utterance that has ended."""

    def silence_s(self, now_ns: int) -> float:
        """Seconds since the last utterance, 0 while speaking, NaN if there was none."""
        if self.speaking:
            return 0.0
        return math.nan if self.ended_ns is None else max(0, now_ns - self.ended_ns) / NS

    def utterance_s(self, now_ns: int) -> float:
        """Length of the current utterance so far or of the last one, 0 if there was none."""
        if self.began_ns is None:
            return 0.0
        end_ns = now_ns if self.speaking or self.ended_ns is None else self.ended_ns
        return max(0, end_ns - self.began_ns) / NS


class Floor:
    """The floor between the person and the robot.

    The person takes it by speaking while the robot is silent, or by speaking on when the robot stops; the robot by
    speaking while the person is silent, or by speaking on when the person stops. What is said over the other's speech
    takes nothing (`seize` is for what does).
    """

    def __init__(self) -> None:
        self.user, self.robot = Side(), Side()
        self.holder: Holder = "none"
        self.since_ns = 0
        """When the floor came to its holder."""
        self.talked_s = 0.0
        """How long the person has talked in ended utterances since they have the floor."""
        self.pauses = 0
        """How often they went on after a pause since."""
        self.pause_mean_s = PAUSE_S
        """Mean of the pauses that this person makes within their turns."""
        self._pause_weight = PAUSE_WEIGHT
        self._recent: deque[tuple[int, int]] = deque()

    def hear_user(self, speaking: bool, began_ns: int, ended_ns: int | None) -> None:
        """What the voice does now: since when the utterance lasts, or when the last one ended (None: never)."""
        side = self.user
        if speaking and not side.speaking:
            self._user_starts(began_ns)
        elif not speaking and side.speaking:
            self._user_ends(side.began_ns if ended_ns is None else ended_ns)

    def hear_robot(self, speaking: bool, at_ns: int) -> None:
        """Whether the robot speaks from `at_ns` on."""
        side = self.robot
        if speaking == side.speaking:
            return
        side.speaking = speaking
        if speaking:
            side.began_ns = at_ns
            if not self.user.speaking:
                self._give("robot", at_ns)
        else:
            side.ended_ns = at_ns
            if self.user.speaking and self.holder != "user":
                self._give("user", self.user.began_ns or at_ns)

    def seize(self) -> None:
        """What the person says over the robot's speech takes the floor."""
        if self.holder != "user":
            self._give("user", self.user.began_ns or 0)

    def share(self, now_ns: int) -> float:
        """Share of the last SHARE_S in which the person talked, 0..1."""
        first_ns = now_ns - _SHARE_NS
        while self._recent and self._recent[0][1] <= first_ns:
            self._recent.popleft()
        spans = list(self._recent)
        if self.user.speaking and self.user.began_ns is not None:
            spans.append((self.user.began_ns, now_ns))
        talked = sum(max(0, min(end, now_ns) - max(begin, first_ns)) for begin, end in spans)
        return min(talked / _SHARE_NS, 1.0)

    def floor_talk_s(self, now_ns: int) -> float:
        """How long the person has talked since they have the floor, the present utterance included."""
        begun = self.user.began_ns if self.user.speaking else None
        return self.talked_s + (0.0 if begun is None else max(0, now_ns - begun) / NS)

    def _user_starts(self, began_ns: int) -> None:
        side = self.user
        if side.ended_ns is not None:
            began_ns = max(began_ns, side.ended_ns)
            if self.holder == "user":
                self.pauses += 1
                pause_s = (began_ns - side.ended_ns) / NS
                if pause_s < 3.0:
                    self._pause_weight = self._pause_weight * _FORGET + 1.0
                    self.pause_mean_s += (pause_s - self.pause_mean_s) / self._pause_weight
        side.speaking, side.began_ns = True, began_ns
        if not self.robot.speaking and self.holder != "user":
            self._give("user", began_ns)

    def _user_ends(self, ended_ns: int | None) -> None:
        side = self.user
        began_ns = side.began_ns or 0
        end_ns = began_ns if ended_ns is None else max(ended_ns, began_ns)
        side.speaking, side.ended_ns = False, end_ns
        self._recent.append((began_ns, end_ns))
        if len(self._recent) > 64:
            self._recent.popleft()
        if self.holder == "user":
            self.talked_s += (end_ns - began_ns) / NS
            if self.robot.speaking:
                self._give("robot", max(end_ns, self.robot.began_ns or 0))

    def _give(self, holder: Holder, at_ns: int) -> None:
        self.holder, self.since_ns = holder, at_ns
        self.talked_s, self.pauses = 0.0, 0
