"""The rules listener: what is published of human listeners, as rules. Works without any weights.

`CueFinder` finds what a listener answers: onsets and ends of the speaker's smile, raised brows, sadness, talk and the
pauses in it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from reactdiff_ros.clock import NS, to_ns, to_s
from reactdiff_ros.coefficients import INDEX, SMILE, bounded
from reactdiff_ros.model.listener import PolicyListener
from reactdiff_ros.model.plan.level import Frames
from reactdiff_ros.model.policies.moves import (
    Moves,
    Nod,
    Swell,
    draw_brow_raise,
    draw_concern,
    draw_nod,
    draw_smile,
    draw_tilt,
)
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
HESITANT_S: Final = 1.2
"""Over how long faltering and averted eyes are counted."""
HALTS_A_SECOND: Final = 1.5
"""So often fluent speech neither stops nor begins."""
AVERTED: Final = 0.6


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
    hesitant: bool = False
    """The voice falters and the gaze stays away."""
    since_end_s: float = 0.0
    """Seconds since the phrase ended, by the voice's own count; 0 where not known."""


class CueFinder:
    """Finds cues frame by frame, causally."""

    def __init__(self) -> None:
        self._smiling = False
        self._brow_mean: float | None = None
        self._brows_up = False
        self._sad_ns: int | None = None
        self._sad_reported = False
        self._talk_ns: int | None = None
        self._jaws: deque[tuple[int, float]] = deque()
        self._pitches: deque[float] = deque(maxlen=250)
        self._low_ns: int | None = None
        self._low_reported = False
        self._last_ns: int | None = None
        self._silent = True
        self._halts = self._averted = 0.0

    def find(self, frame: SpeakerFrame, *, hears: bool, other_speaks: bool, robot_speaks: bool) -> Cues:
        """The cues of `frame`.

        Args:
            frame: the newest frame, in order.
            hears: sound is observed; else the jaw shows who talks.
            other_speaks: voice activity of someone other than the robot.
            robot_speaks: what is heard is the robot itself; then nothing is a cue to talk.
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
        recently = talking or (voice is not None and hears and voice.pause_s < HESITANT_S)
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
            hesitant=self._hesitates(frame, dt_s) and recently and not robot_speaks,
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
            self._sad_ns, self._sad_reported = None, False
            return False
        if self._sad_ns is None:
            self._sad_ns = frame.stamp_ns
        reported = to_s(frame.stamp_ns - self._sad_ns) >= 0.6 and not self._sad_reported
        self._sad_reported |= reported
        return reported

    def _hesitates(self, frame: SpeakerFrame, dt_s: float) -> bool:
        """Whether speech stopped or began often enough, and the gaze was away for long enough, in the last second."""
        silent = frame.voice is None or not frame.voice.speaking
        averted = 0.0 if frame.gaze is None else 1.0 - float(np.clip(np.nan_to_num(frame.gaze.contact, nan=1.0), 0, 1))
        share = min(dt_s / HESITANT_S, 1.0)
        self._halts += (silent != self._silent) / HESITANT_S - share * self._halts
        self._averted += share * (averted - self._averted)
        self._silent = silent
        return self._halts > HALTS_A_SECOND and self._averted > AVERTED

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
            self._low_ns, self._low_reported = None, False
            return False
        if self._low_ns is None:
            self._low_ns = frame.stamp_ns
        reported = to_s(frame.stamp_ns - self._low_ns) >= LOW_PITCH_S and not self._low_reported
        self._low_reported |= reported
        return reported


# Visible mimicry comes 0.5 to 0.7 s after the other's onset (plausible 0.3 to 1.0; Hsu et al., Kroczek and
# Muehlberger 2023); feedback 59 to 944 ms after a pause begins (ifadv), or within the speech.
MIMICRY_DELAY_S: Final = (0.5, 0.7)
NOD_DELAY_S: Final = (0.2, 0.5)
NOD_REST_S: Final = 1.8
ASK_AGAIN_S: Final = 1.3
"""A smile that goes on unanswered gets another chance this often."""
ANSWER: Final = 0.8
"""How strong the answer to a smile is, of the smile's own strength."""
APEX_S: Final = (2.0, 4.0)
BROW_SHARE: Final = 0.45
CONCERN_SHARE: Final = 0.6
HESITANT_SHARE: Final = 0.3
"""How many of the answers to a smile are left where the speaker hesitates."""
TILT_EVERY_S: Final = 14.0
"""Mean time between tilts of the head while the other talks."""
OWN_SMILES_PER_MIN: Final = 2.0
MOST: Final = 2.5
"""At 1 of nodding or liveliness, nods and tilts are this many times as frequent; at -1 this many times as rare."""


