"""Several people: who is here, who of them speaks, and to whom.

Who speaks is a forward filter over the people in view and "someone out of view". While a voice is heard, it weighs how
much each one's lips move: a voice has one mouth, so what counts is the difference between people. Two microphones add
where the voice comes from. In a pause it waits: the one who spoke probably goes on. Whom each of them addresses is a
filter of the same kind over the robot and the other people; its evidence is the line of sight, held against where the
others are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from reactdiff_ros.clock import NS
from reactdiff_ros.perception.microphones import SOUND_M_S, MicrophonePair
from reactdiff_ros.perception.tracking import Track
from reactdiff_ros.types import FloatArray, People, PersonSeen, Voice

ROBOT: Final = -2
OUT_OF_VIEW: Final = -1
"""Ids of those who are no person in view."""

_TURN_S: Final = 2.0
"""After it, an old belief counts half as much as none: shorter than most turns, so that a new one is found soon."""
_NO_LIPS: Final = -1.5
"""Log odds of speech of those whose lips are not seen: someone out of view is less likely than a mouth that hardly
moves, and likelier than one that is still."""
_LIPS_S: Final = 0.25
"""Over this time, evidence of lips counts once: neighbouring pictures tell the same.

This, `_TURN_S`, `_NO_LIPS`, `_STEEP`, what `_Lips` begins with and the time constant of `Track.lips` were chosen on
talks composed of five recordings of speech (may, katiehill, d20, both spectre) and four of silent people (d18, s32,
pexels, face_noface): one speaks next to one or two silent people, and two or three take turns of 2 to 6 s.
"""
_STEEP: Final = 3.6
_LEARNING_S: Final = 4.0
"""Lips of calm people move less in speech than those of others in silence: after about this time, each person's own
levels count. They are learnt where no voice is heard, and where it is clear whose it is."""
_STILL: Final = -1.6
"""Level of silent lips that no one is below: who keeps quite still does not speak because they stir."""
_CERTAIN: Final = 0.8
_LOOK_S: Final = 0.4
_ADDRESSED_S: Final = 4.0
_LISTENED_S: Final = 0.25
"""After it, an old belief in whom they address counts half as much as none: of who speaks, and of who listens. Where
someone looks who listens says little about whom they will address."""
_DIRECTION_S: Final = 0.25
"""Over this time, the direction of the sound counts once."""
_DIRECTION_RAD: Final = 0.14
_DELAY_S: Final = 5e-6
"""Spread of directions of sound around who speaks, and of the delay between the microphones."""
_REFLECTED: Final = 0.1
"""Likelihood of a direction that is not the speaker's. Lips that move where others are still outweigh it."""
_UNCLEAR: Final = 0.35
_CLEAR: Final = 0.65
"""`Arrival.clarity` from which a direction counts, and from which it counts in full."""
_TRUST_S: Final = 15.0
"""Over this time, the direction is held against the lips where they alone are certain: swapped microphones, or ones
that are not at the camera, lose their say."""
_HEARD: Final = 0.95
_UNHEARD: Final = 0.02
"""Belief that someone speaks where the voice activity says so, and where it does not."""
_BY_SIGHT: Final = 0.7
"""Most that lips alone tell, without a microphone."""
_LOOK_YAW_RAD: Final = 0.22
_LOOK_PITCH_RAD: Final = 0.30
"""Spread of lines of sight around who is looked at."""
_FARTHEST_LOOK_RAD: Final = 0.9
"""Lines of sight beyond are read as this: of a face turned further there are no landmarks."""
_ELSEWHERE: Final = 0.12
"""Likelihood of a line of sight that is at neither: half of the time, speakers look away."""

_SETTLED_S: Final = 0.8
_PASSING: Final = 1.0
"""Speed, in sides of the face a second, from which someone who does not look at the robot passes by. Walking past at
0.7 m/s is 4; who stays, shifts and leans makes 0.5 at most for longer than a moment."""
_CONTACT: Final = 0.3
_FAR_M: Final = 4.0
_FACE_M: Final = 0.2


