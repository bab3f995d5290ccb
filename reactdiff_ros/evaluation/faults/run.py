"""Runs the real graph on a clip and injects one fault after another. Definitions: `account`."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.live_run import ACTIVE_S, bench_graph
from reactdiff_ros.evaluation.faults.account import GAP_S, NORMAL_S, Said, account, normal_from, violations
from reactdiff_ros.evaluation.faults.catalogue import Fault
from reactdiff_ros.evaluation.faults.hardware import expired, watchdog_due_s
from reactdiff_ros.evaluation.faults.lab import GraphLab
from reactdiff_ros.evaluation.faults.page_probe import PageProbe
from reactdiff_ros.evaluation.faults.robot import emulated, joints_of
from reactdiff_ros.evaluation.faults.servos import (
    FOLLOWING,
    Watchdog,
    servo_account,
    servo_violations,
    watchdog_violations,
)
from reactdiff_ros.evaluation.faults.setting import Setting
from reactdiff_ros.launching.live_graph import LiveGraph, LiveOptions, node_command, wanted_nodes
from reactdiff_ros.resources import resource_path

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.bench.emulated import EmulatedRobot

SETTLE_S: Final = 60.0
"""The face must be normal within so long before a fault, or the run ends."""
CALM_S: Final = 2.0
"""It must have been normal for so long."""
WATCH_S: Final = 20.0
"""A fault is watched for so long after its end."""
STEP_S: Final = 0.02


class FaultRun:
    """One graph, and faults one after another. A context manager: at its end no process is left.

    Args:
        options: with a clip and the avatar.
        robot: profile whose servos are emulated; "" for none.
        say: told what the user should know meanwhile.
        stopped: asked several times a second; True ends the run.
        setting: where the graph runs; entered already.

    Raises:
        ReactdiffError: another listener runs in the domain, or the robot's servos cannot be emulated.
    """

    def __init__(
        self,
        options: LiveOptions,
        robot: str,
        say: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
        setting: Setting | None = None,
    ) -> None:
        self._say, self._stopped = say, stopped
        self._setting = setting or Setting()
        self._folder = tempfile.TemporaryDirectory(prefix="reactdiff-faults-", dir=self._setting.folder)
        self._weights = Path(self._folder.name) / "weights"
        options = self._setting.options(options)
        options = replace(options, parameters={**options.parameters, "model_dir": str(self._weights)})
        self._environment = os.environ.copy()
        self._robot: EmulatedRobot | None = None
        try:
            if robot and self._setting.robot:
                self._robot, options = emulated(robot, options, Path(self._folder.name))
            self._graph: LiveGraph = bench_graph(options, self._hear, Path(self._folder.name) / "log")
        except ReactdiffError:
            self._end_robot()
            self._folder.cleanup()
            raise

    def __enter__(self) -> FaultRun:
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_probe"):
            self._probe.close()
        if hasattr(self, "_bench"):
            self._bench.close()
        self._graph.close()
        self._end_robot()
        self._folder.cleanup()
        os.environ.clear()
        os.environ.update(self._environment)  # the graph's is this process's as well, and the next one's is another

    def _end_robot(self) -> None:
        if self._robot is not None:
            self._robot.close()

    def start(self) -> None:
        """Start the graph, the devices behind the harness, and wait until the face is normal.

        Raises:
            ReactdiffError: it is not within SETTLE_S.
        """
        from reactdiff_ros.evaluation.graph.fault_bench import REMAPS, FaultBench
        from reactdiff_ros.nodes.graph_watch import watch_graph

        shutil.copytree(resource_path("models/live"), self._weights)
        self._graph.environment.update(self._setting.environment())
        nodes = wanted_nodes(self._graph.options)
        for node in nodes:
            command = node_command(node, self._graph.options, Path(self._folder.name) / "log")
            command = self._setting.command(command)
            if node.name == "clip_node":
                remaps = [word for remap in REMAPS for word in ("-r", remap)]
                command = replace(command, command=(*command.command, *remaps))
            self._graph.supervisor.add(command)
        self._graph.supervisor.start()
        self._watch = watch_graph(self._graph)
        self._bench = FaultBench(self._watch, clock=self._setting.clock)
        self._probe = PageProbe(lambda: self._graph.url, lambda t, fresh: self._bench.trace.pages.append((t, fresh)))
        self._probe.start()
        self._lab = GraphLab(self._graph, self._bench, self._weights, self._setting, self._robot)
        if not self._until(lambda: self._graph.active() and self._graph.url is not None, ACTIVE_S):
            raise ReactdiffError(f"the graph was not active within {ACTIVE_S:g} s")

    def _enable(self) -> list[str]:
        """Let the whole robot follow the face, if it does not, as a person would who has seen why.

        A stop is cleared, joints that were left out are enabled anew; an actuator that refuses is started anew.

        Returns:
            What went wrong on the way: a reset or an actuator that had to be started anew to be enabled.

        Raises:
            ReactdiffError: it does not follow within twice SETTLE_S.
        """
        begin_s, anew, refused = time.monotonic(), False, ""
        found: list[str] = []
        while not self._until(lambda: self._robot_state() == FOLLOWING and self._whole(), 6.0):
            waited_s = time.monotonic() - begin_s
            if waited_s > 2 * SETTLE_S:
                raise ReactdiffError("the robot does not follow", where="actuator_node")
            if waited_s > SETTLE_S / 2 and not anew:
                anew = True
                self._say("the robot cannot be enabled: its actuator is started anew")
                found.append(f"the robot could not be enabled again without a new actuator{refused and ': '}{refused}")
                self._lab.kill("actuator_node")
            elif self._robot_state() == "stopped":
                refusal = self._reset_robot()
                found += [refusal] if refusal and refusal not in found else []
            elif self._robot_state() == "disarmed":
                refused = self._ask_robot()
            elif self._robot_state() == FOLLOWING:
                self._ask_robot(enabled=False)
        return found

    def _enabled_again(self) -> list[str]:
        """What went wrong when the robot was enabled after a fault, whose figures are not lost by it."""
        try:
            return self._enable()
        except ReactdiffError as error:
            return [str(error)]

    def _robot_state(self) -> str:
        return str(self._bench.trace.moved[-1].state) if self._bench.trace.moved else ""

    def _whole(self) -> bool:
        return bool(self._bench.trace.moved) and bool(self._bench.trace.moved[-1].whole)

    def _reset_robot(self) -> str:
        """What the actuator says against it; empty: it was reset."""
        try:
            self._say(f"the robot: {self._bench.reset_robot(6.0)}")
        except ReactdiffError as error:
            self._say(str(error))
            return str(error)
        return ""

    def _ask_robot(self, *, enabled: bool = True) -> str:
        """What the actuator says against it; empty: it was enabled, or disabled."""
        from reactdiff_ros.evaluation.graph.graph_robot import GraphRobot

        try:
            self._say(f"the robot: {GraphRobot(self._watch).enable(enabled)}")
        except ReactdiffError as error:  # it may still be looking for its servos
            self._say(str(error))
            return str(error)
        return ""

    def inject(self, fault: Fault) -> dict[str, Any]:
        """One fault and what it did, for JSON.

        Raises:
            ReactdiffError: the face was not normal before it, or the run was stopped.
        """
        if not self._until(self._calm, SETTLE_S):
            raise ReactdiffError("the face was not normal before the fault", where=fault.name)
        if self._robot is not None:
            self._enable()
        begin_ns, begin_s, load = time.time_ns(), time.monotonic(), os.getloadavg()[0]
        self._bench.forget(begin_ns - NS)
        undo = fault.begin(self._lab)
        try:
            self._until(lambda: False, fault.seconds)
        finally:
            undo()
        end_ns = time.time_ns() if fault.seconds else begin_ns

        def normal() -> bool:
            return normal_from(self._bench.trace, end_ns, fault.stage, page=fault.page) is not None

        self._until(normal, WATCH_S)
        self._until(lambda: False, NORMAL_S)
        done = account(self._bench.trace, begin_ns, end_ns, fault.stage, page=fault.page)
        done = replace(done, said=[self._without_folders(sentence) for sentence in done.said])
        found, servos = [*violations(done, fault.bounds), *self._lab.findings], {}
        self._lab.findings.clear()
        if self._robot is not None:
            profile = self._robot.profile
            told = servo_account(self._bench.trace.moved, joints_of(profile), begin_ns, end_ns)
            acted = next((at - begin_s for at in self._robot.do(expired) if at > begin_s), None)
            watchdog = Watchdog(profile.host_loss.does, None if acted is None else round(acted, 2))
            servos = {**told.as_dict(), **watchdog.as_dict()}
            found += servo_violations(told, done, fault.bounds, by_itself=not fault.robot)
            if fault.host_lost_s is not None:
                found += watchdog_violations(watchdog, watchdog_due_s(profile), fault.host_lost_s)
            found += self._enabled_again()
        asked = {"normal_after_s": fault.bounds.normal_after_s, "face_dies": fault.bounds.face_dies}
        return {
            "fault": fault.name, "what": fault.what, "load": round(load, 2), "asked": asked, **done.as_dict(),
            **servos, "violations": found,
        }  # fmt: skip

    def _without_folders(self, sentence: str) -> str:
        """Folders that are called otherwise in every run say nothing."""
        for folder in (self._folder.name, *([str(self._setting.folder)] if self._setting.folder else [])):
            sentence = sentence.replace(f"{folder}/", "").replace(folder, "the recording's folder")
        return sentence

    def _calm(self) -> bool:
        now = time.time_ns()
        first = normal_from(self._bench.trace, now - int(CALM_S * NS), "listener/reaction", page=True)
        return first is not None and first <= now - int((CALM_S - GAP_S) * NS)

    def _until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        end, asked_s = time.monotonic() + limit_s, 0.0
        while True:
            now = time.monotonic()
            if now - asked_s > 5 * STEP_S:  # the question costs more than a step
                asked_s = now
                if condition():
                    return True
                if self._stopped():
                    raise ReactdiffError("the faults were stopped")
            if now >= end:
                return False
            self._graph.step(STEP_S)
            self._lab.step()

    def _hear(self, sentence: str) -> None:
        """What the supervisor would say to the user."""
        if hasattr(self, "_bench"):
            self._bench.trace.said.append(Said(time.time_ns(), "", 2, sentence))
        self._say(sentence)
