"""Events in a face's stream: smiles, nods, blinks, brow raises, laughs. One set of definitions for every figure.

A stream is (N, T) at 25 Hz, or (N, T, 58) coefficients. Events found in a finished recording may look ahead (they are
measurements, not something that a listener reacts to).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, HEAD_ROLL, INDEX, SMILE, index
from reactdiff_ros.model.style import smoothed, stretches
from reactdiff_ros.types import REACTION_RATE_HZ

Values = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Frames = NDArray[np.intp]

SMILE_ON: Final = 1.0 / 3.5
"""A smile: mouthSmile over this, which is AU12 over 1 on OpenFace's scale of 0..5 (mouthSmile = AU12 / 3.5)."""
SMILE_SHORTEST_S: Final = 0.3
SMOOTHING_FRAMES: Final = 7
TILT_RAD: Final = 0.15
"""A tilt of the head that counts as much concern as a frown of 1 does."""
_FROWN: Final = list(index("mouthFrownLeft", "mouthFrownRight"))
NOD_HALF_CYCLE_RAD: Final = 0.03
"""A half-cycle of a nod turns by at least this (1.7 degrees); three noise s.d. of a tracker's pitch."""
NOD_TOTAL_RAD: Final = 0.052
"""The largest half-cycle of a nod turns by at least 3 degrees (facts: nods of 3 degrees and more)."""
NOD_SLOWEST_S: Final = 0.52
"""The longest half-cycle: one of 1 Hz. Slower is sway."""
_SLOWEST: Final = NOD_SLOWEST_S * REACTION_RATE_HZ
_MIDDLE: Final = 0.41
"""Share of a half-cycle of a cosine in which it goes from a fifth to four fifths of its way."""
BROW_ON: Final = 0.15
FROWN_ON: Final = 0.08
"""Mean of the mouth's corners pulled down: half the peak of a simulated listener's frown."""
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


def interpolated(values: Values, position: Values, axis: int, share_type: Any = np.float64) -> NDArray[np.float64]:
    """`values` at fractional frames `position` of an axis, linearly between frames; the last one is held."""
    last = values.shape[axis] - 1
    low = np.minimum(position.astype(np.intp), last)
    shape = [1] * values.ndim
    shape[axis] = len(position)
    share = (position - low).astype(share_type).reshape(shape)
    between = values.take(low, axis) * (1 - share) + values.take(np.minimum(low + 1, last), axis) * share
    return np.asarray(between, dtype=np.float64)


def at_25_hz(values: NDArray[Any], rate_hz: float, axis: int = 0) -> NDArray[Any]:
    """Curves of another frame rate on the 25 Hz grid, linearly between frames of an axis."""
    if rate_hz == REACTION_RATE_HZ or values.shape[axis] < 2:
        return values
    count = int((values.shape[axis] - 1) * REACTION_RATE_HZ / rate_hz + 1e-6) + 1
    position = np.arange(count) * rate_hz / REACTION_RATE_HZ
    return interpolated(values, position, axis).astype(values.dtype)


def episodes(on: Mask, size: Values, *, shortest_s: float = 0.0, bridge_s: float = 0.0) -> Events:
    """Every stretch of `on` (N, T) of at least `shortest_s`; gaps of up to `bridge_s` are part of it."""
    row, start, end = stretches(on)
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


def concern_curve(coefficients: Values) -> Values:
    """The largest of inner brows, frown and tilt (1 = TILT_RAD), at most 1 (..., 58) -> (...)."""
    c = coefficients
    parts = [c[..., INDEX["browInnerUp"]], c[..., _FROWN].mean(-1), np.abs(c[..., HEAD_ROLL]) / TILT_RAD]
    return np.asarray(np.minimum(np.max(parts, axis=0), 1.0))


def smiles(curve: Values) -> Events:
    """Smile episodes of a smile curve (N, T): over SMILE_ON for 0.3 s or more after a mean over 7 frames."""
    smooth = smoothed(curve, SMOOTHING_FRAMES)
    return episodes(smooth > SMILE_ON, smooth, shortest_s=SMILE_SHORTEST_S)


