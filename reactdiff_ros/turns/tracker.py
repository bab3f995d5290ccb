"""Follows a conversation: `SpeakerFrame`s and the robot's own speech in, `TurnSignals` on a 20 Hz grid and events out.

Pure in time: what is pushed and when `advance` is called decide everything. Live, `advance` is called at every tick of
the grid; offline, after everything that was known by then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.clock import NS, Grid, StampGuard
from reactdiff_ros.turns.config import TurnsConfig
from reactdiff_ros.turns.cues import FaceCues, VoiceCues
from reactdiff_ros.turns.events import Events
from reactdiff_ros.turns.features import Features, log_odds, pause_columns, situation_columns
from reactdiff_ros.turns.floor import Floor
from reactdiff_ros.turns.readout import ReadOut
from reactdiff_ros.types import SpeakerFrame, SpeechState, TurnEvent, TurnSignals, Voice

TICKS: Final = Grid(NS // 20)
SOUND_FRESH_NS: Final = NS // 2
"""Sound older than this is unobserved: who spoke is then taken to have stopped."""
SPEECH_LAPSES_NS: Final = NS
"""`robot_speaking` lapses after this, as everywhere."""
TAIL_NS: Final = NS // 2
"""Without an echo canceller, an utterance that began over the robot's speech is its echo until this long after its end
(room, hang-over of the voice)."""
ASK_S: Final = 0.2
"""Silence after which smart-turn is asked."""
_LONGEST_CATCH_UP: Final = 40
"""Ticks that one `advance` makes up for, 2 s; those before are left out."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tick."""

    signals: TurnSignals
    events: tuple[TurnEvent, ...]
    features: Features


