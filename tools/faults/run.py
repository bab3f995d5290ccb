"""Runs the real graph on a clip and injects one fault after another. Definitions: `account`.

The faults of each place run in a separate process: Fast DDS looks at the network's interfaces once in the life of a
process, so none can be on one machine and then on two.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.actuation.robot.profile import Profile
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.graph import ACTUATOR, GraphRobot, graph_run
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.launching.supervisor import NodeCommand
from reactdiff_ros.messages import from_stamp
from reactdiff_ros.resources import resource_path
from tools.faults.account import (
    GAP_S,
    NORMAL_S,
    Joints,
    Moved,
    Report,
    account,
    normal_from,
    servo_account,
    servo_violations,
    violations,
    watchdog_violations,
)
from tools.faults.catalogue import BUS_HEAD, Fault, chosen, robot_profile
from tools.faults.lab import PROBE_S, GraphLab, expired, page_is_fresh, repeated, watchdog_due_s
from tools.faults.places import PLACES, SOURCE, NotHereError, Place
from tools.faults.relay import REMAPS, Relay

SETTLE_S: Final = 60.0
"""The face must be normal within this time before a fault, or the run ends."""
CALM_S: Final = 2.0
"""It must have been normal for this time."""
WATCH_S: Final = 20.0
"""A fault is watched for this time after its end."""
STEP_S: Final = 0.02
TRY_S: Final = 6.0
"""Between two attempts to enable the robot."""
PAGE_S: Final = 30.0
POLL_S: Final = 0.2
END_S: Final = 20.0
"""A process that was asked to stop ends its nodes within this time."""
_ROW, _LOG, _LEFT_OUT, _FAILED = "row", "log", "left out", "failed"


def run_faults(
    options: LiveOptions,
    robot: str,
    faults: Sequence[Fault],
    log: Callable[[str], None],
    done: Callable[[dict[str, Any]], None],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Inject `faults`, those of one place on one graph. A run that cannot go on returns what it has, and logs why.

    Args:
        options: what to run.
        robot: profile whose servos are emulated; "" for none.
        faults: in this order, place by place.
        log: receives one sentence for every event that a user should know.
        done: receives every row as soon as it is measured.
        stopped: asked several times a second; True ends the run.

    Returns:
        {"faults": one dictionary for each, "left_out": {name: why}, "within_bounds": bool}.

    Raises:
        ReactdiffError: a graph does not work without a fault, or the run was stopped before the first was over.
    """
    rows: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}

    def measured(row: dict[str, Any]) -> None:
        rows.append(row)
        done(row)

    for place in PLACES:
        names = [fault.name for fault in faults if fault.place == place]
        if not names:
            continue
        try:
            why = _in_a_process(place, options, robot, names, log, measured, stopped)
        except ReactdiffError as error:
            if not rows:
                raise
            log(f"{error}; {len(faults) - len(rows) - len(left_out)} faults are left")
            break
        if why:
            left_out |= dict.fromkeys(names, why)
            log(f"left out: {', '.join(names)}: {why}")
    held = len(rows) + len(left_out) == len(faults) and not any(row["violations"] for row in rows)
    return {"faults": rows, "left_out": left_out, "within_bounds": held}


