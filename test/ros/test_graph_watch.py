"""Whoever taps a topic is told when each message was published, not when it happened to be read."""

from __future__ import annotations

import time

import pytest
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from reactdiff_ros.nodes.graph_watch import GraphWatch

pytestmark = pytest.mark.ros


def test_a_tap_tells_when_a_message_was_published(domain):
    heard = []

    def plain(message, info):
        heard.append((message.data, info["source_timestamp"]))

    def with_a_default(message, info=None):
        plain(message, info)

    watch = GraphWatch("", lambda report: None, domain)
    try:
        for callback in (plain, with_a_default):
            watch.tap(String, "words", callback, QoSProfile(depth=10))
        publisher = watch.node.create_publisher(String, "words", QoSProfile(depth=10))
        end_s = time.monotonic() + 20.0
        while publisher.get_subscription_count() < 2 and time.monotonic() < end_s:
            watch.spin(0.02)
        published_ns = time.time_ns()
        publisher.publish(String(data="now"))
        sent_ns = time.time_ns()
        while time.time_ns() < sent_ns + 100_000_000:
            pass  # it is read later
        while len(heard) < 2 and time.monotonic() < end_s:
            watch.spin(0.02)
    finally:
        watch.close()
    assert [data for data, _ in heard] == ["now", "now"]
    # DDS counts in parts of 2^32 of a second.
    assert all(published_ns - 1 <= stamp <= sent_ns + 1 for _, stamp in heard)
