"""A service manager hears the truth of a running listener, and env.sh gives the same environment twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cli_domain import free_domain

ROOT = Path(__file__).resolve().parents[2]
# The service manager


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    """A socket of a service manager."""
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(str(tmp_path / "notify"))
    ear.settimeout(60)
    return ear


ASK = """
import json, rclpy
from rcl_interfaces.srv import GetParameters
rclpy.init()
node = rclpy.create_node("asks")
client = node.create_client(GetParameters, "/service/expression_node/get_parameters")
assert client.wait_for_service(30.0)
answer = client.call_async(GetParameters.Request(names=["intensity", "stillness", "style"]))
rclpy.spin_until_future_complete(node, answer, timeout_sec=30.0)
values = answer.result().values
print(json.dumps([values[0].double_value, values[1].double_value, values[2].string_value]))
"""


@pytest.mark.ros
def test_a_running_listener_has_its_settings_and_tells_its_manager(manager: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "robots").mkdir()
    (tmp_path / "config.yaml").write_text(
        "arguments: {robot: anna, policy: idle}\nparameters: {'*': {intensity: 0.5, style: warm}}\n"
    )
    (tmp_path / "robots" / "anna.yaml").write_text(
        "arguments: {robot: screen, namespace: service}\nparameters: {expression_node: {stillness: 0.25}}\n"
    )
    environment = {**os.environ, "ROS_DOMAIN_ID": str(free_domain()), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    environment |= {"REACTDIFF_CONFIG": str(tmp_path / "config.yaml"), "REACTDIFF_HOME_DIR": str(tmp_path / "home")}
    variables = {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "900000"}
    words = ["listen", "--no-avatar", "--style", "sceptical", "use_sim_time:=true"]
    command = [sys.executable, "-m", "reactdiff_ros.cli.main", *words]
    run = subprocess.Popen(command, env=environment | variables, cwd=ROOT)
    try:
        heard = [manager.recv(200)]
        while heard.count(b"WATCHDOG=1") < 2 or not any(word.startswith(b"READY=1") for word in heard):
            heard.append(manager.recv(200))
        asked = subprocess.run(
            [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        # Fast DDS writes its own messages to stdout.
        assert json.loads(asked.stdout.splitlines()[-1]) == [0.5, 0.25, "sceptical"], asked.stderr
        run.send_signal(signal.SIGTERM)
        while b"STOPPING=1" not in heard:
            heard.append(manager.recv(200))
        assert run.wait(30) == 0
    finally:
        run.kill()
        run.wait()


ENV = ROOT / "env.sh"
CLEAN = {"HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@pytest.mark.ros
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_sourced_twice_from_elsewhere_it_gives_the_same_path_and_the_command(shell: str, tmp_path: Path) -> None:
    if not ENV.exists():
        pytest.skip("env.sh is written by 'make setup', which has not run in this checkout")
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} on this machine")
    script = (
        f'. "{ENV}" && first="$PATH|$PYTHONPATH|$AMENT_PREFIX_PATH|$LD_LIBRARY_PATH" && . "{ENV}" && '
        '[ "$first" = "$PATH|$PYTHONPATH|$AMENT_PREFIX_PATH|$LD_LIBRARY_PATH" ] && echo same && '
        'reactdiff --help && python -c "import rclpy, reactdiff_ros.msg; print(reactdiff_ros.__file__)"'
    )
    run = subprocess.run([program, "-euc", script], capture_output=True, text=True, cwd=tmp_path, env=CLEAN, timeout=60)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "same"
    assert lines[1].startswith("Usage: reactdiff")
    assert "reactdiff_ros/__init__.py" in lines[-1]
