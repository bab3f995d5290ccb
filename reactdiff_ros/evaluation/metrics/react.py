"""REACT's metrics of a whole set of reactions, as the challenges' code has them or with its faults mended.

REACT2025 and REACT2026 on MARS (`evaluate_mars`) have 30 frames a second, clips of any length and lists of targets:
every speaker has as many targets as predictions, its own listener's reaction first, the others drawn from the same
session with a stated seed. FRSyn is of the first prediction, in frames, with the reach of 25 frames a second that the
challenge's code keeps at 30. The challenge brings targets to the length of a prediction with its own network; here
both are cut to the shorter one, except for FRD, whose alignment needs no equal lengths.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, AU, EXPRESSION, VALENCE_AROUSAL
from reactdiff_ros.errors import ReactdiffError, explained
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
    (all_rows, *wanted), begins = _stacked(predictions, targets, parts)
    weights = np.array([part.weight for part in parts])
    each = [np.ascontiguousarray(target[:, ::-1]) for target in wanted]
    around = [boxes(target, BOX) for target in wanted]
    for k, rows in enumerate(all_rows):
        best, own = np.inf, boxes(rows, BOX)
        # By the distance without warping: a near one first lets the others be abandoned early.
        gaps = [(rows[:, : t.shape[1]] - t[:, : rows.shape[1]]).ravel() for t in wanted]
        for m in np.argsort([float(gap @ gap) for gap in gaps], kind="stable"):
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


def best_correlation(predictions: Array, targets: Sequence[Array]) -> float:
    """FRC with targets of any length: each is compared over the time that both have."""
    best = np.full(len(predictions), -np.inf)
    for target in targets:
        frames = min(len(target), predictions.shape[1])
        found = concordances(predictions[:, :frames], target[None, :frames]).mean(-1)[:, 0]
        best = np.maximum(best, found)
    return float(best.sum())


def distance(predictions: Array, targets: Sequence[Array] | Array) -> float:
    """FRD of one speaker: the sum over predictions of the nearest target's warped distance. Lower is better.

    1/15 DTW(action units) + DTW(valence, arousal) + 1/8 DTW(expressions); the minimum is of this sum.
    """
    if len(predictions) > 1 and (predictions == predictions[:1]).all():
        return len(predictions) * distance(predictions[:1], targets)
    return float(nearest_distances(predictions, list(targets), FRD_PARTS).sum())


def diversity(predictions: Array) -> float:
    """FRDiv of one speaker: mean squared difference between its predictions, 2 x their unbiased variance."""
    if len(predictions) < 2:  # nothing to differ from
        return float("nan")
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


def speaker_diversities(distances: Values, weights: Values) -> Values:
    """FRDvs (B,) from `speaker_distances`, where `weights` (B, N) counts each speaker so many times (draws)."""
    pairs = weights.sum(1) ** 2 - (weights**2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(pairs > 0, ((weights @ distances) * weights).sum(1) / pairs, np.nan))


def speaker_diversity(distances: Values) -> float:
    """FRDvs from `speaker_distances`; NaN for one speaker."""
    return float(speaker_diversities(distances, np.ones((1, len(distances))))[0])


def check_attributes(values: Array, what: str) -> None:
    """Raises ReactdiffError if `values` (..., T, 25) are of another width, empty or not finite."""
    if values.ndim < 2 or values.shape[-1] != ATTRIBUTE_COUNT or 0 in values.shape:
        todo = "give 15 action units, valence, arousal and 8 expression probabilities a frame"
        shape = f"attributes of shape {values.shape} are not (..., frames, {ATTRIBUTE_COUNT})"
        raise ReactdiffError(shape, where=what, todo=todo)
    if not np.isfinite(values).all():
        raise ReactdiffError(
            "attributes hold values that are not numbers", where=what, todo="repair or drop those clips"
        )


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
    prediction: Array, listener: Array, speaker: Array, neighbour: NDArray[Any], *, compat: Compat = "default",
    rate_hz: float = REACTION_RATE_HZ, workers: int = 1, timer: Callable[[], float] = lambda: 0.0,
    progress: OnProgress = lambda share: None,
) -> ReactMetrics:  # fmt: skip
    """All metrics of N speakers with K predictions each.

    Args:
        prediction: (N, K, T, 25) attributes.
        listener: (M, T, 25) real reactions.
        speaker: (N, T, 25).
        neighbour: (N, M), 1 where a real reaction is appropriate for a speaker.
        compat: "react2024" is the challenge's own code: FRSyn is the mean lag in frames without its sign, and 49 as
            soon as one channel is constant; FRSyn_first is of the first prediction alone. "default" is the signed
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
        what = f"the challenge of 2024 knows 25 frames a second only, not {rate_hz:g}"
        raise ReactdiffError(what, where="rate", todo="use the default mode")
    if not (np.isfinite(rate_hz) and 1.0 <= rate_hz <= 1000.0):
        raise ReactdiffError(f"a rate of {rate_hz:g} frames a second cannot be", where="rate", todo="give 1 to 1000")
    prediction, listener, speaker = (np.asarray(a, dtype=np.float32) for a in (prediction, listener, speaker))
    chosen = [np.flatnonzero(row) for row in neighbour]
    pairs = [(p, listener[c]) for p, c in zip(prediction, chosen, strict=True)]
    heard = list(zip(prediction, speaker, strict=True))
    compile_kernels()
    work = Work(workers, timer, progress)
    own = work.of_reactions(correlation, pairs, prediction)
    figures = {name: float(values.mean()) for name, values in own.items()}
    start = timer()
    figures["FRDvs"] = between_speakers(prediction)
    work.seconds["FRDvs"] = timer() - start
    most, peaks = reach(rate_hz), reference_lags if compat == "react2024" else signed_lags
    lags = work.each("FRSyn", lambda pair: peaks(lag_correlations(pair[0], pair[1], most)), heard, 0.92, 1.0)
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


