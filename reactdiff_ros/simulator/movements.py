"""What a simulated listener does: smiles and laughs, nods and sway, gestures of the face, gaze and blinks.

Each part is a state machine over N listeners that steps frame by frame. Sizes, rates and times: docs/simulator.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, HEAD_ROLL, INDEX
from reactdiff_ros.model.diffusion.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

from .motion import STEP, BoolArray, Envelopes, Noise, Onsets, Oscillators, Range, lognormal, rate_of
from .stimulus import EMOTIONS, Sensed
from .temperament import Temperament

OWN, ANSWER, LAUGH = range(3)
LEVELS: Final = np.array([0.10, 0.24, 0.40, 0.58], dtype=np.float32)[:, None]
"""Rises of the speaker's smile at which a listener may decide to answer: the larger, the likelier."""
_LEVEL_CHANCE: Final = np.array([0.0, 0.40, 0.72, 1.0, 1.2], dtype=np.float32)
_BASELINE: Final = rate_of(3.0)
_SOFT: Final = np.float32(0.06)
_FAINT: Final = np.float32(0.02)
_TOP: Final = np.float32(0.2)


def answer_chance(who: Temperament) -> FloatArray:
    """Probability (N,) that a listener answers a clear, sincere smile."""
    attitude, responsive = who.control("attitude"), who.control("responsiveness")
    warm, cool = np.maximum(attitude, 0), np.maximum(-attitude, 0)
    logit = -2.35 + 4.6 * responsive - 1.0 * responsive**2 + warm * (0.7 + 1.3 * responsive)
    logit = logit - cool * (1.3 + 1.9 * responsive) + 0.4 * who.trait("answering") * (1 - responsive)
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float32)


