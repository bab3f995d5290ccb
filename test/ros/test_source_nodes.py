"""Nodes that read devices and clips, in the test's own process: their threads end, and simulated time may jump."""

from __future__ import annotations

import threading
import time

import pytest
import rclpy
from ros_harness import free_domain

from reactdiff_ros.capture.camera import CameraFrame
from reactdiff_ros.clock import NS
from reactdiff_ros.demo import demo_clip_path
from reactdiff_ros.nodes import camera_node, clip_node, microphone_node

pytestmark = pytest.mark.ros


@pytest.fixture
def context():
    domain, claim = free_domain()
    rclpy.init(args=[], domain_id=domain)
    yield
    rclpy.shutdown()
    claim.close()


def until(condition, what):
    end = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end, f"{what} not within 30 s"
        threading.Event().wait(0.005)


@pytest.fixture
def running(context):
    """Makes a node of this kind active; it is ended after the test."""
    nodes = []

    def start(kind):
        node = kind()
        nodes.append(node)
        assert node.trigger_configure().name == "SUCCESS"
        assert node.trigger_activate().name == "SUCCESS"
        return node

    yield start
    for node in nodes:
        node.close()
        node.destroy_node()


@pytest.mark.parametrize("loop", [True, False])
def test_clip_plays_anew_when_simulated_time_jumps_back(monkeypatch, running, loop):
    """As when the bag that gives /clock begins again: before, the node said that its clip had ended."""
    now, stamps = [1000 * NS], []

    class Clip(clip_node.ClipNode):
        def simulated(self):
            return True

        def now_ns(self):
            return now[0]

        def _publish_picture(self, picture, stamp):
            stamps.append(stamp)

    node = Clip()
    node.values.update(clip=str(demo_clip_path()), loop=loop)

    def play_from(start_ns):
        count, now[0] = len(stamps), start_ns

        def played():
            now[0] += NS // 100
            return len(stamps) > count + 5

        until(played, "pictures")
        assert start_ns <= stamps[-1] <= now[0]

    running(lambda: node)
    play_from(1000 * NS)
    play_from(500 * NS)
    assert "end" not in node.health


class Hung:
    """A camera or microphone whose driver hangs until it is let go, as V4L2's may for ten seconds."""

    is_open, ended, paced = False, False, True
    name, size, rate_hz, dropped, overflows = "device", (640, 480), 30.0, 0, 0

    def __init__(self):
        self.hangs, self.readers, self.closed = threading.Event(), set(), 0

    def reconnect(self, _now_ns):
        self.readers.add(threading.get_ident())
        return self.hangs.wait(60.0)

    def read(self, *now_ns):
        threading.Event().wait(0.002)
        return [] if now_ns else CameraFrame(1, jpeg=b"\xff\xd8")

    def close(self):
        self.closed += 1


@pytest.mark.parametrize(("module", "name"), [(camera_node, "Camera"), (microphone_node, "Microphone")])
def test_device_that_hangs_at_the_deactivation_has_one_reader_afterwards(monkeypatch, running, module, name):
    devices = [Hung(), Hung()]
    given = iter(devices)
    monkeypatch.setattr(module, name, lambda *_, **__: next(given))
    monkeypatch.setattr(module, "END_S", 0.05)
    node = running(getattr(module, f"{name}Node"))
    first, second = devices
    until(lambda: first.readers, "the first reader")
    assert node.trigger_deactivate().name == "SUCCESS"
    assert node.trigger_activate().name == "SUCCESS"
    second.hangs.set()
    first.hangs.set()
    until(lambda: first.closed, "the end of the first reader")
    until(lambda: second.readers, "the second reader")
    assert not first.readers & second.readers
    assert not second.closed
