"""A node whose middleware hangs while Python cannot run is ended all the same, and says where it hung."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")


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
    node = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert node.stdout is not None
        assert node.stdout.readline() == "ready\n"
        os.kill(node.pid, signal.SIGTERM)
        _, said = node.communicate(timeout=20.0)
    finally:
        node.kill()
    assert node.returncode == 1
    assert "Timeout" in said
    assert "Thread 0x" in said