class Smiling:
    """Steps the smiles and laughs of N listeners: a mood, smiles of their own, answers and anticipations.

    The reference's calls show two things at once: the level of two people's smiles goes together weakly and over
    seconds (correlation .22 at once, .13 at 3 s), and a clear smile is answered within 0.3 to 1.5 s a little more often
    than chance. The first is the mood, the second the answers. How slow the mood is and how much it flutters was fitted
    to the smiles of six pairs of the calls, as `evaluate people` compares them.
    """

    def __init__(self, who: Temperament, root: np.random.SeedSequence, smile: FloatArray) -> None:
        count = len(who)
        self._noise = Noise(root, 1, count)
        attitude, responsive = who.control("attitude"), who.control("responsiveness")
        smiling, trait = who.control("smiling"), who.trait
        self._chance = answer_chance(who)
        self._base = 0.07 + 0.15 * smiling + 0.07 * attitude + 0.08 * trait("smile_base")
        spread = np.exp(0.25 * trait("smile_spread") + 0.15 * smiling)
        self._slow, self._mid = 0.19 * spread, 0.09 * spread
        self._pull = (0.36 + 0.10 * responsive) * np.clip(1 + 0.6 * attitude, 0.3, 2) * np.exp(0.3 * trait("warmth"))
        self._own_rate = 3.0 * np.exp(0.35 * trait("smile_base") + 0.6 * smiling + 0.3 * attitude) / 60
        self._size = np.exp(0.22 * trait("smile_size") + 0.15 * smiling) * (1 + 0.2 * attitude)
        self._pace = np.exp(-0.2 * trait("smile_pace"))
        self._answer_size = 0.75 + 0.2 * responsive
        self._follow = np.clip(0.55 + 0.15 * trait("follows"), 0.1, 0.95)
        laugh = 0.17 + 0.75 * responsive + 0.12 * attitude + 0.05 * trait("laughing")
        self._laugh_chance = np.clip(laugh, 0.02, 0.9) * np.where(attitude < 0, 1 + 0.8 * attitude, 1)
        self._laugh_rate = 0.5 * np.exp(0.5 * trait("laughing") + 0.8 * smiling) / 60
        self._moods = Oscillators(np.array([9.0, 0.7, 0.25]), np.array([0.4, 0.2, 0.08]), self._noise.normal(3))
        self._moves = Envelopes(3, count)
        self._under = smile.copy()
        self._stage = np.zeros(count, dtype=np.int64)
        self._peak = np.zeros(count, dtype=np.float32)
        self._clock = np.zeros(count, dtype=np.float32)
        self._primed = np.zeros(count, dtype=np.float32)
        self._done = np.zeros(count, dtype=bool)
        self._follows = np.zeros(count, dtype=bool)

    def step(self, s: Sensed) -> tuple[FloatArray, FloatArray, BoolArray]:
        """The next frame: smile and laugh (N,), and where an answer was decided on."""
        u, g = self._noise.uniform(8), self._noise.normal(10)
        mood = self._mood(s, self._moods.step(g[:3]))
        lag = lognormal(g[3], 0.42, 0.42)
        times = np.stack([lognormal(g[4], 0.55, 0.25), lognormal(g[5], 0.85, 0.85), lognormal(g[6], 0.85, 0.35)])
        times = times * np.stack([self._pace, np.ones_like(self._pace), self._pace])
        answers = self._answers(s, u, lag, times, g[7])
        self._laughs(s, u, g)
        self._own(s, u, times, g[8])
        moves = self._moves.step()
        smile = 1 - (1 - mood) * (1 - moves[OWN]) * (1 - moves[ANSWER]) * (1 - 0.85 * moves[LAUGH])
        swell = 1 + 0.1 * self._flutter
        return np.minimum(s.attend * smile * swell, 1), s.attend * moves[LAUGH], answers

    def _mood(self, s: Sensed, motion: FloatArray) -> FloatArray:
        self._flutter = motion[2]
        level = self._base + self._slow * motion[0] + self._mid * motion[1] + 0.03 * motion[2] + self._pull * s.affect
        self._level = level
        soft = _SOFT * np.logaddexp(0, level / _SOFT)
        return np.asarray(np.minimum(0.75 * np.tanh(soft / 0.75), 0.95), dtype=np.float32)

    def _answers(self, s: Sensed, u: FloatArray, lag: FloatArray, times: FloatArray, size: FloatArray) -> BoolArray:
        under = self._under + _BASELINE * (s.smile - self._under)
        self._under = np.minimum(s.smile, under)
        lift = s.smile - self._under
        over = lift < 0.05
        self._stage[over], self._done[over], self._peak[over], self._clock[over] = 0, False, 0.0, 0.0
        self._clock += STEP * (lift > 0.05)
        self._peak = np.maximum(self._peak, s.smile * (lift > 0.05))
        stage = np.maximum((lift >= LEVELS).sum(0), self._stage)
        rises = (stage > self._stage) & ~self._done
        sincere = 0.3 + 0.7 * s.sincerity
        chance = np.minimum(self._chance * sincere, 0.98)
        before = np.minimum(chance * _LEVEL_CHANCE[self._stage], 0.985)
        after = np.minimum(chance * _LEVEL_CHANCE[stage], 0.985)
        primed = self._primed > 0
        answered = rises & (u[0] < np.where(primed, 0.85, (after - before) / (1 - before)))
        self._stage = stage
        self._done |= answered
        self._primed = np.maximum(self._primed - STEP, 0)
        wait = np.where(primed, 0.3 * lag, np.maximum(lag - self._clock, 0.08))
        height = self._size * self._answer_size * (0.25 + 0.75 * np.maximum(self._peak, s.smile))
        height = np.clip(height * np.exp(0.2 * size), 0.14, 0.9)
        held = self._moves.value[ANSWER]
        self._follows = np.where(answered, u[1] < self._follow, self._follows)
        # Who follows the other's end holds on until it comes.
        times = times * np.stack([np.ones_like(lag), 1 + 6 * self._follows, np.ones_like(lag)])
        self._ask(ANSWER, answered, wait, np.maximum(height, np.minimum(held + 0.15, 0.9)), times)
        # The smile that is answered may still have grown while the answer waited.
        grows = self._done & (self._stage > 0)
        self._moves.resize(self._row(ANSWER, grows), np.clip(height, 0.14, 0.9))
        ends = self._follows & (s.smile < 0.5 * self._peak) & (lift < 0.3)
        self._moves.cut(self._row(ANSWER, ends), np.float32(0.3))
        foreseen = s.onsets["brighten"] & (u[2] < 0.75 * self._chance * (0.5 + 0.5 * s.sincerity)) & (lift < 0.1)
        small = np.clip(0.26 * self._size * np.exp(0.3 * size), 0.14, 0.45)
        self._follows &= ~foreseen
        self._ask(ANSWER, foreseen, 0.12 + 0.45 * u[3], np.maximum(small, held), times * np.float32(0.8))
        self._primed = np.where(foreseen, np.float32(1.5), self._primed)
        return np.asarray(answered | foreseen)

    def _laughs(self, s: Sensed, u: FloatArray, g: FloatArray) -> None:
        own = self._laugh_rate * STEP * s.talk * (1 + 4 * np.clip(s.affect, 0, 1))
        joins = (s.onsets["laugh"] & (u[4] < self._laugh_chance)) | (u[5] < own)
        joins &= ~self._moves.busy[LAUGH]
        size = np.clip(0.7 * np.exp(0.25 * g[9]), 0.4, 0.95)
        times = np.stack([0.25 + 0.2 * u[6], lognormal(g[5], 0.9, 0.5), 0.6 + 0.6 * u[7]])
        self._ask(LAUGH, joins, lognormal(g[3], 0.3, 0.5), size, times)

    def _own(self, s: Sensed, u: FloatArray, times: FloatArray, size: FloatArray) -> None:
        drive = np.exp(np.clip(3.0 * (self._level - self._base), -1.5, 1.5))
        begins = (u[7] < self._own_rate * STEP * s.attend * drive) & ~self._moves.busy[OWN]
        height = np.clip(0.34 * self._size * np.exp(0.35 * size), 0.1, 0.8)
        self._ask(OWN, begins, np.float32(0.04), height, times)

    def _row(self, row: int, where: BoolArray) -> BoolArray:
        out: BoolArray = np.zeros((3, len(where)), dtype=bool)
        out[row] = where
        return out

    def _ask(
        self, row: int, where: BoolArray, wait: FloatArray | np.float32, size: FloatArray, times: FloatArray
    ) -> None:
        if where.any():
            rise, hold, fall = times
            self._moves.request(self._row(row, where), np.asarray(wait, dtype=np.float32), size, rise, hold, fall)


