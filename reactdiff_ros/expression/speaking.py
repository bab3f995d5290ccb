"""Speaking layer: the own voice's mouth on the face, and what the rest of a face does while its robot speaks.

Regions are mixed as in EMOTE (Danecek et al. 2023) and EDTalk (Tan et al. 2024):

| region                    | from speech                              | from reaction and emotion           |
|---------------------------|------------------------------------------|-------------------------------------|
| jaw, lips, tongue         | the track of `Mouth` at the tick's time  | nothing                             |
| smile, frown, dimples     | the track                                | half, less where the mouth is round |
| closed lips (`closure` 1) | jaw, funnel, lower and upper lip go to 0 | nothing opens them                  |
| brows, lids, cheeks       | brows on some accents                    | all                                 |
| head                      | sway with loudness, nods on some accents | all; the plan has no nods by then   |
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from reactdiff_ros.clock import NS, to_ns, to_s
from reactdiff_ros.coefficients import (
    BROWS_UP,
    COEFFICIENT_COUNT,
    HEAD_PITCH,
    HEAD_ROLL,
    HEAD_YAW,
    INDEX,
    MOUTH,
    mouth_places,
    sides,
)
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression.gestures import GESTURES, merge
from reactdiff_ros.expression.motion import approach, ramp
from reactdiff_ros.styles import Style
from reactdiff_ros.types import Array, Mouth, SpeechState

# ---- The tracks of the mouth

FADE_S: Final = 0.08
"""A track that is over, or was stopped, is gone after this time."""
FARTHEST_S: Final = 60.0
"""A track may begin so far from now; one that is farther is of another clock."""
MAX_TRACKS: Final = 1000
_CLOSURE, _ACCENT, _LEVEL = len(MOUTH), len(MOUTH) + 1, len(MOUTH) + 2
_WIDTH: Final = len(MOUTH) + 3
_SILENT: Final = 1e-3
_NOTHING: Final[Array] = np.zeros(_WIDTH)
_LONG_AGO_NS: Final = -(10**15)


def check_mouth(mouth: Mouth, now_ns: int) -> Array:
    """Hold a track from outside to its contract.

    Returns: (frames, 31) within 0..1: the coefficients of MOUTH, closure, accent, level.

    Raises:
        MessageError: shapes do not fit, a number is not finite, its rate is not 10..1000 Hz, it is longer than a minute
            or starts more than a minute from `now_ns`.
    """
    where = f"utterance {mouth.utterance:.40}"
    try:
        coefficients = np.asarray(mouth.coefficients, dtype=np.float64)
        marks = [np.asarray(row, dtype=np.float64) for row in (mouth.closure, mouth.accent, mouth.level)]
    except (TypeError, ValueError) as error:
        raise MessageError("a mouth's coefficients are not numbers", where=where) from error
    frames = len(coefficients) if coefficients.ndim else 0
    if coefficients.shape != (frames, len(MOUTH)) or any(row.shape != (frames,) for row in marks):
        raise MessageError(f"a mouth of shape {coefficients.shape} is not (frames, {len(MOUTH)})", where=where)
    if not 10.0 <= mouth.rate_hz <= 1000.0 or not 1 <= frames <= FARTHEST_S * mouth.rate_hz:
        raise MessageError(f"a mouth of {frames} frames at {mouth.rate_hz:g} Hz is out of range", where=where)
    rows = np.column_stack([coefficients, *marks])
    if not np.isfinite(rows).all():
        raise MessageError("a mouth has values that are not finite", where=where)
    if abs(mouth.start_ns - now_ns) > to_ns(FARTHEST_S):
        raise MessageError("a mouth starts more than a minute from now", where=where, todo="check the clocks")
    return np.clip(rows, 0.0, 1.0)


@dataclass(slots=True)
class _Track:
    utterance: str
    start_ns: int
    rate_hz: float
    rows: Array
    fades_ns: int
    """When its fade begins: at its last frame, or at a stop."""

    def at(self, at_ns: int) -> Array:
        """(31,) at a time from the start on."""
        position = to_s(min(at_ns, self.fades_ns + to_ns(FADE_S)) - self.start_ns) * self.rate_hz
        low = min(int(position), len(self.rows) - 1)
        high, part = min(low + 1, len(self.rows) - 1), position - low
        row: Array = self.rows[low] if high == low else self.rows[low] + part * (self.rows[high] - self.rows[low])
        over = to_s(at_ns - self.fades_ns)
        return row if over <= 0.0 else row * (1.0 - ramp(over / FADE_S))


class MouthTracks:
    """The tracks of the mouth that were received, as one: the newest one holds from its start on."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []

    def __bool__(self) -> bool:
        return bool(self._tracks)

    @property
    def known_ns(self) -> int:
        """Until when the mouth is known; 0 without a track."""
        return self._tracks[-1].fades_ns if self._tracks else 0

    def push(self, mouth: Mouth, rows: Array) -> None:
        """Take in a checked track."""
        last_ns = mouth.start_ns + round((len(rows) - 1) / mouth.rate_hz * NS)
        before = [t for t in self._tracks if t.start_ns < mouth.start_ns]
        after = [t for t in self._tracks if t.start_ns > last_ns and t.utterance != mouth.utterance]
        track = _Track(mouth.utterance, mouth.start_ns, mouth.rate_hz, rows, last_ns)
        self._tracks = [*before, track, *after][-MAX_TRACKS:]

    def stop(self, utterance: str, now_ns: int) -> None:
        """The sound of an utterance ("": of all that have begun) stops: what is shown fades, the rest is gone."""
        begun = {t.utterance for t in self._tracks if t.start_ns <= now_ns} if not utterance else {utterance}
        self._tracks = [t for t in self._tracks if t.start_ns <= now_ns or t.utterance not in begun]
        for track in self._tracks:
            if track.utterance in begun:
                track.fades_ns = min(track.fades_ns, now_ns)

    def forget(self, before_ns: int) -> None:
        """Drop the tracks that are over by `before_ns`."""
        tracks = self._tracks
        while tracks and (
            tracks[0].fades_ns + to_ns(FADE_S) <= before_ns if len(tracks) == 1 else tracks[1].start_ns <= before_ns
        ):
            del tracks[0]

    def at(self, at_ns: int) -> Array | None:
        """(31,) at that time, None before the first track."""
        index = bisect_right(self._tracks, at_ns, key=lambda track: track.start_ns)
        return self._tracks[index - 1].at(at_ns) if index else None


