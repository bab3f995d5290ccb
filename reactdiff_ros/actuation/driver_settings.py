"""What a profile says about the hardware that a joint hangs on: data for the drivers, one class a type."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Unit = Literal["us", "deg", "rad", "m", "raw", "1"]
"""Microseconds of pulse, degrees, radians, metres, the device's own counts, or a share of full."""

SERVO_PULSE_US: Final = (400.0, 2700.0)
"""Pulses outside are not those of a hobby servo."""


def number(value: Any) -> Any:
    """Only what is written as a number is one: "30 deg" and "yes" are not."""
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 1e5 as text
        except ValueError as error:
            raise ValueError(f"{value!r} is not a number: write it without a unit") from error
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        kinds = {dict: "names and values are", list: "a list is", bool: f"{'yes' if value else 'no'} is"}
        raise ValueError(f"{kinds.get(type(value), f'{value!r} is')} not a number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return value


Real = Annotated[float, BeforeValidator(number)]
Whole = Annotated[int, BeforeValidator(number)]


class Strict(BaseModel):
    """No unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Driver(Strict):
    units: ClassVar[frozenset[str]] = frozenset()
    """Units of joints that this driver can be given."""
    feedback: ClassVar[bool] = False
    """Whether joints can be measured."""
    ids: ClassVar[tuple[int, int] | None] = None
    """The range of ids; None: ids are names."""
    names: ClassVar[frozenset[str] | None] = None
    """The names that there are; None: any."""
    pulses: ClassVar[bool] = False
    """Whether positions leave as pulses of a hobby servo."""


class ScreenDriver(_Driver):
    """The face on a screen (avatar_node): nothing moves."""

    type: Literal["screen"]
    units: ClassVar = frozenset({"1", "rad", "m"})


class FeetechDriver(_Driver):
    """Feetech serial bus servos. STS counts in little, SCS in big endian order."""

    type: Literal["feetech"]
    series: Literal["sts", "scs"] = "sts"
    port: str = "/dev/ttyUSB0"
    baud: Annotated[Whole, Field(ge=9600, le=1_000_000)] = 1_000_000
    units: ClassVar = frozenset({"deg", "rad"})
    feedback: ClassVar = True
    ids: ClassVar = (0, 253)


class DynamixelDriver(_Driver):
    """Dynamixel X servos, protocol 2. `watchdog_s`: the Bus Watchdog, which stops a servo that hears nothing."""

    type: Literal["dynamixel"]
    port: str = "/dev/ttyUSB0"
    baud: Annotated[Whole, Field(ge=9600, le=4_500_000)] = 57_600
    watchdog_s: Annotated[Real, Field(ge=0.02, le=2.54)] = 0.2
    units: ClassVar = frozenset({"deg", "rad"})
    feedback: ClassVar = True
    ids: ClassVar = (0, 252)


class Pca9685Driver(_Driver):
    """A PCA9685 on I2C: 16 channels of pulses, no feedback, no watchdog."""

    type: Literal["pca9685"]
    bus: Annotated[Whole, Field(ge=0, le=64)] = 1
    address: Annotated[Whole, Field(ge=0x40, le=0x7F)] = 0x40
    pulse_hz: Annotated[Real, Field(ge=40.0, le=330.0)] = 50.0
    units: ClassVar = frozenset({"us", "deg", "rad"})
    ids: ClassVar = (0, 15)
    pulses: ClassVar = True


class MaestroDriver(_Driver):
    """A Pololu Maestro. `timeout_s`: its serial timeout, after which it goes to what its own settings say.

    `device`: its number, which every command then names (Pololu protocol); None: none does (compact protocol).
    """

    type: Literal["maestro"]
    port: str = "/dev/ttyACM0"
    baud: Annotated[Whole, Field(ge=300, le=200_000)] = 115_200
    device: Annotated[Whole, Field(ge=0, le=127)] | None = None
    timeout_s: Annotated[Real, Field(ge=0.05, le=10.0)] = 0.5
    units: ClassVar = frozenset({"us", "deg", "rad"})
    ids: ClassVar = (0, 23)
    pulses: ClassVar = True


class OhbotDriver(_Driver):
    """Ohbot's own board: text lines over serial, positions in its counts of 0 to 1000."""

    type: Literal["ohbot"]
    port: str = "/dev/ttyACM0"
    baud: Annotated[Whole, Field(ge=9600, le=115_200)] = 19_200
    units: ClassVar = frozenset({"raw"})
    ids: ClassVar = (0, 7)


class JointTrajectoryDriver(_Driver):
    """A controller of ros2_control: JointTrajectory out, JointState in. Ids are names of joints."""

    type: Literal["joint_trajectory"]
    controller: Annotated[str, Field(pattern=r"^/?[A-Za-z]\w*(/[A-Za-z]\w*)*$")] = "head_controller"
    joint_states: Annotated[str, Field(pattern=r"^/?[A-Za-z]\w*(/[A-Za-z]\w*)*$")] = "joint_states"
    units: ClassVar = frozenset({"rad", "m"})
    feedback: ClassVar = True


class ReachyMiniDriver(_Driver):
    """Reachy Mini's daemon over its websocket: the head's pose and two antennas."""

    type: Literal["reachy_mini"]
    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(ge=1, le=65535)] = 8000
    units: ClassVar = frozenset({"rad", "m"})
    feedback: ClassVar = True
    names: ClassVar = frozenset(
        {"head.x", "head.y", "head.z", "head.roll", "head.pitch", "head.yaw", "antenna.right", "antenna.left"}
    )


class FurhatDriver(_Driver):
    """Furhat's realtime websocket: parameters of its face by name, and the head's pose (head.yaw ...)."""

    type: Literal["furhat"]
    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(ge=1, le=65535)] = 9000
    units: ClassVar = frozenset({"1", "deg"})


AnyDriver = Annotated[
    ScreenDriver
    | FeetechDriver
    | DynamixelDriver
    | Pca9685Driver
    | MaestroDriver
    | OhbotDriver
    | JointTrajectoryDriver
    | ReachyMiniDriver
    | FurhatDriver,
    Field(discriminator="type"),
]
