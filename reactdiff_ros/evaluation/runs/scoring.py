"""Figures of one recording and of a set, the same for every row of every table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_NAMES
from reactdiff_ros.evaluation.metrics import bootstrap, react
from reactdiff_ros.evaluation.metrics.coupling import (
    cross_coupling,
    lag_correlations,
    reach,
    reference_lags,
    signed_lags,
)
from reactdiff_ros.evaluation.metrics.events import answer_lags, at_25_hz, rates_per_minute
from reactdiff_ros.evaluation.metrics.robot import robot_metrics
from reactdiff_ros.evaluation.results import Figure, Item, Role
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

BEHAVIOUR: Final = (
    "smile_coupling", "response_lag_ms", "in_human_bands", "nods_per_minute", "smiles_per_minute",
    "brow_raises_per_minute", "blinks_per_minute", "laughs_per_minute",
)  # fmt: skip
MOTION: Final = ("jerk", "hop_smoothness", "limit_hits")
SHORTEST_STREAM: Final = 60
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
    if streams.shape[1] < SHORTEST_STREAM:
        return dict.fromkeys((*BEHAVIOUR, *MOTION), float("nan"))
    heard, times = np.nan_to_num(speaker), np.arange(len(speaker)) / REACTION_RATE_HZ
    rows = [_one(heard, stream, times, motion) for stream in streams]
    out = {name: react.mean_of(np.array([row[name] for row in rows])) for name in rows[0]}
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
        out |= {
            "jerk": float(np.mean(list(found.jerk.values()))),
            "hop_smoothness": react.mean_of(np.array(list(found.hop_smoothness.values()))),
            "limit_hits": found.limit_hits_per_minute,
        }
    return out


Values = NDArray[np.float64]
MEASURES: Final = (
    "FRC", "FRD", "FRDiv", "FRVar", "FRSyn", "FRSyn_first", "FRSyn_ms", "response_lag_ms", "smile_coupling",
)  # fmt: skip
_AU12: Final = ATTRIBUTE_NAMES.index("AU12")


def score(
    predictions: FloatArray, targets: Sequence[FloatArray], speaker: FloatArray, rate_hz: float, compat: str
) -> dict[str, float]:
    """The measures of one speaker.

    Args:
        predictions: (K, T, 25).
        targets: its appropriate reactions, (T', 25) each.
        speaker: (T, 25) its own attributes, for synchrony.
        rate_hz: frames a second.
        compat: "default", "react2024" or "mars".

    Raises:
        ReactdiffError: shapes do not fit, or a value is not finite.
    """
    return {
        "FRC": react.best_correlation(predictions, targets),
        "FRD": react.distance(predictions, targets),
        "FRDiv": react.diversity(predictions),
        "FRVar": react.variance(predictions),
        **synchrony(predictions, speaker, rate_hz, compat),
        **answers(predictions, speaker, rate_hz),
    }


def synchrony(predictions: FloatArray, speaker: FloatArray, rate_hz: float, compat: str) -> dict[str, float]:
    """FRSyn in frames as the challenges count it, and the signed lag in ms as the default mode does."""
    reach_hz = rate_hz if compat == "default" else react.REFERENCE_RATE_HZ
    found = lag_correlations(predictions, speaker, reach(reach_hz))
    signed = signed_lags(found)
    out = {"FRSyn_ms": react.mean_of(signed) * 1e3 / rate_hz}
    if compat == "default":
        return {**out, "FRSyn": react.mean_of(signed), "FRSyn_first": float(signed[0])}
    counted = reference_lags(found)
    whole = float(counted[0]) if compat == "mars" else float(np.mean(counted))
    return {**out, "FRSyn": whole, "FRSyn_first": float(counted[0])}


def answers(predictions: FloatArray, speaker: FloatArray, rate_hz: float) -> dict[str, float]:
    """Median lag of answered smiles and coupling of smiles, of AU12; NaN where no one smiles."""
    smile, shown = (at_25_hz(x[..., _AU12].astype(np.float64), rate_hz, -1) for x in (speaker, predictions))
    if len(smile) < SHORTEST:
        return {"response_lag_ms": float("nan"), "smile_coupling": float("nan")}
    lags = answer_lags(np.broadcast_to(smile, shown.shape), shown)
    moves = smile.std() > 1e-3
    return {
        "response_lag_ms": 1e3 * float(np.median(lags)) if len(lags) else float("nan"),
        "smile_coupling": float(cross_coupling(smile[None], shown).mean()) if moves else float("nan"),
    }


SHORTEST: Final = 50
"""Frames of 25 Hz in which smiles can be answered."""


class Spread:
    """FRDvs of a set, taken in one speaker at a time: 2 x the unbiased variance over speakers.

    Its bootstrap needs the speakers' distances, and a set's predictions together may be larger than the memory. So
    longer ones are kept as a count sketch (Charikar et al. 2002), which is linear and keeps each squared distance
    within 2 % (one deviation); the figure itself is exact, and so are the distances of short ones.
    """

    def __init__(self) -> None:
        self._items: list[int] = []
        self._sketches: list[FloatArray] = []
        self._sum: Values = np.zeros(0)
        self._squares = 0.0

    def add(self, item: int, predictions: FloatArray, frames: int) -> None:
        """Take in (K, T, 25), T >= `frames`, the same for all speakers, of the set's item of that number."""
        row = predictions[:, :frames].astype(np.float64).ravel()
        if not self._items:
            self._sum = np.zeros_like(row)
            self._buckets, self._signs = _sketching(row.size)
        self._sum += row
        self._squares += float(row @ row)
        self._items.append(item)
        short = row if row.size <= SKETCH else np.bincount(self._buckets, self._signs * row, SKETCH)
        self._sketches.append(short.astype(np.float32))

    def value(self) -> float:
        """FRDvs; NaN for fewer than two speakers."""
        count = len(self._items)
        if count < 2:
            return float("nan")
        of_mean = float(self._sum @ self._sum) / count
        return 2.0 * max(self._squares - of_mean, 0.0) / (count - 1) / self._sum.size

    def figure(self, draws: Values) -> Figure:
        """FRDvs with its interval over `draws` (resamples, items of the set), as of all other figures."""
        value = self.value()
        if not np.isfinite(value):
            return Figure(value)
        return between_speakers(react.speaker_distances(np.stack(self._sketches)), draws[:, self._items], value)


def between_speakers(distances: Values, draws: Values, value: float | None = None) -> Figure:
    """FRDvs with its interval, from `react.speaker_distances` (N, N) and draws (B, N).

    `value`: the figure itself, where the distances are sketched; the interval is scaled to it.
    """
    found = react.speaker_diversity(distances)
    drawn = react.speaker_diversities(distances, draws) * (1.0 if value is None or not found > 0 else value / found)
    return Figure(found if value is None else value, *bootstrap.interval(drawn))


SKETCH: Final = 4096
"""Numbers kept of one speaker's predictions."""


def _sketching(size: int) -> tuple[NDArray[np.int64], Values]:
    """Bucket and sign of each of `size` numbers, the same for every speaker and system."""
    rng = np.random.default_rng(size)
    return rng.integers(0, SKETCH, size), rng.choice([-1.0, 1.0], size)


def columns(rows: Iterable[Mapping[str, float | None]], names: Sequence[str]) -> dict[str, Values]:
    """(N,) each, of one mapping an item; what is missing or None is NaN."""
    listed = list(rows)
    return {name: np.array([row.get(name) for row in listed], dtype=np.float64) for name in names}


CURVES: Final = 24
"""Recordings whose curves go into the result file; figures are of all."""


STUDY_ROLES: Final[dict[str, Role]] = {
    "model": "listener", "shuffled": "control", "oracle": "reference", "ground_truth": "reference", "real": "reference",
}  # fmt: skip
"""Roles of the systems of studies; the others are baselines."""


def perceived_curves(batch: SpeakerBatch, n: int) -> tuple[FloatArray, FloatArray]:
    """What was perceived of speaker `n`: the face (T, 58) and the probability of speech (T,), NaN where unobserved."""
    seen = (batch.confidence[n] > 0) & batch.mesh[n][:, None]
    face = np.where(seen, batch.coefficients[n], np.nan).astype(np.float32)
    return face, np.where(batch.microphone[n], batch.speech_probability[n], np.nan).astype(np.float32)


def with_curves(item: Item, batch: SpeakerBatch, n: int) -> Item:
    """The item with what was perceived of speaker `n`, where its curves are kept."""
    if n >= CURVES:
        return item
    face, speech = perceived_curves(batch, n)
    return replace(item, speaker=face, speech=speech)
