"""A setting at several values on the same streams, and whether what it names rises with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
POINTS: Final = 5
"""Values of a control, evenly over its range."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A setting at V values: what was measured on N streams at each."""

    measure: str
    values: tuple[float, ...]
    measured: Values
    """(V, N); NaN where a stream could not tell."""

    def figures(self) -> dict[str, Any]:
        """Mean and 95 % interval at each value, and the rise from end to end.

        "monotonic": every step rises; "rises": and the whole rise is above 0 with its interval.
        """
        known = [row[np.isfinite(row)] for row in self.measured]
        mean = [float(row.mean()) if len(row) else float("nan") for row in known]
        half = [_half(row) for row in known]
        rise = self.measured[-1] - self.measured[0]
        rise = rise[np.isfinite(rise)]
        spread = _half(rise)
        total = float(rise.mean()) if len(rise) else float("nan")
        told = {
            "measure": self.measure,
            "values": list(self.values),
            "mean": mean,
            "low": [m - h for m, h in zip(mean, half, strict=True)],
            "high": [m + h for m, h in zip(mean, half, strict=True)],
            "monotonic": all(b > a for a, b in pairwise(mean)),
            "rise": total,
            "rise_low": total - spread,
            "rise_high": total + spread,
        }
        return {**told, "rises": sweep_rises(told)}


def sweep_rises(sweep: Mapping[str, Any]) -> bool:
    """Whether the figures of a sweep rise at every step, and from end to end by more than chance does."""
    return bool(sweep["monotonic"] and sweep["rise_low"] is not None and sweep["rise_low"] > 0.0)


def sweeps_in(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every sweep of the figures of `evaluate controls`: of what ("", "expression" or "style"), name, figures.

    Figures of earlier versions have none of the expression.
    """
    yield from (("", name, part) for name, parts in figures["controls"].items() for part in parts)
    yield from (("expression", name, part) for name, part in figures.get("gains", {}).items())
    yield from (("style", name, part) for name, part in figures["style"].items())


def _half(values: Values) -> float:
    """Half of the 95 % interval of a mean; NaN of nothing."""
    return 1.96 * float(values.std()) / len(values) ** 0.5 if len(values) else float("nan")
