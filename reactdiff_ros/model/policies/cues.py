"""What a listener answers: onsets and ends of the speaker's smile, raised brows, sadness, talk and the pauses in it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.clock import NS, to_s
from reactdiff_ros.coefficients import INDEX, SMILE, bounded
from reactdiff_ros.model.speaker.engagement import MIN_CONFIDENCE
from reactdiff_ros.types import EXPRESSION_CLASSES, SpeakerFrame

SMILE_ON: Final = 0.22
SMILE_OFF: Final = 0.12
BROWS_UP: Final = 0.30
SAD: Final = 0.5
BROWS: Final = [INDEX[n] for n in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
JAW: Final = INDEX["jawOpen"]
TALKING_JAW: Final = 0.035
"""Standard deviation of jawOpen over 0.8 s above which a face talks, where there is no microphone."""
# Ward and Tsukahara 2000, English: 110 ms of pitch under the 26th percentile, after 700 ms of speech.
LOW_PITCH_SHARE: Final = 26
LOW_PITCH_S: Final = 0.11
SPEECH_BEFORE_S: Final = 0.7


@dataclass(frozen=True, slots=True)
class Cues:
    """What one frame brought."""

    smile_began: bool = False
    smile: float = 0.0
    """The speaker's smile now, 0..1."""
    smiling: bool = False
    brows_rose: bool = False
    saddened: bool = False
    talking: bool = False
    phrase_ended: bool = False
    """Talk of at least 0.7 s stopped."""
    low_pitch: bool = False
    """A region of low pitch within talk just completed."""
    since_end_s: float = 0.0
    """Seconds since the phrase ended, by the voice's own count; 0 where not known."""


class CueFinder:
    """Finds cues frame by frame, causally."""

    def __init__(self) -> None:
        self._smiling = False
        self._brow_mean: float | None = None
        self._brows_up = False
        self._sad_ns: int | None = None
        self._sad_told = False
        self._talk_ns: int | None = None
        self._jaws: deque[tuple[int, float]] = deque()
        self._pitches: deque[float] = deque(maxlen=250)
        self._low_ns: int | None = None
        self._low_told = False
        self._last_ns: int | None = None

    def find(self, frame: SpeakerFrame, *, hears: bool, other_speaks: bool, robot_speaks: bool) -> Cues:
        """The cues of `frame`.

        Args:
            frame: the newest frame, in order.
            hears: sound is observed; else the jaw tells who talks.
            other_speaks: voice activity of somebody other than the robot.
            robot_speaks: the robot itself speaks; then nothing is a cue to talk.
        """
        now = frame.stamp_ns
        dt_s = 0.04 if self._last_ns is None else min(to_s(now - self._last_ns), 1.0)
        self._last_ns = now
        smile = self._sure(frame, list(SMILE))
        began = not self._smiling and smile > SMILE_ON
        self._smiling = smile > (SMILE_OFF if self._smiling else SMILE_ON)
        talking = not robot_speaks and (other_speaks if hears else self._jaw_talks(frame))
        long_enough = self._talk_ns is not None and to_s(now - self._talk_ns) >= SPEECH_BEFORE_S
        ended = not talking and long_enough and not robot_speaks
        if not talking:
            self._talk_ns = None
        elif self._talk_ns is None:
            self._talk_ns = now
        voice = frame.voice
        known = hears and voice is not None and np.isfinite(voice.pause_s)
        return Cues(
            smile_began=began,
            smile=smile,
            smiling=self._smiling,
            brows_rose=self._brows_rose(frame, dt_s),
            saddened=self._saddened(frame),
            talking=talking,
            phrase_ended=ended,
            low_pitch=self._low_pitch(frame, talking and long_enough),
            since_end_s=float(voice.pause_s) if known and voice is not None else 0.0,
        )

    @staticmethod
    def _sure(frame: SpeakerFrame, which: list[int]) -> float:
        if not frame.mesh_present or frame.confidence[which].min() < MIN_CONFIDENCE:
            return 0.0
        return float(bounded(frame.coefficients)[which].mean())

    def _brows_rose(self, frame: SpeakerFrame, dt_s: float) -> bool:
        brows = self._sure(frame, BROWS)
        mean = brows if self._brow_mean is None else self._brow_mean
        up = brows - mean > (BROWS_UP / 2 if self._brows_up else BROWS_UP)
        rose = up and not self._brows_up
        self._brows_up, self._brow_mean = up, mean + min(dt_s / 3.0, 1.0) * (brows - mean)
        return rose

    def _saddened(self, frame: SpeakerFrame) -> bool:
        affect = frame.affect
        sad = affect is not None and float(affect.probabilities[EXPRESSION_CLASSES.index("sad")]) > SAD
        if not sad:
            self._sad_ns, self._sad_told = None, False
            return False
        if self._sad_ns is None:
            self._sad_ns = frame.stamp_ns
        told = to_s(frame.stamp_ns - self._sad_ns) >= 0.6 and not self._sad_told
        self._sad_told |= told
        return told

    def _jaw_talks(self, frame: SpeakerFrame) -> bool:
        if not frame.mesh_present:
            return False
        self._jaws.append((frame.stamp_ns, float(bounded(frame.coefficients)[JAW])))
        while self._jaws[0][0] < frame.stamp_ns - 8 * NS // 10:
            self._jaws.popleft()
        return len(self._jaws) > 5 and float(np.std([jaw for _, jaw in self._jaws])) > TALKING_JAW

    def _low_pitch(self, frame: SpeakerFrame, talking: bool) -> bool:
        pitch = frame.voice.pitch_hz if talking and frame.voice is not None else 0.0
        if not pitch > 0.0:
            self._low_ns = None
            return False
        self._pitches.append(pitch)
        if len(self._pitches) < 50 or pitch > np.percentile(self._pitches, LOW_PITCH_SHARE):
            self._low_ns, self._low_told = None, False
            return False
        if self._low_ns is None:
            self._low_ns = frame.stamp_ns
        told = to_s(frame.stamp_ns - self._low_ns) >= LOW_PITCH_S and not self._low_told
        self._low_told |= told
        return told
