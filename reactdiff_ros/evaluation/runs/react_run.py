"""The rounds of `evaluate react` put together: parts, tables, result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation.results import Info, Item, Result
from reactdiff_ros.evaluation.runs.pools import Outcome, describe, work_off
from reactdiff_ros.evaluation.runs.react import (
    Numbers,
    Plan,
    Rows,
    listen_part,
    reference_part,
    score_part,
)
from reactdiff_ros.evaluation.runs.run import CURVES, Desk, Ran, Row, draws_of, systems_of, table_of
from reactdiff_ros.evaluation.runs.scoring import MEASURES, Spread, columns
from reactdiff_ros.evaluation.runs.sets import PublicSet
from reactdiff_ros.evaluation.runs.work import Made, Part


def run_react(plan: Plan, desk: Desk, info: Info, online: Mapping[str, tuple[float, bool | None]] | None = None) -> Ran:
    """Evaluate a split.

    Args:
        plan: what is run on what.
        desk: where parts are kept, and with how many processes.
        info: the head of the result, whose data, failures and settings are filled in here.
        online: (declared look-ahead in s, verified) of listeners, by name.

    Raises:
        ReactdiffError: the set has no layout that is known, its neighbour matrix is missing, or nothing worked.
    """
    chosen = plan.chosen()
    targets = plan.targets(chosen)
    reference = _alone(reference_part(plan, chosen), desk)
    means = desk.keep.load(reference)
    parts = [listen_part(plan, chosen, n, targets[n]) for n in range(len(chosen))]
    listened = work_off(parts, desk.keep, desk.means, told=partial(desk.told, "listening"), tell=desk.tell)
    number = {part.name: n for n, part in enumerate(parts)}
    failed = {chosen.id(number[name]): sentence for name, sentence in listened.failed.items()}
    there = [number[part.name] for part in listened.done]
    if not there:
        raise _nothing(failed, chosen)
    facts = {n: desk.keep.load(parts[n], ()).facts for n in there}
    numbers = Numbers(
        lag_s=simple.best_lag([facts[n]["mime"] for n in there if facts[n]["mime"]]),
        means=str(desk.keep.path(reference)),
        streams={n: str(desk.keep.path(parts[n])) for n in there},
        other=dict(zip(there, _others(chosen, there), strict=True)),
    )
    scoring = [score_part(plan, chosen, n, targets[n], numbers) for n in there]
    scored = work_off(scoring, desk.keep, desk.means, told=partial(desk.told, "scoring"), tell=desk.tell)
    scores = {n: part for n, part in zip(there, scoring, strict=True) if part.name not in scored.failed}
    of = {part.name: n for n, part in zip(there, scoring, strict=True)}
    failed |= {chosen.id(of[name]): sentence for name, sentence in scored.failed.items()}
    if not scores:
        raise _nothing(failed, chosen)
    return _assembled(plan, chosen, desk, info, parts, scores, numbers, means, failed, listened, online or {})


def _alone(part: Part, desk: Desk) -> Part:
    outcome = work_off([part], desk.keep, desk.means, told=partial(desk.told, "reference split"), tell=lambda s: None)
    if part.name in outcome.failed:
        raise ReactdiffError(outcome.failed[part.name])
    return part


def _others(chosen: PublicSet, there: Sequence[int]) -> list[int | None]:
    found = simple.others([chosen.group(n) for n in there])
    return [None if i is None else there[i] for i in found]


def _nothing(failed: Mapping[str, str], chosen: PublicSet) -> ReactdiffError:
    first = next(iter(failed.items()), ("", "the list is empty"))
    return ReactdiffError(f"not one of {len(chosen)} recordings could be evaluated", where=first[0], todo=first[1])


def _assembled(
    plan: Plan, chosen: PublicSet, desk: Desk, info: Info, parts: Sequence[Part], scores: Mapping[int, Part],
    numbers: Numbers, means: Made, failed: dict[str, str], listened: Outcome,
    online: Mapping[str, tuple[float, bool | None]],
) -> Ran:  # fmt: skip
    numbers_in = list(scores)
    found = [desk.keep.load(scores[n]) for n in numbers_in]
    figures = [made.facts["rows"] for made in found]
    names = list(dict.fromkeys(name for rows in figures for name in rows))
    rows = {name: Row(values=columns([r.get(name, {}) for r in figures], MEASURES)) for name in names}
    items: list[Item] = []
    notes = list(means.notes)
    spreads = {name: Spread() for name in names}
    shortest = min(int(desk.keep.load(parts[n], ()).facts["frames"]) for n in numbers_in)
    make = Rows.of_set(chosen, means, plan.streams, plan.seed, numbers.lag_s, plan.specs()[0].name)
    make.known = {}
    frame_ms: dict[str, list[float]] = {}
    for position, n in enumerate(numbers_in):
        desk.told("putting together", position / len(numbers_in))
        mine = desk.keep.load(parts[n])
        other = numbers.other.get(n)
        stood_in = None if other is None else desk.keep.load(parts[other])
        for name, predictions in make.of(n, mine, stood_in).items():
            spreads[name].add(position, predictions, shortest)
        heard = mine.facts["listeners"]
        for name in rows:
            frame_ms.setdefault(name, []).append(heard[name]["frame_ms"] if name in heard else float("nan"))
        own_notes = tuple(dict.fromkeys((*mine.notes, *found[position].notes)))
        notes += [f"{chosen.id(n)}: {sentence}" for sentence in own_notes]
        items.append(_item(chosen, n, mine, own_notes, curves=position < CURVES))
        for name in heard:
            rows[name].compute_s.append(mine.arrays[f"compute/{name}"])
            if position < CURVES:
                rows[name].streams[chosen.id(n)] = mine.arrays[f"stream/{name}"]
    draws = draws_of(items, plan.seed)
    for name, row in rows.items():
        row.figures["FRDvs"] = spreads[name].figure(draws)
        if np.isfinite(frame_ms[name]).any():
            row.values["frame_ms"] = np.array(frame_ms[name])
        row.look_ahead_s, row.causal = online.get(name, (None, None))
    if simple.MIME in rows:
        rows[simple.MIME].note = f"{simple.NOTES[simple.MIME]} Here {numbers.lag_s:g} s."
    if simple.SHUFFLED not in rows:
        notes.append("there is no shuffled-speaker control: the set holds one pair of people only")
    systems = systems_of(rows, [spec.name for spec in plan.specs() if spec.text in plan.listeners])
    result = Result(_headed(info, plan, chosen, desk, failed, numbers), tuple(items), systems)
    return Ran(result, table_of(systems, items, plan.seed), failed, tuple(dict.fromkeys(notes)), listened.kept)


def _item(chosen: PublicSet, n: int, mine: Made, notes: tuple[str, ...], *, curves: bool) -> Item:
    a = mine.arrays
    return Item(
        id=chosen.id(n), seconds=float(mine.facts["seconds"]), group=chosen.group(n),
        source=f"{chosen.kind}/{chosen.split}", speaker=a["speaker"] if curves else None,
        speech=a["speech"].astype(np.float32) if curves else None, truth=a["truth"] if curves else None, notes=notes,
    )  # fmt: skip


def _headed(info: Info, plan: Plan, chosen: PublicSet, desk: Desk, failed: Mapping[str, str], numbers: Numbers) -> Info:
    settings = {
        **info.settings, "split": chosen.split, "streams": plan.streams,
        "mime_lag_s": numbers.lag_s, "voice": plan.voice,
        "own_targets": plan.own_targets, "expression_names": plan.names is not None, **describe(desk.means),
        "attributes": "projection of the listener's coefficients; the labels' own networks are not run",
    }  # fmt: skip
    return replace(
        info, data=f"{chosen.kind.upper()}, {chosen.split} split, {len(chosen)} directions", people=True,
        subject=plan.specs()[0].name, compat=plan.compat, seeds={**info.seeds, "run": plan.seed},
        failed=tuple(f"{name}: {sentence}" for name, sentence in failed.items()), settings=settings,
    )  # fmt: skip