class Cheeking:
    """Steps the cheeks of N listeners: they go along with the smile, in some people and at some times more than in
    others, and rise a little without one. Fitted to AU06 of the same six pairs, in which it hardly ever reaches 1.
    """

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        self._noise = Noise(root, 7, len(who))
        self._share = np.clip(0.75 + 0.22 * who.trait("cheeks"), 0.15, 1.3).astype(np.float32)
        self._drifts = Oscillators(np.array([4.0, 6.0, 0.25]), np.array([0.4, 0.4, 0.08]), self._noise.normal(3))

    def step(self, s: Sensed, smile: FloatArray) -> FloatArray:
        """The next frame of cheekSquint (N,), without sneers."""
        varies, own, flutter = self._drifts.step(self._noise.normal(3))
        along = self._share * np.exp(0.3 * varies) * smile * (0.75 + 0.5 * smile)
        level = along - 0.03 + 0.08 * own + 0.03 * flutter
        soft = _FAINT * np.logaddexp(0, level / _FAINT)
        return np.asarray(s.attend * (1 - _TOP * np.logaddexp(0, (1 - soft) / _TOP)), dtype=np.float32)


_PEAKS: Final = np.cumsum(np.array([400, 148, 80, 40, 68]) / 736.0).astype(np.float32)[:, None]
_SIZE_DEG: Final = 4.8
_SIZE_SIGMA: Final = 0.35
_RATE_HZ: Final = 1.6
REST_S: Final = 1.0
"""No new nod so soon after the last one, but for a cue."""

# Heads move in shifts from one pose to the next more than they swing: with these standard deviations in degrees of
# pitch, yaw and roll, and the nods, the bands 0.2-0.5, 0.5-1, 1-2 and 2-3.5 Hz hold about what listeners show (pitch
# 1.5 / 1.3 / .9 / .6 degrees rms, yaw 1.2 / 1.0 / .6 / .4, the tracker's noise included). Noise of the same power
# without shifts would look like twenty nods a minute; people have 3 to 5.
_SHIFT_DEG: Final = np.array([3.0, 2.6, 1.9], dtype=np.float32)
_SWAY_DEG: Final = np.array([0.8, 0.7, 0.5], dtype=np.float32)
_SHIFTS: Final = np.float32(1.1 * FRAME_S)
_SHIFT_GAP_S: Final = 0.5
_SHIFT_RATE: Final = rate_of(0.11)
_POSTURE_DEG: Final = np.array([1.8, 2.6, 1.7], dtype=np.float32)
# How far the head follows the conversation (chosen; Hale et al. 2020 found that a dyad's heads go together at 0.2 to
# 1.1 Hz with a lag of 600 ms): it sinks while the other speaks, turns aside when the other looks away, and tilts with
# the other's smile. Which side is the person's own.
_HEED_DEG: Final = np.array([2.8, 4.0, 4.0], dtype=np.float32)
_HEED_RATE: Final = rate_of(0.6)
_SHIFT_M: Final = np.array([0.008, 0.005, 0.012], dtype=np.float32)


