"""What the actuator keeps from one run to the next: last commands of joints that cannot be measured, and a stop."""

from __future__ import annotations

import os
from pathlib import Path

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.robots.saved import load_commands, save_commands
from reactdiff_ros.settings import written_path


def state_folder(given: str) -> Path:
    """The folder that was given, else that of the user's state (XDG_STATE_HOME). Errors as `written_path`."""
    if given:
        return written_path(given)
    base = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(base) / "reactdiff_ros" / "robots"


class Kept:
    """The files of one robot. A software stop is kept as well: a node that is started again is still stopped."""

    def __init__(self, folder: Path, robot: str) -> None:
        self.path = folder / f"{robot}.json"
        self._mark = folder / f"{robot}.stopped"
        self._last: dict[str, float] = {}

    def commands(self) -> dict[str, float]:
        """Last commands by joint; empty: none are known."""
        return load_commands(self.path)

    @property
    def stopped(self) -> bool:
        """Whether it was stopped by a person, and not reset since.

        Raises:
            ReactdiffError: nobody can know.
        """
        try:
            return self._mark.exists()
        except OSError as error:
            todo = error.strerror or str(error)
            what = "whether the robot was stopped cannot be known"
            raise ReactdiffError(what, where=f"{self._mark!s:.200}", todo=todo) from error

    def keep(self, commands: dict[str, float], stopped: bool) -> None:
        """Write what has changed.

        Raises:
            ReactdiffError: the folder cannot be written to.
        """
        if commands and commands != self._last:
            save_commands(self.path, commands)
            self._last = dict(commands)
        if stopped == self.stopped:
            return
        try:
            if stopped:
                self._mark.parent.mkdir(parents=True, exist_ok=True)
                self._mark.touch()
            else:
                self._mark.unlink(missing_ok=True)
        except OSError as error:
            todo = error.strerror or str(error)
            raise ReactdiffError("a software stop cannot be kept", where=str(self._mark), todo=todo) from error
