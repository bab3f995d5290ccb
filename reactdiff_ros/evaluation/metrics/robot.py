"""Measures of a listening face as a robot shows it: does it move smoothly, within its limits, in time, like a person?

A stream is (T, 58) with a time for each frame. Everything is measured on the 25 Hz grid; nothing here needs targets.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, COEFFICIENT_COUNT, LOWER, ROTATION, UPPER
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics.bands import Band, load_bands
from reactdiff_ros.evaluation.metrics.coupling import coupling, cross_coupling, lag_correlations, reach, signed_lags
from reactdiff_ros.evaluation.metrics.events import KINDS, answer_lags, onset_lags, smile_curve
from reactdiff_ros.evaluation.metrics.spectra import border_jerk
from reactdiff_ros.model.diffusion.latents import GROUPS
from reactdiff_ros.model.style import stretches
from reactdiff_ros.types import REACTION_RATE_HZ

Array = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

HOP_S: Final = 0.16
GAP_S: Final = 0.2
"""Frames further apart than this leave a gap; what is interpolated over it is not the robot's."""
WINDOW_S: Final = 60.0
STEP_S: Final = 10.0
LATE_S: Final = (0.3, 1.0)
"""When visible mimicry is seen in people, after the partner's onset."""
PERCENTILES: Final = (50, 90, 99)


BANDS: Final = {kind: f"{kind}_per_minute" for kind in ("nods", "smiles", "blinks")}
"""Kinds of events whose rates are compared with people's, and the band of each (`metrics.bands`)."""


@dataclass(frozen=True, slots=True)
class RateInBand:
    """One kind of event: its rate a minute over all, and the share of minutes whose rate is within people's band."""

    per_minute: float
    share_in_band: float
    low: float
    high: float
    kind: str
    """"behaviour", or "conformance" where a rule makes it in this robot."""


@dataclass(frozen=True, slots=True)
class ResponseLag:
    """When the listener's smiles begin after the speaker's (s); NaN where there are no pairs within 3 s."""

    median_s: float
    """To the next smile of the listener."""
    share_300_to_1000_ms: float
    """Of the speaker's smiles, those whose nearest smile of the listener begins then."""
    smiles: int
    peak_ms: float
    """Signed lag at which the two smile curves correlate most, positive: the listener follows."""


@dataclass(frozen=True, slots=True)
class RobotMetrics:
    """Everything of one stream."""

    seconds: float
    gap_share: float
    """Share of the grid that lies in gaps of more than 0.2 s."""
    jerk: dict[str, float]
    """Mean size of the third derivative of each group of coefficients: 1/s3, head rotation in rad/s3."""
    hop_smoothness: dict[str, float]
    """Jerk where plans join over that within plans, by group: 1 = no seam."""
    limit_share: float
    """Share of frames in which some coefficient sits at a bound (0 is none; lids that close are none)."""
    limit_hits_per_minute: float
    """How often a minute a coefficient begins to sit there."""
    latency_ms: dict[str, float]
    """p50, p90, p99 and max of the given latencies; empty without."""
    response_lag: ResponseLag | None
    """None without a speaker."""
    bands: dict[str, RateInBand]
    band_share: float
    """Mean of the shares in band over the kinds of events."""
    smile_coupling: float | None
    """Mean correlation with the speaker's smile of 0.3 to 2 s before: people .19, strangers .01. None: no speaker."""

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries, for JSON."""
        return asdict(self)


def robot_metrics(
    stream: Array, times_s: Array, *, speaker: Array | None = None, speaker_times_s: Array | None = None,
    latencies_s: Array | None = None, hop_s: float = HOP_S, seed: int = 0,
) -> RobotMetrics:  # fmt: skip
    """All robot measures of one stream.

    Args:
        stream: (T, 58) coefficients that were shown.
        times_s: (T,) when, rising.
        speaker: (S, 58) the speaker's coefficients, if known.
        speaker_times_s: (S,) of the speaker's frames; None: the listener's times.
        latencies_s: time of each frame from its newest evidence to being shown; NaN = none.
        hop_s: time between plans.
        seed: of the shifts that chance is estimated with.

    Raises:
        ReactdiffError: shapes do not fit, times do not rise, values are not finite, or less than 2 s.
    """
    grid = _grid(times_s, "listener")
    shown = on_grid(stream, times_s, grid, "listener")
    one = shown[None]
    lag = coupled = None
    if speaker is not None:
        heard = on_grid(speaker, times_s if speaker_times_s is None else speaker_times_s, grid, "speaker")
        lag = response_lag(heard, shown, seed)
        coupled = coupling(cross_coupling(smile_curve(heard[None]), smile_curve(one)))
    bands = {kind: _in_band(one, kind, load_bands()[name]) for kind, name in BANDS.items()}
    share, hits = limits(shown)
    times, seconds = np.asarray(times_s, dtype=np.float64), len(grid) / REACTION_RATE_HZ
    after = np.clip(np.searchsorted(times, grid, side="right"), 1, len(times) - 1)
    return RobotMetrics(
        seconds=seconds,
        gap_share=float((times[after] - times[after - 1] > GAP_S + 1e-9).mean()),
        jerk=jerk(shown),
        hop_smoothness=border_jerk(one, max(round(hop_s * REACTION_RATE_HZ), 2)),
        limit_share=share,
        limit_hits_per_minute=hits / (seconds / 60.0),
        latency_ms=latency_percentiles(latencies_s),
        response_lag=lag,
        bands=bands,
        band_share=float(np.mean([rate.share_in_band for rate in bands.values()])),
        smile_coupling=coupled,
    )


def _grid(times_s: Array, whose: str) -> Values:
    times = np.asarray(times_s, dtype=np.float64)
    if times.ndim != 1 or len(times) < 2 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        todo = "give one time in seconds for each frame, sorted"
        raise ReactdiffError("times do not rise from frame to frame", where=whose, todo=todo)
    count = int((times[-1] - times[0]) * REACTION_RATE_HZ + 1e-6) + 1
    if count < 2 * REACTION_RATE_HZ:
        raise ReactdiffError(f"it lasts {times[-1] - times[0]:.2f} s", where=whose, todo="give 2 s at least")
    return np.asarray(times[0] + np.arange(count) / REACTION_RATE_HZ)


def on_grid(stream: Array, times_s: Array, grid: Values, whose: str) -> Values:
    """(len(grid), 58): the stream between its frames; the first and last frame are held beyond them.

    Raises:
        ReactdiffError: another shape, times that do not rise, or values that are not finite.
    """
    _grid(times_s, whose)
    if stream.shape != (len(times_s), COEFFICIENT_COUNT):
        what = f"its shape {stream.shape} is not ({len(times_s)}, {COEFFICIENT_COUNT})"
        raise ReactdiffError(what, where=whose, todo="give 58 coefficients a frame and one time each")
    if not np.isfinite(stream).all():
        raise ReactdiffError("it holds values that are not numbers", where=whose, todo="leave those frames out")
    times = np.asarray(times_s, dtype=np.float64)
    return np.stack([np.interp(grid, times, channel) for channel in np.asarray(stream, dtype=np.float64).T], axis=1)


def jerk(stream: Array) -> dict[str, float]:
    """Mean size of the third derivative (T, 58) of each group, and of the head's turns, per s3."""
    third = np.abs(np.diff(np.asarray(stream, dtype=np.float64), 3, axis=0)).mean(0) * REACTION_RATE_HZ**3
    out = {group.name: float(third[list(group.coefficients)].mean()) for group in GROUPS}
    return {**out, "head rotation": float(third[ROTATION].mean())}


