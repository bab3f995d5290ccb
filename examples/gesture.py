#!/usr/bin/env python3
"""Let a running listener make a gesture, with or without the `ros2` command: python examples/gesture.py smile."""

import argparse
import sys
import time

import rclpy
from rclpy.duration import Duration
from reactdiff_ros.msg import Gesture

from reactdiff_ros.expression.gestures import GESTURES


def main():
    """Send one gesture as soon as a listener is discovered, within 10 s."""
    parser = argparse.ArgumentParser(description="Let a running listener make a gesture.")
    names = sorted(GESTURES)
    parser.add_argument("gesture", nargs="?", choices=names, default="smile", metavar="GESTURE", help=", ".join(names))
    name = parser.parse_args().gesture
    rclpy.init()
    publisher = rclpy.create_node("operator").create_publisher(Gesture, "listener/gesture", 10)
    end = time.monotonic() + 10.0
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            sys.exit("no listener was found: check that one is running in this ROS_DOMAIN_ID")
        time.sleep(0.1)
    publisher.publish(Gesture(name=name))
    publisher.wait_for_all_acked(Duration(seconds=5))  # a listener that was found may not know us yet
    rclpy.shutdown()


if __name__ == "__main__":
    main()