def mean_of(values: Values) -> float:
    """Mean of what is defined; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


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
            values = pool.map(measure, items) if self.workers > 1 else map(measure, items)
            for value in values:
                found.append(value)
                self.progress(begin + (end - begin) * len(found) / len(items))
        self.seconds[name] = self.timer() - start
        return np.array(found, dtype=np.float64)

    def of_reactions(
        self, agreement: Callable[..., float], pairs: Sequence[Any], predictions: Sequence[Any] | Array
    ) -> dict[str, Values]:
        """FRC (by `agreement`) and FRD of pairs of predictions and targets, FRDiv and FRVar of the predictions."""
        return {
            "FRC": self.each("FRC", lambda pair: agreement(*pair), pairs, 0.0, 0.1),
            "FRD": self.each("FRD", lambda pair: distance(*pair), pairs, 0.1, 0.9),
            "FRDiv": self.each("FRDiv", diversity, predictions, 0.9, 0.91),
            "FRVar": self.each("FRVar", variance, predictions, 0.91, 0.92),
        }


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
        what = f"real reactions of {listener.shape[1]} frames do not fit predictions of {prediction.shape[2]}"
        todo = "cut both to one length, or use mars for clips of several lengths"
        raise ReactdiffError(what, where="listener", todo=todo)
    check_neighbours(neighbour, len(prediction), len(listener))


def check_neighbours(neighbour: NDArray[Any], speakers: int, listeners: int) -> None:
    """Raises ReactdiffError unless `neighbour` is (speakers, listeners) of 0 and 1 with a 1 in each row."""
    if neighbour.shape != (speakers, listeners):
        what, todo = (
            f"its shape {neighbour.shape} is not {(speakers, listeners)}",
            "give one row a speaker and one column a real reaction",
        )
        raise ReactdiffError(what, where="neighbour", todo=todo)
    if neighbour.dtype.kind not in "fiub" or not np.isin(neighbour, (0, 1)).all():
        raise ReactdiffError("it is not of 0 and 1", where="neighbour", todo="1 marks an appropriate reaction")
    empty = np.flatnonzero(~neighbour.astype(bool).any(1))
    if len(empty):
        where = f"neighbour, row {empty[0]}"
        raise ReactdiffError("a speaker has no appropriate reaction", where=where, todo="leave that speaker out")


NAMES: Final = ("prediction", "listener", "speaker", "neighbour")
FRAMES: Final = ("frames", "listener_frames")
"""Lengths of padded clips, (N,) and (M,): optional, for mars."""


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """prediction, listener, speaker, neighbour, and frames and listener_frames where they are.

    Raises:
        ReactdiffError: the file is missing, cut off, no .npz, lacks an array, or holds Python objects.
    """
    if not path.is_file():
        raise ReactdiffError("there is no such file", where=str(path), todo="name an .npz file")
    save = f"save {', '.join(NAMES)} in it"
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ReactdiffError("it is one array, not an .npz of several", where=str(path), todo=save)
        with file:
            if missing := [name for name in NAMES if name not in file]:
                raise ReactdiffError(f"it has no array named {' or '.join(missing)}", where=str(path), todo=save)
            return {name: np.asarray(file[name]) for name in (*NAMES, *FRAMES) if name in file}
    except ReactdiffError:
        raise
    except MemoryError as error:
        raise ReactdiffError("its arrays do not fit into memory", where=str(path), todo="give fewer clips") from error
    except Exception as error:  # a broken header or a broken stream makes numpy raise anything
        what, todo = (
            "it cannot be read as .npz, or holds Python objects",
            f"save plain numbers with numpy.savez ({error})",
        )
        raise ReactdiffError(what, where=str(path), todo=todo) from error


def unpadded(values: NDArray[Any], frames: NDArray[Any] | None, name: str, axis: int) -> list[NDArray[Any]]:
    """Each clip of `values` cut to its number of frames, which lie on `axis` of a clip; all whole where None.

    Raises:
        ReactdiffError: lengths of another count, or beyond the clips.
    """
    if frames is None:
        return list(values)
    longest = values.shape[axis + 1]
    good = frames.shape == (len(values),) and frames.dtype.kind in "iu"
    if not good or (frames < 1).any() or (frames > longest).any():
        what = f"lengths of shape {frames.shape} are not {len(values)} whole numbers from 1 to {longest}"
        raise ReactdiffError(what, where=name, todo="give how many frames of each clip count")
    return [clip[(slice(None),) * axis + (slice(0, int(n)),)] for clip, n in zip(values, frames, strict=True)]


Indices = NDArray[np.intp]

RATE_HZ: Final = 30.0
TARGETS: Final = 10
SEED: Final = 1234
"""The challenge's own seed of the lists."""
SAME: Final = 1e-6
"""Predictions that differ from the targets by no more than this are the targets."""