# ---- Mixing


_MOUTH: Final = np.array(MOUTH)
_FELT: Final = mouth_places("mouthSmile", "mouthFrown", "mouthDimple")
"""Places in MOUTH of what shows feelings also while the mouth speaks."""
_OPENERS: Final = mouth_places("jawOpen", "mouthFunnel", "mouthLowerDown", "mouthUpperUp", "tongueOut")
_ROUND: Final = mouth_places("mouthFunnel", "mouthPucker")
_JAW, _CLOSE = mouth_places("jawOpen", "mouthClose")
FELT_SHARE: Final = 0.5
"""Share of a smile or frown that is left while the mouth speaks."""
ROUND_SHARE: Final = 0.6
"""Share of it that a fully rounded mouth takes away: corners cannot be drawn aside and together."""


def mix(face: Array, spoken: Array, weight: float) -> None:
    """Put a mouth's row (31,) on `face` (58,), in place; `weight` 0..1: how far speech has the mouth."""
    base = face[_MOUTH]
    keep = np.full(len(MOUTH), 1.0 - weight)
    keep[_FELT] = 1.0 - weight * (1.0 - FELT_SHARE * (1.0 - ROUND_SHARE * float(spoken[_ROUND].max())))
    mixed = np.minimum(base * keep + spoken[: len(MOUTH)], 1.0)
    mixed[_OPENERS] *= 1.0 - float(spoken[_CLOSURE])
    # What closes the lips over a dropped jaw closes no more than the jaw is open.
    mixed[_CLOSE] = min(mixed[_CLOSE], mixed[_JAW])
    face[_MOUTH] = mixed


def _pose(values: Mapping[str, float]) -> Array:
    face = np.zeros(COEFFICIENT_COUNT)
    for name, value in values.items():
        face[sides(name)] = value
    return face