def brow_raises(coefficients: Values) -> Events:
    """Brow raises: the brows over 0.15 for 0.2 s or more; what is up all the time counts once."""
    return _held_above(BROW_ON, brow_curve(coefficients))


def frowns(coefficients: Values) -> Events:
    """Frowns: the mouth's corners pulled down over FROWN_ON for 0.2 s or more; what lasts all the time counts once."""
    return _held_above(FROWN_ON, coefficients[..., _FROWN].mean(-1))


def _held_above(least: float, curve: Values) -> Events:
    smooth = smoothed(curve, 3)
    return episodes(smooth > least, smooth, shortest_s=0.2, bridge_s=0.12)


def blinks(coefficients: Values) -> Events:
    """Blinks: both lids over half closed for at most a second (longer: the eyes are shut)."""
    lids = coefficients[..., _BLINK].mean(-1)
    found = episodes(lids > BLINK_ON, lids)
    short = found.length_s <= 1.0
    return Events(found.row[short], found.start[short], found.end[short], found.size[short], found.shape)


def laughs(coefficients: Values) -> Events:
    """Laughs: a wide smile with a fast jaw for 0.4 s or more."""
    smile = smoothed(smile_curve(coefficients), SMOOTHING_FRAMES)
    jaw = coefficients[..., _JAW].astype(np.float64)
    speed = np.abs(np.diff(jaw, axis=-1, prepend=jaw[..., :1])) * REACTION_RATE_HZ
    busy = smoothed(speed, 11) > LAUGH_JAW_SPEED
    return episodes(busy & (smile > LAUGH_SMILE), smile, shortest_s=0.4, bridge_s=0.4)


def nods(pitch: Values) -> Events:
    """Nods in head pitch (N, T) in rad, down positive: two or more quick half-cycles, at least one of 3 degrees.

    Half-cycles are the swings between turning points of the pitch, smoothed over 3 frames. How long one takes is judged
    by its middle: the head's rest and sway before and after a nod are no part of it.
    """
    smooth = smoothed(pitch, 3)
    rows = [(index, *nod) for index, curve in enumerate(smooth) for nod in _nods_of(curve)]
    found = np.array(rows, dtype=np.float64).reshape(-1, 4)
    row, start, end = (found[:, i].astype(np.intp) for i in range(3))
    return Events(row, start, end, found[:, 3], (pitch.shape[0], pitch.shape[1]))


def _nods_of(curve: NDArray[np.float64]) -> list[tuple[int, int, float]]:
    points = _turning_points(curve, NOD_HALF_CYCLE_RAD)
    nods: list[list[tuple[float, float, float]]] = [[]]
    for first, last in itertools.pairwise(points):
        size, (begin, end) = abs(curve[last] - curve[first]), _moving(curve, first, last)
        fast = size >= NOD_HALF_CYCLE_RAD and end - begin <= _SLOWEST
        if nods[-1] and (not fast or begin - nods[-1][-1][1] > _SLOWEST):
            nods.append([])
        if fast:
            nods[-1].append((begin, end, size))
    found = [(round(nod[0][0]), round(nod[-1][1]) + 1, max(size for *_, size in nod)) for nod in nods if len(nod) >= 2]
    return [nod for nod in found if nod[2] >= NOD_TOTAL_RAD]


def _moving(curve: NDArray[np.float64], first: int, last: int) -> tuple[float, float]:
    """Where the half-cycle of a cosine begins and ends that crosses the middle three fifths of the swing from frame
    `first` to `last` as this one does.
    """
    way = (curve[first : last + 1] - curve[first]) / ((curve[last] - curve[first]) or 1.0)
    low = int(np.flatnonzero(way <= 0.2)[-1])
    high = low + int(np.flatnonzero(way[low:] >= 0.8)[0])
    length = (high - low - 1) / _MIDDLE  # each of the two frames is up to one too far out
    centre = first + (low + high) / 2
    return max(centre - length / 2, first), min(centre + length / 2, last)


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


RISE: Final = 0.15
"""A smile's onset: the curve rises by at least this from its last low."""
LEFT_LOW: Final = 0.15
"""The share of a rise after which it counts as begun."""
FAR_S: Final = 3.0
EDGES_S: Final = (-FAR_S, -0.2, 0.2, 1.0, FAR_S)
BINS: Final = ("below_-200_ms", "within_200_ms", "200_to_1000_ms", "above_1000_ms")
SHIFTS: Final = 40
SHIFT_S: Final = 10.0


