"""Keeps a set of node processes alive: starts them, kills what is silent, restarts what died, leaves nothing behind.

No ROS in here: the part that hears the nodes calls `Supervisor.heartbeat`, and `Supervisor.poll` does the rest.

Threads: none. Every method is called from the thread that started the processes, because the kernel's parent-death
signal follows that thread, not the process. Time is an argument of the constructor (a steady clock in seconds).
Every child has its own session, so that a terminal's Ctrl-C reaches the supervisor alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

# Runs before the node, in the child: the kernel kills it when the supervisor dies in whatever way. PR_SET_PDEATHSIG is
# 1 (linux/prctl.h) and survives execve. A preexec_fn would run Python between fork and exec of a threaded process.
_GUARD = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
for s in (signal.SIGINT, signal.SIGTERM):
    signal.signal(s, signal.SIG_DFL)
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""


@dataclass(frozen=True)
class NodeCommand:
    """One node: its name, the program (an absolute path) with its arguments, and its own timeouts."""

    name: str
    command: tuple[str, ...]
    silent_s: float | None = None
    """In place of `Limits.silent_s`."""
    term_s: float | None = None
    """In place of `Limits.term_s`."""


@dataclass(frozen=True)
class Limits:
    """Times of the supervision, seconds."""

    silent_s: float = 5.0
    """A node that was heard and then is silent for this long is restarted, if it stays silent until the next `poll`."""
    first_s: float = 40.0
    """How long a node may take from its start to its first heartbeat (imports on a loaded, slow machine)."""
    term_s: float = 1.5
    """From TERM to KILL."""
    backoff_s: tuple[float, ...] = (0.05, 1.0, 2.0, 5.0, 10.0)
    """Wait before the first, second ... restart; the last one repeats."""
    stable_s: float = 10.0
    """A node that ran for this long starts again from the first wait."""
    repeat_s: float = 60.0
    """A node that dies at every start in the same way says so again after this time."""
    stall_s: float = 1.0
    """If `poll` itself was not called for this long, the silence was ours, not the nodes'."""
    log_bytes: int = 5_000_000
    """A log file is emptied when it grows past this: a session may last for days."""


@dataclass
class _Child:
    node: NodeCommand
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    heard_s: float | None = None
    overdue: bool = False
    kill_at_s: float | None = None
    restart_at_s: float | None = None
    failures: int = 0
    restarts: int = 0
    said: tuple[str, float] = ("", 0.0)
    log: Path | None = None
    log_offset: int = 0


