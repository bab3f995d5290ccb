"""The follower: from the newest frame to the commands of this tick, and when to move at all.

A state machine that reads no clock: the caller gives the time (steady clock, s), the newest frame and its age
of receipt, and what was measured. One tick is one command; a tick that comes late is not made up for.

| state     | torque | what moves |
|-----------|--------|------------|
| disarmed  | none   | nothing |
| starting  | joint by joint | from the measured positions, slowly to neutral |
| following | all    | to the mapping's targets |
| returning | all    | input is stale: to neutral, as fast as the limits allow |
| lowering  | all    | was disarmed: what would fall goes down, the rest holds; then disarmed |
| stopped   | by the profile | a fault or a software stop, latched: comes to rest, then holds or is let go |
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence, Set
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.drivers.driver import OUTSIDE
from reactdiff_ros.actuation.mapping import Mapping
from reactdiff_ros.actuation.motion import Motion, MotionError
from reactdiff_ros.actuation.robot.kinematics import Stop
from reactdiff_ros.actuation.robot.profile import Joint, Profile, Rule
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError

State = Literal["disarmed", "starting", "following", "returning", "lowering", "stopped"]


class ArmingError(ReactdiffError):
    """The robot cannot be armed now; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Commands:
    """The command of each joint at this tick, in the profile's order and units."""

    time_s: float
    state: State
    position: list[float]
    velocity: list[float]
    acceleration: list[float]
    target: list[float]
    """Where each joint is to go: finite, inside its limits and the rules."""
    limited: list[bool]
    """Its target was cut, or the command is not there yet."""
    torque: list[bool]
    """Whether the joint is to have torque (or pulses)."""
    fault: str
    """Why it is stopped; empty: it is not, or a person stopped it."""
    joint_faults: dict[str, str]
    """Joints that follow their `on_fault`, and why."""
    return_began_s: float
    """Age of the last frame when the last return to neutral began; NaN: none so far."""
    return_took_s: float
    """Time from the beginning of that return until all joints were at neutral; NaN: not yet."""


def outside(name: str, joint: Joint, value: float) -> str:
    """What is wrong with a joint that is too far outside its limits to be moved, and what to do; else nothing."""
    room = OUTSIDE * (joint.upper - joint.lower)
    if joint.lower - room <= value <= joint.upper + room:
        return ""
    unit = "" if joint.unit == "1" else f" {joint.unit}"
    where = f"at {value:.4g}{unit}, outside its limits {joint.lower:g} to {joint.upper:g}"
    return f"{name} is {where}: bring it inside by hand, or calibrate again"


Ends = Sequence[tuple[float, float]]
"""The lowest and highest position that each joint takes, in the profile's order."""


def start_positions(
    profile: Profile,
    ends: Ends,
    measured: Sequence[float] | None,
    saved: MappingOf[str, float],
    faulty: Set[str],
    *,
    moving: bool = False,
) -> list[float]:
    """Where motion begins: measured, which may be a little beyond an end, else the command `saved` last, else neutral.

    Args:
        profile: the robot.
        ends: of its joints.
        measured: positions in its order, NaN where there is none.
        saved: commands by joint.
        faulty: joints that need not be known, because they have a fault.
        moving: the robot was moving, so that the last command will do where a measurement is missing.

    Raises:
        ArmingError: a joint that can be measured was not, or is outside its limits.
    """
    found = []
    for i, ((name, joint), (low, high)) in enumerate(zip(profile.joints.items(), ends, strict=True)):
        value = math.nan if measured is None or len(measured) != len(profile.joints) else float(measured[i])
        if not math.isfinite(value):
            if profile.feedback(name) and name not in faulty and not moving:
                raise ArmingError("the position of a joint is unknown", where=name, todo="see whether it answers")
            value = float(saved.get(name, joint.neutral))
            value = value if math.isfinite(value) else joint.neutral
            value = value if moving else min(max(value, low), high)
        elif outside(name, joint, value):
            if name not in faulty:
                raise ArmingError(outside(name, joint, value))
            value = min(max(value, low), high)
        found.append(value)
    return found


STEADY: Final = 1e-5
"""The least step of a target that is followed at once, as a share of the range. No servo resolves less; and to a target
that trembles by a millionth while a fast joint comes to rest on it, ruckig finds no trajectory now and then."""


