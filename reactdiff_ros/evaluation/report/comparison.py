"""Two results beside each other: which figures differ by more than chance.

Items are matched by their ids. Where they match, the difference is drawn pairwise over groups of items (what two
runs share cancels); where they do not, each run is drawn for itself. A difference whose 95 % interval holds 0 is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.report import summary
from reactdiff_ros.evaluation.report.metric_table import metrics_of
from reactdiff_ros.evaluation.report.summary import Difference
from reactdiff_ros.evaluation.results import Metric, Result, System

Values = NDArray[np.float64]
ENOUGH_PAIRS: Final = 2


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both: first, second, and their difference (second minus first)."""

    metric: Metric
    first: float
    second: float
    difference: Difference

    @property
    def verdict(self) -> str:
        """Is "none", "better" or "worse" where the figure has a good direction, else "higher" or "lower"."""
        return self.difference.judged(self.metric.better)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures that both have."""

    systems: tuple[str, str]
    matched: int
    """Recordings that both have."""
    items: tuple[int, int]
    figures: tuple[Compared, ...]
    notes: tuple[str, ...]
    """What to keep in mind, a sentence each."""


def chosen(result: Result, name: str | None, where: str) -> System:
    """The system of that name, or the one under test.

    Raises:
        ReactdiffError: there is none.
    """
    names = ", ".join(s.name for s in result.systems)
    if name is None:
        if result.subject is None:
            raise ReactdiffError("the result has no listener under test", where=where, todo=f"name one of {names}")
        return result.subject
    found = [s for s in result.systems if s.name == name]
    if not found:
        raise ReactdiffError(f"the result has no system {name}", where=where, todo=f"name one of {names}")
    return found[0]


def compare(first: tuple[Result, System], second: tuple[Result, System], seed: int = 0) -> Comparison:
    """Every figure that both systems have, second minus first.

    Raises:
        ReactdiffError: they have no figure in common.
    """
    (one, a), (other, b) = first, second
    rows = {item.id: index for index, item in enumerate(one.items)}
    there = {item.id: index for index, item in enumerate(other.items)}
    both = [id_ for id_ in rows if id_ in there]
    pairing = len(both) >= ENOUGH_PAIRS
    metrics = metrics_of(one) | metrics_of(other)
    names = [n for n in metrics if all(n in s.values or n in s.figures for s in (a, b))]
    if not names:
        raise ReactdiffError(
            "the two have no figure in common", where=f"{a.name}, {b.name}", todo="compare like with like"
        )
    groups = summary.groups_of(one.items), summary.groups_of(other.items)
    of_both = [groups[0][rows[id_]] for id_ in both]
    weights = summary.weights_of(of_both, seed)
    alone = (summary.weights_of(groups[0], seed), summary.weights_of(groups[1], seed + 1))
    figures = []
    for name in names:
        if name in a.figures and name in b.figures:
            x, y = a.figures[name], b.figures[name]
            gap = summary.from_intervals(y, x, min(len(one.items), len(other.items)))
            figures.append(Compared(metrics[name], x.value, y.value, gap))
        elif name in a.values and name in b.values:
            mine, theirs = np.asarray(a.values[name], np.float64), np.asarray(b.values[name], np.float64)
            if pairing:
                mine, theirs = mine[[rows[i] for i in both]], theirs[[there[i] for i in both]]
                gap = summary.paired(theirs, mine, weights)
                known = np.isfinite(mine) & np.isfinite(theirs)
                mine, theirs = mine[known], theirs[known]
            else:
                gap = summary.unpaired(theirs, mine, (alone[1], alone[0]))
            figures.append(Compared(metrics[name], _mean(mine), _mean(theirs), gap))
    notes = _notes(one, other, len(both), pairing, len(set(of_both if pairing else groups[0])), len(figures))
    return Comparison((a.name, b.name), len(both), (len(one.items), len(other.items)), tuple(figures), notes)


def _mean(values: Values) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _notes(one: Result, other: Result, matched: int, pairing: bool, groups: int, figures: int) -> tuple[str, ...]:
    out = []
    if not pairing:
        out.append("No recordings match, so each run is drawn for itself: what differs may be the recordings.")
    elif matched < max(len(one.items), len(other.items)):
        out.append(f"Only the {matched} recordings that both have are compared.")
    if one.info.kind != other.info.kind or one.info.people != other.info.people:
        out.append(f"The runs are of different kinds: {one.info.kind} and {other.info.kind}.")
    if one.info.compat != other.info.compat:
        out.append(f"The metrics are defined differently: {one.info.compat} and {other.info.compat}.")
    if groups < summary.FEW_GROUPS:
        out.append(f"Intervals over {groups} independent recordings are too narrow; take {summary.FEW_GROUPS} or more.")
    if figures >= 10:
        out.append(f"Of {figures} figures about {max(round(figures / 20), 1)} would differ by chance alone.")
    return tuple(out)
