"""The random listener: a lively face that has nothing to do with the speaker. The chance baseline of evaluations."""

from __future__ import annotations

import math
from typing import ClassVar, Final

from reactdiff_ros.clock import to_ns
from reactdiff_ros.model.policies.base import Frames, PolicyListener
from reactdiff_ros.model.policies.moves import Moves, draw_brow_raise, draw_nod, draw_smile, draw_tilt

# A minute, as measured in 44 video-chat dyads (smile onsets 3.2, lasting 0.8 / 1.8 / 3.9 s; brow raises 2).
SMILES_PER_MIN: Final = 3.2
BROWS_PER_MIN: Final = 2.0
TILTS_PER_MIN: Final = 2.5
SMILE_MEDIAN_S: Final = 1.8
SMILE_SIGMA: Final = 1.0
MOST: Final = 2.5
"""At 1 of smiling, nodding or liveliness, their movements are so many times as frequent; at -1 as rare."""


class RandomListener(PolicyListener):
    """Smiles, nods, brow raises and tilts at random times with the statistics of people.

    Only whether somebody is there (`engaged`, and the fade to neutral with it) depends on frames; when and how it
    moves does not, so its plans carry no stamps.
    """

    NAME: ClassVar[str] = "random"
    CONSUMES: ClassVar[bool] = False

    def _start(self) -> None:
        super()._start()
        self._moves = Moves()
        self._due_ns: dict[str, int] = {}

    def _before_plan(self, start_ns: int) -> None:
        self._moves.planned(start_ns)
        now_ns, style = start_ns, self._style
        rates = {
            "smile": SMILES_PER_MIN * MOST**style.smiling,
            "nod": self._config.nod_rate_per_min * MOST**style.nodding,
            "brows": BROWS_PER_MIN * MOST**style.liveliness,
            "tilt": TILTS_PER_MIN * MOST**style.liveliness,
        }
        for kind, rate in rates.items():
            if rate <= 0.0:
                continue
            if kind not in self._due_ns:
                self._due_ns[kind] = now_ns + self._wait(rate)
            if now_ns >= self._due_ns[kind]:
                self._due_ns[kind] = self._begin(kind, now_ns + to_ns(0.2)) + self._wait(rate)

    def _frame(self, time_ns: int) -> Frames:
        return self._moves.value(time_ns)

    def _wait(self, per_min: float) -> int:
        return to_ns(float(self._rng.exponential(60.0 / per_min)))

    def _begin(self, kind: str, start_ns: int) -> int:
        """Start a movement; returns the time from which the next one of its kind may be waited for."""
        if kind == "nod":
            nod = draw_nod(start_ns, self._rng)
            self._moves.add(nod)
            return start_ns
        if kind == "smile":
            smile = draw_smile(start_ns, float(self._rng.uniform(0.25, 0.75)), self._rng)
            apex = min(SMILE_MEDIAN_S * math.exp(SMILE_SIGMA * self._rng.standard_normal()), 8.0)
            smile.release_ns = start_ns + to_ns(max(apex, smile.rise_s))
            self._moves.add(smile)
            return start_ns
        if kind == "brows":
            self._moves.add(draw_brow_raise(start_ns, float(self._rng.uniform(0.25, 0.5)), self._rng))
            return start_ns
        self._moves.add(draw_tilt(start_ns, self._rng))
        return start_ns
