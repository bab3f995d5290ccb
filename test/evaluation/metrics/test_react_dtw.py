"""Dynamic time warping against its definition, and that leaving early never changes the nearest."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.evaluation.metrics.react import Part, nearest_distances

pytest.importorskip("numba")


def table(x: np.ndarray, y: np.ndarray) -> float:
    """DTW by its recursion, cell by cell."""
    cost = np.square(x[:, None] - y[None]).sum(-1)
    out = np.full((len(x) + 1, len(y) + 1), np.inf)
    out[0, 0] = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            out[i + 1, j + 1] = cost[i, j] + min(out[i, j], out[i, j + 1], out[i + 1, j])
    return float(np.sqrt(out[-1, -1]))


def one(x: np.ndarray, y: np.ndarray) -> float:
    return float(nearest_distances(x[None], [y], [Part(slice(0, x.shape[1]), 1.0)])[0])


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (6, 1), (2, 3), (40, 40), (33, 57), (70, 34)])
def test_it_is_the_recursion(n: int, m: int, channels: int) -> None:
    rng = np.random.default_rng(n * 100 + m)
    x, y = rng.standard_normal((n, channels)), rng.standard_normal((m, channels))
    assert one(x, y) == pytest.approx(table(x, y), rel=1e-5)


def test_a_stretched_copy_is_at_no_distance_and_warping_only_helps() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4))
    assert one(x, np.repeat(x, 3, 0)) == pytest.approx(0.0, abs=1e-6)
    y = rng.standard_normal((30, 4))
    assert one(x, y) <= np.sqrt(np.square(x - y).sum()) + 1e-6
    assert one(x, y) == pytest.approx(one(y, x), rel=1e-5)


def test_the_nearest_of_many_is_found_whatever_their_order() -> None:
    rng = np.random.default_rng(1)
    predictions = np.cumsum(rng.standard_normal((4, 50, 5)), 1)
    targets = [np.cumsum(rng.standard_normal((length, 5)), 0) for length in (50, 50, 44, 61, 50, 50)]
    parts = [Part(slice(0, 2), 1.0), Part(slice(2, 5), 0.25)]
    every = [[table(p[:, :2], t[:, :2]) + 0.25 * table(p[:, 2:], t[:, 2:]) for t in targets] for p in predictions]
    found = nearest_distances(predictions, targets, parts)
    assert found == pytest.approx(np.min(every, 1), rel=1e-5)
    assert nearest_distances(predictions, targets[::-1], parts) == pytest.approx(found, rel=1e-6)