class Aim:
    """Where the face takes the joints: inside their limits, and by no steps that cannot be felt.

    Small steps add up: a step counts from the target that is followed. Once face and joint are at rest, the target is
    exactly the face's.

    Args:
        joints: of the robot.
        ends: the lowest and highest position of each.
        neutral: where it begins.
    """

    def __init__(self, joints: Sequence[Joint], ends: Ends, neutral: list[float]) -> None:
        self._limits = [(*end, STEADY * (j.upper - j.lower)) for end, j in zip(ends, joints, strict=True)]
        self._neutral = neutral
        self.reset()

    def reset(self) -> None:
        """Begin at neutral."""
        self._targets = self._before = self._neutral

    def follow(self, wanted: list[float], at_rest: list[bool]) -> tuple[list[float], list[bool]]:
        """Targets, and which of `wanted` (finite) were beyond a limit."""
        inside = [low if w < low else up if w > up else w for w, (low, up, _) in zip(wanted, self._limits, strict=True)]
        self._targets = [
            t if -small <= w - t <= small and not (rest and w == before) else w
            for w, t, before, rest, (_, _, small) in zip(
                inside, self._targets, self._before, at_rest, self._limits, strict=True
            )
        ]
        self._before = inside
        return list(self._targets), [i != w for i, w in zip(inside, wanted, strict=True)]


class TimeRule:
    """One rule of a profile, applied tick by tick.

    Time beyond the point is spent, and comes back on this side of it within `rest_s`. When so much is left as the
    joint needs to come back, it is held on this side until all of it has come back. What counts is the command.
    """

    def __init__(self, rule: Rule, profile: Profile) -> None:
        joint = profile.joints[rule.joint]
        self.index = list(profile.joints).index(rule.joint)
        self._sign = 1.0 if rule.way(joint) > 0.0 else -1.0
        self._point = joint.neutral + rule.beyond * rule.way(joint)
        # Commands creep up to a target: aim a little on this side of the point.
        self._cap = self._sign * self._point - 1e-6 * (joint.upper - joint.lower)
        self._gain = rule.longest_s / rule.rest_s
        self._allowed_s = rule.longest_s - rule.back_time_s(joint) - 1.5 / profile.rate_hz
        self._spent_s = 0.0
        self.acting = False

    def reset(self) -> None:
        """Forget what was spent."""
        self._spent_s, self.acting = 0.0, False

    def apply(self, targets: list[float], positions: list[float], dt_s: float) -> bool:
        """Change the joint's target in place where the rule asks for it; whether it did."""
        if self._sign * (positions[self.index] - self._point) > 0.0:
            self._spent_s += dt_s
        elif self._spent_s > 0.0:
            self._spent_s = max(self._spent_s - dt_s * self._gain, 0.0)
        if self._spent_s >= self._allowed_s:
            self.acting = True
        elif self._spent_s == 0.0:
            self.acting = False
        if not self.acting or self._sign * targets[self.index] <= self._cap:
            return False
        targets[self.index] = self._sign * self._cap
        return True


STALE_S: Final = 0.13
"""Input this old starts the return to neutral, which a slow line shows within 200 ms."""
STALL_S: Final = 0.1
"""A longer gap between two ticks is a stall: motion starts again, at rest, from positions measured since."""
DISARM_S: Final = 1.0
"""A longer gap disarms."""
CHANNEL_S: Final = 0.25
"""Joints without feedback get torque one after the other, this far apart."""
SLOW: Final = 0.25
"""Share of the speed limits while starting and lowering."""
NEAR: Final = 1e-6
"""A command this close to its target, as a share of the range, is there."""