@dataclass
class _Belief:
    """A forward filter over ids."""

    of: dict[int, float] = field(default_factory=dict)

    def follow(self, ids: Iterable[int], dt_s: float, stay_s: float, evidence: Mapping[int, float]) -> None:
        """It stays for `stay_s` on average. `evidence`: logarithms of the likelihoods of what was observed in `dt_s`;
        0 where there are none.
        """
        ids = list(ids)
        fresh = 1.0 / len(ids)
        kept = math.exp(-dt_s / stay_s)
        total = sum(self.of.get(i, fresh) for i in ids) or 1.0
        of = {i: (kept * self.of.get(i, fresh) / total + (1.0 - kept) * fresh) for i in ids}
        most = max((evidence.get(i, 0.0) for i in ids), default=0.0)
        of = {i: p * math.exp(evidence.get(i, 0.0) - most) for i, p in of.items()}
        total = sum(of.values())
        self.of = {i: max(p / total, 1e-3) for i, p in of.items()}


@dataclass
class _Lips:
    """How much one person's lips move, `Track.lips`, when they speak and when they do not."""

    silent: float = _STILL
    speaking: float = -0.65

    def odds(self, motion: float) -> float:
        """Logarithm of the odds that they speak."""
        return min(max(_STEEP * (motion - (self.silent + self.speaking) / 2), -4.0), 3.0)

    def learn(self, motion: float, dt_s: float, belief: float, another: bool) -> None:
        """`belief` that they speak; negative where no one does. `another`: it is someone else for certain."""
        share = dt_s / _LEARNING_S
        if belief < 0.0:
            self.silent += share * (motion - self.silent)
        else:
            self.speaking += share * belief * (motion - self.speaking)
            if another:
                self.silent += 0.3 * share * (motion - self.silent)
        self.silent = max(self.silent, _STILL)
        self.speaking = max(self.speaking, self.silent + 0.4)


@dataclass
class _Seen:
    """One person over the pictures."""

    first_ns: int
    contact: float = 0.0
    settled: bool = False
    stayed: bool = False
    """They were settled once."""
    position_m: FloatArray | None = None
    lips: _Lips = field(default_factory=_Lips)
    addresses: _Belief = field(default_factory=_Belief)