def evaluate_mars(
    predictions: Sequence[Array], targets: Sequence[Sequence[Array]], speakers: Sequence[Array], *,
    rate_hz: float = RATE_HZ, workers: int = 1, timer: Callable[[], float] = lambda: 0.0,
    progress: OnProgress = lambda share: None,
) -> ReactMetrics:  # fmt: skip
    """FRC, FRD, FRDiv (smse), FRVar, FRSyn (TLCC) and MAE of N speakers.

    Args:
        predictions: of each speaker (K, T, 25).
        targets: of each speaker a list of (T', 25), see `target_lists`.
        speakers: of each speaker (T, 25).
        rate_hz: frames a second, for FRSyn_ms alone.
        workers: threads.
        timer: seconds of a clock, for `seconds`.
        progress: receives the completed fraction.

    Where every prediction is its target, FRC is K (a constant channel would count 0 otherwise): the challenge forces
    this for its ground truth; `forced_identity` says so. FRDvs needs equal lengths, and is NaN without.

    Raises:
        ReactdiffError: the lists do not fit, or a value is not finite.
        ModuleNotFoundError: numba is not installed.
    """
    _check(predictions, targets, speakers)
    predictions = [np.asarray(p, dtype=np.float32) for p in predictions]
    targets = [[np.asarray(t, dtype=np.float32) for t in of] for of in targets]
    compile_kernels()
    work = Work(workers, timer, progress)
    pairs = list(zip(predictions, targets, strict=True))
    most = reach(REFERENCE_RATE_HZ)
    heard = [(p[:1], np.asarray(s, dtype=np.float32)) for p, s in zip(predictions, speakers, strict=True)]
    own = work.of_reactions(best_correlation, pairs, predictions)

    def lag(pair: tuple[Array, Array]) -> Any:
        return reference_lags(lag_correlations(pair[0], pair[1], most))[0]

    lags = work.each("FRSyn", lag, heard, 0.92, 0.98)
    own |= {"FRSyn": lags, "MAE": work.each("MAE", lambda pair: _absolute(*pair), pairs, 0.98, 1.0)}
    identical = all(
        [p.shape for p in made] == [t.shape for t in real]
        and all((np.abs(p - t) <= SAME).all() for p, t in zip(made, real, strict=True))
        for made, real in pairs
    )
    if identical:
        own["FRC"] = np.array([float(len(p)) for p in predictions])
    figures = {name: float(values.mean()) for name, values in own.items()}
    equal = len({p.shape for p in predictions}) == 1
    figures["FRDvs"] = between_speakers(predictions) if equal else float("nan")
    figures["FRSyn_first"] = figures["FRSyn"]
    figures["FRSyn_ms"] = figures["FRSyn"] * 1e3 / rate_hz
    settings = {
        "compat": "mars", "rate_hz": rate_hz, "predictions": len(predictions[0]), "speakers": len(predictions),
        "FRSyn_unit": "frames", "forced_identity": identical,
    }  # fmt: skip
    return ReactMetrics(figures, own, work.seconds, settings)