def _in_a_process(
    place: str,
    options: LiveOptions,
    robot: str,
    names: Sequence[str],
    log: Callable[[str], None],
    measured: Callable[[dict[str, Any]], None],
    stopped: Callable[[], bool],
) -> str:
    """Inject the faults of one place; returns why they are left out, "" if they are not. Raises ReactdiffError."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=_serve, args=(other, place, options, robot, names))
    process.start()
    other.close()
    asked_to_stop, left_out, failed = False, "", ""
    try:
        while True:
            if not asked_to_stop and stopped():
                asked_to_stop = True
                pipe.send(None)
            if not pipe.poll(POLL_S):
                continue
            kind, what = pipe.recv()
            if kind == _ROW:
                measured(what)
            elif kind == _LOG:
                log(what)
            elif kind == _LEFT_OUT:
                left_out = what
            else:
                failed = what
    except (EOFError, OSError):
        pass
    finally:
        pipe.close()
        process.join(END_S)
        if process.is_alive():
            process.kill()
    if failed or process.exitcode:
        raise ReactdiffError(failed or f"the harness ended with {process.exitcode}", where=place)
    return left_out


def _serve(pipe: Connection, place: str, options: LiveOptions, robot: str, names: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop

    def log(sentence: str) -> None:
        pipe.send((_LOG, sentence))

    try:
        with PLACES[place]() as where, FaultRun(options, robot, log, pipe.poll, where) as run:
            for fault in chosen(names, robot=BUS_HEAD):
                pipe.send((_ROW, run.inject(fault)))
    except NotHereError as error:
        pipe.send((_LEFT_OUT, str(error)))
    except ReactdiffError as error:
        pipe.send((_FAILED, str(error)))
    except (BrokenPipeError, EOFError):
        pass  # the parent has ended


class FaultRun:
    """One graph, and faults one after another. A context manager: at its end no process is left.

    Args:
        options, robot, log, stopped: as for `run_faults`; with a clip and the avatar.
        place: where the graph runs; already entered.

    Raises:
        ReactdiffError: on entering: another listener runs in the domain, the servos cannot be emulated, or the graph
            does not become active.
    """

    def __init__(
        self, options: LiveOptions, robot: str, log: Callable[[str], None], stopped: Callable[[], bool], place: Place
    ) -> None:
        self._options, self._robot = options, robot_profile(robot) if robot and place.robot else None
        self._log, self._stopped, self._place = log, stopped, place
        self._relay: Relay | None = None

    def __enter__(self) -> FaultRun:
        with ExitStack() as stack:
            folder = self._place.folder
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="reactdiff-", dir=folder))
            weights = Path(temporary) / "weights"
            shutil.copytree(resource_path("models/live"), weights)
            options = self._place.options(self._options)
            options = replace(options, parameters={**options.parameters, "model_dir": str(weights)})
            folder, hear = self._place.folder, self._hear
            started = graph_run(options, hear, self._stopped, robot=self._robot, parent=folder, step_s=STEP_S)
            self._run = run = stack.enter_context(started)
            run.graph.environment.update(self._place.environment())
            run.start(self._command)
            self._relay = relay = Relay(run.watch, clock=self._place.clock)
            stack.callback(relay.close)
            stack.callback(repeated(self._ask_page, PROBE_S))
            self._lab = GraphLab(run.graph, relay, weights, self._place, run.servos)
            run.on_step = self._lab.step
            run.until_active()
            run.until(lambda: run.graph.url, PAGE_S)
            self._folders = (str(run.folder), temporary, str(folder or ""))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _command(self, command: NodeCommand) -> NodeCommand:
        """As the place has it; the harness relays between the devices, which the clip replaces, and perception."""
        command = self._place.command(command)
        if command.name != SOURCE:
            return command
        return replace(command, command=(*command.command, *(word for remap in REMAPS for word in ("-r", remap))))

    def _ask_page(self) -> None:
        """Whether the avatar's page answers now that its face is fresh; without an answer it is not."""
        url, relay = self._run.graph.url, self._relay
        assert relay is not None
        relay.trace.pages.append((time.time_ns(), url is not None and page_is_fresh(url)))

    def _hear(self, sentence: str) -> None:
        """What the supervisor reports to the user."""
        if self._relay is not None:
            self._relay.trace.reports.append(Report(time.time_ns(), "", 2, sentence))
        self._log(sentence)

    def inject(self, fault: Fault) -> dict[str, Any]:
        """Inject one fault; returns what it did, for JSON.

        Raises:
            ReactdiffError: the face was not normal before it, the robot cannot be enabled, or the run was stopped.
        """
        run, relay, robot = self._run, self._relay, self._robot
        assert relay is not None
        if not run.until(self._calm, SETTLE_S):
            raise ReactdiffError("the face was not normal before the fault", where=fault.name)
        if robot is not None:
            self._enable()
            del run.robot.states[:-1]
        begin_ns, begin_s, load = time.time_ns(), time.monotonic(), os.getloadavg()[0]
        relay.trace = relay.trace.since(begin_ns - NS)
        undo = fault.begin(self._lab)
        try:
            run.run_for(fault.seconds)
        finally:
            undo()
        end_ns = time.time_ns() if fault.seconds else begin_ns
        run.until(lambda: normal_from(relay.trace, end_ns, fault.stage, page=fault.page) is not None, WATCH_S)
        run.run_for(NORMAL_S)
        face = account(relay.trace, begin_ns, end_ns, fault.stage, page=fault.page)
        face = replace(face, said=[self._without_folders(sentence) for sentence in face.said])
        found, servos = [*violations(face, fault.bounds), *self._lab.findings], {}
        self._lab.findings.clear()
        if robot is not None and run.servos is not None:
            acted = next((round(at - begin_s, 2) for at in run.servos.do(expired) if at > begin_s), None)
            done = servo_account([moved(state) for state in run.robot.states], joints_of(robot), begin_ns, end_ns)
            done = replace(done, host_loss=robot.host_loss.does, watchdog_s=acted)
            servos = asdict(done)
            found += servo_violations(done, face, fault.bounds, by_itself=not fault.robot)
            if fault.host_lost_s is not None:
                found += watchdog_violations(acted, watchdog_due_s(robot), fault.host_lost_s)
            try:
                found += self._enable()
            except ReactdiffError as error:  # the figures of the fault are kept
                found.append(str(error))
        asked = {"normal_after_s": fault.bounds.normal_after_s, "face_dies": fault.bounds.face_dies}
        return {
            "fault": fault.name, "what": fault.what, "load": round(load, 2), "asked": asked, **asdict(face), **servos,
            "violations": found,
        }  # fmt: skip

    def _enable(self) -> list[str]:
        run = self._run
        return enable_again(run.robot, run.until, lambda: self._lab.kill(ACTUATOR), self._log)

    def _without_folders(self, sentence: str) -> str:
        """Names of temporary folders differ in every run."""
        for folder in filter(None, self._folders):
            sentence = sentence.replace(f"{folder}/", "").replace(folder, "the recording's folder")
        return sentence

    def _calm(self) -> bool:
        assert self._relay is not None
        now = time.time_ns()
        first = normal_from(self._relay.trace, now - int(CALM_S * NS), "listener/reaction", page=True)
        return first is not None and first <= now - int((CALM_S - GAP_S) * NS)


