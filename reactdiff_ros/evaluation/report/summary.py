"""Figures of systems with intervals, drawn by groups of items, and what differs from what."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.results import Better, Figure, Item, System

Values = NDArray[np.float64]
FEW_GROUPS: Final = 10
"""With fewer groups than this a percentile interval is too narrow, and pages say so."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval (NaN: none) from `items` items where it is defined."""

    value: float
    low: float
    high: float
    items: int

    @property
    def has_interval(self) -> bool:
        """Both ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second, with its 95 % interval and how that was drawn."""

    value: float
    low: float
    high: float
    how: str
    """"paired", "unpaired", "from intervals" or "no interval"."""
    items: int

    @property
    def verdict(self) -> str:
        """Is "none" where the interval holds 0 or is not known; else "higher" or "lower"."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low <= 0 <= self.high:
            return "none"
        return "higher" if self.low > 0 else "lower"

    def judged(self, better: Better) -> str:
        """Is "better" or "worse" where a figure has a good direction, else as `verdict`."""
        found = self.verdict
        if found == "none" or better not in ("higher", "lower"):
            return found
        return "better" if found == better else "worse"


def groups_of(items: Sequence[Item]) -> list[str]:
    """The name of what is drawn together, for each item; an item without a group is alone."""
    return [f"group {item.group}" if item.group else f"item {item.id}" for item in items]


def weights_of(groups: Sequence[str], seed: int = 0, resamples: int = bootstrap.RESAMPLES) -> Values:
    """How often each item is in each resample, (B, N): whole groups are drawn."""
    if not groups:
        return np.zeros((resamples, 0))
    names = {name: index for index, name in enumerate(dict.fromkeys(groups))}
    of_item = np.array([names[group] for group in groups], dtype=np.intp)
    return bootstrap.draws(seed, len(names), resamples)[:, of_item]


def means(weights: Values, values: Values) -> Values:
    """Mean of what is defined in each resample, (B,); NaN where nothing is."""
    known = np.isfinite(values)
    count = weights @ known.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(count > 0, (weights @ np.where(known, values, 0.0)) / count, np.nan))


def ratios(weights: Values, above: Values, below: Values) -> Values:
    """Sum of `above` (N,) over the sum of `below` in each resample, (B,): rates over unequal lengths."""
    total = weights @ below
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, (weights @ above) / total, np.nan))


def estimate(values: Values, weights: Values) -> Estimate:
    """The mean of one value an item (N,), NaN left out; an interval only from two groups that differ on."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan, 0)
    drawn = varied(weights) and len(known) > 1
    low, high = bootstrap.interval(means(weights, values)) if drawn else (math.nan, math.nan)
    return Estimate(float(known.mean()), low, high, len(known))


def varied(weights: Values) -> bool:
    """The resamples differ: there is more than one group to draw from."""
    return bool(len(weights)) and bool((weights != weights[:1]).any())


def estimate_of(system: System, name: str, weights: Values) -> Estimate | None:
    """A system's figure, as it was given or from its items; None: it has none of that name."""
    figure = system.figures.get(name)
    if figure is not None:
        count = int(weights.shape[1])
        return Estimate(figure.value, figure.low, figure.high, count)
    values = system.values.get(name)
    return None if values is None else estimate(np.asarray(values, dtype=np.float64), weights)


def paired(first: Values, second: Values, weights: Values) -> Difference:
    """Two systems on the same items, (N,) each: items where either is not defined are left out."""
    both = np.isfinite(first) & np.isfinite(second)
    gap = np.where(both, first - second, np.nan)
    found = estimate(gap, weights)
    return Difference(
        found.value, found.low, found.high, "paired" if found.has_interval else "no interval", found.items
    )


def unpaired(first: Values, second: Values, weights: tuple[Values, Values]) -> Difference:
    """Two systems on different items: each is drawn for itself."""
    drawn = [means(w, v) for w, v in zip(weights, (first, second), strict=True)]
    known = [v[np.isfinite(v)] for v in (first, second)]
    if not len(known[0]) or not len(known[1]):
        return Difference(math.nan, math.nan, math.nan, "no interval", 0)
    value = float(known[0].mean() - known[1].mean())
    count = min(len(known[0]), len(known[1]))
    if count < 2 or not all(varied(w) for w in weights):
        return Difference(value, math.nan, math.nan, "no interval", count)
    return Difference(value, *bootstrap.interval(drawn[0] - drawn[1]), "unpaired", count)


def from_intervals(first: Figure, second: Figure, items: int) -> Difference:
    """Two figures that are no means, from their own intervals, half widths added in quadrature."""
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    if not (math.isfinite(below) and math.isfinite(above)):
        return Difference(value, math.nan, math.nan, "no interval", items)
    return Difference(value, value - below, value + above, "from intervals", items)


