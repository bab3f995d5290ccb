"""The metrics of REACT2025 and REACT2026 on MARS: 30 frames a second, clips of any length, lists of targets.

Every speaker has a list of as many targets as predictions: its own listener's reaction first, the others drawn from
the same session with a stated seed. FRSyn is of the first prediction, in frames, with the reach of 25 frames a second
that the challenge's code keeps at 30. The challenge brings targets to the length of a prediction with a network of its
own; here both are cut to the shorter one, except for FRD, whose alignment needs no equal lengths.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics import react
from reactdiff_ros.evaluation.metrics.coupling import lag_correlations, reach, reference_lags
from reactdiff_ros.evaluation.metrics.react import (
    REFERENCE_RATE_HZ,
    ReactMetrics,
    Work,
    between_speakers,
    check_axes,
    check_neighbours,
    compile_kernels,
    diversity_of,
)
from reactdiff_ros.types import OnProgress

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
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ReactdiffError(
                "it is one array, not an .npz of several", where=str(path), todo=f"save {', '.join(NAMES)} in it"
            )
        with file:
            missing = [name for name in NAMES if name not in file]
            if missing:
                raise ReactdiffError(
                    f"it has no array named {' or '.join(missing)}", where=str(path), todo=f"save {', '.join(NAMES)}"
                )
            return {name: np.asarray(file[name]) for name in (*NAMES, *FRAMES) if name in file}
    except ReactdiffError:
        raise
    except MemoryError as error:
        raise ReactdiffError("its arrays do not fit into memory", where=str(path), todo="give fewer clips") from error
    except Exception as error:  # a broken header or a broken stream makes numpy raise anything
        raise ReactdiffError(
            "it cannot be read as .npz, or holds Python objects", where=str(path),
            todo=f"save plain numbers with numpy.savez ({error})",
        ) from error  # fmt: skip


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
        raise ReactdiffError(
            f"lengths of shape {frames.shape} are not {len(values)} whole numbers from 1 to {longest}", where=name,
            todo="give how many frames of each clip count",
        )  # fmt: skip
    return [clip[(slice(None),) * axis + (slice(0, int(n)),)] for clip, n in zip(values, frames, strict=True)]


Array = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]

RATE_HZ: Final = 30.0
TARGETS: Final = 10
SEED: Final = 1234
"""The challenge's own seed of the lists."""
SAME: Final = 1e-6
"""Predictions that differ from the targets by no more than this are the targets."""


def evaluate_mars(
    predictions: Sequence[Array],
    targets: Sequence[Sequence[Array]],
    speakers: Sequence[Array],
    *,
    rate_hz: float = RATE_HZ,
    workers: int = 1,
    timer: Callable[[], float] = lambda: 0.0,
    progress: OnProgress = lambda share: None,
) -> ReactMetrics:
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
    this for its ground truth; `forced_identity` tells. FRDvs needs equal lengths, and is NaN without.

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
    own = {
        "FRC": work.each("FRC", lambda pair: _correlation(*pair), pairs, 0.0, 0.1),
        "FRD": work.each("FRD", lambda pair: react.distance(*pair), pairs, 0.1, 0.9),
        "FRDiv": work.each("FRDiv", diversity_of, predictions, 0.9, 0.91),
        "FRVar": work.each("FRVar", react.variance, predictions, 0.91, 0.92),
        "FRSyn": work.each(
            "FRSyn",
            lambda pair: reference_lags(lag_correlations(pair[0][:1], np.asarray(pair[1], dtype=np.float32), most))[0],
            list(zip(predictions, speakers, strict=True)), 0.92, 0.98,
        ),
        "MAE": work.each("MAE", lambda pair: _absolute(*pair), pairs, 0.98, 1.0),
    }  # fmt: skip
    identical = all(_is_target(p, t) for p, t in pairs)
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


def _correlation(predictions: Array, targets: Sequence[Array]) -> float:
    best = np.full(len(predictions), -np.inf)
    for target in targets:
        frames = min(predictions.shape[1], len(target))
        found = react.concordances(predictions[:, :frames], target[None, :frames]).mean(-1)[:, 0]
        best = np.maximum(best, found)
    return float(best.sum())


def _absolute(predictions: Array, targets: Sequence[Array]) -> float:
    """Mean absolute difference of valence, arousal and expressions over all predictions and targets."""
    found = []
    for target in targets:
        frames = min(predictions.shape[1], len(target))
        found.append(float(np.abs(predictions[:, :frames, 15:] - target[None, :frames, 15:]).mean()))
    return float(np.mean(found))


def _is_target(predictions: Array, targets: Sequence[Array]) -> bool:
    return len(predictions) == len(targets) and all(
        p.shape == t.shape and bool((np.abs(p - t) <= SAME).all()) for p, t in zip(predictions, targets, strict=True)
    )


def _check(predictions: Sequence[Array], targets: Sequence[Sequence[Array]], speakers: Sequence[Array]) -> None:
    if not len(predictions) == len(targets) == len(speakers) or not len(predictions):
        raise ReactdiffError(
            f"{len(predictions)} sets of predictions, {len(targets)} lists of targets and {len(speakers)} speakers do "
            "not belong together", where="mars", todo="give one of each for every speaker",
        )  # fmt: skip
    for i, (made, real, heard) in enumerate(zip(predictions, targets, speakers, strict=True)):
        where = f"speaker {i}"
        react.check_attributes(made, f"{where}, predictions")
        react.check_attributes(heard, f"{where}, the speaker")
        if made.ndim != 3 or heard.ndim != 2 or made.shape[1] != heard.shape[0]:
            raise ReactdiffError(
                f"predictions {made.shape} and a speaker {heard.shape} are not (K, T, 25) and (T, 25)", where=where,
                todo="make predictions as long as their speaker",
            )  # fmt: skip
        if not len(real):
            raise ReactdiffError("there is no target", where=where, todo="leave that speaker out")
        for target in real:
            react.check_attributes(target, f"{where}, targets")


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
        react.check_attributes(values, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                np.save(file, np.asarray(values, dtype=np.float32), allow_pickle=False)
        except FileExistsError as error:
            raise ReactdiffError("the file is there already", where=str(path), todo="choose another folder") from error
        except OSError as error:
            raise ReactdiffError("predictions cannot be written", where=str(path), todo=str(error.strerror)) from error
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
