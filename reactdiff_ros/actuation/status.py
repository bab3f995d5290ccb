"""What actuation is asked for, what it is given, and what it says of every tick."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.commands import Commands
from reactdiff_ros.actuation.hardware import in_one_sentence, listed

Wish = Literal["enable", "disable", "software_stop", "reset", "leave"]
"""leave: as disable, for the end of the program: what would fall and cannot be lowered holds."""
ActuationState = Literal["disarmed", "preparing", "starting", "following", "returning", "lowering", "stopped"]


@dataclass(frozen=True, slots=True)
class Face:
    """The newest face: coefficients (58,), when it was received (steady, s), and how old it was then (s)."""

    coefficients: NDArray[np.floating[Any]]
    received_s: float
    transit_s: float = math.nan


@dataclass(frozen=True, slots=True)
class Status:
    """What was done at a tick; lists are in the profile's order and units."""

    time_s: float
    state: ActuationState
    armed: bool
    software_stop: bool
    commands: Commands
    measured: list[float]
    faults: dict[str, str]
    """What is wrong with the hardware now, by joint; also while nothing is armed."""
    obstacles: tuple[str, ...]
    """What would make enabling fail now, one sentence each."""
    input_age_s: float
    """Infinite: no face came."""
    latency_s: float
    """From the making of the face to this command, where it is the face's first; else NaN."""
    waited_s: float
    """From the receipt of the face to this command, where it is the face's first; else NaN."""
    stalls: int
    torque: dict[str, bool | None]
    """Whether each joint has torque, as the hardware reports it or was last told; None: unknown, it may hold."""
    would_fall: dict[str, str]
    """Joints that have or may have torque, would fall, and cannot be lowered first; and why."""

    @property
    def message(self) -> str:
        """One sentence for a person."""
        if self.state not in ("disarmed", "stopped"):
            return self._message
        found = dict.fromkeys((name for name, on in self.torque.items() if on), "torque is on")
        found |= dict.fromkeys((name for name, on in self.torque.items() if on is None), "torque is unknown, may hold")
        if not found:
            return self._message
        how = f"{'~/reset' if self.state == 'stopped' else '~/enable false'} lets go where it can"
        falls = f"; support {listed(list(self.would_fall))}: {'; '.join(self.would_fall.values())}, so it would fall"
        return f"{self._message}; {in_one_sentence(found)} ({how}{falls if self.would_fall else ''})"

    @property
    def _message(self) -> str:
        commands = self.commands
        if commands.fault:
            return f"stopped: {commands.fault}; find out why, then reset"
        if self.software_stop:
            return "stopped by a person, until reset"
        wrong = commands.joint_faults if self.armed else self.faults
        if wrong and self.armed:
            return f"goes on without {in_one_sentence(wrong)}"
        if self.state == "disarmed" and self.obstacles:
            return f"cannot be enabled: {'; '.join(self.obstacles)}"
        if self.state == "disarmed":
            return "disarmed: it can be enabled" + (f" without {in_one_sentence(wrong)}" if wrong else "")
        return _SAYS[self.state]


_SAYS: Final[dict[str, str]] = {
    "preparing": "is being enabled",
    "starting": "goes slowly to neutral",
    "following": "follows the face",
    "returning": "no face comes: neutral",
    "lowering": "was disabled: what would fall goes down",
    "stopped": "stopped, until reset",
}


class Request:
    """Something that was asked for. `wait`, then `done`, `granted` and `answer` say what came of it."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.granted = False
        self.answer = ""
        self._event = threading.Event()

    @property
    def done(self) -> bool:
        """Whether it was decided."""
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is decided; False after the timeout."""
        return self._event.wait(timeout_s)

    def finish(self, granted: bool, answer: str) -> None:
        """Decide it; later decisions count nothing."""
        if not self.done:
            self.granted, self.answer = granted, answer
            self._event.set()
