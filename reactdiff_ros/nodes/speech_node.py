"""The robot's own speech: a text becomes sound, lips and words; the voice of another program gets its lips.

A text is asked for by one of three actions: ours, PAL's TTS, or ROS4HRI's Say.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from std_msgs.msg import Bool

from reactdiff_ros import msg
from reactdiff_ros.action import Say
from reactdiff_ros.clock import NS, Backoff
from reactdiff_ros.errors import ConfigError, DeviceError, MessageError, MissingExtraError
from reactdiff_ros.messages import (
    fill,
    fill_audio,
    fill_mouth,
    fill_stamp,
    sound_value,
    timing_value,
    turn_event_value,
)
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.speech.engines import Engine, Manner
from reactdiff_ros.speech.lips import Lips
from reactdiff_ros.speech.player import Player
from reactdiff_ros.speech.utterance import Heard, Placed
from reactdiff_ros.speech.visemes import timed_mouth
from reactdiff_ros.speech.voice import Listening, Request, Result, Voice
from reactdiff_ros.types import Mouth, Sound, SpeechPhase, SpeechState

REPEAT_NS: Final = NS // 5
"""How often `robot_speaking` is repeated; it lapses after a second."""
OTHERS_S: Final = 0.1
OTHERS_DELAY_NS: Final = NS // 5
"""From the arrival of sound without a stamp until a page plays it."""
OTHERS_GAP_NS: Final = 3 * NS // 10
"""A voice has ended when nothing more of it has come for this long: its chunks may be late."""
IDLE_NS: Final = 10 * NS
"""A loudspeaker that plays nothing for this long is closed."""
FADE_NS: Final = 40_000_000
"""How long a voice that is stopped fades."""
CLOSING_S: Final = 0.16
"""How long the mouth then takes to close."""
DEVICE, PAGE = "device", "page"
BARGE_IN: Final = "the person took the floor"


def asked(goal: Any) -> tuple[str, Manner]:
    """(text, manner) of a goal of any of the three. Raises ConfigError for an emotion or intensity that cannot be."""
    if isinstance(goal, Say.Goal):
        return goal.text, Manner(goal.voice, goal.emotion or "neutral", float(goal.intensity) or 1.0)
    return str(goal.input), Manner(str(getattr(goal, "voice", "") or getattr(goal, "locale", "")))


def feedback(kind: Any, heard: Heard) -> Any:
    """A word as feedback of the action `kind`."""
    message = kind.Feedback()
    if hasattr(message, "word"):
        message.word = heard.word
    if isinstance(message, Say.Feedback):
        fill_stamp(message.stamp, heard.stamp_ns)
    return message


def outcome(kind: Any, result: Result) -> Any:
    """The end as result of the action `kind`."""
    message = kind.Result()
    for name, value in (
        ("spoken_text", result.text), ("aborted", result.aborted), ("message", result.message),
        ("text", result.text), ("error_msg", result.message),
    ):  # fmt: skip
        if hasattr(message, name):
            setattr(message, name, value)
    return message


class Goals:
    """Goals of clients as requests of the voice, and back.

    Args:
        say: takes the request.
        stop: takes the name of a request that is to stop.
        name: gives an id for an utterance.
    """

    def __init__(self, say: Callable[[Request], None], stop: Callable[[str], None], name: Callable[[], str]) -> None:
        self._say, self._stop, self._name = say, stop, name
        self._names: dict[bytes, str] = {}

    def accepted(self, handle: Any, kind: Any) -> None:
        """A client's goal: said, or ended at once with the sentence that says why not."""
        name = self._name()
        key = bytes(handle.goal_id.uuid)

        def done(result: Result) -> None:
            self._names.pop(key, None)
            handle.execute(lambda goal: _finish(goal, kind, result))

        try:
            text, manner = asked(handle.request)
            request = Request(name, text, manner, lambda heard: handle.publish_feedback(feedback(kind, heard)), done)
        except Exception as error:
            done(Result("", True, str(error)))
            return
        self._names[key] = name
        self._say(request)

    def cancelled(self, handle: Any) -> None:
        """A client cancels its goal."""
        name = self._names.get(bytes(handle.goal_id.uuid))
        if name is not None:
            self._stop(name)


