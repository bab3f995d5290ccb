"""Attention layer: at whom the face looks among several people, and what the other's turn does to a listening face."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from reactdiff_ros.clock import NS, to_ns, to_s
from reactdiff_ros.coefficients import BROWS_UP, HEAD_PITCH, sides
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.gaze import check_target
from reactdiff_ros.expression.motion import approach
from reactdiff_ros.types import Array, GazeTarget, People, PersonSeen, TurnSignals

# ---- Among several people

# Shares of gaze in conversations of four (Vertegaal et al. 2001): a listener looks at the one who speaks 62 % of the
# time and at each other one 9 %; one who speaks looks at the addressee 40 % and at each other one 12 %.
SPEAKER: Final = 0.62
ADDRESSEE: Final = 0.2
"""At whom is spoken to, where that is not the robot."""
OTHER: Final = 0.09
LISTENER: Final = 0.4
"""While the robot speaks: at the one whom it listened to last; at each other one OTHER_LISTENER."""
OTHER_LISTENER: Final = 0.25
"""Between the 12 % of a speaker who addresses one and the equal shares of one who addresses all."""
SHORTEST_S: Final = 0.6
"""The look stays at a person for at least this long."""
DWELL_S, DWELL_SIGMA = 1.8, 0.5
NEWCOMER_S: Final = 1.0
NOTICED_S: Final = 3.0
"""Someone who was not looked at within this time is a newcomer no longer."""
SPEAKS: Final = 0.5
SURE_S: Final = 0.15
"""Someone has to speak for this long to draw the look."""
STALE_S: Final = 0.5
GONE_S: Final = 10.0
"""Someone who was away for less is no newcomer."""


def check_people(people: People) -> None:
    """Hold people from outside to their contract.

    Raises:
        MessageError: a belief is not within 0..1, or a position is not one that `check_target` takes.
    """
    for person in people.persons:
        beliefs = (person.speaking, person.attention, person.addressed)
        if not all(0.0 <= belief <= 1.0 for belief in beliefs):
            raise MessageError("a belief about a person is not 0 to 1", where=f"person {person.person_id}")
        if person.position_m is not None:
            check_target(GazeTarget(people.stamp_ns, person.position_m, people.frame_id))


class Attention:
    """At whom of several people the face looks; with fewer than two who have a place, at none: the gaze's own target.

    Looks are drawn from shares and stay for log-normal times, so shares hold in the long run. Three things draw the
    look at once, but never sooner than SHORTEST_S after the last change: someone begins to speak, someone new comes,
    the one who was looked at is gone.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.clear()

    def clear(self) -> None:
        """The clock jumped: forget the people."""
        self._people: People | None = None
        self._received_ns = 0
        self._seen_ns: dict[int, int] = {}
        self._new: dict[int, int] = {}
        self._focus: int | None = None
        self._changed_ns = self._until_ns = 0
        self._pushed: tuple[int | None, int] = (None, 0)
        self.among = False
        """There are several people; where False, the gaze's own target holds."""
        self._speaker: int | None = None
        self._heard: tuple[int | None, int] = (None, 0)
        self.changed = False
        """The look went to another person with this tick."""

    def push(self, people: People, now_ns: int) -> None:
        """Take in checked people."""
        first = self._people is None
        for person in people.persons:
            seen_ns = self._seen_ns.get(person.person_id)
            if not first and (seen_ns is None or to_s(now_ns - seen_ns) > GONE_S):
                self._new[person.person_id] = now_ns
            self._seen_ns[person.person_id] = now_ns
        self._seen_ns = {i: t for i, t in self._seen_ns.items() if to_s(now_ns - t) <= GONE_S}
        self._people, self._received_ns = people, now_ns

    def advance(self, now_ns: int, *, speaks: bool) -> GazeTarget | None:
        """Go on to `now_ns`; where to look, None: nothing new. `speaks`: the robot does."""
        self.changed = self.among = False
        people = self._people
        if people is None:
            return None
        placed = {p.person_id: p for p in people.persons if p.position_m is not None}
        if len(placed) < 2 or to_s(now_ns - self._received_ns) > STALE_S:
            self._focus = None
            return None
        self.among = True
        self._new = {i: t for i, t in self._new.items() if to_s(now_ns - t) <= NOTICED_S and i in placed}
        speaker = self._speaking(placed, now_ns, speaks)
        self._choose(now_ns, people.target, speaker, _shares(people, placed, speaker, speaks=speaks))
        person = None if self._focus is None else placed.get(self._focus)
        if person is None or person.position_m is None or self._pushed == (self._focus, people.stamp_ns):
            return None
        self._pushed = (self._focus, people.stamp_ns)
        return GazeTarget(people.stamp_ns, person.position_m, people.frame_id)

    def _speaking(self, placed: dict[int, PersonSeen], now_ns: int, speaks: bool) -> int | None:
        """Who has spoken for SURE_S or longer."""
        loudest = max(placed.values(), key=lambda p: p.speaking)
        heard = loudest.person_id if loudest.speaking >= SPEAKS and not speaks else None
        if heard != self._heard[0]:
            self._heard = (heard, now_ns)
        return heard if to_s(now_ns - self._heard[1]) >= SURE_S else None

    def _choose(self, now_ns: int, target: int, speaker: int | None, shares: dict[int, float]) -> None:
        if self._focus is not None and to_s(now_ns - self._changed_ns) < SHORTEST_S:
            return
        if self._focus is None:
            self._look(now_ns, target if target in shares else next(iter(shares)))
        elif self._new:
            newcomer = min(self._new, key=lambda i: self._new[i])
            del self._new[newcomer]
            self._look(now_ns, newcomer, NEWCOMER_S)
        elif speaker is not None and speaker != self._speaker:
            self._look(now_ns, speaker)
        elif self._focus not in shares or now_ns >= self._until_ns:
            people = list(shares)
            weights = np.array([shares[i] for i in people])
            self._look(now_ns, people[int(self._rng.choice(len(people), p=weights / weights.sum()))])
        self._speaker = speaker

    def _look(self, now_ns: int, person: int, dwell_s: float | None = None) -> None:
        if dwell_s is None:
            draw = DWELL_S * math.exp(DWELL_SIGMA * self._rng.standard_normal() - DWELL_SIGMA**2 / 2)
            dwell_s = min(max(draw, SHORTEST_S), 6.0)
        if person != self._focus:
            self.changed = self._focus is not None
            self._changed_ns = now_ns
        self._focus, self._until_ns = person, now_ns + to_ns(dwell_s)


