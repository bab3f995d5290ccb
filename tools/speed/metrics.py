"""`bench metrics`: our metrics against the challenge's way of computing them, in one run, on one core.

The reference follows the definitions pair by pair and lag by lag, as slowly as the challenge's own code: alignments by
tslearn, correlations by numpy's corrcoef. The fast metrics are compared with it in values and in time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, AU, EXPRESSION, VALENCE_AROUSAL
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.evaluation.metrics import react
from reactdiff_ros.evaluation.metrics.coupling import lag_correlations, reach, reference_lags
from reactdiff_ros.evaluation.metrics.react import compile_kernels
from reactdiff_ros.types import OnProgress

Values = NDArray[np.float32]

TARGETS: Final = {"FRD": 15.0, "FRC": 25.0, "FRSyn": 50.0}
"""Required speed-ups."""
PARTS: Final = ((AU, 1 / 15), (VALENCE_AROUSAL, 1.0), (EXPRESSION, 1 / 8))
LAGS: Final = range(-49, 50)


def bench_metrics(
    timer: Callable[[], float],
    *,
    seed: int = 0,
    speakers: int = 2,
    predictions: int = 10,
    targets: int = 10,
    frames: int = 750,
    repeats: int = 3,
    progress: OnProgress = lambda share: None,
) -> dict[str, Any]:
    """Times of both on the same generated set; of each the fastest of `repeats` (the reference once).

    Args:
        timer: seconds of CPU or wall clock.
        seed: of the set.
        speakers: with `targets` appropriate reactions each, all different.
        predictions: of each speaker.
        targets: of each speaker.
        frames: of a clip.
        repeats: timed runs of ours.
        progress: receives the share done, 0..1.

    Returns:
        {"ratios": {"FRD", "FRC", "FRSyn"}, "targets": ..., "reached": ..., "ours_ms" and "reference_ms" (a pair of
        prediction and target; FRSyn: a prediction), "difference" (largest, relative), the shape and the hardware}.

    Raises:
        ModuleNotFoundError: tslearn or numba is not installed.
    """
    from threadpoolctl import threadpool_limits

    shown, real, heard = example_set(seed, speakers, predictions, targets, frames)
    most, pairs = reach(25.0), predictions * targets
    measures: dict[str, tuple[Callable[[int], Any], Callable[[int], Any], int]] = {
        "FRD": (
            lambda n: react.distance(shown[n], real[n]), lambda n: reference_distance(shown[n], real[n]), pairs,
        ),
        "FRC": (
            lambda n: react.correlation(shown[n], real[n]), lambda n: reference_correlation(shown[n], real[n]), pairs,
        ),
        "FRSyn": (
            lambda n: reference_lags(lag_correlations(shown[n], heard[n], most)),
            lambda n: reference_speaker_lags(shown[n], heard[n]), predictions,
        ),
    }  # fmt: skip
    # Both compile at their first call, which does not count.
    compile_kernels()
    reference_distance(shown[0, :1, :40], real[0, :1, :40])
    result: dict[str, Any] = {"ratios": {}, "ours_ms": {}, "reference_ms": {}, "difference": {}}
    with threadpool_limits(1):
        for done, (name, (ours, theirs, count)) in enumerate(measures.items()):
            mine, own = min((_timed(ours, speakers, timer) for _ in range(repeats)), key=lambda found: found[0])
            slow, wanted = _timed(theirs, speakers, timer)
            result["ratios"][name] = slow / mine
            result["ours_ms"][name] = 1e3 * mine / speakers / count
            result["reference_ms"][name] = 1e3 * slow / speakers / count
            result["difference"][name] = float(np.max(np.abs(own - wanted) / np.maximum(np.abs(wanted), 1e-9)))
            progress((done + 1) / len(measures))
    return {
        **result, "targets": TARGETS, "reached": {n: result["ratios"][n] >= TARGETS[n] for n in TARGETS},
        "set": {
            "speakers": speakers, "predictions": predictions, "targets": targets, "frames": frames, "seed": seed,
        },
        "cores": 1, "hardware": hardware(),
    }  # fmt: skip


def _timed(measure: Callable[[int], Any], speakers: int, timer: Callable[[], float]) -> tuple[float, NDArray[Any]]:
    begin = timer()
    found = [measure(n) for n in range(speakers)]
    return timer() - begin, np.array(found, dtype=np.float64)


def example_set(seed: int, speakers: int, predictions: int, targets: int, frames: int) -> tuple[Values, Values, Values]:
    """Predictions (N, K, T, 25), targets (N, M, T, 25) and speakers (N, T, 25) that move as labels of faces do.

    Action units are 0 or 1 and stay so for about a second, as REACT's are; the rest is smooth. Each prediction follows
    one of the targets by half, which are six parts each speaker's own and four the speaker's.
    """
    rng = np.random.default_rng(seed)
    heard = _walks(rng, (speakers, frames))
    real = np.sqrt(0.6) * _walks(rng, (speakers, targets, frames)) + np.sqrt(0.4) * heard[:, None]
    which = rng.integers(0, targets, (speakers, predictions))
    near = np.take_along_axis(real, which[:, :, None, None], 1)
    shown = np.sqrt(0.5) * near + np.sqrt(0.5) * _walks(rng, (speakers, predictions, frames))
    # Units that are rare stay rare: a threshold for each, the same in all streams.
    rare = rng.uniform(0.2, 1.3, AU.stop)
    return _attributes(shown, rare), _attributes(real, rare), _attributes(heard, rare)


def _walks(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(*shape, 25) unit noise with a correlation time of a second."""
    keep = float(np.exp(-1 / 25))
    out = np.empty((*shape, ATTRIBUTE_COUNT))
    now = rng.standard_normal((*shape[:-1], ATTRIBUTE_COUNT))
    for t in range(shape[-1]):
        now = keep * now + np.sqrt(1 - keep**2) * rng.standard_normal(now.shape)
        out[..., t, :] = now
    kernel = np.hanning(13) / np.hanning(13).sum()
    return np.apply_along_axis(np.convolve, -2, out, kernel, "same")


