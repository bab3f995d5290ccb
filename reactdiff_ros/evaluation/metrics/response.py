"""Responses to one event, by paired trials: the same speaker and the same noise, with the event and without it.

A response is a difference of over a tenth of the coefficient's range for 3 frames in a row. Two runs of one listener
also part by chance once anything differs; chance parts them in both directions alike. So the excess is the share of
trials in which the run with the event stands above the run without, less the share in which it stands below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.evaluation.metrics.events import Mask, smile_curve
from reactdiff_ros.types import REACTION_RATE_HZ

Values = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

WINDOW_S: Final = (0.3, 1.5)
THRESHOLD: Final = 0.1
FRAMES: Final = 3
NOD_WINDOW_S: Final = (0.2, 1.5)
NOD_THRESHOLD_RAD: Final = 0.035
"""A tenth of the 20 degrees that a listener's nods and shifts of the head span."""


@dataclass(frozen=True, slots=True)
class Paired:
    """N trials: streams (N, T, 58) with and without the event, which begins at frame `at` (N,)."""

    present: Values
    absent: Values
    at: Ints


def within(paired: Paired, window_s: tuple[float, float]) -> Mask:
    """(N, T) true from `window_s[0]` to `window_s[1]` after each trial's event."""
    t = np.arange(paired.present.shape[1])[None] - np.asarray(paired.at)[:, None]
    low, high = (round(s * REACTION_RATE_HZ) for s in window_s)
    return (t >= low) & (t <= high)


def lasts(on: Mask, frames: int = FRAMES) -> Mask:
    """(N,) true where `on` (N, T) holds for `frames` frames in a row."""
    if on.shape[1] < frames:
        return np.zeros(len(on), dtype=bool)
    windows = np.lib.stride_tricks.sliding_window_view(on, frames, axis=1)
    return np.asarray(windows.all(-1).any(-1))


def smile_responses(
    paired: Paired, window_s: tuple[float, float] = WINDOW_S, threshold: float = THRESHOLD
) -> tuple[Mask, Mask]:
    """Which trials smile more with the event, and which less, (N,) each."""
    difference = smile_curve(paired.present) - smile_curve(paired.absent)
    where = within(paired, window_s)
    return lasts((difference > threshold) & where), lasts((difference < -threshold) & where)


def nod_responses(
    paired: Paired, window_s: tuple[float, float] = NOD_WINDOW_S, threshold: float = NOD_THRESHOLD_RAD
) -> tuple[Mask, Mask]:
    """Which trials dip the head further with the event, and which without it, (N,) each.

    Sway that differs by chance goes up as often as down; a nod goes down.
    """
    difference = paired.present[..., HEAD_PITCH] - paired.absent[..., HEAD_PITCH]
    where = within(paired, window_s)
    return lasts((difference > threshold) & where), lasts((difference < -threshold) & where)


def shares(more: Mask, less: Mask) -> dict[str, float]:
    """`rate`, `excess` over no event, and the 95 % interval of the excess (normal, from the trials' spread)."""
    count = max(len(more), 1)
    signed = more.astype(np.float64) - less
    half = 1.96 * float(signed.std()) / count**0.5
    excess = float(signed.mean())
    return {
        "rate": float(more.mean()),
        "excess": excess,
        "excess_low": excess - half,
        "excess_high": excess + half,
        "trials": len(more),
    }


def response_curve(paired: Paired, before: int = 25, after: int = 45) -> tuple[Values, Values]:
    """Mean smile (2, before + after) with and without the event, aligned to it, and the time axis in s."""
    index = np.clip(np.asarray(paired.at)[:, None] + np.arange(-before, after)[None], 0, paired.present.shape[1] - 1)
    rows = np.arange(len(index))[:, None]
    curves = np.stack([smile_curve(stream)[rows, index].mean(0) for stream in (paired.present, paired.absent)])
    return curves, np.arange(-before, after) / REACTION_RATE_HZ


def first_difference(a: Values, b: Values) -> Ints:
    """(N,) first frame in which two arrays (N, T, ...) differ at all; T where they never do."""
    differs = (a != b).reshape(a.shape[0], a.shape[1], -1).any(-1)
    return np.where(differs.any(1), differs.argmax(1), a.shape[1])
