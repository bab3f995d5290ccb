"""A run of listeners on recorded people: rounds of parts that are stored, put together to a result.

`react` and `recordings` say what is recorded; what every listener shows is stored for each recording first, then its
figures beside the baselines' and the control's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines
from reactdiff_ros.evaluation import results as rows_of
from reactdiff_ros.evaluation.estimates import draws_of, row_of
from reactdiff_ros.evaluation.listeners import Heard, Spec, look_ahead_s, named_errors
from reactdiff_ros.evaluation.online import verify
from reactdiff_ros.evaluation.results import Info, Item, Result, Role, System
from reactdiff_ros.evaluation.runs.parts import Part, PartResult, RunContext, work_off
from reactdiff_ros.evaluation.runs.scoring import CURVES, Spread, columns
from reactdiff_ros.types import FloatArray

Values = NDArray[np.float64]
Online = Mapping[str, tuple[float, bool | None]]
"""(declared look-ahead in s, whether it holds; None: not tried) of listeners, by name."""
LISTENING: Final = "listening"
CHECK_SECONDS: Final = 1.6
"""Long enough for the features' windows and two plans."""
_NOISE: Final = 10_000
"""The number of the draw of the random baseline."""


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """Who listens, and how often; plain data, so that a part can carry it."""

    listeners: tuple[str, ...]
    """As `--listener` takes them; the first is under test."""
    weights: str = ""
    """Folder of the model's weights; "": the shipped ones."""
    streams: int = 3
    """K: times that each listener listens to each recording, with other noise."""
    seed: int = 0
    baselines: ClassVar[tuple[str, ...]] = ()
    """Policies that listen as well."""

    def specs(self) -> list[Spec]:
        """The listeners that run: those under test, then the baselines."""
        return [Spec(text, self.weights) for text in dict.fromkeys((*self.listeners, *self.baselines))]

    @property
    def subject(self) -> str:
        """Name of the first listener under test."""
        return self.specs()[0].name

    def seeds(self, n: int) -> list[int]:
        """The seed of each stream of recording `n`."""
        return [number(self.seed, n, k) for k in range(self.streams)]


def number(seed: int, n: int, k: int) -> int:
    """The seed of each stream of each recording, the same whatever else is in the run."""
    return int(np.random.SeedSequence([seed, n, k]).generate_state(1)[0] >> 1)


def listened(
    plan: RunPlan, recorded: PartResult, notes: Sequence[str], where: str, listen: Callable[[Spec], Heard],
    attributes: Callable[[FloatArray], FloatArray], faces: int | None = None,
) -> PartResult:  # fmt: skip
    """What is recorded, with what every listener showed. One that fails is a note; the others' streams are kept.

    Args:
        plan: who listens.
        recorded: the speaker, and the one who listened.
        notes: on the recording.
        where: the recording, for messages.
        listen: runs a listener K times.
        attributes: makes attributes (K, T, 25) of its streams (K, T', 58).
        faces: keep so many of the streams; None: all.

    Raises:
        ReactdiffError: not one of them listened.
    """
    notes, times = list(notes), dict[str, dict[str, float]]()
    for spec in plan.specs():
        try:
            heard = listen(spec)
        except ReactdiffError as error:
            notes.append(f"{spec.name} did not listen: {error}")
            continue
        recorded.arrays[f"attributes/{spec.name}"] = attributes(heard.streams)
        recorded.arrays[f"faces/{spec.name}"] = heard.streams[:faces]
        recorded.arrays[f"compute/{spec.name}"] = heard.compute_s
        recorded.arrays[f"lag/{spec.name}"] = heard.lag_s
        times[spec.name] = {"frame_ms": heard.frame_ms}
    if not times:
        raise ReactdiffError("; ".join(notes) or "no one listened", where=where)
    return PartResult({**recorded.facts, "listeners": times}, recorded.arrays, tuple(notes))