def enable_again(
    robot: GraphRobot,
    until: Callable[[Callable[[], object], float], bool],
    restart: Callable[[], object],
    log: Callable[[str], None],
) -> list[str]:
    """Let the whole robot follow the face, if it does not, as a person would who knows the cause.

    A stop is cleared, joints that were left out are enabled again; an actuator that refuses is restarted.

    Args:
        robot: of the running graph.
        until: as `GraphRun.until`.
        restart: restarts the actuator.
        log: receives the actuator's answers.

    Returns:
        Violations: a reset that was refused, or an actuator that had to be restarted.

    Raises:
        ReactdiffError: it does not follow within twice SETTLE_S.
    """
    begin_s, restarted, refusal = time.monotonic(), False, ""
    found: list[str] = []
    while not until(lambda: robot.follows() and robot.whole, TRY_S):
        waited_s = time.monotonic() - begin_s
        if waited_s > 2 * SETTLE_S:
            raise ReactdiffError("the robot does not follow", where=ACTUATOR)
        if waited_s > SETTLE_S / 2 and not restarted:
            restarted = True
            log("the robot cannot be enabled: its actuator is restarted")
            found.append(f"the robot could not be enabled again without a new actuator{refusal and ': '}{refusal}")
            restart()
            continue
        try:
            if robot.state == "stopped":
                log(f"the robot: {robot.reset(TRY_S)}")
            elif robot.state == "disarmed":
                log(f"the robot: {robot.enable()}")
            elif robot.follows():
                robot.enable(False)
        except ReactdiffError as error:  # it may still be looking for its servos
            refusal = str(error)
            log(refusal)
            if robot.state == "stopped" and refusal not in found:
                found.append(refusal)
    return found


def moved(state: Any) -> Moved:
    """A report of the actuator (ActuatorState)."""
    command = np.asarray(state.command, dtype=np.float32)
    return Moved(from_stamp(state.header.stamp), state.state, command, float(state.return_began))


def joints_of(profile: Profile) -> Joints:
    """The limits of a profile's joints, in its order, which is that of the actuator's reports."""
    joints = profile.joints.values()
    return Joints(
        np.array([j.lower for j in joints], dtype=np.float32),
        np.array([j.upper for j in joints], dtype=np.float32),
        np.array([j.limits.speed for j in joints], dtype=np.float32),
    )
