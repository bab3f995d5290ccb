"""The events of the floor, as a state machine over the voice, the robot's speech and the signals.

| state | what happens | events | next state |
|---|---|---|---|
| idle | the person speaks while the robot is silent | user_started | turn |
| turn | silence, p_eot reaches `eager_probability` | eot_eager | ending |
| ending | the person goes on | eot_cancelled | turn |
| turn or ending | silence, p_eot reaches `end_probability` or silence `longest_silence_s` | (eot_eager) eot | idle |
| turn or ending | the robot speaks while the person is silent | (eot_eager) eot, robot_started | idle |
| turn | the robot speaks while the person speaks, who then stops | robot_started, eot_eager, eot | idle |
| idle | speech over the robot's ends before it is a barge-in | user_backchannel | idle |
| idle, turn | it lasts `barge_in_s`, or p_barge_in reaches `barge_in_probability` | barge_in, (user_started) | turn |
| idle | the robot stops while speech over it goes on | robot_stopped, user_started | turn |
| any | the robot speaks, stops | robot_started, robot_stopped | |

So an eot follows a user_started, comes once for each, and always after an eot_eager of the same turn that was not
cancelled. Stamps say when it happened: user_started and barge_in when the utterance began, eot when the last one
ended; only their order is that in which they are noticed.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from reactdiff_ros.clock import NS
from reactdiff_ros.turns.config import TurnsConfig
from reactdiff_ros.turns.floor import Floor
from reactdiff_ros.types import TurnEvent, TurnEventKind, TurnSignals

SOUNDS: Final = 0.35
"""Speech probability from which the voice goes on, as in perception."""

AGAIN_NS: Final = NS


class Events:
    """What has happened since the last look. `utterance`: the robot's present utterance, "" for none."""

    def __init__(self, config: TurnsConfig) -> None:
        self._config = config
        self.state: Literal["idle", "turn", "ending"] = "idle"
        self.utterance = ""
        self._user, self._robot = False, False
        self._over = False
        """The present utterance of the person goes on over the robot's speech, and has not taken the floor."""
        self._p_barge_in = 0.0
        self._before: tuple[int, float] = (0, 0.0)
        """When the last speech over the robot's ended without taking the floor, and its length with that before it."""
        self._found: list[TurnEvent] = []

    def look(self, floor: Floor, signals: TurnSignals) -> list[TurnEvent]:
        """The events of a tick, in order; `floor` is given to the person where they take it by a barge-in."""
        self._found = []
        now_ns = signals.stamp_ns
        user, robot = floor.user.speaking, floor.robot.speaking
        user_stopped, robot_stopped = self._user and not user, self._robot and not robot
        if user_stopped and self._over:
            self._over = False
            if self.state == "idle":
                began_ns = floor.user.began_ns or now_ns
                length_s = self._before_s(began_ns) + floor.user.utterance_s(now_ns)
                self._before = (floor.user.ended_ns or now_ns, length_s)
                self._emit(began_ns, "user_backchannel", 1.0 - self._p_barge_in)
            else:
                self._end_turn(floor, signals)
        if robot and not self._robot:
            self._robot_starts(floor, signals)
        if robot_stopped:
            self._emit(floor.robot.ended_ns or now_ns, "robot_stopped", 1.0, self.utterance)
            if user and self._over:
                self._over = False
                self._start_turn(floor.user.began_ns or now_ns, signals.p_speaking)
        if user and not self._user:
            self._user_starts(floor, signals)
        if user and self._over:
            self._p_barge_in = _known(signals.p_barge_in)
            if self._takes_the_floor(floor, signals):
                self._barge_in(floor, signals)
        if not user and self.state != "idle":
            self._listen_for_the_end(floor, signals)
        self._user, self._robot = user, robot
        return self._found

    def _user_starts(self, floor: Floor, signals: TurnSignals) -> None:
        began_ns = floor.user.began_ns or signals.stamp_ns
        if self.state == "ending":
            self._emit(began_ns, "eot_cancelled", _known(signals.p_speaking, 1.0))
            self.state = "turn"
        elif floor.robot.speaking and self.state == "idle":
            self._over = True
        elif self.state == "idle":
            self._start_turn(began_ns, signals.p_speaking)

    def _robot_starts(self, floor: Floor, signals: TurnSignals) -> None:
        began_ns = floor.robot.began_ns or signals.stamp_ns
        if self.state != "idle" and not floor.user.speaking:
            self._end_turn(floor, signals)
        self._emit(began_ns, "robot_started", 1.0, self.utterance)
        self._over = floor.user.speaking  # the robot cuts in

    def _takes_the_floor(self, floor: Floor, signals: TurnSignals) -> bool:
        """Speech over the robot's that sounds now (what hangs over is no more of it)."""
        if not _known(signals.p_speaking, 1.0) >= SOUNDS:
            return False
        over_s = min(floor.user.utterance_s(signals.stamp_ns), floor.robot.utterance_s(signals.stamp_ns))
        over_s += self._before_s(floor.user.began_ns or signals.stamp_ns)
        likely = self._p_barge_in >= self._config.barge_in_probability
        return likely or (floor.robot.speaking and over_s >= self._config.barge_in_s - 1e-9)

    def _before_s(self, began_ns: int) -> float:
        """An echo canceller breaks up what is said over the robot's speech: the pieces of AGAIN_NS count together."""
        return self._before[1] if 0 <= began_ns - self._before[0] <= AGAIN_NS else 0.0

    def _barge_in(self, floor: Floor, signals: TurnSignals) -> None:
        began_ns = floor.user.began_ns or signals.stamp_ns
        self._over = False
        floor.seize()
        self._emit(began_ns, "barge_in", signals.p_barge_in, self.utterance)
        self._start_turn(began_ns, signals.p_speaking)

    def _start_turn(self, began_ns: int, confidence: float) -> None:
        if self.state == "turn":
            return
        self.state = "turn"
        self._emit(began_ns, "user_started", _known(confidence, 1.0))

    def _listen_for_the_end(self, floor: Floor, signals: TurnSignals) -> None:
        silence_s, p = signals.silence_s, _known(signals.p_eot)
        if math.isnan(silence_s) or silence_s < self._config.least_silence_s:
            return
        if p >= self._config.end_probability or silence_s >= self._config.longest_silence_s:
            self._end_turn(floor, signals)
        elif self.state == "turn" and p >= self._config.eager_probability:
            self._probably_end(floor, signals)

    def _probably_end(self, floor: Floor, signals: TurnSignals) -> None:
        self.state = "ending"
        self._emit(floor.user.ended_ns or signals.stamp_ns, "eot_eager", _known(signals.p_eot))

    def _end_turn(self, floor: Floor, signals: TurnSignals) -> None:
        if self.state == "turn":
            self._probably_end(floor, signals)
        self.state = "idle"
        self._emit(floor.user.ended_ns or signals.stamp_ns, "eot", _known(signals.p_eot))

    def _emit(self, stamp_ns: int, kind: TurnEventKind, confidence: float, utterance: str = "") -> None:
        self._found.append(TurnEvent(stamp_ns, kind, min(max(confidence, 0.0), 1.0), utterance))


def _known(value: float, default: float = 0.0) -> float:
    return default if math.isnan(value) else value
