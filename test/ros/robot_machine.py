"""A robot of another machine, for tests: sends a speaker's frames, hears its plans, and tells them as JSON.

    python robot_machine.py NAMESPACE SECONDS

SECONDS begin when somebody listens to the frames; without anybody within 30 s it gives up.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import rclpy

from reactdiff_ros import msg
from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.messages import fill_speaker
from reactdiff_ros.nodes.base import interface, qos_profile
from reactdiff_ros.types import SpeakerFrame, Voice


def main(namespace: str, seconds: float) -> None:
    """Be the robot for so long."""
    table = load_table()
    node_table = table.node("reaction_node")
    frames, plans = (
        node_table.topic("speaker/frame", "subscribers"),
        node_table.topic("listener/reaction", "publishers"),
    )
    rclpy.init()
    node = rclpy.create_node("robot")
    heard: list[tuple[int, float, bool]] = []

    def hear(plan: Any) -> None:
        heard.append((plan.seed, float(np.abs(plan.coefficients).max()), plan.engaged))

    node.create_subscription(
        interface(plans.type, "msg"), f"/{namespace}/{plans.name}",
        hear, qos_profile(table.qos[plans.qos]),
    )  # fmt: skip
    publisher = node.create_publisher(
        interface(frames.type, "msg"), f"/{namespace}/{frames.name}", qos_profile(table.qos[frames.qos])
    )
    give_up = time.monotonic() + 30.0
    while publisher.get_subscription_count() == 0 and time.monotonic() < give_up:
        rclpy.spin_once(node, timeout_sec=0.1)
    found = publisher.get_subscription_count() > 0
    end = time.monotonic() + (seconds if found else 0.0)
    values = np.zeros(58, np.float32)
    while time.monotonic() < end:
        now = node.get_clock().now().nanoseconds
        values[list(SMILE)] = 0.5
        voice = Voice(0.9, True, np.zeros(26, np.float32), 120.0, -30.0, 0.0, 1.0)
        publisher.publish(
            fill_speaker(msg.SpeakerFrame(),
                SpeakerFrame(
                    now, now, now, 1, True, True, values, np.full(58, 0.9, np.float32), 1.0, None,
                    np.array([0, 0, 1], np.float32), None, voice,
                )
            )
        )  # fmt: skip
        last = time.monotonic() + 0.04
        while (left := last - time.monotonic()) > 0:
            rclpy.spin_once(node, timeout_sec=left)
    print(json.dumps({"found": found, "plans": heard}))
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