class Nodding:
    """Steps the nods of N listeners.

    Shape: the first cycle is larger the more cycles follow, then the amplitude declines and the last cycle lies below
    the trend (Mori, Den and Jokinen 2025). Number of peaks: 1 / 2 / 3 / 4 / 5 in 2264 annotated nods as 400 / 148 /
    80 / 40 / 68 (those without a peak counted as one). Peak to peak 4.1 / 5.2 / 7.1 degrees (quartiles), 1.2 to 2.1 Hz.
    """

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        count = len(who)
        self._noise = Noise(root, 2, count)
        nodding, responsive = who.control("nodding"), who.control("responsiveness")
        attitude = who.control("attitude")
        self._drive = np.exp(1.05 * nodding + 0.45 * who.trait("nod_rate") + 0.3 * attitude)
        # Without any responsiveness they nod 3 times a minute of the other's talk, as people do (docs/simulator.md).
        self._responsive = 1.5 + 5 * responsive
        self._size = np.radians(_SIZE_DEG * np.exp(0.2 * who.trait("nod_size") + 0.2 * who.control("liveliness")))
        self._pace = _RATE_HZ * np.exp(0.1 * who.trait("nod_pace"))
        self._wait = np.full(count, np.inf, dtype=np.float32)
        self._rest = np.zeros(count, dtype=np.float32)
        self._phase = np.zeros(count, dtype=np.float32)
        self._cycles = np.zeros(count, dtype=np.float32)
        self._hz = np.ones(count, dtype=np.float32)
        self._top = np.zeros(count, dtype=np.float32)

    def step(self, s: Sensed) -> tuple[FloatArray, BoolArray]:
        """The next frame: dip of the head (N,) rad, and where a nod begins."""
        u, g = self._noise.uniform(7), self._noise.normal(3)
        drive = self._drive
        cue = s.onsets["cue"] & (u[0] < 1 - np.exp(-0.26 * drive * self._responsive))
        ends = s.onsets["phrase_end"] & (u[1] < 1 - np.exp(-(0.12 - 0.07 * s.held) * drive * self._responsive))
        back = s.onsets["nod"] & (u[2] < 1 - np.exp(-0.06 * drive * self._responsive))
        own = u[3] < STEP * drive * (0.7 * s.talk * s.speech + 0.2 * s.attend) / 60
        free = (self._cycles == 0) & np.isinf(self._wait)
        asked = (cue | ((ends | back | own) & (self._rest <= 0))) & free
        wait = np.clip(lognormal(g[0], 0.36, 0.35), 0.12, 0.75)
        self._wait = np.where(asked, wait, self._wait - STEP).astype(np.float32)
        begins = self._wait <= 0
        if begins.any():
            peaks = 1 + (u[4] > _PEAKS[:-1]).sum(0)
            self._cycles = np.where(begins, peaks, self._cycles).astype(np.float32)
            self._hz = np.where(begins, np.clip(lognormal(g[1], self._pace, 0.14), 1.0, 2.6), self._hz)
            size = np.clip(lognormal(g[2], self._size, _SIZE_SIGMA), np.radians(1.5), np.radians(12.0))
            self._top = np.where(begins, size * (0.94 + 0.07 * peaks), self._top).astype(np.float32)
            self._phase[begins] = 0.0
            self._wait[begins] = np.inf
        on = self._cycles > 0
        self._phase += STEP * self._hz * on
        over = on & (self._phase >= self._cycles)
        self._cycles[over] = 0.0
        self._rest = np.where(over, REST_S, self._rest - STEP).astype(np.float32)
        on = on & ~over
        return np.asarray(self._dip() * s.attend * on, dtype=np.float32), begins

    def _dip(self) -> FloatArray:
        cycle = np.floor(self._phase)
        last = (cycle >= self._cycles - 1) & (self._cycles > 1)
        trend = np.exp(-0.28 * cycle) * np.where(last, 0.75, 1.0)
        return np.asarray(self._top * trend * 0.5 * (1 - np.cos(2 * np.pi * self._phase)), dtype=np.float32)


class Swaying:
    """Steps the head's rotation and translation of N listeners without nods and tilts."""

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        self._noise = Noise(root, 3, len(who))
        lively = np.exp(0.6 * who.control("liveliness") + 0.18 * who.trait("sway"))
        self._sway = np.radians(_SWAY_DEG)[:, None] * lively
        self._shifts = np.radians(_SHIFT_DEG)[:, None] * lively
        self._posture = np.radians(_POSTURE_DEG)[:, None] * np.sqrt(lively)
        self._shift = _SHIFT_M[:, None] * np.sqrt(lively)
        self._lean = np.float32(0.012) * np.sqrt(lively)
        tau, smooth = np.repeat([0.4, 5.0, 2.0], 3), np.repeat([0.08, 0.6, 0.3], 3)
        self._processes = Oscillators(tau, smooth, self._noise.normal(9))
        self._aim = self._noise.normal(3)
        self._near_aim, self._pose = self._aim.copy(), self._aim.copy()
        self._still = np.zeros_like(self._aim)
        self._near = np.zeros(len(who), dtype=np.float32)
        side = np.stack([np.ones(len(who)), np.sign(who.trait("gaze_pace")), np.sign(who.trait("side"))])
        warmth = np.exp(0.3 * who.trait("warmth") + 0.4 * who.control("responsiveness"))
        self._heed = np.radians(_HEED_DEG)[:, None] * side * warmth
        self._heeded = np.zeros((3, len(who)), dtype=np.float32)
        self._down = np.zeros(len(who), dtype=np.float32)

    def step(self, s: Sensed) -> FloatArray:
        """(6, N): pitch, yaw, roll in rad, x, y, z in m, the next frame."""
        motion = self._processes.step(self._noise.normal(9))
        calm = 0.45 + 0.55 * s.attend
        rotation = calm * (self._shifts * self._shift_pose() + self._sway * motion[0:3] + self._posture * motion[3:6])
        # Listeners come a little nearer to who speaks and sink a little with who is sad.
        self._near = self._near + np.float32(0.02) * (s.talk - self._near)
        self._down = self._down + np.float32(0.02) * (s.sad * s.attend - self._down)
        follows = np.stack([s.talk * (s.speech - 0.4), s.sight * (0.5 - s.contact), s.smile - 0.15])
        self._heeded = self._heeded + _HEED_RATE * (follows * s.attend - self._heeded)
        rotation += self._heed * self._heeded
        rotation[0] += 0.06 * self._down - 0.02 * self._near
        shift = calm * self._shift * motion[6:9]
        shift[2] += self._lean * self._near
        return np.asarray(np.concatenate([rotation, shift]), dtype=np.float32)

    def _shift_pose(self) -> FloatArray:
        """Rotations (3, N) of about unit variance that go to a new pose now and then, each axis on its own."""
        u, g = self._noise.uniform(3), self._noise.normal(6)
        self._still += STEP
        goes = (u < _SHIFTS) & (self._still > _SHIFT_GAP_S)
        self._still[goes] = 0.0
        self._aim = np.where(goes, 0.3 * self._aim + 0.8 * g[:3] * np.exp(0.4 * g[3:]), self._aim)
        self._near_aim = self._near_aim + _SHIFT_RATE * (self._aim - self._near_aim)
        self._pose = self._pose + _SHIFT_RATE * (self._near_aim - self._pose)
        return self._pose


