"""What the actuator keeps from one run to the next: last commands of joints that cannot be measured, a software stop,
and whether it has enabled the robot by itself since the computer was started.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from reactdiff_ros.actuation.robot.profile import Joint
from reactdiff_ros.errors import explained
from reactdiff_ros.whole_file import sync_folder, write_durably, write_whole

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""Different after every start of the machine. Containers on one machine share it."""


class Kept:
    """The files of one robot. A software stop is kept as well: a node that is started again is still stopped."""

    def __init__(self, folder: Path, robot: str, joints: Mapping[str, Joint]) -> None:
        self.path = folder / f"{robot}.json"
        self._mark = folder / f"{robot}.stopped"
        self._enabled = folder / f"{robot}.enabled"
        self._joints, self._last = joints, dict[str, float]()
        self._lock = threading.Lock()

    def commands(self) -> dict[str, float]:
        """Last commands by joint; empty where there is no file, or none that can be read: then neutral is assumed.

        One in another unit, or outside the limits, is of a profile that was changed since, and says nothing.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        found = {}
        for name, given in content.items() if isinstance(content, dict) else ():
            joint = self._joints.get(name)
            # Files of earlier versions have no units.
            value, unit = given if isinstance(given, list) and len(given) == 2 else (given, "")
            if joint is None or unit not in ("", joint.unit) or type(value) not in (int, float):
                continue
            if joint.lower <= value <= joint.upper:
                found[name] = float(value)
        return found

    def forget_commands(self, joints: Collection[str]) -> None:
        """These joints stand at neutral now: their last commands say nothing. Errors as `keep_commands`."""
        commands = self.commands()
        if commands.keys() & set(joints):
            self._write({name: value for name, value in commands.items() if name not in joints})

    def keep_commands(self, commands: dict[str, float]) -> None:
        """Write the last commands where they have changed.

        Raises:
            ReactdiffError: the folder cannot be written to.
        """
        if not commands or commands == self._last:
            return
        self._write(commands)
        self._last = dict(commands)

    def _write(self, commands: Mapping[str, float]) -> None:
        content = {name: [value, self._joints[name].unit] for name, value in commands.items()}
        with explained((OSError, ValueError), "the last commands cannot be saved", where=self.path):
            write_whole(self.path, json.dumps(content, allow_nan=False))

    @property
    def stopped(self) -> bool:
        """Whether it was stopped by a person, and not reset since.

        Raises:
            ReactdiffError: this cannot be known.
        """
        with explained(OSError, "whether the robot was stopped cannot be known", where=f"{self._mark!s:.200}"):
            return self._mark.exists()

    def keep_stop(self, stopped: Callable[[], bool]) -> None:
        """Make the disk agree with `stopped`, and wait until it does. From any thread.

        Raises:
            ReactdiffError: the folder cannot be written to.
        """
        with self._lock:  # a stop that comes while an older one is removed waits for that
            if stopped() == self.stopped:
                return
            with explained(OSError, "a software stop cannot be kept", where=self._mark):
                if not self.stopped:
                    write_durably(self._mark, "")
                else:
                    self._mark.unlink()
                    sync_folder(self._mark.parent)

    def first_since_boot(self) -> bool:
        """Whether this is asked for the first time since the machine was started; the next time it no longer is.

        Raises:
            ReactdiffError: this cannot be known, or not be kept.
        """
        what = (
            "auto_enable has not acted, enable the robot by hand: its mark of this start of the computer cannot be used"
        )
        with explained((OSError, ValueError), what, where=self._enabled):
            boot = BOOT_ID.read_text(encoding="ascii").strip()
            if self._enabled.exists() and self._enabled.read_text(encoding="ascii", errors="replace") == boot:
                return False
            write_durably(self._enabled, boot)
        return True
