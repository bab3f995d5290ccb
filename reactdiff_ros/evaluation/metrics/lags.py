"""How long after a smile of the speaker the listener's begins: shares of smiles by lag, less chance.

An onset is where a smile's rise leaves its lowest point, the same for both people. Each of the speaker's onsets goes
with the listener's nearest one; chance is the same count with the listener's streams shifted in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics.events import SMOOTHING_FRAMES, Frames, moving_average
from reactdiff_ros.types import REACTION_RATE_HZ

Values = NDArray[np.floating[Any]]

RISE: Final = 0.15
"""A smile's onset: the curve rises by at least this from its last low."""
LEFT_LOW: Final = 0.15
"""The share of a rise after which it counts as begun."""
FAR_S: Final = 3.0
EDGES_S: Final = (-FAR_S, -0.2, 0.2, 1.0, FAR_S)
BINS: Final = ("below_-200_ms", "within_200_ms", "200_to_1000_ms", "above_1000_ms")
SHIFT_S: Final = 10.0


def smile_onsets(curve: Values, rise: float = RISE) -> list[Frames]:
    """Frames of the onsets in each row of a smile curve (N, T)."""
    return [_onsets(row, rise) for row in moving_average(curve, SMOOTHING_FRAMES)]


def _onsets(row: NDArray[np.float64], rise: float) -> Frames:
    found: list[int] = []
    values = row.tolist()
    low, low_at, high, rising = values[0], 0, values[0], False
    for t, value in enumerate(values):
        if rising:
            if value > high:
                high = value
            elif value < high - rise:
                rising, low, low_at = False, value, t
        elif value <= low:
            low, low_at = value, t
        elif value > low + rise:
            begun = low + LEFT_LOW * rise
            # The last time that the curve was at its low: a flat face smiles when it moves, not when it was lowest.
            found.append(next(u for u in range(t, low_at - 1, -1) if values[u] <= begun))
            rising, high = True, value
    return np.array(found, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Lags:
    """Shares of the speakers' onsets whose nearest listener onset has a lag in each of BINS, (4,) each."""

    observed: NDArray[np.float64]
    chance: NDArray[np.float64]
    low: NDArray[np.float64]
    """2.5th percentile of `observed` - `chance` if listeners were unrelated in time: what is below `high` is none."""
    high: NDArray[np.float64]
    onsets: int
    lags_s: NDArray[np.float64]
    """Every lag within 3 s, for a histogram."""
    chance_lags_s: NDArray[np.float64]
    """The lags of all shifted pairings."""
    shifts: int

    def table(self) -> dict[str, Any]:
        """The bins by name."""
        rows = {
            name: {
                "share": float(self.observed[i]),
                "chance": float(self.chance[i]),
                "excess": float(self.observed[i] - self.chance[i]),
                "chance_low": float(self.low[i]),
                "chance_high": float(self.high[i]),
            }
            for i, name in enumerate(BINS)
        }
        return {"onsets": self.onsets, "bins": rows}


def onset_lags(speaker: Values, listener: Values, rng: np.random.Generator, shifts: int = 40) -> Lags:
    """Lags of reciprocal smiles of N speakers (N, T) and their listeners (N, T)."""
    frames = speaker.shape[1]
    heard, shown = smile_onsets(speaker), smile_onsets(listener)
    count = sum(len(onsets) for onsets in heard)
    own = _nearest(heard, shown)
    least = min(round(SHIFT_S * REACTION_RATE_HZ), frames // 4)
    drawn, pooled = [], []
    for _ in range(shifts):
        by = rng.integers(least, max(frames - least, least + 1), len(shown))
        moved = [np.sort((onsets + step) % frames) for onsets, step in zip(shown, by, strict=True)]
        lags = _nearest(heard, moved)
        drawn.append(_shares(lags, count))
        pooled.append(lags)
    by_shift = np.array(drawn)
    chance = by_shift.mean(0)
    low, high = np.percentile(by_shift - chance, [2.5, 97.5], axis=0)
    return Lags(_shares(own, count), chance, low, high, count, own, np.concatenate(pooled), shifts)


def _nearest(heard: list[Frames], shown: list[Frames]) -> NDArray[np.float64]:
    lags = []
    for mine, theirs in zip(heard, shown, strict=True):
        if len(mine) and len(theirs):
            difference = (theirs[None] - mine[:, None]) / REACTION_RATE_HZ
            best = difference[np.arange(len(mine)), np.abs(difference).argmin(1)]
            lags.append(best[np.abs(best) <= FAR_S])
    return np.concatenate(lags) if lags else np.zeros(0)


def answer_lags(speaker: Values, listener: Values) -> NDArray[np.float64]:
    """How long after each onset of the speakers' smiles (N, T) the listener's next smile begins, s: those within 3 s.

    Unlike the nearest onset, which may lie before, this is a lag of answers: a mirror with a delay has that delay,
    however often the speaker smiles. A listener that is not related to the speaker has about 1.5 s.
    """
    lags = []
    for mine, theirs in zip(smile_onsets(speaker), smile_onsets(listener), strict=True):
        after = np.searchsorted(theirs, mine, side="right")
        answered = after < len(theirs)
        lags.append((theirs[after[answered]] - mine[answered]) / REACTION_RATE_HZ)
    found = np.concatenate(lags) if lags else np.zeros(0)
    return np.asarray(found[found <= FAR_S])


def _shares(lags: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    # The bin around 0 holds both of its edges.
    edges = np.array(EDGES_S) + np.array([-1e-9, -1e-9, 1e-9, 1e-9, 1e-9])
    return np.asarray(np.histogram(lags, edges)[0] / max(count, 1))
