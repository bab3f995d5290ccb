"""The rules listener: what is published of human listeners, as rules. Works without any weights."""

from __future__ import annotations

from typing import ClassVar, Final

from reactdiff_ros.clock import to_ns, to_s
from reactdiff_ros.model.policies.base import Frames, PolicyListener
from reactdiff_ros.model.policies.cues import CueFinder, Cues
from reactdiff_ros.model.policies.moves import (
    Moves,
    Swell,
    draw_brow_raise,
    draw_concern,
    draw_nod,
    draw_smile,
    draw_tilt,
)
from reactdiff_ros.types import SpeakerFrame

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
TILT_EVERY_S: Final = 14.0
"""Mean time between tilts of the head while the other talks."""


class RulesListener(PolicyListener):
    """Mirrors smiles in a share of cases, nods at phrase ends, on low pitch and now and then within long speech,
    raises brows at surprise, shows sympathy with sadness (frowns are hardly mirrored), tilts the head at long talk.

    A warm attitude makes it answer and nod more often, a cool one less.
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
        e = self._engagement
        cues = self._finder.find(
            frame, hears=e.hears(now), other_speaks=e.other_speaks(now), robot_speaks=e.robot_speaks(now)
        )
        self._end_smile(cues, now)
        if not e.engaged(now) or (e.sees(now) and not frame.face_present):
            self._call_off(now)
            return
        self._answer_smile(cues, now)
        self._nod(cues, now, dt_s)
        self._answer_face(cues, now)
        self._tilt(cues, now, dt_s)

    def _before_plan(self, now_ns: int) -> None:
        self._moves.prune(now_ns)

    def _frame(self, time_ns: int) -> Frames:
        return self._moves.value(time_ns)

    def _call_off(self, now: int) -> None:
        """Nobody is in the picture: what was planned for them does not begin any more."""
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
        asks = cues.smile_began or (cues.smiling and to_s(now - self._asked_ns) > ASK_AGAIN_S)
        if not asks:
            return
        self._asked_ns = now
        share = self._config.smile_share + 0.35 * self._style.attitude
        if self._rng.random() < share:
            self._begin_smile(cues.smile, self._later(now, MIMICRY_DELAY_S))
            self._evidence = True

    def _grow_smile(self, smile: Swell, seen: float, now: int) -> None:
        """Until it shows, the answer grows with the smile that it answers; after that, a larger one takes over."""
        if seen <= self._smile_peak:
            return
        if now + to_ns(0.12) < smile.start_ns:
            smile.goal = smile.goal * (_strength(seen) / _strength(self._smile_peak))
            self._smile_peak = seen
        elif seen > self._smile_peak + 0.25 and smile.release_ns is None:
            begins = now + to_ns(0.4)
            smile.release_ns = begins + to_ns(0.3)
            self._begin_smile(seen, begins)

    def _begin_smile(self, seen: float, start_ns: int) -> None:
        self._smile_peak = seen
        self._smile = draw_smile(start_ns, _strength(seen), self._rng)
        self._apex_end_ns = self._later(start_ns + to_ns(self._smile.rise_s), APEX_S)
        self._moves.add(self._smile)

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
        if not (cues.talking or cues.phrase_ended):
            return
        self._talked_s += dt_s
        if self._nod_end_ns is not None and now < self._nod_end_ns + to_ns(NOD_REST_S):
            return
        rate = self._config.nod_rate_per_min / 60.0 * (1.0 + 0.5 * self._style.attitude)
        # The longer it has listened without a nod, the more likely the next cue gets one.
        pressure = min(rate * self._talked_s, 1.0)
        if cues.phrase_ended:
            chance = 0.65 * pressure
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
        if cues.brows_rose and self._rng.random() < BROW_SHARE:
            strength = float(self._rng.uniform(0.25, 0.5))
            self._moves.add(draw_brow_raise(self._later(now, (0.4, 0.6)), strength, self._rng))
            self._evidence = True
        if cues.saddened and self._rng.random() < CONCERN_SHARE:
            self._moves.add(draw_concern(self._later(now, MIMICRY_DELAY_S), self._rng))
            self._evidence = True

    def _tilt(self, cues: Cues, now: int, dt_s: float) -> None:
        if cues.talking and now > self._tilt_end_ns and self._rng.random() < dt_s / TILT_EVERY_S:
            tilt = draw_tilt(self._later(now, (0.1, 0.4)), self._rng)
            self._moves.add(tilt)
            self._tilt_end_ns = (tilt.end_ns() or now) + to_ns(3.0)


def _strength(seen: float) -> float:
    """Strength of the answer to a smile of strength `seen`."""
    return min(max(ANSWER * seen + 0.08, 0.2), 0.85)