class TurnTracker:
    """The state of one conversation.

    Args:
        readout: the weights.
        config: settings.
    """

    def __init__(self, readout: ReadOut, config: TurnsConfig | None = None) -> None:
        self._readout, self._config = readout, config or TurnsConfig()
        self._model = f"turns@{readout.digest}"
        self.reset()

    def reset(self) -> None:
        """Forget the conversation. Turns that were open have no end."""
        self.floor = Floor()
        self._voice, self._face = VoiceCues(), FaceCues()
        self._events = Events(self._config)
        self._guard = StampGuard()
        self._slot: int | None = None
        self._picture_ns: int | None = None
        self._sound_ns: int | None = None
        self._speech = math.nan
        self._asked_ns: int | None = None
        self._answer: tuple[int, float] | None = None
        self._state: SpeechState | None = None
        self._flag: tuple[bool, int] = (False, 0)
        self._clean = False

    # Evidence

    def push_frame(self, frame: SpeakerFrame) -> None:
        """What is seen and heard of the person; late frames are dropped, a jump back is a new conversation."""
        check = self._guard.check(frame.stamp_ns)
        if check == "jump":
            self.reset()
            self._guard.check(frame.stamp_ns)
        elif check == "late":
            return
        if frame.picture_stamp_ns is not None:
            self._face.see(frame)
            if frame.mesh_present:
                self._picture_ns = frame.picture_stamp_ns
        if frame.voice is not None and frame.sound_stamp_ns is not None:
            self._hear(frame.voice, frame.sound_stamp_ns)

    def push_speech(self, state: SpeechState) -> None:
        """What the robot's own speech does."""
        self._state = state

    def push_robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """The same from `robot_speaking`, for a lab's own synthesis; it lapses after 1 s."""
        self._flag = (speaking, now_ns)

    def asks(self) -> int | None:
        """The pause (its begin) that smart-turn should be asked about now; each one once."""
        user = self.floor.user
        if self._sound_ns is None or user.speaking or user.ended_ns is None or self.floor.holder != "user":
            return None
        if self.floor.robot.speaking or user.ended_ns == self._asked_ns or user.silence_s(self._sound_ns) < ASK_S:
            return None
        self._asked_ns = user.ended_ns
        return user.ended_ns

    def push_answer(self, pause_ns: int, probability: float) -> None:
        """smart-turn's answer about the pause that began at `pause_ns`."""
        if math.isfinite(probability):
            self._answer = (pause_ns, probability)

    # Signals

    def advance(self, now_ns: int) -> list[Step]:
        """The ticks up to `now_ns` that are not done yet, with all evidence so far."""
        slot = TICKS.slot(now_ns)
        if self._slot is None or self._slot - slot > 10:  # the first, or the clock jumped back
            self._slot = slot - 1
        first = max(self._slot + 1, slot - _LONGEST_CATCH_UP + 1)
        steps = [self._step(TICKS.time_ns(k)) for k in range(first, slot + 1)]
        self._slot = max(self._slot, slot)
        return steps

    def _step(self, now_ns: int) -> Step:
        self._listen_to_robot(now_ns)
        if self.floor.user.speaking and not self._heard(now_ns):  # who is heard no more stopped where they were last
            self.floor.hear_user(False, 0, self._sound_ns)
        features = self.features(now_ns)
        signals = self._signals(features, now_ns)
        events = tuple(self._events.look(self.floor, signals))
        return Step(signals, events, features)

    def features(self, now_ns: int) -> Features:
        """What is known at `now_ns`."""
        floor = self.floor
        paused = floor.holder == "user" and not floor.user.speaking and floor.user.ended_ns is not None
        answered = self._answer is not None and self._answer[0] == floor.user.ended_ns and paused
        return Features(
            situation=situation_columns(floor, now_ns),
            pause=pause_columns(floor, now_ns) if paused else None,
            voice=self._voice.values(),
            face=self._face.values(now_ns),
            network=np.array([log_odds(self._answer[1])]) if answered and self._answer is not None else None,
        )

    def _signals(self, features: Features, now_ns: int) -> TurnSignals:
        floor, nan = self.floor, math.nan
        deaf = floor.robot.speaking and not self._duplex

        def p(head: str, known: bool = True) -> float:
            return self._readout.probability(head, features) if known else nan

        return TurnSignals(
            stamp_ns=now_ns,
            p_speaking=self._speech if self._heard(now_ns) and not deaf else nan,
            p_eot=p("eot"),
            p_now=p("now"),
            p_future=p("future"),
            p_backchannel=p("backchannel", not floor.robot.speaking),
            p_user_starts=p("user_starts", not floor.user.speaking),
            p_barge_in=p("barge_in") if floor.robot.speaking and floor.user.speaking else nan if deaf else 0.0,
            silence_s=floor.user.silence_s(now_ns),
            picture_stamp_ns=self._picture_ns,
            sound_stamp_ns=self._sound_ns,
            model=self._model,
        )

    # The two sides

    @property
    def _duplex(self) -> bool:
        return self._clean or self._config.full_duplex

    def _hear(self, voice: Voice, sound_ns: int) -> None:
        timed = math.isfinite(voice.utterance_s) and not math.isnan(voice.speech_probability)
        if not timed or (self._sound_ns is not None and sound_ns <= self._sound_ns):
            return
        self._sound_ns = sound_ns
        robot = self.floor.robot
        if robot.speaking and sound_ns > (robot.began_ns or 0):
            self._clean = voice.clean  # sound is cleaned only while the robot speaks
        began_ns = sound_ns - _ns(voice.utterance_s)
        if not self._duplex:
            ended = robot.ended_ns
            if robot.speaking or (voice.speaking and ended is not None and began_ns < ended > sound_ns - TAIL_NS):
                return
            began_ns = began_ns if ended is None else max(began_ns, ended)
        self._speech = min(max(voice.speech_probability, 0.0), 1.0)
        ended_ns = None if math.isnan(voice.pause_s) else sound_ns - _ns(voice.pause_s)
        self.floor.hear_user(voice.speaking, began_ns, ended_ns)
        self._voice.hear(voice, sound_ns)

    def _listen_to_robot(self, now_ns: int) -> None:
        state, (flag, flag_ns) = self._state, self._flag
        speaking, at_ns = flag and 0 <= now_ns - flag_ns < SPEECH_LAPSES_NS, now_ns
        if state is not None:
            begun = state.start_ns is None or state.start_ns <= now_ns
            over = state.end_ns is not None and state.end_ns <= now_ns
            if state.phase in ("speaking", "stopping"):
                speaking = begun and not over
                at_ns = state.end_ns or now_ns if over else state.start_ns or now_ns
            elif speaking and state.phase == "idle" and state.stamp_ns >= flag_ns:
                speaking = False
        robot = self.floor.robot
        if speaking and not robot.speaking:
            self._events.utterance = "" if state is None else state.utterance
            if self.floor.user.speaking and not self._duplex:
                self.floor.hear_user(False, 0, now_ns)
        self.floor.hear_robot(speaking, min(at_ns, now_ns))

    def _heard(self, now_ns: int) -> bool:
        return self._sound_ns is not None and now_ns - self._sound_ns <= SOUND_FRESH_NS


def _ns(seconds: float) -> int:
    return round(min(max(seconds, 0.0), 1e6) * NS)