def _attributes(latent: NDArray[np.float64], rare: NDArray[np.float64]) -> Values:
    out = np.empty(latent.shape, dtype=np.float32)
    out[..., AU] = latent[..., AU] > rare
    out[..., VALENCE_AROUSAL] = np.tanh(0.4 * latent[..., VALENCE_AROUSAL])
    odds = np.exp(1.5 * latent[..., EXPRESSION])
    out[..., EXPRESSION] = odds / odds.sum(-1, keepdims=True)
    return out


def reference_correlation(predictions: Values, targets: Values) -> float:
    """FRC of one speaker: predictions (K, T, 25), targets (M, T, 25)."""
    return sum(max(_concordance(p, t) for t in targets) for p in predictions)


def _concordance(x: Values, y: Values) -> float:
    found = []
    for channel in range(x.shape[1]):
        a, b = x[:, channel], y[:, channel]
        with np.errstate(divide="ignore", invalid="ignore"):
            linear = np.nan_to_num(np.corrcoef(a, b))[0, 1]
        above = 2 * linear * np.std(a) * np.std(b)
        below = np.var(a) + np.var(b) + (np.mean(a) - np.mean(b)) ** 2
        found.append(above / (below + 1e-8))
    return float(np.mean(found))


def reference_distance(predictions: Values, targets: Values) -> float:
    """FRD of one speaker. Raises ModuleNotFoundError: tslearn is not installed."""
    from tslearn.metrics import dtw

    def warped(x: Values, y: Values) -> float:
        return float(sum(weight * dtw(x[:, part], y[:, part]) for part, weight in PARTS))

    return sum(min(warped(p, t) for t in targets) for p in predictions)


def reference_speaker_lags(predictions: Values, speaker: Values) -> list[int]:
    """FRSyn of one speaker: frames of lag of each prediction, without sign; `speaker` (T, 25)."""
    return [_lag(p, speaker) for p in predictions]


def _lag(x: Values, y: Values) -> int:
    means = []
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for lag in LAGS:
            later, earlier = (x[lag:], y[: len(y) - lag]) if lag >= 0 else (x[:lag], y[-lag:])
            each = [np.corrcoef(later[:, d], earlier[:, d])[0, 1] for d in range(x.shape[1])]
            means.append(np.float32(np.mean(each)))
    return abs(int(np.argmax(means)) - len(LAGS) // 2)
