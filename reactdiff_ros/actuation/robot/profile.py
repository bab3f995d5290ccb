"""A robot's profile: joints, limits, mapping, rules, drivers, camera. One schema for every robot.

Positions are in the joint's `unit`; speed, acceleration and jerk are per s, s2 and s3 of it. Load is a share of what
the servo can (0..1), temperature in degrees Celsius. See docs/robots.md for the keys.
"""

from __future__ import annotations

import itertools
import math
import os.path
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from reactdiff_ros.actuation.robot.kinematics import stopping_time_s, travel_time_s, usable
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ConfigError, one_of
from reactdiff_ros.plain_yaml import Key, Marked, Problem, read_marked
from reactdiff_ros.resources import share_path
from reactdiff_ros.settings import format_problem, written_path

Unit = Literal["us", "deg", "rad", "m", "raw", "1"]
"""Microseconds of pulse, degrees, radians, metres, the device's own counts, or a share of full."""

SERVO_PULSE_US: Final = (400.0, 2700.0)
"""Pulses outside are not those of a hobby servo."""
LONGEST_TRAVEL_S: Final = 60.0


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
    units = frozenset({"1", "rad", "m"})


class FeetechDriver(_Driver):
    """Feetech serial bus servos. STS counts in little, SCS in big endian order."""

    type: Literal["feetech"]
    series: Literal["sts", "scs"] = "sts"
    port: str = "/dev/ttyUSB0"
    baud: Annotated[Whole, Field(ge=9600, le=1_000_000)] = 1_000_000
    units = frozenset({"deg", "rad"})
    feedback = True
    ids = (0, 253)


class DynamixelDriver(_Driver):
    """Dynamixel X servos, protocol 2. `watchdog_s`: the Bus Watchdog, which stops a servo that hears nothing."""

    type: Literal["dynamixel"]
    port: str = "/dev/ttyUSB0"
    baud: Annotated[Whole, Field(ge=9600, le=4_500_000)] = 57_600
    watchdog_s: Annotated[Real, Field(ge=0.02, le=2.54)] = 0.2
    units = frozenset({"deg", "rad"})
    feedback = True
    ids = (0, 252)


class Pca9685Driver(_Driver):
    """A PCA9685 on I2C: 16 channels of pulses, no feedback, no watchdog."""

    type: Literal["pca9685"]
    bus: Annotated[Whole, Field(ge=0, le=64)] = 1
    address: Annotated[Whole, Field(ge=0x40, le=0x7F)] = 0x40
    pulse_hz: Annotated[Real, Field(ge=40.0, le=330.0)] = 50.0
    units = frozenset({"us", "deg", "rad"})
    ids = (0, 15)
    pulses = True


class MaestroDriver(_Driver):
    """A Pololu Maestro. `timeout_s`: its serial timeout, after which it goes to what its own settings say.

    `device`: its number, which every command then names (Pololu protocol); None: none does (compact protocol).
    """

    type: Literal["maestro"]
    port: str = "/dev/ttyACM0"
    baud: Annotated[Whole, Field(ge=300, le=200_000)] = 115_200
    device: Annotated[Whole, Field(ge=0, le=127)] | None = None
    timeout_s: Annotated[Real, Field(ge=0.05, le=10.0)] = 0.5
    units = frozenset({"us", "deg", "rad"})
    ids = (0, 23)
    pulses = True


class OhbotDriver(_Driver):
    """Ohbot's own board: text lines over serial, positions in its counts of 0 to 1000."""

    type: Literal["ohbot"]
    port: str = "/dev/ttyACM0"
    baud: Annotated[Whole, Field(ge=9600, le=115_200)] = 19_200
    units = frozenset({"raw"})
    ids = (0, 7)


class JointTrajectoryDriver(_Driver):
    """A controller of ros2_control: JointTrajectory out, JointState in. Ids are names of joints."""

    type: Literal["joint_trajectory"]
    controller: Annotated[str, Field(pattern=r"^/?[A-Za-z]\w*(/[A-Za-z]\w*)*$")] = "head_controller"
    joint_states: Annotated[str, Field(pattern=r"^/?[A-Za-z]\w*(/[A-Za-z]\w*)*$")] = "joint_states"
    units = frozenset({"rad", "m"})
    feedback = True


