"""One robot with its hardware, tick by tick: requests, faults, the follower's commands, and when torque may flow.

The thread that drives the robot calls `tick` at the profile's rate and `look` in the time that is left. From any other
thread: `take` gives the newest face, `request` asks for something, `state` is the latest status. No call waits.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.drivers.driver import OUTSIDE, REFUSING
from reactdiff_ros.actuation.follow import STALL_S, ArmingError, Commands, Follower, outside
from reactdiff_ros.actuation.hardware import Hardware, in_one_sentence, listed
from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.actuation.tracking import LATE_S, Tracking

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
    """Whether each joint has torque, as the hardware reports it or was last commanded; None: unknown, it may hold."""
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


STEP_S: Final = 0.01
"""One step takes about this long, so that joints with torque get a command to hold in between."""
ALL_S: Final = 0.5
"""How long the joints may be asked where they are, at the end."""


class Preparation:
    """Step by step to a robot that holds still: the hardware is checked, then joints that can be measured get torque
    where they are, one by one. Joints without feedback get torque later, from the follower.

    Args:
        profile: the robot.
        hardware: its drivers.
        clock: steady, s.
    """

    def __init__(self, profile: Profile, hardware: Hardware, clock: Callable[[], float]) -> None:
        self._profile, self._hardware, self._clock = profile, hardware, clock
        self._waiting: list[str] | None = None
        self._held: dict[str, float] = {}
        self.held_before: frozenset[str] = frozenset(hardware.joints)
        """Joints that had or may have had torque before: they keep it where enabling fails."""
        self.broken: dict[str, str] = {}
        """Joints that cannot be had, and why: the others go on without them."""

    @property
    def armed(self) -> tuple[str, ...]:
        """Joints that have torque now."""
        return tuple(self._held)

    def step(self) -> bool:
        """Go on for a moment; True when all that can have torque has it.

        Raises:
            ArmingError: the robot must not be enabled.
        """
        if self._waiting is None:
            self._check()
            return False
        began_s = self._clock()
        while self._waiting and self._clock() - began_s < STEP_S:
            self._arm(self._waiting.pop(0))
        self._hardware.command(self._held)
        if self._waiting:
            return False
        if not any(j not in self.broken for j in self._hardware.joints):
            raise ArmingError(f"no joint can be moved: {in_one_sentence(self.broken)}")
        self._hardware.poll(min(ALL_S, STEP_S * max(len(self._held), 1)))
        return True

    def undo(self) -> None:
        """Torque off where there was none before, as fast as the buses can."""
        if not self.held_before:
            self._hardware.release_all()
        else:
            for joint in (j for j in self._hardware.joints if j not in self.held_before):
                self._hardware.release(joint)

    def _check(self) -> None:
        self._hardware.check()
        joints = self._hardware.joints
        self.held_before = frozenset(j for j in joints if self._hardware.holding(j) is not False)
        forbidden = self._hardware.forbidden()
        if forbidden:
            raise ArmingError(in_one_sentence(forbidden))
        self.broken = self._hardware.faults()
        if all(j in self.broken for j in joints):
            raise ArmingError(f"no joint can be moved: {in_one_sentence(self.broken)}")
        for name, (low, high) in zip(self._profile.joints, self._hardware.ends(), strict=True):
            joint = self._profile.joints[name]
            room = OUTSIDE * (joint.upper - joint.lower)
            if name not in self.broken and (high - low <= room or not low - room <= joint.neutral <= high + room):
                raise ArmingError(f"{name}: its calibrated range is not around its neutral position: calibrate again")
        self._waiting = [j for j in joints if self._profile.feedback(j) and j not in self.broken]

    def _arm(self, joint: str) -> None:
        fault = self._hardware.arm(joint, math.nan)
        if fault is None:
            reading = self._hardware.reading(joint)
            if reading is not None and reading.position is not None:
                self._held[joint] = reading.position
                return
        elif fault.kind in REFUSING:
            raise ArmingError(in_one_sentence({joint: fault.text}))
        self.broken[joint] = "it does not say where it is" if fault is None else fault.text
        if joint not in self.held_before or self._profile.joints[joint].lowered is None:
            self._hardware.release(joint)  # it may have its torque, although it did not confirm that


def would_fall(profile: Profile, hardware: Hardware, start: Mapping[str, float]) -> dict[str, str]:
    """Joints that have or may have torque and cannot be lowered before they are let go, and why.

    Args:
        profile: the robot.
        hardware: its drivers.
        start: where joints without feedback are held, as far as it is known, in their units.
    """
    falling = [n for n, j in profile.joints.items() if j.lowered is not None and hardware.holding(n) is not False]
    reasons = {name: _cannot_lower(profile, hardware, start, name) for name in falling}
    return {name: reason for name, reason in reasons.items() if reason}


def _cannot_lower(profile: Profile, hardware: Hardware, start: Mapping[str, float], name: str) -> str:
    fault = hardware.faults().get(name)
    if fault:
        return fault
    reading = hardware.reading(name) if profile.feedback(name) else None
    position = start.get(name) if not profile.feedback(name) else None if reading is None else reading.position
    if position is None:
        return "its position is unknown"
    return outside(name, profile.joints[name], position)


def let_go(profile: Profile, hardware: Hardware, start: Mapping[str, float], *, fall: bool) -> tuple[list[str], str]:
    """Let go what has or may have torque; joints that would fall take commands where they are, to be lowered first.

    Args:
        profile: the robot.
        hardware: its drivers, asked just now.
        start: as for `would_fall`.
        fall: also let go joints that would fall, hear, and cannot be lowered.

    Returns: the joints to lower, and a sentence for a person.
    """
    lower: list[str] = []
    held: dict[str, str] = {}
    unknown = "whether it has torque is unknown"
    for name, joint in profile.joints.items():
        if hardware.holding(name) is False:
            continue
        reason = ""
        if joint.lowered is not None:
            reason = _cannot_lower(profile, hardware, start, name)
            reason = reason or hardware.take(name, start.get(name, math.nan))
            if not reason:
                lower.append(name)
                continue
        if not reason or (fall and hardware.hears(name)):
            hardware.release(name)
        held[name] = reason or hardware.faults().get(name, "")
    held = {name: reason for name, reason in held.items() if hardware.holding(name) is not False}
    # Where torque is of all joints at once, one that was let go has it until the last one is down.
    held = {name: reason or unknown for name, reason in held.items() if reason or hardware.holding(name) is None}
    down = f"; {listed(lower)}: lowered first, then let go" if lower else ""
    return lower, f"disabled{down}{f'; may still have torque: {in_one_sentence(held)}' if held else ''}"


ASK_AGAIN_S: Final = 0.1
"""How long the joints may be asked where they are after a stall."""
SLOW_S: Final = 0.05
"""Longer waits for one joint's torque are not counted as a stall of ours: nothing moves meanwhile."""


class Actuation:
    """See the module.

    Args:
        profile: the robot.
        hardware: its drivers.
        clock: steady, s.
        saved: last commands by joint, for those that cannot be measured.
        uncalibrated: joints that need a calibration and have none.
        stopped: begin as after a software stop.
    """

    def __init__(
        self,
        profile: Profile,
        hardware: Hardware,
        clock: Callable[[], float],
        *,
        saved: Mapping[str, float] | None = None,
        uncalibrated: tuple[str, ...] = (),
        stopped: bool = False,
    ) -> None:
        self.profile, self.hardware = profile, hardware
        self._clock = clock
        self._follower = Follower(profile)
        self._tracking = Tracking(profile)
        self._saved = dict(saved or {})
        self._falling = tuple(n for n, j in profile.joints.items() if j.lowered is not None)
        self._blind = tuple(n for n in profile.joints if not profile.feedback(n))
        self._others: dict[str, str] = {}
        if uncalibrated:
            self._others[""] = f"not calibrated: {listed(uncalibrated)}: reactdiff robot calibrate"
        self._face: Face | None = None
        self._used: Face | None = None
        self._requests: deque[Request] = deque()
        self._stop, self._stopped = stopped, False
        self._emergency = ""
        self._preparation: Preparation | None = None
        self._pending: Request | None = None
        self._on: dict[str, bool] = dict.fromkeys(profile.joints, False)
        self._letting_go: Request | None = None
        """The request by which what still has torque when the follower is done is lowered and let go."""
        self._last_s: float | None = None
        self._waited_s = 0.0
        self._stalls = 0
        self._stalled_s = -math.inf
        """When the last stall was noticed: what was measured before says nothing of where joints are now."""
        self.state: Status = self._status(clock(), self._follower.tick(clock(), None, math.inf))

    # From any thread.

    def take(self, face: Face) -> None:
        """The newest face; it wins."""
        self._face = face

    def request(self, wish: Wish) -> Request:
        """Ask for something; it is decided by the next tick, enabling by a later one."""
        request = Request(wish)
        if wish == "software_stop":
            self._stop = True
        self._requests.append(request)
        return request

    def obstacle(self, key: str, sentence: str) -> None:
        """Something outside that prevents enabling; empty: it is gone."""
        others = {k: s for k, s in self._others.items() if k != key}
        self._others = others | {key: sentence} if sentence else others

    def fail(self, sentence: str) -> None:
        """A fault of the whole robot, found outside: a controlled stop where it is armed."""
        self._emergency = sentence

    @property
    def stopped(self) -> bool:
        """Whether a software stop is asked for or latched."""
        return self._stop or self._stopped

    def to_save(self) -> dict[str, float]:
        """Last commands of the joints that cannot be measured, for the next run; empty where there are none."""
        return {name: self._saved[name] for name in self._blind if name in self._saved}

    # From the thread that ticks.

    def tick(self, now_s: float) -> Status:
        """Decide what was asked for, look at faults, send the commands of `now_s`."""
        self._watch_gap(now_s)
        if self._stop:
            self._stop_now()
        if self._emergency:
            self._fail_now()
        while self._requests:
            self._decide(self._requests.popleft())
        if self._letting_go is not None and self._follower.state == "disarmed":
            self._let_go_of_the_rest(self._letting_go)
            now_s = self._last_s = self._clock()
        if self._preparation is not None:
            self._prepare()
            # Asking the hardware takes its time, in which nothing moves: that is no stall.
            now_s = self._last_s = self._clock()
        face = self._face
        # A face may have come since the tick began.
        age_s = math.inf if face is None else max(now_s - face.received_s, 0.0)
        self._find_faults()
        self._find_held_back(now_s)
        measured = self.hardware.measured(self._stalled_s)
        coefficients = None if face is None else face.coefficients
        commands = self._follower.tick(now_s - self._waited_s, coefficients, age_s, measured)
        if self._preparation is None:
            self._apply(commands)
        self.state = self._status(now_s, commands, face, age_s)
        return self.state

    def look(self, budget_s: float) -> None:
        """In the time that is left: measure, and while nothing is armed open what is not, which may take seconds."""
        if not self.armed:
            self.hardware.open(self._clock())
        if budget_s > 0.0:
            self.hardware.poll(budget_s)

    @property
    def armed(self) -> bool:
        """Whether the robot is enabled, or about to be, or being let go. Torque that nothing here gave: `Status`."""
        return self._preparation is not None or self._follower.armed or self._letting_go is not None

    def end(self) -> None:
        """The last call: let go what may be, give the devices back. Joints that would fall and are not down hold."""
        self._abort("it ends")
        for name, joint in self.profile.joints.items():
            if joint.lowered is None and self.hardware.holding(name) is not False:
                self.hardware.release(name)
        self._remember()
        self.hardware.close()

    # Inside.

    def _decide(self, request: Request) -> None:
        if request.wish == "software_stop":
            request.finish(True, "stopped, until reset")
        elif request.wish in ("disable", "leave"):
            self._disable(request)
        elif request.wish == "reset":
            self._reset(request)
        elif self._preparation is not None:
            request.finish(False, "it is being enabled already")
        else:
            self._begin(request)

    def _disable(self, request: Request) -> None:
        self._abort("it was disabled")
        self._follower.disarm()
        if self._follower.state == "stopped":
            holds = [name for name, on in self._torque().items() if on is not False]
            request.finish(not holds, f"stopped, until reset{f': {listed(holds)} may have torque' if holds else ''}")
            return
        self._letting_go = request
        if self._follower.state != "disarmed":
            request.finish(True, "disabled")

    def _let_go_of_the_rest(self, request: Request) -> None:
        """What has or may have torque although nothing here moves it."""
        self._letting_go = None
        if any(on is not False for on in self._torque().values()):
            self.hardware.check()
        start = self._saved | self.hardware.sent()
        lower, answer = let_go(self.profile, self.hardware, start, fall=request.wish != "leave")
        if lower:
            self._follower.reset()
            try:
                self._follower.lower(self._clock() - self._waited_s, self.hardware.measured(), start, lower)
                self._on |= dict.fromkeys(lower, True)
            except ArmingError as error:
                answer = f"{listed(lower)} may still have torque: {error}"
        request.finish(True, answer)

    def _reset(self, request: Request) -> None:
        try:
            if self._preparation is not None:
                raise ArmingError("the robot is armed", where="preparing", todo="disarm it, then reset")
            gone = [n for n in self.hardware.joints if self._on[n] and not self.hardware.takes_commands(n)]
            self._follower.reset(gone)
        except ArmingError as error:
            request.finish(False, str(error))
            return
        self._stopped = False
        self._on |= dict.fromkeys(gone, False)
        self._letting_go = request
        self._check_again()
        obstacles = "; ".join(self._all_obstacles())
        then = f", but it cannot be enabled yet: {obstacles}" if obstacles else ": it can be enabled when it is let go"
        request.finish(True, f"cleared{then}")

    def _check_again(self) -> None:
        """A driver remembers that its watchdog expired until it is asked: without this, nothing could be enabled."""
        self.hardware.check_again()
        self._last_s = self._clock()  # the time that it took is no stall

    def _begin(self, request: Request) -> None:
        state = self._follower.state
        if state == "stopped":
            refused = f"it is stopped ({self._follower.fault or 'software stop'}): find out why, then reset"
        elif state == "lowering":
            refused = "it is still being lowered"
        elif state != "disarmed":
            refused = f"it is enabled already ({state})"
        else:
            if self._all_obstacles():
                self._check_again()
            refused = "; ".join(self._all_obstacles())
        if refused:
            request.finish(False, refused)
            return
        self._follower.reset()
        if self._letting_go is not None:
            self._letting_go.finish(True, "disabled")
        self._letting_go, self._pending = None, request
        self._preparation = Preparation(self.profile, self.hardware, self._clock)

    def _prepare(self) -> None:
        assert self._preparation is not None
        try:
            if not self._preparation.step():
                return
            for name, reason in self._preparation.broken.items():
                self._follower.joint_fault(name, reason)
                if self.profile.joints[name].on_fault == "release" and self.hardware.holding(name) is not False:
                    self.hardware.release(name)
            start = self._saved | self.hardware.sent()
            ends = self.hardware.ends()
            self._follower.arm(self._clock() - self._waited_s, self.hardware.measured(), start, ends)
        except ArmingError as error:
            self._abort(str(error))
            return
        for name in self._preparation.armed:
            self._on[name] = True
        without = self._preparation.broken
        self._preparation = None
        if self._pending is not None:
            answer = f"enabled without {in_one_sentence(without)}" if without else "enabled"
            loss = self.profile.host_loss
            warning = f". Nothing notices it when this computer dies: {loss.about}" if loss.watchdog == "none" else ""
            joints = self.profile.joints.items()
            narrow = [n for (n, j), end in zip(joints, ends, strict=True) if end != (j.lower, j.upper)]
            if narrow:
                answer += f"; calibrated for less than its limits: {listed(narrow)}"
            self._pending.finish(True, answer + warning)

    def _abort(self, reason: str) -> None:
        if self._preparation is not None:
            self._preparation.undo()
            self._preparation = None
        if self._pending is not None:
            self._pending.finish(False, reason)
            self._pending = None

    def _stop_now(self) -> None:
        self._stopped = True
        self._stop, self._letting_go = False, None
        self._abort("it was stopped")
        self._follower.software_stop()
        for name, on in self._torque().items() if self.profile.software_stop == "release" else ():
            if on is not False and not self._on[name]:
                self.hardware.release(name)

    def _fail_now(self) -> None:
        sentence, self._emergency = self._emergency, ""
        if self.armed:
            self._abort(sentence)
            if self._follower.armed:
                self._follower.stop_for(sentence)

    def _watch_gap(self, now_s: float) -> None:
        last, self._last_s = self._last_s, now_s
        if last is not None and now_s - last > STALL_S and self.armed:
            self._stalls += 1
            self._abort("the program stalled meanwhile")
            self._stalled_s = self._clock()
            self.hardware.poll(ASK_AGAIN_S)

    def _find_faults(self) -> None:
        """What the hardware says while the follower drives it."""
        follower = self._follower
        if follower.state in ("disarmed", "stopped") or self._preparation is not None:
            return
        wrong = self.hardware.faults()
        for name in self.hardware.joints:
            if self._on[name] and name not in wrong and not self.hardware.takes_commands(name):
                wrong[name] = "it does not take commands any more"
        moving = [n for n in self.hardware.joints if n not in wrong]
        if wrong and not moving:
            follower.stop_for(in_one_sentence(wrong))
            return
        for name, text in wrong.items():
            follower.joint_fault(name, text)

    def _find_held_back(self, now_s: float) -> None:
        """Joints that do not follow their commands. Who holds after a fault holds where it is, without force."""
        if self._follower.state in ("disarmed", "stopped") or self._preparation is not None:
            self._tracking.reset()
            return
        positions = self._follower.positions()
        commands = {n: positions[n] for n, on in self._on.items() if on and self.hardware.takes_commands(n)}
        measured = dict(zip(positions, self.hardware.measured(max(now_s - LATE_S, self._stalled_s)), strict=True))
        for name in self._tracking.step(now_s, commands, measured):
            unit, at, goal = self.profile.joints[name].unit, measured[name], positions[name]
            text = f"it is held back at {at:.4g} {unit}, {abs(goal - at):.3g} from where it should be: is it blocked?"
            self._follower.joint_fault(name, text, at)

    def _apply(self, commands: Commands) -> None:
        torque = dict(zip(self.profile.joints, commands.torque, strict=True))
        positions = dict(zip(self.profile.joints, commands.position, strict=True))
        off = [name for name, on in self._on.items() if on and not torque[name]]
        for name, on in torque.items():
            if on and not self._on[name]:
                self._switch_on(name, positions[name])
        falling = [name for name in self._falling if self.hardware.holding(name) is not False]
        may = all(name in off and self._may_let_go(name) for name in (*off, *falling))
        if off and may and not any(torque.values()):
            self.hardware.release_all()
        else:
            for name in off:
                if self._may_let_go(name):
                    self.hardware.release(name)
        for name in off:
            self._on[name] = False
        self.hardware.command(self._ahead({name: positions[name] for name, on in self._on.items() if on}))
        self._remember()

    def _ahead(self, positions: dict[str, float]) -> dict[str, float]:
        """For devices that take whole steps: up to a step ahead, where the joint goes in any case.

        A motion that begins slowly would else not be seen before half a step of it: 0.1 s for a degree of a neck.
        """
        steps = {name: step for name in positions if (step := self.hardware.step(name)) > 0.0}
        ends = dict(zip(self.profile.joints, self._follower.ends(), strict=True)) if steps else {}
        ahead = {n: min(max(ends[n] - positions[n], -step), step) for n, step in steps.items()}
        return positions | {n: positions[n] + way for n, way in ahead.items()}

    def _switch_on(self, name: str, position: float) -> None:
        began_s = self._clock()
        fault = self.hardware.arm(name, position)
        waited_s = self._clock() - began_s
        if waited_s > SLOW_S and self._last_s is not None:
            self._waited_s += waited_s
            self._last_s += waited_s
        self._on[name] = True
        if fault is not None:
            self._follower.joint_fault(name, fault.text)

    def _may_let_go(self, name: str) -> bool:
        """Whether a joint may be let go: one that would fall, and did not hear how it was lowered, goes on holding."""
        return name not in self._falling or self._hears(name)

    def _hears(self, name: str) -> bool:
        """Whether a joint follows its commands, as far as can be known."""
        return self.hardware.takes_commands(name) or name not in self.hardware.joints

    def _torque(self) -> dict[str, bool | None]:
        """Of every joint, as the hardware reports it; one without hardware has what the follower gives it."""
        driven = self.hardware.joints
        return {name: self.hardware.holding(name) if name in driven else on for name, on in self._on.items()}

    def _remember(self) -> None:
        positions = self._follower.positions()
        self._saved |= {name: positions[name] for name in self._blind if self._on[name] and self._hears(name)}

    def _all_obstacles(self) -> tuple[str, ...]:
        found = [*self._others.values()]
        wrong = self.hardware.faults()
        joints = self.hardware.joints
        if not joints:
            found.append("it has no joints that this computer drives")
        elif all(j in wrong for j in joints):
            found.append(in_one_sentence(wrong))
        where = dict(zip(self.profile.joints, self.hardware.measured(), strict=True)) | self.hardware.sent()
        for name, value in where.items():
            if name not in wrong and math.isfinite(value):
                found.append(outside(name, self.profile.joints[name], value))
        return tuple(filter(None, found))

    def _status(self, now_s: float, commands: Commands, face: Face | None = None, age_s: float = math.inf) -> Status:
        fresh = face is not None and face is not self._used
        self._used = face
        waited_s = latency_s = math.nan
        if face is not None and fresh:
            waited_s = self._clock() - face.received_s
            latency_s = waited_s + face.transit_s
        state: ActuationState = "preparing" if self._preparation is not None else commands.state
        if state == "disarmed" and self._letting_go is not None:
            state = "lowering"
        still = state in ("disarmed", "stopped")
        return Status(
            time_s=now_s,
            state=state,
            armed=self.armed,
            software_stop=self._stopped,
            commands=commands,
            measured=self.hardware.measured(),
            faults=self.hardware.faults(),
            obstacles=self._all_obstacles() if state == "disarmed" else (),
            input_age_s=age_s,
            latency_s=latency_s,
            waited_s=waited_s,
            stalls=self._stalls,
            torque=self._torque(),
            would_fall=would_fall(self.profile, self.hardware, self._saved | self.hardware.sent()) if still else {},
        )
