"""A listener's style: eight statistics of a stream of coefficients, measured alike on simulated and recorded people.

| name | what | centre and spread that make it about -2 .. 2 |
|---|---|---|
| smile_share | logit of the share of time with a smile (mouthSmile over 1 / 3.5) | share .31, .95 |
| smile_rate | log of smiles a minute (0.3 s and longer) | 7.5, .55 |
| smile_size | mean of mouthSmile while smiling | .47, .10 |
| smile_speed | log of the mean speed of mouthSmile over all frames, 1/s | .20, .55 |
| nod_rate | log of nods a minute (two or more half-cycles, the largest of 3 degrees or more) | 2.5, .80 |
| nod_size | log of the nods' mean largest half-cycle, rad | .10, .30 |
| head_motion | log of the rms speed of the head's rotation, rad/s | .18, .28 |
| brow_rate | log of brow raises a minute | 2.1, .80 |

A stream shows a person and chance. `style_of` gives what a long stream of the person would show on average, given
this one: the measured statistics, scaled by their `reliability`, so that a clip of ten seconds says little. Centres,
spreads and reliabilities come from simulated listeners under the natural prior.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, INDEX, ROTATION, SMILE
from reactdiff_ros.model.diffusion.conditions import STYLE_COUNT, STYLE_NAMES
from reactdiff_ros.model.diffusion.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

PRIOR_S: Final = 10.0
"""Seconds of an ordinary listener that are added to a stream, so that no share or rate is 0."""
HALF_S: Final = np.array([105.0, 185.0, 210.0, 115.0, 115.0, 240.0, 16.0, 225.0])
"""Length of streams at which half of a statistic's variance is between people and half is chance: from the correlation
of two streams of 180 s of one simulated listener with different speakers."""
SHORTEST_S: Final = 5.0
"""A shorter stream has no style."""
LIMIT: Final = 3.0
_SMILE_ON: Final = 1.0 / 3.5
_BROW_ON: Final = 0.15
_BROWS: Final = [INDEX[n] for n in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
_SWING: Final = 0.03
_NOD: Final = 0.052
_HALF_CYCLE: Final = round(0.52 / FRAME_S)
_NEEDS: Final[dict[str, tuple[int, ...]]] = {
    "smile_share": SMILE,
    "smile_rate": SMILE,
    "smile_size": SMILE,
    "smile_speed": SMILE,
    "nod_rate": (HEAD_PITCH,),
    "nod_size": (HEAD_PITCH,),
    "head_motion": tuple(range(ROTATION.start, ROTATION.stop)),
    "brow_rate": tuple(_BROWS),
}
# Centre and spread of each statistic, in its own scale (see the table).
CENTRE: Final = np.array(
    [np.log(0.31 / 0.69), np.log(7.5), 0.47, np.log(0.20), np.log(2.5), np.log(0.10), np.log(0.18), np.log(2.1)]
)
SPREAD: Final = np.array([0.95, 0.55, 0.10, 0.55, 0.80, 0.30, 0.28, 0.80])
_ORDINARY: Final = np.exp(CENTRE)


def style_of(
    coefficients: NDArray[np.floating[Any]], observed: NDArray[np.bool_] | None = None
) -> tuple[FloatArray, FloatArray]:
    """Style of the people in N streams: `measured_style`, with the same arguments and errors, times `reliability`."""
    values, given = measured_style(coefficients, observed)
    return values * reliability(coefficients.shape[1] * FRAME_S), given


def reliability(seconds: float) -> FloatArray:
    """Share (8,) of the variance of the statistics of streams of this length that is between people."""
    return (seconds / (seconds + HALF_S)).astype(np.float32)


def measured_style(
    coefficients: NDArray[np.floating[Any]], observed: NDArray[np.bool_] | None = None
) -> tuple[FloatArray, FloatArray]:
    """The statistics of N streams.

    Args:
        coefficients: (N, T, 58) at 25 Hz; what is not finite counts as 0.
        observed: (58,) which coefficients were observed; None = all.

    Returns:
        values (N, 8) about -2 .. 2, and given (N, 8) 0 or 1: 0 where the stream cannot tell (not observed, too short,
        no smile or nod to measure the size of). Raises ValueError for any other last axis.
    """
    if coefficients.ndim != 3 or coefficients.shape[-1] != COEFFICIENT_COUNT:
        raise ValueError(f"streams of shape {coefficients.shape} are not (N, T, {COEFFICIENT_COUNT})")
    count, frames = coefficients.shape[:2]
    values = np.zeros((count, STYLE_COUNT))
    given = np.zeros((count, STYLE_COUNT), dtype=np.float32)
    seconds = frames * FRAME_S
    if seconds < SHORTEST_S:
        return values.astype(np.float32), given
    used = sorted({i for needs in _NEEDS.values() for i in needs})
    known = np.nan_to_num(coefficients[..., used], nan=0.0, posinf=1.0, neginf=0.0).astype(np.float64)
    at = {index: place for place, index in enumerate(used)}
    smile = smoothed(known[..., [at[i] for i in SMILE]].mean(-1), 7)
    brow = smoothed(known[..., [at[i] for i in _BROWS]].mean(-1), 3)
    head = smoothed(np.moveaxis(known[..., [at[i] for i in range(ROTATION.start, ROTATION.stop)]], -1, 1), 3)
    smiling, smiles = _episodes(smile > _SMILE_ON, round(0.3 / FRAME_S))
    _, raises = _episodes(brow > _BROW_ON, round(0.2 / FRAME_S))
    nods, nod_size = _nods(head[:, 0])
    share = (smiling.sum(1) * FRAME_S + 0.31 * PRIOR_S) / (seconds + PRIOR_S)
    values[:, 0] = np.log(share / (1 - share))
    values[:, 1] = _log_rate(smiles, seconds, _ORDINARY[1])
    values[:, 2] = np.where(smiling, smile, 0.0).sum(1) / np.maximum(smiling.sum(1), 1)
    values[:, 3] = np.log(np.maximum(np.abs(np.diff(smile, axis=1)).mean(1) / FRAME_S, 0.01))
    values[:, 4] = _log_rate(nods, seconds, _ORDINARY[4])
    values[:, 5] = np.log(np.maximum(nod_size, 0.02))
    speed = np.diff(head, axis=2) / FRAME_S
    values[:, 6] = np.log(np.maximum(np.sqrt((speed**2).sum(1).mean(1)), 0.01))
    values[:, 7] = _log_rate(raises, seconds, _ORDINARY[7])
    given[:] = 1.0
    given[:, 2] = smiling.sum(1) * FRAME_S >= 0.5
    given[:, 5] = nods > 0
    if observed is not None:
        given *= [bool(np.asarray(observed)[list(_NEEDS[name])].all()) for name in STYLE_NAMES]
    values = np.clip((values - CENTRE) / SPREAD, -LIMIT, LIMIT) * given
    return values.astype(np.float32), given


def smoothed(curves: NDArray[np.floating[Any]], width: int) -> NDArray[np.float64]:
    """Centred mean over `width` (odd) frames of the last axis; the edges repeat the first and last value."""
    half = width // 2
    first, last = np.repeat(curves[..., :1], half + 1, -1), np.repeat(curves[..., -1:], half, -1)
    total = np.cumsum(np.concatenate([first, curves, last], -1), axis=-1, dtype=np.float64)
    return np.asarray((total[..., width:] - total[..., :-width]) / width)


def stretches(on: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Row, first frame and the frame after the last of every stretch of `on` (N, T), in order."""
    edges = np.diff(np.pad(on.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, start = np.nonzero(edges == 1)
    return row, start, np.nonzero(edges == -1)[1]


def _log_rate(events: NDArray[np.int64], seconds: float, ordinary: float) -> NDArray[np.float64]:
    """Log of events a minute, with PRIOR_S seconds at the ordinary rate added."""
    return np.asarray(np.log((events + ordinary * PRIOR_S / 60) / (seconds + PRIOR_S) * 60))


def _episodes(on: NDArray[np.bool_], shortest: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(N, T) within an episode of at least `shortest` frames, and how many there are, (N,)."""
    row, start, end = stretches(on)
    keep = end - start >= shortest
    steps = np.zeros((on.shape[0], on.shape[1] + 1), dtype=np.int64)
    np.add.at(steps, (row[keep], start[keep]), 1)
    np.add.at(steps, (row[keep], end[keep]), -1)
    return np.cumsum(steps, axis=1)[:, :-1] > 0, np.bincount(row[keep], minlength=len(on))


def _nods(pitch: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How many nods each stream has, and the mean of their largest half-cycles (0 without one)."""
    counts = np.zeros(len(pitch), dtype=np.int64)
    sizes = np.zeros(len(pitch))
    for row, curve in enumerate(pitch):
        turns = np.flatnonzero(np.diff(np.sign(np.diff(curve))) != 0) + 1
        points = np.r_[0, turns, len(curve) - 1]
        swing = np.diff(curve[points])
        fast = (np.abs(swing) >= _SWING) & (np.diff(points) <= _HALF_CYCLE)
        _, begins, ends = stretches(fast[None])
        runs = zip(begins, ends, strict=True)
        found = [top for a, b in runs if b - a >= 2 and (top := float(np.abs(swing[a:b]).max())) >= _NOD]
        counts[row] = len(found)
        sizes[row] = np.mean(found) if found else 0.0
    return counts, sizes