def _shares(people: People, placed: dict[int, PersonSeen], speaker: int | None, *, speaks: bool) -> dict[int, float]:
    """Weight of each person's share of the look."""
    if speaks:
        return {i: LISTENER if i == people.target else OTHER_LISTENER for i in placed}
    if speaker is None:
        return {i: LISTENER if i == people.target else OTHER * (1.0 + placed[i].attention) for i in placed}
    shares = {i: SPEAKER if i == speaker else OTHER for i in placed}
    others = [p for i, p in placed.items() if i != speaker]
    addressee = max(others, key=lambda p: p.addressed)
    if addressee.addressed > max(people.robot_addressed, 0.5):
        shares[addressee.person_id] = ADDRESSEE
    return shares


# ---- What the other's turn does to a listening face

SIGNALS_LAPSE_S: Final = 0.5
ENDED: Final = 0.7
"""p_eot from which the other's turn counts as over."""
BARGES: Final = 0.6
FITS: Final = 0.6
"""p_backchannel from which a nod fits."""
NODS_APART_S: Final = 5.0
EXPECTS_S: Final = 2.5
"""After this the expectant look fades: an answer is late by then."""
PLAN_NOD_RAD_S: Final = 0.08
"""Faster than this, the plan's head nods by itself."""
_WIDE: Final = sides("eyeWide")
EXPECTANT_BROWS, EXPECTANT_LIDS, EXPECTANT_PITCH_RAD = 0.14, 0.08, math.radians(-0.6)
BARGED_BROWS: Final = 0.35


