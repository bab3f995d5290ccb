"""Eyes of a simulated listener: gaze at the partner and away, fixations, and blinks.

Listeners look at the partner 75 to 95 % of the time and away for 0.6 to 2 s; fixations last 155 / 211 / 311 ms with a
spread of 2.9 x 2.0 degrees. Blinks: rate log-normal between people, 10.5 to 32.5 a minute in conversation; more at the
partner's pauses and with large shifts of gaze; short ones 208 ms, a few of 607 ms.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.types import FloatArray

from .dynamics import STEP, Noise, lognormal
from .motion import BoolArray
from .senses import Sensed
from .temperament import Temperament

_FIXATION_DEG: Final = np.array([2.9, 2.0], dtype=np.float32)[:, None]
FULL_DEG: Final = 30.0
"""Rotation of the eye at which an eyeLook coefficient is 1."""
_SACCADE: Final = np.float32(0.75)
_CLOSING: Final = np.float32(0.09)
_OPENING: Final = np.float32(0.15)


class Gazing:
    """Steps the eyes of N listeners."""

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

    def step(self, s: Sensed) -> tuple[FloatArray, FloatArray, BoolArray]:
        """The next frame: eyes (2, N), yaw to the own left and pitch down in degrees; lid closure; looking away."""
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
        return self._eyes, self._blink(s, u, changes), self._away

    def _blink(self, s: Sensed, u: FloatArray, changes: BoolArray) -> FloatArray:
        rate = self._blinks * (0.85 + 1.6 * s.phrase_end * s.talk) * (0.7 + 0.3 * s.attend) * STEP
        rested = self._lid > 0.7
        begins = rested & ((u[4] < rate) | (changes & (u[5] < 0.25)))
        self._lid = np.where(begins, np.float32(0.0), self._lid + STEP)
        self._shut = np.where(begins, np.where(u[6] < 0.05, 0.25 + 0.3 * u[7], 0.03), self._shut).astype(np.float32)
        closing = np.clip((self._lid + STEP) / _CLOSING, 0, 1)
        opening = np.clip((self._lid - _CLOSING - self._shut) / _OPENING, 0, 1)
        return np.asarray(closing * (1 - opening), dtype=np.float32)
