"""The REACT metrics on 25-d attributes, one value a speaker, so that intervals can be drawn over speakers.

Definitions as in the challenge's own evaluation (docs/evaluation.md): predictions are (K, T, 25), targets are a
speaker's appropriate reactions, (T', 25) each. FRC and FRD are *sums* over the K predictions, as published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, AU, EXPRESSION, VALENCE_AROUSAL
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics.react_dtw import Part, nearest_distances

Array = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

EPSILON: Final = 1e-8
FRD_PARTS: Final = (Part(VALENCE_AROUSAL, 1.0), Part(EXPRESSION, 1 / 8), Part(AU, 1 / 15))


def concordances(predictions: Array, targets: Array) -> Values:
    """Lin's concordance correlation of every prediction with every target, (K, M, D), channel by channel.

    Args:
        predictions: (K, T, D).
        targets: (M, T, D).

    Population variances; 1e-8 is added to the denominator, so a constant channel counts 0.
    """
    x, y = np.moveaxis(predictions, -1, 0).astype(np.float64), np.moveaxis(targets, -1, 0).astype(np.float64)
    x_mean, y_mean = x.mean(-1, keepdims=True), y.mean(-1, keepdims=True)
    covariance = (x - x_mean) @ (y - y_mean).swapaxes(1, 2) / x.shape[-1]
    spread = x.var(-1)[:, :, None] + y.var(-1)[:, None, :]
    gap = (x_mean - y_mean.swapaxes(1, 2)) ** 2
    return np.moveaxis(2 * covariance / (spread + gap + EPSILON), 0, -1)


def correlation(predictions: Array, targets: Array) -> float:
    """FRC of one speaker: the sum over predictions of the best target's mean concordance. -K..K, higher is better."""
    return float(concordances(predictions, targets).mean(-1).max(-1).sum())


def distance(predictions: Array, targets: Sequence[Array] | Array) -> float:
    """FRD of one speaker: the sum over predictions of the nearest target's warped distance. Lower is better.

    1/15 DTW(action units) + DTW(valence, arousal) + 1/8 DTW(expressions); the minimum is of this sum.
    """
    if len(predictions) > 1 and (predictions == predictions[:1]).all():
        return len(predictions) * distance(predictions[:1], targets)
    return float(nearest_distances(predictions, list(targets), FRD_PARTS).sum())


def diversity(predictions: Array) -> float:
    """FRDiv of one speaker: mean squared difference between its predictions, 2 x their unbiased variance."""
    return 2.0 * float(np.var(predictions, axis=0, ddof=1, dtype=np.float64).mean())


def variance(predictions: Array) -> float:
    """FRVar of one speaker: unbiased variance over time, mean over predictions and channels."""
    return float(np.var(predictions, axis=1, ddof=1, dtype=np.float64).mean())


def speaker_distances(predictions: Iterable[Array]) -> Values:
    """Mean squared difference between what was predicted for each two speakers, (N, N), of predictions (K, T, D) each.

    FRDvs is its mean off the diagonal, which is 2 x the unbiased variance over speakers.
    """
    rows = np.stack([np.asarray(p, dtype=np.float32).ravel() for p in predictions])
    rows -= rows.mean(0)
    # The channels are few and bounded and the mean is gone, so that float32 products lose nothing that is printed.
    products = np.zeros((len(rows), len(rows)))
    for block in np.array_split(rows, max(rows.shape[1] // 65536, 1), axis=1):
        products += block @ block.T
    squares = np.diag(products)
    out: Values = np.maximum(squares[:, None] + squares - 2 * products, 0.0) / rows.shape[1]
    np.fill_diagonal(out, 0.0)
    return out


def speaker_diversity(distances: Values, weights: Values | None = None) -> float:
    """FRDvs from `speaker_distances`; `weights` (N,) counts each speaker so many times (a bootstrap's draw)."""
    w = np.ones(len(distances)) if weights is None else weights
    pairs = float(w.sum() ** 2 - (w**2).sum())
    return float(w @ distances @ w) / pairs if pairs > 0 else float("nan")


def check_attributes(values: Array, what: str) -> None:
    """Raises ReactdiffError if `values` (..., T, 25) are of another width, empty or not finite."""
    if values.ndim < 2 or values.shape[-1] != ATTRIBUTE_COUNT or 0 in values.shape:
        raise ReactdiffError(
            f"attributes of shape {values.shape} are not (..., frames, {ATTRIBUTE_COUNT})", where=what,
            todo="give 15 action units, valence, arousal and 8 expression probabilities a frame",
        )  # fmt: skip
    if not np.isfinite(values).all():
        raise ReactdiffError("attributes hold values that are not numbers", where=what, todo="mend or drop those clips")
