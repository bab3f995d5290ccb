"""Logistic regression with what is already known as offset: one group of a head's features after another."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from reactdiff_ros.turns.readout import Weights

Floats = NDArray[np.float64]
BOUND: Final = 12.0
"""Of a group's log odds."""


def fit(
    columns: Floats, labels: NDArray[np.bool_], *, offset: Floats | None = None, weight: Floats | None = None,
    penalty: float = 10.0, bound: float = BOUND, free_bias: bool = True,
) -> Weights:  # fmt: skip
    """Weights of a group that say best what `labels` are, given the log odds so far.

    Args:
        columns: (N, n).
        labels: (N,).
        offset: (N,) log odds of the groups before; None: 0.
        weight: (N,) of each sample; None: 1.
        penalty: of the squared weights of columns with variance 1; as strong as so many samples.
        bound: of the group's log odds.
        free_bias: False: the group adds nothing on average of the columns.
    """
    count = columns.shape[1]
    w = np.ones(len(labels)) if weight is None else weight
    mean = np.average(columns, axis=0, weights=w)
    scale = np.sqrt(np.average(np.square(columns - mean), axis=0, weights=w))
    scale[scale < 1e-6] = 1.0
    x = (columns - mean) / scale
    base = np.zeros(len(labels)) if offset is None else offset
    sign = np.where(labels, 1.0, -1.0)

    def loss(theta: Floats) -> tuple[float, Floats]:
        margin = sign * (base + x @ theta[:count] + theta[count] * free_bias)
        wrong = w * sign / (1.0 + np.exp(np.clip(margin, -60.0, 60.0)))
        value = float(w @ np.logaddexp(0.0, -margin)) + 0.5 * penalty * float(theta[:count] @ theta[:count])
        return value, np.append(penalty * theta[:count] - x.T @ wrong, -float(wrong.sum()) * free_bias)

    found: Any = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return Weights(found.x[:count], mean, scale, float(found.x[count]) * free_bias, bound)
