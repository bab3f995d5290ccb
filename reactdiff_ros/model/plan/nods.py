"""Nods of a listener: when one begins is drawn from what the speaker does, how it goes from the shapes of people's.

Nods are rare (three a minute) and small beside the shifts of a head, so they hardly count in the losses of the
diffusion, whose plans nod at no particular moment. Here they are a point process of their own: a small network reads
the speaker's newest tokens and tells how likely a nod begins in each of the next frames.

Shape and numbers: Mori, Den and Jokinen (2025): 1 / 2 / 3 / 4 / 5 peaks in 400 / 148 / 80 / 40 / 68 of 736 nods, the
first cycle larger the more follow, a declining trend, the last cycle below it; 4.1 / 5.2 / 7.1 degrees peak to peak
and 1.2 to 2.1 Hz (quartiles). Shapes: as in `nod_head`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.model.conditions import CONTROL_NAMES, STYLE_NAMES
from reactdiff_ros.model.plan.nod_head import TOLD, NodHead
from reactdiff_ros.model.plan.noise import NoiseTape
from reactdiff_ros.model.plan.sampler import Conditions
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

REST_S: Final = 0.4
"""From the end of a nod to the next, at least."""
SHARPNESS: Final = 3.0
"""Nods are rare and read through perception, so the network's rates rise little at a cue. With three times as far, nods
match those of simulated listeners by .46 more than chance instead of .23 (these each other's by .44; 24 speakers, nods
alone), as many as before; eager listeners nod as often as those (6.0 a minute and 5.6, instead of 4.5)."""
_TAPE: Final = 1 << 40
"""Of the noise tapes, one that no candidate has."""
_PEAKS: Final = np.cumsum(np.array([400, 148, 80, 40, 68]) / 736.0)
_SIZE_RAD: Final = math.radians(4.8)
_SIZE_SPREAD: Final = 0.35
_SMALLEST_RAD, _LARGEST_RAD = math.radians(1.5), math.radians(12.0)
_HZ: Final = 1.6
_HZ_SPREAD: Final = 0.17
_CONTROLS: Final = [CONTROL_NAMES.index(name) for name in TOLD]
_NOD_RATE, _NOD_SIZE = STYLE_NAMES.index("nod_rate"), STYLE_NAMES.index("nod_size")
_below = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2.0)), otypes=[np.float64])


def nod_conditions(conditions: Conditions) -> FloatArray:
    """What of `conditions` says how often a listener nods (N, C)."""
    given = conditions.controls_given[:, _CONTROLS]
    style_given = conditions.style_given[:, _NOD_RATE]
    parts = [
        conditions.controls[:, _CONTROLS] * given, given,
        (conditions.style[:, _NOD_RATE] * style_given)[:, None], style_given[:, None],
    ]  # fmt: skip
    return np.concatenate(parts, axis=1, dtype=np.float32)


class Nods:
    """Nods of N listeners, drawn once for every frame and played to their end.

    Args:
        head: the network.
        seeds: (N,) of their noise; the same seed and evidence are the same nods.
    """

    def __init__(self, head: NodHead, seeds: Sequence[int]) -> None:
        self._head = head
        self._tapes = [NoiseTape(seed, 4) for seed in seeds]
        self.forget()

    def forget(self) -> None:
        """Nobody nods, and nothing is decided beyond now."""
        count = len(self._tapes)
        self._decided: int | None = None
        self._begin = np.zeros(count, dtype=np.int64)
        self._cycles, self._hz, self._top = np.zeros(count), np.ones(count), np.zeros(count)

    def plan(
        self, slot: int, frames: int, commit: int, speaker: FloatArray, missing: FloatArray, conditions: Conditions,
        lead: int | NDArray[np.integer[Any]],
    ) -> FloatArray:  # fmt: skip
        """How far the head is bowed (N, frames) in rad from `slot` on.

        Whether a nod begins is decided for the first `commit` frames, as far as it is not yet; what was decided stays.

        Args:
            slot: the first frame; must not go back.
            frames: that are planned.
            commit: that will be shown before the next plan.
            speaker: (N, speech, D) the newest tokens, oldest first.
            missing: (N, speech) 1 where there is none.
            conditions: of the N listeners.
            lead: frames between the newest token and `slot`, minus one; of all, or (N,).
        """
        first = slot if self._decided is None else max(slot, self._decided)
        undecided = np.arange(first, slot + commit)
        if len(undecided):
            told = nod_conditions(conditions)
            ages = np.broadcast_to(lead, len(self._tapes))[:, None] + 1 + undecided - slot
            rates = self._head.rates(speaker, missing, told, ages, sharpness=SHARPNESS)
            noise = np.stack([tape.frames(first, len(undecided), _TAPE) for tape in self._tapes])
            for i, frame in enumerate(undecided):
                self._decide(int(frame), rates[:, i], noise[:, i], conditions)
            self._decided = slot + commit
        return self._dips(slot, frames)

    def _decide(self, frame: int, rates: FloatArray, noise: FloatArray, conditions: Conditions) -> None:
        rested = frame >= self._begin + self._length() + REST_S * REACTION_RATE_HZ
        begins = (_below(noise[:, 0]) < rates) & (rested | (self._cycles == 0))
        if not begins.any():
            return
        peaks = 1 + (_below(noise[:, 1])[:, None] > _PEAKS[:-1]).sum(1)
        hz = np.clip(_HZ * np.exp(_HZ_SPREAD * noise[:, 2]), 1.0, 2.6)
        style = conditions.style[:, _NOD_SIZE] * conditions.style_given[:, _NOD_SIZE]
        size = _SIZE_RAD * np.exp(0.3 * style + 0.2 * conditions.told("liveliness") + _SIZE_SPREAD * noise[:, 3])
        top = np.clip(size, _SMALLEST_RAD, _LARGEST_RAD) * (0.94 + 0.07 * peaks)
        self._begin[begins], self._cycles[begins] = frame, peaks[begins]
        self._hz[begins], self._top[begins] = hz[begins], top[begins]

    def _length(self) -> NDArray[np.float64]:
        """Frames that the newest nod of each listener takes."""
        return np.asarray(self._cycles / self._hz * REACTION_RATE_HZ)

    def _dips(self, slot: int, frames: int) -> FloatArray:
        phase = (np.arange(slot, slot + frames) - self._begin[:, None]) / REACTION_RATE_HZ * self._hz[:, None]
        cycles = self._cycles[:, None]
        on = (phase >= 0) & (phase < cycles)
        cycle = np.floor(phase)
        last = (cycle >= cycles - 1) & (cycles > 1)
        trend = np.exp(-0.28 * cycle) * np.where(last, 0.75, 1.0)
        dip = self._top[:, None] * trend * 0.5 * (1 - np.cos(2 * np.pi * phase))
        return np.asarray(np.where(on, dip, 0.0), dtype=np.float32)
