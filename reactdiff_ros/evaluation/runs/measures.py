"""What a listener's face does, measured on its streams: behaviour, answers to the speaker, and motion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, LOWER, UPPER
from reactdiff_ros.evaluation.metrics.coupling import cross_coupling
from reactdiff_ros.evaluation.metrics.events import rates_per_minute, smile_curve
from reactdiff_ros.evaluation.metrics.lags import FAR_S, smile_onsets
from reactdiff_ros.types import EXPRESSION_RATE_HZ, REACTION_RATE_HZ, FloatArray

BEHAVIOUR: Final = (
    "smile_coupling", "response_lag_ms", "nods_per_minute", "smiles_per_minute", "brow_raises_per_minute",
    "blinks_per_minute", "laughs_per_minute",
)  # fmt: skip
MOTION: Final = ("jerk", "limit_hits")
_FREE: Final = np.setdiff1d(np.arange(58), [*EYE_LOOK, *BLINK])
"""Coefficients that no reflex moves: lids and gaze reach their bounds in every blink."""


def behaviour(speaker: FloatArray, streams: FloatArray) -> dict[str, float]:
    """Mean over streams of the figures of BEHAVIOUR; NaN where the speaker or the listener never did it.

    Args:
        speaker: (T, 58) as perceived, 25 Hz; NaN where unobserved.
        streams: (K, T, 58) of the listener on the same slots; NaN where a recorded listener was not observed.
    """
    rates = rates_per_minute(np.nan_to_num(streams))
    out = {f"{kind}_per_minute": rate for kind, rate in rates.items()}
    smile, answers = smile_curve(np.nan_to_num(speaker))[None], smile_curve(np.nan_to_num(streams))
    moving = smile.std() > 1e-3
    out["smile_coupling"] = float(cross_coupling(smile, answers).mean()) if moving else float("nan")
    out["response_lag_ms"] = response_lag_ms(smile[0], answers)
    return {name: out.get(name, float("nan")) for name in BEHAVIOUR}


def response_lag_ms(speaker: NDArray[np.floating[Any]], streams: NDArray[np.floating[Any]]) -> float:
    """Median time from the onset of a speaker's smile (T,) to that of the listeners' next (K, T) within 3 s; or NaN."""
    asked = smile_onsets(speaker[None])[0]
    found: list[float] = []
    for answers in smile_onsets(streams):
        for onset in asked:
            later = answers[answers > onset]
            if len(later) and later[0] - onset <= FAR_S * REACTION_RATE_HZ:
                found.append(1e3 * float(later[0] - onset) / REACTION_RATE_HZ)
    return float(np.median(found)) if found else float("nan")


def motion(shown: FloatArray) -> dict[str, float]:
    """Jerk (mean absolute third derivative, 1/s^3) and limit hits a minute of a face (T, 58) at 50 Hz.

    Lids and gaze are left out: a blink reaches its bounds by design.
    """
    face = np.nan_to_num(shown)[:, _FREE].astype(np.float64)
    if len(face) < 4:
        return dict.fromkeys(MOTION, float("nan"))
    jerk = float(np.abs(np.diff(face, 3, axis=0)).mean()) * EXPRESSION_RATE_HZ**3
    span = (UPPER - LOWER)[_FREE]
    resting = LOWER[_FREE] == 0.0
    top = face >= UPPER[_FREE] - 1e-4 * span
    bottom = (face <= LOWER[_FREE] + 1e-4 * span) & ~resting
    at = top | bottom
    hits = int((at[1:] & ~at[:-1]).sum())
    return {"jerk": jerk, "limit_hits": 60.0 * EXPRESSION_RATE_HZ * hits / len(face)}


def mean_of(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each figure over rows that have it; NaN where none has."""
    out: dict[str, float] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        known = [row[name] for row in rows if np.isfinite(row.get(name, np.nan))]
        out[name] = float(np.mean(known)) if known else float("nan")
    return out
