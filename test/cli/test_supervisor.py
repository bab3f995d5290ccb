"""The supervisor on small fake nodes: crash, restart, clean stop, and nothing left when it is killed itself."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from deadline import until

from reactdiff_ros.launching.supervisor import Limits, NodeCommand, Supervisor

pytestmark = pytest.mark.real_time
QUICK = Limits(silent_s=0.4, first_s=5.0, term_s=0.3, backoff_s=(0.05, 0.1), stable_s=60.0)
LIVES = "import time\nprint('up', flush=True)\nwhile True: time.sleep(1)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LIVES


@pytest.fixture
def run(tmp_path):
    """`run(name=body)` supervises small Python programs; what is said goes to `said`."""
    made: list[Supervisor] = []

    def start(said: list[str], limits: Limits = QUICK, clock: Any = time.monotonic, **bodies: str) -> Supervisor:
        nodes = [fake(tmp_path, name, body) for name, body in bodies.items()]
        made.append(Supervisor(nodes, dict(os.environ), said.append, tmp_path / "log", limits, clock))
        made[-1].start()
        return made[-1]

    yield start
    for supervisor in made:
        supervisor.stop()


def fake(folder: Path, name: str, body: str) -> NodeCommand:
    (folder / name).write_text(body)
    return NodeCommand(name, (sys.executable, "-IS", str(folder / name)))


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_crashes_is_started_again_and_said_once(run):
    said: list[str] = []
    supervisor = run(said, crasher="import sys\nsys.exit('no such weights')")
    until(lambda: supervisor.poll() or supervisor.restarts("crasher") >= 2)
    assert said == ["crasher died (exit code 1, no such weights): restarted in 0.05 s"]


def test_a_slow_start_is_not_a_hang_and_our_own_stall_is_not_theirs(run):
    now, said = [0.0], list[str]()
    supervisor = run(said, Limits(), lambda: now[0], node=LIVES)
    for now[0] in (10.0, 10.5, 20.0, 30.0):
        supervisor.poll()
    supervisor.heartbeat("node")
    now[0] += 60.0  # the machine slept
    supervisor.poll()
    assert said == []
    for _ in range(12):
        now[0] += 0.5
        supervisor.poll()
    assert len(said) == 1
    supervisor.limits = Limits(term_s=-1.0)  # the fake clock stands still: no grace


def test_stop_leaves_nothing_in_bounded_time_also_of_the_stubborn(run):
    sleeps = "import subprocess, time\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\ntime.sleep(600)"
    supervisor = run([], stubborn=STUBBORN, parent=sleeps)
    until(lambda: "up" in supervisor.log_of("stubborn") and bool(supervisor.log_of("parent")))
    pids = [*supervisor.pids().values(), int(supervisor.log_of("parent"))]
    assert os.getsid(pids[0]) == pids[0], "Ctrl-C in the terminal reaches the supervisor alone"
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 1.5
    until(lambda: not any(map(alive, pids)), timeout_s=2.0)


def test_no_process_is_left_when_the_supervisor_is_killed(tmp_path):
    script = f"""
import os, time
from reactdiff_ros.launching.supervisor import NodeCommand, Supervisor
supervisor = Supervisor([{fake(tmp_path, "node", STUBBORN)!r}], dict(os.environ), print)
supervisor.start()
print(supervisor.pids()["node"], flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    pid = int(min(process.stdout.readline(), process.stdout.readline()))  # digits sort before "up"
    assert alive(pid)
    process.kill()
    process.wait()
    until(lambda: not alive(pid), timeout_s=3.0)
