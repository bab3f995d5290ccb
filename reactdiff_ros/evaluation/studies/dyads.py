"""`evaluate dyads`: does a listener smile with real people as real people do?

The speaker's smile, cheeks and gaze go in, all else is unobserved; the listener's smile comes out. C, p and D_marg
are those of `coupling`; what passes must hold all three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.datasets.dyads import folds, read_dyads
from reactdiff_ros.datasets.recording import Recording, stack
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics import coupling as measures
from reactdiff_ros.evaluation.metrics.coupling import Matrix, People
from reactdiff_ros.evaluation.metrics.events import smile_curve
from reactdiff_ros.evaluation.studies.listeners import (
    Listens,
    ModelListens,
    PolicyListens,
    SimulatorListens,
    natural_conditions,
    repeated,
    untold,
)
from reactdiff_ros.evaluation.studies.provenance import provenance
from reactdiff_ros.model.conditions import CONTROL_COUNT
from reactdiff_ros.model.sampler import Conditions
from reactdiff_ros.model.style import style_of
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.types import FloatArray

SYSTEMS: Final = ("model", "shuffled", "real", "random", "mime", "rules", "policy", "still")
Told = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Calls:
    """Recorded calls, cut to one length: N = calls x 2 directions."""

    recordings: tuple[Recording, ...]
    speaker: SpeakerBatch
    """(N, T)."""
    speaker_smile: Matrix
    """(N, T) AU12."""
    listener_smile: Matrix
    people: People
    real: Matrix
    """(N, 5) marginals of the real listeners."""
    pairs: tuple[str, ...]

    def fold_rows(self, fold: int, count: int) -> NDArray[np.intp]:
        """Rows of the pairs that fold `fold` (from 0) of `count` holds out."""
        held = {r.pair for r in folds(self.recordings, count)[fold][1]}
        return np.array([i for i, r in enumerate(self.recordings) if r.pair in held], dtype=np.intp)


def read_calls(folder: Path) -> Calls:
    """The recordings of a folder, see `datasets.dyads`.

    Raises:
        ReactdiffError: as `read_dyads`; or there are fewer than two pairs.
    """
    recordings = tuple(read_dyads(folder))
    pairs = tuple(sorted({r.pair for r in recordings}))
    if len(pairs) < 2:
        raise ReactdiffError("one pair alone cannot be compared with another", where=str(folder), todo="add pairs")
    speaker, listener, _ = stack(recordings, min(r.frames for r in recordings))
    shown = au12(listener)
    return Calls(
        recordings=recordings,
        speaker=speaker,
        speaker_smile=au12(speaker.coefficients),
        listener_smile=shown,
        people=People(np.array([pairs.index(r.pair) for r in recordings], dtype=np.intp)),
        real=measures.marginals(shown),
        pairs=pairs,
    )


def au12(coefficients: FloatArray) -> Matrix:
    """AU12 of coefficients (..., 58): the inverse of the map by which recordings were read."""
    return np.asarray(smile_curve(coefficients) * measures.AU12_OF_SMILE, dtype=np.float64)


def person_conditions(calls: Calls, rows: NDArray[np.intp], seed: int, known: Sequence[Recording]) -> Conditions:
    """Each row as a recorded person with the style of a random one of `known`, never of the row's own pair."""
    rng = np.random.default_rng([seed, 31])
    styles, given = [], []
    for row in rows:
        others = [r for r in known if r.pair != calls.recordings[row].pair]
        other = others[int(rng.integers(len(others)))]
        values, flags = style_of(other.listener[None], other.observed.any(0))
        styles.append(values)
        given.append(flags)
    nothing = np.zeros((1, CONTROL_COUNT), dtype=np.float32)
    return repeated(nothing, nothing, np.concatenate(styles), np.concatenate(given), len(rows), real=True)


@dataclass(slots=True)
class Table:
    """Figures of every system by name, and curves for plots."""

    figures: dict[str, Any] = field(default_factory=dict)
    smiles: dict[str, Matrix] = field(default_factory=dict)


def figures_of(calls: Calls, shown: Matrix, seed: int, permutations: int) -> dict[str, Any]:
    """C, p, D_marg of listeners' AU12 (N, T), with the interval of C over pairs and whether all three bounds hold."""
    rng = np.random.default_rng([seed, 32])
    cross = measures.cross_coupling(calls.speaker_smile, shown)
    c = measures.coupling(cross)
    p = measures.permutation_p(cross, calls.people, rng, permutations)
    low, high = measures.pair_interval(cross, calls.people, rng)
    theirs = measures.marginals(shown)
    d = measures.marginal_distance(theirs, calls.real)
    scale = calls.real.std(0)
    each = {
        name: measures.wasserstein(theirs[:, i], calls.real[:, i]) / float(scale[i])
        for i, name in enumerate(measures.MARGINALS)
    }
    return {
        "C": c, "C_low": low, "C_high": high, "p": p, "D_marg": d, "D_by_marginal": each,
        "passes": measures.passes(c, p, d),
    }  # fmt: skip