@dataclass(frozen=True, slots=True)
class Kind:
    """A movement: own onsets a minute, size (low, high), and seconds of rise, hold (median, sigma) and fall."""

    rate: float
    size: tuple[float, float]
    rise: tuple[float, float]
    hold: tuple[float, float]
    fall: tuple[float, float]


KINDS: Final = {
    "brow": Kind(1.5, (0.2, 0.65), (0.2, 0.4), (0.6, 0.5), (0.3, 0.6)),
    "puzzled": Kind(0.3, (0.25, 0.7), (0.3, 0.6), (1.0, 0.5), (0.5, 0.9)),
    "concern": Kind(0.15, (0.25, 0.7), (0.4, 0.8), (1.8, 0.5), (0.6, 1.2)),
    "sceptic": Kind(0.1, (0.3, 0.7), (0.4, 0.8), (1.6, 0.5), (0.5, 1.0)),
    "press": Kind(2.0, (0.2, 0.7), (0.2, 0.4), (0.5, 0.6), (0.3, 0.5)),
    "dimple": Kind(2.2, (0.15, 0.6), (0.2, 0.45), (0.6, 0.6), (0.3, 0.6)),
    "tilt": Kind(1.6, (0.04, 0.12), (0.5, 1.0), (2.0, 0.6), (0.6, 1.2)),
    "lips": Kind(1.5, (0.08, 0.3), (0.12, 0.2), (0.15, 0.5), (0.15, 0.3)),
    "chin": Kind(0.8, (0.2, 0.6), (0.3, 0.5), (0.5, 0.5), (0.4, 0.7)),
    "roll": Kind(0.8, (0.2, 0.7), (0.2, 0.4), (0.5, 0.6), (0.3, 0.5)),
    "squint": Kind(1.0, (0.1, 0.4), (0.3, 0.6), (1.0, 0.6), (0.4, 0.8)),
    "sneer": Kind(0.3, (0.15, 0.4), (0.2, 0.4), (0.4, 0.5), (0.3, 0.5)),
}
NAMES: Final = tuple(KINDS)
ROW: Final = {name: i for i, name in enumerate(NAMES)}
_RATE: Final = np.array([k.rate for k in KINDS.values()], dtype=np.float32)[:, None] / 60


_SIZE, _RISE, _HOLD, _FALL = (
    np.array([getattr(kind, part) for kind in KINDS.values()], dtype=np.float32).T[..., None]
    for part in ("size", "rise", "hold", "fall")
)
"""(2, movements, 1) each."""
_LAG: Final = 0.5
_RHYTHM: Final = np.float32(3.0)
"""How much likelier a movement of one's own is just after the end of a phrase."""