def predictions(
    plan: RunPlan, n: int, mine: PartResult, other: PartResult | None, reference: PartResult, *, rate_hz: float,
    lag_s: float, listener_of: Callable[[int], FloatArray],
) -> dict[str, FloatArray]:  # fmt: skip
    """The predictions (K, T, 25) of every row of the table for recording `n`; one that cannot be made is not there.

    Args:
        plan: of the run.
        n: number of the recording.
        mine: its listen part.
        other: the listen part whose stream is the shuffled control.
        reference: arrays of `baselines.reference`, or none.
        rate_hz: of attributes.
        lag_s: the mime's best lag.
        listener_of: (T, 25) of a listener by its number in "near".
    """
    frames = int(mine.facts["frames"])

    def many(one: FloatArray) -> FloatArray:
        one = baselines.fitted(one, frames)
        return np.asarray(np.broadcast_to(one, (plan.streams, *one.shape)))

    rows = {name: mine.arrays[f"attributes/{name}"] for name in mine.facts["listeners"]}
    rows[rows_of.GROUND_TRUTH] = many(mine.arrays["truth_attributes"])
    rows[rows_of.MIME] = many(baselines.late(mine.arrays["speaker_attributes"], lag_s, rate_hz))
    rows[rows_of.RANDOM] = baselines.noise(plan.streams, frames, number(plan.seed, n, _NOISE))
    if "sequence" in reference.arrays:
        row = int(reference.arrays["row"][n])
        if row >= 0:
            rows[rows_of.MEAN_SEQUENCE] = many(reference.arrays["sequence"][row])
            rows[rows_of.MEAN_FRAME] = many(reference.arrays["frame"][row][None])
        near = reference.arrays["near"][n]
        if (near >= 0).all():
            rows[rows_of.NEAREST] = np.stack([baselines.fitted(listener_of(int(m)), frames) for m in near])
    theirs = None if other is None else other.arrays.get(f"attributes/{plan.subject}")
    if theirs is not None:
        rows[rows_of.SHUFFLED] = np.stack([baselines.fitted(one, frames) for one in theirs])
    return rows


