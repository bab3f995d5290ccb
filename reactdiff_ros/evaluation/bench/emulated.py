"""The servos of a robot, emulated in a process of their own, as real hardware does not share the computer's Python."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.robot.calibration import Calibration, save_calibration
from reactdiff_ros.actuation.robot.profile import Profile, load_profile
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.launching.process import prioritise

PRIORITY: Final = 30
"""Above that of the actuator: hardware does not wait for the computer."""
ANSWER_S: Final = 30.0
T = TypeVar("T")


class Stamped(list[int]):
    """The goals that one servo received, and when (steady clock, s)."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, goal: int) -> None:
        """Record a goal."""
        self.times.append(time.monotonic())
        super().append(goal)


class EmulatedRobot:
    """Emulated servos. A context manager: at its end their process is gone.

    Args:
        robot: profile, or the name or path of one.
        folder: where its ports, its profile and its calibration are written.

    Raises:
        ReactdiffError: there is no such robot, its hardware cannot be emulated, or it records no commands.
    """

    def __init__(self, robot: Profile | str, folder: Path) -> None:
        self._folder = folder
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        profile = load_profile(robot) if isinstance(robot, str) else robot
        self._process = context.Process(target=_serve, args=(profile, folder, other), daemon=True)
        self._process.start()
        other.close()
        try:
            answer = self._ask(None)
            if isinstance(answer, str):
                raise ConfigError(answer, where=profile.name)
        except BaseException:
            self.close()
            raise
        self.profile: Profile = answer[0]
        """With the emulated ports."""
        self.calibrations: Mapping[str, Calibration] = answer[1]

    def __enter__(self) -> EmulatedRobot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def options(self, options: LiveOptions) -> LiveOptions:
        """The same options with this robot; its profile and calibration are written as files."""
        path, calibration = self._folder / "robot.yaml", self._folder / "calibration.json"
        path.write_text(yaml.safe_dump(self.profile.model_dump(mode="json"), sort_keys=False))
        save_calibration(calibration, self.calibrations)
        own = {"calibration": str(calibration), "state_dir": str(self._folder), "lock_dir": str(self._folder)}
        arguments = {**options.arguments, "robot": str(path)}
        return replace(options, arguments=arguments, parameters={**options.parameters, **own})

    def times(self) -> list[float]:
        """When the first servo received a goal (steady clock, s)."""
        return list(self._ask("times"))

    def do(self, what: Callable[[Rig], T]) -> T:
        """Call `what` in the robot's process and return its result; both are pickled."""
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
        with suppress(EOFError, OSError):
            if question is not None:
                self._pipe.send(question)
            if self._pipe.poll(ANSWER_S):
                return self._pipe.recv()
        raise ReactdiffError("the emulated robot does not answer")


def _serve(profile: Profile, folder: Path, pipe: Connection) -> None:
    try:
        rig = Rig(profile, folder, time.monotonic)
        stamps = stamped(rig)
    except ReactdiffError as error:
        pipe.send(error.what)
        return
    prioritise(PRIORITY)
    with rig, suppress(EOFError, OSError):
        pipe.send((rig.profile, rig.calibrations))
        while True:
            question = pipe.recv()
            pipe.send(question(rig) if callable(question) else list(stamps.times))


def stamped(rig: Rig) -> Stamped:
    """Let the first servo of a rig record its goals. Raises ConfigError if none can."""
    for bus in rig.buses.values():
        parts = getattr(bus, "servos", None) or dict(enumerate(getattr(bus, "channels", ())))
        for part in parts.values():
            part.received = found = Stamped()
            return found
    raise ConfigError("the emulated hardware of this robot records no commands", where=rig.profile.name)