class Gesturing:
    """Steps brows, doubt, concern, lips and tilts of N listeners: movements of their own and answers.

    Rates a minute of people on video calls: brow raises 1.7 to 2.5 (1.1 s long), lip press 2.3 to 2.6, dimpler 2.5 to
    2.9; brow lowering .5, and frowns are hardly mirrored. Movements follow the conversation's rhythm: more of them just
    after a phrase has ended.
    """

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        count, rows = len(who), len(NAMES)
        self._noise = Noise(root, 4, count)
        self._moves = Envelopes(rows, count)
        attitude, lively = who.control("attitude"), who.control("liveliness")
        responsive = who.control("responsiveness")
        cool = np.maximum(-attitude, 0)
        factor = np.ones((rows, count), dtype=np.float32)
        for name, trait, spread in (
            ("brow", "brow_rate", 0.7), ("press", "press_rate", 0.5), ("dimple", "dimple_rate", 0.5),
            ("tilt", "tilt_rate", 0.4), ("lips", "lips_rate", 0.5), ("chin", "chin_rate", 0.5),
            ("roll", "press_rate", 0.5), ("squint", "lids", 0.4),
        ):  # fmt: skip
            factor[ROW[name]] = np.exp(spread * who.trait(trait))
        factor[ROW["brow"]] *= np.exp(0.8 * lively)
        factor[ROW["tilt"]] *= np.exp(0.6 * lively)
        factor[ROW["sceptic"]] *= 1 + 45 * cool
        factor[ROW["press"]] *= 1 + cool
        factor[ROW["sneer"]] *= 1 + 3 * cool
        self._own = factor * _RATE * STEP
        size = np.ones((rows, count), dtype=np.float32)
        for name in ("brow", "tilt"):
            size[ROW[name]] = np.exp(0.35 * lively)
        for name in ("puzzled", "concern", "chin"):
            size[ROW[name]] = np.exp(0.2 * lively)
        self._size = size
        more = 1 + 1.6 * responsive
        self._brow_chance = np.minimum(0.12 * more + 0.25 * responsive, 0.9)
        self._doubt_chance = np.minimum(0.34 * more, 0.9)
        self._frown_chance = 0.05 + 0.2 * responsive
        self._sad_chance = np.clip((0.4 + 0.3 * attitude) * more, 0.05, 0.95)
        self._cool = cool
        self.sign = np.where(who.trait("tilt_rate") > 0, 1.0, -1.0).astype(np.float32)

    def step(self, s: Sensed, nods: BoolArray, smiles: BoolArray) -> FloatArray:
        """(len(NAMES), N) activity, the next frame. `nods`, `smiles`: where one was begun or decided on now."""
        rows = len(NAMES)
        u, g = self._noise.uniform(3 * rows + 8), self._noise.normal(2 * rows)
        rhythm = (1 + _RHYTHM * s.phrase_end) / (1 + 0.25 * _RHYTHM)
        wanted = u[:rows] < self._own * (0.35 + 0.65 * s.talk) * s.attend * rhythm
        wait = np.full((rows, len(s.attend)), STEP, dtype=np.float32)
        more = u[3 * rows :]
        self._answer(wanted, wait, s, more, nods, smiles, np.clip(lognormal(g[rows:], _LAG, 0.35), 0.25, 1.0))
        wanted &= ~self._moves.busy
        if wanted.any():
            size = (_SIZE[0] + (_SIZE[1] - _SIZE[0]) * u[rows : 2 * rows]) * self._size
            share = u[2 * rows : 3 * rows]
            rise, fall = (x[0] + (x[1] - x[0]) * share for x in (_RISE, _FALL))
            hold = _HOLD[0] * np.exp(_HOLD[1] * g[:rows])
            self._moves.request(wanted, wait, size, rise, hold, fall)
            turns = wanted[ROW["tilt"]] & (more[7] < 0.25) & (self._moves.value[ROW["tilt"]] < 0.01)
            self.sign = np.where(turns, -self.sign, self.sign)
        return self._moves.step() * s.attend

    def _answer(
        self,
        wanted: BoolArray,
        wait: FloatArray,
        s: Sensed,
        u: FloatArray,
        nods: BoolArray,
        smiles: BoolArray,
        lag: FloatArray,
    ) -> None:
        def add(name: str, where: BoolArray, later: bool = True) -> None:
            row = ROW[name]
            wanted[row] |= where
            if later:
                wait[row] = np.where(where, lag[row], wait[row])

        doubts = s.onsets["doubt"] & (u[1] < self._doubt_chance)
        puzzled = doubts | (s.onsets["frown"] & (u[1] < self._frown_chance))
        saddened = s.onsets["sad"] & (u[2] < self._sad_chance)
        feedback = s.onsets["cue"] | s.onsets["phrase_end"]
        add("brow", s.onsets["brow_up"] & (u[0] < self._brow_chance))
        add("brow", feedback & (u[0] < 0.25 * self._brow_chance))
        add("puzzled", puzzled)
        add("concern", saddened)
        add("tilt", (puzzled | saddened) & (u[3] < 0.6))
        add("chin", (doubts | saddened) & (u[4] < 0.5))
        add("sceptic", (smiles | s.onsets["doubt"] | s.onsets["brighten"]) & (u[5] < 0.35 * self._cool))
        add("lips", nods & (u[6] < 0.45), later=False)


_FIXATION_DEG: Final = np.array([2.9, 2.0], dtype=np.float32)[:, None]
FULL_DEG: Final = 30.0
"""Rotation of the eye at which an eyeLook coefficient is 1."""
_SACCADE: Final = np.float32(0.75)
_CLOSING: Final = np.float32(0.09)
_OPENING: Final = np.float32(0.15)