class Floor:
    """Reads turn signals: at the end of the other's turn and at a barge-in, the look goes to them and brows rise."""

    def __init__(self, config: ExpressionConfig) -> None:
        self._nods = config.backchannel_nods
        self.clear()

    def clear(self) -> None:
        """The clock jumped: no signals."""
        self._signals: TurnSignals | None = None
        self._received_ns = 0
        self._ended_ns: int | None = None
        self._expects = self._barged = 0.0
        self._fits = False
        self._nod_ns = self._planned_ns = -NS * 1000
        self._pitch = 0.0
        self.looks = False
        """The look belongs to the other now."""
        self.nod = False
        """A nod should begin with this tick."""

    @property
    def signals(self) -> TurnSignals | None:
        """The signals that change the face now."""
        return self._signals if self._expects > 0.0 or self._barged > 0.0 else None

    def push(self, signals: TurnSignals, now_ns: int) -> bool:
        """Take in signals; False: they are older than the last."""
        if self._signals is not None and 0 < self._signals.stamp_ns - signals.stamp_ns < NS // 2:
            return False
        self._signals, self._received_ns = signals, now_ns
        return True

    def advance(self, now_ns: int, dt_s: float, plan: Array, *, speaks: bool) -> bool:
        """Go on to `now_ns`; False: the face stays as it is. `plan` (58,): the listener's, whose nods are counted."""
        self.looks = self.nod = False
        signals = self._signals
        if signals is None:
            return False
        fresh = to_s(now_ns - self._received_ns) <= SIGNALS_LAPSE_S
        ended = fresh and not speaks and signals.p_eot >= ENDED  # NaN: not known, so not ended
        self._ended_ns = (now_ns if self._ended_ns is None else self._ended_ns) if ended else None
        expects = self._ended_ns is not None and to_s(now_ns - self._ended_ns) <= EXPECTS_S
        barged = fresh and speaks and signals.p_barge_in >= BARGES
        self.looks = expects or barged
        self._expects = _eased(self._expects, expects, dt_s)
        self._barged = _eased(self._barged, barged, dt_s)
        if self._nods:
            self._backchannel(now_ns, dt_s, plan, fits=fresh and not speaks and signals.p_backchannel >= FITS)
        if not fresh and self._expects == 0.0 and self._barged == 0.0:
            self._signals = None
        return self._expects > 0.0 or self._barged > 0.0

    def add(self, face: Array, upper_face: float) -> None:
        """Brows, lids and head of an expectant or interrupted face, onto `face` (58,), in place."""
        brows = EXPECTANT_BROWS * self._expects + BARGED_BROWS * self._barged
        face[BROWS_UP] = np.maximum(face[BROWS_UP], upper_face * brows)
        face[_WIDE] = np.maximum(face[_WIDE], upper_face * EXPECTANT_LIDS * max(self._expects, self._barged))
        face[HEAD_PITCH] += EXPECTANT_PITCH_RAD * self._expects

    def _backchannel(self, now_ns: int, dt_s: float, plan: Array, *, fits: bool) -> None:
        speed = abs(float(plan[HEAD_PITCH]) - self._pitch) / max(dt_s, 1e-3)
        self._pitch = float(plan[HEAD_PITCH])
        if speed > PLAN_NOD_RAD_S:
            self._planned_ns = now_ns
        rested = to_s(now_ns - max(self._nod_ns, self._planned_ns)) >= NODS_APART_S
        if fits and not self._fits and rested:
            self.nod, self._nod_ns = True, now_ns
        self._fits = fits


def _eased(value: float, on: bool, dt_s: float) -> float:
    value += approach(dt_s, 0.15 if on else 0.4) * (float(on) - value)
    return 0.0 if not on and value < 1e-3 else value
