"""A bound on a figure, and whether it holds.

A bound is on one figure, or on one figure of each group, control or kind alike; then all of them must hold, and the
one that is farthest out is told. What was not measured is named: it neither holds nor fails, and a bound of which
nothing was measured does not count as held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
Found = Mapping[str, float | bool | None]
"""Measured values by the name of what they were measured on; "" where there is only one."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure must keep, and why."""

    part: str
    name: str
    find: Callable[[Figures], Found]
    why: str
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False
    """The ends themselves do not pass."""

    def text(self) -> str:
        """The bound in words."""
        if self.low == self.high:
            return "yes" if self.low == 1 else "no" if self.low == 0 else f"{self.low:g}"
        if math.isinf(self.high):
            return f"{'above' if self.strict else 'at least'} {self.low:g}"
        if math.isinf(self.low):
            return f"{'below' if self.strict else 'at most'} {self.high:g}"
        return f"{self.low:g} to {self.high:g}"

    def excess(self, value: float) -> float:
        """How far `value` is outside; at most 0 inside, and the nearer to 0, the nearer to an end."""
        if not math.isfinite(value):
            return math.inf
        scale = max(abs(end) for end in (self.low, self.high) if math.isfinite(end)) or 1.0
        return max(self.low - value, value - self.high) / scale

    def holds(self, value: float) -> bool:
        """Whether `value` keeps it; what was not measured does not."""
        excess = self.excess(value)
        return excess < 0 if self.strict else excess <= 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bound and what was measured."""

    bound: Bound
    value: float | None
    """The value farthest out; None where there was nothing to measure."""
    of: str
    """What that value was measured on, where there are several."""
    holds: bool | None
    """Of all that was measured; None: nothing was."""
    unknown: tuple[str, ...] = ()
    """What of several was not measured."""
    out: int = 0
    """How many of those measured are outside."""
    count: int = 0
    """How many were measured."""

    def as_dict(self) -> dict[str, Any]:
        """For evidence.json."""
        return {
            "part": self.bound.part, "name": self.bound.name, "bound": self.bound.text(), "why": self.bound.why,
            "value": self.value, "of": self.of, "holds": self.holds,
            "unknown": list(self.unknown), "out": self.out, "count": self.count,
        }  # fmt: skip


def verdict(bound: Bound, figures: Figures) -> Verdict:
    """One bound on the figures of its part."""
    try:
        found = {name: _number(value) for name, value in bound.find(figures).items()}
    except (KeyError, TypeError, AttributeError):
        found = {}
    known = {name: value for name, value in found.items() if value is not None}
    unknown = tuple(name for name, value in found.items() if value is None and name)
    if not known:
        return Verdict(bound, None, "", None, unknown)
    worst = max(known, key=lambda name: bound.excess(known[name]))
    out = sum(not bound.holds(value) for value in known.values())
    return Verdict(bound, known[worst], worst, not out, unknown, out, len(known))


def _number(value: float | bool | None) -> float | None:
    return None if value is None or not math.isfinite(float(value)) else float(value)
