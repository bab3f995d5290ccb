"""What was found out about each servo of a robot: how it follows from a joint moved to its ends, and its file.

The file is JSON in lerobot's shape, `{joint: {"id": .., "drive_mode": .., "homing_offset": .., "range_min": ..,
"range_max": ..}}`, one file a robot, after lerobot's MotorCalibration, so that a file made there can be read here.
`"format": 1` may be given next to the joints.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.actuation.profile import Joint, Profile
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.settings import format_problem
from reactdiff_ros.whole_file import whole_file, write_whole

FORMAT: Final = 1
BY_DRIVER: Final = frozenset({"feetech", "dynamixel", "maestro", "pca9685", "ohbot"})
"""Types of drivers whose joints are not armed without a calibration; the others' devices know their own ends."""
MAX_BYTES: Final = 1_000_000
LARGEST: Final = 1 << 31
TODO: Final = "calibrate again: reactdiff robot calibrate"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found out about one servo.

    Bus servos: counts, after the homing offset that is stored in the servo; at the joint's 0 it reads half a turn.
    Hobby servos: microseconds (Ohbot: its counts); `homing_offset` is added, `drive_mode` 1 mirrors at the middle.
    """

    id: int
    drive_mode: int
    """1: it turns the other way."""
    homing_offset: int
    range_min: int
    range_max: int


class CalibrationError(ConfigError):
    """A calibration is wrong, or does not fit the robot; calibrate again."""


def calibration_path(robot: str) -> Path:
    """Where the calibration of the robot of that name is kept: in the user's configuration (XDG_CONFIG_HOME)."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(base) / "reactdiff_ros" / "calibration" / f"{robot}.json"


def calibrated_joints(profile: Profile) -> tuple[str, ...]:
    """The joints that are not armed without a calibration, in the profile's order."""
    return tuple(n for n, j in profile.joints.items() if profile.drivers[j.output.driver].type in BY_DRIVER)


def load_calibration(path: Path) -> dict[str, Calibration]:
    """The calibrations of a file, by joint; empty where there is no file: nothing can be armed then.

    Raises:
        CalibrationError: the file cannot be read, or is no calibration; the sentence names file and key.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CalibrationError("the calibration cannot be read", where=str(path), todo=str(error.strerror)) from error
    if len(raw) > MAX_BYTES:
        raise CalibrationError("the calibration is larger than 1 MB", where=str(path), todo="is it the right file?")
    try:
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        todo = f"{' '.join(str(error).split())}; {TODO}"
        raise CalibrationError("the calibration is not plain JSON", where=str(path), todo=todo) from error
    if not isinstance(content, dict):
        raise CalibrationError("this is no calibration: it holds no joints", where=str(path), todo=TODO)
    version = content.get("format", FORMAT)
    problem = None if isinstance(version, dict) else format_problem(version, FORMAT)  # a joint may have that name
    if problem is not None:
        raise CalibrationError(f"the format of the calibration {problem[0]}", where=str(path), todo=problem[1])
    joints = {name: values for name, values in content.items() if name != "format" or isinstance(values, dict)}
    return {joint: _calibration(path, joint, values) for joint, values in joints.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r:.40} is given twice")
        found[name] = value
    return found


def _calibration(path: Path, joint: str, values: Any) -> Calibration:
    if not isinstance(values, dict):
        raise CalibrationError("this is no calibration of a joint", where=f"{path}, {joint}", todo=TODO)
    numbers: dict[str, int] = {}
    for field in fields(Calibration):
        value, where = values.get(field.name), f"{path}, {joint}.{field.name}"
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
            what = "is missing" if field.name not in values else f"is {value!r:.40}, not a whole number"
            raise CalibrationError(f"{field.name} {what}", where=where, todo=TODO)
        numbers[field.name] = value
    found = Calibration(**numbers)
    if found.drive_mode not in (0, 1):
        what = f"drive_mode is {found.drive_mode}, neither 0 nor 1"
        raise CalibrationError(what, where=f"{path}, {joint}.drive_mode", todo=TODO)
    if found.range_min >= found.range_max:
        what = f"its range is reversed: range_min {found.range_min} is not below range_max {found.range_max}"
        raise CalibrationError(what, where=f"{path}, {joint}", todo=TODO)
    return found


def save_calibration(path: Path, calibrations: Mapping[str, Calibration]) -> Path | None:
    """Write a file whole or not at all; the one that was there is kept next to it as NAME.1.bak, NAME.2.bak ...

    Returns: where the old file is now; None: there was none.

    Raises:
        ReactdiffError: it cannot be written; the old file is as it was.
    """
    backup: Path | None = None
    try:
        backup = _back_up(path)
        write_whole(path, json.dumps({joint: asdict(found) for joint, found in calibrations.items()}, indent=4) + "\n")
    except OSError as error:
        if backup is not None:
            backup.unlink(missing_ok=True)
        todo = error.strerror or str(error)
        raise ReactdiffError("the calibration cannot be saved", where=str(path), todo=todo) from error
    return backup


def _back_up(path: Path) -> Path | None:
    """A copy of the old file under the first free name; None: there is none."""
    if not path.exists():
        return None
    backups = (path.with_name(f"{path.name}.{number}.bak") for number in itertools.count(1))
    backup = next(backup for backup in backups if not backup.exists())
    with whole_file(backup) as file:
        file.write(path.read_bytes())
    return backup


SMALLEST: Final = 0.5
"""A range that covers no more than this share of the profile's limits is refused;
a joint that was stopped at once covers half."""
WIDEST: Final = 0.95
"""A range of more than this share of a turn is none: the joint was turned round."""
MARGIN: Final = 0.01
"""Share of the range that stays free at either end, so that nothing is pressed against its stop."""
BESIDE: Final = 0.03
"""Neutral may stand outside of the ends by this share of the range: it may be an end itself."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Of a servo: how many counts there are, the count of a joint's 0, and the joint's units a count."""

    counts: int
    zero: int
    step: float
    round: bool
    """Whether the count after the last is 0 again, so that a turn over it can be followed."""