class Follower:
    """Drives the joints of one robot, tick by tick."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.mapping = Mapping(profile)
        self.names = tuple(profile.joints)
        self._joints = list(profile.joints.values())
        self._count = len(self._joints)
        self._feedback = [profile.feedback(name) for name in self.names]
        self._near = [NEAR * (j.upper - j.lower) for j in self._joints]
        self._motion = Motion(profile)
        self._stay_between([(j.lower, j.upper) for j in self._joints])
        self._rules = [TimeRule(rule, profile) for rule in profile.rules]
        self._state: State = "disarmed"
        self._torque = [False] * self._count
        self._queue: list[int] = []
        self._next_channel_s = self._stopped_s = 0.0
        self._now_s: float | None = None
        self._frame: NDArray[np.floating[Any]] | None = None
        self._wanted: list[float] | None = None
        self._fault, self._software_stop, self._lower_after_stop = "", False, False
        self._stops: list[Stop] = []
        self._own: dict[int, float] = {}
        """Joints with a fault of their own, and where they go instead."""
        self._joint_faults: dict[str, str] = {}
        self._held: list[float] = []
        self._return_began_s = self._return_took_s = math.nan
        self._return_s: float | None = None

    @property
    def state(self) -> State:
        """What it does now."""
        return self._state

    @property
    def armed(self) -> bool:
        """Whether any joint has torque or may get it."""
        return self._state not in ("disarmed", "stopped") or any(self._torque)

    @property
    def fault(self) -> str:
        """Why it is stopped; empty: no fault."""
        return self._fault

    def positions(self) -> dict[str, float]:
        """The last commands by joint: what to save for joints without feedback."""
        return dict(zip(self.names, self._motion.position, strict=True))

    def ends(self) -> list[float]:
        """Where each joint would come to rest if it stopped now: that far it goes in any case."""
        motion = self._motion
        return [min(max(s.end, a), b) for s, a, b in zip(motion.stops(), motion.lower, motion.upper, strict=True)]

    def _stay_between(self, ends: Ends) -> None:
        """No command goes beyond these ends: the profile's limits, or where a calibration allows less."""
        self._ends = list(ends)
        self._neutral = self._inside([j.neutral for j in self._joints])
        lowered = self._inside([j.neutral if j.lowered is None else j.lowered for j in self._joints])
        self._down = [None if j.lowered is None else p for j, p in zip(self._joints, lowered, strict=True)]
        self._aim = Aim(self._joints, self._ends, self._neutral)

    def _inside(self, positions: Sequence[float]) -> list[float]:
        return [min(max(p, low), high) for p, (low, high) in zip(positions, self._ends, strict=True)]

    def arm(
        self,
        now_s: float,
        measured: Sequence[float] | None = None,
        saved: MappingOf[str, float] | None = None,
        ends: Ends | None = None,
    ) -> None:
        """Begin to move: from `measured` (NaN: no feedback), else from the command `saved` last, else from neutral.

        Args:
            now_s: steady clock.
            measured: positions in the profile's order.
            saved: commands by joint.
            ends: that the hardware takes, inside the profile's limits; None: these.

        Raises:
            ArmingError: it is stopped, is armed already, or a joint's position is unknown or outside its limits.
        """
        if self._state == "stopped":
            where = self._fault or "software stop"
            raise ArmingError("the robot is stopped", where=where, todo="find out why, then reset")
        if self._state != "disarmed":
            raise ArmingError("the robot is armed already", where=self._state)
        if ends is not None:
            self._stay_between(ends)
        found = start_positions(self.profile, self._ends, measured, saved or {}, set(self._joint_faults))
        self._motion.place(found, self._ends)
        broken = {i for i, name in enumerate(self.names) if name in self._joint_faults}
        self._torque = [f and i not in broken for i, f in enumerate(self._feedback)]
        self._queue = [i for i, f in enumerate(self._feedback) if not f and i not in broken]
        self._own = {i: self._motion.position[i] for i in broken}
        self._next_channel_s = now_s
        self._now_s = now_s
        self._motion.pace(SLOW)
        self._state = "starting"
        self._return_s = None
        for rule in self._rules:
            rule.reset()

    def lower(
        self, now_s: float, measured: Sequence[float] | None, saved: MappingOf[str, float], names: Collection[str]
    ) -> None:
        """Of a disarmed robot: `names`, which hold already, go down and are let go; the rest stays. Raises as `arm`."""
        self._motion.place(start_positions(self.profile, self._ends, measured, saved, set(self.names) - set(names)))
        self._torque = [name in names for name in self.names]
        self._now_s = now_s
        self._lower()

    def begin_at_neutral(self, now_s: float, wanted: list[float] | None, age_s: float) -> Commands:
        """Follow at once, from neutral at rest, all joints with torque: for simulation, where nothing can be hurt.

        Returns what `tick_wanted` would, but nothing has moved yet.
        """
        self._motion.place(self._neutral)
        self._motion.pace(1.0)
        self._torque = [True] * self._count
        self._state, self._now_s = "following", now_s
        return self._commands(now_s, *self._follow(now_s, wanted, age_s))

    def disarm(self) -> None:
        """Let go: joints that would fall go down first. A stopped robot stays as it is until `reset`."""
        if self._state not in ("disarmed", "lowering", "stopped"):
            self._lower()

    def software_stop(self) -> None:
        """Stop now, latched, whatever else is going on; the profile says whether joints hold or are let go."""
        already = self._software_stop
        self._software_stop = True
        if not already:
            self._stop(release=self.profile.software_stop == "release")
            self._lower_after_stop = False

    def stop_for(self, reason: str) -> None:
        """A fault of the whole robot: a controlled stop, latched; then each joint follows its `on_fault`."""
        if self._state == "disarmed":
            self._state, self._fault, self._stops = "stopped", reason, []
        elif self._state != "stopped":
            self._fault = reason
            self._stop(release=False)
            self._lower_after_stop = True

    def joint_fault(self, name: str, reason: str, at: float = math.nan) -> None:
        """A fault of one joint: it follows its `on_fault`, the others go on. Stays until `reset`.

        One that holds then goes `at` where it is, so that it does not push; NaN: it stays where it stops.
        """
        if name in self._joint_faults:
            return
        i = self.names.index(name)
        self._joint_faults[name] = reason
        joint = self._joints[i]
        down = self._down[i]
        end = min(max(at, self._motion.lower[i]), self._motion.upper[i]) if math.isfinite(at) else self.ends()[i]
        self._own[i] = end if down is None else down
        if i in self._queue:
            self._queue.remove(i)
        if joint.on_fault == "release":
            self._torque[i] = False

    def reset(self, gone: Collection[str] = ()) -> None:
        """Clear stop and faults of a robot that is stopped or disarmed: what still holds is lowered and let go.

        Args:
            gone: joints that take no commands any more: lowering them would be pretence.

        Raises:
            ArmingError: it is moving; disarm it first.
        """
        if self._state not in ("stopped", "disarmed", "lowering"):
            raise ArmingError("the robot is armed", where=self._state, todo="disarm it, then reset")
        self._own, self._joint_faults = {}, {}
        self._fault, self._software_stop, self._lower_after_stop = "", False, False
        self._torque = [t and name not in gone for name, t in zip(self.names, self._torque, strict=True)]
        if self._state == "stopped":
            if not any(self._motion.velocity):
                self._motion.place(self._motion.position)
            self._lower()

    def tick(
        self,
        now_s: float,
        latest_frame: NDArray[np.floating[Any]] | None,
        age_s: float,
        measured: Sequence[float] | None = None,
    ) -> Commands:
        """The commands for `now_s`.

        Args:
            now_s: steady clock.
            latest_frame: the newest coefficients (58,), None before the first; the same object is mapped once.
            age_s: how long ago it was received.
            measured: positions of the joints now, NaN where there is no feedback; used after a stall, when a joint
                begins again where its command was if it was not measured since.
        """
        if latest_frame is not self._frame:
            self._frame = latest_frame
            self._wanted = None
            if latest_frame is not None and np.shape(latest_frame) == (COEFFICIENT_COUNT,):
                self._wanted = self.mapping.wanted(latest_frame).tolist()
        return self.tick_wanted(now_s, self._wanted, age_s, measured)

    def tick_wanted(
        self, now_s: float, wanted: list[float] | None, age_s: float, measured: Sequence[float] | None = None
    ) -> Commands:
        """As `tick`, from what the mapping gave (finite, not clamped); None: there is no frame."""
        self._watch_gap(now_s, measured)
        state = self._state
        cut = self._uncut
        if state == "following" or state == "returning":
            targets, cut = self._follow(now_s, wanted, age_s)
        elif state == "starting":
            targets = self._start(now_s)
        elif state == "lowering":
            targets = self._held
        elif state == "stopped":
            return self._at_rest(now_s)
        else:
            return self._commands(now_s, self._motion.position, cut)
        if self._own:
            targets = [self._own.get(i, t) for i, t in enumerate(targets)]
        try:
            self._motion.step(targets)
        except MotionError as error:
            self.stop_for(str(error))
            return self._at_rest(now_s)
        self._arrive(now_s)
        return self._commands(now_s, targets, cut)

    @property
    def _uncut(self) -> list[bool]:
        return [False] * self._count

    def _follow(self, now_s: float, wanted: list[float] | None, age_s: float) -> tuple[list[float], list[bool]]:
        fresh = wanted is not None and 0.0 <= age_s < STALE_S
        if not fresh or wanted is None:
            if self._state == "following":
                self._state, self._return_s = "returning", now_s
                self._return_began_s, self._return_took_s = age_s, math.nan
            self._aim.reset()
            targets, cut = list(self._neutral), self._uncut
        else:
            self._state = "following"
            targets, cut = self._aim.follow(wanted, self._motion.at_rest)
        for rule in self._rules:
            if rule.apply(targets, self._motion.position, self._motion.dt_s):
                cut[rule.index] = True
        return targets, cut

    def _start(self, now_s: float) -> list[float]:
        if self._queue and now_s >= self._next_channel_s:
            self._torque[self._queue.pop(0)] = True
            self._next_channel_s = now_s + CHANNEL_S
        if self._queue or (now_s < self._next_channel_s and not all(self._feedback)):
            return list(self._motion.position)
        return list(self._neutral)

    def _arrive(self, now_s: float) -> None:
        """What follows when all joints, or those with a fault of their own, are where they go."""
        for i, goal in self._own.items():
            lowering = self._joints[i].on_fault == "lower_then_release" and self.names[i] in self._joint_faults
            if lowering and self._torque[i] and abs(self._motion.position[i] - goal) <= self._near[i]:
                self._torque[i] = False
        if not self._motion.finished:
            return
        if self._state == "starting" and not self._queue and self._at(self._neutral):
            self._state = "following"
            self._motion.pace(1.0)
        elif self._state == "lowering":
            if self._at(self._held):
                self._let_go()
        elif self._state == "returning" and self._return_s is not None and self._at(self._neutral):
            self._return_took_s, self._return_s = now_s - self._return_s, None

    def _at(self, goals: list[float]) -> bool:
        own, position, near = self._own, self._motion.position, self._near
        return all(i in own or abs(position[i] - goals[i]) <= near[i] for i in range(self._count))

    def _watch_gap(self, now_s: float, measured: Sequence[float] | None) -> None:
        last, self._now_s = self._now_s, now_s
        if last is None or 0.0 <= now_s - last <= STALL_S:
            return
        long = not 0.0 <= now_s - last <= DISARM_S
        if not math.isfinite(now_s):
            self._now_s = None
        if self._state == "disarmed" or not any(self._torque):
            return
        try:
            known = self.positions()
            faulty = set(self._joint_faults)
            self._motion.place(start_positions(self.profile, self._ends, measured, known, faulty, moving=True))
        except ArmingError as error:
            self._motion.place(self._motion.position)
            self.stop_for(str(error))
            return
        self._next_channel_s = now_s if math.isfinite(now_s) else self._next_channel_s
        if self._state == "stopped":
            self._stops = self._motion.stops()
        elif long and self._state != "lowering":
            self._lower()
        elif self._state == "lowering":
            self._held = self._lowered()

    def _lower(self) -> None:
        self._state, self._queue = "lowering", []
        self._held = self._lowered()
        self._motion.pace(SLOW if self._motion.finished else 1.0)
        must = any(t and j.lowered is not None for t, j in zip(self._torque, self._joints, strict=True))
        if not must:
            self._let_go()

    def _lowered(self) -> list[float]:
        return [end if down is None else down for end, down in zip(self.ends(), self._down, strict=True)]

    def _let_go(self) -> None:
        self._torque = [False] * self._count
        self._state = "disarmed"
        self._motion.place(self._motion.position)

    def _stop(self, *, release: bool) -> None:
        self._stops = self._motion.stops()
        self._stopped_s = 0.0
        self._state, self._queue = "stopped", []
        if release or not any(self._torque):
            self._torque = [False] * self._count

    def _at_rest(self, now_s: float) -> Commands:
        """A stopped robot: along the stops, then what follows a fault."""
        longest = max((s.duration_s for s in self._stops), default=0.0)
        if self._stops and self._stopped_s < longest:
            self._stopped_s += self._motion.dt_s
            states = [s.at(self._stopped_s) for s in self._stops]
            self._motion.put([s[0] for s in states], [s[1] for s in states], [s[2] for s in states])
        elif self._lower_after_stop:
            self._after_fault()
        return self._commands(now_s, self._motion.position, self._uncut)

    def _after_fault(self) -> None:
        for i, joint in enumerate(self._joints):
            if joint.on_fault == "release":
                self._torque[i] = False
        goals = [
            down if down is not None and t else p
            for down, t, p in zip(self._down, self._torque, self._motion.position, strict=True)
        ]
        self._motion.pace(SLOW)
        try:
            self._motion.step(goals)
        except MotionError:
            self._motion.place(self._motion.position)
            self._lower_after_stop = False  # it holds: what is let go up there falls
            return
        for i, down in enumerate(self._down):
            if down is not None and abs(self._motion.position[i] - down) <= self._near[i]:
                self._torque[i] = False
        if self._motion.finished:
            self._lower_after_stop = False

    def _commands(self, now_s: float, targets: list[float], cut: list[bool]) -> Commands:
        motion = self._motion
        limited = [
            c or not -n <= t - p <= n for c, t, p, n in zip(cut, targets, motion.position, self._near, strict=True)
        ]
        return Commands(
            now_s,
            self._state,
            motion.position,
            motion.velocity,
            motion.acceleration,
            list(targets),
            limited,
            list(self._torque),
            self._fault,
            dict(self._joint_faults),
            self._return_began_s,
            self._return_took_s,
        )