def smile_onsets(curve: Values) -> list[Frames]:
    """Frames of the onsets in each row of a smile curve (N, T)."""
    return [_onsets(row) for row in smoothed(curve, SMOOTHING_FRAMES)]


def _onsets(row: NDArray[np.float64]) -> Frames:
    found: list[int] = []
    values = row.tolist()
    low, low_at, high, rising = values[0], 0, values[0], False
    for t, value in enumerate(values):
        if rising:
            if value > high:
                high = value
            elif value < high - RISE:
                rising, low, low_at = False, value, t
        elif value <= low:
            low, low_at = value, t
        elif value > low + RISE:
            begun = low + LEFT_LOW * RISE
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
    """The lags of all SHIFTS shifted pairings."""

    def table(self) -> dict[str, Any]:
        """The bins by name."""
        columns = {
            "share": self.observed, "chance": self.chance, "excess": self.observed - self.chance,
            "chance_low": self.low, "chance_high": self.high,
        }  # fmt: skip
        rows = {name: {key: float(of[i]) for key, of in columns.items()} for i, name in enumerate(BINS)}
        return {"onsets": self.onsets, "bins": rows}


def onset_lags(speaker: Values, listener: Values, rng: np.random.Generator) -> Lags:
    """Lags of reciprocal smiles of N speakers (N, T) and their listeners (N, T)."""
    frames = speaker.shape[1]
    heard, shown = smile_onsets(speaker), smile_onsets(listener)
    count = sum(len(onsets) for onsets in heard)
    own = _nearest(heard, shown)
    least = min(round(SHIFT_S * REACTION_RATE_HZ), frames // 4)
    drawn, pooled = [], []
    for _ in range(SHIFTS):
        by = rng.integers(least, max(frames - least, least + 1), len(shown))
        moved = [np.sort((onsets + step) % frames) for onsets, step in zip(shown, by, strict=True)]
        lags = _nearest(heard, moved)
        drawn.append(_shares(lags, count))
        pooled.append(lags)
    by_shift = np.array(drawn)
    chance = by_shift.mean(0)
    low, high = np.percentile(by_shift - chance, [2.5, 97.5], axis=0)
    return Lags(_shares(own, count), chance, low, high, count, own, np.concatenate(pooled))


def _nearest(heard: list[Frames], shown: list[Frames]) -> NDArray[np.float64]:
    lags = []
    for mine, theirs in zip(heard, shown, strict=True):
        if len(mine) and len(theirs):
            difference = (theirs[None] - mine[:, None]) / REACTION_RATE_HZ
            best = difference[np.arange(len(mine)), np.abs(difference).argmin(1)]
            lags.append(best[np.abs(best) <= FAR_S])
    return np.concatenate(lags) if lags else np.zeros(0)


def lags_to_next(asked: Frames, given: Frames) -> NDArray[np.float64]:
    """(n,) time in s from each of the frames `asked` (n,) to the next of `given` after it; infinity: there is none."""
    after = np.append(given.astype(np.float64), np.inf)
    return np.asarray((after[np.searchsorted(given, asked, side="right")] - asked) / REACTION_RATE_HZ)


def answer_lags(speaker: Values, listener: Values) -> NDArray[np.float64]:
    """How long after each onset of the speakers' smiles (N, T) the listener's next smile begins, s: those within 3 s.

    Unlike the nearest onset, which may lie before, this is a lag of answers: a mirror with a delay has that delay,
    however often the speaker smiles. A listener that is not related to the speaker has about 1.5 s.
    """
    found = np.concatenate(list(map(lags_to_next, smile_onsets(speaker), smile_onsets(listener))) or [np.zeros(0)])
    return np.asarray(found[found <= FAR_S])


def _shares(lags: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    # The bin around 0 holds both of its edges.
    edges = np.array(EDGES_S) + np.array([-1e-9, -1e-9, 1e-9, 1e-9, 1e-9])
    return np.asarray(np.histogram(lags, edges)[0] / max(count, 1))
