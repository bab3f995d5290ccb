"""A robot without hardware: mapping, limits and following over recorded coefficient frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.follow import Follower
from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT
from reactdiff_ros.errors import MediaError

Array = NDArray[np.float64]

COLUMNS: Final = (
    *("time", "joint", "target", "command", "velocity", "acceleration"),
    *("lower", "upper", "max_velocity", "max_acceleration", "limited"),
)
BLOCK: Final = 5000
MAX_TICKS: Final = 50_000_000
"""More than a week at 50 Hz: frames that span more have a wrong time among them."""
SAME_S: Final = 1e-6
"""A frame counts for a tick that is earlier by rounding."""
_SAVE: Final = "save it with numpy.savez(path, coefficients=..., times=...)"


@dataclass(frozen=True, slots=True)
class Frames:
    """Coefficient frames (T, 58) at rising finite times (T,), s; `dropped` had none."""

    coefficients: NDArray[np.floating[Any]]
    times: Array
    dropped: int


@dataclass(frozen=True, slots=True)
class Block:
    """Some ticks: `time` (B,), the rest (B, joints) in the profile's order and units."""

    time: Array
    target: Array
    command: Array
    velocity: Array
    acceleration: Array
    limited: NDArray[np.bool_]
    fault: str
    """Why the robot is stopped at the end of these ticks; empty: it is not."""


def usable_frames(coefficients: NDArray[Any], times: NDArray[Any], where: str = "frames") -> Frames:
    """Frames in the order of time; those with NaN, infinite or backward time are dropped.

    Raises:
        MediaError: the arrays are not (T, 58) and (T,) numbers, or no frame is left.
    """
    for name, values in (("coefficients", coefficients), ("times", times)):
        if values.dtype.kind not in "fiu":
            todo = f"{name} are {values.dtype}"
            raise MediaError("coefficients and times must be real numbers", where=where, todo=todo)
    if coefficients.ndim != 2 or coefficients.shape[1] != COEFFICIENT_COUNT or times.shape != coefficients.shape[:1]:
        shapes = f"{where}: coefficients {coefficients.shape}, times {times.shape}"
        short = coefficients.shape[1:] == (BLENDSHAPE_COUNT,)
        todo = "add six columns for the head's pose, zeros where it is not known" if short else ""
        raise MediaError("coefficients must be (T, 58) and times (T)", where=shapes, todo=todo)
    seconds = times.astype(np.float64)
    finite = np.isfinite(seconds)
    newest = np.maximum.accumulate(np.where(finite, seconds, -np.inf))
    keep = finite & (seconds >= newest)
    if not keep.any():
        raise MediaError("there is no frame with a finite time", where=where)
    return Frames(coefficients[keep], seconds[keep], int(len(keep) - keep.sum()))


def read_frames(path: Path) -> Frames:
    """The arrays `coefficients` (T, 58) and `times` (T), s, of an .npz file.

    Raises:
        MediaError: the file cannot be read, or is not that.
    """
    names = ("coefficients", "times")
    try:
        with np.load(path, allow_pickle=False) as file:
            held = ", ".join(file.files) or "nothing"
            arrays = {name: file[name] for name in names if name in file.files}
    except Exception as error:  # a broken archive makes zipfile and numpy raise anything
        why = getattr(error, "strerror", None) or f"it is no .npz file of numbers: {_SAVE}"
        raise MediaError("the frames cannot be read", where=str(path), todo=why) from error
    missing = [name for name in names if not isinstance(arrays.get(name), np.ndarray)]
    if missing:
        raise MediaError(f"there is no array {missing[0]}", where=str(path), todo=f"it has {held}")
    return usable_frames(arrays["coefficients"], arrays["times"], str(path))


def tick_count(profile: Profile, frames: Frames) -> int:
    """Ticks from the first frame to the last.

    Raises:
        MediaError: there would be more than MAX_TICKS.
    """
    ticks = (float(frames.times[-1]) - float(frames.times[0])) * profile.rate_hz
    if not ticks < MAX_TICKS:
        raise MediaError(
            f"the frames span {ticks / profile.rate_hz:.4g} s",
            todo="at most a week; either one time is wrong, or times are not in seconds",
        )
    return int(np.floor(ticks + SAME_S * profile.rate_hz)) + 1


def simulate(profile: Profile, frames: Frames) -> Iterator[Block]:
    """Run mapping, limits and following over `frames` at the profile's rate, from neutral at rest.

    Tick i is at t0 + i / rate, t0 the first frame's time. It sees the newest frame that is not later, and that
    frame's age. Row 0 is neutral at rest.

    Raises:
        MediaError: the frames span too much time.
    """
    count = tick_count(profile, frames)
    follower = Follower(profile)
    start = float(frames.times[0])
    for first in range(0, count, BLOCK):
        numbers = np.arange(first, min(first + BLOCK, count))
        times = start + numbers / profile.rate_hz
        newest = np.maximum(np.searchsorted(frames.times, times + SAME_S, side="right") - 1, 0)
        ages = np.maximum(times - frames.times[newest], 0.0)
        wanted = follower.mapping.wanted(frames.coefficients[newest])
        ticks = []
        for number, goal, age_s in zip(numbers.tolist(), wanted.tolist(), ages.tolist(), strict=True):
            tick = follower.begin_at_neutral if number == 0 else follower.tick_wanted
            ticks.append(tick(number / profile.rate_hz, goal, age_s))
        target, command, velocity, acceleration, limited = (
            np.array([getattr(commands, name) for commands in ticks])
            for name in ("target", "position", "velocity", "acceleration", "limited")
        )
        yield Block(times, target, command, velocity, acceleration, limited, follower.fault)
