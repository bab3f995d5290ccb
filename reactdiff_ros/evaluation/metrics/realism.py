"""Can windows of two seconds be told from a reference? Frechet distance and a classifier's two-sample test.

A window (50, 58) becomes features: for each moving coefficient its mean, deviation, mean speed and slope. The Frechet
distance is that of Gaussians fitted to the features (Dowson and Landau 1982; on whitened features, so that no unit
weighs more); its floor is reference against reference. The classifier is a logistic regression on features and their
squares, scored on speakers that it was not fitted on: an area of .5 under the curve means nobody can tell.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

WINDOW: Final = 50
MOVES: Final = 1e-3
_RIDGE: Final = 1e-3


def window_features(streams: Values, used: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.intp]]:
    """Features (W, F) of consecutive windows of streams (N, T, 58), and the stream of each window (W,)."""
    count = streams.shape[1] // WINDOW
    cut = streams[:, : count * WINDOW][..., used].reshape(len(streams), count, WINDOW, -1).astype(np.float64)
    time = np.linspace(-1, 1, WINDOW)[:, None]
    speed = np.abs(np.diff(cut, axis=2)).mean(2)
    parts = (cut.mean(2), cut.std(2), speed, (cut * time).mean(2))
    features = np.concatenate(parts, axis=-1)
    return features.reshape(-1, features.shape[-1]), np.repeat(np.arange(len(streams), dtype=np.intp), count)


def moving(reference: Values) -> NDArray[np.bool_]:
    """(58,) which coefficients move in the reference."""
    return np.asarray(reference.reshape(-1, reference.shape[-1]).std(0) > MOVES)


def frechet(a: Floats, b: Floats) -> float:
    """Frechet distance squared of Gaussians fitted to two samples (n, F), (m, F)."""
    mean = a.mean(0) - b.mean(0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = _root(first)
    cross = np.linalg.eigvalsh(root @ second @ root)
    trace = np.trace(first) + np.trace(second) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return float(mean @ mean + trace)


def _root(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def frechet_distance(some: Values, reference: Values, other: Values) -> dict[str, float]:
    """Distance of `some` to `reference`, and the floor: that of `other`, a second draw of the reference, to it.

    All are (N, T, 58) of the same speakers.
    """
    used = moving(reference)
    base, _ = window_features(reference, used)
    centre, spread = base.mean(0), base.std(0) + 1e-9
    features = [(window_features(x, used)[0] - centre) / spread for x in (some, reference, other)]
    width = features[1].shape[1]
    return {
        "distance": frechet(features[0], features[1]) / width, "floor": frechet(features[2], features[1]) / width,
        "windows": len(base),
    }  # fmt: skip


def two_sample_auc(some: Values, reference: Values, seed: int, folds: int = 4) -> dict[str, float]:
    """Area under the curve of a classifier that tells windows of `some` from those of `reference`, both (N, T, 58).

    Cross-validated by speaker; with its deviation over the folds.
    """
    used = moving(reference)
    features, owner = zip(*(window_features(x, used) for x in (some, reference)), strict=True)
    x = np.concatenate(features)
    y = np.r_[np.ones(len(features[0])), np.zeros(len(features[1]))]
    speaker = np.concatenate(owner)
    of_fold = np.random.default_rng([seed, 61]).permutation(len(some)) % folds
    areas = []
    for fold in range(folds):
        test = of_fold[speaker] == fold
        if test.all() or not test.any():
            continue
        centre, spread = x[~test].mean(0), x[~test].std(0) + 1e-9
        z = np.clip((x - centre) / spread, -6, 6)
        z = np.concatenate([z, z**2 / 3 - 1 / 3], axis=1)
        weights = logistic(z[~test], y[~test])
        areas.append(area_under_curve(z[test] @ weights[1:] + weights[0], y[test] > 0.5))
    return {"auc": float(np.mean(areas)), "sd_over_folds": float(np.std(areas))}


def logistic(x: Floats, y: Floats, ridge: float = 0.02, steps: int = 25) -> Floats:
    """Weights (1 + F,) of a ridge-penalised logistic regression by Newton's method; the first is the constant."""
    z = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    weights = np.zeros(z.shape[1])
    penalty = np.r_[_RIDGE, np.full(x.shape[1], ridge)] * len(x) / x.shape[1] ** 0.5
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(z @ weights, -30, 30)))
        gradient = z.T @ (p - y) + penalty * weights
        curvature = (z * (p * (1 - p))[:, None]).T @ z + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return weights


def area_under_curve(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Probability that a positive's score is above a negative's; ties count a half (Mann and Whitney 1947)."""
    values, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n, m = int(positive.sum()), int((~positive).sum())
    return float((rank[positive].sum() - n * (n + 1) / 2) / max(n * m, 1)) if len(values) else 0.5
