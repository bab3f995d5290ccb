"""Shapes of nods beside people's: how long they last, how often they go down, how large and how fast they are.

Annotated nods come as a table with a row for each measure and label (github.com/jobschepens/cross-modal-head-nod-
analysis, data/GER_2412.csv): eight statistics, then a column for each nod. Its amplitude and velocity are relative to
the size of a face, ours are angles; so both are divided by their own median, and only their spread is compared.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics.events import NOD_HALF_CYCLE_RAD, Values, moving_average, nods
from reactdiff_ros.recordings.datasets.recording import DatasetError, readable_text
from reactdiff_ros.types import REACTION_RATE_HZ

Floats = NDArray[np.float64]
Shapes = Mapping[str, Floats]
"""Values (n,) of each of MEASURES."""
MEASURES: Final = ("length_s", "peaks", "peaks_per_s", "amplitude", "velocity")
RELATIVE: Final = ("amplitude", "velocity")
"""Measures of another unit: over their median."""
_ROWS: Final = dict(
    zip(("length (seconds)", "peaks", "peaks per sec", "extremes amplitude", "velocity"), MEASURES, strict=True)
)
_STATISTICS: Final = 9
"""Columns before those of the nods."""
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
LEAST_NODS: Final = 5


def read_nods(path: Path) -> dict[str, Shapes]:
    """Annotated nods by label, such as "feedback"; labels with fewer than LEAST_NODS are left out.

    Raises:
        DatasetError: the table cannot be read, lacks a measure, or holds what is no number or below 0.
    """
    found: dict[str, dict[str, Floats]] = {}
    with readable_text(path, "table of nods") as file:
        rows = csv.reader(file)
        for row in rows:
            name = _ROWS.get(row[0].strip()) if len(row) > _STATISTICS else None
            if name is None:
                continue
            line = f"line {rows.line_num} of the table of nods"
            try:
                values = np.array([float(cell) for cell in row[_STATISTICS:] if cell.strip()], dtype=np.float64)
            except ValueError as error:
                raise DatasetError(f"{line} is not numeric", where=str(path), todo=str(error)) from error
            if not np.isfinite(values).all() or (values < 0).any():
                todo = "they are numbers from 0 on"
                raise DatasetError(f"{line} has a value that no nod has", where=str(path), todo=todo)
            found.setdefault(row[1].strip(), {})[name] = values
    if missing := [name for name in MEASURES if not found or any(name not in of for of in found.values())]:
        todo = f"it needs rows {', '.join(_ROWS)} for each label"
        raise DatasetError(f"the table of nods lacks {', '.join(missing)}", where=str(path), todo=todo)
    return {label: of for label, of in found.items() if len(of["length_s"]) >= LEAST_NODS}


def shapes_of(pitch: Values) -> Shapes:
    """Shapes of the nods in head pitch (N, T) in rad, down positive.

    peaks: turns from down to up that stand out by NOD_HALF_CYCLE_RAD; amplitude: largest half-cycle, rad; velocity:
    mean speed of the head within the nod, rad/s.
    """
    from scipy.signal import find_peaks

    found, smooth = nods(pitch), moving_average(pitch, 3)
    curves = [smooth[r, s:e] for r, s, e in zip(found.row, found.start, found.end, strict=True)]
    peaks = np.array([len(find_peaks(c, prominence=NOD_HALF_CYCLE_RAD)[0]) for c in curves], dtype=np.float64)
    speed = np.array([np.abs(np.diff(c)).mean() * REACTION_RATE_HZ for c in curves], dtype=np.float64)
    values = (found.length_s, peaks, peaks / np.maximum(found.length_s, 1e-9), found.size, speed)
    return dict(zip(MEASURES, values, strict=True))


def compared(shown: Shapes, annotated: Mapping[str, Shapes]) -> dict[str, Any]:
    """Quantiles of a listener's nods, and their distances from the annotated ones of each label.

    w1: Wasserstein-1 distance over the annotated deviation; ks: Kolmogorov and Smirnov's statistic, the largest
    difference of the two distribution functions. Of fewer than LEAST_NODS nods nothing but the count is given.
    """
    count = len(shown["length_s"])
    if count < LEAST_NODS:
        return {"count": count}
    distances = {
        label: {name: _distance(_scaled(shown, name), _scaled(real, name)) for name in MEASURES}
        for label, real in annotated.items()
    }
    return {"count": count, "quantiles": quantiles(shown), "distances": distances}


def quantiles(shapes: Shapes) -> dict[str, list[float]]:
    """QUANTILES of each of MEASURES."""
    return {name: [float(q) for q in np.quantile(_scaled(shapes, name), QUANTILES)] for name in MEASURES}


def _scaled(shapes: Shapes, name: str) -> Floats:
    values = shapes[name]
    return values / max(float(np.median(values)), 1e-12) if name in RELATIVE else values


def _distance(some: Floats, real: Floats) -> dict[str, float]:
    from scipy.stats import ks_2samp, wasserstein_distance

    spread = float(real.std())
    w1 = float(wasserstein_distance(some, real)) / spread if spread > 0 else float("nan")
    return {"w1": w1, "ks": float(ks_2samp(some, real, method="asymp").statistic)}
