"""Figures as text, and charts of them (SVG templates)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from reactdiff_ros.evaluation.estimates import Estimate

Values = NDArray[np.float64]


def number(value: float | None, digits: int | None = None) -> str:
    """A figure for people: three significant digits or `digits` behind the point, a real minus, "–" for none."""
    if value is None or not math.isfinite(value):
        return "–"
    if digits is None:
        size = abs(value)
        digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    text = f"{value:,.{digits}f}"
    return (text if text.strip("-0.,") else text.lstrip("-")).replace("-", "−")


def interval(estimate: Estimate, digits: int | None = None) -> str:
    """As "low to high", or "" where there is no interval."""
    if not estimate.has_interval:
        return ""
    digits = _digits(estimate) if digits is None else digits
    return f"{number(estimate.low, digits)} to {number(estimate.high, digits)}"


def value(estimate: Estimate, digits: int | None = None) -> str:
    """The figure with as many digits as its interval."""
    return number(estimate.value, _digits(estimate) if digits is None else digits)


def _digits(estimate: Estimate) -> int:
    size = max(abs(x) for x in (estimate.value, estimate.low, estimate.high, 0.0) if math.isfinite(x))
    return 0 if size >= 100 else 1 if size >= 10 or not size else 2 if size >= 1 else 3 if size >= 0.01 else 5


def digits_of(estimates: Iterable[Estimate | None]) -> int:
    """Digits behind the point of all figures of a column: those of the middle one by size."""
    each = sorted(_digits(e) for e in estimates if e is not None and math.isfinite(e.value) and e.value)
    return each[len(each) // 2] if each else 1


LETTER_PX: Final = 5.4
"""Width of a character of an axis, about."""
FOREST_PX: Final = {"row": 22, "label": 128, "width": 420, "value": 58}


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from `low` to `high` over pixels `left` to `right`."""

    low: float
    high: float
    left: float
    right: float

    def __call__(self, x: float) -> float:
        """Pixels of a value, kept within the axis."""
        share = (min(max(x, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.left + share * (self.right - self.left), 1)

    @property
    def ticks(self) -> list[float]:
        """Round values on the axis."""
        return nice_ticks(self.low, self.high)

    @property
    def labels(self) -> list[tuple[float, str, str]]:
        """Pixel, anchor and text of every tick; a text that would overlap the one before it is empty."""
        digits = max((len(f"{t:.6f}".rstrip("0").partition(".")[2]) for t in self.ticks), default=0)
        out, free = [], -math.inf
        for t in self.ticks:
            x, text = self(t), number(t, digits)
            anchor = "start" if x - self.left < 10 else "end" if self.right - x < 10 else "middle"
            width = LETTER_PX * len(text)
            begin = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
            fits = begin > free
            free = begin + width + LETTER_PX if fits else free
            out.append((x, anchor, text if fits else ""))
        return out


def axis(values: Sequence[float], left: float, right: float) -> Axis:
    """An axis that holds all finite values and 0, with room on both sides."""
    known = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(*known, 0.0), max(*known, 0.0)
    room = 0.06 * (high - low) or 0.5
    return Axis(low - (room if low < 0 else 0), high + room, left, right)


def nice_ticks(low: float, high: float) -> list[float]:
    """Round values between two ends."""
    raw = (high - low) / 6
    step = 10.0 ** math.floor(math.log10(raw))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if m * step >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A system in a plot."""

    label: str
    role: str
    estimate: Estimate
    subject: bool = False

    @property
    def css(self) -> str:
        """Its class in the style sheet."""
        return "subject" if self.subject else self.role


def forest(rows: Sequence[Drawn], digits: int, title: str) -> Markup:
    """Every system's figure with its interval, and a line at the control."""
    ends = [x for r in rows for x in (r.estimate.value, r.estimate.low, r.estimate.high)]
    to = axis(ends, FOREST_PX["label"] + 6, FOREST_PX["width"] - FOREST_PX["value"])
    control = next((r for r in rows if r.role == "control" and math.isfinite(r.estimate.value)), None)
    height = FOREST_PX["row"] * len(rows) + 22
    return _chart("forest", rows=rows, to=to, control=control, digits=digits, height=height, title=title, px=FOREST_PX)


def band(low: float, mid: float, high: float, points: Sequence[Drawn], title: str) -> Markup:
    """People's band, shaded, with every system's figure; the subject is above, all others on one line below."""
    ends = [low, mid, high, *(x for p in points for x in (p.estimate.value, p.estimate.low, p.estimate.high))]
    to = axis(ends, 6, 454)
    return _chart("band", low=low, mid=mid, high=high, points=points, to=to, title=title)


def histogram(samples: Values, title: str, *, edges: Values, marks: Sequence[tuple[float, str]] = (),
              shade: tuple[float, float] | None = None, other: Values | None = None) -> Markup:  # fmt: skip
    """Shares of samples by bin as bars, another sample as a line, marks as labelled lines, a shaded stretch behind."""
    top, floor = 26, 126
    to = Axis(float(edges[0]), float(edges[-1]), 10, 410)
    own = _shares(samples, edges)
    theirs = _shares(other, edges) if other is not None and len(other) else np.zeros(0)
    most = max(float(own.max(initial=0.0)), float(theirs.max(initial=0.0)), 1e-9)
    spans = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    def bars(shares: Values) -> list[tuple[float, float, float]]:
        heights = [round(floor - (floor - top) * share / most, 1) for share in shares.tolist()]
        return [(to(a), to(b), y) for (a, b), y in zip(spans, heights, strict=False)]

    return _chart(
        "histogram", to=to, top=top, floor=floor, bars=[b for b, s in zip(bars(own), own, strict=True) if s > 0],
        line=bars(theirs), marks=_marks(to, marks, top), shade=shade, title=title,
    )  # fmt: skip


def _marks(to: Axis, marks: Sequence[tuple[float, str]], top: float) -> list[tuple[float, float, float, str, str]]:
    """Pixel, height, place, anchor and text of labels; one that would overlap the one before it is lower."""
    out, last = [], -1e9
    for x, text in sorted((to(at), text) for at, text in marks):
        width = 6.2 * len(text)
        anchor, place = ("start", x + 4) if x + 4 + width < to.right else ("end", x - 4)
        begin = place if anchor == "start" else place - width
        free = begin > last + 8
        last = begin + width if free else last
        out.append((x, top - 12 if free else top + 2, place, anchor, text))
    return out


def _shares(samples: Values, edges: Values) -> Values:
    inside = np.clip(samples, edges[0], np.nextafter(edges[-1], edges[0]))
    return np.asarray(np.histogram(inside, edges)[0] / max(len(samples), 1), dtype=np.float64)


@cache
def environment() -> jinja2.Environment:
    """The templates of the page, with `number`, `value` and `clock`."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("reactdiff_ros.evaluation.report", "page"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    templates.filters |= {"number": number, "clock": clock}
    templates.globals |= {"value": value, "isfinite": math.isfinite}
    return templates


def clock(seconds: float) -> str:
    """Time in a recording: 1:05.2."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def _chart(kind: str, **values: Any) -> Markup:
    return Markup(environment().get_template(f"{kind}.svg.j2").render(values).strip())
