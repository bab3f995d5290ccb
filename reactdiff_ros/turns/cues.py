"""Cues of voice and face that precede turns, from `SpeakerFrame`s: causal, and nothing is made up that was not seen.

Prosody: how the last second of an utterance is said, relative to the speaker's own mean (Ward and Tsukahara 2000;
Gravano and Hirschberg 2011; Skantze 2021). Face: mouth, gaze at the robot, head, smile (Kendon 1967; Ford and Smith
2015 for the mouth).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.types import Array, SpeakerFrame, Voice

PROSODY: Final = (
    "end_pitch", "end_rise", "end_fall", "pitch_slope", "end_loudness", "loudness_slope", "voiced_share",
    "last_syllable_s", "syllable_rate",
)  # fmt: skip
FACE: Final = (
    "mouth_open", "mouth_opens", "mouth_moves", "mouth_pressed", "contact", "contact_change", "contact_share",
    "head_moves", "head_rises", "smile",
)  # fmt: skip
_KEEP_NS: Final = round(3.0 * NS)
_TAIL_NS: Final = round(0.3 * NS)
_SLOPE_NS: Final = round(0.7 * NS)
_RHYTHM_NS: Final = round(2.0 * NS)
_LEAST_VOICED: Final = 4
"""Voiced frames in the last 0.7 s, below which prosody is unknown."""
_LEAST_HEARD: Final = 20
"""Voiced frames of a speaker, below which their mean is unknown."""
_MEMORY: Final = 1 / 500
"""Weight of a new frame in the speaker's means: about 20 s of voice."""
_LONG_MEMORY: Final = 1 / 1500
"""The same of a person's gaze: about a minute."""
_QUIET_DBFS: Final = -70.0
_FACE_FRESH_NS: Final = round(0.3 * NS)
_OPEN: Final = (INDEX["mouthLowerDownLeft"], INDEX["mouthLowerDownRight"])
_PRESSED: Final = tuple(
    INDEX[n] for n in ("mouthPressLeft", "mouthPressRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower")
)


class _Mean:
    """A mean that weighs all alike at first and forgets slowly later."""

    def __init__(self, memory: float = _MEMORY) -> None:
        self.count, self.value, self.square = 0, 0.0, 0.0
        self._memory = memory

    def add(self, value: float) -> None:
        self.count += 1
        weight = max(1.0 / self.count, self._memory)
        off = value - self.value
        self.value += weight * off
        self.square += weight * (off * (value - self.value) - self.square)

    @property
    def spread(self) -> float:
        return math.sqrt(max(self.square, 0.0))


class VoiceCues:
    """Prosody of the end of what was said so far."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, float, float]] = deque()
        """(end of its sound, pitch in semitones or NaN, dBFS) of the last 3 s of speech."""
        self._pitch, self._loudness = _Mean(), _Mean()
        self._known: tuple[int, Array | None] | None = None

    def hear(self, voice: Voice, sound_ns: int) -> None:
        """A frame's voice; silence and values that are not finite are no evidence."""
        loudness, pitch_hz = voice.loudness_dbfs, voice.pitch_hz
        said = voice.speaking and voice.speech_probability >= 0.35
        if not said or not math.isfinite(loudness) or not math.isfinite(pitch_hz):
            return
        if self._frames and sound_ns <= self._frames[-1][0]:
            return
        pitch = 12.0 * math.log2(pitch_hz / 100.0) if pitch_hz > 0.0 else math.nan
        self._frames.append((sound_ns, pitch, max(loudness, _QUIET_DBFS)))
        while self._frames[0][0] < sound_ns - _KEEP_NS:
            self._frames.popleft()
        if pitch_hz > 0.0:
            self._pitch.add(pitch)
            self._loudness.add(max(loudness, _QUIET_DBFS))
        self._known = None

    def values(self) -> Array | None:
        """(len(PROSODY),) of the end of the last speech; None: not enough of it was heard."""
        if not self._frames:
            return None
        end_ns = self._frames[-1][0]
        if self._known is None or self._known[0] != end_ns:
            self._known = (end_ns, self._read(end_ns))
        return self._known[1]

    def _read(self, end_ns: int) -> Array | None:
        if self._pitch.count < _LEAST_HEARD:
            return None
        rows = np.array([(t - end_ns, p, level) for t, p, level in self._frames], dtype=np.float64)
        late = rows[rows[:, 0] > -_SLOPE_NS]
        voiced = late[np.isfinite(late[:, 1])]
        if len(voiced) < _LEAST_VOICED:
            return None
        tail = voiced[voiced[:, 0] > voiced[-1, 0] - _TAIL_NS]
        spread = max(self._pitch.spread, 1.0)
        end_pitch = (float(np.median(tail[:, 1])) - self._pitch.value) / spread
        last = (float(voiced[-2:, 1].mean()) - float(np.median(voiced[:, 1]))) / spread
        ending = late[late[:, 0] > -_TAIL_NS]
        since_s, rate = _rhythm(rows[rows[:, 0] > -_RHYTHM_NS])
        return np.array([
            _within(end_pitch, 3.0), _within(max(last, 0.0), 3.0), _within(max(-last, 0.0), 3.0),
            _within(_slope(voiced[:, 0], voiced[:, 1]) / 10.0, 3.0),
            _within((float(ending[:, 2].mean()) - self._loudness.value) / 10.0, 3.0),
            _within(_slope(late[:, 0], late[:, 2]) / 20.0, 3.0),
            len(voiced) / len(late), since_s, rate / 5.0,
        ])  # fmt: skip