EMOTIONS: Final[Mapping[str, Array]] = MappingProxyType(
    {
        "neutral": _pose({}),
        "happy": 0.8 * _pose(GESTURES["smile"].face),
        "sad": 0.8 * _pose(GESTURES["sad"].face),
        "surprise": 0.7 * _pose(GESTURES["surprised"].face),
        "angry": _pose({"browDown": 0.6, "eyeSquint": 0.3, "mouthFrown": 0.2, "noseSneer": 0.15, "headPitch": 0.03}),
        "disgust": _pose({"noseSneer": 0.5, "browDown": 0.3, "cheekSquint": 0.3, "eyeSquint": 0.25, "mouthFrown": 0.3}),
        "fear": _pose({"browInnerUp": 0.6, "browOuterUp": 0.25, "eyeWide": 0.5, "mouthFrown": 0.15}),
        "contempt": _pose({"mouthSmileLeft": 0.3, "mouthDimpleLeft": 0.4, "browOuterUpRight": 0.35}),
    }
)
"""The face (58,) of an utterance with that emotion, at intensity 1: gestures of that name, else after EMFACS."""

# ---- Marks of speech on the head, brows and lids

LEAD_S: Final = 0.16
"""How long a mark begins before its accent, where the track is known that far: its peak meets the accent."""
MARK_S: Final = 0.36
ACCENT: Final = 0.5
MARKS_A_PHRASE: Final = 2
APART_S: Final = 0.8
"""Least time between two marks."""
NOD_RAD: Final = math.radians(2.4)
"""Dip on a full accent: half of the 5 degrees of people's feedback nods."""
BROWS: Final = 0.3
NOD_SHARE: Final = 0.6
"""Share of marks that are nods; the rest raise the brows."""
PHRASE_S, PAUSE_S = 0.4, 0.15
"""Shortest phrase, and shortest pause that ends it."""
# People who speak move their heads more than listeners: by rms 1.9 degrees of pitch and 3.6 of yaw (facts of 44 dyads;
# half of the yaw is gaze, which the gaze layer makes). Frequencies do not share a period.
SWAY_RAD: Final = np.radians(np.array([[0.8, 0.6, 0.4], [1.1, 0.8, 0.5], [0.7, 0.4, 0.2]]))
"""Amplitudes of pitch, yaw and roll at full loudness, of SWAY_HZ."""
SWAY_HZ: Final = np.outer(np.array([1.0, 0.83, 0.71]), np.array([0.41, 0.93, 1.87]))
BREATH_S: Final = 0.45
BREATH_PITCH_RAD: Final = math.radians(1.0)
BREATH_M: Final = 0.003
BREATH_JAW: Final = 0.05
LONG_S: Final = 2.5
"""A turn of this length is long: people look away as it begins (Kendon 1967: over 70 %)."""
AWAY_FIRST: Final = 0.75
HELD_S: Final = 0.3
LOOK_BACK_S: Final = 1.0
"""How long before the end of a turn the look is back at the other."""
AFTER_S: Final = 1.2
LAPSES_S: Final = 1.0

Cue = tuple[bool, float]
"""What the gaze should do now: look away (True) or at the other, and for how long, s."""


