"""Settings of Fast DDS that a node takes, the user's own first; who can reach a robot."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from reactdiff_ros.launching.process import ALONE, DISCOVERY, ONLY, PEERS, RANGE, use_profile, wider_than_this_machine
from reactdiff_ros.resources import share_path

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
NAMESPACE = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"


@pytest.mark.parametrize(("given", "profile", "reach"), [
    ({RANGE: "LOCALHOST"}, ALONE, "SYSTEM_DEFAULT"),  # else rmw_fastrtps would add shared memory
    ({ONLY: "1", PEERS: "192.168.1.20"}, ALONE, "SYSTEM_DEFAULT"),
    ({RANGE: "LOCALHOST", PEERS: "192.168.1.20"}, DISCOVERY, "LOCALHOST"),
    ({ONLY: "0", RANGE: "SUBNET"}, DISCOVERY, "SUBNET"),
])  # fmt: skip
def test_a_face_that_stays_on_its_machine_has_a_profile_that_says_so(given, profile, reach):
    use_profile(alone=True, environment=given)
    assert (Path(given[OLD]).name, given[RANGE]) == (profile, reach)
    assert given.get(ONLY) != "1"


LOADS = """
import os, rclpy
rclpy.init()
node = rclpy.create_node("loads")
print(*(open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")))
maps = [line.split()[-1] for line in open("/proc/self/maps") if "/dev/shm/fastrtps_" in line]
print(max([0] + [os.stat(path).st_size for path in maps if "port" not in path]))
"""


def started(code, **environment):
    """What a node of a process says that runs this first."""
    environment = {**os.environ, "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp", **environment}
    environment.pop("FASTDDS_BUILTIN_TRANSPORTS", None)
    command = [sys.executable, "-c", code + LOADS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    *said, threads, segment = done.stdout.splitlines()
    # Ports in shared memory are the machine's: one that another process holds is told of, and the next one taken.
    said = [line for line in said if line and "Failed init_port" not in line]
    return threads, int(segment), "\n".join(said) + done.stderr


@pytest.mark.ros
@pytest.mark.parametrize("found", ["LOCALHOST", "SUBNET"])
def test_a_face_really_has_no_shared_memory(found, domain):
    code = "from reactdiff_ros.launching.process import use_profile; use_profile(alone=True)"
    threads, _, _ = started(code, **{RANGE: found, "ROS_DOMAIN_ID": str(domain)})
    assert "dds.udp" in threads
    assert "dds.shm" not in threads


@pytest.mark.ros
@pytest.mark.parametrize("path", sorted((share_path("config") / "dds").glob("*.xml")), ids=lambda path: path.stem)
def test_fast_dds_takes_every_profile_and_does_what_it_says(path, domain):
    given = {OLD: str(path), NEW: str(path), RANGE: "LOCALHOST", "ROS_DOMAIN_ID": str(domain)}
    _, segment, said = started("", **given)
    assert said == ""
    wanted = [int(e.text) for e in ET.parse(path).getroot().iter(f"{NAMESPACE}segment_size")]
    assert segment >= max(wanted, default=1)


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_two_machines_find_each_other_without_multicast(domain):
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "two_machines.py"), "--peers", "--seconds", "2", "--json"],
        capture_output=True, text=True, env=os.environ | {"ROS_DOMAIN_ID": str(domain)}, timeout=150, check=False,
    )  # fmt: skip
    if done.returncode and "netns" in done.stderr:
        pytest.skip(f"no network namespaces here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert all(share > 0.8 for row in rows for share in row["arrived"].values()), rows
    assert rows[0]["to_lab_kb_s"] < rows[1]["to_lab_kb_s"] < rows[2]["to_lab_kb_s"]


SECURE = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}


@pytest.mark.parametrize(("environment", "why"), [
    ({RANGE: "LOCALHOST"}, ""), ({RANGE: "OFF", PEERS: "192.0.2.1"}, ""), ({ONLY: "1", PEERS: "192.0.2.1"}, ""),
    ({ONLY: "1", "ROS_DISTRO": "humble"}, ""), ({RANGE: "SUBNET", **SECURE}, ""),
    ({}, f"({RANGE} is not set): set {RANGE}=LOCALHOST,"),
    ({RANGE: "SYSTEM_DEFAULT", ONLY: "0"}, f"({RANGE} is SYSTEM_DEFAULT)"),
    ({RANGE: "LOCALHOST", PEERS: "192.0.2.1"}, f"({PEERS} names 192.0.2.1)"),
    ({RANGE: "LOCALHOST", "ROS_DISTRO": "humble"}, f"({ONLY} is not 1): set {ONLY}=1,"),
    ({RANGE: "SUBNET", **SECURE, "ROS_SECURITY_STRATEGY": "Permissive"}, "is SUBNET)"),
])  # fmt: skip
def test_a_robot_that_other_machines_can_reach_has_one_sentence_and_one_that_they_cannot_none(environment, why):
    sentence = wider_than_this_machine(environment)
    assert why in sentence
    assert sentence.startswith("other machines can move this robot (") == bool(sentence) == bool(why)