def _finish(handle: Any, kind: Any, result: Result) -> Any:
    if handle.is_cancel_requested:
        handle.canceled()
    elif result.aborted:
        handle.abort()
    else:
        handle.succeed()
    return outcome(kind, result)


class SpeechNode(ReactdiffNode):
    """Serves `say`, publishes what is heard and what the mouth does, and plays it."""

    NAME = "speech_node"

    def setup(self) -> None:
        """Make the publishers; the engine starts when the node is active."""
        self._sounds, self._timings = self.advertise("speech/audio"), self.advertise("speech/timing")
        self._mouths, self._states = self.advertise("speech/mouth"), self.advertise("speech/state")
        self._speaking = self.advertise("robot_speaking")
        self.backend = str(self.values["engine"])

    def start(self) -> None:
        """Start the engine and offer the actions."""
        device = str(self.values["device"]).strip()
        self._player = None if device == "none" else Player(None if device in ("", "default") else device, self.now_ns)
        self._player_backoff = Backoff()
        self._played_ns = self._spoke_ns = 0
        self._speaks = False
        self._count, self._session = 0, secrets.token_hex(3)
        self._own: deque[int] = deque(maxlen=256)
        self._own_timings: deque[int] = deque(maxlen=64)
        self._tracks: deque[Mouth] = deque(maxlen=4)
        self._others_end_ns = 0
        self._lips: Lips | None = None
        self._engine = Engine(str(self.values["engine"]), str(self.values["voice"]))
        listening = Listening(
            sound=self._on_sound, ready=self._open_player, placed=self._on_placed, stopped=self._on_stopped,
            state=self._on_state, failed=self._on_failure, solved=lambda: self.solved("engine"),
        )  # fmt: skip
        self._voice = Voice(self._engine, self.now_ns, round(float(self.values["delay_s"]) * NS), listening)
        self.work(self._voice.worker)
        self._voice.start()
        self._goals = Goals(self._say, lambda name: self._voice.stop("it was cancelled", name), self._name)
        for action in self.spec.actions:
            self.offer(action.name, self._goals.accepted, self._goals.cancelled)
        self.subscribe("speech/audio", self._on_others_sound)
        self.subscribe("speech/timing", self._on_others_timing)
        self.subscribe("turn/event", self._on_event)
        self.every(OTHERS_S, self._tick)

    def stop(self) -> None:
        """Be silent, and end engine and loudspeaker."""
        voice = getattr(self, "_voice", None)
        if voice is None:
            return
        voice.close()
        if self._speaks:
            self._tell_speaking(False)
        if self._player is not None:
            self._player.close()

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        where = self._player.name if self._player is not None and self._player.is_open else ""
        return f"{self._engine.name} speaks{' through ' + where if where else ''}"

    def _name(self) -> str:
        self._count += 1
        return f"{self._session}-{self._count}"

    def _say(self, request: Request) -> None:
        self._engine.voice = str(self.values["voice"])
        self._voice.say(request, queue=self.values["while_speaking"] == "queue")

    def _on_event(self, message: Any) -> None:
        if turn_event_value(message).kind == "barge_in" and self.values["stop_on_barge_in"]:
            self._voice.stop(BARGE_IN)

    # What the voice gives: its threads

    def _open_player(self, rate_hz: int) -> None:
        if self._player is None or not (self._player.is_open or self._player_backoff.due(self.steady_ns())):
            return
        try:
            self._player.open(rate_hz)
            self._player_backoff.reset()
            self.solved("loudspeaker")
        except DeviceError as error:
            self._player_backoff.tried(self.steady_ns())
            self.problem("loudspeaker", str(error), Level.WARN)

    def _on_placed(self, utterance: str, placed: Placed) -> None:
        timing = placed.timing(utterance)
        self._own_timings.append(timing.start_ns)
        self.publish(self._timings, fill(msg.SpeechTiming(), timing))
        mouth = timed_mouth(timing)
        self._tracks.append(mouth)
        self._publish_mouths([mouth])
        self.meter.output(self.steady_ns(), (placed.start_ns - self.now_ns()) / 1e6)

    def _on_sound(self, utterance: str, chunks: list[Sound]) -> None:
        plays = self._player is not None and self._player.is_open
        for chunk in chunks:
            if self._player is not None and plays:
                self._player.put(chunk)
            self._own.append(chunk.stamp_ns)
            self.publish(self._sounds, fill_audio(msg.AudioChunk(), chunk, DEVICE if plays else PAGE))
        self._played_ns = self.steady_ns()

    def _on_stopped(self, utterance: str, silent_ns: int) -> None:
        now_ns = max(self.now_ns(), silent_ns - FADE_NS)
        track = next((t for t in reversed(self._tracks) if t.utterance == utterance and t.start_ns <= now_ns), None)
        if track is not None:
            self._publish_mouths([_closing(track, now_ns)])

    def _publish_mouths(self, mouths: list[Mouth]) -> None:
        for mouth in mouths:
            self.publish(self._mouths, fill_mouth(msg.Mouth(), mouth))

    def _on_state(self, state: SpeechState) -> None:
        self.publish(self._states, fill(msg.SpeechState(), state))
        speaks = state.phase != "idle" and state.start_ns is not None
        if speaks != self._speaks or (speaks and self.steady_ns() - self._spoke_ns >= REPEAT_NS):
            self._tell_speaking(speaks)

    def _on_failure(self, error: Exception) -> None:
        if isinstance(error, MissingExtraError | DeviceError):
            self.problem("engine", str(error), Level.WARN)
        elif not isinstance(error, ConfigError):  # whose sentence the result carries
            self.failed(error, "speech")

    def _tell_speaking(self, speaks: bool) -> None:
        self._speaks, self._spoke_ns = speaks, self.steady_ns()
        self.publish(self._speaking, Bool(data=speaks))

    # The voice of another program

    def _on_others_sound(self, message: Any) -> None:
        sound = sound_value(message)
        if sound.stamp_ns in self._own or self._voice.speaks:
            return
        now_ns = self.now_ns()
        if sound.stamp_ns == 0:
            sound = Sound(max(self._others_end_ns, now_ns + OTHERS_DELAY_NS), sound.rate_hz, sound.samples)
        if abs(sound.stamp_ns - now_ns) > 10 * NS:
            raise MessageError(
                "sound of the robot's voice is stamped far from now", todo="stamp it with when it is heard"
            )
        if not self._others_end_ns:
            self._others = self._name()
            self._others_start_ns = sound.stamp_ns
        begins, self._others_end_ns = not self._others_end_ns, max(self._others_end_ns, sound.end_ns)
        if begins:
            self._tick()
        self._lips_of_others().utterance = self._others
        self._publish_mouths(self._lips_of_others().push(sound))

    def _on_others_timing(self, message: Any) -> None:
        timing = timing_value(message)
        if timing.start_ns not in self._own_timings:
            self._publish_mouths([self._lips_of_others().follow(timing)])

    def _lips_of_others(self) -> Lips:
        if self._lips is None:
            self._lips = Lips(on_problem=lambda sentence: self.problem("lips", sentence, Level.WARN))
        return self._lips

    def _tick(self) -> None:
        if self._voice.speaks:
            self._others_end_ns = 0
            return
        now_ns = self.now_ns()
        if self._others_end_ns:
            ended = now_ns >= self._others_end_ns + OTHERS_GAP_NS
            phase: SpeechPhase = "idle" if ended else "speaking" if now_ns >= self._others_start_ns else "preparing"
            name, end_ns = ("", None) if ended else (self._others, self._others_end_ns)
            if ended:
                self._others_end_ns = 0
                self._publish_mouths(self._lips_of_others().flush())
            self._on_state(SpeechState(now_ns, phase, name, "", self._others_start_ns, end_ns))
        if self._player is not None and self._player.is_open and self.steady_ns() - self._played_ns > IDLE_NS:
            self._player.close()


def _closing(track: Mouth, start_ns: int) -> Mouth:
    """The mouth closes from where it is on this track."""
    at = min((start_ns - track.start_ns) * round(track.rate_hz) // NS, len(track.level) - 1)
    ramp = np.linspace(1.0, 0.0, round(CLOSING_S * track.rate_hz), dtype=np.float32)
    none = np.zeros_like(ramp)
    shape = track.coefficients[at][None, :] * ramp[:, None]
    return Mouth(track.utterance, start_ns, shape, none, none, track.level[at] * ramp, track.rate_hz)


def main() -> int:
    """Run the node."""
    return run(SpeechNode)
