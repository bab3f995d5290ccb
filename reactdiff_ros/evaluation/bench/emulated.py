"""The servos of a robot, emulated in a process of their own, as hardware is beside the computer that drives it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

from reactdiff_ros.actuation.calibration import Calibration
from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.launching.process import prioritise

PRIORITY: Final = 30
"""Above that of the actuator: hardware does not wait for the computer."""
START_S: Final = 30.0
T = TypeVar("T")


class Stamped(list[int]):
    """What one servo was told, and when (steady, s)."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, goal: int) -> None:
        """Note a goal."""
        self.times.append(time.monotonic())
        super().append(goal)


class EmulatedRobot:
    """Use as a context manager: at its end the process is gone.

    Args:
        profile: the robot.
        folder: where its ports appear.

    Raises:
        ReactdiffError: its hardware cannot be emulated, or notes no commands.
    """

    def __init__(self, profile: Profile, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(profile, folder, other), daemon=True)
        self._process.start()
        other.close()
        try:
            told = self._ask(None)
            if isinstance(told, str):
                raise ConfigError(told, where=profile.name)
        except BaseException:
            self.close()
            raise
        self.profile: Profile = told[0]
        """With the emulated ports."""
        self.calibrations: Mapping[str, Calibration] = told[1]

    def __enter__(self) -> EmulatedRobot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def times(self) -> list[float]:
        """When the first servo was told something (steady, s)."""
        found: list[float] = self._ask("times")
        return found

    def do(self, what: Callable[[Rig], T]) -> T:
        """Call `what` in the robot's process and return what it returns; both must survive pickling."""
        answer: T = self._ask(what)
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, question: Callable[[Rig], Any] | str | None) -> Any:
        try:
            if question is not None:
                self._pipe.send(question)
            if self._pipe.poll(START_S):
                return self._pipe.recv()
        except (EOFError, OSError):
            pass
        raise ReactdiffError("the emulated robot does not answer")


def _serve(profile: Profile, folder: Path, pipe: Connection) -> None:
    try:
        rig = Rig(profile, folder, time.monotonic)
        stamps = stamped(rig)
    except ReactdiffError as error:
        pipe.send(error.what)
        return
    prioritise(PRIORITY)
    with rig:
        pipe.send((rig.profile, rig.calibrations))
        while True:
            try:
                question = pipe.recv()
                pipe.send(question(rig) if callable(question) else list(stamps.times))
            except (EOFError, OSError):
                return


def stamped(rig: Rig) -> Stamped:
    """Let the first servo of a rig note when it is told something.

    Raises:
        ConfigError: none can.
    """
    for bus in rig.buses.values():
        parts = getattr(bus, "servos", None) or dict(enumerate(getattr(bus, "channels", ())))
        for part in parts.values():
            part.received = found = Stamped()
            return found
    raise ConfigError("the emulated hardware of this robot notes no commands", where=rig.profile.name)
