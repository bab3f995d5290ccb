"""What is known of each joint on a bus: the newest measurement, what is wrong, and when to ask again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from reactdiff_ros.actuation.drivers.axes import Axis
from reactdiff_ros.actuation.drivers.driver import LINK_FAULTS, Fault, Reading

MISSES: Final = 3
"""So many questions in a row without an answer that can be used are a fault."""
AGAIN_S: Final = 0.5
"""A joint with a fault of the line is asked this rarely, so that it does not take the others' time."""
LOAD_S: Final = 0.5
"""Load may be above its limit for this long: starting to move is no overload."""
COOLER_C: Final = 5.0
"""A joint that was too hot is well again when it is this much cooler."""


@dataclass
class Health:
    """One joint's."""

    axis: Axis
    reading: Reading | None = None
    fault: Fault | None = None
    """Of the line, the model or the calibration."""
    alarm: Fault | None = None
    """Of what the servo measures or says of itself."""
    verified: bool = False
    torque: bool | None = None
    """Whether it has torque; None: it has not reported it."""
    misses: int = 0
    due_s: float = field(default=float("-inf"))
    _loaded_since_s: float | None = None

    @property
    def wrong(self) -> Fault | None:
        """The fault that counts."""
        return self.fault or self.alarm

    def missed(self, fault: Fault, now_s: float) -> None:
        """A question was not answered, or not as it should be."""
        if fault.kind not in LINK_FAULTS:
            self.set(fault, now_s)
            return
        self.misses += 1
        if self.misses >= MISSES or self.fault is not None:
            self.set(fault, now_s)

    def set(self, fault: Fault, now_s: float) -> None:
        """It has this fault; what was measured and verified counts no more."""
        self.fault, self.reading, self.verified = fault, None, False
        if fault.kind != "calibration":  # one with another calibration still reports its torque
            self.torque = None
        self.due_s = now_s + AGAIN_S

    def answered(self, reading: Reading, alarm: Fault | None) -> None:
        """It answered as it should."""
        self.reading, self.misses, self.fault = reading, 0, None
        self.alarm = alarm or self._too_much(reading)

    def _too_much(self, reading: Reading) -> Fault | None:
        axis, heat, load = self.axis, reading.temperature_c, reading.load
        if axis.temperature_c is not None and heat is not None:
            was = self.alarm is not None and self.alarm.kind == "hot"
            if heat > axis.temperature_c - (COOLER_C if was else 0.0):
                return Fault("hot", f"it is {heat:.0f} C, its limit is {axis.temperature_c:.0f} C")
        if axis.load is None or load is None or load <= axis.load:
            self._loaded_since_s = None
            return None
        if self._loaded_since_s is None:
            self._loaded_since_s = reading.time_s
        if reading.time_s - self._loaded_since_s >= LOAD_S:
            return Fault("overload", f"its load is {load:.2f}, its limit is {axis.load:.2f}: is something in its way?")
        return None
