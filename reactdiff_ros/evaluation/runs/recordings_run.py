"""The rounds of `evaluate recordings` put together: parts, tables, result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation.results import Info, Item, Result
from reactdiff_ros.evaluation.runs.lab import Source
from reactdiff_ros.evaluation.runs.pools import describe, work_off
from reactdiff_ros.evaluation.runs.recordings import FIGURES, LabPlan, listen_part, reference_part, score_part
from reactdiff_ros.evaluation.runs.run import CURVES, Desk, Ran, Row, counted, systems_of, table_of
from reactdiff_ros.evaluation.runs.scoring import Spread, Values, columns, group_draws
from reactdiff_ros.evaluation.runs.work import Made, Part

LEAST_TRUTHS = 2
"""Means and nearest neighbours need other people's reactions."""
ONE_PERSON = "The listener under test while it listened to another recording; all of them are of one group of people."
ONE_RECORDING = "The listener under test half a recording later, because there is no second recording."
LEAST_MINUTES = 10.0
"""Rates of less than this are told with a warning."""


def run_recordings(
    plan: LabPlan, found: Sequence[Source], desk: Desk, info: Info,
    online: Mapping[str, tuple[float, bool | None]] | None = None,
) -> Ran:  # fmt: skip
    """Evaluate a lab's recordings.

    Args:
        plan: who listens.
        found: the recordings.
        desk: where parts are kept, and with how many processes.
        info: the head of the result, whose data, failures and settings are filled in here.
        online: (declared look-ahead in s, verified) of listeners, by name.

    Raises:
        ReactdiffError: not one recording could be evaluated.
    """
    parts = [listen_part(plan, source, n) for n, source in enumerate(found)]
    listened = work_off(parts, desk.keep, desk.means, told=partial(desk.told, "listening"), tell=desk.tell)
    number = {part.name: n for n, part in enumerate(parts)}
    failed = {found[number[name]].id: sentence for name, sentence in listened.failed.items()}
    there = [number[part.name] for part in listened.done]
    _need(there, failed)
    facts = {n: desk.keep.load(parts[n], ()).facts for n in there}
    files = {n: str(desk.keep.path(parts[n])) for n in there}
    truths = [n for n in there if "mime" in facts[n]]
    notes, means = [], ""
    if len(truths) >= LEAST_TRUTHS:
        means = _reference(desk, {n: files[n] for n in truths}, found, plan.streams)
    elif truths:
        notes.append("one recorded listener alone: no mean sequence, mean frame and nearest neighbour")
    else:
        notes.append("no recorded listener: behaviour and motion are measured, agreement is not")
    lag_s = simple.best_lag([facts[n]["mime"] for n in truths])
    pairs = simple.others([found[n].group for n in there])
    control = ""
    if all(other is None for other in pairs):
        control = ONE_PERSON if len(there) > 1 else ONE_RECORDING
        pairs = simple.others([str(n) for n in there])
    others = {n: None if i is None else there[i] for n, i in zip(there, pairs, strict=True)}
    scoring = []
    for n in there:
        other = others[n]
        stood_in = files[n] if other is None else files[other]
        scoring.append(score_part(plan, found[n], n, files[n], stood_in, means if n in truths else "", lag_s))
    scored = work_off(scoring, desk.keep, desk.means, told=partial(desk.told, "scoring"), tell=desk.tell)
    failed |= {
        found[n].id: scored.failed[part.name]
        for n, part in zip(there, scoring, strict=True)
        if part.name in scored.failed
    }
    scores = {n: part for n, part in zip(there, scoring, strict=True) if part.name not in scored.failed}
    _need(list(scores), failed)
    asked = [spec.name for spec in plan.specs() if spec.text in plan.listeners]
    for n in scores:
        deaf = [name for name in asked if name not in facts[n]["listeners"]]
        if deaf:  # its note says why
            failed[found[n].id] = f"{', '.join(deaf)} did not listen"
    draws = group_draws([found[n].group or found[n].id for n in scores], plan.seed)
    rows = _rows(desk, parts, scores, draws)
    for name, row in rows.items():
        row.look_ahead_s, row.causal = (online or {}).get(name, (None, None))
    if simple.MIME in rows:
        rows[simple.MIME].note = f"{simple.NOTES[simple.MIME]} Here {lag_s:g} s."
    if control and simple.SHUFFLED in rows:
        rows[simple.SHUFFLED].note = control
        notes.append(f"the control is a weak one: {control[0].lower()}{control[1:-1]}")
    items = _items(desk, parts, list(scores), found, notes)
    minutes = sum(item.seconds for item in items) / 60
    if minutes < LEAST_MINUTES:
        notes.append(f"{minutes:.1f} minutes in all: rates of less than {LEAST_MINUTES:g} minutes are uncertain")
    systems = systems_of(rows, asked)
    settings = {**info.settings, "streams": plan.streams, "mime_lag_s": lag_s, **describe(desk.means)}
    head = replace(
        info, data=f"{counted(len(found), 'recording')}, {len(truths)} with a recorded listener", people=True,
        subject=plan.specs()[0].name, seeds={**info.seeds, "run": plan.seed}, settings=settings,
        failed=tuple(f"{name}: {sentence}" for name, sentence in failed.items()),
    )  # fmt: skip
    table = table_of(systems, items, plan.seed)
    return Ran(Result(head, tuple(items), systems), table, failed, tuple(dict.fromkeys(notes)), listened.kept)


