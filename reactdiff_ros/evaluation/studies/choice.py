"""Does the choice among candidates leave the face as it would be without one? Streams at K candidates over K = 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics.events import smile_curve, smiles
from reactdiff_ros.evaluation.metrics.spectra import variance_ratios
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.sampler import Conditions, Sampling
from reactdiff_ros.model.streams import free_run
from reactdiff_ros.types import FloatArray


def choice_figures(
    networks: Networks,
    tokens: FloatArray,
    conditions: Conditions,
    *,
    speaker_of: NDArray[np.integer[Any]],
    seeds: NDArray[np.integer[Any]],
    how: Sampling,
    candidates: int = 10,
    workers: int = 1,
) -> dict[str, Any]:
    """Variance of each group of coefficients, smiles a minute and share of smiling with a choice over without.

    Args:
        networks: the exported graphs.
        tokens: (S, T, D), see `model.streams.speaker_tokens`.
        conditions: of the N listeners.
        speaker_of: (N,) which speaker each listener listens to.
        seeds: (N,) of their noise.
        how: of the sampling; its `candidates` is not used.
        candidates: K.
        workers: threads.

    Returns:
        "variance": group -> ratio; "smile_rate", "smile_share" and "smile_mean": ratios (NaN without any smile).
    """

    def streams(count: int) -> FloatArray:
        return free_run(
            networks, tokens, conditions, speaker_of=speaker_of, seeds=seeds, how=replace(how, candidates=count),
            workers=workers,
        )  # fmt: skip

    many, single = streams(candidates), streams(1)
    curves = [smile_curve(s) for s in (many, single)]
    found = [smiles(curve) for curve in curves]
    return {
        "candidates": candidates,
        "variance": variance_ratios(many, single),
        "smile_rate": _ratio(*(f.per_minute().mean() for f in found)),
        "smile_share": _ratio(*(f.share().mean() for f in found)),
        "smile_mean": _ratio(*(curve.mean() for curve in curves)),
    }


def _ratio(some: float, other: float) -> float:
    return float(some / other) if other > 0 else float("nan")