class Speaking:
    """Everything that the own speech does to the face. `advance` once a tick, then `add`."""

    def __init__(self, rng: np.random.Generator, lead_s: float = 0.0) -> None:
        """`lead_s`: how much earlier than its sound the mouth moves."""
        self._rng, self._lead_ns = rng, to_ns(lead_s)
        self._phases = rng.uniform(0.0, 2.0 * math.pi, (3, 3))
        self.clear()

    def clear(self) -> None:
        """The clock jumped, or a new start: no speech."""
        self._tracks = MouthTracks()
        self._row: Array | None = None
        self._state: SpeechState | None = None
        self._state_ns = self._quiet_ns = 0
        self._active_ns = self._turn_ns = self._mark_ns = self._breath_ns = self._phrase_ns = _LONG_AGO_NS
        self._stopped = ""
        self._end: tuple[int | None, int] = (None, 0)
        """When the turn ends, and since when that has been known."""
        self._weight = self._loudness = 0.0
        self._felt: Array = np.zeros(COEFFICIENT_COUNT)
        self._nods, self._mark, self._marks, self._above = True, 0.0, 0, False
        self._phrase = False
        self.speaks = False
        """It is the robot's turn: it speaks."""
        self.preparing = False
        """It is about to speak."""
        self.cue: Cue | None = None
        """What the gaze should do now."""
        self.phrase_ended = False
        """A phrase ended with this tick."""

    def push(self, mouth: Mouth, now_ns: int) -> bool:
        """Take in a track; False: its utterance was stopped, or it is over. Raises MessageError (`check_mouth`)."""
        rows = check_mouth(mouth, now_ns)
        end_ns = mouth.start_ns + to_ns(len(rows) / mouth.rate_hz)
        if (mouth.utterance and mouth.utterance == self._stopped) or end_ns + to_ns(FADE_S) < now_ns:
            return False
        self._tracks.push(mouth, rows)
        return True

    def on_state(self, state: SpeechState, now_ns: int) -> bool:
        """Take in what the own speech does; False: it is older than the last."""
        if self._state is not None and 0 < self._state.stamp_ns - state.stamp_ns < NS // 2:
            return False
        before = self._state
        self._state, self._state_ns = state, now_ns
        if state.phase in ("idle", "stopping"):
            self._tracks.stop(state.utterance, now_ns)
        if state.phase == "stopping":
            self._stopped = state.utterance
        elif state.utterance == self._stopped:
            self._stopped = ""
        if state.phase == "preparing" and (before is None or before.phase != "preparing"):
            self._breath_ns = now_ns
        if state.phase == "preparing" and state.start_ns is not None:
            self._breath_ns = max(now_ns, state.start_ns - to_ns(BREATH_S))
        return True

    def advance(self, now_ns: int, dt_s: float, *, flagged: bool) -> bool:
        """Go on to `now_ns`; False: there is no speech, and `add` would change nothing.

        `flagged`: robot_speaking says that the robot speaks.
        """
        self.phrase_ended, self.cue = False, None
        state = self._state
        calm = not self._tracks and not flagged and (state is None or state.phase == "idle")
        if calm and not self.speaks and not self._acts():
            self._row, self.preparing = None, False
            return False
        self._tracks.forget(now_ns)
        self._row = self._tracks.at(max(now_ns, min(now_ns + self._lead_ns, self._tracks.known_ns)))
        if self._row is not None and float(self._row.max()) > _SILENT:
            self._active_ns = now_ns
        moves = self._row is not None and to_s(now_ns - self._active_ns) < 0.3
        self._weight = _towards(self._weight, float(moves), dt_s, 0.03 if moves else 0.12)
        level = 0.0 if self._row is None else float(self._row[_LEVEL])
        self._loudness = _towards(self._loudness, level, dt_s, 0.15 if level > self._loudness else 0.4)
        self._feel(now_ns, dt_s)
        self._take_turn(now_ns, flagged=flagged, moves=moves)
        self._phases = self._phases + 2.0 * math.pi * SWAY_HZ * dt_s
        self._listen_ahead(now_ns)
        return self.speaks or self.preparing or self._acts()

    @property
    def moves_mouth(self) -> bool:
        """Speech has the mouth, at least in part."""
        return self._weight > 0.0

    def _acts(self) -> bool:
        return self._weight > 0.0 or self._loudness > 0.0 or bool(self._felt.any())

    def add(self, face: Array, now_ns: int, style: Style) -> Array:
        """`face` (58,) with what speech does: emotion, mouth, brows, head."""
        face = merge(face, self._felt * min(style.intensity, 1.5))
        head, brows = min(style.intensity, 1.5) * style.head, min(style.intensity, 1.5) * style.upper_face
        breath = _swell(to_s(now_ns - self._breath_ns) / (2.0 * BREATH_S))
        if breath > 0.0:
            face[HEAD_PITCH] -= head * BREATH_PITCH_RAD * breath
            face[INDEX["headY"]] += BREATH_M * breath
            if self.preparing:
                face[INDEX["jawOpen"]] = max(face[INDEX["jawOpen"]], BREATH_JAW * breath)
        if self._row is not None and self._weight > 0.0:
            mix(face, self._row, self._weight)
        face[[HEAD_PITCH, HEAD_YAW, HEAD_ROLL]] += head * self._loudness * (SWAY_RAD * np.sin(self._phases)).sum(1)
        mark = self._mark * _swell(to_s(now_ns - self._mark_ns) / MARK_S)
        if self._nods:
            face[HEAD_PITCH] += head * NOD_RAD * mark
        else:
            face[BROWS_UP] += brows * BROWS * mark
        return face

    def _feel(self, now_ns: int, dt_s: float) -> None:
        state = self._state
        acts = state is not None and state.phase in ("preparing", "speaking") and self._current(now_ns)
        goal = state.intensity * EMOTIONS[state.emotion] if acts and state is not None else 0.0
        self._felt = self._felt + approach(dt_s, 0.35 if acts else 0.7) * (goal - self._felt)
        if not acts and float(np.abs(self._felt).max()) < _SILENT:
            self._felt = np.zeros(COEFFICIENT_COUNT)

    def _current(self, now_ns: int) -> bool:
        """The state still says what is: its end has not passed, or it came within LAPSES_S."""
        state = self._state
        if state is None:
            return False
        if state.end_ns is not None and state.phase == "speaking":
            return now_ns <= state.end_ns + to_ns(HELD_S)
        newest = max(self._state_ns, self._active_ns)
        start = state.start_ns if state.start_ns is not None else newest
        return to_s(now_ns - max(newest, start)) <= LAPSES_S

    def _take_turn(self, now_ns: int, *, flagged: bool, moves: bool) -> None:
        """Whose turn it is, and where turns make people look."""
        state, spoke = self._state, self.speaks
        known = state is not None and self._current(now_ns)
        self.preparing = known and state is not None and state.phase == "preparing"
        self.speaks = flagged or moves or (known and state is not None and state.phase == "speaking")
        end_ns = state.end_ns if known and state is not None and state.phase in ("preparing", "speaking") else None
        if end_ns != self._end[0]:
            self._end = end_ns, now_ns
        if self.speaks and not spoke:
            if to_s(now_ns - self._turn_ns) > LAPSES_S:
                long = end_ns is None or to_s(end_ns - now_ns) >= LONG_S
                if long and self._rng.random() < AWAY_FIRST:
                    self.cue = (True, self._rng.uniform(1.2, 2.2))
        elif spoke and not self.speaks:
            self.cue = (False, AFTER_S)
        if self.speaks:
            self._turn_ns = now_ns
            # The end of speech that streams in moves on with every piece; one that stays is the end.
            if end_ns is not None and to_s(end_ns - now_ns) < LOOK_BACK_S and to_s(now_ns - self._end[1]) >= HELD_S:
                self.cue = (False, HELD_S)

    def _listen_ahead(self, now_ns: int) -> None:
        """Accents and ends of phrases, as far ahead as the track is known, at most LEAD_S."""
        ahead_ns = max(now_ns, min(now_ns + to_ns(LEAD_S), self._tracks.known_ns))
        row = self._tracks.at(ahead_ns)
        row = _NOTHING if row is None else row
        if row[_LEVEL] > 0.02 or float(row[: len(MOUTH)].max()) > 0.05:
            if not self._phrase:
                self._phrase, self._phrase_ns, self._marks = True, ahead_ns, 0
            self._quiet_ns = ahead_ns
        elif self._phrase and to_s(ahead_ns - self._quiet_ns) >= PAUSE_S:
            self.phrase_ended = to_s(self._quiet_ns - self._phrase_ns) >= PHRASE_S
            self._phrase = False
        above = row[_ACCENT] > ACCENT
        if above and not self._above and self._marks < MARKS_A_PHRASE and to_s(now_ns - self._mark_ns) > APART_S:
            self._mark, self._mark_ns, self._marks = float(row[_ACCENT]), now_ns, self._marks + 1
            self._nods = bool(self._rng.random() < NOD_SHARE)
        self._above = bool(above)


def _towards(value: float, goal: float, dt_s: float, time_constant_s: float) -> float:
    value += approach(dt_s, time_constant_s) * (goal - value)
    return 0.0 if goal == 0.0 and value < _SILENT else value


def _swell(share: float) -> float:
    """0 at 0 and 1, 1 in the middle."""
    return 0.5 - 0.5 * math.cos(2.0 * math.pi * share) if 0.0 < share < 1.0 else 0.0
