#!/usr/bin/env python3
"""Let a running listener make a gesture, with or without the `ros2` command: python examples/gesture.py smile."""

import sys
import time

import rclpy
from rclpy.duration import Duration
from reactdiff_ros.msg import Gesture


def main():
    """Send one gesture, once a listener hears it (10 s at most)."""
    name = sys.argv[1] if len(sys.argv) > 1 else "smile"
    rclpy.init()
    publisher = rclpy.create_node("operator").create_publisher(Gesture, "listener/gesture", 10)
    end = time.monotonic() + 10.0
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            sys.exit("no listener was found: does it run, in this ROS_DOMAIN_ID?")
        time.sleep(0.1)
    publisher.publish(Gesture(name=name))
    publisher.wait_for_all_acked(Duration(seconds=5))  # a listener that was found may not know us yet
    rclpy.shutdown()


if __name__ == "__main__":
    main()
