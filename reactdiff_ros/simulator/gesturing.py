"""Brows, doubt, concern, lips and tilts of a simulated listener: movements of its own and answers.

Rates a minute of people on video calls: brow raises 1.7 to 2.5 (1.1 s long), lip press 2.3 to 2.6, dimpler 2.5 to
2.9; brow lowering .5, and frowns are hardly mirrored. Movements come in the conversation's rhythm: more of them just
after a phrase has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.types import FloatArray

from .dynamics import STEP, Envelopes, Noise, lognormal
from .motion import BoolArray
from .senses import Sensed
from .temperament import Temperament


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


def _column(values: list[float]) -> FloatArray:
    return np.array(values, dtype=np.float32)[:, None]


_SIZE: Final = tuple(_column([k.size[i] for k in KINDS.values()]) for i in range(2))
_RISE: Final = tuple(_column([k.rise[i] for k in KINDS.values()]) for i in range(2))
_HOLD: Final = tuple(_column([k.hold[i] for k in KINDS.values()]) for i in range(2))
_FALL: Final = tuple(_column([k.fall[i] for k in KINDS.values()]) for i in range(2))
_LAG: Final = 0.5
_RHYTHM: Final = np.float32(3.0)
"""How much likelier a movement of one's own is just after the end of a phrase."""


class Gesturing:
    """Steps the movements of N listeners."""

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
        self._flip = 0.25

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
            turns = wanted[ROW["tilt"]] & (more[7] < self._flip) & (self._moves.value[ROW["tilt"]] < 0.01)
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
