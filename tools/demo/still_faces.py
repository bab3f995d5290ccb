"""How much perception's readings of recorded people tremble while these people hold still."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import NAMES, ROTATION
from reactdiff_ros.model.plan.latents import GROUPS
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.perception.speaker import SpeakerPerception
from reactdiff_ros.types import FloatArray, Picture

STRETCH_S: Final = 0.4
LEAST_PICTURES: Final = 8
"""Of a stretch."""
STILL: Final = 0.04
"""By how much a coefficient, in the mean over MEAN_OF pictures, may differ within a still stretch; the head in rad."""
MEAN_OF: Final = 5
SKIPPED_S: Final = 1.0
"""At a clip's beginning, where the person's neutral face is learnt fastest."""
MEASURED: Final = tuple((group.name, tuple(i for i in group.coefficients if i < ROTATION.stop)) for group in GROUPS)
"""(group, its coefficients); of the head the rotations, in rad."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What perception read of one clip, picture by picture."""

    times_s: NDArray[np.float64]
    """(T,)"""
    coefficients: FloatArray
    """(T, 58)"""
    observed: NDArray[np.bool_]
    """(T, 58): of landmarks that were found."""


@dataclass(slots=True)
class Tremble:
    """Deviations of still stretches of one group, over coefficients, and the clips that have any."""

    deviations: list[float] = field(default_factory=list)
    clips: int = 0


def read_clip(path: Path, nets: FaceNets | None = None) -> Readings:
    """One clip through a perception of its own.

    Raises:
        MediaError: it cannot be read, or has no picture.
    """
    perception = SpeakerPerception(nets=nets)
    times, read, observed = [], [], []
    for picture in MediaClip(path).pictures():
        frame = perception.observe_picture(Picture(NS + picture.offset_ns, picture.bgr))
        times.append(picture.offset_ns / NS)
        read.append(frame.coefficients)
        observed.append(frame.mesh_present & (frame.confidence > 0))
    shape = (len(times), len(NAMES))
    return Readings(
        np.array(times), np.array(read, np.float32).reshape(shape), np.array(observed, np.bool_).reshape(shape)
    )


def still_deviations(readings: Readings) -> list[list[float]]:
    """For each coefficient the deviation of its readings from a straight line, in every still stretch of a clip.

    Still: the running mean of the coefficient stays within STILL, and those of the head's turns do. Stretches with a
    reading at a bound of the coefficient, where noise would be cut off, are left out.
    """
    times = readings.times_s
    found: list[list[float]] = [[] for _ in NAMES]
    start = int(np.searchsorted(times, SKIPPED_S))
    while start < len(times):
        end = int(np.searchsorted(times, times[start] + STRETCH_S))
        rows, start = slice(start, end), end
        if end - rows.start < LEAST_PICTURES:
            continue
        values = readings.coefficients[rows].astype(np.float64)
        moved = np.ptp(np.lib.stride_tricks.sliding_window_view(values, MEAN_OF, axis=0).mean(-1), axis=0)
        deviation = _deviation(times[rows], values)
        inside = (values.min(0) > 0.0) & (values.max(0) < 1.0)
        inside[ROTATION.start :] = True  # positions and turns have no bound at 0
        kept = readings.observed[rows].all(0) & inside & (moved < STILL)
        if (moved[ROTATION] < STILL).all():
            for i in np.flatnonzero(kept):
                found[i].append(float(deviation[i]))
    return found


def _deviation(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each column of `values` (T, C) from its least-squares line over the times (T,)."""
    x, y = times - times.mean(), values - values.mean(0)
    return np.asarray(np.sqrt(((y - np.outer(x, x @ y / (x @ x))) ** 2).sum(0) / (len(x) - 2)))


def measure_people(clips: Sequence[Path]) -> dict[str, Tremble]:
    """By the names of MEASURED."""
    found = {name: Tremble() for name, _ in MEASURED}
    nets = FaceNets()
    for number, path in enumerate(clips):
        print(f"\rclip {number + 1} of {len(clips)}: {path.name:40.40s}", end="", file=sys.stderr, flush=True)
        by_coefficient = still_deviations(read_clip(path, nets))
        for name, members in MEASURED:
            mine = [deviation for i in members for deviation in by_coefficient[i]]
            found[name].deviations += mine
            found[name].clips += bool(mine)
    print(file=sys.stderr)
    return found


def people_table(clips: Sequence[Path], rendered: dict[str, float]) -> list[str]:
    """The lines of the page on recorded people.

    Args:
        clips: recordings of one person each.
        rendered: noise of the rendered face's coefficients by name, for comparison.
    """
    lines = [
        "", "## Recorded people", "",
        f"{len(clips)} public clips of one person each: {', '.join(p.stem for p in clips)}.", "",
        f"In each stretch of {STRETCH_S:g} s in which the mean of a coefficient over {MEAN_OF} pictures differs by",
        f"less than {STILL:g}, and the head turns by less than {np.degrees(STILL):.1f} degrees: the standard deviation",
        "of its readings around a straight line. Readings at a bound are left out. *rendered* is the root mean square",
        "of the noise above, of what of the group is moved there. People never hold quite still, and clips are",
        "compressed: the quietest tenth is nearest to perception's own noise, the rest holds small true motion too.",
        "Still stretches are few, because most of these people talk.", "",
        "| group | stretches x coefficients | clips | quietest tenth | median | largest tenth | rendered |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, tremble in measure_people(clips).items():
        beside = [rendered[NAMES[i]] for i in dict(MEASURED)[name] if NAMES[i] in rendered]
        lines.append(f"| {name}{', rad' if name == 'head' else ''} | {_figures(tremble)} | {_root(beside)} |")
    return lines


def _figures(tremble: Tremble) -> str:
    if not tremble.deviations:
        return "0 | 0 | - | - | -"
    low, middle, high = np.percentile(tremble.deviations, [10, 50, 90])
    return f"{len(tremble.deviations)} | {tremble.clips} | {low:.4f} | {middle:.4f} | {high:.4f}"


def _root(values: Sequence[float]) -> str:
    return f"{np.sqrt(np.mean(np.square(values))):.4f}" if values else "-"
