"""Is there somebody to listen to? Presence, voice and activity of the face; shared by every listener.

A missing modality is not silence: without a microphone presence keeps it listening, without a camera speech does.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import to_s
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, COEFFICIENT_COUNT, ROTATION, bounded
from reactdiff_ros.errors import MessageError
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.speaker.own_voice import OwnVoice
from reactdiff_ros.types import EXPRESSION_CLASSES, SpeakerFrame, Turn

# Parts of a face whose motion is an act; lids and gaze move by themselves.
ACTING: Final[NDArray[np.intp]] = np.array(
    [i for i, n in enumerate(BLENDSHAPE_NAMES) if not n.startswith(("eye", "tongue"))] + list(range(52, 55))
)
ACTIVITY_BLENDSHAPE: Final = 0.12
ACTIVITY_RAD: Final = 0.07
"""A coefficient that leaves its own mean of the last 2 s by this much (noise of landmarks stays under it)."""
MEETING_APART_S: Final = 10.0
"""Whoever was away for less is not met again."""
MEAN_S: Final = 2.0
MIN_CONFIDENCE: Final = 0.3


def check_frame(frame: SpeakerFrame) -> None:
    """Hold a frame from outside to its contract.

    Raises:
        MessageError: `coefficients` or `confidence` are not (58,), or affect is not of the 7 classes.
    """
    for name in ("coefficients", "confidence"):
        shape = np.shape(getattr(frame, name))
        if shape != (COEFFICIENT_COUNT,):
            raise MessageError(f"a speaker frame's {name} are of shape {shape}, not (58,)", where="speaker/frame")
    if frame.affect is not None and np.shape(frame.affect.probabilities) != (len(EXPRESSION_CLASSES),):
        raise MessageError("a speaker frame's affect is not of 7 classes", where="speaker/frame")


class Engagement:
    """Who is there, who speaks and what moves, from the frames observed so far."""

    def __init__(self, config: ListenerConfig) -> None:
        self._config = config
        self._own_voice = OwnVoice(config.robot_speaking_timeout_s)
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
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
        """Seconds since the person who is there came, or came back after MEETING_APART_S; infinite without anybody."""
        return math.inf if self._met_ns is None else to_s(now_ns - self._met_ns)

    def greeted(self) -> None:
        """The greeting of whoever is there is over."""
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
        """Somebody other than the robot speaks now (voice activity network, not loudness)."""
        return self._speaks and self.hears(now_ns) and not self.deaf(now_ns)

    def engaged(self, now_ns: int) -> bool:
        """There is somebody to listen to.

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
