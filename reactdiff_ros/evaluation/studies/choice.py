"""Does the choice among candidates leave the face as it would be without one? Streams at K candidates over K = 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.events import smile_curve, smiles
from reactdiff_ros.evaluation.metrics.spectra import variance_ratio_intervals, variance_ratios
from reactdiff_ros.model.plan.sampler import Conditions, Sampling
from reactdiff_ros.model.runtime import Networks
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
    seed: int = 0,
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
        seed: of the bootstrap.

    Returns:
        "variance": group -> ratio; "smile_rate", "smile_share" and "smile_mean": ratios (NaN without any smile);
        "intervals": {"low", "high"} of each of these, in the same places: 95 %, listeners drawn together.
    """

    def streams(count: int) -> FloatArray:
        return free_run(
            networks, tokens, conditions, speaker_of=speaker_of, seeds=seeds, how=replace(how, candidates=count),
            workers=workers,
        )  # fmt: skip

    many, single = streams(candidates), streams(1)
    curves = [smile_curve(s) for s in (many, single)]
    found = [smiles(curve) for curve in curves]
    of_each = {
        "smile_rate": [f.per_minute() for f in found],
        "smile_share": [f.share() for f in found],
        "smile_mean": [curve.mean(1) for curve in curves],
    }
    drawn = bootstrap.draws(seed, len(single))
    ratios = {name: bootstrap.ratio(drawn, *pair) for name, pair in of_each.items()}
    return {
        "candidates": candidates,
        "variance": variance_ratios(many, single),
        **{name: row["ratio"] for name, row in ratios.items()},
        "intervals": {
            "variance": variance_ratio_intervals(many, single, drawn),
            **{name: {"low": row["low"], "high": row["high"]} for name, row in ratios.items()},
        },
    }
