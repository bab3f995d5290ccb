"""The loops of exact dynamic time warping, compiled with numba on first use and kept on disk from then on.

`squared_dtw` fills the table by antidiagonals, which run as vectors, and only where a path can still be cheap enough:
a cell is left out once its own cost and the least cost of what must follow exceed the limit (the idea of pruned
warping: Herrmann and Webb 2021). What must follow is bounded by boxes around stretches of both sequences: every
frame is aligned with some frame of the other one, so it costs at least the distance of its box to the nearest box.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import njit

BOX: Final = 16
"""Frames of a box: half as many bound little better and cost four times as much."""
SLACK: Final = 1e-4
"""Costs are float32 sums: limits are this much (relative) above what they stand for, so nothing exact is lost."""
_FAST: Final = {"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as machine code, kept on disk where a folder for it can be written."""
    try:
        return njit(nogil=True, fastmath=_FAST, cache=True)(function)  # type: ignore[no-any-return,unused-ignore]
    except RuntimeError:  # neither next to this file nor in the user's cache
        return njit(nogil=True, fastmath=_FAST)(function)  # type: ignore[no-any-return,unused-ignore]


@compiled
def squared_dtw(x: Any, y: Any, after_x: Any, after_y: Any, limit: float) -> Any:
    """Squared DTW distance of x (D, T) and y (D, T') with y's time reversed; 1e30 if it exceeds `limit`.

    `after_x` (T,) and `after_y` (T',) bound from below what the frames after each one cost. Three antidiagonals are
    kept: cell i of a diagonal needs cells i and i - 1 of the one before and i - 1 of the one before that. Reversed
    time makes both inputs run forward along a diagonal. Cell i stands at index i + 1; what was left out is `far`.
    """
    channels, n = x.shape
    m = y.shape[1]
    far = np.float32(1e30)
    before2, before, now = np.empty(n + 1, np.float32), np.empty(n + 1, np.float32), np.empty(n + 1, np.float32)
    before2[:], before[:], now[:] = far, far, far
    cost = np.empty(n, np.float32)
    low1, high1, low2, high2 = 0, 1, 0, 0
    one, two, three = np.uintp(1), np.uintp(2), np.uintp(3)
    for k in range(n + m - 1):
        low = max(min(low1, low2 + 1), k - m + 1, 0)
        high = min(max(high1, high2) + 1, k + 1, n)
        if k == 0:
            low, high = 0, 1
        if low >= high:
            return far
        # Unsigned: numba would look at every other index whether it counts from the end. y is read at y_at + i.
        first, last, y_at = np.uintp(low), np.uintp(high), np.uintp(m - 1 - k)
        for i in range(first, last):
            cost[i] = 0.0
        for p in range(channels // 4):
            q = np.uintp(4 * p)
            for i in range(first, last):
                j = y_at + i
                e, f = x[q, i] - y[q, j], x[q + one, i] - y[q + one, j]
                g, h = x[q + two, i] - y[q + two, j], x[q + three, i] - y[q + three, j]
                cost[i] += e * e + f * f + g * g + h * h
        q = np.uintp(channels // 4 * 4)
        if channels % 4 > 1:
            for i in range(first, last):
                e, f = x[q, i] - y[q, y_at + i], x[q + one, i] - y[q + one, y_at + i]
                cost[i] += e * e + f * f
        if channels % 2:
            q = np.uintp(channels - 1)
            for i in range(first, last):
                e = x[q, i] - y[q, y_at + i]
                cost[i] += e * e
        if k == 0:
            now[1] = cost[0]
        else:
            for i in range(first, last):
                left, up, corner = before[i + one], before[i], before2[i]
                least = left if left < up else up
                least = least if least < corner else corner
                now[i + one] = cost[i] + least
        now[low] = far
        if high < n:
            now[high + 1] = far
        # Two diagonals in eight, which is enough to end: looking costs as much as some cells.
        if k % 8 > 5:
            while low < high and now[low + 1] + max(after_x[low], after_y[k - low]) > limit:
                now[low + 1] = far
                low += 1
            while low < high and now[high] + max(after_x[high - 1], after_y[k - high + 1]) > limit:
                now[high] = far
                high -= 1
        if low >= high:
            # Nothing is left of this diagonal; the next may still be reached from the one before.
            low, high = n, 0
        low2, high2, low1, high1 = low1, high1, low, high
        before2, before, now = before, now, before2
    return before[n]


@compiled
def straight_cost(x: Any, y: Any) -> float:
    """Squared cost of one plain path of x (D, T) and y (D, T', time reversed): along the diagonal, then straight."""
    channels, n = x.shape
    m = y.shape[1]
    total = 0.0
    for q in range(channels):
        for i in range(max(n, m)):
            e = x[q, min(i, n - 1)] - y[q, m - 1 - min(i, m - 1)]
            total += e * e
    return total


@compiled
def boxes(x: Any, size: int) -> Any:
    """Bounds of each `size` frames of x (D, T): (2, D, ceil(T / size)), lowest and highest."""
    channels, n = x.shape
    count = (n + size - 1) // size
    out = np.empty((2, channels, count), np.float32)
    for q in range(channels):
        for b in range(count):
            stretch = x[q, b * size : min((b + 1) * size, n)]
            out[0, q, b], out[1, q, b] = stretch.min(), stretch.max()
    return out


@compiled
def least_costs(x_boxes: Any, y_boxes: Any, n: int, m: int, size: int) -> Any:
    """What the frames from t on cost at least, of both sequences (n + 1,) and (m + 1,), and the whole path.

    Each frame is aligned with some frame of the other sequence, so it costs at least the squared distance of its box
    to the nearest one. The bound of the whole knows besides that a path never goes back: the frames of each row of
    boxes pay for the cheapest of the boxes that the path crosses there. Boxes as `boxes` makes them.
    """
    channels, rows = x_boxes.shape[1], x_boxes.shape[2]
    columns = y_boxes.shape[2]
    nearest_x, nearest_y = np.empty(rows, np.float32), np.empty(columns, np.float32)
    nearest_y[:] = np.float32(1e30)
    gaps = np.empty(columns, np.float32)
    paid, before = np.empty(columns), np.full(columns, 1e30)
    zero = np.float32(0.0)
    for r in range(rows):
        gaps[:] = zero
        for q in range(channels):
            lowest, highest = x_boxes[0, q, r], x_boxes[1, q, r]
            least, most = y_boxes[0, q], y_boxes[1, q]
            for c in range(columns):
                gap = max(max(least[c] - highest, lowest - most[c]), zero)
                gaps[c] += gap * gap
        smallest = gaps[0]
        for c in range(columns):
            smallest = min(smallest, gaps[c])
            nearest_y[c] = min(nearest_y[c], gaps[c])
        nearest_x[r] = smallest
        frames = min(size, n - r * size)
        owed, done = 1e30, 1e30
        for c in range(columns):
            entered = before[c] if c == 0 else min(before[c], before[c - 1])
            if r == 0 and c == 0:
                entered = 0.0
            owed = min(owed, entered)
            done = min(done, owed + frames * gaps[c])
            paid[c] = done
        before, paid = paid, before
    after_x, after_y = np.zeros(n + 1), np.zeros(m + 1)
    for t in range(n - 1, -1, -1):
        after_x[t] = after_x[t + 1] + nearest_x[t // size]
    for t in range(m - 1, -1, -1):
        after_y[t] = after_y[t + 1] + nearest_y[t // size]
    return after_x, after_y, before[columns - 1]


@compiled
def nearest(x: Any, y: Any, x_boxes: Any, y_boxes: Any, begins: Any, weights: Any, best: float) -> float:
    """The smaller of `best` and the distance of x (D, T) to a target y (D, T'), its time reversed."""
    parts = len(weights)
    n, m = x.shape[1], y.shape[1]
    after_x, after_y = np.zeros((parts, n + 1)), np.zeros((parts, m + 1))
    least = np.zeros(parts)
    for p in range(parts):
        a, b = begins[p], begins[p + 1]
        if a < b:
            after_x[p], after_y[p], whole = least_costs(x_boxes[:, a:b], y_boxes[:, a:b], n, m, BOX)
            least[p] = weights[p] * np.sqrt(whole * (1 - SLACK))
        if least.sum() >= best:
            return best
    total, rest = 0.0, least.sum()
    for p in range(parts):
        a, b = begins[p], begins[p + 1]
        if a < b:
            rest -= least[p]
            left = max(best - total - rest, 0.0) / weights[p]
            limit = (left * left if left < 1e15 else straight_cost(x[a:b], y[a:b])) * (1 + SLACK)
            total += weights[p] * np.sqrt(squared_dtw(x[a:b], y[a:b], after_x[p, 1:], after_y[p, 1:], limit))
        if total + rest >= best:
            return best
    return total
