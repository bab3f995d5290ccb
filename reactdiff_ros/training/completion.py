"""Completion of groups of coefficients that a recording shows in part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, LOWER, UPPER
from reactdiff_ros.model.plan.latents import GROUPS
from reactdiff_ros.types import FloatArray

_EVERY = 5
"""Of so many frames one is fitted to: neighbours say nearly the same."""


class Completion:
    """Coefficients that a recording leaves out of a group that it shows in part, from those that it shows.

    Least-squares maps fitted on simulated listeners (..., 58): the autoencoder's group needs all of its coefficients,
    and the upper lip goes with a smile. Groups of which nothing was measured stay as they are.
    """

    def __init__(self, listener: FloatArray) -> None:
        self._known = listener.reshape(-1, COEFFICIENT_COUNT)[::_EVERY].astype(np.float64)
        self._maps: dict[tuple[tuple[int, ...], tuple[int, ...]], NDArray[np.float64]] = {}

    def __call__(self, listener: FloatArray, seen: NDArray[np.bool_]) -> FloatArray:
        """Listeners (..., 58) with what was not `seen` (..., 58) of a group filled in, frame by frame: recordings show
        different coefficients, and a coefficient can be lost for a while.
        """
        flat, shown = listener.reshape(-1, COEFFICIENT_COUNT), seen.reshape(-1, COEFFICIENT_COUNT)
        out = flat.astype(np.float32)
        for group in GROUPS:
            columns = np.array(group.coefficients)
            patterns, which = np.unique(_codes(shown[:, columns]), return_inverse=True)
            for i, pattern in enumerate(patterns):
                bits = (int(pattern) >> np.arange(len(columns))) & 1 == 1
                if not bits.any() or bits.all():
                    continue
                rows, have, lack = np.flatnonzero(which == i), columns[bits], columns[~bits]
                guess = flat[np.ix_(rows, have)] @ self._map(have, lack)
                out[np.ix_(rows, lack)] = np.clip(guess, LOWER[lack], UPPER[lack])
        return out.reshape(listener.shape)

    def _map(self, have: NDArray[np.intp], lack: NDArray[np.intp]) -> NDArray[np.float64]:
        """(have, lack) weights, fitted once."""
        key = (tuple(have.tolist()), tuple(lack.tolist()))
        if key not in self._maps:
            self._maps[key] = np.linalg.lstsq(self._known[:, have], self._known[:, lack], rcond=1e-6)[0]
        return self._maps[key]


def _codes(shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) a number for each pattern of flags (n, width), width below 63."""
    return np.asarray(shown @ (np.int64(1) << np.arange(shown.shape[1], dtype=np.int64)))