def _need(there: Sequence[int], failed: Mapping[str, str]) -> None:
    if not there:
        where, why = next(iter(failed.items()), ("", ""))
        raise ReactdiffError("not one recording could be evaluated", where=where, todo=why)


def _reference(desk: Desk, files: Mapping[int, str], found: Sequence[Source], streams: int) -> str:
    part = reference_part(files, {n: found[n].group for n in files}, len(found), streams)
    outcome = work_off([part], desk.keep, desk.means, tell=lambda sentence: None)
    if part.name in outcome.failed:
        raise ReactdiffError(outcome.failed[part.name])
    return str(desk.keep.path(part))


def _rows(desk: Desk, parts: Sequence[Part], scores: Mapping[int, Part], draws: Values) -> dict[str, Row]:
    figures = {n: desk.keep.load(part).facts["rows"] for n, part in scores.items()}
    names = list(dict.fromkeys(name for rows in figures.values() for name in rows))
    rows = {name: Row(values=columns([r.get(name, {}) for r in figures.values()], FIGURES)) for name in names}
    for row in rows.values():
        row.values = {name: values for name, values in row.values.items() if np.isfinite(values).any()}
    spreads = {name: Spread() for name in names}
    shortest = min(int(desk.keep.load(parts[n], ()).facts["frames"]) for n in scores)
    for position, n in enumerate(scores):
        mine = desk.keep.load(parts[n])
        for name in mine.facts["listeners"]:
            spreads[name].add(position, mine.arrays[f"attributes/{name}"], shortest)
            rows[name].compute_s.append(mine.arrays[f"compute/{name}"])
            rows[name].lag_s.append(mine.arrays[f"lag/{name}"])
            if position < CURVES:
                rows[name].streams[_id(parts[n])] = mine.arrays[f"faces/{name}"][0]
    for name, spread in spreads.items():
        if np.isfinite(spread.value()):
            rows[name].figures["FRDvs"] = spread.figure(draws)
    return rows


def _id(part: Part) -> str:
    return part.name.removeprefix("listen-")


def _items(
    desk: Desk, parts: Sequence[Part], numbers: Sequence[int], found: Sequence[Source], notes: list[str]
) -> list[Item]:
    items = []
    for position, n in enumerate(numbers):
        mine: Made = desk.keep.load(parts[n], ("speaker", "speech", "truth"))
        curves = mine.arrays if position < CURVES else {}
        notes += [f"{found[n].id}: {sentence}" for sentence in mine.notes]
        items.append(
            Item(
                id=found[n].id, seconds=float(mine.facts["seconds"]), group=found[n].group,
                source=Path(found[n].speaker).name, start_ns=int(mine.facts["start_ns"]),
                speaker=curves.get("speaker"), speech=curves.get("speech"), truth=curves.get("truth"),
                notes=mine.notes,
            )
        )  # fmt: skip
    return items