@dataclass
class Supervisor:
    """Starts and watches `nodes`.

    Args:
        environment: of all children, whole.
        say: called with one sentence for every event that a user should know.
        log_dir: every node's output goes to `log_dir`/NAME.log; None: to the supervisor's own stderr.
        clock: a steady clock in seconds.
    """

    nodes: Iterable[NodeCommand]
    environment: Mapping[str, str]
    say: Callable[[str], None]
    log_dir: Path | None = None
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._children = {node.name: _Child(node) for node in self.nodes}
        self._polled_s = self.clock()
        if self.log_dir is not None:
            self.log_dir.mkdir(parents=True, exist_ok=True)

    def start(self, names: Iterable[str] | None = None) -> None:
        """Start the named nodes, or all that do not run."""
        for name in self._children if names is None else names:
            child = self._children[name]
            if child.process is None:
                self._launch(child)

    def add(self, node: NodeCommand) -> None:
        """Add a node; `start` starts it."""
        self._children.setdefault(node.name, _Child(node))

    def heartbeat(self, name: str) -> None:
        """The node was heard now. Unknown names are other programs' nodes and are ignored."""
        child = self._children.get(name)
        if child is not None and child.process is not None:
            child.heard_s = self.clock()

    def poll(self) -> None:
        """Look after every child once; never blocks. Call it several times a second."""
        now = self.clock()
        pause = now - self._polled_s
        self._polled_s = now
        for child in self._children.values():
            if pause > self.limits.stall_s:
                child.started_s += pause
                child.heard_s = None if child.heard_s is None else child.heard_s + pause
            self._look_after(child, now)
            self._bound_log(child)

    def stop(self) -> None:
        """TERM to all, KILL to what is left after its time; returns when no process is left."""
        running = [child.process for child in self._children.values() if child.process is not None]
        for process in running:
            _signal_group(process, signal.SIGTERM)
            _signal_group(process, signal.SIGCONT)  # who is stopped hears TERM only then
        began_s = self.clock()
        while any(self._may_end(child, self.clock() - began_s) for child in self._children.values()):
            time.sleep(0.01)
        for process in running:
            # Also where the node has ended: what it started may not have.
            _signal_group(process, signal.SIGKILL)
            process.wait()
        for child in self._children.values():
            child.process, child.restart_at_s = None, None

    def pids(self) -> dict[str, int]:
        """Process id of every node that runs."""
        return {n: c.process.pid for n, c in self._children.items() if c.process is not None}

    def names(self) -> tuple[str, ...]:
        """All nodes, also those that do not run now."""
        return tuple(self._children)

    def heard(self, name: str) -> bool:
        """The node's present process has been heard."""
        return self._children[name].heard_s is not None

    def restarts(self, name: str) -> int:
        """How often the node was started again."""
        return self._children[name].restarts

    def log_of(self, name: str) -> str:
        """What the node's present process has written so far ("" without log files)."""
        child = self._children[name]
        return _tail(child.log, child.log_offset) if child.log is not None else ""

    def _term_s(self, child: _Child) -> float:
        return self.limits.term_s if child.node.term_s is None else child.node.term_s

    def _may_end(self, child: _Child, waited_s: float) -> bool:
        """Whether it still runs this long after TERM, and has time left to end."""
        return child.process is not None and waited_s < self._term_s(child) and child.process.poll() is None

    def _launch(self, child: _Child) -> None:
        command = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *child.node.command]
        child.started_s, child.heard_s = self.clock(), None
        child.overdue, child.kill_at_s, child.restart_at_s = False, None, None
        output = self._open_log(child)
        try:
            child.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=dict(self.environment),
                stdout=sys.stderr if self.log_dir is None else output or subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            # No process or no memory left: as if the node had died, so that it is tried again.
            self._schedule(child, self.clock(), f"could not be started ({error.strerror})")
        finally:
            if output is not None:
                output.close()

    def _open_log(self, child: _Child) -> BinaryIO | None:
        if self.log_dir is None:
            return None
        path = self.log_dir / f"{child.node.name}.log"
        try:
            if not child.restarts:
                path.unlink(missing_ok=True)
            output = path.open("ab")
        except OSError:
            child.log = None  # a full disk is no reason to be without a face
            return None
        child.log, child.log_offset = path, output.tell()
        return output

    def _look_after(self, child: _Child, now: float) -> None:
        if child.process is None:
            if child.restart_at_s is not None and now >= child.restart_at_s:
                child.restarts += 1
                self._launch(child)
            return
        code = child.process.poll()
        if code is not None:
            self._bury(child, code, now)
        elif child.kill_at_s is not None:
            if now >= child.kill_at_s:
                _signal_group(child.process, signal.SIGKILL)
        elif not self._silent(child, now):
            child.overdue = False
        elif not child.overdue:
            child.overdue = True  # it may have woken just now: what it said is heard before the next look
        else:
            silence = now - (child.heard_s if child.heard_s is not None else child.started_s)
            self.say(f"{child.node.name} was silent for {silence:.0f} s: it is restarted")
            if _is_stopped(child.process.pid):
                _signal_group(child.process, signal.SIGKILL)  # it cannot hear TERM
                child.kill_at_s = now
            else:
                _signal_group(child.process, signal.SIGTERM)
                child.kill_at_s = now + self._term_s(child)

    def _bound_log(self, child: _Child) -> None:
        with suppress(OSError):  # it may have been removed
            if child.log is not None and child.log.stat().st_size > self.limits.log_bytes:
                os.truncate(child.log, 0)  # the node appends, so it goes on at the new end
                child.log_offset = 0

    def _silent(self, child: _Child, now: float) -> bool:
        if child.heard_s is None:
            return now - child.started_s > self.limits.first_s
        limit_s = self.limits.silent_s if child.node.silent_s is None else child.node.silent_s
        return now - child.heard_s > limit_s

    def _bury(self, child: _Child, code: int, now: float) -> None:
        assert child.process is not None
        _signal_group(child.process, signal.SIGKILL)
        if now - child.started_s > self.limits.stable_s:
            child.failures = 0
        hung = child.kill_at_s is not None
        if child.heard_s is not None:
            child.said = ("", 0.0)
        child.process, child.heard_s, child.kill_at_s = None, None, None
        self._schedule(child, now, "" if hung else f"died ({_cause(code, self.log_of(child.node.name))})")

    def _schedule(self, child: _Child, now: float, event: str) -> None:
        wait = self.limits.backoff_s[min(child.failures, len(self.limits.backoff_s) - 1)]
        child.failures += 1
        child.restart_at_s = now + wait
        said, when = child.said
        if event and (event != said or now - when > self.limits.repeat_s):
            self.say(f"{child.node.name} {event}: restarted in {wait:g} s")
            child.said = (event, now)


def _is_stopped(pid: int) -> bool:
    """By a signal (proc(5): state T); a process that a debugger holds is in state t."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def _cause(code: int, log: str) -> str:
    if code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f"exit code {code}" + (f", {lines[-1][:200]}" if lines and code else "")


def _tail(path: Path, offset: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(offset, size - 65536))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the child and all that it started; after its end, what it left behind."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        # Between fork and setsid the group does not exist yet. send_signal does nothing once the child is reaped.
        process.send_signal(number)
