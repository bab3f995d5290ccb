"""`evaluate dyads`: does a listener smile with real people as real people do?

The speaker's smile, cheeks and gaze go in, all else is unobserved; the listener's smile comes out. C, p and D_marg
are those of `coupling`; what passes must hold all three.

All calls are cut to the length of the shortest, so those that are much shorter than the others are left out; as are
those of which too little of a smile was observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, SMILE
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bounds import passes
from reactdiff_ros.evaluation.listeners import StreamListener, natural_conditions, no_conditions, provenance
from reactdiff_ros.evaluation.metrics import coupling as measures
from reactdiff_ros.evaluation.metrics.coupling import Matrix, People
from reactdiff_ros.evaluation.metrics.events import smile_curve
from reactdiff_ros.evaluation.results import Figure, Info, Item, Metric, Result, Study, System
from reactdiff_ros.evaluation.runs.scoring import CURVES, STUDY_ROLES, with_curves
from reactdiff_ros.model.diffusion.conditions import CONTROL_COUNT, STYLE_COUNT
from reactdiff_ros.model.diffusion.sampler import Conditions
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.style import style_of
from reactdiff_ros.recordings.datasets.dyads import folds, read_dyads
from reactdiff_ros.recordings.datasets.recording import Recording, stack
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, OnProgress

SYSTEMS: Final = ("model", "shuffled", "real", "random", "mime", "rules", "policy", "still")
LEAST_LENGTH: Final = 0.5
"""Share of the median length that a call must have."""
SHORTEST_S: Final = 10.0
"""And what it must have at the least: shorter calls hold next to no smiles."""
LEAST_KNOWN: Final = 0.75
"""Share of the frames in which AU12 of either person must be known: any two people then share half of the frames."""
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Calls:
    """Recorded calls, cut to one length: N = calls x 2 directions."""

    recordings: tuple[Recording, ...]
    speaker: SpeakerBatch
    """(N, T)."""
    speaker_smile: Matrix
    """(N, T) AU12, NaN in gaps."""
    listener_smile: Matrix
    people: People
    real: Matrix
    """(N, 5) marginals of the real listeners."""
    pairs: tuple[str, ...]
    found: tuple[Recording, ...]
    """All of the folder, those left out too: training makes its folds of these."""
    left_out: Mapping[str, str]
    """Why a call is not among them, by "PAIR/SESSION"."""

    @property
    def frames(self) -> int:
        """T."""
        return self.speaker_smile.shape[1]

    def fold_rows(self, fold: int, count: int) -> NDArray[np.intp]:
        """Rows of the pairs that fold `fold` (from 0) of `count` holds out."""
        held = {r.pair for r in folds(self.found, count)[fold][1]}
        return np.array([i for i, r in enumerate(self.recordings) if r.pair in held], dtype=np.intp)


def read_calls(folder: Path) -> Calls:
    """The recordings of a folder, see `datasets.dyads`, without the calls that are too short or known too little of.

    Raises:
        ReactdiffError: as `read_dyads`; fewer than two pairs are left; or no smile moves.
    """
    found = tuple(read_dyads(folder))
    left_out = too_short(found)
    recordings = without(found, left_out)
    frames = min((r.frames for r in recordings), default=0)
    left_out |= _unknown(recordings, frames)
    recordings = without(recordings, left_out)
    pairs = tuple(sorted({r.pair for r in recordings}))
    if len(pairs) < 2:
        more = [f"and {len(left_out) - _NAMED} more"] if len(left_out) > _NAMED else []
        why = [f"{name} is left out: {reason}" for name, reason in list(left_out.items())[:_NAMED]]
        what = f"calls of two pairs of people and more are needed, {len(pairs)} can be used"
        raise ReactdiffError(what, where=str(folder), todo="; ".join(["add pairs", *why, *more]))
    speaker, listener, observed = stack(recordings, frames)
    shown = _known(listener, observed)
    if (np.nanstd(shown, axis=1) < measures.STILL).all():
        raise ReactdiffError("au12_r does not change in any of the calls", where=str(folder), todo="check these files")
    return Calls(
        recordings=recordings, speaker=speaker, real=measures.marginals(shown), pairs=pairs,
        speaker_smile=_known(speaker.coefficients, speaker.confidence > 0), listener_smile=shown,
        people=People(np.array([pairs.index(r.pair) for r in recordings], dtype=np.intp)),
        found=found, left_out=left_out,
    )  # fmt: skip


def _call(recording: Recording) -> str:
    return f"{recording.pair}/{recording.session}"


def without(recordings: Sequence[Recording], left_out: Mapping[str, str]) -> tuple[Recording, ...]:
    """The recordings but for those of the calls "PAIR/SESSION" in `left_out`."""
    return tuple(r for r in recordings if _call(r) not in left_out)


def too_short(recordings: Sequence[Recording]) -> dict[str, str]:
    """Why calls are too short next to the others, by their names."""
    length = {_call(r): r.frames / REACTION_RATE_HZ for r in recordings}
    least = max(SHORTEST_S, LEAST_LENGTH * float(np.median(list(length.values()))))
    return {name: f"it has {s:.1f} s where {least:.1f} s are needed" for name, s in length.items() if s < least}


def _unknown(recordings: Sequence[Recording], frames: int) -> dict[str, str]:
    """Why too little is known of calls in their first `frames` frames, by their names."""
    found: dict[str, str] = {}
    for r in recordings:
        share = float(r.observed[:frames, list(SMILE)].all(1).mean())
        if share < LEAST_KNOWN:
            known = f"is known in {share:.1%} of the frames where {LEAST_KNOWN:.0%} are needed"
            found.setdefault(_call(r), f"au12_r of {r.role} {known} ({r.names['au12_r']})")
    return found


def _known(coefficients: FloatArray, observed: NDArray[np.bool_]) -> Matrix:
    """AU12 of coefficients (..., 58), NaN where they were not `observed` (..., 58)."""
    return np.where(observed[..., list(SMILE)].all(-1), au12(coefficients), np.nan)


def au12(coefficients: FloatArray) -> Matrix:
    """AU12 of coefficients (..., 58): the inverse of the map by which recordings were read."""
    return np.asarray(smile_curve(coefficients) * measures.AU12_OF_SMILE, dtype=np.float64)


def person_conditions(calls: Calls, rows: NDArray[np.intp], seed: int, known: Sequence[Recording]) -> Conditions:
    """Each row as a recorded person with the style of a random one of `known`, never of the row's own pair; without a
    style where there is none but these.
    """
    rng = np.random.default_rng([seed, 31])
    styles, given = [], []
    for row in rows:
        others = [r for r in known if r.pair != calls.recordings[row].pair]
        values = flags = np.zeros((1, STYLE_COUNT), dtype=np.float32)
        if others:
            listener, observed = others[int(rng.integers(len(others)))].listener_seen()
            values, flags = style_of(listener[None], observed)
        styles.append(values)
        given.append(flags)
    nothing = np.zeros((len(rows), CONTROL_COUNT), dtype=np.float32)
    style, flags = (np.concatenate(parts).astype(np.float32) for parts in (styles, given))
    return Conditions(nothing, nothing, style, flags, np.ones(len(rows), dtype=np.float32))


def figures_of(calls: Calls, shown: Matrix, seed: int, permutations: int) -> dict[str, Any]:
    """C, p, D_marg of listeners' AU12 (N, T), with the interval of C over pairs and whether all three bounds hold."""
    rng = np.random.default_rng([seed, 32])
    cross, theirs = measures.cross_coupling(calls.speaker_smile, shown), measures.marginals(shown)
    c, d = measures.coupling(cross), measures.marginal_distance(theirs, calls.real)
    p = measures.permutation_p(cross, calls.people, rng, permutations)
    low, high = measures.pair_interval(cross, calls.people, rng)
    each = dict(zip(measures.MARGINALS, measures.distances(theirs, calls.real).tolist(), strict=True))
    held = passes(c, p, d)
    return {"C": c, "C_low": low, "C_high": high, "p": p, "D_marg": d, "D_by_marginal": each, "passes": held}


