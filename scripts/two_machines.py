"""What crosses the wire between a robot and the machine that reacts for it: network namespaces at a switch. Needs root.

    python scripts/two_machines.py [--seconds 20] [--peers] [--json]

Programs at both ends send messages of the real types, sizes, rates and qualities of service; what they hold is made up,
but for the picture, which is the demo speaker's. --peers: a switch that drops
multicast, and config/dds/fastdds_two_machines.xml.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROBOT, LAB = "10.213.9.2", "10.213.9.1"
START_S, SETTLE_S = 30.0, 3.0
FRAMES, PLANS = "robot1/speaker/frame", "robot1/listener/reaction"
PICTURES, SOUND = "robot1/camera/image_raw/compressed", "robot1/audio"
RATES_HZ = {FRAMES: 25.0, PLANS: 12.0, PICTURES: 30.0, SOUND: 50.0}
"""Plans: the most; one every 160 ms is the least."""
STEPS = (
    ("found each other, nothing is said", ()),
    ("25 frames of the speaker and 12 plans a second", (FRAMES, PLANS)),
    ("and 30 pictures of 640x480 and the sound", (FRAMES, PLANS, PICTURES, SOUND)),
)


def main() -> int:
    """Measure and print, or be one of the two ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--end", choices=("robot", "lab"), help=argparse.SUPPRESS)
    parser.add_argument("--topics", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.end:
        return be_one_end(options.end, [t for t in options.topics.split(",") if t], options.seconds)
    if os.geteuid():
        parser.error("network namespaces need root")
    with ExitStack() as stack:
        machines = stack.enter_context(cable(multicast=not options.peers))
        environment = settings(Path(stack.enter_context(tempfile.TemporaryDirectory())), options.peers)
        rows = [row(machines, environment, what, topics, options.seconds) for what, topics in STEPS]
    if options.json:
        print(json.dumps(rows))
        return 0
    print("| what is said | robot to lab, kB/s | lab to robot, kB/s | packets/s | arrived |")
    print("| --- | --- | --- | --- | --- |")
    for r in rows:
        shares = ", ".join(f"{name.rpartition('/')[2]} {100 * share:.0f} %" for name, share in r["arrived"].items())
        cells = (
            r["what"],
            f"{r['to_lab_kb_s']:.1f}",
            f"{r['to_robot_kb_s']:.1f}",
            f"{r['packets_s']:.0f}",
            shares or "-",
        )
        print(f"| {' | '.join(cells)} |")
    return 0


def settings(folder: Path, peers: bool) -> dict[str, str]:
    """The environment of both ends: as two machines see each other."""
    from reactdiff_ros.launching.process import DISCOVERY
    from reactdiff_ros.resources import share_path

    profile = folder / "lab.xml"
    text = (share_path("config/dds") / ("fastdds_two_machines.xml" if peers else DISCOVERY)).read_text()
    # The namespaces share /dev/shm, two machines do not.
    text = text.replace(
        "<transport_id>shared_memory_16_mb</transport_id>\n          <transport_id>udp", "<transport_id>udp"
    )
    profile.write_text(text.replace("192.168.1.20", ROBOT).replace("192.168.1.21", LAB))
    variables = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
    variables |= dict.fromkeys(("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"), str(profile))
    return os.environ | variables


def row(
    machines: tuple[str, str], environment: dict[str, str], what: str, topics: tuple[str, ...], seconds: float
) -> dict[str, Any]:
    """What crossed the cable while both ends talked about these topics for so long."""
    ends = []
    for name, machine in zip(("robot", "lab"), machines, strict=True):
        words = [sys.executable, __file__, "--end", name, "--topics", ",".join(topics), "--seconds", str(seconds)]
        command = ["ip", "netns", "exec", machine, *words]
        ends.append(
            subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    for end in ends:
        if end.stdout is None or end.stdout.readline() != "found\n":
            for other in ends:
                other.kill()
            sys.exit("the two machines did not find each other")
    time.sleep(SETTLE_S)
    before = counters(machines[0])
    for end in ends:
        assert end.stdin is not None
        end.stdin.write("go\n")
        end.stdin.flush()
    reports = [json.loads(end.communicate()[0]) for end in ends]
    after = counters(machines[0])
    sent, got, packets = ((b - a) / seconds for a, b in zip(before, after, strict=True))
    heard = reports[0]["heard"] | reports[1]["heard"]
    arrived = {t: heard[t] / (reports[0]["sent"] | reports[1]["sent"])[t] for t in topics}
    return {
        "what": what, "to_lab_kb_s": sent / 1e3, "to_robot_kb_s": got / 1e3, "packets_s": packets, "arrived": arrived,
    }  # fmt: skip


def be_one_end(name: str, topics: list[str], seconds: float) -> int:
    """Send what this machine sends, hear the other's; tells as JSON how many of each."""
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from std_msgs.msg import Empty

    rclpy.init()
    node = rclpy.create_node(f"wire_{name}")
    sensor = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    mine = {t for t in topics if (t == PLANS) == (name == "lab")}
    heard = dict.fromkeys(sorted(set(topics) - mine), 0)

    def count(topic: str) -> Any:
        def add(message: Any) -> None:
            heard[topic] += 1

        return add

    kept: list[Any] = [node.create_publisher(Empty, f"/wire/{name}", 1)]
    other = node.create_subscription(Empty, f"/wire/{'lab' if name == 'robot' else 'robot'}", lambda m: None, 1)
    publishers = {}
    for topic in topics:
        message = message_of(topic)
        qos = sensor if topic == PICTURES else 50
        if topic in mine:
            publishers[topic] = (node.create_publisher(type(message), f"/{topic}", qos), message)
        else:
            kept.append(node.create_subscription(type(message), f"/{topic}", count(topic), qos))
    end_s = time.monotonic() + START_S

    def found() -> bool:
        return node.count_publishers(other.topic_name) > 0 and all(
            p.get_subscription_count() for p, _ in publishers.values()
        )

    while not found() and time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.1)
    print("found" if found() else "alone", flush=True)
    sys.stdin.readline()
    begin_s, sent = time.monotonic(), dict.fromkeys(sorted(mine), 0)
    while (now_s := time.monotonic() - begin_s) < seconds:
        for topic, (publisher, message) in publishers.items():
            if sent[topic] < now_s * RATES_HZ[topic]:
                publisher.publish(message)
                sent[topic] += 1
        rclpy.spin_once(node, timeout_sec=0.002)
    # What is on its way arrives.
    while time.monotonic() - begin_s < seconds + 0.5:
        rclpy.spin_once(node, timeout_sec=0.05)
    print(json.dumps({"sent": sent, "heard": heard}), flush=True)
    return 0


def message_of(topic: str) -> Any:
    """A message of the size that the nodes send."""
    import cv2
    from reactdiff_ros.msg import AudioChunk, Reaction, SpeakerFrame
    from sensor_msgs.msg import CompressedImage

    from reactdiff_ros.capture.media import ClipPicture, MediaClip
    from reactdiff_ros.resources import demo_clip_path

    if topic == FRAMES:
        return SpeakerFrame()
    if topic == PLANS:
        return Reaction(coefficients=[0.0] * (12 * 58))
    if topic == SOUND:
        return AudioChunk(sample_rate=48000, channels=1, samples=[0] * 960)
    items = MediaClip(demo_clip_path()).pictures_and_sound()
    picture = next(item.bgr for item in items if isinstance(item, ClipPicture))
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return CompressedImage(format="jpeg", data=jpeg.tobytes())


def counters(machine: str) -> tuple[int, int, int]:
    """(bytes sent, bytes got, packets both ways) of the cable, as its end in this machine counts them."""
    answer = subprocess.run(["ip", "-n", machine, "-s", "-j", "link", "show", "eth0"],
                            capture_output=True, text=True, check=True)  # fmt: skip
    stats = json.loads(answer.stdout)[0]["stats64"]
    return stats["tx"]["bytes"], stats["rx"]["bytes"], stats["tx"]["packets"] + stats["rx"]["packets"]


@contextmanager
def cable(*, multicast: bool) -> Iterator[tuple[str, str]]:
    """Two network namespaces, the robot's and the lab's, at a switch that passes multicast or drops it."""
    robot, lab, switch = (f"rd{os.getpid()}{name}" for name in ("robot", "lab", "switch"))
    with ExitStack() as stack:
        for name in (switch, robot, lab):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", switch, "link", "add", "lan", "type", "bridge", "mcast_snooping", "0")
        ip("-n", switch, "link", "set", "lan", "up")
        for port, name, address in (("port1", robot, ROBOT), ("port2", lab, LAB)):
            ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", switch, "link", "set", port, "master", "lan", "up")
            ip("-n", switch, "link", "set", port, "type", "bridge_slave", "mcast_flood", "on" if multicast else "off")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield robot, lab


def ip(*words: str) -> None:
    """Run the tool ip."""
    subprocess.run(["ip", *words], check=True)


if __name__ == "__main__":
    sys.exit(main())
