"""Smiles and laughs of a simulated listener: a mood, smiles of its own, answers and anticipations.

The reference's calls show two things at once: the level of two people's smiles goes together weakly and over seconds
(correlation .22 at once, .13 at 3 s), and a clear smile is answered within 0.3 to 1.5 s a little more often than
chance. The first is the mood here, the second the answers. Sizes and times are in `docs/simulator.md`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.types import FloatArray

from .dynamics import STEP, Envelopes, Noise, Oscillators, lognormal, rate_of
from .motion import BoolArray
from .senses import Sensed
from .temperament import Temperament

OWN, ANSWER, LAUGH = range(3)
LEVELS: Final = np.array([0.10, 0.24, 0.40, 0.58], dtype=np.float32)[:, None]
"""Rises of the speaker's smile at which a listener may decide to answer: the larger, the likelier."""
_LEVEL_CHANCE: Final = np.array([0.0, 0.40, 0.72, 1.0, 1.2], dtype=np.float32)
_BASELINE: Final = rate_of(3.0)
_SOFT: Final = np.float32(0.06)


def answer_chance(who: Temperament) -> FloatArray:
    """Probability (N,) that a listener answers a clear, sincere smile."""
    attitude, responsive = who.control("attitude"), who.control("responsiveness")
    warm, cool = np.maximum(attitude, 0), np.maximum(-attitude, 0)
    logit = -2.35 + 4.6 * responsive - 1.0 * responsive**2 + warm * (0.7 + 1.3 * responsive)
    logit = logit - cool * (1.3 + 1.9 * responsive) + 0.4 * who.trait("answering") * (1 - responsive)
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float32)


class Smiling:
    """Steps the smiles of N listeners."""

    def __init__(self, who: Temperament, root: np.random.SeedSequence, smile: FloatArray) -> None:
        count = len(who)
        self._noise = Noise(root, 1, count)
        attitude, responsive = who.control("attitude"), who.control("responsiveness")
        smiling, trait = who.control("smiling"), who.trait
        self._chance = answer_chance(who)
        self._base = 0.05 + 0.15 * smiling + 0.07 * attitude + 0.08 * trait("smile_base")
        spread = np.exp(0.25 * trait("smile_spread") + 0.15 * smiling)
        self._slow, self._mid = 0.14 * spread, 0.14 * spread
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

    def step(self, s: Sensed) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
        """The next frame: smile, laugh and swell (N,), and where an answer was decided on."""
        u, g = self._noise.uniform(8), self._noise.normal(10)
        mood = self._mood(s, self._moods.step(g[:3]))
        lag = lognormal(g[3], 0.42, 0.42)
        times = np.stack([lognormal(g[4], 0.55, 0.25), lognormal(g[5], 0.85, 0.85), lognormal(g[6], 0.85, 0.35)])
        times = times * np.stack([self._pace, np.ones_like(self._pace), self._pace])
        answers = self._answers(s, u, lag, times, g[7])
        self._laughs(s, u, g)
        self._own(s, u, times, g[8], mood)
        moves = self._moves.step()
        smile = 1 - (1 - mood) * (1 - moves[OWN]) * (1 - moves[ANSWER]) * (1 - 0.85 * moves[LAUGH])
        swell = 1 + 0.08 * self._swell
        return np.minimum(s.attend * smile * swell, 1), s.attend * moves[LAUGH], mood, answers

    def _mood(self, s: Sensed, motion: FloatArray) -> FloatArray:
        self._swell = motion[2]
        level = self._base + self._slow * motion[0] + self._mid * motion[1] + self._pull * s.affect
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

    def _own(self, s: Sensed, u: FloatArray, times: FloatArray, size: FloatArray, mood: FloatArray) -> None:
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
