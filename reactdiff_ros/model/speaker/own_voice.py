"""The robot's own voice in its own microphone: kept out of everything that a listener hears."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from reactdiff_ros.clock import to_s
from reactdiff_ros.types import SpeakerFrame, Voice

TAIL_S: Final = 0.5
"""After the robot's last word its voice is still in the room, in the microphone's buffer and in the hang-over of the
voice activity (0.2 s): what is heard so long is not the other's."""


class OwnVoice:
    """When the robot speaks, and what is left of a frame without its voice.

    Args:
        timeout_s: `robot_speaking` that is not repeated lapses after this long.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.reset()

    def reset(self) -> None:
        """Nothing was said yet."""
        self._spoke_ns: int | None = None
        self._ended_ns: int | None = None

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
        """What the microphone gives at `now_ns` is the robot's own voice, or its tail."""
        return self.robot_speaks(now_ns) or (self._ended_ns is not None and to_s(now_ns - self._ended_ns) <= TAIL_S)

    def ended_s(self, now_ns: int) -> float:
        """Seconds since the robot's voice and its tail were over; infinite if it never spoke."""
        if self._spoke_ns is not None:
            return to_s(now_ns - self._spoke_ns) - self._timeout_s
        return math.inf if self._ended_ns is None else to_s(now_ns - self._ended_ns) - TAIL_S

    def cleaned(self, frame: SpeakerFrame) -> SpeakerFrame:
        """The frame as it may be listened to: unheard while deaf; after that, no count reaches back into that time."""
        if frame.voice is None or frame.sound_stamp_ns is None:
            return frame
        if self.deaf(frame.stamp_ns) or self.deaf(frame.sound_stamp_ns):
            return replace(frame, voice=None, sound_stamp_ns=None)
        voice = self._since(frame.voice, self.ended_s(frame.sound_stamp_ns))
        return frame if voice is frame.voice else replace(frame, voice=voice)

    @staticmethod
    def _since(voice: Voice, since_s: float) -> Voice:
        if voice.utterance_s > since_s:
            voice = replace(voice, utterance_s=since_s)
        # The last utterance was the robot's, or before it: nobody has spoken since.
        return replace(voice, pause_s=math.nan) if voice.pause_s > since_s else voice
