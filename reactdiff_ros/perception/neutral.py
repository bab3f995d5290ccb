"""The personal neutral: what this face measures when it shows nothing. Learnt causally, and it goes on adapting.

Expressions are one-sided (mouths open, lids close, corners rise), so neutral is not the mean: it is a quantile of what
was seen, which differs by measure. It is drawn to the population's neutral by how little was seen, and may leave it
by no more than `REACH` between-person standard deviations. A face that smiles from its first picture is therefore
still read as smiling. How fast a measure becomes personal depends on what the population tells about it: little about
brows, which differ much between people, more about the corners of the mouth. Pictures in which a part of the face is
strongly expressive enter that part's neutral at a quarter of the rate only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .measures import COUNT, NAMES

Array = NDArray[np.float64]

SAMPLE_NS: Final = 200_000_000
EXPRESSIVE_SHARE: Final = 4
REACH: Final = 2.0
_PITCH_REACH_RAD: Final = 0.35

# measure: population neutral, standard deviation between people, quantile of the neutral, relative learning time
_TABLE: Final[dict[str, tuple[float, float, float, float]]] = {
    "gap": (0.07, 0.04, 0.10, 0.5), "chin": (1.93, 0.070, 0.20, 0.5),
    "cornerUp": (-0.350, 0.035, 0.40, 1.0), "cornerOut": (0.370, 0.035, 0.40, 1.0),
    "cornerBack": (-0.340, 0.030, 0.60, 1.0), "width": (0.78, 0.065, 0.40, 1.0),
    "lipsX": (0.0, 0.015, 0.50, 1.0), "chinX": (0.0, 0.015, 0.50, 1.0),
    "upperLip": (-0.215, 0.035, 0.40, 0.5), "upperThick": (0.145, 0.018, 0.50, 0.5),
    "lowerThick": (0.168, 0.022, 0.50, 0.5), "lowerLip": (0.500, 0.065, 0.60, 0.4),
    "lid": (0.310, 0.050, 0.65, 0.6), "lowerLid": (-0.100, 0.030, 0.40, 0.6),
    "browInner": (0.315, 0.065, 0.45, 0.25), "browMid": (0.397, 0.070, 0.45, 0.25),
    "browOuter": (0.295, 0.060, 0.45, 0.25), "browGap": (0.416, 0.022, 0.50, 0.25),
    "cheek": (-0.512, 0.028, 0.40, 0.5), "irisX": (0.0, 0.020, 0.50, 1.0), "irisY": (0.055, 0.015, 0.50, 1.0),
}  # fmt: skip


def _rows() -> Array:
    return np.array([_TABLE[name if name in _TABLE else name[:-1]] for name in NAMES])


PRIOR, SPREAD, QUANTILE, SLOWNESS = _rows().T
_BROWS = np.array([name.startswith("brow") for name in NAMES])
_EYES = np.array([name.startswith(("lid", "lowerLid", "iris")) for name in NAMES])
_MOUTH = ~(_BROWS | _EYES)


@dataclass(frozen=True, slots=True)
class Expressive:
    """Which parts of the face show a strong expression now."""

    mouth: bool = False
    brows: bool = False


class PersonalNeutral:
    """Neutral of every measure of one person.

    Args:
        learning_s: after so many seconds of calm face, person and population count the same (slowest measures).
        memory_s: how far back it looks (longer, while the person is expressive).
    """

    def __init__(self, learning_s: float = 5.0, memory_s: float = 60.0) -> None:
        half = max(1.0, learning_s * 1e9 / SAMPLE_NS)
        size = max(8, round(memory_s * 1e9 / SAMPLE_NS))
        pitch_quantile, pitch_half = np.array([0.5]), np.array([2.0 * half])
        self._mouth = _Quantiles(QUANTILE[_MOUTH], half * SLOWNESS[_MOUTH], size)
        self._brows = _Quantiles(QUANTILE[_BROWS], half * SLOWNESS[_BROWS], size)
        self._eyes = _Quantiles(QUANTILE[_EYES], half * SLOWNESS[_EYES], size)
        self._head = _Quantiles(pitch_quantile, pitch_half, size)
        self._half = half
        self._due_ns: int | None = None
        self._value: Array = PRIOR.copy()
        self._pitch = 0.0

    @property
    def value(self) -> Array:
        """Neutral measures (measures.COUNT,)."""
        return self._value

    @property
    def pitch(self) -> float:
        """Head pitch (rad) at which this person faces the camera."""
        return self._pitch

    @property
    def confidence(self) -> float:
        """0..1: the person's share in the neutral of the mouth."""
        return self._mouth.count / (self._mouth.count + self._half)

    def observe(self, stamp_ns: int, measures: Array, pitch: float, expressive: Expressive) -> None:
        """Takes one picture's measures (COUNT,) and head pitch (rad); only one each 200 ms is kept."""
        if self._due_ns is not None and stamp_ns < self._due_ns:
            return
        if not (np.isfinite(measures).all() and np.isfinite(pitch)):
            return
        self._due_ns = stamp_ns + SAMPLE_NS
        value = np.empty(COUNT)
        parts = (
            (self._mouth, _MOUTH, expressive.mouth),
            (self._brows, _BROWS, expressive.brows),
            (self._eyes, _EYES, False),
        )
        for quantiles, part, strong in parts:
            quantiles.observe(measures[part], strong)
            deviation = np.clip(quantiles.value - PRIOR[part], -REACH * SPREAD[part], REACH * SPREAD[part])
            value[part] = PRIOR[part] + quantiles.share * deviation
        self._value = value
        self._head.observe(np.array([pitch]), False)
        self._pitch = float((self._head.share * np.clip(self._head.value, -_PITCH_REACH_RAD, _PITCH_REACH_RAD))[0])


class _Quantiles:
    """Quantiles of the last `size` samples of some measures, and how far they are to be trusted."""

    def __init__(self, quantile: Array, half: Array, size: int) -> None:
        self._quantile, self._half = quantile, half
        self._samples = np.zeros((len(quantile), size))  # those of a measure side by side, which sorts faster
        self._skipped = 0
        self.count = 0
        self.value = np.zeros(len(quantile))

    @property
    def share(self) -> Array:
        """0..1 for each measure: weight of the person against the population."""
        return np.asarray(self.count / (self.count + self._half))

    def observe(self, values: Array, expressive: bool) -> None:
        if expressive and self._skipped < EXPRESSIVE_SHARE - 1:
            self._skipped += 1
            return
        self._skipped = 0
        size = self._samples.shape[1]
        self._samples[:, self.count % size] = values
        self.count += 1
        seen = min(self.count, size)
        ordered = np.sort(self._samples[:, :seen], axis=1)
        rank = self._quantile * (seen - 1)
        low = np.floor(rank).astype(np.intp)
        high = np.minimum(low + 1, seen - 1)
        measures = np.arange(len(rank))
        below, above = ordered[measures, low], ordered[measures, high]
        self.value = below + (rank - low) * (above - below)