class RulesListener(PolicyListener):
    """Mirrors smiles in a share of cases, nods at phrase ends, on low pitch and now and then within long speech,
    raises brows at surprise, shows sympathy with sadness (frowns are hardly mirrored), tilts the head at long talk and
    at a voice that falters while the eyes look away; then it waits with nods and smiles.

    Attitude and responsiveness change how often it answers, smiling how often, long and strong it smiles, nodding how
    often it nods, liveliness how often it moves brows and head. While the robot itself speaks, it neither nods nor
    tilts its head; the other's face it still sees and answers.
    """

    NAME: ClassVar[str] = "rules"

    def _start(self) -> None:
        super()._start()
        self._moves = Moves()
        self._finder = CueFinder()
        self._smile: Swell | None = None
        self._smile_peak = 0.0
        self._asked_ns = 0
        self._nod_end_ns: int | None = None
        self._talked_s = 0.0
        self._tilt_end_ns = 0
        self._frame_ns: int | None = None

    def _observed(self, frame: SpeakerFrame) -> None:
        now = frame.stamp_ns
        dt_s = 0.04 if self._frame_ns is None else min(to_s(now - self._frame_ns), 0.2)
        self._frame_ns = now
        view, deaf = self._view, self._engagement.deaf(now)
        cues = self._finder.find(
            frame, hears=view.hears(now), other_speaks=view.other_speaks(now) and not deaf, robot_speaks=deaf
        )
        self._end_smile(cues, now)
        if not self._engagement.engaged(now) or (view.sees(now) and not frame.face_present):
            self._call_off(now)
            return
        quiet = deaf or self._engagement.robot_speaks(now)
        if quiet:
            self._moves.cancel(now + 2 * self._clock.grid.period_ns, Nod)
        self._answer_smile(cues, now)
        self._smile_by_itself(cues, now, dt_s)
        if not quiet:
            self._nod(cues, now, dt_s)
        self._answer_face(cues, now)
        self._tilt(cues, now, dt_s)

    def _before_plan(self, start_ns: int) -> None:
        self._moves.planned(start_ns)
        if self._smile is not None and self._smile not in self._moves:
            self._smile = None

    def _frame(self, time_ns: int) -> Frames:
        return self._moves.value(time_ns)

    def _call_off(self, now: int) -> None:
        """No one is in the picture: what was planned for them does not begin any more."""
        soon = now + 2 * self._clock.grid.period_ns
        self._moves.cancel(soon)
        if self._smile is not None and self._smile.start_ns > soon:
            self._smile = None

    def _later(self, now_ns: int, span_s: tuple[float, float]) -> int:
        return now_ns + to_ns(float(self._rng.uniform(*span_s)))

    def _answer_smile(self, cues: Cues, now: int) -> None:
        if self._smile is not None:
            self._grow_smile(self._smile, cues.smile, now)
            return
        style = self._style
        ask_again_s = ASK_AGAIN_S / (1.0 + style.responsiveness)
        asks = cues.smile_began or (cues.smiling and to_s(now - self._asked_ns) > ask_again_s)
        if not asks:
            return
        self._asked_ns = now
        share = self._config.smile_share
        share += 0.35 * style.attitude + (1.0 - share) * style.responsiveness + 0.3 * style.smiling
        if self._rng.random() < share * (HESITANT_SHARE if cues.hesitant else 1.0):
            self._begin_smile(cues.smile, self._later(now, MIMICRY_DELAY_S))
            self._evidence = True

    def _grow_smile(self, smile: Swell, seen: float, now: int) -> None:
        """Until it shows, the answer grows with the smile that it answers; after that, a larger one takes over."""
        if seen <= self._smile_peak:
            return
        if now + to_ns(0.12) < smile.start_ns:
            smile.goal = smile.goal * (self._strength(seen) / self._strength(self._smile_peak))
            self._smile_peak = seen
        elif seen > self._smile_peak + 0.25 and smile.release_ns is None:
            begins = now + to_ns(0.4)
            smile.release_ns = begins + to_ns(0.3)
            self._begin_smile(seen, begins)

    def _begin_smile(self, seen: float, start_ns: int) -> None:
        self._smile_peak = seen
        self._smile = draw_smile(start_ns, self._strength(seen), self._rng)
        longer = 2.0**self._style.smiling
        apex = (APEX_S[0] * longer, APEX_S[1] * longer)
        self._apex_end_ns = self._later(start_ns + to_ns(self._smile.rise_s), apex)
        self._moves.add(self._smile)

    def _strength(self, seen: float) -> float:
        """Strength of the answer to a smile of strength `seen`."""
        return min(max(ANSWER * seen + 0.08, 0.2), 0.85) * (1.0 + 0.15 * self._style.smiling)

    def _smile_by_itself(self, cues: Cues, now: int, dt_s: float) -> None:
        """One who likes to smile does so now and then while the other talks."""
        rate = max(self._style.smiling, 0.0) * OWN_SMILES_PER_MIN / 60.0
        if rate > 0.0 and self._smile is None and cues.talking and self._rng.random() < rate * dt_s:
            self._begin_smile(float(self._rng.uniform(0.2, 0.5)), self._later(now, NOD_DELAY_S))

    def _end_smile(self, cues: Cues, now: int) -> None:
        smile = self._smile
        if smile is None:
            return
        if smile.release_ns is None and (not cues.smiling or now >= self._apex_end_ns):
            shown = smile.start_ns + to_ns(smile.rise_s + 0.5)
            smile.release_ns = max(self._later(now, (0.3, 0.8)), shown)
            self._asked_ns = smile.release_ns
        end = smile.end_ns()
        if end is not None and now > end:
            self._smile = None

    def _nod(self, cues: Cues, now: int, dt_s: float) -> None:
        if cues.hesitant or not (cues.talking or cues.phrase_ended):
            return
        self._talked_s += dt_s
        if self._nod_end_ns is not None and now < self._nod_end_ns + to_ns(NOD_REST_S):
            return
        style = self._style
        rate = self._config.nod_rate_per_min / 60.0 * (1.0 + 0.5 * style.attitude + 0.5 * style.responsiveness)
        rate *= MOST**style.nodding
        # The longer it has listened without a nod, the more likely the next cue gets one.
        pressure = min(rate * self._talked_s, 1.0)
        if cues.phrase_ended:
            chance = (0.65 + 0.35 * style.responsiveness) * pressure
        elif cues.low_pitch:
            chance = 0.25 * pressure
        else:
            chance = 0.5 * rate * dt_s * pressure
        if self._rng.random() >= chance:
            return
        start = self._later(now, NOD_DELAY_S)
        if cues.phrase_ended:
            start = max(start - to_ns(min(cues.since_end_s, 0.4)), now + to_ns(0.08))
        nod = draw_nod(start, self._rng)
        self._moves.add(nod)
        self._nod_end_ns, self._talked_s, self._evidence = nod.end_ns(), 0.0, True

    def _answer_face(self, cues: Cues, now: int) -> None:
        style = self._style
        share = BROW_SHARE * (1.0 + 0.8 * style.liveliness) + 0.3 * style.responsiveness
        if cues.brows_rose and self._rng.random() < share:
            strength = float(self._rng.uniform(0.25, 0.5)) * (1.0 + 0.3 * style.liveliness)
            self._moves.add(draw_brow_raise(self._later(now, (0.4, 0.6)), strength, self._rng))
            self._evidence = True
        if cues.saddened and self._rng.random() < CONCERN_SHARE + 0.4 * style.responsiveness:
            self._moves.add(draw_concern(self._later(now, MIMICRY_DELAY_S), self._rng))
            self._evidence = True

    def _tilt(self, cues: Cues, now: int, dt_s: float) -> None:
        every_s = (HESITANT_S if cues.hesitant else TILT_EVERY_S) / MOST**self._style.liveliness
        if cues.talking and now > self._tilt_end_ns and self._rng.random() < dt_s / every_s:
            tilt = draw_tilt(self._later(now, (0.1, 0.4)), self._rng)
            self._moves.add(tilt)
            self._tilt_end_ns = (tilt.end_ns() or now) + to_ns(3.0 / MOST**self._style.liveliness)