def _within(value: float, bound: float) -> float:
    return min(max(value, -bound), bound)


def _slope(times_ns: Array, values: Array) -> float:
    """Change a second, by least squares."""
    t = (times_ns - times_ns.mean()) / NS
    square = float(t @ t)
    return float(t @ (values - values.mean())) / square if square > 1e-9 else 0.0


def _rhythm(rows: Array) -> tuple[float, float]:
    """Seconds from the last peak of loudness to the end of speech, and peaks a second: syllables, as far as 25 frames
    a second show them.
    """
    level = rows[:, 2]
    if len(level) < 5:
        return 0.0, 0.0
    inner = level[1:-1]
    peaks = np.flatnonzero((inner >= level[:-2]) & (inner > level[2:]) & (inner > np.median(level) - 6.0)) + 1
    if not len(peaks):
        return 0.0, 0.0
    length_s = max((rows[-1, 0] - rows[0, 0]) / NS, 0.04)
    return min(-rows[peaks[-1], 0] / NS, 1.0), len(peaks) / length_s


class FaceCues:
    """What mouth, gaze and head did in the last seconds; gaze compared with what is usual for this person."""

    def __init__(self) -> None:
        self.usual_contact = _Mean(_LONG_MEMORY)
        self._frames: deque[tuple[int, float, float, float, float, float]] = deque()
        """(picture, mouth open, pressed, contact or NaN, head pitch, smile) of the last 3 s."""

    def see(self, frame: SpeakerFrame) -> None:
        """A frame; one without landmarks, or with values that are not finite, shows nothing."""
        stamp_ns, values = frame.picture_stamp_ns, frame.coefficients
        if stamp_ns is None or not frame.mesh_present or (self._frames and stamp_ns <= self._frames[-1][0]):
            return
        opened = float(values[INDEX["jawOpen"]] + values[list(_OPEN)].mean() - values[INDEX["mouthClose"]])
        contact = math.nan if frame.gaze is None else float(frame.gaze.contact)
        pressed, smile = (float(values[list(of)].mean()) for of in (_PRESSED, SMILE))
        pitch = float(values[HEAD_PITCH])
        if not all(map(math.isfinite, (opened, pressed, pitch, smile))):
            return
        if math.isfinite(contact):
            self.usual_contact.add(contact)
        self._frames.append((stamp_ns, opened, pressed, contact, pitch, smile))
        while self._frames[0][0] < stamp_ns - _KEEP_NS:
            self._frames.popleft()

    def values(self, now_ns: int) -> Array | None:
        """(len(FACE),) by `now_ns`; None: no face was seen in the last 0.3 s."""
        frames = self._frames
        if not frames or not 0 <= now_ns - frames[-1][0] <= _FACE_FRESH_NS or len(frames) < 5:
            return None
        rows = np.array(frames, dtype=np.float64)
        age = (rows[:, 0] - frames[-1][0]) / NS
        now, before = age > -0.15, (age <= -0.15) & (age > -0.5)
        recent = age > -0.5
        if not before.any():
            return None
        opened, contact, pitch = rows[:, 1], rows[:, 3], rows[:, 4]
        seen = np.isfinite(contact)
        usual = self.usual_contact.value if self.usual_contact.count else 0.5
        looks = _mean(contact[now & seen], usual)
        return np.array([
            opened[now].mean(), opened[now].mean() - opened[before].mean(), opened[recent].std(), rows[now, 2].mean(),
            looks - usual, looks - _mean(contact[seen & (age <= -0.3) & (age > -1.2)], looks),
            _mean(contact[seen & (age > -2.0)], usual) - usual,
            min(10.0 * pitch[recent].std(), 2.0),
            _within(10.0 * (pitch[before].mean() - pitch[now].mean()), 2.0), rows[now, 5].mean(),
        ])  # fmt: skip


def _mean(values: Array, default: float) -> float:
    return float(values.mean()) if len(values) else default