def _absolute(predictions: Array, targets: Sequence[Array]) -> float:
    """Mean absolute difference of valence, arousal and expressions over all predictions and targets."""
    found = []
    for target in targets:
        frames = min(predictions.shape[1], len(target))
        found.append(float(np.abs(predictions[:, :frames, 15:] - target[None, :frames, 15:]).mean()))
    return float(np.mean(found))


def _check(predictions: Sequence[Array], targets: Sequence[Sequence[Array]], speakers: Sequence[Array]) -> None:
    if not len(predictions) == len(targets) == len(speakers) or not len(predictions):
        counts = f"{len(predictions)} sets of predictions, {len(targets)} lists of targets and {len(speakers)} speakers"
        raise ReactdiffError(
            f"{counts} do not belong together", where="mars", todo="give one of each for every speaker"
        )
    for i, (shown, real, heard) in enumerate(zip(predictions, targets, speakers, strict=True)):
        where = f"speaker {i}"
        check_attributes(shown, f"{where}, predictions")
        check_attributes(heard, f"{where}, the speaker")
        if shown.ndim != 3 or heard.ndim != 2 or shown.shape[1] != heard.shape[0]:
            what = f"predictions {shown.shape} and a speaker {heard.shape} are not (K, T, 25) and (T, 25)"
            raise ReactdiffError(what, where=where, todo="make predictions as long as their speaker")
        if not len(real):
            raise ReactdiffError("there is no target", where=where, todo="leave that speaker out")
        for target in real:
            check_attributes(target, f"{where}, targets")