class Track:
    """Follows the counts of a joint that is moved by hand, also over the end of the counts.

    `value` goes on where the counts wrap; `lost` when two counts were too far apart to know which way it went.
    """

    def __init__(self, scale: Scale, count: int) -> None:
        self._scale, self._last = scale, count
        self.value, self.lost = count, False

    def see(self, count: int) -> None:
        """The next count."""
        counts, step = self._scale.counts, count - self._last
        if self._scale.round:
            step = (step + counts // 2) % counts - counts // 2
        self.lost = self.lost or abs(step) > counts // 4
        self.value, self._last = self.value + step, count


@dataclass(frozen=True, slots=True)
class HandRange:
    """What follows from three poses: direction, how much all counts are to be shifted, and the range after that."""

    drive_mode: int
    shift: int
    range_min: int
    range_max: int


def range_by_hand(name: str, joint: Joint, scale: Scale, neutral: int, lower: int, upper: int) -> HandRange:
    """Direction, shift and range of a joint on a bus.

    Args:
        name: the joint's, for the sentence.
        joint: its entry of the profile.
        scale: of its servo.
        neutral: its count (`Track.value`) at its neutral.
        lower: at the end towards its lower limit.
        upper: at the other end.

    Raises:
        CalibrationError: the range is too small, too wide, reversed or wrapped.
    """
    way = upper - lower
    if abs(way) * scale.step <= SMALLEST * (joint.upper - joint.lower):
        _refuse_small(name, joint, abs(way) * scale.step)
    if abs(way) > WIDEST * scale.counts:
        turn = abs(way) / scale.counts
        raise CalibrationError(f"its range is too wide: {turn:.2f} of all counts", where=name, todo="move it less far")
    sign = 1 if way > 0 else -1
    low, high = sorted((lower, upper))
    room = BESIDE * (high - low)
    if not low - room <= neutral <= high + room:
        text = f"its range is reversed: its neutral ({neutral}) is not between its ends ({lower} and {upper})"
        raise CalibrationError(text, where=name, todo="move it first to one end, then to the other")
    shift = scale.zero + sign * round(joint.neutral / scale.step) - neutral
    margin = round(MARGIN * (high - low))
    low, high = low + shift + margin, high + shift - margin
    if low < 0 or high >= scale.counts:
        text = f"its range is wrapped: counts from {low} to {high}, and there are 0 to {scale.counts - 1}"
        raise CalibrationError(text, where=name, todo="turn the horn: neutral belongs into the middle of the servo")
    ends = sorted((sign * (low - scale.zero) * scale.step, sign * (high - scale.zero) * scale.step))
    covered = min(ends[1], joint.upper) - max(ends[0], joint.lower)
    if covered <= SMALLEST * (joint.upper - joint.lower):
        _refuse_small(name, joint, max(covered, 0.0))
    return HandRange(0 if sign > 0 else 1, shift, low, high)


def range_by_pulses(
    name: str, lower: float, upper: float, wanted: tuple[float, float], bounds: tuple[float, float]
) -> tuple[int, int]:
    """The range of a hobby servo from the pulses at which it was stopped, or that its limits ask for.

    Args:
        name: the joint's, for the sentence.
        lower: where it was stopped on the way to its lower limit, in us (Ohbot: counts).
        upper: on the way to the other.
        wanted: the pulses of the limits themselves.
        bounds: what such servos take.

    Raises:
        CalibrationError: the range is too small, too wide or reversed.
    """
    way, whole = upper - lower, wanted[1] - wanted[0]
    if way * whole < 0:
        raise CalibrationError(f"its range is reversed: {lower:.0f} to {upper:.0f}", where=name, todo="do it again")
    if abs(way) <= SMALLEST * abs(whole):
        text = f"its range is too small: {abs(way):.0f} of {abs(whole):.0f} that its limits ask for"
        raise CalibrationError(text, where=name, todo="turn its horn, or give it other limits in the profile")
    low, high = sorted((lower, upper))
    if low < bounds[0] or high > bounds[1]:
        text = f"its range is too wide: {low:.0f} to {high:.0f}"
        raise CalibrationError(text, where=name, todo=f"such servos take {bounds[0]:.0f} to {bounds[1]:.0f}")
    return math.floor(low), math.ceil(high)


def _refuse_small(name: str, joint: Joint, covered: float) -> None:
    text = f"its range is too small: {covered:.4g} of the {joint.upper - joint.lower:.4g} {joint.unit} of its limits"
    raise CalibrationError(text, where=name, todo="move it to both ends, or give it other limits in the profile")
