"""A bound on measured figures, and the verdict on it: the one type for the evidence and for long runs.

A bound covers one figure, or the same figure of several groups, controls or kinds. All of them must hold; the verdict
shows the one farthest outside. Values that were not measured are listed and neither hold nor fail; a bound without any
measured value is "not measured" and does not count as held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
Found = Mapping[str, float | bool | None]
"""Measured values by the name of what they were measured on; "" where there is only one."""
Find = Callable[[Figures], Found]
"""Reads the values of a bound from the figures of its part."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The range that a figure must keep, and why."""

    part: str
    name: str
    find: Find
    why: str
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False
    """The ends of the range are outside."""

    def text(self) -> str:
        """The range in words; "yes" and "no" for 1 and 0."""
        if self.low == self.high:
            return "yes" if self.low == 1 else "no" if self.low == 0 else f"{self.low:g}"
        if math.isinf(self.high):
            return f"{'above' if self.strict else 'at least'} {self.low:g}"
        if math.isinf(self.low):
            return f"{'below' if self.strict else 'at most'} {self.high:g}"
        return f"{self.low:g} to {self.high:g}"

    def excess(self, value: float) -> float:
        """How far `value` is outside, relative to the larger end; at most 0 inside."""
        if not math.isfinite(value):
            return math.inf
        scale = max(abs(end) for end in (self.low, self.high) if math.isfinite(end)) or 1.0
        return max(self.low - value, value - self.high) / scale

    def holds(self, value: float) -> bool:
        """Whether `value` is inside; a value that is not finite is not."""
        excess = self.excess(value)
        return excess < 0 if self.strict else excess <= 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bound and the measured values."""

    bound: Bound
    value: float | None
    """The value farthest outside; None where nothing was measured."""
    of: str
    """What that value was measured on, where there are several."""
    holds: bool | None
    """For all measured values; None: nothing was measured."""
    unknown: tuple[str, ...] = ()
    """What was not measured."""
    out: int = 0
    """How many measured values are outside."""
    count: int = 0
    """How many values were measured."""

    @property
    def word(self) -> str:
        """The verdict in one word or two."""
        return {True: "pass", False: "**fail**", None: "not measured"}[self.holds]

    @property
    def measured(self) -> str:
        """The value farthest outside, how many are outside, and what was not measured."""
        if self.value is None:
            return "nothing"
        shown = figure(bool(self.value) if self.bound.text() in ("yes", "no") else self.value)
        outside = f"; {self.out} of {self.count} fail" if self.out and self.count > 1 else ""
        shown += f" ({self.of}{outside})" if self.of else ""
        return f"{shown}; not measured: {', '.join(self.unknown)}" if self.unknown else shown

    def as_dict(self) -> dict[str, Any]:
        """For evidence.json and soak.json."""
        return {
            "part": self.bound.part, "name": self.bound.name, "bound": self.bound.text(), "why": self.bound.why,
            "value": self.value, "of": self.of, "holds": self.holds,
            "unknown": list(self.unknown), "out": self.out, "count": self.count,
        }  # fmt: skip


def verdict(bound: Bound, figures: Figures) -> Verdict:
    """Judge one bound on the figures of its part."""
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


def passed(verdicts: Sequence[Verdict]) -> str:
    """How many of the bounds pass, and how many were not measured, as a sentence."""
    held, unknown = (sum(v.holds is value for v in verdicts) for value in (True, None))
    return f"{held} of {len(verdicts)} bounds pass" + (f", {unknown} not measured." if unknown else ".")


def figure(value: float | bool | None, digits: int = 3) -> str:
    """A figure with `digits` significant digits, "yes" or "no", or "none" for None."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value and abs(value) < 10.0**-digits:
        return f"{value:.1e}"
    text = f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"
    return "0" if text in ("-0", "0") else text


def _number(value: float | bool | None) -> float | None:
    return None if value is None or not math.isfinite(float(value)) else float(value)