class PeopleInView:
    """Takes each picture's tracks; says who is there, who speaks and to whom. Causal and deterministic.

    Args:
        microphones: which hear where a voice comes from; the caller gives them the sound.
    """

    def __init__(self, microphones: MicrophonePair | None = None) -> None:
        self._microphones = microphones
        self._seen: dict[int, _Seen] = {}
        self._speaker, self._by_lips = _Belief(), _Belief()
        self._trust = 1.0
        self._speaking: dict[int, float] = {}
        self._stamp_ns: int | None = None

    def flush(self) -> None:
        """A new time line: everything is forgotten."""
        self.__init__(self._microphones)  # type: ignore[misc]

    def observe(
        self, stamp_ns: int, tracks: tuple[Track, ...], voice: Voice | None, own: bool, focal_px: float
    ) -> None:
        """The tracks and the newest voice of a picture; `own`: the robot itself speaks."""
        dt = 0.0 if self._stamp_ns is None else min((stamp_ns - self._stamp_ns) / NS, 0.5)
        self._stamp_ns = stamp_ns
        self._seen = {t.person_id: self._look_at(t, stamp_ns, dt, focal_px) for t in tracks}
        self._listen(tracks, dt, voice, own)
        for track in tracks:
            self._follow_look(track, dt)

    @property
    def speaking(self) -> Mapping[int, float]:
        """Belief that this person speaks now, by id."""
        return self._speaking

    def passes_by(self, track: Track) -> bool:
        """They have only moved through the picture, and do not look at the robot."""
        seen = self._seen[track.person_id]
        return not seen.stayed and track.speed > _PASSING and seen.contact < _CONTACT

    def here(self, track: Track) -> bool:
        """They have come to stay, or look at the robot; it is not someone who passes by or is far away."""
        return self._seen[track.person_id].settled

    def people(self, frame_id: str, target: int) -> People:
        """All who are here, and the target."""
        present = {i: seen for i, seen in self._seen.items() if seen.settled or i == target}
        speaking = {i: self._speaking.get(i, 0.0) for i in present}
        unseen = max(0.0, self._speaking.get(OUT_OF_VIEW, 0.0))
        towards = dict.fromkeys((ROBOT, *present), 0.0)
        for i, seen in present.items():
            for j, share in seen.addresses.of.items():
                if j in towards:
                    towards[j] += speaking[i] * share
        persons = tuple(
            PersonSeen(i, seen.position_m, speaking[i], seen.contact, min(1.0, towards[i]))
            for i, seen in present.items()
        )
        return People(self._stamp_ns or 0, persons, target, min(1.0, towards[ROBOT] + 0.5 * unseen), frame_id)

    def _look_at(self, track: Track, stamp_ns: int, dt: float, focal_px: float) -> _Seen:
        seen = self._seen.get(track.person_id) or _Seen(stamp_ns)
        if track.reading is not None:
            share = 1.0 - math.exp(-dt / 0.4) if seen.position_m is not None else 1.0
            seen.contact += share * (track.reading.gaze.contact - seen.contact)
            seen.position_m = track.reading.position_m.astype(np.float32)
        elif stamp_ns - track.look_ns > NS // 2:
            seen.contact *= math.exp(-dt / 0.4)
        far = focal_px * _FACE_M / max(track.face_px, 1.0) > _FAR_M
        age = (stamp_ns - seen.first_ns) / NS
        passes = track.speed > _PASSING and seen.contact < _CONTACT
        if passes or far:
            seen.settled = False
        elif age >= _SETTLED_S or (seen.contact > 0.5 and age > 0.3):
            seen.settled = seen.stayed = True
        return seen

    def _listen(self, tracks: tuple[Track, ...], dt: float, voice: Voice | None, own: bool) -> None:
        read = {t.person_id: t.lips for t in tracks if t.reading is not None}
        lips = {t.person_id: _NO_LIPS for t in tracks} | {OUT_OF_VIEW: _NO_LIPS}
        lips |= {i: self._seen[i].lips.odds(motion) for i, motion in read.items()}
        heard = voice is None or (voice.speaking and not own)
        evidence = {i: odds * dt / _LIPS_S for i, odds in lips.items()} if heard else {}
        self._by_lips.follow(lips, dt, _TURN_S, evidence)
        if voice is not None and heard:
            for i, value in self._directions(lips, dt).items():
                evidence[i] += value * dt / _DIRECTION_S
        self._speaker.follow(lips, dt, _TURN_S, evidence)
        surest = max(self._speaker.of, key=lambda i: self._speaker.of[i])
        certain = self._speaker.of[surest] > _CERTAIN
        for i, motion in read.items() if voice is not None else ():
            belief = self._speaker.of[i] if heard else -1.0
            self._seen[i].lips.learn(motion, dt, belief, certain and surest not in (i, OUT_OF_VIEW))
        if voice is None:
            self._speaking = {
                i: _BY_SIGHT * share / (1.0 + math.exp(-lips[i])) for i, share in self._speaker.of.items()
            }
            return
        sounds = 0.0 if own else _HEARD if voice.speaking else _UNHEARD
        self._speaking = {i: sounds * share for i, share in self._speaker.of.items()}

    def _directions(self, ids: Iterable[int], dt: float) -> dict[int, float]:
        """Logarithm of the likelihood of the direction of the sound for each; {} where it is not known."""
        pair = self._microphones
        arrival = None if pair is None else pair.latest(self._stamp_ns or 0)
        if pair is None or arrival is None or arrival.clarity <= _UNCLEAR:
            return {}
        widest = pair.spacing_m / SOUND_M_S
        spread = math.hypot(_DIRECTION_RAD * widest, _DELAY_S)
        anywhere = math.log(math.sqrt(2 * math.pi) * spread / (2 * widest) + _REFLECTED)
        likelihoods = dict.fromkeys(ids, anywhere)
        for i, seen in self._seen.items():
            if seen.position_m is not None and np.isfinite(seen.position_m).all():
                off = (arrival.delay_s - pair.delay_s(seen.position_m)) / spread
                likelihoods[i] = math.log(math.exp(-0.5 * off**2) + _REFLECTED)
        by_lips = max(self._by_lips.of, key=lambda i: self._by_lips.of[i])
        if by_lips != OUT_OF_VIEW and self._by_lips.of[by_lips] > _CERTAIN:
            agrees = 1.0 if likelihoods[by_lips] > anywhere else -1.0
            self._trust += (1.0 - math.exp(-dt / _TRUST_S)) * (agrees - self._trust)
        weight = max(0.0, self._trust) * min(1.0, (arrival.clarity - _UNCLEAR) / (_CLEAR - _UNCLEAR))
        return {i: weight * value for i, value in likelihoods.items()}

    def _follow_look(self, track: Track, dt: float) -> None:
        """Whom they look at: the robot, or one of the others whose place is known."""
        own = self._seen[track.person_id]
        others = {
            i: seen.position_m
            for i, seen in self._seen.items()
            if i != track.person_id and seen.position_m is not None and seen.settled
        }
        evidence = {}
        if track.reading is not None and others and own.position_m is not None:
            gaze = track.reading.gaze
            evidence[ROBOT] = _looks(gaze.yaw_rad, gaze.pitch_rad, 0.0, 0.0)
            for i, place in others.items():
                evidence[i] = _looks(gaze.yaw_rad, gaze.pitch_rad, *direction(own.position_m, place))
            evidence = {i: value * dt / _LOOK_S for i, value in evidence.items()}
        floor = self._speaker.of.get(track.person_id, 0.0)
        stay_s = 1.0 / (floor / _ADDRESSED_S + (1.0 - floor) / _LISTENED_S)
        own.addresses.follow((ROBOT, *others), dt, stay_s, evidence)


