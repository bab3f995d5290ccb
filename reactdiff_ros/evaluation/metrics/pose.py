"""Head pose, which REACT's attributes leave out: does a listener turn and nod where appropriate listeners do?

Two figures a speaker, both sums over the K predictions as FRC is: the concordance of pitch, yaw and roll with the best
appropriate target, and the match of nods. They add up to `pose`. Who nods often meets many nods by chance, so what the
same nods match at other times is told beside it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics.events import nods
from reactdiff_ros.evaluation.metrics.react import correlation
from reactdiff_ros.types import REACTION_RATE_HZ

Array = NDArray[np.floating[Any]]
Times = NDArray[np.floating[Any]]

TOLERANCE_S: Final = 1.0
"""Two nods within this of each other answer the same moment."""
SHIFTS: Final = 5
"""At so many other times the match by chance is measured."""


def pose_concordance(predictions: Array, targets: Array) -> float:
    """FRC on the head's rotations: predictions (K, T, 3) in rad (pitch, yaw, roll), targets (M, T, 3). -K..K."""
    return correlation(predictions, targets)


def nod_times(pitch: Array) -> list[Times]:
    """When each stream (N, T) of head pitch begins to nod, in seconds."""
    found = nods(pitch)
    return [found.start[found.row == row] / REACTION_RATE_HZ for row in range(len(pitch))]


def matched(first: Times, second: Times, tolerance_s: float = TOLERANCE_S) -> int:
    """How many events of two sorted lists pair up one to one within the tolerance: the largest possible number."""
    i = j = count = 0
    while i < len(first) and j < len(second):
        gap = first[i] - second[j]
        if abs(gap) <= tolerance_s:
            i, j, count = i + 1, j + 1, count + 1
        elif gap < 0:
            i += 1
        else:
            j += 1
    return count


def nod_match(predictions: list[Times], targets: list[Times]) -> float:
    """Sum over predictions of the mean F1 with the targets' nods. 0..K.

    F1 = 2 matched / (nods of the prediction + nods of the target). It is the mean over targets, not the best one: with
    a handful of nods each, the best of ten is met by chance. A pair without a nod on both sides counts 0, so that a
    still head earns nothing.
    """
    total = 0.0
    for mine in predictions:
        shares = [
            2.0 * matched(mine, theirs) / (len(mine) + len(theirs)) if len(mine) and len(theirs) else 0.0
            for theirs in targets
        ]
        total += float(np.mean(shares))
    return total


def nod_chance(predictions: list[Times], targets: list[Times], length_s: float) -> float:
    """What `nod_match` gives by chance to nods as many and as far apart: the predictions' own, moved in time. 0..K.

    Mean over up to SHIFTS moves around the clip of `length_s`, evenly spaced and beyond the tolerance; a clip of less
    than twice that is moved by its half.
    """
    count = max(1, min(SHIFTS, int(length_s / TOLERANCE_S) - 2))
    steps = length_s * np.arange(1, count + 1) / (count + 1)
    moved = ([np.sort((mine + step) % length_s) for mine in predictions] for step in steps)
    return float(np.mean([nod_match(times, targets) for times in moved]))
