"""REACT's metrics of a whole set of reactions, as the challenge's code has them or with its faults mended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics import react
from reactdiff_ros.evaluation.metrics.react_dtw import compile_kernels
from reactdiff_ros.evaluation.metrics.synchrony import lag_correlations, reach, reference_lags, signed_lags
from reactdiff_ros.types import REACTION_RATE_HZ

Array = NDArray[np.floating[Any]]
Values = NDArray[np.float64]
Compat = Literal["default", "react2024"]
Told = Callable[[float], None]

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
    told: Told = lambda share: None,
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
        told: share of the work that is done.

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
    work = Work(workers, timer, told)
    own = {
        "FRC": work.each("FRC", lambda pair: react.correlation(*pair), pairs, 0.0, 0.1),
        "FRD": work.each("FRD", lambda pair: react.distance(*pair), pairs, 0.1, 0.9),
        "FRDiv": work.each("FRDiv", diversity_of, prediction, 0.9, 0.91),
        "FRVar": work.each("FRVar", react.variance, prediction, 0.91, 0.92),
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
    return react.diversity(predictions) if len(predictions) > 1 else float("nan")


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
    told: Told
    seconds: dict[str, float]

    def __init__(self, workers: int, timer: Callable[[], float], told: Told) -> None:
        self.workers, self.timer, self.told, self.seconds = workers, timer, told, {}

    def each(
        self, name: str, measure: Callable[[Any], Any], items: Sequence[Any] | Array, begin: float, end: float
    ) -> Values:
        """The measure of every item in order; the share told goes from `begin` to `end`."""
        start = self.timer()
        found = []
        with ThreadPoolExecutor(max(self.workers, 1)) as pool:
            made = pool.map(measure, items) if self.workers > 1 else map(measure, items)
            for value in made:
                found.append(value)
                self.told(begin + (end - begin) * len(found) / len(items))
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
        react.check_attributes(values, name)
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
