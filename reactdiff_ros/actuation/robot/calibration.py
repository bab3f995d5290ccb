"""What was found out about each servo of a robot, and its file.

The file is JSON in lerobot's shape, `{joint: {"id": .., "drive_mode": .., "homing_offset": .., "range_min": ..,
"range_max": ..}}`, one file a robot, after lerobot's MotorCalibration, so that a file made there can be read here.
`"format": 1` may be given next to the joints.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.errors import ConfigError, explained
from reactdiff_ros.settings import format_problem, user_folder
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
    """Where the calibration of the robot of that name is kept: in the user's folder of configuration."""
    return user_folder("CONFIG") / "calibration" / f"{robot}.json"


def calibrated_joints(profile: Profile) -> tuple[str, ...]:
    """The joints that are not armed without a calibration, in the profile's order."""
    return tuple(n for n, j in profile.joints.items() if profile.drivers[j.output.driver].type in BY_DRIVER)


def load_calibration(path: Path) -> dict[str, Calibration]:
    """The calibrations of a file, by joint; empty where there is no file: nothing can be armed then.

    Raises:
        CalibrationError: the file cannot be read, or is no calibration; the sentence names file and key.
    """
    with explained(OSError, "the calibration cannot be read", where=path, error=CalibrationError):
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return {}
    if len(raw) > MAX_BYTES:
        raise CalibrationError("the calibration is larger than 1 MB", where=str(path), todo="is it the right file?")
    with explained(
        (ValueError, RecursionError), "the calibration is not plain JSON", where=path, error=CalibrationError
    ):
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    if not isinstance(content, dict):
        raise CalibrationError("this is not a calibration: it holds no joints", where=str(path), todo=TODO)
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
    def wrong(what: str, key: str = "") -> CalibrationError:
        return CalibrationError(what, where=f"{path}, {joint}{key}", todo=TODO)

    if not isinstance(values, dict):
        raise wrong("this is not a calibration of a joint")
    names = [field.name for field in fields(Calibration)]
    for name in names:
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
            what = f"is {value!r:.40}, not a whole number" if name in values else "is missing"
            raise wrong(f"{name} {what}", f".{name}")
    found = Calibration(**{name: values[name] for name in names})
    if found.drive_mode not in (0, 1):
        raise wrong(f"drive_mode is {found.drive_mode}, neither 0 nor 1", ".drive_mode")
    if found.range_min >= found.range_max:
        raise wrong(f"its range is reversed: range_min {found.range_min} is not below range_max {found.range_max}")
    return found


def save_calibration(path: Path, calibrations: Mapping[str, Calibration]) -> Path | None:
    """Write a file whole or not at all; the one that was there is kept next to it as NAME.1.bak, NAME.2.bak ...

    Returns: where the old file is now; None: there was none.

    Raises:
        ReactdiffError: it cannot be written; the old file is as it was.
    """
    backup: Path | None = None
    text = json.dumps({joint: asdict(found) for joint, found in calibrations.items()}, indent=4) + "\n"
    with explained(OSError, "the calibration cannot be saved", where=path):
        try:
            if path.exists():
                names = (path.with_name(f"{path.name}.{number}.bak") for number in itertools.count(1))
                backup = next(name for name in names if not name.exists())
                with whole_file(backup) as file:
                    file.write(path.read_bytes())
            write_whole(path, text)
        except OSError:
            if backup is not None:
                backup.unlink(missing_ok=True)
            raise
    return backup