def counted(number: int, what: str) -> str:
    """As in "1 recording" and "2 recordings"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def verified(plan: RunPlan, context: RunContext, cuts: int) -> Online:
    """What each listener declares, and whether it holds at so many `cuts`; with 0 that is not tried.

    A listener that looks further is reported in a sentence, and its figures go on.

    Raises:
        ReactdiffError: a listener cannot be made, fails, or declares no time.
    """
    out: dict[str, tuple[float, bool | None]] = {}
    specs = plan.specs()
    for i, spec in enumerate(specs):
        listener = spec.make(plan.seed)
        if not cuts:
            out[spec.name] = (look_ahead_s(listener), None)
            continue
        with named_errors(spec):
            verdict = verify(
                listener, seconds=CHECK_SECONDS, cuts=cuts, seed=plan.seed,
                progress=lambda share, i=i: context.progress("look-ahead", (i + share) / len(specs)),  # type: ignore[misc]
            )  # fmt: skip
        if not verdict.holds:
            context.log(verdict.sentence(spec.name))
        out[spec.name] = (verdict.declared_s, verdict.holds)
    return out


@dataclass(slots=True)
class Run:
    """A run, round after round. Recordings are numbers from 0; what is a mapping is by these."""

    plan: RunPlan
    context: RunContext
    ids: Sequence[str]
    failed: dict[str, str] = field(default_factory=dict)
    """A sentence for every recording that is not in the result, by its id."""
    notes: list[str] = field(default_factory=list)
    kept: int = 0
    """Recordings that were listened to in a run before."""

    def round(self, title: str, parts: Mapping[int, Part]) -> dict[int, Part]:
        """Do a part of each recording; those that worked.

        Raises:
            ReactdiffError: not one part worked.
        """
        done = work_off([*parts.values()], self.context, title)
        self.failed |= {self.ids[n]: done.failed[part.name] for n, part in parts.items() if part.name in done.failed}
        worked = {n: part for n, part in parts.items() if part.name not in done.failed}
        if not worked:
            where, why = next(iter(self.failed.items()), ("", "the list is empty"))
            raise ReactdiffError(f"not one of {len(parts)} recordings could be evaluated", where=where, todo=why)
        self.kept += done.kept if title == LISTENING else 0
        return worked

    def reference(self, part: Part) -> str:
        """Do the part that all scores need, and return its file. Raises ReactdiffError if it fails."""
        done = work_off([part], self.context, "reference split")
        if part.name in done.failed:
            raise ReactdiffError(done.failed[part.name])
        return str(self.context.keep.path(part))

    def conclude(
        self, info: Info, heard: Mapping[int, Part], scores: Mapping[int, Part], online: Online, *,
        measures: Sequence[str], item_of: Callable[[int], Mapping[str, Any]],
        predictions_of: Callable[[int, PartResult], Mapping[str, FloatArray]], lag_s: float,
        always: Sequence[str] = (), control: str = "",
    ) -> RunOutcome:  # fmt: skip
        """Put the parts together.

        Args:
            info: the head of the result.
            heard: the parts of `listened`.
            scores: the parts that hold "rows", every system's figures; those recordings are in the result.
            online: what listeners declare.
            measures: names of figures, in the order of the table.
            item_of: id, group and source of a recording.
            predictions_of: attributes (K, T, 25) of systems for a recording, for FRDvs.
            lag_s: the mime's best lag.
            always: those of `measures` that a system has even if they are nowhere defined.
            control: what the control is, where that is not the usual.
        """
        keep, plan = self.context.keep, self.plan
        listeners = [spec.name for spec in plan.specs() if spec.text in plan.listeners]
        loaded = {n: keep.load(part) for n, part in scores.items()}
        figures = [part.facts["rows"] for part in loaded.values()]
        names = list(dict.fromkeys(name for rows in figures for name in rows))
        spreads = {name: Spread() for name in names}
        streams: dict[str, dict[str, FloatArray]] = {name: {} for name in names}
        times: dict[tuple[str, str], list[Values]] = defaultdict(list)
        shortest = min(int(keep.load(heard[n], ()).facts["frames"]) for n in scores)
        items: list[Item] = []
        for position, (n, scored) in enumerate(loaded.items()):
            self.context.progress("putting together", position / len(loaded))
            mine = keep.load(heard[n])
            own_notes = tuple(dict.fromkeys((*mine.notes, *scored.notes)))
            curves = ("speaker", "speech", "truth") if position < CURVES else ()
            drawn: dict[str, Any] = {k: mine.arrays.get(k) for k in curves}
            seconds, start_ns = float(mine.facts["seconds"]), int(mine.facts.get("start_ns", 0))
            items.append(Item(**item_of(n), seconds=seconds, start_ns=start_ns, notes=own_notes, **drawn))
            self.notes += [f"{items[-1].id}: {sentence}" for sentence in own_notes]
            for name, shown in predictions_of(n, mine).items():
                spreads[name].add(position, shown, shortest)
            for name in mine.facts["listeners"]:
                for kind in ("compute", "lag"):
                    times[kind, name].append(np.asarray(mine.arrays[f"{kind}/{name}"], dtype=np.float64))
                if position < CURVES:
                    streams[name][items[-1].id] = mine.arrays[f"faces/{name}"][0]
        draws = draws_of(items, plan.seed)
        row_notes = {**rows_of.NOTES, rows_of.MIME: f"{rows_of.NOTES[rows_of.MIME]} Here {lag_s:g} s."}
        row_notes |= {rows_of.SHUFFLED: control} if control else {}
        roles: dict[str, Role] = {rows_of.SHUFFLED: "control", rows_of.GROUND_TRUTH: "reference"}
        roles |= dict.fromkeys(listeners, "listener")
        systems = []
        for name in sorted(names, key=lambda name: _ORDER.index(roles.get(name, "baseline"))):
            values = columns([rows.get(name, {}) for rows in figures], measures)
            ahead, causal = online.get(name, (None, None))
            has_spread = bool(always) or np.isfinite(spreads[name].value())
            compute_s, lags_s = (np.concatenate(times[kind, name] or [np.zeros(0)]) for kind in ("compute", "lag"))
            systems.append(
                System(
                    name=name, role=roles.get(name, "baseline"), note=row_notes.get(name, ""),
                    values={m: v for m, v in values.items() if m in always or np.isfinite(v).any()},
                    figures={"FRDvs": spreads[name].figure(draws)} if has_spread else {}, streams=streams[name],
                    compute_s=compute_s, lag_s=lags_s, look_ahead_s=ahead, causal=causal,
                )
            )  # fmt: skip
        settings = {**info.settings, "streams": plan.streams, "mime_lag_s": lag_s, "workers": self.context.workers}
        head = replace(
            info, subject=plan.subject, people=True, seeds={**info.seeds, "run": plan.seed},
            settings={**settings, "dask": bool(self.context.dask)},
            failed=tuple(f"{name}: {sentence}" for name, sentence in self.failed.items()),
        )  # fmt: skip
        rows = {system.name: _row(system, draws) for system in systems}
        notes = tuple(dict.fromkeys(self.notes))
        return RunOutcome(Result(head, tuple(items), tuple(systems)), rows, self.failed, notes, self.kept)


_ORDER: Final[tuple[Role, ...]] = ("listener", "control", "reference", "baseline")


@dataclass(slots=True)
class RunOutcome:
    """A finished run."""

    result: Result
    table: dict[str, dict[str, Any]]
    """Figures of every system with 95 % intervals over people, for `--json`."""
    failed: dict[str, str]
    """A sentence for every recording that is not in it."""
    notes: tuple[str, ...] = ()
    kept: int = 0
    """Parts that were there from a run before."""


def _row(system: System, draws: Values) -> dict[str, Any]:
    """A system's figures with intervals over groups of items, its time a plan and what it declares."""
    row: dict[str, Any] = {**row_of(system, draws), "role": system.role}
    if len(system.compute_s):
        low, high = np.percentile(system.compute_s, [50, 95])
        row |= {"plan_ms_p50": 1e3 * float(low), "plan_ms_p95": 1e3 * float(high)}
    if system.look_ahead_s is not None:
        row |= {"look_ahead_s": system.look_ahead_s, "causal": system.causal}
    return row