def evaluate_dyads(
    calls: Calls,
    models: Sequence[ModelListens],
    *,
    systems: Sequence[str] = SYSTEMS,
    seed: int = 0,
    permutations: int = 5000,
    told: Callable[[str, float], None] = lambda name, share: None,
) -> Table:
    """Figures of the systems in `systems`.

    Args:
        calls: the recordings.
        models: one model, tested on all calls; or one for each fold, each tested on the pairs that it never saw.
        systems: of SYSTEMS.
        seed: of styles, noise and permutations.
        permutations: of speakers across pairs.
        told: is told (system, share done).

    Raises:
        ReactdiffError: the models are not those of the folds.
    """
    table = Table()
    count = len(calls.recordings)
    for name in systems:
        told(name, 0.0)
        if name == "model":
            shown, facts = _of_models(calls, models, seed)
        elif name == "shuffled":
            if "model" not in table.smiles:
                continue
            shown, facts = _moved(calls, table.smiles["model"]), {}
        elif name == "real":
            shown, facts = calls.listener_smile, _real(calls, seed)
        elif name == "random":
            shown, facts = _strangers(calls), {}
        elif name == "still":
            shown, facts = np.zeros_like(calls.listener_smile), {}
        else:
            listener = _baseline(name, lambda done, name=name: told(name, done / count))  # type: ignore[misc]
            shown, facts = au12(listener.run(calls.speaker, untold(count), seed + 1 + np.arange(count))), {}
        table.figures[name] = {**figures_of(calls, shown, seed, permutations), **facts}
        table.smiles[name] = shown
        told(name, 1.0)
    return table


def _baseline(name: str, progress: Callable[[int], None]) -> Listens:
    return SimulatorListens(perceiving=True) if name == "policy" else PolicyListens(name, progress)


def _real(calls: Calls, seed: int) -> dict[str, Any]:
    """How far one half of the pairs is from the other."""
    halves = measures.real_against_real(calls.real, calls.people, np.random.default_rng([seed, 33]))
    assert halves is not None
    return {"D_marg": halves[0], "D_marg_95": halves[1]}


def _strangers(calls: Calls) -> Matrix:
    """Each listener is a real one of the next pair."""
    return _moved(calls, calls.listener_smile)


def _moved(calls: Calls, smiles: Matrix) -> Matrix:
    """Each row has listened to the next pair: as good as the other, but to somebody else."""
    rows = [calls.people.rows((pair + 1) % calls.people.count) for pair in range(calls.people.count)]
    out = np.empty_like(smiles)
    for pair in range(calls.people.count):
        own = calls.people.rows(pair)
        out[own] = smiles[np.resize(rows[pair], len(own))]
    return out


def _of_models(calls: Calls, models: Sequence[ModelListens], seed: int) -> tuple[Matrix, dict[str, Any]]:
    shown = np.zeros_like(calls.listener_smile)
    if len(models) == 1:
        rows = np.arange(len(calls.recordings), dtype=np.intp)
        shown[:] = _run(calls, models[0], rows, seed, calls.recordings)
        past = provenance(models[0].weights)
        held = past.held_out
        note = (
            "the model was trained on other recorded people"
            if past.real
            else "the model was not trained on recorded people"
        )
        if past.calls:
            note = "the model was trained on these calls" + (f" but for fold {past.fold}" if held is not None else "")
        return shown, {"saw_these_pairs": past.calls, "note": note}
    order = _folds_of(models)
    for fold, model in enumerate(order):
        rows = calls.fold_rows(fold, len(models))
        shown[rows] = _run(calls, model, rows, seed + fold, folds(calls.recordings, len(models))[fold][0])
    return shown, {"saw_these_pairs": False, "note": f"each of {len(models)} models on the pairs held out from it"}


def _folds_of(models: Sequence[ModelListens]) -> list[ModelListens]:
    """The models in the order of their folds, each of which must be there once and trained on recorded people."""
    by_fold: dict[int, ModelListens] = {}
    for model in models:
        past = provenance(model.weights)
        held = past.held_out
        if held is None or held[1] != len(models) or held[0] in by_fold:
            raise ReactdiffError(
                f"the weights hold fold {past.fold or 'none'} out, which does not make {len(models)} folds",
                where=str(model.weights.folder), todo=f"train with --fold 1/{len(models)} to the last",
            )  # fmt: skip
        by_fold[held[0]] = model
    return [by_fold[i] for i in range(len(models))]


def _run(calls: Calls, model: ModelListens, rows: NDArray[np.intp], seed: int, known: Sequence[Recording]) -> Matrix:
    """As a recorded person whom training has met, or, where it met none, under the default style as live: networks
    that never saw the source "real" do not know what it means.
    """
    if provenance(model.weights).real:
        conditions = person_conditions(calls, rows, seed, known)
    else:
        conditions = natural_conditions(len(rows))
    return au12(model.run(calls.speaker.take(rows), conditions, 1000 * (seed + 1) + rows))
