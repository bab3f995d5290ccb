"""`evaluate people`: is a listener like people, and does it listen to its partner as people do?

Everything is measured on what a tracker sees of both people of recorded pairs (`datasets.dyads`), for
the recorded listeners and for listeners that are generated for the same speakers. Classifiers are cross-validated by
pair. Shapes: N listeners, T frames of 25 Hz, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.listeners import StreamListener, named, usual_conditions
from reactdiff_ros.evaluation.metrics.coupling import STILL, People
from reactdiff_ros.evaluation.metrics.events import answer_lags, smile_onsets
from reactdiff_ros.evaluation.metrics.spectra import FLOOR, grouped_auc, seen, window_features
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.evaluation.studies.dyads import too_short, without
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.recordings.datasets.dyads import CHANNELS, FEATURES, read_dyads, read_pairs
from reactdiff_ros.recordings.datasets.recording import Recording, filled_in, stack
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, OnProgress

Floats = NDArray[np.float64]
LEAST_KNOWN: Final = 0.75
"""Share of frames in which a channel must be known in every row, and of a window that is used."""
LEAST_PAIRS: Final = 4
_WINDOW: Final = round(4.0 * REACTION_RATE_HZ)
_SEGMENT: Final = round(20.0 * REACTION_RATE_HZ)
_LAGS: Final = tuple(round(s * REACTION_RATE_HZ) for s in (0.0, 0.4, 0.8, 1.2, 1.6, 2.0))
_PAST: Final = tuple(round(s * REACTION_RATE_HZ) for s in (0.2, 0.6, 1.2, 2.4, 5.0))
"""Edges of the stretches of the past whose means predict what comes next."""
_AHEAD: Final = round(0.2 * REACTION_RATE_HZ)
_COUPLED: Final = ("smile", "brows", "pitch")
_QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
_AT_5_S: Final = round(5.0 * REACTION_RATE_HZ)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Recorded listeners and their speakers, cut to one length."""

    speaker: SpeakerBatch
    """(N, T)."""
    heard: Floats
    """(N, T, C) the speakers' channels, gaps filled in."""
    shown: Floats
    """(N, T, C) the listeners'."""
    known: NDArray[np.bool_]
    """(N, T) whether both are known."""
    people: People
    channels: tuple[str, ...]
    left_out: Mapping[str, str]
    """Why a call or a channel is not used."""


def channels_of(coefficients: FloatArray, names: Sequence[str]) -> Floats:
    """(..., C) channels of coefficients (..., 58): the larger where a channel has several."""
    chosen = [coefficients[..., list(CHANNELS[name])].max(-1) for name in names]
    return np.asarray(np.stack(chosen, axis=-1), dtype=np.float64)


def read_people(folder: Path) -> Pairs:
    """Recordings of a folder, whatever their form.

    Raises:
        ReactdiffError: as the readers; fewer than four pairs are left, or no channel that both people move.
    """
    dyads = folder.is_dir() and any(path.name.endswith(f"_{FEATURES[0]}.csv") for path in folder.rglob("*.csv"))
    found = read_dyads(folder) if dyads else read_pairs(folder)
    left_out = too_short(found)
    recordings = without(found, left_out)
    names = []
    for name in CHANNELS:
        known_of = [(_both(r, name), channels_of(r.listener, [name])[:, 0]) for r in recordings]
        if np.median([both.mean() for both, _ in known_of] or 0.0) < LEAST_KNOWN:
            left_out[name] = "it is not known of both people"
        elif max(float(values[both].std()) if both.any() else 0.0 for both, values in known_of) < STILL:
            left_out[name] = "it does not change in any recording"
        else:
            names.append(name)
    for r in recordings if names else ():
        share = np.all([_both(r, name) for name in names], axis=0).mean()
        if share < LEAST_KNOWN:
            left_out.setdefault(f"{r.pair}/{r.session}", f"both faces are known in {share:.0%} of it")
    recordings = without(recordings, left_out)
    numbers = {name: i for i, name in enumerate(sorted({r.pair for r in recordings}))}
    if len(numbers) < LEAST_PAIRS or not names:
        usable = len(numbers) if names else 0
        what = f"{LEAST_PAIRS} pairs of people with a known face are needed, {usable} can be used"
        why = [f"{name} is left out: {reason}" for name, reason in left_out.items()]
        raise ReactdiffError(what, where=str(folder), todo="; ".join(["add pairs", *why][:4]))
    frames = min(r.frames for r in recordings)
    known = np.stack([np.all([_both(r, name)[:frames] for name in names], axis=0) for r in recordings])
    speaker, listener, _ = stack(recordings, frames)
    return Pairs(
        speaker, _filled(channels_of(speaker.coefficients, names), known), _filled(channels_of(listener, names), known),
        known, People(np.array([numbers[r.pair] for r in recordings], dtype=np.intp)), tuple(names), left_out,
    )  # fmt: skip


