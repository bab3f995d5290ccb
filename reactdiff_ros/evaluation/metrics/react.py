"""REACT's metrics of a whole set of reactions, as the challenge's code has them or with its faults mended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, AU, EXPRESSION, VALENCE_AROUSAL
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics.coupling import lag_correlations, reach, reference_lags, signed_lags
from reactdiff_ros.types import REACTION_RATE_HZ, OnProgress

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """Channels that are aligned together, and how much their distance counts."""

    channels: slice
    weight: float


def nearest_distances(predictions: Array, targets: Sequence[Array], parts: Sequence[Part]) -> NDArray[np.float64]:
    """For each prediction, the smallest weighted sum of the parts' DTW distances over the targets, (K,).

    Args:
        predictions: (K, T, D), finite.
        targets: each (T', D), finite; at least one.
        parts: each part is aligned on its own. Give those that cost little and count much first.

    Raises:
        ModuleNotFoundError: numba is not installed.
    """
    # Here, because it imports numba.
    from reactdiff_ros.evaluation.metrics.dtw_kernels import BOX, boxes, nearest

    out = np.full(len(predictions), np.inf)
    x, begins = _stacked(predictions, targets, parts)
    weights = np.array([part.weight for part in parts])
    each = [np.ascontiguousarray(x[1 + m][:, ::-1]) for m in range(len(targets))]
    around = [boxes(target, BOX) for target in x[1:]]
    for k, rows in enumerate(x[0]):
        best, own = np.inf, boxes(rows, BOX)
        for m in _likely_first(rows, x[1:]):
            best = nearest(rows, each[m], own, around[m], begins, weights, best)
        out[k] = best
    return out


def compile_kernels() -> None:
    """Compile what `nearest_distances` needs, or load it, before something is timed.

    Raises:
        ModuleNotFoundError: numba is not installed.
    """
    few = np.array([[[0.0], [1.0]]])
    nearest_distances(few, [few[0]], [Part(slice(0, 1), 1.0)])


def _stacked(predictions: Array, targets: Sequence[Array], parts: Sequence[Part]) -> tuple[list[Any], NDArray[np.intp]]:
    """[(K, D', T), then (D', T') a target], the parts' channels in their order, and where each part begins.

    Channels that never differ add nothing to any distance and are left out.
    """
    first = predictions[0, 0]
    differs = (predictions != first).any((0, 1))
    for target in targets:
        differs |= (target != first).any(0)
    chosen = [np.flatnonzero(differs[part.channels]) + (part.channels.start or 0) for part in parts]
    begins = np.cumsum([0, *(len(part) for part in chosen)])
    order = np.concatenate(chosen)
    rows = np.ascontiguousarray(predictions[..., order].swapaxes(1, 2), dtype=np.float32)
    return [rows, *(np.ascontiguousarray(target[:, order].T, dtype=np.float32) for target in targets)], begins


def _likely_first(rows: NDArray[np.float32], targets: Sequence[NDArray[np.float32]]) -> list[int]:
    """Targets by their distance without warping: a near one first lets the others be abandoned early."""
    gaps = []
    for target in targets:
        n = min(rows.shape[1], target.shape[1])
        gap = (rows[:, :n] - target[:, :n]).ravel()
        gaps.append(float(gap @ gap))
    return sorted(range(len(gaps)), key=gaps.__getitem__)


Values = NDArray[np.float64]

EPSILON: Final = 1e-8
FRD_PARTS: Final = (Part(VALENCE_AROUSAL, 1.0), Part(EXPRESSION, 1 / 8), Part(AU, 1 / 15))


def concordances(predictions: Array, targets: Array) -> Values:
    """Lin's concordance correlation of every prediction with every target, (K, M, D), channel by channel.

    Args:
        predictions: (K, T, D).
        targets: (M, T, D).

    Population variances; 1e-8 is added to the denominator, so a constant channel counts 0.
    """
    x, y = np.moveaxis(predictions, -1, 0).astype(np.float64), np.moveaxis(targets, -1, 0).astype(np.float64)
    x_mean, y_mean = x.mean(-1, keepdims=True), y.mean(-1, keepdims=True)
    covariance = (x - x_mean) @ (y - y_mean).swapaxes(1, 2) / x.shape[-1]
    spread = x.var(-1)[:, :, None] + y.var(-1)[:, None, :]
    gap = (x_mean - y_mean.swapaxes(1, 2)) ** 2
    return np.moveaxis(2 * covariance / (spread + gap + EPSILON), 0, -1)


def correlation(predictions: Array, targets: Array) -> float:
    """FRC of one speaker: the sum over predictions of the best target's mean concordance. -K..K, higher is better."""
    return float(concordances(predictions, targets).mean(-1).max(-1).sum())


def distance(predictions: Array, targets: Sequence[Array] | Array) -> float:
    """FRD of one speaker: the sum over predictions of the nearest target's warped distance. Lower is better.

    1/15 DTW(action units) + DTW(valence, arousal) + 1/8 DTW(expressions); the minimum is of this sum.
    """
    if len(predictions) > 1 and (predictions == predictions[:1]).all():
        return len(predictions) * distance(predictions[:1], targets)
    return float(nearest_distances(predictions, list(targets), FRD_PARTS).sum())


def diversity(predictions: Array) -> float:
    """FRDiv of one speaker: mean squared difference between its predictions, 2 x their unbiased variance."""
    return 2.0 * float(np.var(predictions, axis=0, ddof=1, dtype=np.float64).mean())


def variance(predictions: Array) -> float:
    """FRVar of one speaker: unbiased variance over time, mean over predictions and channels."""
    return float(np.var(predictions, axis=1, ddof=1, dtype=np.float64).mean())


def speaker_distances(predictions: Iterable[Array]) -> Values:
    """Mean squared difference between what was predicted for each two speakers, (N, N), of predictions (K, T, D) each.

    FRDvs is its mean off the diagonal, which is 2 x the unbiased variance over speakers.
    """
    rows = np.stack([np.asarray(p, dtype=np.float32).ravel() for p in predictions])
    rows -= rows.mean(0)
    # The channels are few and bounded and the mean is gone, so that float32 products lose nothing that is printed.
    products = np.zeros((len(rows), len(rows)))
    for block in np.array_split(rows, max(rows.shape[1] // 65536, 1), axis=1):
        products += block @ block.T
    squares = np.diag(products)
    out: Values = np.maximum(squares[:, None] + squares - 2 * products, 0.0) / rows.shape[1]
    np.fill_diagonal(out, 0.0)
    return out


def speaker_diversity(distances: Values, weights: Values | None = None) -> float:
    """FRDvs from `speaker_distances`; `weights` (N,) counts each speaker so many times (a bootstrap's draw)."""
    w = np.ones(len(distances)) if weights is None else weights
    pairs = float(w.sum() ** 2 - (w**2).sum())
    return float(w @ distances @ w) / pairs if pairs > 0 else float("nan")


def check_attributes(values: Array, what: str) -> None:
    """Raises ReactdiffError if `values` (..., T, 25) are of another width, empty or not finite."""
    if values.ndim < 2 or values.shape[-1] != ATTRIBUTE_COUNT or 0 in values.shape:
        raise ReactdiffError(
            f"attributes of shape {values.shape} are not (..., frames, {ATTRIBUTE_COUNT})", where=what,
            todo="give 15 action units, valence, arousal and 8 expression probabilities a frame",
        )  # fmt: skip
    if not np.isfinite(values).all():
        raise ReactdiffError("attributes hold values that are not numbers", where=what, todo="mend or drop those clips")


Compat = Literal["default", "react2024"]

REFERENCE_RATE_HZ: Final = 25.0


@dataclass(frozen=True, slots=True)
class ReactMetrics:
    """The figures of a set, and what each speaker has of them."""

    figures: dict[str, float]
    """By name. FRC and FRD are sums over the K predictions, FRC_mean and FRD_mean the same over K."""
    per_speaker: dict[str, Values]
    """FRC, FRD, FRDiv, FRVar and FRSyn of each speaker, (N,)."""
    seconds: dict[str, float]
    """Time that each figure took."""
    settings: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The figures, `seconds` and the settings in one dictionary."""
        return {**self.figures, "seconds": self.seconds, **self.settings}


def evaluate_reactions(
    prediction: Array,
    listener: Array,
    speaker: Array,
    neighbour: NDArray[Any],
    *,
    compat: Compat = "default",
    rate_hz: float = REACTION_RATE_HZ,
    workers: int = 1,
    timer: Callable[[], float] = lambda: 0.0,
    progress: OnProgress = lambda share: None,
) -> ReactMetrics:
    """All metrics of N speakers with K predictions each.

    Args:
        prediction: (N, K, T, 25) attributes.
        listener: (M, T, 25) real reactions.
        speaker: (N, T, 25).
        neighbour: (N, M), 1 where a real reaction is appropriate for a speaker.
        compat: "react2024" is the challenge's own code: FRSyn is the mean lag in frames without its sign, and 49 as
            soon as one channel is constant; FRSyn_first is of the first prediction alone. "default" tells the signed
            lag in ms (positive: the listener follows) of the channels that move, its mean size, and of how many
            predictions nothing moves.
        rate_hz: frames a second; "react2024" knows 25 only.
        workers: threads.
        timer: seconds of a clock, for `seconds`.
        progress: receives the completed fraction.

    Raises:
        ReactdiffError: shapes do not fit, a value is not finite, a speaker has no appropriate reaction, or the rate
            is not 25 with "react2024".
        ModuleNotFoundError: numba is not installed.
    """
    check_set(prediction, listener, speaker, neighbour)
    if compat == "react2024" and rate_hz != REFERENCE_RATE_HZ:
        raise ReactdiffError(
            f"the challenge of 2024 knows 25 frames a second only, not {rate_hz:g}", where="rate",
            todo="use the default mode",
        )  # fmt: skip
    if not (np.isfinite(rate_hz) and 1.0 <= rate_hz <= 1000.0):
        raise ReactdiffError(f"a rate of {rate_hz:g} frames a second cannot be", where="rate", todo="give 1 to 1000")
    prediction, listener, speaker = (np.asarray(a, dtype=np.float32) for a in (prediction, listener, speaker))
    chosen = [np.flatnonzero(row) for row in neighbour]
    pairs = [(p, listener[c]) for p, c in zip(prediction, chosen, strict=True)]
    heard = list(zip(prediction, speaker, strict=True))
    compile_kernels()
    work = Work(workers, timer, progress)
    own = {
        "FRC": work.each("FRC", lambda pair: correlation(*pair), pairs, 0.0, 0.1),
        "FRD": work.each("FRD", lambda pair: distance(*pair), pairs, 0.1, 0.9),
        "FRDiv": work.each("FRDiv", diversity_of, prediction, 0.9, 0.91),
        "FRVar": work.each("FRVar", variance, prediction, 0.91, 0.92),
    }
    figures = {name: float(values.mean()) for name, values in own.items()}
    start = timer()
    figures["FRDvs"] = between_speakers(prediction)
    work.seconds["FRDvs"] = timer() - start
    most = reach(rate_hz)
    lags = work.each("FRSyn", lambda pair: _lags(pair[0], pair[1], most, compat), heard, 0.92, 1.0)
    if compat == "react2024":
        own["FRSyn"] = lags.mean(1)
        figures.update(FRSyn=float(lags.mean()), FRSyn_first=float(lags[:, 0].mean()))
        # The challenge's own code has no diversity of a single prediction.
        if prediction.shape[1] == 1:
            figures["FRDiv"] = 0.0
    else:
        lags = lags * 1e3 / rate_hz
        known = np.isfinite(lags)
        own["FRSyn"] = np.array([mean_of(row) for row in lags])
        figures.update(
            FRSyn=mean_of(lags), FRSyn_first=mean_of(lags[:, :1]), FRSyn_size=mean_of(np.abs(lags)),
            FRSyn_undefined=float((~known).sum()),
            FRC_mean=figures["FRC"] / prediction.shape[1], FRD_mean=figures["FRD"] / prediction.shape[1],
        )  # fmt: skip
    settings = {
        "compat": compat, "rate_hz": rate_hz, "predictions": prediction.shape[1], "speakers": len(prediction),
        "FRSyn_unit": "frames" if compat == "react2024" else "ms",
    }  # fmt: skip
    return ReactMetrics(figures, own, work.seconds, settings)


def _lags(predictions: Array, speaker: Array, most: int, compat: Compat) -> Values:
    table = lag_correlations(predictions, speaker, most)
    return reference_lags(table) if compat == "react2024" else signed_lags(table)


def mean_of(values: Values) -> float:
    """Mean of what is defined; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def diversity_of(predictions: Array) -> float:
    """FRDiv of one speaker; NaN for a single prediction."""
    return diversity(predictions) if len(predictions) > 1 else float("nan")


def between_speakers(prediction: Sequence[Array] | Array) -> float:
    """FRDvs of a set with as many frames for each speaker: the closed form 2 x variance over speakers. NaN for one."""
    if len(prediction) < 2:
        return float("nan")
    return 2.0 * float(np.var(np.asarray(prediction), axis=0, ddof=1, dtype=np.float64).mean())


@dataclass(slots=True)
class Work:
    """Runs a measure over speakers on several threads and keeps how long each took."""

    workers: int
    timer: Callable[[], float]
    progress: OnProgress
    seconds: dict[str, float] = field(default_factory=dict)

    def each(
        self, name: str, measure: Callable[[Any], Any], items: Sequence[Any] | Array, begin: float, end: float
    ) -> Values:
        """The measure of every item in order; the progress goes from `begin` to `end`."""
        start = self.timer()
        found = []
        with ThreadPoolExecutor(max(self.workers, 1)) as pool:
            made = pool.map(measure, items) if self.workers > 1 else map(measure, items)
            for value in made:
                found.append(value)
                self.progress(begin + (end - begin) * len(found) / len(items))
        self.seconds[name] = self.timer() - start
        return np.array(found, dtype=np.float64)


def check_axes(prediction: Array, listener: Array, speaker: Array) -> None:
    """Raises ReactdiffError where an array has other axes or no numbers, or the speakers do not fit the predictions."""
    for name, values, axes in (
        ("prediction", prediction, "(speakers, predictions, frames, 25)"),
        ("listener", listener, "(reactions, frames, 25)"),
        ("speaker", speaker, "(speakers, frames, 25)"),
    ):
        wanted = axes.count(",") + 1
        if values.ndim != wanted or values.shape[-1] != ATTRIBUTE_COUNT or 0 in values.shape:
            raise ReactdiffError(f"its shape {values.shape} is not {axes}", where=name, todo="give REACT's attributes")
        if values.dtype.kind not in "fiub":
            raise ReactdiffError(f"it holds {values.dtype}, not numbers", where=name, todo="give REACT's attributes")
    if speaker.shape[0] != prediction.shape[0] or speaker.shape[1] != prediction.shape[2]:
        raise ReactdiffError(
            f"{speaker.shape[0]} speakers of {speaker.shape[1]} frames do not fit predictions for "
            f"{prediction.shape[0]} speakers of {prediction.shape[2]} frames", where="speaker",
            todo="give one clip a speaker, as long as its predictions",
        )  # fmt: skip


def check_set(prediction: Array, listener: Array, speaker: Array, neighbour: NDArray[Any]) -> None:
    """Raises ReactdiffError where the four arrays of `evaluate_reactions` are not what they should be."""
    check_axes(prediction, listener, speaker)
    for name, values in (("prediction", prediction), ("listener", listener), ("speaker", speaker)):
        check_attributes(values, name)
    if listener.shape[1] != prediction.shape[2]:
        raise ReactdiffError(
            f"real reactions of {listener.shape[1]} frames do not fit predictions of {prediction.shape[2]}",
            where="listener", todo="cut both to one length, or use mars for clips of several lengths",
        )  # fmt: skip
    check_neighbours(neighbour, len(prediction), len(listener))


def check_neighbours(neighbour: NDArray[Any], speakers: int, listeners: int) -> None:
    """Raises ReactdiffError unless `neighbour` is (speakers, listeners) of 0 and 1 with a 1 in each row."""
    if neighbour.shape != (speakers, listeners):
        raise ReactdiffError(
            f"its shape {neighbour.shape} is not {(speakers, listeners)}", where="neighbour",
            todo="give one row a speaker and one column a real reaction",
        )  # fmt: skip
    if neighbour.dtype.kind not in "fiub" or not np.isin(neighbour, (0, 1)).all():
        raise ReactdiffError("it is not of 0 and 1", where="neighbour", todo="1 marks an appropriate reaction")
    empty = np.flatnonzero(~neighbour.astype(bool).any(1))
    if len(empty):
        raise ReactdiffError(
            "a speaker has no appropriate reaction", where=f"neighbour, row {empty[0]}", todo="leave that speaker out"
        )
