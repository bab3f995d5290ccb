"""Who has the floor: `turn/signals` 20 times a second and `turn/event`, from voice, face and the robot's own speech."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill, sound_value, speaker_value, speech_state_value
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.health import Level, newest
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.resampling import Resampler, mono
from reactdiff_ros.turns.config import TurnsConfig
from reactdiff_ros.turns.readout import read_readout
from reactdiff_ros.turns.smart_turn import INSTALL, RATE_HZ, SECONDS, SmartTurn, find_network
from reactdiff_ros.turns.tracker import TurnTracker
from reactdiff_ros.types import Sound, TurnEvent
from reactdiff_ros.worker import Worker

TICK_S: Final = 0.025
"""Half a period of the grid: signals are at most so late."""
SILENT_NS: Final = 2 * NS
HOLE_NS: Final = NS // 2
_FRAME, _AUDIO = "speaker/frame", "audio"
_ASK: Final = "smart-turn"


class LastSound:
    """The last 8 s of a stream of sound, at 16 kHz."""

    def __init__(self) -> None:
        self._pieces: deque[NDArray[np.float32]] = deque()
        self._count = 0
        self._format: tuple[int, int] | None = None
        self._end_ns = 0

    def push(self, sound: Sound) -> None:
        """A chunk; what was before a hole of 0.5 s, a jump back or another format is forgotten."""
        kind = (sound.rate_hz, sound.samples.shape[1])
        if kind != self._format or abs(sound.stamp_ns - self._end_ns) > HOLE_NS:
            self._resampler, self._format, self._given = Resampler(sound.rate_hz), kind, 0
            self._pieces.clear()
            self._count = 0
        self._end_ns = sound.end_ns
        self._resampler.push(mono(sound.samples))
        ready = self._resampler.reach() - self._given
        if ready <= 0:
            return
        self._given += ready
        self._pieces.append(self._resampler.take(ready))
        self._count += ready
        while self._count - len(self._pieces[0]) >= SECONDS * RATE_HZ:
            self._count -= len(self._pieces.popleft())

    def samples(self) -> NDArray[np.float32] | None:
        """(n,) up to now; None: there is no sound."""
        return np.concatenate(self._pieces) if self._pieces else None


class TurnNode(ReactdiffNode):
    """Sound, `speaker/frame` and the robot's own speech in, turn-taking signals and events out."""

    NAME = "turn_node"

    def setup(self) -> None:
        """Read the settings and load the read-out and, where it is installed, smart-turn."""
        self._config = self.configured(TurnsConfig)
        self._readout = read_readout()
        path = find_network(self._config.network)
        self._network = None if path is None else SmartTurn(path)
        self._signals, self._events = self.advertise("turn/signals"), self.advertise("turn/event")
        self.backend = f"turns@{self._readout.digest}" + ("" if path is None else f"+{path.stem}")

    def start(self) -> None:
        """Begin a conversation and subscribe."""
        self._tracker = TurnTracker(self._readout, self._config)
        self._sound = LastSound()
        self._answers: deque[tuple[int, float]] = deque(maxlen=4)
        self._frames_ns = self.running_ns()
        self._last: TurnEvent | None = None
        self._asker = None
        if self._network is not None:
            self._asker = self.work(Worker(_ASK, self._ask, {_ASK: 1}, self.failed))
        self.subscribe(_AUDIO, self._on_sound)
        self.subscribe(_FRAME, self._on_frame)
        self.subscribe("speech/state", lambda m: self._tracker.push_speech(speech_state_value(m)))
        self.subscribe("robot_speaking", lambda m: self._tracker.push_robot_speaking(bool(m.data), self.now_ns()))
        self.every(TICK_S, self._tick)

    def nominal_hz(self) -> float:
        """Signals a second."""
        return 0.0 if self.simulated() else 20.0

    def settings(self) -> dict[str, Any]:
        """What decides, and the floor."""
        if not hasattr(self, "_tracker"):
            return {}
        return {**super().settings(), "floor": self._tracker.floor.holder}

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        last = getattr(self, "_last", None)
        missing = self._config.network == "auto" and self._network is None
        without = f"; without smart-turn's network ({INSTALL})" if missing else ""
        return ("no one has spoken yet" if last is None else f"last event: {last.kind}") + without

    def observe_health(self) -> None:
        """Say when nothing comes in."""
        silent = self.running_ns() - self._frames_ns > SILENT_NS
        sentence = f"nothing comes on {_FRAME}: perception_node is missing or inactive"
        self.set_problem("input", sentence if silent else "", Level.WARN)

    def _on_frame(self, message: Any) -> None:
        frame = speaker_value(message)
        self._frames_ns = self.running_ns()
        self.check_clock(_FRAME, frame.stamp_ns)
        self._tracker.push_frame(frame)

    def _on_sound(self, message: Any) -> None:
        if self._asker is not None:
            self._sound.push(sound_value(message))

    def _tick(self) -> None:
        now_ns = self.now_ns()
        if now_ns == 0:
            return  # the first /clock is still to come
        while self._answers:
            self._tracker.push_answer(*self._answers.popleft())
        for step in self._tracker.advance(now_ns):
            for event in step.events:
                self._last = event
                self.publish(self._events, fill(msg.TurnEvent(), event))
            self.publish(self._signals, fill(msg.TurnSignals(), step.signals))
            self.counted(newest(step.signals.picture_stamp_ns, step.signals.sound_stamp_ns))
        if self._asker is not None:
            pause_ns = self._tracker.asks()
            if pause_ns is not None and (heard := self._sound.samples()) is not None:
                self._asker.put(_ASK, (pause_ns, heard))

    # In the asker's thread

    def _ask(self, _kind: str, item: tuple[int, NDArray[np.float32]]) -> None:
        assert self._network is not None
        pause_ns, samples = item
        self._answers.append((pause_ns, self._network.probability(samples)))


def main() -> int:
    """Run the node."""
    return run(TurnNode)