class ReachyMiniDriver(_Driver):
    """Reachy Mini's daemon over its websocket: the head's pose and two antennas."""

    type: Literal["reachy_mini"]
    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(ge=1, le=65535)] = 8000
    units = frozenset({"rad", "m"})
    feedback = True
    names = frozenset(
        {"head.x", "head.y", "head.z", "head.roll", "head.pitch", "head.yaw", "antenna.right", "antenna.left"}
    )


class FurhatDriver(_Driver):
    """Furhat's realtime websocket: parameters of its face by name, and the head's pose (head.yaw ...)."""

    type: Literal["furhat"]
    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(ge=1, le=65535)] = 9000
    units = frozenset({"1", "deg"})


AnyDriver = Annotated[
    ScreenDriver | FeetechDriver | DynamixelDriver | Pca9685Driver | MaestroDriver | OhbotDriver
    | JointTrajectoryDriver | ReachyMiniDriver | FurhatDriver,
    Field(discriminator="type"),
]  # fmt: skip

FORMAT: Final = 1
"""Version of the schema; `format: 1` may stand in a profile."""
OnFault = Literal["hold", "release", "lower_then_release"]
Number = Annotated[Real, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Positive = Annotated[Real, Field(allow_inf_nan=False, gt=0.0, le=1e12)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Text = Annotated[str, Field(max_length=4000)]


class Limits(Strict):
    """What a joint may do, whatever its commands."""

    position: tuple[Number, Number]
    """Lower and upper end."""
    speed: Positive
    acceleration: Positive
    jerk: Positive
    load: Annotated[Real, Field(gt=0.0, le=1.0)] | None = None
    temperature_c: Annotated[Real, Field(ge=30.0, le=120.0)] | None = None


class Signal(Strict):
    """A quantity made of coefficients and other signals: curve(sum of weight x value)."""

    sum: dict[str, Number] = Field(default_factory=dict)
    curve: Annotated[tuple[tuple[Number, Number], ...], Field(min_length=2)] | None = None
    """Points (x, y) with rising x, straight lines between, constant beyond."""


class Map(Signal):
    """Where a joint goes: neutral + curve(sum) + follow, in the joint's unit."""

    follow: dict[str, Number] = Field(default_factory=dict)
    """Couplings: weight x (the other joint's clamped target - its neutral)."""


class Pulse(Strict):
    """Pulse of a hobby servo from the position: us = zero_us + us_per_unit x position."""

    zero_us: Number
    us_per_unit: Number


class Output(Strict):
    """Which driver, and there which servo, channel or name."""

    driver: Name
    id: Whole | str
    pulse: Pulse | None = None


class Joint(Strict):
    """One joint or servo channel."""

    unit: Annotated[Unit, BeforeValidator(lambda v: "1" if v == 1 and not isinstance(v, bool) else v)]
    group: Name
    limits: Limits
    neutral: Number
    map: Map = Map()
    on_fault: OnFault
    lowered: Number | None = None
    """Where a joint that would fall is brought before it is let go."""
    output: Output

    @property
    def lower(self) -> float:
        """Lower limit of the position."""
        return self.limits.position[0]

    @property
    def upper(self) -> float:
        """Upper limit of the position."""
        return self.limits.position[1]


class Rule(Strict):
    """A joint is not `beyond` that share of the way from neutral to a limit for longer than `longest_s`.

    What was spent comes back within `rest_s` on this side of it.
    """

    joint: Name
    beyond: Annotated[Real, Field(ge=0.0, lt=1.0)]
    towards: Literal["lower", "upper"]
    longest_s: Annotated[Real, Field(gt=0.0, le=3600.0)]
    rest_s: Annotated[Real, Field(gt=0.0, le=3600.0)]

    def way(self, joint: Joint) -> float:
        """From its neutral to the limit, in its unit."""
        return (joint.upper if self.towards == "upper" else joint.lower) - joint.neutral

    def back_time_s(self, joint: Joint) -> float:
        """Longest time that a joint beyond that share of its way needs to come back, whatever it does at the moment."""
        limits = usable(joint.limits.speed, joint.limits.acceleration, joint.limits.jerk)
        return travel_time_s((1.0 - self.beyond) * abs(self.way(joint)), *limits) + stopping_time_s(*limits)


class HostLoss(Strict):
    """What the hardware does when the computer dies, and what notices it."""

    does: Literal["hold", "release", "stop", "nothing", "unknown"]
    watchdog: Literal["none", "device", "controller", "daemon"]
    about: Text


# As far as expression_node takes them.
Metres = Annotated[Real, Field(ge=-2.0, le=2.0)]
NearMetres = Annotated[Real, Field(ge=-1.0, le=1.0)]
Roll = Annotated[Real, Field(ge=-3.2, le=3.2)]
Turn = Annotated[Real, Field(ge=-1.6, le=1.6)]


class Camera(Strict):
    """Where the camera sits, seen from the middle of the face's eyes: REP-103, x forward, y to its left, z up."""

    mount: Literal["fixed", "head"]
    """fixed: it stays when the head moves; head: it moves with it."""
    xyz_m: tuple[Metres, Metres, Metres] = (0.0, 0.0, 0.0)
    rpy_rad: tuple[Roll, Turn, Turn] = (0.0, 0.0, 0.0)
    """Roll about x, pitch about y (down is positive), yaw about z (to its left is positive)."""
    horizontal_fov_deg: Annotated[Real, Field(ge=20.0, le=170.0)] = 60.0


Weights = dict[str, Number]


class Head(Strict):
    """How the head moves with its joints: what a camera on it sees is put right by it, and eyes stay on the person.

    Each axis is a sum of weight x (joint's position - its neutral): rad, or m, a unit of the joint. REP-103.
    """

    pivot_m: tuple[NearMetres, NearMetres, NearMetres] = (0.0, 0.0, 0.0)
    """The point that it turns about, seen from the middle of the face's eyes: x forward, y to its left, z up."""
    gaze_share: Annotated[Real, Field(ge=0.0, le=1.0)] | None = None
    """Share of the angle to the person that the head takes; 1 for a robot without eyes. None: expression_node's own."""
    pitch: Weights = Field(default_factory=dict)
    """Down is positive."""
    yaw: Weights = Field(default_factory=dict)
    """To its left is positive."""
    roll: Weights = Field(default_factory=dict)
    """Tilted to its right is positive."""
    x: Weights = Field(default_factory=dict)
    y: Weights = Field(default_factory=dict)
    z: Weights = Field(default_factory=dict)

    @property
    def axes(self) -> dict[str, dict[str, float]]:
        """Weights by axis."""
        return {"pitch": self.pitch, "yaw": self.yaw, "roll": self.roll, "x": self.x, "y": self.y, "z": self.z}


class Profile(Strict):
    """One robot."""

    name: Name
    about: Text
    shows: Text
    """What it shows, and how what it cannot show is shown instead."""
    published: Text
    """What of the figures has a published source, and which."""
    chosen: Text
    """What was chosen without one."""
    tested: Text
    """What it was and was not tested on."""
    rate_hz: Annotated[Real, Field(ge=50.0, le=100.0)] = 50.0
    software_stop: Literal["hold", "release"]
    host_loss: HostLoss
    camera: Camera
    head: Head | None = None
    drivers: Annotated[dict[Name, AnyDriver], Field(min_length=1)]
    signals: Annotated[dict[str, Signal], Field(max_length=200)] = Field(default_factory=dict)
    joints: Annotated[dict[Name, Joint], Field(min_length=1, max_length=200)]
    rules: tuple[Rule, ...] = ()

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Joints by group, in the order of the file."""
        names = dict.fromkeys(j.group for j in self.joints.values())
        return {g: tuple(n for n, j in self.joints.items() if j.group == g) for g in names}

    def feedback(self, joint: str) -> bool:
        """Whether the joint can be measured."""
        return self.drivers[self.joints[joint].output.driver].feedback


def shipped_profiles() -> dict[str, Path]:
    """The profiles that come with the package, by name."""
    return {path.stem: path for path in sorted(share_path("config/robots").glob("*.yaml"))}


def profile_path(robot: str) -> Path:
    """The file of a robot: a shipped one by its name, or a path.

    Raises:
        ConfigError: there is neither, or the path names the home folder of an unknown user.
    """
    shipped = shipped_profiles()
    path = shipped[robot] if robot in shipped else written_path(robot)
    if not os.path.isfile(path):  # a text of any length
        raise ConfigError("there is no such robot", where=robot, todo=one_of(robot, shipped, "a path"))
    return path


def load_profile(robot: str | Path) -> Profile:
    """Read and check the profile of a robot: a shipped one by its name, or a file.

    Raises:
        ConfigError: there is none, or it cannot be read.
        ProblemsError: it is wrong; `problems` has file, line and key of everything.
    """
    path = robot if isinstance(robot, Path) else profile_path(robot)
    marked = read_marked(path, "the profile", f"reactdiff robot check {path}")
    if not isinstance(marked.data, dict):
        raise marked.fails(Problem(1, "the file", "is not a profile", "see docs/robots.md"))
    problem = format_problem(marked.data.get("format", FORMAT), FORMAT)
    if problem is not None:
        raise marked.fails(marked.problem(("format",), *problem))
    try:
        profile = Profile.model_validate({key: value for key, value in marked.data.items() if key != "format"})
    except ValidationError as error:
        found: dict[str, Problem] = {}
        for each in error.errors():  # a union has one for each of its members: the first is enough
            wrong = _problem(marked, dict(each))
            found.setdefault(wrong.key, wrong)
        raise marked.fails(*found.values()) from error
    problems = check_profile(profile, marked)
    if problems:
        raise marked.fails(*problems)
    return profile


def _problem(marked: Marked, error: dict[str, Any]) -> Problem:
    key = tuple(error["loc"])
    # A union's members stand in the path of an error, and not in the file.
    while key and key not in marked.lines and error["type"] != "missing" and key[:-1] in marked.lines:
        key = key[:-1]
    key = tuple(k for i, k in enumerate(key) if key[: i + 1] in marked.lines or i == len(key) - 1)
    if error["type"] == "extra_forbidden":
        return marked.problem(key, "is an unknown key", "see docs/robots.md for the keys that there are")
    if error["type"] == "missing":
        return marked.problem(key, "is missing")
    return marked.problem(key, _words(error))


_WORDS: Final = {
    "string_type": "must be text",
    "string_pattern_mismatch": "must be small letters, digits and _, and begin with a letter",
    "dict_type": "must be names and values",
    "model_type": "must be names and values",
    "model_attributes_type": "must be names and values",
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
}


def _words(error: dict[str, Any]) -> str:
    """What is wrong with a value, in words of YAML and not of Python."""
    kind, value, context = str(error["type"]), error.get("input"), error.get("ctx") or {}
    if value is None:
        return "is empty"
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"must have {bound}, not {context['actual_length']}"
    given = "a list" if isinstance(value, list) else "names and values" if isinstance(value, dict) else repr(value)
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    what = str(error["msg"])
    what = _WORDS.get(kind) or what.replace("Input should be", "must be").removesuffix(" after validation")
    return f"{what[:1].lower()}{what[1:]}, not {given}"


# What a schema cannot say: limits that fit, names that exist, ids that differ, no circles.

Wrong = Iterator[tuple[Key, str] | tuple[Key, str, str]]
"""Keys, what is wrong there, and what to do."""


def check_profile(profile: Profile, marked: Marked) -> list[Problem]:
    """All that is wrong, with lines; empty when the profile can be used."""
    wrong = [*_each_joint(profile), *_same_ids(profile), *_names(profile)]
    wrong += _circles(profile) if not wrong else ()
    return [marked.problem(*found) for found in (*wrong, *_rules(profile), *_head(profile))]


def _each_joint(profile: Profile) -> Wrong:
    for name, joint in profile.joints.items():
        yield from _limits(("joints", name), joint, profile)
        yield from _output(("joints", name), joint, profile)


def _limits(key: Key, joint: Joint, profile: Profile) -> Wrong:
    lower, upper, limits = joint.lower, joint.upper, joint.limits
    if lower >= upper:
        yield (*key, "limits", "position"), f"lower {lower:g} is not below upper {upper:g}"
        return
    outside = f"is outside the limits {lower:g} to {upper:g}"
    if not lower <= joint.neutral <= upper:
        yield (*key, "neutral"), f"neutral {joint.neutral:g} {outside}"
    travel = travel_time_s(upper - lower, limits.speed, limits.acceleration, limits.jerk)
    if travel > LONGEST_TRAVEL_S:
        todo = "speed, acceleration and jerk are per s, s2 and s3"
        yield (*key, "limits"), f"from end to end would take {travel:.3g} s", todo
    if travel < 2.0 / profile.rate_hz:
        todo = "that is not a limit: give speed, acceleration and jerk that the joint can do"
        yield (*key, "limits"), f"from end to end would take {1000 * travel:.3g} ms, less than two ticks", todo
    if joint.lowered is not None and not lower <= joint.lowered <= upper:
        yield (*key, "lowered"), f"lowered {joint.lowered:g} {outside}"
    if (joint.on_fault == "lower_then_release") != (joint.lowered is not None):
        yield (*key, "on_fault"), "on_fault lower_then_release and lowered belong together", "give both or neither"


def _output(key: Key, joint: Joint, profile: Profile) -> Wrong:
    output = (*key, "output")
    driver = profile.drivers.get(joint.output.driver)
    if driver is None:
        todo = f"use one of {', '.join(profile.drivers)}"
        yield (*output, "driver"), f"there is no driver {joint.output.driver}", todo
        return
    if joint.unit not in driver.units:
        todo = f"use {' or '.join(sorted(driver.units))}"
        yield (*key, "unit"), f"the unit {joint.unit} is wrong for a driver {driver.type}", todo
    wanted = joint.output.id
    if driver.ids is not None:
        low, high = driver.ids
        if not isinstance(wanted, int) or not low <= wanted <= high:
            yield (*output, "id"), f"{wanted!r} is not an id of a driver {driver.type}", f"{low} to {high}"
    elif not isinstance(wanted, str) or (driver.names is not None and wanted not in driver.names):
        todo = f"use {', '.join(sorted(driver.names)) if driver.names is not None else 'a name'}"
        yield (*output, "id"), f"{wanted!r} is not a name of a driver {driver.type}", todo
    yield from _pulse(key, joint, driver.pulses)


def _pulse(key: Key, joint: Joint, pulses: bool) -> Wrong:
    output = (*key, "output", "pulse")
    pulse, ends = joint.output.pulse, (joint.lower, joint.upper)
    if not pulses or joint.unit == "us":
        if pulse is not None:
            yield output, "pulse is for joints in deg or rad on a driver of hobby servos"
        if not pulses:
            return
    elif pulse is None:
        yield output, f"is missing: a joint in {joint.unit} on hobby servos needs its pulses"
        return
    else:
        ends = (pulse.zero_us + pulse.us_per_unit * joint.lower, pulse.zero_us + pulse.us_per_unit * joint.upper)
    low, high = SERVO_PULSE_US
    if min(ends) < low or max(ends) > high or ends[0] == ends[1]:
        what = f"its ends are pulses of {ends[0]:.0f} and {ends[1]:.0f} us"
        yield (*key, "limits", "position"), what, f"hobby servos take {low:.0f} to {high:.0f} us"


def _same_ids(profile: Profile) -> Wrong:
    seen: dict[tuple[str, int | str], str] = {}
    for name, joint in profile.joints.items():
        place = (joint.output.driver, joint.output.id)
        if place in seen:
            yield ("joints", name, "output", "id"), f"{place[1]} of {place[0]} is the id of {seen[place]} already"
        seen.setdefault(place, name)
    # Two drivers on one port would be two writers.
    ports: dict[tuple[object, ...], str] = {}
    for name, driver in profile.drivers.items():
        port = tuple(getattr(driver, k, None) for k in ("host", "port", "bus", "address", "controller"))
        if any(p is not None for p in port):
            if port in ports:
                what, todo = f"is the same device as {ports[port]}", "one port or address has one driver"
                yield ("drivers", name), what, todo
            ports.setdefault(port, name)


def _names(profile: Profile) -> Wrong:
    for name, signal in profile.signals.items():
        if name in INDEX:
            yield ("signals", name), "is the name of a coefficient", "give the signal another"
        yield from _sources(("signals", name), signal, profile)
    for name, joint in profile.joints.items():
        key: Key = ("joints", name, "map")
        yield from _sources(key, joint.map, profile)
        for other in joint.map.follow:
            if other not in profile.joints:
                yield (*key, "follow", other), f"there is no joint {other}"


def _sources(key: Key, signal: Signal, profile: Profile) -> Wrong:
    for source in signal.sum:
        if source not in INDEX and source not in profile.signals:
            todo = "coefficients have ARKit's names, such as jawOpen or headPitch"
            yield (*key, "sum", source), f"{source} is neither a coefficient nor a signal", todo
    xs = [x for x, _ in signal.curve or ()]
    if any(b <= a for a, b in itertools.pairwise(xs)):
        yield (*key, "curve"), "the first numbers of its points must rise"


def _circles(profile: Profile) -> Wrong:
    graph: dict[str, list[str]] = {f"signal {n}": [] for n in profile.signals}
    for name, signal in profile.signals.items():
        graph[f"signal {name}"] = [f"signal {s}" for s in signal.sum if s in profile.signals]
    for name, joint in profile.joints.items():
        graph[f"joint {name}"] = [f"joint {other}" for other in joint.map.follow]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found = error.args[1][:0:-1]  # graphlib lists what is needed first
        first = found.index(min(found, key=list(graph).index))
        circle = [*found[first:], *found[:first], found[first]]
        kind, _, name = circle[0].partition(" ")
        key: Key = ("signals", name, "sum") if kind == "signal" else ("joints", name, "map", "follow")
        yield key, f"the coupling goes round in a circle: {' -> '.join(circle)}"


def _rules(profile: Profile) -> Wrong:
    for i, rule in enumerate(profile.rules):
        joint = profile.joints.get(rule.joint)
        if joint is None:
            yield ("rules", i, "joint"), f"there is no joint {rule.joint}"
            continue
        if rule.way(joint) == 0.0:
            yield ("rules", i, "towards"), f"the neutral of {rule.joint} is at this limit already"
            continue
        needed = rule.back_time_s(joint) + 2 / profile.rate_hz
        if needed >= rule.longest_s:
            todo = "give a longer time, or a faster joint"
            yield ("rules", i, "longest_s"), f"{rule.joint} needs {needed:.3g} s to come back", todo


def _head(profile: Profile) -> Wrong:
    if profile.head is None:
        if profile.camera.mount == "head":
            what = "the camera moves with the head, and nothing says which joints move that"
            yield ("camera", "mount"), what, "give head, see docs/robots.md"
        return
    for axis, weights in profile.head.axes.items():
        for joint in weights:
            if joint not in profile.joints:
                yield ("head", axis, joint), f"there is no joint {joint}"


HALF_OPEN: Final = 0.5
"""jawOpen of an ordinary vowel."""
LONGEST_LEAD_S: Final = 0.3


def mouth_lead_s(profile: Profile) -> float:
    """How long before its sound a jaw needs its command, s: half of the time from shut to half open and no more.

    Of the joints that jawOpen moves most, their mean; 0 where there is none, or the face is on a screen. What the bus
    takes comes on top and is not known.
    """
    times = []
    for joint in profile.joints.values():
        weights = {name: abs(weight) for name, weight in joint.map.sum.items()}
        if weights.get("jawOpen", 0.0) > 0.0 and weights["jawOpen"] == max(weights.values()):
            limits = usable(joint.limits.speed, joint.limits.acceleration, joint.limits.jerk)
            distance = min(HALF_OPEN * weights["jawOpen"], joint.upper - joint.lower)
            times.append(travel_time_s(distance, *limits) / 2.0)
    on_screen = any(driver.type == "screen" for driver in profile.drivers.values())
    return min(sum(times) / len(times), LONGEST_LEAD_S) if times and not on_screen else 0.0
