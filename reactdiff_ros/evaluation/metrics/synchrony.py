"""FRSyn: by how much a reaction follows its speaker, from the lag at which their correlation peaks.

The correlation of all lags comes from one Fourier transform a channel and the sums of what each lag leaves out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

REACH_S: Final = 2.0
"""Lags below this are looked at, both ways."""


def reach(rate_hz: float) -> int:
    """The largest lag in frames: 49 at 25 frames a second, as in the challenge."""
    return int(REACH_S * rate_hz - 1)


def lag_correlations(predictions: Array, speaker: Array, most: int) -> Values:
    """Pearson's correlation of every prediction with the speaker at every lag, (K, 2 most + 1, D).

    Args:
        predictions: (K, T, D).
        speaker: (T, D).
        most: largest lag in frames. Entry most + lag pairs the prediction at t + lag with the speaker at t, so a
            positive lag is a prediction that follows. Lags that leave fewer than two frames are NaN.

    NaN where a channel of either is constant in the frames that a lag leaves.
    """
    frames = speaker.shape[0]
    within = min(most, frames - 2)
    out = np.full((len(predictions), 2 * most + 1, speaker.shape[1]), np.nan)
    if within < 0:
        return out
    x = np.ascontiguousarray(np.moveaxis(predictions, -1, 1), dtype=np.float64)
    y = np.ascontiguousarray(speaker.T, dtype=np.float64)
    still_x, still_y = (_still(z, within) for z in (x, y))
    x = x - x.mean(-1, keepdims=True)
    y = y - y.mean(-1, keepdims=True)
    size = _fast_length(frames + within)
    crossed = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(y, size).conj(), size)
    products = np.concatenate([crossed[..., size - within :], crossed[..., : within + 1]], -1)
    count = frames - np.abs(np.arange(-within, within + 1))
    sum_x, sum_y = _kept(x, within), _kept(y, within)[..., ::-1]
    power_x = _kept(x * x, within) - sum_x**2 / count
    power_y = _kept(y * y, within)[..., ::-1] - sum_y**2 / count
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (products - sum_x * sum_y / count) / np.sqrt(np.maximum(power_x, 0) * np.maximum(power_y, 0))
    found[still_x | still_y[..., ::-1]] = np.nan
    out[:, most - within : most + within + 1] = np.moveaxis(np.clip(found, -1, 1), -1, 1)
    return out


def _kept(values: Values, most: int) -> Values:
    """(..., 2 most + 1): the sum of what each lag keeps of the later one; lag L >= 0 leaves out its first L frames."""
    total = values.sum(-1, keepdims=True)
    if not most:
        return np.asarray(total)
    first = np.cumsum(values[..., :most], -1)
    last = np.cumsum(values[..., : -most - 1 : -1], -1)
    return np.concatenate([(total - last)[..., ::-1], total, total - first], -1)


def _still(values: Values, most: int) -> NDArray[np.bool_]:
    """Where what a lag keeps (as in `_kept`) is constant: no frame differs from the one before."""
    changes = (values[..., 1:] != values[..., :-1]).astype(np.float64)
    return np.asarray(_kept(changes, most) == 0)


def _fast_length(least: int) -> int:
    """The smallest length from `least` on that has no prime factor above 5."""
    length = least
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def reference_lags(correlations: Values) -> Values:
    """(K,) lag of the peak in frames, without its sign, as the challenge's code finds it.

    One channel that is constant makes the mean NaN, and a NaN counts as the peak: then the lag is the largest there is.
    """
    mean = correlations.astype(np.float32).mean(-1, dtype=np.float32)
    return np.asarray(np.abs(mean.argmax(-1) - mean.shape[-1] // 2), dtype=np.float64)


def signed_lags(correlations: Values) -> Values:
    """(K,) lag of the peak in frames, positive where the prediction follows; NaN where nothing moves.

    The mean is over the channels that move at every lag; of equal peaks the one nearest to 0 counts.
    """
    most = correlations.shape[1] // 2
    order = np.argsort(np.abs(np.arange(-most, most + 1)), kind="stable")
    out = np.full(len(correlations), np.nan)
    for k, table in enumerate(correlations):
        kept = table[~np.isnan(table).all(1)]
        moves = ~np.isnan(kept).any(0) if len(kept) else np.zeros(table.shape[1], dtype=bool)
        if moves.any():
            mean = table[:, moves].mean(1)[order]
            out[k] = order[np.nanargmax(mean)] - most
    return out
