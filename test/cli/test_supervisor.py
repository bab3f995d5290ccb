"""The supervisor on small fake nodes: crash, hang, restart, clean stop, and nothing left when it is killed itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from deadline import until

from reactdiff_ros.launching.supervisor import Limits, NodeCommand, Supervisor

pytestmark = pytest.mark.real_time

QUICK = Limits(silent_s=0.4, first_s=5.0, term_s=0.3, backoff_s=(0.05, 0.1), stable_s=60.0)


def fake(tmp_path: Path, name: str, body: str) -> NodeCommand:
    path = tmp_path / name
    path.write_text(f"#!{sys.executable} -IS\n" + textwrap.dedent(body))
    path.chmod(0o755)
    return NodeCommand(name, (str(path),))


def polled(supervisor: Supervisor, condition: Callable[[], bool]) -> Callable[[], bool]:
    """The condition, asked after the supervisor has looked at its processes."""
    return lambda: supervisor.poll() or condition()


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.said: list[str] = []
        self.supervisor: Supervisor | None = None

    def run(self, *nodes: NodeCommand, limits: Limits = QUICK) -> Supervisor:
        self.supervisor = Supervisor(nodes, dict(os.environ), self.said.append, self.tmp_path / "log", limits)
        self.supervisor.start()
        return self.supervisor


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    if bench.supervisor is not None:
        bench.supervisor.stop()


LIVES = "import time\nprint('up', flush=True)\nwhile True: time.sleep(1)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LIVES


def test_what_crashes_is_started_again_and_said_once(stage: Bench) -> None:
    supervisor = stage.run(fake(stage.tmp_path, "crasher", "import sys\nsys.exit('no such weights')"))
    until(polled(supervisor, lambda: supervisor.restarts("crasher") >= 2))
    assert stage.said == ["crasher died (exit code 1, no such weights): restarted in 0.05 s"]


def test_what_hangs_is_killed_and_started_again_with_one_sentence(stage: Bench) -> None:
    supervisor = stage.run(fake(stage.tmp_path, "hanger", STUBBORN))
    until(lambda: "up" in supervisor.log_of("hanger"))
    supervisor.heartbeat("hanger")
    first = supervisor.pids()["hanger"]
    until(polled(supervisor, lambda: supervisor.restarts("hanger") == 1))
    assert supervisor.pids()["hanger"] != first
    assert not psutil.pid_exists(first)
    assert len(stage.said) == 1
    assert "was silent" in stage.said[0]


def test_a_node_may_have_a_limit_of_its_own_and_a_stopped_one_waits_for_no_term(stage: Bench) -> None:
    quick, slow = (fake(stage.tmp_path, name, LIVES) for name in ("quick", "slow"))
    supervisor = stage.run(replace(quick, silent_s=0.2), slow, limits=replace(QUICK, silent_s=60.0, term_s=60.0))
    for name in ("quick", "slow"):
        supervisor.heartbeat(name)
        os.kill(supervisor.pids()[name], signal.SIGSTOP)
    until(polled(supervisor, lambda: supervisor.restarts("quick") == 1))
    assert supervisor.restarts("slow") == 0
    pid, began_s = supervisor.pids()["slow"], time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began_s < 30.0
    assert not psutil.pid_exists(pid)


def test_who_is_heard_lives(stage: Bench) -> None:
    supervisor = stage.run(fake(stage.tmp_path, "node", LIVES))
    end = time.monotonic() + 3 * QUICK.silent_s
    while time.monotonic() < end:
        supervisor.heartbeat("node")
        supervisor.heartbeat("a node of somebody else")
        supervisor.poll()
        time.sleep(0.02)
    assert stage.said == []
    assert supervisor.heard("node")


@pytest.fixture
def on_fake_clock(tmp_path: Path) -> Iterator[tuple[Supervisor, list[float], list[str]]]:
    """A supervisor of one node with the usual limits, the clock that it looks at, and what it says."""
    now = [0.0]
    said: list[str] = []
    node = fake(tmp_path, "node", LIVES)
    supervisor = Supervisor([node], dict(os.environ), said.append, None, Limits(), clock=lambda: now[0])
    try:
        supervisor.start()
        yield supervisor, now, said
    finally:
        now[0] += 1e6  # the fake clock stands still: no grace
        supervisor.limits = Limits(term_s=-1.0)
        supervisor.stop()


def test_a_slow_start_is_not_a_hang_and_our_own_stall_is_not_theirs(
    on_fake_clock: tuple[Supervisor, list[float], list[str]],
) -> None:
    supervisor, now, said = on_fake_clock
    for now[0] in (10.0, 10.5, 20.0, 30.0):
        supervisor.poll()
    assert said == []
    supervisor.heartbeat("node")
    now[0] += 60.0  # the machine slept
    supervisor.poll()
    assert said == []
    for _ in range(12):
        now[0] += 0.5
        supervisor.poll()
    assert len(said) == 1


def test_stop_leaves_nothing_in_bounded_time_also_of_the_stubborn(stage: Bench) -> None:
    sleeps = "import subprocess, time\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\ntime.sleep(600)"
    parent = fake(stage.tmp_path, "parent", sleeps)
    supervisor = stage.run(fake(stage.tmp_path, "stubborn", STUBBORN), parent)
    until(lambda: "up" in supervisor.log_of("stubborn") and bool(supervisor.log_of("parent")))
    pids = [*supervisor.pids().values(), int(supervisor.log_of("parent"))]
    pid = supervisor.pids()["parent"]  # Ctrl-C in the terminal reaches the supervisor alone
    assert os.getpgid(pid) == pid != os.getpgid(0)
    assert os.getsid(pid) != os.getsid(0)
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 1.5
    until(lambda: not any(_alive(pid) for pid in pids), timeout_s=2.0)
    supervisor.poll()
    assert supervisor.pids() == {}


def test_no_process_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    node = fake(tmp_path, "node", STUBBORN)
    script = f"""
        import os, time
        from reactdiff_ros.launching.supervisor import NodeCommand, Supervisor
        supervisor = Supervisor([NodeCommand("node", ({node.command[0]!r},))], dict(os.environ), print)
        supervisor.start()
        print(supervisor.pids()["node"], flush=True)
        time.sleep(600)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        pid = int(min(process.stdout.readline(), process.stdout.readline()))  # digits sort before "up"
        assert _alive(pid)
    finally:
        process.kill()
        process.wait()
    until(lambda: not _alive(pid), timeout_s=3.0)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