def direction(eyes: FloatArray, place: FloatArray) -> tuple[float, float]:
    """Yaw and pitch (rad) of `place` as the eyes at `eyes` see it, in the axes of `Gaze`: 0, 0 is the camera; yaw is
    positive to their own left, pitch positive down. Both in the camera's optical frame, metres.
    """
    ahead = -np.asarray(eyes, dtype=np.float64)
    ahead /= float(np.linalg.norm(ahead)) or 1.0
    left = np.cross(ahead, (0.0, 1.0, 0.0))
    left /= float(np.linalg.norm(left)) or 1.0
    down = np.cross(left, ahead)
    to = np.asarray(place, dtype=np.float64) - eyes
    x, y, z = float(to @ left), float(to @ down), float(to @ ahead)
    return math.atan2(x, z), math.atan2(y, math.hypot(x, z))


def _looks(yaw: float, pitch: float, to_yaw: float, to_pitch: float) -> float:
    """Logarithm of the likelihood of a line of sight of someone who addresses what lies in a direction (rad)."""
    yaw, to_yaw = (min(max(v, -_FARTHEST_LOOK_RAD), _FARTHEST_LOOK_RAD) for v in (yaw, to_yaw))
    off = ((yaw - to_yaw) / _LOOK_YAW_RAD) ** 2 + ((pitch - to_pitch) / _LOOK_PITCH_RAD) ** 2
    return math.log(math.exp(-0.5 * off) + _ELSEWHERE)
