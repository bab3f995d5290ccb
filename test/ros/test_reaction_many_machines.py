"""Two robots on machines of their own, which are network namespaces here, and one reaction_node on a third."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from ros_harness import executable, free_domain

pytestmark = pytest.mark.ros

ROBOT = Path(__file__).with_name("robot_machine.py")


def ip(*arguments: str) -> None:
    """Run the tool ip; a skip where this machine does not permit it."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@pytest.fixture
def machines() -> Iterator[dict[str, str]]:
    """Network namespaces of the machines lab, a and b, joined by a bridge that lives in lab."""
    if shutil.which("ip") is None:
        pytest.skip("the tool ip (iproute2) is not installed")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    names = {machine: f"rd{os.getpid()}{machine}" for machine in ("lab", "a", "b")}
    with ExitStack() as stack:
        for name in names.values():
            ip("netns", "add", name)
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
            ip("-n", name, "link", "set", "lo", "up")
        lab = names["lab"]
        ip("-n", lab, "link", "add", "lan", "type", "bridge")
        ip("-n", lab, "addr", "add", "10.213.7.1/24", "dev", "lan")
        ip("-n", lab, "link", "set", "lan", "up")
        for i, machine in enumerate(("a", "b"), 2):
            ip(
                "-n",
                lab,
                "link",
                "add",
                f"to_{machine}",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                names[machine],
            )
            ip("-n", lab, "link", "set", f"to_{machine}", "master", "lan")
            ip("-n", lab, "link", "set", f"to_{machine}", "up")
            ip("-n", names[machine], "addr", "add", f"10.213.7.{i}/24", "dev", "eth0")
            ip("-n", names[machine], "link", "set", "eth0", "up")
        yield names


def test_two_robots_reach_the_node_over_the_network(machines, tmp_path):
    domain, claim = free_domain()
    # As two machines see each other: found over the network, and no shared memory between them.
    environment = os.environ | {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
        "PYTHONUNBUFFERED": "1",
        "ROS_LOG_DIR": str(tmp_path),
        "ROS_LOCALHOST_ONLY": "0",
    }
    log = tmp_path / "node.log"

    def inside(machine: str, *command: str, **options: object) -> subprocess.Popen[str]:
        words = ["ip", "netns", "exec", machines[machine], *command]
        return subprocess.Popen(words, env=environment, text=True, start_new_session=True, **options)  # type: ignore[call-overload,no-any-return]

    arguments = ["--ros-args", "-p", "listeners:='robot_a=4, robot_b=9'", "-p", "candidates:=1", "-p", "steps:=2"]
    with claim, log.open("w") as output:
        node = inside("lab", executable("reaction_node"), *arguments, stdout=output, stderr=subprocess.STDOUT)
        robots = {}
        try:
            for name in ("a", "b"):
                command = (sys.executable, str(ROBOT), f"robot_{name}", "4")
                robots[name] = inside(name, *command, stdout=subprocess.PIPE)
            told = {name: json.loads(robot.communicate(timeout=60)[0]) for name, robot in robots.items()}
        finally:
            for process in (node, *robots.values()):
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
            node.wait(10)
    for name, seed in (("a", 4), ("b", 9)):
        assert told[name]["found"], log.read_text()[-2000:]
        plans = told[name]["plans"]
        assert len(plans) > 10, (name, len(plans), log.read_text()[-2000:])
        assert {plan[0] for plan in plans} == {seed}
        assert plans[-1][2]
        assert plans[-1][1] > 0
    assert "Traceback" not in log.read_text()