Values = NDArray[np.float64]
_TICK: Final = 5.4
"""Width of a figure of an axis, about."""
_ROW: Final = 22
_LABEL: Final = 128
_WIDTH: Final = 420
_VALUE: Final = 58


def number(value: float | None, digits: int | None = None) -> str:
    """A figure for people: three significant digits or `digits` behind the point, a real minus, "–" for none."""
    if value is None or not math.isfinite(value):
        return "–"
    if digits is None:
        size = abs(value)
        digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    text = f"{value:,.{digits}f}"
    return "0" if not text.strip("-0.,") and digits == 0 else text.replace("-", "−")


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
    """Digits behind the point that all figures of a column are told with: those of the middle one by size."""
    each = sorted(_digits(e) for e in estimates if e is not None and math.isfinite(e.value) and e.value)
    return each[len(each) // 2] if each else 1


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


def axis(values: Sequence[float], left: float, right: float, *, zero: bool = True) -> Axis:
    """An axis that holds all finite values with room on both sides, and 0 where `zero`."""
    known = [v for v in values if math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.06 * (high - low) or abs(high) * 0.1 or 0.5
    return Axis(low - (room if low < 0 or not zero else 0), high + room, left, right)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A system in a plot."""

    label: str
    role: str
    estimate: Estimate
    subject: bool = False


def forest(rows: Sequence[Drawn], digits: int, title: str) -> Markup:
    """Every system's figure with its interval, and a line at the control."""
    height = _ROW * len(rows) + 22
    ends = [x for r in rows for x in (r.estimate.value, r.estimate.low, r.estimate.high)]
    to = axis(ends, _LABEL + 6, _WIDTH - _VALUE)
    parts = [_grid(to, 4, height - 20)]
    control = next((r for r in rows if r.role == "control" and math.isfinite(r.estimate.value)), None)
    if control is not None:
        x = to(control.estimate.value)
        parts.append(f'<line class="control-line" x1="{x}" x2="{x}" y1="2" y2="{height - 20}"/>')
    for index, row in enumerate(rows):
        y = _ROW * index + _ROW / 2 + 2
        kind = "subject" if row.subject else row.role
        label = row.label if len(row.label) <= 20 else row.label[:19] + "…"
        told = value(row.estimate, digits)
        parts.append(
            f'<g class="{kind}"><text class="name" x="{_LABEL - 4}" y="{y + 4}" text-anchor="end">{escape(label)}'
            f"<title>{escape(row.label)}</title></text>{_mark(to, row.estimate, y, row.subject, row.role)}"
            f'<text class="value" x="{_WIDTH - 2}" y="{y + 4}" text-anchor="end">{told}</text></g>'
        )
    parts.append(_ticks(to, height - 6))
    return _svg(_WIDTH, height, parts, title, "forest")


def _mark(to: Axis, estimate: Estimate, y: float, filled: bool, role: str) -> str:
    if not math.isfinite(estimate.value):
        return ""
    x = to(estimate.value)
    line = ""
    if estimate.has_interval:
        line = f'<line class="whisker" x1="{to(estimate.low)}" x2="{to(estimate.high)}" y1="{y}" y2="{y}"/>'
    if role == "reference":
        return f'{line}<rect class="dot" x="{x - 4}" y="{y - 4}" width="8" height="8" transform="rotate(45 {x} {y})"/>'
    if role == "control":
        return f'{line}<rect class="dot" x="{x - 4}" y="{y - 4}" width="8" height="8"/>'
    return f'{line}<circle class="dot" cx="{x}" cy="{y}" r="{5.5 if filled else 4}"/>'


def band(low: float, mid: float, high: float, points: Sequence[Drawn], title: str) -> Markup:
    """People's band, shaded, with every system's figure; the subject is above, all others on one line below."""
    width, height = 460, 46
    ends = [low, mid, high, *(x for p in points for x in (p.estimate.value, p.estimate.low, p.estimate.high))]
    to = axis(ends, 6, width - 6)
    left, right = to(low), to(high)
    parts = [
        f'<line class="base" x1="6" x2="{width - 6}" y1="32" y2="32"/>',
        f'<rect class="band" x="{left}" y="3" width="{max(right - left, 2)}" height="29" rx="3"/>',
        f'<line class="mid" x1="{to(mid)}" x2="{to(mid)}" y1="3" y2="32"/>',
    ]
    for point in points:
        y = 12 if point.subject else 24
        kind = "subject" if point.subject else point.role
        told = f"{point.label}: {value(point.estimate)}"
        parts.append(
            f'<g class="{kind}"><title>{escape(told)}</title>'
            f"{_mark(to, point.estimate, y, point.subject, point.role)}</g>"
        )
    parts.append(_ticks(to, 44))
    return _svg(width, height, parts, title, "bands")


def histogram(samples: Values, title: str, *, edges: Values, marks: Sequence[tuple[float, str]] = (),
              shade: tuple[float, float] | None = None, other: Values | None = None) -> Markup:  # fmt: skip
    """Shares of samples by bin as bars, another sample as a line, marks as labelled lines, a shaded stretch behind."""
    width, height, top, floor = 420, 150, 26, 126
    to = Axis(float(edges[0]), float(edges[-1]), 10, width - 10)
    own, theirs = _shares(samples, edges), _shares(other, edges) if other is not None and len(other) else None
    most = max([float(own.max(initial=0.0)), float(theirs.max(initial=0.0)) if theirs is not None else 0.0, 1e-9])

    def up(share: float) -> float:
        return round(floor - (floor - top) * share / most, 1)

    parts: list[str] = []
    if shade is not None:
        left, right = to(shade[0]), to(shade[1])
        parts.append(
            f'<rect class="band" x="{left}" y="{top - 6}" width="{max(right - left, 2)}" height="{floor - top + 6}"/>'
        )
    for share, a, b in zip(own, edges[:-1], edges[1:], strict=True):
        if share > 0:
            parts.append(
                f'<rect class="bar" x="{to(a) + 0.5}" y="{up(share)}" width="{max(to(b) - to(a) - 1, 0.6):.1f}" '
                f'height="{max(floor - up(share), 0.5):.1f}"/>'
            )
    if theirs is not None:
        steps = " ".join(
            f"L{to(a)} {up(s)}L{to(b)} {up(s)}" for s, a, b in zip(theirs, edges[:-1], edges[1:], strict=True)
        )
        parts.append(f'<path class="other" d="M{to(edges[0])} {floor}{steps}L{to(edges[-1])} {floor}"/>')
    parts.append(f'<line class="base" x1="10" x2="{width - 10}" y1="{floor}" y2="{floor}"/>')
    parts += _marks(to, marks, top, floor)
    parts.append(_ticks(to, height - 8, grid=(floor, floor + 4)))
    return _svg(width, height, parts, title, "histogram")


def _marks(to: Axis, marks: Sequence[tuple[float, str]], top: float, floor: float) -> list[str]:
    """Labelled lines; a label that would meet the one before it moves to the other side of its line."""
    out, last = [], -1e9
    for x, label in sorted((to(at), text) for at, text in marks):
        width = 6.2 * len(label)
        anchor, place = ("start", x + 4) if x + 4 + width < to.right else ("end", x - 4)
        begin = place if anchor == "start" else place - width
        free = begin > last + 8
        y = top - 12 if free else top + 2
        last = begin + width if free else last
        out.append(
            f'<line class="mark" x1="{x}" x2="{x}" y1="{y - 4}" y2="{floor}"/>'
            f'<text class="mark" x="{place}" y="{y + 4}" text-anchor="{anchor}">{escape(label)}</text>'
        )
    return out


def _shares(samples: Values, edges: Values) -> Values:
    inside = np.clip(samples, edges[0], np.nextafter(edges[-1], edges[0]))
    return np.asarray(np.histogram(inside, edges)[0] / max(len(samples), 1), dtype=np.float64)


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values between two ends."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    raw = span / most
    step = 10.0 ** math.floor(math.log10(raw))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if m * step >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _ticks(to: Axis, y: float, grid: tuple[float, float] | None = None) -> str:
    ticks = nice_ticks(to.low, to.high)
    digits = max((len(f"{t:.6f}".rstrip("0").partition(".")[2]) for t in ticks), default=0)
    out = []
    free = -math.inf
    for t in ticks:
        x, label = to(t), number(t, digits)
        anchor = "start" if x - to.left < 10 else "end" if to.right - x < 10 else "middle"
        width = _TICK * len(label)
        begin = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        if grid is not None:
            out.append(f'<line class="base" x1="{x}" x2="{x}" y1="{grid[0]}" y2="{grid[1]}"/>')
        if begin > free:  # a label that would meet the one before it is left out
            out.append(f'<text class="tick" x="{x}" y="{y}" text-anchor="{anchor}">{label}</text>')
            free = begin + width + _TICK
    return "".join(out)


def _grid(to: Axis, top: float, bottom: float) -> str:
    return "".join(
        f'<line class="grid" x1="{to(t)}" x2="{to(t)}" y1="{top}" y2="{bottom}"/>' for t in nice_ticks(to.low, to.high)
    )


def _svg(width: float, height: float, parts: Sequence[str], title: str, kind: str) -> Markup:
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )
