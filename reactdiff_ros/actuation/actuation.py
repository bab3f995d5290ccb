"""One robot with its hardware, tick by tick: requests, faults, the follower's commands, and when torque may flow.

Whoever has the thread calls `tick` at the profile's rate and `look` in the time that is left. Everybody else, from any
thread: `take` gives the newest face, `request` asks for something, `state` is what was last. Nobody waits for anybody.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from reactdiff_ros.actuation.commands import ArmingError, Commands, outside
from reactdiff_ros.actuation.follow import STALL_S, Follower
from reactdiff_ros.actuation.hardware import Hardware, in_one_sentence, listed
from reactdiff_ros.actuation.preparation import Preparation, let_go, would_fall
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.actuation.status import ActuationState, Face, Request, Status, Wish

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
        commands = self._follower.tick(
            now_s - self._waited_s, None if face is None else face.coefficients, age_s, self.hardware.measured()
        )
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
        self._ask_anew()
        obstacles = "; ".join(self._all_obstacles())
        then = f", but it cannot be enabled yet: {obstacles}" if obstacles else ": it can be enabled when it is let go"
        request.finish(True, f"cleared{then}")

    def _ask_anew(self) -> None:
        """A driver remembers that its watchdog expired until it is asked: without this, nothing could be enabled."""
        self.hardware.ask_anew()
        self._last_s = self._clock()  # the time that it took is no stall

    def _begin(self, request: Request) -> None:
        state = self._follower.state
        refused = ""
        obstacles = self._all_obstacles() if state == "disarmed" else ()
        if obstacles:
            self._ask_anew()
            obstacles = self._all_obstacles()
        if state == "stopped":
            refused = f"it is stopped ({self._follower.fault or 'software stop'}): find out why, then reset"
        elif state != "disarmed":
            refused = f"it is enabled already ({state})" if state != "lowering" else "it is still being lowered"
        else:
            refused = "; ".join(obstacles)
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
            self._follower.arm(self._clock() - self._waited_s, self.hardware.measured(), start)
        except ArmingError as error:
            self._abort(str(error))
            return
        for name in self._preparation.armed:
            self._on[name] = True
        without = self._preparation.broken
        self._preparation = None
        if self._pending is not None:
            said = f"enabled without {in_one_sentence(without)}" if without else "enabled"
            loss = self.profile.host_loss
            alone = f". Nothing notices it when this computer dies: {loss.about}" if loss.watchdog == "none" else ""
            self._pending.finish(True, said + alone)

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
            self._abort("the program stood still meanwhile")
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
        steps = self.hardware.steps()
        ends = dict(zip(self.profile.joints, self._follower.ends(), strict=True)) if steps else {}
        ahead = {n: min(max(ends[n] - p, -steps[n]), steps[n]) for n, p in positions.items() if n in steps}
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
        """Whether a joint goes where it is told, as far as can be known."""
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