def _both(r: Recording, name: str) -> NDArray[np.bool_]:
    """(T,) whether a channel is known of both."""
    at = CHANNELS[name][0]
    return np.asarray(r.observed[:, at] & (r.speaker.confidence[0, :, at] > 0))


def _filled(values: Floats, known: NDArray[np.bool_]) -> Floats:
    for row, of in zip(values, known, strict=True):
        if not of.all():
            for c in range(values.shape[2]):
                row[:, c] = filled_in(row[:, c], of)
    return values


def evaluate_people(
    pairs: Pairs, model: StreamListener | None, *, systems: Sequence[str], seed: int = 0,
    progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """Figures of each of `systems`, and what they rest on.

    Args:
        pairs: the recordings.
        model: for the systems "model" and "shuffled".
        systems: "real", "shuffled", the model with the speaker of another pair, or the names of listeners.
        seed: of noise and of folds.
        progress: receives the completed fraction.
    """
    out: dict[str, Any] = {}
    streams: dict[str, Floats] = {}
    for i, name in enumerate(systems):
        if name == "shuffled":
            source = streams.get("model")
            shown = (_run(pairs, "model", model, seed) if source is None else source)[pairs.people.another()]
        elif name == "real":
            shown = pairs.shown
        else:
            shown = _run(pairs, name, model, seed)
        streams[name] = shown
        out[name] = figures_of(pairs, shown, seed, real=name == "real")
        progress((i + 1) / len(systems))
    return Study({
        **out, "seed": seed, "pairs": pairs.people.count, "listeners": len(pairs.people.pair),
        "seconds": pairs.known.shape[1] / REACTION_RATE_HZ, "channels": list(pairs.channels),
        "left_out": dict(pairs.left_out),
    })  # fmt: skip


def _run(pairs: Pairs, name: str, model: StreamListener | None, seed: int) -> Floats:
    listener, count = named(name, model), len(pairs.people.pair)
    faces = listener.run(pairs.speaker, usual_conditions(listener, count), 1000 * (seed + 1) + np.arange(count))
    return channels_of(faces, pairs.channels)


def figures_of(pairs: Pairs, shown: Floats, seed: int, *, real: bool = False) -> dict[str, Any]:
    """Figures of listeners (N, T, C) to the recorded speakers; `real`: they are the recorded ones."""
    figures: dict[str, Any] = {
        "two_sample_auc": {"all": _real_against_real(pairs, seed)} if real else _two_sample(pairs, shown, seed),
        "partner_auc": _partner_auc(pairs, shown, seed),
        "added_r2": {name: _added_r2(pairs, shown, name) for name in _COUPLED if name in pairs.channels},
    }
    if "smile" in pairs.channels:
        at = pairs.channels.index("smile")
        speaker, listener = pairs.heard[..., at], shown[..., at]
        lags = answer_lags(speaker, listener)
        onsets = sum(len(o) for o in smile_onsets(speaker))
        chance = len(answer_lags(speaker, np.roll(listener, listener.shape[1] // 2, axis=1)))
        x, lag = listener - listener.mean(1, keepdims=True), _AT_5_S
        size = max(float((x * x).sum()) * (1 - lag / x.shape[1]), 1e-12)
        figures |= {
            "answered_within_3_s": len(lags) / max(onsets, 1), "answered_by_chance": chance / max(onsets, 1),
            "answer_lag_s": [float(q) for q in np.quantile(lags, _QUANTILES)] if len(lags) else [],
            "smile_autocorrelation_5_s": float((x[:, lag:] * x[:, :-lag]).sum() / size),
        }  # fmt: skip
    return figures


# Two samples


def _windows(pairs: Pairs, shown: Floats, seed: int) -> tuple[Floats, NDArray[np.intp]]:
    """Mean, deviation, speed and slope of every channel in windows of 4 s (W, 4 C), and the row of each (W,)."""
    floor = FLOOR[[CHANNELS[name][0] for name in pairs.channels]]
    features = window_features(seen(shown, floor, seed, 71), _WINDOW)
    count = features.shape[1]
    used = pairs.known[:, : count * _WINDOW].reshape(len(shown), count, _WINDOW).mean(2) >= LEAST_KNOWN
    return features[used], np.nonzero(used)[0]


def _two_sample(pairs: Pairs, shown: Floats, seed: int) -> dict[str, float]:
    """Areas under the curve of classifiers of `shown` against the recorded listeners, by pair: of all channels and of
    each alone.
    """
    (some, owner), (real, of) = _windows(pairs, shown, seed), _windows(pairs, pairs.shown, seed + 1)
    x, y = np.concatenate([some, real]), np.r_[np.ones(len(some)), np.zeros(len(real))]
    pair, count = pairs.people.pair[np.r_[owner, of]], len(pairs.channels)
    areas = {name: grouped_auc(x[:, c::count], y, pair, seed)["auc"] for c, name in enumerate(pairs.channels)}
    return {"all": grouped_auc(x, y, pair, seed)["auc"], **areas}


def _real_against_real(pairs: Pairs, seed: int, draws: int = 8) -> float:
    """The same of one half of the pairs against the other, cross-validated within the halves: what people differ by."""
    x, owner = _windows(pairs, pairs.shown, seed)
    pair, rng, areas = pairs.people.pair[owner], np.random.default_rng([seed, 72]), []
    for _ in range(draws):
        half = rng.permutation(pairs.people.count) % 2
        areas.append(grouped_auc(x, half[pair].astype(np.float64), pair, seed)["auc"])
    return float(np.nanmean(areas)) if np.isfinite(areas).any() else float("nan")


def _partner_auc(pairs: Pairs, shown: Floats, seed: int) -> float:
    """Area under the curve of a classifier of a listener with the own speaker against one with another pair's."""
    other = pairs.people.another(2)  # "shuffled" has heard the next one
    count = shown.shape[1] // _SEGMENT
    x, y, pair = [], [], []
    for label, speakers in ((1.0, pairs.heard), (0.0, pairs.heard[other])):
        for i in range(count):
            part = slice(i * _SEGMENT, (i + 1) * _SEGMENT)
            x.append(_correlations(speakers[:, part], shown[:, part]))
            y.append(np.full(len(shown), label))
            pair.append(pairs.people.pair)
    return grouped_auc(np.concatenate(x), np.concatenate(y), np.concatenate(pair), seed)["auc"]


def _correlations(speaker: Floats, listener: Floats) -> Floats:
    """(N, F) correlations of every channel of the listener with the same one and the smile of the speaker, at _LAGS."""
    found = []
    for lag in _LAGS:
        a, b = speaker[:, : speaker.shape[1] - lag], listener[:, lag:]
        a, b = ((v - v.mean(1, keepdims=True)) / (v.std(1, keepdims=True) + 1e-6) for v in (a, b))
        found += [(a * b).mean(1), (a[..., :1] * b[..., 1:]).mean(1)]
    return np.concatenate(found, axis=1)


# What the partner adds


def _added_r2(pairs: Pairs, shown: Floats, name: str) -> float | None:
    """What the speaker's last 5 s add to the listener's own in predicting its `name`, as a share of what is left
    to explain 0.2 s ahead (a directed coupling as Granger's): R2 of linear regressions, cross-validated by pair.
    None: it never moves.
    """
    at, t = pairs.channels.index(name), _times(shown)
    own, y = _past_of(shown[..., at : at + 1]), (shown[:, t + _AHEAD, at] - shown[:, t, at]).reshape(-1)
    if not y.any():
        return None
    row = np.repeat(np.arange(len(shown), dtype=np.intp), len(t))
    coupled = [pairs.channels.index(n) for n in _COUPLED if n in pairs.channels]
    partner = _past_of(pairs.heard[..., coupled])
    fold = np.random.default_rng(73).permutation(pairs.people.count)[pairs.people.pair[row]] % 4
    errors = []
    for x in (own, np.concatenate([own, partner], axis=1)):
        error = 0.0
        for k in range(4):
            test = fold == k
            error += float(np.square(y[test] - _ridge(x[~test], y[~test])(x[test])).sum())
        errors.append(error)
    return 1.0 - errors[1] / max(errors[0], 1e-12)


def _times(shown: Floats) -> NDArray[np.intp]:
    return np.arange(_PAST[-1], shown.shape[1] - _AHEAD, _AHEAD, dtype=np.intp)


def _past_of(values: Floats) -> Floats:
    """(N times, F) the newest value and means over stretches of the past of values (N, T, C)."""
    sums = np.concatenate([np.zeros_like(values[:, :1]), np.cumsum(values, axis=1)], axis=1)
    t, edges = _times(values[..., 0]), (0, *_PAST)
    means = [(sums[:, t - near + 1] - sums[:, t - far + 1]) / (far - near) for near, far in pairwise(edges)]
    return np.asarray(np.concatenate([values[:, t], *means], axis=-1)).reshape(len(values) * len(t), -1)


def _ridge(x: Floats, y: Floats) -> Callable[[Floats], Floats]:
    """A linear regression with a small penalty, on inputs of unit deviation."""
    centre, spread, mean = x.mean(0), x.std(0) + 1e-9, float(y.mean())
    z = (x - centre) / spread
    weights = np.linalg.solve(z.T @ z + 1e-3 * len(z) * np.eye(z.shape[1]), z.T @ (y - mean))
    return lambda given: np.asarray((given - centre) / spread @ weights + mean)