def target_lists(sessions: Sequence[str], names: Sequence[str], *, count: int = TARGETS, seed: int = SEED) -> Indices:
    """(N, count) which reactions are the targets of each of N speakers: the own one first, others of the session.

    Args:
        sessions: session of each item; items of one role only (call once for each role).
        names: file name of each item, unique in its session.
        count: targets of a speaker.
        seed: of Python's generator, as the challenge draws them; sessions and files go in the order of their names.

    A session of fewer than `count` reactions gives some twice; one with a single reaction gives that one `count` times.
    """
    generator = random.Random(seed)
    order = sorted(range(len(names)), key=lambda i: (sessions[i], names[i]))
    out = np.zeros((len(names), count), dtype=np.intp)
    for i in order:
        others = [j for j in order if sessions[j] == sessions[i] and j != i]
        out[i] = _drawn(i, others, count, generator)
    return out


def _drawn(own: int, others: list[int], count: int, generator: random.Random) -> list[int]:
    if len(others) >= count - 1:
        return [own, *generator.sample(others, count - 1)]
    # Without others nothing is drawn, so that the next speaker's list is the challenge's.
    return [own, *(generator.choices(others, k=count - 1) if others else [own] * (count - 1))]


def lists_of_matrix(neighbour: NDArray[Any], *, count: int = TARGETS, seed: int = SEED) -> list[list[int]]:
    """`count` targets of each speaker from a matrix (N, M) of 0 and 1: its own column first where that is 1."""
    generator = random.Random(seed)
    out = []
    for i, row in enumerate(neighbour):
        known = np.flatnonzero(row).tolist()
        own = i if i in known else known[0]
        out.append(_drawn(own, [j for j in known if j != own], count, generator))
    return out


def export_mars(folder: Path, predictions: Mapping[str, Array], *, count: int = TARGETS) -> list[Path]:
    """Write one (count, T, 25) float32 array a speaker as FOLDER/NAME.npy; NAME may have folders in it.

    Raises:
        ReactdiffError: another shape, a name that leaves the folder, a file that is there already, or a full disk.
    """
    paths = []
    for name, values in predictions.items():
        path = folder / f"{name}.npy"
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ReactdiffError("a name leads out of the folder", where=name, todo="give names below it")
        if values.ndim != 3 or values.shape[0] != count or values.shape[2] != ATTRIBUTE_COUNT:
            raise ReactdiffError(f"its shape {values.shape} is not ({count}, frames, 25)", where=name)
        check_attributes(values, name)
        with (
            explained(OSError, "predictions cannot be written", where=path),
            explained(FileExistsError, "the file is there already", where=path, todo="choose another folder"),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                np.save(file, np.asarray(values, dtype=np.float32), allow_pickle=False)
        paths.append(path)
    return paths


def evaluate_mars_arrays(
    data: Mapping[str, NDArray[Any]], *, rate_hz: float = RATE_HZ, seed: int = SEED, **options: Any
) -> ReactMetrics:
    """As `evaluate_mars`, of arrays as `load_arrays` returns them.

    Args:
        data: prediction, listener, speaker and neighbour; with frames and listener_frames where clips are padded.
        rate_hz: frames per second.
        seed: of the lists of targets.
        options: as those of `evaluate_mars`.

    Raises:
        ReactdiffError: shapes do not fit, or a value is not finite.
    """
    check_axes(data["prediction"], data["listener"], data["speaker"])
    check_neighbours(data["neighbour"], len(data["prediction"]), len(data["listener"]))
    frames = data.get("frames")
    predictions = unpadded(data["prediction"], frames, "frames", 1)
    speakers = unpadded(data["speaker"], frames, "frames", 0)
    listeners = unpadded(data["listener"], data.get("listener_frames"), "listener_frames", 0)
    lists = lists_of_matrix(data["neighbour"], count=data["prediction"].shape[1], seed=seed)
    targets = [[listeners[j] for j in chosen] for chosen in lists]
    found = evaluate_mars(predictions, targets, speakers, rate_hz=rate_hz, **options)
    return replace(found, settings={**found.settings, "seed": seed})