class Gazing:
    """Steps the eyes of N listeners: gaze at the partner and away, fixations, and blinks.

    Listeners look at the partner 75 to 95 % of the time and away for 0.6 to 2 s; fixations last 155 / 211 / 311 ms with
    a spread of 2.9 x 2.0 degrees. Blinks: rate log-normal between people, 10.5 to 32.5 a minute in conversation; more
    at the partner's pauses and with large shifts of gaze; short ones 208 ms, a few of 607 ms.
    """

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        count = len(who)
        self._noise = Noise(root, 5, count)
        share = np.clip(0.83 + 0.05 * who.trait("gaze_share") + 0.03 * who.control("attitude"), 0.68, 0.93)
        self._away_s = np.exp(np.log(1.0) + 0.15 * who.trait("gaze_pace"))
        self._contact_s = 1.1 * self._away_s * share / (1 - share)
        self._blinks = 19.0 * np.exp(0.28 * who.trait("blink_rate")) / 60
        u = self._noise.uniform(2)
        self._away = u[0] > share
        self._left = np.where(self._away, self._away_s, self._contact_s * u[1]).astype(np.float32)
        self._fixation = np.zeros(count, dtype=np.float32)
        self._offset = np.zeros((2, count), dtype=np.float32)
        self._side = np.zeros((2, count), dtype=np.float32)
        self._eyes = np.zeros((2, count), dtype=np.float32)
        self._lid = np.full(count, 9.0, dtype=np.float32)
        self._shut = np.zeros(count, dtype=np.float32)

    def step(self, s: Sensed) -> tuple[FloatArray, FloatArray]:
        """The next frame: eyes (2, N), yaw to the own left and pitch down in degrees; lid closure."""
        u, g = self._noise.uniform(8), self._noise.normal(6)
        # A speaker who yields gets the eyes back; who holds the turn is left alone a little earlier.
        speed = np.where(self._away, 1 + 2 * s.phrase_end * (1 - s.held), 1 + 0.5 * s.held + 1.5 * (1 - s.attend))
        self._left -= STEP * speed
        changes = self._left <= 0
        if changes.any():
            self._away ^= changes
            away = np.clip(lognormal(g[0], self._away_s, 0.45), 0.4, 3.0)
            contact = np.maximum(lognormal(g[0], 0.7 * self._contact_s, 0.85), 0.5)
            self._left = np.where(changes, np.where(self._away, away, contact), self._left).astype(np.float32)
            turn = np.stack([np.where(u[0] < 0.5, -1, 1) * (7 + 11 * u[1]), np.where(u[2] < 0.65, 1, -1) * 9 * u[3]])
            self._side = np.where(changes, np.where(self._away, turn, 0.0), self._side).astype(np.float32)
        self._fixation -= STEP
        moves = changes | (self._fixation <= 0)
        self._fixation = np.where(moves, np.clip(lognormal(g[1], 0.24, 0.5), 0.1, 1.5), self._fixation)
        self._offset = np.where(moves, _FIXATION_DEG * np.clip(g[2:4], -2, 2), self._offset)
        self._eyes = (self._eyes + _SACCADE * (self._side + self._offset - self._eyes)).astype(np.float32)
        return self._eyes, self._blink(s, u, changes)

    def _blink(self, s: Sensed, u: FloatArray, changes: BoolArray) -> FloatArray:
        rate = self._blinks * (0.85 + 1.6 * s.phrase_end * s.talk) * (0.7 + 0.3 * s.attend) * STEP
        rested = self._lid > 0.7
        begins = rested & ((u[4] < rate) | (changes & (u[5] < 0.25)))
        self._lid = np.where(begins, np.float32(0.0), self._lid + STEP)
        self._shut = np.where(begins, np.where(u[6] < 0.05, 0.25 + 0.3 * u[7], 0.03), self._shut).astype(np.float32)
        closing = np.clip((self._lid + STEP) / _CLOSING, 0, 1)
        opening = np.clip((self._lid - _CLOSING - self._shut) / _OPENING, 0, 1)
        return np.asarray(closing * (1 - opening), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Answer:
    """How an emotion is answered: by how many, how strongly, how late, and what the face then shows."""

    chance: float
    size: Range
    lag_s: Range
    """From the onset to the first movement; one sees it about 0.2 s later."""
    fade_s: float
    look: dict[str, float]
    """"lead:", "other:": the one side and the other, which differs between people."""
    tilt_rad: float = 0.0
    still: float = 0.0
    """How much less head and eyes move."""
    hush: float = 0.0
    """How much less all smile, also those who do not answer."""


ANSWERS: Final = {
    "anger": Answer(
        0.80, (0.6, 1.0), (0.3, 0.7), 2.0,
        {"browInnerUp": 0.40, "browDown": 0.10, "mouthFrown": 0.25, "mouthPress": 0.15}, 0.03, 0.5, 1.0,
    ),
    "distress": Answer(
        0.85, (0.6, 1.0), (0.2, 0.7), 2.5,
        {"browInnerUp": 0.65, "browDown": 0.10, "mouthFrown": 0.30, "mouthPress": 0.15}, 0.09, 0.4, 1.0,
    ),
    "surprise": Answer(
        0.75, (0.6, 1.0), (0.1, 0.5), 1.0,
        {"browInnerUp": 0.65, "browOuterUp": 0.65, "eyeWide": 0.40, "jawOpen": 0.15},
    ),
    "unsure": Answer(
        0.60, (0.6, 1.0), (0.2, 0.7), 1.2,
        {"lead:browOuterUp": 0.55, "other:browDown": 0.30, "mouthPress": 0.40}, 0.03,
    ),
    "ambivalence": Answer(
        0.75, (0.6, 1.0), (0.2, 0.7), 1.5,
        {"browInnerUp": 0.40, "browOuterUp": 0.10, "mouthPress": 0.10}, 0.09, 0.3, 0.75,
    ),
}  # fmt: skip
_EMOTION: Final = 0.3
_COMES: Final = rate_of(0.25)
_GOES: Final = rate_of(np.array([a.fade_s for a in ANSWERS.values()]))[:, None]
_HUSH, _CHEER = rate_of(0.4), rate_of(3.0)
"""How fast a smile is held back, and how fast that passes."""


def _of(name: str) -> FloatArray:
    return np.array([getattr(ANSWERS[emotion], name) for emotion in EMOTIONS], dtype=np.float32)


class Empathy:
    """Steps the answers of N listeners to a speaker's emotions.

    Whether one is answered, how strongly and when is drawn as it begins; then the answer holds while it is seen and
    fades slowly. Smiles are held back by all, most by warm people.
    """

    def __init__(self, who: Temperament, root: np.random.SeedSequence) -> None:
        count, none = len(who), np.zeros((len(EMOTIONS), len(who)), dtype=np.float32)
        self._noise, self._more = Noise(root, 6, count), Noise(root, 8, count)
        warm = 0.06 * who.trait("warmth") + 0.15 * who.control("attitude") + 0.2 * who.control("responsiveness")
        self._chance = np.clip(_of("chance")[:, None] + warm, 0.05, 0.97)
        self._strength = np.exp(0.2 * who.trait("warmth") + 0.25 * who.control("liveliness"))
        self._holds = np.clip(0.9 + 0.05 * who.trait("warmth"), 0.8, 1.0).astype(np.float32)
        self._onsets = Onsets(np.full(len(EMOTIONS), _EMOTION, dtype=np.float32), none)
        self._size, self._wait, self._near, self._level = none, none, none, none
        self._hush = np.zeros(count, dtype=np.float32)
        sides = [who.trait("side" if name == "ambivalence" else "tilt_rate") for name in EMOTIONS]
        self._sign = np.where(np.stack(sides) > 0, 1.0, -1.0).astype(np.float32)
        left, right = (_faces(sides)[..., None] for sides in (_SIDES, _SIDES[::-1]))
        self._faces = np.where(who.trait("side") > 0, left, right)

    def step(self, s: Sensed) -> None:
        """The next frame."""
        first = len(EMOTIONS) - 1  # the last one came later, and leaves the others' noise as it was
        parts = ((self._noise, first), (self._more, 1))
        u = np.concatenate([noise.uniform(3 * n).reshape(3, n, -1) for noise, n in parts], axis=1)
        begins = self._onsets.step(s.emotions)
        (low, high), (soon, late) = _of("size").T[..., None], _of("lag_s").T[..., None]
        drawn = (u[0] < self._chance) * np.minimum((low + (high - low) * u[1]) * self._strength, 1.2)
        self._size = np.where(begins, drawn, self._size).astype(np.float32)
        self._wait = np.where(begins, soon + (late - soon) * u[2], self._wait - STEP).astype(np.float32)
        wanted = self._size * np.minimum(1.25 * s.emotions, 1) * (self._wait <= 0)
        # Two filters in series, so that it starts smoothly; an answer that has come ends by its own slow one.
        self._near = self._near + np.where(wanted > self._near, _COMES, np.float32(1)) * (wanted - self._near)
        self._level = self._level + np.where(self._near > self._level, _COMES, _GOES) * (self._near - self._level)
        grave = (np.minimum(s.emotions / _EMOTION, 1) * _of("hush")[:, None]).max(0) * self._holds
        self._hush = self._hush + np.where(grave > self._hush, _HUSH, _CHEER) * (grave - self._hush)

    @property
    def kept(self) -> FloatArray:
        """(N,) the share of a smile that is shown."""
        return 1 - self._hush

    @property
    def calm(self) -> FloatArray:
        """(N,) the share of the motion of head and eyes that is left."""
        return np.asarray(1 - (_of("still")[:, None] * np.minimum(self._level, 1)).max(0))

    def show(self, face: FloatArray) -> None:
        """Adds the answers to faces (58, N), in place."""
        shapes = face[:BLENDSHAPE_COUNT]
        np.minimum(np.maximum(shapes, (self._faces * self._level[:, None]).max(0)), 1, out=shapes)
        face[HEAD_ROLL] += (self._sign * _of("tilt_rad")[:, None] * self._level).sum(0)


_SIDES: Final = ("Left", "Right")


def _faces(sides: Sequence[str]) -> FloatArray:
    """(emotions, 52): the looks of ANSWERS; `sides`: the leading one first."""
    faces = np.zeros((len(EMOTIONS), BLENDSHAPE_COUNT), dtype=np.float32)
    for row, emotion in zip(faces, EMOTIONS, strict=True):
        for name, size in ANSWERS[emotion].look.items():
            side, _, stem = name.rpartition(":")
            both = {"lead": sides[:1], "other": sides[1:]}.get(side, sides)
            row[[INDEX[stem]] if stem in INDEX else [INDEX[f"{stem}{s}"] for s in both]] = size
    return faces
