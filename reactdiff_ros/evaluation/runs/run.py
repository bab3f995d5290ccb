"""What every run shares: its sinks, its outcome, and how a result file is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation.results import Figure, Item, Result, Role, System
from reactdiff_ros.evaluation.runs.keep import Keep
from reactdiff_ros.evaluation.runs.pools import Means
from reactdiff_ros.evaluation.runs.scoring import Values, group_draws, table
from reactdiff_ros.types import FloatArray

CURVES: Final = 24
"""Recordings whose curves go into the result file; figures are of all."""


def counted(number: int, what: str) -> str:
    """As in "1 recording" and "2 recordings"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


@dataclass(slots=True)
class Desk:
    """Where a run works and to whom it tells."""

    keep: Keep
    means: Means = field(default_factory=Means)
    told: Callable[[str, float], None] = lambda what, share: None
    """Is told (round, share of it that is done)."""
    tell: Callable[[str], None] = lambda sentence: None


@dataclass(slots=True)
class Ran:
    """A finished run."""

    result: Result
    table: dict[str, dict[str, Any]]
    """Figures of every system with 95 % intervals over people, for `--json`."""
    failed: dict[str, str]
    """A sentence for every recording that is not in it."""
    notes: tuple[str, ...] = ()
    kept: int = 0
    """Parts that were there from a run before."""


@dataclass(slots=True)
class Row:
    """What is known of one system before it becomes a `System`."""

    values: dict[str, Values] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    streams: dict[str, FloatArray] = field(default_factory=dict)
    compute_s: list[Values] = field(default_factory=list)
    lag_s: list[Values] = field(default_factory=list)
    look_ahead_s: float | None = None
    causal: bool | None = None
    note: str = ""


def role_of(name: str, listeners: Sequence[str]) -> Role:
    """What a row of that name is for."""
    if name in listeners:
        return "listener"
    if name == simple.SHUFFLED:
        return "control"
    return "reference" if name == simple.GROUND_TRUTH else "baseline"


def systems_of(rows: Mapping[str, Row], listeners: Sequence[str]) -> tuple[System, ...]:
    """As the result file wants them: listeners first."""
    roles: tuple[Role, ...] = ("listener", "control", "reference", "baseline")
    order = sorted(rows, key=lambda name: roles.index(role_of(name, listeners)))
    return tuple(
        System(
            name=name, role=role_of(name, listeners), note=rows[name].note or simple.NOTES.get(name, ""),
            values=rows[name].values, figures=rows[name].figures, streams=rows[name].streams,
            compute_s=_joined(rows[name].compute_s), lag_s=_joined(rows[name].lag_s),
            look_ahead_s=rows[name].look_ahead_s, causal=rows[name].causal,
        )
        for name in order
    )  # fmt: skip


def draws_of(items: Sequence[Item], seed: int) -> Values:
    """How often each item counts in each resample: the same draws for every figure of every system."""
    return group_draws([item.group or item.id for item in items], seed) if items else np.zeros((0, 0))


def table_of(systems: Sequence[System], items: Sequence[Item], seed: int) -> dict[str, dict[str, Any]]:
    """Every system's figures with intervals over groups of items, its time a frame and what it declares."""
    draws = draws_of(items, seed)
    out: dict[str, dict[str, Any]] = {}
    for system in systems:
        row: dict[str, Any] = table(system.values, system.figures, draws)
        row["role"] = system.role
        if len(system.compute_s):
            low, high = np.percentile(system.compute_s, [50, 95])
            row |= {"plan_ms_p50": 1e3 * float(low), "plan_ms_p95": 1e3 * float(high)}
        if system.look_ahead_s is not None:
            row |= {"look_ahead_s": system.look_ahead_s, "causal": system.causal}
        out[system.name] = row
    return out


def _joined(parts: Sequence[Values]) -> Values:
    return np.concatenate([np.asarray(p, dtype=np.float64) for p in parts]) if parts else np.zeros(0)
