"""What a listener knows of the people before it: who is there, who speaks, what moves, what changed clearly.

A missing modality is not silence: without a microphone presence keeps it listening, without a camera speech does.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import to_s
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, COEFFICIENT_COUNT, ROTATION, bounded, index
from reactdiff_ros.errors import MessageError
from reactdiff_ros.settings import setting
from reactdiff_ros.types import EXPRESSION_CLASSES, SpeakerFrame, Turn, Voice

TAIL_S: Final = 0.5
"""After the robot's last word its voice is still in the room, in the microphone's buffer and in the hang-over of the
voice activity (0.2 s): what is heard within this time is not the other's."""
# Parts of a face whose motion is an act; lids and gaze move by themselves.
ACTING: Final[NDArray[np.intp]] = np.array(
    [i for i, n in enumerate(BLENDSHAPE_NAMES) if not n.startswith(("eye", "tongue"))] + list(range(52, 55))
)
ACTIVITY_BLENDSHAPE: Final = 0.12
ACTIVITY_RAD: Final = 0.07
"""A coefficient that leaves its own mean of the last 2 s by this much (noise of landmarks stays under it)."""
MEETING_APART_S: Final = 10.0
"""Someone who was away for less is not met again."""
MEAN_S: Final = 2.0
MIN_CONFIDENCE: Final = 0.3
CAPACITY: Final = 256
"""Frames held back at most: one second at any picture rate, and more."""
_WATCHED: Final = (
    index("mouthSmileLeft", "mouthSmileRight"),
    index("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    index("browDownLeft", "browDownRight"),
    index("mouthFrownLeft", "mouthFrownRight"),
)
_PLACES: Final = np.array([i for group in _WATCHED for i in group])
_SIZES: Final = np.array([len(group) for group in _WATCHED])
_FIRST: Final = np.cumsum(_SIZES) - _SIZES
_CHANGE: Final = 0.3
_SURE: Final = 0.3
_MIN_SLOTS: Final = 2


@dataclass(frozen=True)
class EngagementConfig:
    """When someone counts as present, speaking or gone. The names are ROS parameters of reaction_node."""

    absent_s: float = setting(0.7, "Without a face for this long, no one is present.", unit="s", low=0.1, high=5.0)
    silence_idle_s: float = setting(
        20.0,
        "If a person is silent with a still face for this long, the listener is idle.",
        unit="s",
        low=1.0,
        high=600.0,
    )
    voice_hold_s: float = setting(
        8.0,
        "Without a camera, the listener keeps listening this long after the last speech.",
        unit="s",
        low=0.5,
        high=120.0,
    )
    input_timeout_s: float = setting(
        1.0,
        "Without a frame or a modality for this long, that input counts as lost and not as silent.",
        unit="s",
        low=0.2,
        high=10.0,
    )
    robot_speaking_timeout_s: float = setting(
        1.0, "robot_speaking expires after this long.", unit="s", low=0.1, high=10.0
    )


def check_frame(frame: SpeakerFrame) -> None:
    """Hold a frame from outside to its contract.

    Raises:
        MessageError: `coefficients` or `confidence` are not (58,), or affect is not of the 8 classes.
    """
    for name in ("coefficients", "confidence"):
        shape = np.shape(getattr(frame, name))
        if shape != (COEFFICIENT_COUNT,):
            raise MessageError(f"a speaker frame's {name} are of shape {shape}, not (58,)", where="speaker/frame")
    if frame.affect is not None and np.shape(frame.affect.probabilities) != (len(EXPRESSION_CLASSES),):
        raise MessageError("a speaker frame's affect is not of 8 classes", where="speaker/frame")


class OwnVoice:
    """When the robot speaks, and what is left of a frame without its voice.

    Args:
        timeout_s: `robot_speaking` that is not repeated lapses after this long.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.reset()

    def reset(self) -> None:
        """The robot has not spoken yet."""
        self._spoke_ns: int | None = None
        self._ended_ns: int | None = None
        self._clean = False

    def speaking(self, speaking: bool, now_ns: int | None) -> None:
        """The robot's own speech goes on (True, repeated) or ended."""
        if speaking:
            self._spoke_ns, self._ended_ns = now_ns, None
        elif self._spoke_ns is not None:
            self._spoke_ns, self._ended_ns = None, now_ns

    def robot_speaks(self, now_ns: int) -> bool:
        """The robot itself speaks at `now_ns`."""
        return self._spoke_ns is not None and to_s(now_ns - self._spoke_ns) <= self._timeout_s

    def deaf(self, now_ns: int) -> bool:
        """What the microphone gives at `now_ns` is the robot's own voice, or its tail: its echo is not cancelled."""
        return not self._clean and self._sounds(now_ns)

    def ended_s(self, now_ns: int) -> float:
        """Seconds since the robot's voice and its tail were over; infinite if it never spoke."""
        if self._spoke_ns is not None:
            return to_s(now_ns - self._spoke_ns) - self._timeout_s
        return math.inf if self._ended_ns is None else to_s(now_ns - self._ended_ns) - TAIL_S

    def cleaned(self, frame: SpeakerFrame) -> SpeakerFrame:
        """The frame as it may be listened to: unheard while deaf; after that, no count reaches back into that time.

        Where the echo is cancelled, frames are left as they are.
        """
        if frame.voice is None or frame.sound_stamp_ns is None:
            return frame
        if self._sounds(frame.sound_stamp_ns):
            self._clean = frame.voice.clean  # sound is cleaned only while the robot speaks
        if self._clean:
            return frame
        if self.deaf(frame.stamp_ns) or self.deaf(frame.sound_stamp_ns):
            return replace(frame, voice=None, sound_stamp_ns=None)
        voice = self._since(frame.voice, self.ended_s(frame.sound_stamp_ns))
        return frame if voice is frame.voice else replace(frame, voice=voice)

    def _sounds(self, now_ns: int) -> bool:
        """The robot's voice, or its tail, is in the room."""
        return self.robot_speaks(now_ns) or (self._ended_ns is not None and to_s(now_ns - self._ended_ns) <= TAIL_S)

    @staticmethod
    def _since(voice: Voice, since_s: float) -> Voice:
        if voice.utterance_s > since_s:
            voice = replace(voice, utterance_s=since_s)
        # The last utterance was the robot's, or before it: no one has spoken since.
        return replace(voice, pause_s=math.nan) if voice.pause_s > since_s else voice


class Engagement:
    """Who is there, who speaks and what moves, from the frames observed so far."""

    def __init__(self, config: EngagementConfig) -> None:
        self._config = config
        self._own_voice = OwnVoice(config.robot_speaking_timeout_s)
        self.reset()

    def reset(self) -> None:
        """Forget everyone."""
        self._frame_ns: int | None = None
        self._picture_ns: int | None = None
        self._sound_ns: int | None = None
        self._face_ns: int | None = None
        self._arrival_ns: int | None = None
        self._met_ns: int | None = None
        self._speech_ns: int | None = None
        self._activity_ns: int | None = None
        self._robot_ns: int | None = None
        self._own_voice.reset()
        self._speaks = False
        self._person = -1
        self._mean: NDArray[np.float64] | None = None

    def observe(self, frame: SpeakerFrame) -> SpeakerFrame:
        """Take in one checked frame; returns it as it may be listened to, without the robot's own voice."""
        heard = self._own_voice.cleaned(frame)
        now = frame.stamp_ns
        dt_s = 0.04 if self._frame_ns is None else to_s(now - self._frame_ns)
        self._frame_ns = now
        new_picture = frame.picture_stamp_ns is not None and frame.picture_stamp_ns != self._picture_ns
        if new_picture:
            self._picture_ns = frame.picture_stamp_ns
            self._look(frame, dt_s)
        if frame.voice is not None and frame.sound_stamp_ns is not None:
            self._sound_ns = frame.sound_stamp_ns
            self._speaks = heard.voice is not None and heard.voice.speaking
            if self._speaks:
                self._speech_ns = now
        return heard

    def robot_speaking(self, speaking: bool, now_ns: int | None) -> None:
        """The robot's own speech goes on or ended; True lapses."""
        now = self._frame_ns if now_ns is None else now_ns
        self._own_voice.speaking(speaking, now)
        if speaking:
            self._robot_ns = now

    def robot_speaks(self, now_ns: int) -> bool:
        """The robot itself speaks."""
        return self._own_voice.robot_speaks(now_ns)

    def deaf(self, now_ns: int) -> bool:
        """What the microphone gives is the robot's own voice or its tail, no voice to listen to."""
        return self._own_voice.deaf(now_ns)

    def turn(self, now_ns: int) -> Turn:
        """Whose turn it is."""
        if self.robot_speaks(now_ns):
            return "robot_speaking"
        return "listening" if self.engaged(now_ns) else "idle"

    def met_s(self, now_ns: int) -> float:
        """Seconds since the person came, or came back after MEETING_APART_S; infinite if no one is there."""
        return math.inf if self._met_ns is None else to_s(now_ns - self._met_ns)

    def greeted(self) -> None:
        """The greeting of the person who is there is over."""
        self._met_ns = None

    def alive(self, now_ns: int) -> bool:
        """A frame came within the input timeout."""
        return self._recent(self._frame_ns, now_ns, self._config.input_timeout_s)

    def sees(self, now_ns: int) -> bool:
        """Pictures are coming."""
        return self._recent(self._picture_ns, now_ns, self._config.input_timeout_s)

    def hears(self, now_ns: int) -> bool:
        """Sound is coming."""
        return self._recent(self._sound_ns, now_ns, self._config.input_timeout_s)

    def present(self, now_ns: int) -> bool:
        """The newest picture shows a face, or the last face is less than `absent_s` older than it."""
        newest = self._picture_ns
        return self.sees(now_ns) and newest is not None and self._recent(self._face_ns, newest, self._config.absent_s)

    def other_speaks(self, now_ns: int) -> bool:
        """Someone other than the robot speaks now (voice activity network, not loudness)."""
        return self._speaks and self.hears(now_ns) and not self.deaf(now_ns)

    def engaged(self, now_ns: int) -> bool:
        """There is someone to listen to.

        With pictures: a face within `absent_s`, and, where sound is observed too, speech, a moving face or an arrival
        within `silence_idle_s`; the robot's own speech is waited for to be answered for as long. Without pictures:
        speech within `voice_hold_s`.
        """
        if not self.alive(now_ns):
            return False
        if not self.sees(now_ns):
            return self._recent(self._speech_ns, now_ns, self._config.voice_hold_s)
        if not self.present(now_ns):
            return False
        if not self.hears(now_ns):
            return True
        limit = self._config.silence_idle_s
        signs = (self._speech_ns, self._activity_ns, self._arrival_ns, self._robot_ns)
        return any(self._recent(sign, now_ns, limit) for sign in signs)

    def _look(self, frame: SpeakerFrame, dt_s: float) -> None:
        now = frame.stamp_ns
        if not frame.face_present:
            return
        if not self._recent(self._face_ns, now, MEETING_APART_S) or frame.person_id != self._person:
            self._met_ns = now
        if not self._recent(self._face_ns, now, self._config.absent_s) or frame.person_id != self._person:
            self._arrival_ns, self._mean = now, None
        self._face_ns, self._person = now, frame.person_id
        if frame.mesh_present:
            self._watch_face(frame, dt_s)

    def _watch_face(self, frame: SpeakerFrame, dt_s: float) -> None:
        sure = frame.confidence >= MIN_CONFIDENCE
        values = np.where(sure, bounded(frame.coefficients), 0.0).astype(np.float64)
        if self._mean is None:
            self._mean = values
            return
        away = np.abs(values - self._mean)
        away[ROTATION] *= ACTIVITY_BLENDSHAPE / ACTIVITY_RAD
        if (away[ACTING] > ACTIVITY_BLENDSHAPE).any():
            self._activity_ns = frame.stamp_ns
        self._mean = self._mean + min(max(dt_s, 0.0) / MEAN_S, 1.0) * (values - self._mean)

    @staticmethod
    def _recent(stamp_ns: int | None, now_ns: int, limit_s: float) -> bool:
        return stamp_ns is not None and to_s(now_ns - stamp_ns) <= limit_s


class DelayedView:
    """Frames come out `delay_ns` after they went in, with stamps moved by as much, so that they look new; in order.

    Where the delay was made shorter, what lies between is left out; made longer, the view is frozen meanwhile.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what is held back."""
        self._waiting: deque[SpeakerFrame] = deque(maxlen=CAPACITY)
        self._last_ns: int | None = None

    def push(self, frame: SpeakerFrame, delay_ns: int) -> Iterator[tuple[SpeakerFrame, SpeakerFrame]]:
        """Take in a frame; yields what is due with it: (the frame as it was, the frame as it is seen now)."""
        self._waiting.append(frame)
        while self._waiting and self._waiting[0].stamp_ns + delay_ns <= frame.stamp_ns:
            original = self._waiting.popleft()
            seen = _later(original, delay_ns)
            if self._last_ns is None or seen.stamp_ns > self._last_ns:
                self._last_ns = seen.stamp_ns
                yield original, seen


def _later(frame: SpeakerFrame, delay_ns: int) -> SpeakerFrame:
    if not delay_ns:
        return frame

    def shifted(stamp_ns: int | None) -> int | None:
        return None if stamp_ns is None else stamp_ns + delay_ns

    return replace(
        frame,
        stamp_ns=frame.stamp_ns + delay_ns,
        picture_stamp_ns=shifted(frame.picture_stamp_ns),
        sound_stamp_ns=shifted(frame.sound_stamp_ns),
    )


class EvidenceWatch:
    """Compares each frame with the one that the last plan was made from."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the last plan."""
        self._planned: tuple[bool, bool, NDArray[np.float64]] | None = None
        self._newest: tuple[bool, bool, NDArray[np.float64]] | None = None

    def observe(self, frame: SpeakerFrame, *, speaks: bool) -> None:
        """Take in a frame; `speaks`: someone other than the robot speaks."""
        self._newest = (frame.face_present, speaks, _levels(frame, self._newest))

    def planned(self) -> None:
        """A plan was made from what was observed so far."""
        self._planned = self._newest

    def clear_change(self, slots_since: int) -> bool:
        """A smile, brow or frown came or went, someone came or left, began or stopped to speak."""
        if self._planned is None or self._newest is None or slots_since < _MIN_SLOTS:
            return False
        face, speaks, levels = self._planned
        moved = bool((np.abs(self._newest[2] - levels) > _CHANGE).any())
        return moved or face != self._newest[0] or speaks != self._newest[1]


def _levels(frame: SpeakerFrame, before: tuple[bool, bool, NDArray[np.float64]] | None) -> NDArray[np.float64]:
    """Mean of each watched group, smoothed over two frames so that one bad landmark is no evidence."""
    if not frame.mesh_present:
        return np.zeros(len(_WATCHED)) if before is None else before[2]
    values = np.asarray(frame.coefficients, dtype=np.float64)[_PLACES]
    sure = np.isfinite(values) & (np.asarray(frame.confidence)[_PLACES] >= _SURE)  # false for NaN
    now: NDArray[np.float64] = np.add.reduceat(np.where(sure, values, 0.0), _FIRST) / _SIZES
    return now if before is None else 0.5 * now + 0.5 * before[2]