def at_bound(streams: Array, without: Collection[int] = ()) -> NDArray[np.bool_]:
    """(..., 58) where coefficients (..., 58) sit at a bound, but for those of `without`; 0 is rest, not a bound."""
    held = (streams >= UPPER - 1e-6) | ((streams <= LOWER + 1e-6) & (LOWER < 0))
    held[..., list(without)] = False
    return np.asarray(held)


def limits(stream: Array) -> tuple[float, int]:
    """Share of frames (T, 58) with a coefficient at its bound, and how often one begins to sit there."""
    held = at_bound(stream, BLINK)  # a closed lid is a blink
    return float(held.any(1).mean()), len(stretches(held.T)[0])


def latency_percentiles(latencies_s: Array | None) -> dict[str, float]:
    """p50, p90, p99 and max in ms of what is finite; empty where nothing is."""
    known = np.zeros(0) if latencies_s is None else np.asarray(latencies_s, dtype=np.float64)
    known = known[np.isfinite(known)] * 1e3
    if not len(known):
        return {}
    found = np.percentile(known, PERCENTILES)
    return {f"p{p}": float(v) for p, v in zip(PERCENTILES, found, strict=True)} | {"max": float(known.max())}


def response_lag(speaker: Array, listener: Array, seed: int = 0) -> ResponseLag:
    """When smiles are answered; speaker and listener (T, 58) on the grid."""
    heard, shown = smile_curve(speaker[None]), smile_curve(listener[None])
    found = onset_lags(heard, shown, np.random.default_rng([seed, 83]))
    within = (found.lags_s >= LATE_S[0]) & (found.lags_s <= LATE_S[1])
    table = lag_correlations(shown[..., None], heard[0][:, None], reach(REACTION_RATE_HZ))
    after = answer_lags(heard, shown)
    return ResponseLag(
        median_s=float(np.median(after)) if len(after) else float("nan"),
        share_300_to_1000_ms=float(within.sum()) / found.onsets if found.onsets else float("nan"),
        smiles=found.onsets,
        peak_ms=float(signed_lags(table)[0] * 1e3 / REACTION_RATE_HZ),
    )


def _in_band(stream: Array, name: str, band: Band) -> RateInBand:
    """Windows of a minute, begun every 10 s; a shorter stream is one window."""
    found = KINDS[name](stream)
    frames = stream.shape[1]
    length = min(round(WINDOW_S * REACTION_RATE_HZ), frames)
    starts = np.arange(0, frames - length + 1, round(STEP_S * REACTION_RATE_HZ))
    begun = np.concatenate([[0], np.cumsum(found.onsets()[0])])
    rates = (begun[starts + length] - begun[starts]) / (length / REACTION_RATE_HZ / 60.0)
    inside = (rates >= band.low) & (rates <= band.high)
    return RateInBand(float(found.per_minute()[0]), float(inside.mean()), band.low, band.high, band.about)
