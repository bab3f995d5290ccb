"""Events in a face's stream: smiles, nods, blinks, brow raises, laughs. One set of definitions for every figure.

A stream is (N, T) at 25 Hz, or (N, T, 58) coefficients. Events found in a finished recording may look ahead (they are
measurements, not something that a listener reacts to).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.types import REACTION_RATE_HZ

Values = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Frames = NDArray[np.intp]

SMILE_ON: Final = 1.0 / 3.5
"""A smile: mouthSmile over this, which is AU12 over 1 on OpenFace's scale of 0..5 (mouthSmile = AU12 / 3.5)."""
SMILE_SHORTEST_S: Final = 0.3
SMOOTHING_FRAMES: Final = 7
NOD_HALF_CYCLE_RAD: Final = 0.03
"""A half-cycle of a nod turns by at least this (1.7 degrees); three noise s.d. of a tracker's pitch."""
NOD_TOTAL_RAD: Final = 0.052
"""The largest half-cycle of a nod turns by at least 3 degrees (facts: nods of 3 degrees and more)."""
NOD_SLOWEST_S: Final = 0.52
"""The longest half-cycle: one of 1 Hz. Slower is sway."""
BROW_ON: Final = 0.15
BLINK_ON: Final = 0.5
LAUGH_SMILE: Final = 0.35
LAUGH_JAW_SPEED: Final = 1.2
"""Mean speed of the jaw over 0.4 s, in 1/s, from which a smiling face laughs."""
_BROWS: Final = [INDEX[n] for n in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
_SMILE: Final = list(SMILE)
_BLINK: Final = list(BLINK)
_JAW: Final = INDEX["jawOpen"]


@dataclass(frozen=True, slots=True)
class Events:
    """n events in N streams of T frames; every array is (n,), in order of row and start. `end` is exclusive."""

    row: Frames
    start: Frames
    end: Frames
    size: NDArray[np.float64]
    """Largest value within the event (smile, brows, blink: 0..1; nod: largest half-cycle in rad)."""
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def length_s(self) -> NDArray[np.float64]:
        """Length of each event."""
        return (self.end - self.start) / REACTION_RATE_HZ

    def per_minute(self) -> NDArray[np.float64]:
        """Events a minute of each stream, (N,)."""
        return np.bincount(self.row, minlength=self.shape[0]) / (self.shape[1] / REACTION_RATE_HZ / 60.0)

    def share(self) -> NDArray[np.float64]:
        """Share of time within an event of each stream, (N,)."""
        return np.bincount(self.row, weights=self.end - self.start, minlength=self.shape[0]) / self.shape[1]

    def onsets(self) -> Mask:
        """(N, T) true where an event begins."""
        out = np.zeros(self.shape, dtype=bool)
        out[self.row, self.start] = True
        return out

    def active(self) -> Mask:
        """(N, T) true within an event."""
        edges = np.zeros((self.shape[0], self.shape[1] + 1), dtype=np.int64)
        np.add.at(edges, (self.row, self.start), 1)
        np.add.at(edges, (self.row, self.end), -1)
        return np.asarray(np.cumsum(edges[:, :-1], axis=1) > 0)


def moving_average(values: Values, width: int) -> NDArray[np.float64]:
    """Centred mean over `width` (odd) frames of the last axis; the edges repeat the first and last value."""
    half = width // 2
    padded = np.concatenate(
        [np.repeat(values[..., :1], half + 1, -1), values, np.repeat(values[..., -1:], half, -1)], -1
    ).astype(np.float64)
    total = np.cumsum(padded, axis=-1)
    return np.asarray((total[..., width:] - total[..., :-width]) / width)


def episodes(on: Mask, size: Values, *, shortest_s: float = 0.0, bridge_s: float = 0.0) -> Events:
    """Every stretch of `on` (N, T) of at least `shortest_s`; gaps of up to `bridge_s` are part of it."""
    edges = np.diff(np.pad(on.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, start = np.nonzero(edges == 1)
    end = np.nonzero(edges == -1)[1]
    if bridge_s > 0 and len(row):
        joined = (row[1:] == row[:-1]) & (start[1:] - end[:-1] <= round(bridge_s * REACTION_RATE_HZ))
        row, start, end = row[np.r_[True, ~joined]], start[np.r_[True, ~joined]], end[np.r_[~joined, True]]
    keep = end - start >= shortest_s * REACTION_RATE_HZ - 1e-9
    row, start, end = row[keep], start[keep], end[keep]
    peak = np.array([size[r, s:e].max() for r, s, e in zip(row, start, end, strict=True)], dtype=np.float64)
    return Events(row, start, end, peak, (on.shape[0], on.shape[1]))


def smile_curve(coefficients: Values) -> Values:
    """Mean of both mouth corners (..., 58) -> (...)."""
    return np.asarray(coefficients[..., _SMILE].mean(-1))


def brow_curve(coefficients: Values) -> Values:
    """Mean of the three coefficients that raise the brows (..., 58) -> (...)."""
    return np.asarray(coefficients[..., _BROWS].mean(-1))


def smiles(curve: Values, *, on: float = SMILE_ON) -> Events:
    """Smile episodes of a smile curve (N, T): over `on` for 0.3 s or more after a mean over 7 frames."""
    smooth = moving_average(curve, SMOOTHING_FRAMES)
    return episodes(smooth > on, smooth, shortest_s=SMILE_SHORTEST_S)


def brow_raises(coefficients: Values) -> Events:
    """Brow raises: the brows over 0.15 for 0.2 s or more; what is up all the time counts once."""
    smooth = moving_average(brow_curve(coefficients), 3)
    return episodes(smooth > BROW_ON, smooth, shortest_s=0.2, bridge_s=0.12)


def blinks(coefficients: Values) -> Events:
    """Blinks: both lids over half closed for at most a second (longer: the eyes are shut)."""
    lids = coefficients[..., _BLINK].mean(-1)
    found = episodes(lids > BLINK_ON, lids)
    return _take(found, found.length_s <= 1.0)


def laughs(coefficients: Values) -> Events:
    """Laughs: a wide smile with a fast jaw for 0.4 s or more."""
    smile = moving_average(smile_curve(coefficients), SMOOTHING_FRAMES)
    jaw = coefficients[..., _JAW].astype(np.float64)
    speed = np.abs(np.diff(jaw, axis=-1, prepend=jaw[..., :1])) * REACTION_RATE_HZ
    busy = moving_average(speed, 11) > LAUGH_JAW_SPEED
    return episodes(busy & (smile > LAUGH_SMILE), smile, shortest_s=0.4, bridge_s=0.4)


def nods(pitch: Values) -> Events:
    """Nods in head pitch (N, T) in rad, down positive: two or more quick half-cycles, at least one of 3 degrees.

    Half-cycles are the swings between turning points of the pitch, smoothed over 3 frames.
    """
    smooth = moving_average(pitch, 3)
    rows = [(index, *nod) for index, curve in enumerate(smooth) for nod in _nods_of(curve)]
    found = np.array(rows, dtype=np.float64).reshape(-1, 4)
    row, start, end = (found[:, i].astype(np.intp) for i in range(3))
    return Events(row, start, end, found[:, 3], (pitch.shape[0], pitch.shape[1]))


def _nods_of(curve: NDArray[np.float64]) -> list[tuple[int, int, float]]:
    points = _turning_points(curve, NOD_HALF_CYCLE_RAD)
    swing = np.diff(curve[points])
    quick = np.diff(points) <= NOD_SLOWEST_S * REACTION_RATE_HZ
    fast = quick & (np.abs(swing) >= NOD_HALF_CYCLE_RAD)
    edges = np.diff(np.r_[0, fast.astype(np.int8), 0])
    out = []
    for first, last in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        largest = float(np.abs(swing[first:last]).max())
        if last - first >= 2 and largest >= NOD_TOTAL_RAD:
            out.append((int(points[first]), int(points[last]) + 1, largest))
    return out


def _turning_points(curve: NDArray[np.float64], least: float) -> Frames:
    """Frames where `curve` turns, ignoring wiggles below `least` / 3; the last of equals begins a swing."""
    slope = np.sign(np.diff(curve))
    turns = np.flatnonzero(slope[1:] * slope[:-1] <= 0) + 1
    points = [0]
    for turn in [*turns.tolist(), len(curve) - 1]:
        value = curve[turn]
        if len(points) > 1:
            rising = curve[points[-1]] >= curve[points[-2]]
            if (value >= curve[points[-1]]) == rising:
                points[-1] = turn
                continue
        if abs(value - curve[points[-1]]) >= least / 3:
            points.append(turn)
        elif len(points) == 1:
            points[0] = turn
    return np.array(points, dtype=np.intp)


def _take(events: Events, keep: Mask) -> Events:
    return Events(events.row[keep], events.start[keep], events.end[keep], events.size[keep], events.shape)


KINDS: Final[dict[str, Callable[[Values], Events]]] = {
    "smiles": lambda c: smiles(smile_curve(c)),
    "nods": lambda c: nods(c[..., HEAD_PITCH]),
    "blinks": blinks,
    "brow_raises": brow_raises,
    "laughs": laughs,
}
"""Every kind of event by its name: a function of coefficients (N, T, 58)."""


def rates_per_minute(coefficients: Values) -> dict[str, float]:
    """Mean rate of every kind of event over the streams (N, T, 58)."""
    return {kind: float(find(coefficients).per_minute().mean()) for kind, find in KINDS.items()}
