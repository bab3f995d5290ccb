"""What a listener's face does, measured on its streams: behaviour, answers to the speaker, and motion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics.events import rates_per_minute
from reactdiff_ros.evaluation.metrics.robot import robot_metrics
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

BEHAVIOUR: Final = (
    "smile_coupling", "response_lag_ms", "in_human_bands", "nods_per_minute", "smiles_per_minute",
    "brow_raises_per_minute", "blinks_per_minute", "laughs_per_minute",
)  # fmt: skip
MOTION: Final = ("jerk", "hop_smoothness", "limit_hits")
SHORTEST: Final = 60
"""Frames below which a stream is not measured."""


def measured(
    speaker: FloatArray, streams: FloatArray, *, lag_s: NDArray[np.float64] | None = None, motion: bool = True
) -> dict[str, float]:
    """Mean over streams of the figures of BEHAVIOUR and MOTION; NaN where they are not defined.

    Args:
        speaker: (T, 58) as perceived, 25 Hz; NaN where unobserved.
        streams: (K, T, 58) of the listener on the same slots.
        lag_s: age of the evidence in what was shown, for the percentiles of latency.
        motion: with MOTION; a recorded person has none.
    """
    if streams.shape[1] < SHORTEST:
        return dict.fromkeys((*BEHAVIOUR, *MOTION), float("nan"))
    heard, times = np.nan_to_num(speaker), np.arange(len(speaker)) / REACTION_RATE_HZ
    rows = [_one(heard, stream, times, motion) for stream in streams]
    out = mean_of(rows)
    out |= {f"{kind}_per_minute": rate for kind, rate in rates_per_minute(streams).items()}
    known = np.zeros(0) if lag_s is None else lag_s[np.isfinite(lag_s)]
    if len(known):
        out |= {f"latency_p{p}_ms": 1e3 * float(np.percentile(known, p)) for p in (50, 95, 99)}
    return out


def _one(speaker: FloatArray, stream: FloatArray, times: NDArray[Any], motion: bool) -> dict[str, float]:
    found = robot_metrics(stream, times, speaker=speaker)
    assert found.response_lag is not None
    assert found.smile_coupling is not None
    moves = bool(speaker.std(0).max() > 0)
    out = {
        "smile_coupling": found.smile_coupling if moves else float("nan"),
        "response_lag_ms": 1e3 * found.response_lag.median_s,
        "in_human_bands": found.band_share,
    }
    if motion:
        seams = [v for v in found.hop_smoothness.values() if np.isfinite(v)]
        out |= {
            "jerk": float(np.mean(list(found.jerk.values()))),
            "hop_smoothness": float(np.mean(seams)) if seams else float("nan"),
            "limit_hits": found.limit_hits_per_minute,
        }
    return out


def mean_of(rows: list[dict[str, float]] | list[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each figure over rows that have it; NaN where none has."""
    out: dict[str, float] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        known = [row[name] for row in rows if np.isfinite(row.get(name, np.nan))]
        out[name] = float(np.mean(known)) if known else float("nan")
    return out