def evaluate_dyads(
    calls: Calls, models: Sequence[StreamListener], *, systems: Sequence[str] = SYSTEMS, seed: int = 0,
    permutations: int = 5000, progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """Figures of the systems in `systems`. Where all real people are alike in a marginal, its distance is NaN.

    Args:
        calls: the recordings.
        models: one model, tested on all calls; or one for each fold, each tested on the pairs that it never saw.
        systems: of SYSTEMS.
        seed: of styles, noise and permutations.
        permutations: of speakers across pairs.
        progress: receives the completed fraction.

    Raises:
        ReactdiffError: the models are not those of the folds, or there is none for a system that needs one.
    """
    figures, smiles, count = dict[str, Any](), dict[str, Matrix](), len(calls.recordings)

    @cache
    def of_models() -> tuple[Matrix, dict[str, Any]]:
        return _of_models(calls, models, seed)

    for i, name in enumerate(systems):
        shown, facts = np.zeros_like(calls.listener_smile), dict[str, Any]()  # "still"
        if name == "model":
            shown, facts = of_models()
        elif name == "shuffled":
            shown = of_models()[0][calls.people.another()]
        elif name == "real":
            # How far one half of the pairs is from the other.
            mean, most = measures.real_against_real(calls.real, calls.people, np.random.default_rng([seed, 33]))
            shown, facts = calls.listener_smile, {"D_marg": mean, "D_marg_95": most}
        elif name == "random":  # each listener is a real one of the next pair
            shown = calls.listener_smile[calls.people.another()]
        elif name != "still":
            faces = StreamListener(name).run(calls.speaker, no_conditions(count), seed + 1 + np.arange(count))
            shown = au12(faces)
        figures[name] = {**figures_of(calls, shown, seed, permutations), **facts}
        smiles[name] = shown
        progress((i + 1) / len(systems))
    about = {"seed": seed, "calls": count // 2, "pairs": len(calls.pairs)}
    return Study({**figures, **about}, result=partial(_result, figures, smiles, calls, seed))


def _of_models(calls: Calls, models: Sequence[StreamListener], seed: int) -> tuple[Matrix, dict[str, Any]]:
    if not models:
        raise ReactdiffError("there is no model to listen to the calls", todo="give one, or leave out what needs one")
    shown = np.zeros_like(calls.listener_smile)
    if len(models) == 1:
        rows = np.arange(len(calls.recordings), dtype=np.intp)
        shown[:] = _run(calls, models[0], rows, seed, calls.recordings)
        past = provenance(models[0].weights)
        note = f"the model was {'trained on other' if past.real else 'not trained on'} recorded people"
        if past.calls:
            but = "" if past.held_out is None else f" but for fold {past.fold}"
            note = f"the model was trained on these calls{but}"
        return shown, {"saw_these_pairs": past.calls, "note": note}
    order = _folds_of(models)
    for fold, model in enumerate(order):
        rows = calls.fold_rows(fold, len(models))
        if len(rows):
            met = without(folds(calls.found, len(models))[fold][0], calls.left_out)
            shown[rows] = _run(calls, model, rows, seed + fold, met)
    return shown, {"saw_these_pairs": False, "note": f"each of {len(models)} models on the pairs held out from it"}


def _folds_of(models: Sequence[StreamListener]) -> list[StreamListener]:
    """The models in the order of their folds, each of which must be there once and trained on recorded people."""
    by_fold: dict[int, StreamListener] = {}
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


def _run(calls: Calls, model: StreamListener, rows: NDArray[np.intp], seed: int, known: Sequence[Recording]) -> Matrix:
    """As a recorded person whom training has met, or, where it met none, under the default style as live: networks
    that never saw the source "real" do not know what it means.
    """
    if provenance(model.weights).real:
        conditions = person_conditions(calls, rows, seed, known)
    else:
        conditions = natural_conditions(len(rows))
    return au12(model.run(calls.speaker.take(rows), conditions, 1000 * (seed + 1) + rows))


_DYADS = (
    Metric("smile_coupling", "C, smile coupling", better="people", text="Mean over lags of 0.3 to 2 s; .10 to .30."),
    Metric("p", "p", better="lower", text="Of so large a C when speakers are permuted across pairs."),
    Metric("D_marg", "D_marg", better="lower", text="Distance of five smile statistics from the real listeners'."),
)


def _result(
    figures: Mapping[str, Mapping[str, Any]], smiles: Mapping[str, Matrix], calls: Calls, seed: int, info: Info
) -> Result:
    """The result file, in which a system has figures for each recorded listener."""
    seconds = calls.speaker.camera.shape[1] / REACTION_RATE_HZ
    items = tuple(
        with_curves(
            Item(
                r.name, seconds, group=r.pair, source=r.source,
                truth=np.where(r.observed, r.listener, np.nan).astype(np.float32) if n < CURVES else None,
            ), calls.speaker, n,
        )
        for n, r in enumerate(calls.recordings)
    )  # fmt: skip
    systems = []
    for name, shown in smiles.items():
        cross = measures.cross_coupling(calls.speaker_smile, shown)
        # D_marg of the real listeners is of one half against the other.
        of_set = {figure: Figure(float(figures[name][figure])) for figure in ("p", "D_marg")}
        # Nothing but the smile is known of these faces.
        faces = np.full((len(shown[:CURVES]), calls.frames, COEFFICIENT_COUNT), np.nan, dtype=np.float32)
        faces[..., list(SMILE)] = np.clip(shown[:CURVES] / measures.AU12_OF_SMILE, 0, 1)[..., None]
        systems.append(System(
            name, STUDY_ROLES.get(name, "baseline"), note=str(figures[name].get("note", "")),
            values={"smile_coupling": np.diag(cross).astype(np.float64)}, figures=of_set,
            streams={r.name: face for r, face in zip(calls.recordings, faces, strict=False)},
        ))  # fmt: skip
    subject = "model" if "model" in smiles else ""
    head = replace(
        info, data=f"{len(calls.pairs)} pairs of people in recorded calls", people=True, subject=subject,
        seeds={"run": seed},
    )  # fmt: skip
    return Result(head, items, tuple(systems), _DYADS)
