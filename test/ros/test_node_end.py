"""The end of a node: nothing of it runs on, and what hangs is ended by force and says where."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from ros_harness import START_S, NodeProcess, executable

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.nodes.runner import claim_name


def program(script, *arguments, domain=0):
    """A Python program in a process."""
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(script), *arguments],
        env=os.environ | {"ROS_DOMAIN_ID": str(domain)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_hang_that_holds_pythons_lock_is_ended_by_force():
    script = """
        import ctypes, time
        import reactdiff_ros.nodes.runner as runner
        runner.STOP_S, runner.HANG_S = 0.2, 0.4
        stop = runner.StopSignal()
        print("ready", flush=True)
        while not stop:
            time.sleep(0.01)
        ctypes.PyDLL(None).sleep(600)  # a call that keeps Python's lock
    """
    node = program(script)
    try:
        assert node.stdout.readline() == "ready\n"
        os.kill(node.pid, signal.SIGTERM)
        _, said = node.communicate(timeout=60.0)
    finally:
        node.kill()
    assert node.returncode == 1
    assert "Timeout" in said
    assert "Thread 0x" in said


@pytest.mark.ros
@pytest.mark.slow
def test_the_second_sigint_of_a_launcher_at_any_moment_leaves_a_node_its_exit_status(tmp_path, domain):
    """`ros2 launch` passes on the SIGINT that the terminal has sent to the whole group already."""
    environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"}
    ends = {}
    for gaps_s in ((0.0, 0.02, 0.04, 0.06, 0.08), (0.1, 0.13, 0.16, 0.2, 0.3)):
        nodes = {}
        for gap_s in gaps_s:
            name = ["--ros-args", "-r", f"__ns:=/after{round(1000 * gap_s)}"]
            nodes[gap_s] = NodeProcess("expression_node", environment, tmp_path, *name)
        try:
            for gap_s, node in nodes.items():
                until(lambda node=node: "active:" in node.log, node)
                node.process.send_signal(signal.SIGINT)
                time.sleep(gap_s)
                node.process.send_signal(signal.SIGINT)
            ends |= {gap_s: node.ended() for gap_s, node in nodes.items()}
        finally:
            for node in nodes.values():
                node.process.kill()
    assert ends == dict.fromkeys(ends, 0)


def until(condition, node):
    end_s = time.monotonic() + START_S
    while not condition():
        assert node.process.poll() is None, node.log
        assert time.monotonic() < end_s, node.log
        time.sleep(0.02)


@pytest.mark.ros
def test_of_ended_nodes_no_thread_of_the_middleware_is_left(domain):
    """One that is would use what the end of the process takes away: a crash, once in some hundred ends."""
    script = """
        import os, pathlib, signal, sys
        from reactdiff_ros.nodes.avatar_node import AvatarNode
        from reactdiff_ros.nodes.runner import run

        def threads():
            names = [task.joinpath("comm").read_text().strip() for task in pathlib.Path("/proc/self/task").iterdir()]
            return sorted(name for name in names if name.startswith("dds."))

        class EndsAtOnce(AvatarNode):
            def start_by_itself(self):
                super().start_by_itself()
                print(self.life, *threads(), flush=True)
                os.kill(os.getpid(), signal.SIGTERM)

        ended = run(EndsAtOnce, ["--ros-args", "-p", f"port:={sys.argv[2]}", "-r", f"__ns:={sys.argv[1]}"])
        print(ended, *threads())
    """
    ports = ["18765", "18765", "18765", "0 is refused"]
    nodes = [program(script, f"/n{n}", port, domain=domain) for n, port in enumerate(ports)]
    try:
        ends = [(*node.communicate(timeout=60.0), node.returncode) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    for said, errors, code in ends:
        assert code == 0, errors
        *alive, left = (line.split() for line in said.splitlines())
        assert set(left[1:]) <= {"dds.shm.wdog"}, f"the process may keep one, a node none: {said}"
        assert [names[0] for names in alive] == ["active"] * (left[0] == "0"), errors
    assert [said.splitlines()[-1].split()[0] for said, *_ in ends] == ["0", "0", "0", "2"]
    if not any("dds." in said for said, *_ in ends):
        pytest.skip("this middleware does not name its threads")


@pytest.mark.ros
@pytest.mark.parametrize("stuck", [False, True])
def test_a_thread_that_cannot_be_stopped_does_not_see_pythons_end(stuck, domain):
    """It would come back from C to a Python that is being taken down: "terminate called", and exit code -6."""
    script = """
        import atexit, os, signal, sys, threading, time
        from reactdiff_ros.nodes.avatar_node import AvatarNode
        from reactdiff_ros.nodes.runner import run

        class EndsAtOnce(AvatarNode):
            def start_by_itself(self):
                if sys.argv[1] == "True":
                    threading.Thread(target=time.sleep, args=(600.0,), daemon=True).start()
                os.kill(os.getpid(), signal.SIGTERM)

        atexit.register(print, "taken down")
        raise SystemExit(run(EndsAtOnce, ["--ros-args", "-r", "__ns:=/stuck"]))
    """
    with program(script, str(stuck), domain=domain) as node:
        try:
            said, errors = node.communicate(timeout=60.0)
        finally:
            node.kill()
    assert node.returncode == 0, errors
    assert ("taken down" in said) == (not stuck)


@pytest.mark.ros
def test_a_service_manager_hears_that_a_node_alone_is_ready_turns_and_ends(tmp_path, domain):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(60.0)
        variables = {"NOTIFY_SOCKET": ear.getsockname(), "WATCHDOG_USEC": "300000", "ROS_DOMAIN_ID": str(domain)}
        node = subprocess.Popen([executable("expression_node")], env=os.environ | variables)
        try:
            assert ear.recv(200) == b"READY=1\nSTATUS=/expression_node is active"
            assert [ear.recv(200) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            node.send_signal(signal.SIGTERM)
            while (heard := ear.recv(200)) == b"WATCHDOG=1":
                pass
            assert heard == b"STOPPING=1"
            assert node.wait(30.0) == 0
        finally:
            node.kill()


@pytest.mark.ros
@pytest.mark.parametrize("length", [20, 89, 90, 250])
def test_a_name_of_any_length_is_held_by_one_node(monkeypatch, length):
    monkeypatch.setenv("ROS_DOMAIN_ID", "232")
    name = "/claimed_in_a_test/".ljust(length - 1, "n")
    with claim_name(f"{name}1"), claim_name(f"{name}2"), pytest.raises(ReactdiffError, match="already runs"):
        claim_name(f"{name}1")
    claim_name(f"{name}1").close()
