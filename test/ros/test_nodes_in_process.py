"""Nodes in the test's own process: threads end, time may jump, what was there is taken back or forgotten."""

from __future__ import annotations

import gc
import os
import re
import threading
import time
from functools import partial
from types import SimpleNamespace

import deadline
import numpy as np
import pytest
import rclpy

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.msg import ActuatorState, ListenerStatus
from ros_harness import ask

from reactdiff_ros.capture.camera import CameraFrame
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.condition import CONDITION_VARIABLE, Condition, veil
from reactdiff_ros.launching.process import wider_than_this_machine
from reactdiff_ros.nodes import avatar_node, base, camera_node, clip_node, microphone_node, perception_node
from reactdiff_ros.nodes.actuator_node import ActuatorNode
from reactdiff_ros.nodes.avatar_node import AvatarNode
from reactdiff_ros.nodes.expression_node import ExpressionNode
from reactdiff_ros.nodes.health import Level, Meter
from reactdiff_ros.nodes.reaction_node import BlindReactionNode
from reactdiff_ros.recordings.graph import recorder_node
from reactdiff_ros.resources import demo_clip_path

pytestmark = pytest.mark.ros
until = partial(deadline.until, timeout_s=30.0)


@pytest.fixture
def context(domain):
    rclpy.init(args=[], domain_id=domain)
    yield
    rclpy.shutdown()
    gc.unfreeze()  # what an active node has frozen: ruckig's binding would say at the end that it leaks
    gc.collect()  # a node that could not be made is in the domain all the same


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


def test_clip_plays_anew_when_simulated_time_jumps_back(running, monkeypatch):
    """As when the bag that gives /clock begins again: before, the node said that its clip had ended."""
    now, stamps, node = [1000 * NS], [], clip_node.ClipNode()
    monkeypatch.setattr(node, "simulated", lambda: True)
    monkeypatch.setattr(node, "now_ns", lambda: now[0])
    monkeypatch.setattr(node, "_publish_picture", lambda picture, stamp: stamps.append(stamp))
    node.values.update(clip=str(demo_clip_path()), loop=False)
    running(lambda: node)
    for now[0] in (1000 * NS, 500 * NS):
        count, start_ns = len(stamps), now[0]

        def played(count=count):
            now[0] += NS // 100
            return len(stamps) > count + 5

        until(played, "pictures")
        assert start_ns <= stamps[-1] <= now[0]
    assert "end" not in node.health


def test_a_rate_far_below_the_nominal_one_is_a_warning(running, monkeypatch):
    node, clock = running(ExpressionNode), SimpleNamespace(ns=1000 * NS)
    monkeypatch.setattr(node, "steady_ns", lambda: clock.ns)
    node.meter = Meter()
    # Just over half is well, and not yet well again; where none are due, none are missed.
    for nominal, hz, seconds, said in (
        (0.0, 1, 10, False), (25.0, 13, 10, False), (25.0, 1, 8, True), (25.0, 13, 8, True), (25.0, 25, 5, False),
        (25.0, 0, 5, True), (0.0, 1, 1, False),
    ):  # fmt: skip
        monkeypatch.setattr(node, "nominal_hz", lambda nominal=nominal: nominal)
        for _ in range(seconds):
            for _ in range(hz):
                clock.ns += NS // hz
                node.meter.output(clock.ns)
            clock.ns += 0 if hz else NS
            node.report()
        assert ("rate" in node.health) is said, (nominal, hz)
        assert not said or node.health.summary("").level is Level.WARN


# Devices


class Device:
    """A camera or microphone; `read` waits and gives a picture, with `opens` its driver hangs until it is set."""

    is_open, ended, paced = False, False, True
    name, size, rate_hz, dropped, overflows = "device", (640, 480), 30.0, 0, 0

    def __init__(self, wait_s=0.002, opens=None, **picture):
        self.wait_s, self.opens, self.picture = wait_s, opens, picture
        self.readers, self.closed = set(), 0

    def reconnect(self, _now_ns):
        self.readers.add(threading.get_ident())
        self.is_open = self.opens is None
        return self.opens is None or self.opens.wait(60.0)

    def read(self, *now_ns):
        threading.Event().wait(self.wait_s)
        return [] if now_ns else CameraFrame(time.time_ns(), **self.picture)

    def frozen_ns(self, _now_ns):
        return 0

    def close(self):
        self.closed += 1


@pytest.mark.parametrize(("module", "name"), [(camera_node, "Camera"), (microphone_node, "Microphone")])
def test_device_that_hangs_at_the_deactivation_has_one_reader_afterwards(monkeypatch, running, module, name):
    """As V4L2's may for ten seconds."""
    first, second = (Device(opens=threading.Event(), jpeg=b"\xff\xd8") for _ in range(2))
    given = iter((first, second))
    monkeypatch.setattr(module, name, lambda *_, **__: next(given))
    monkeypatch.setattr(base, "END_S", 0.05)
    node = running(getattr(module, f"{name}Node"))
    until(lambda: first.readers, "the first reader")
    assert node.trigger_deactivate().name == "SUCCESS"
    assert node.trigger_activate().name == "SUCCESS"
    second.opens.set()
    first.opens.set()
    until(lambda: first.closed, "the end of the first reader")
    until(lambda: second.readers, "the second reader")
    assert not first.readers & second.readers
    assert not second.closed


def test_pictures_of_a_camera_have_their_camera_info_and_too_few_of_them_are_said(monkeypatch, running):
    picture = np.zeros((90, 160, 3), np.uint8)
    monkeypatch.setattr(camera_node, "Camera", lambda *_, **__: Device(0.2, bgr=picture))
    node, published = camera_node.CameraNode(), []
    node.values["horizontal_fov_deg"] = 60.0
    monkeypatch.setattr(node, "publish", lambda publisher, message: published.append((publisher.topic_name, message)))
    running(lambda: node)
    until(lambda: len(published) > 5, "pictures")
    (name, picture), (of_info, info) = published[:2]
    assert (name, of_info) == ("/camera/image_raw/compressed", "/camera/camera_info")
    assert (info.header, info.width, info.height) == (picture.header, 160, 90)
    decoder = perception_node.PictureDecoder()
    decoder.on_camera_info(info)
    assert decoder.compressed(picture).focal_px == pytest.approx(80.0 * 3**0.5), "what perception makes of it"
    until(lambda: node.report() or "rate" in node.health, "the warning")
    assert "the room is dark" in node.health.summary("").sentence


# The page


def test_the_page_tells_what_is_wrong_and_forgets_nodes_that_were_ended(monkeypatch, running):
    """Before, the last warning of a node stayed, and so did whatever name was said on the topic."""
    node, statuses, now = running(AvatarNode), [], [0]
    monkeypatch.setattr(node, "steady_ns", lambda: now[0])
    monkeypatch.setattr(node._server, "status", statuses.append)
    faults = {"picture_fault": "blank", "sound_fault": "silent"}
    settings = [f"{name}={value}" for name, value in faults.items()]
    node._on_status(ListenerStatus(stage="perception_node", level=1, message="too dark", settings=settings))
    now[0] += NS
    node._on_status(ListenerStatus(stage="x", rate=1.0, latency_p50=5.0))
    node._tell()
    assert statuses[-1]["last_error"] == "too dark"
    assert faults.items() <= statuses[-1]["stages"]["perception_node"].items()
    now[0] += avatar_node.GONE_NS
    node._tell()
    said = [statuses[-1][name] for name in ("last_error", "stages", "rates_hz", "latency_ms")]
    assert said == ["", {}, {"x": 1.0}, {"x": 5.0}]


def test_a_stop_of_a_robot_that_has_vanished_says_to_cut_the_power(monkeypatch, running):
    """It may still have torque. Before, 30 s later, the page had no stop, and the answer was that there is no robot."""
    node, now = running(AvatarNode), [0]
    monkeypatch.setattr(node, "steady_ns", lambda: now[0])
    node._on_actuator(ActuatorState(robot="head", state="following", armed=True))
    now[0] += 3600 * NS
    node._tell()
    status, answer = ask(node._server.url, "api/robot/stop", {})
    assert (status, "NOT confirmed" in answer["message"], "cut the power" in answer["message"]) == (503, True, True)
    assert ask(node._server.url)[1]["graph"]["actuator"]["silent"] is True


# What cannot be


@pytest.mark.parametrize("error", [ConfigError("no such style"), ValueError("an own mistake")])
def test_what_a_failed_configuration_began_is_ended(context, error):
    """As an engine that is being built for the GPU: configured again, the node would build two."""
    began = []

    class Node(ExpressionNode):
        def setup(self):
            began.append(len(began))
            if len(began) == 1:
                raise error
            super().setup()

        def teardown(self):
            began.append("ended")

    node = Node()
    assert node.trigger_configure().name != "SUCCESS"
    assert set(began[1:]) == {"ended"}
    assert node.life == "unconfigured"
    assert node.trigger_configure().name == "SUCCESS"
    assert began[-1] != "ended"
    node.destroy_node()


LONG = "x" * 300


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (recorder_node.RecorderNode, {"output": "~nobody-here/x"}, "home folder of an unknown user"),
        (recorder_node.RecorderNode, {"output": "/etc/passwd/x"}, "the bag cannot be written"),
        (ActuatorNode, {"robot": LONG}, "there is no such robot"),
        (ActuatorNode, {"robot": "screen", "state_dir": LONG}, "whether the robot was stopped cannot be known"),
        (ExpressionNode, {"styles_file": LONG}, "the file of styles is missing"),
    ],
)
def test_a_path_that_cannot_be_is_one_sentence_and_no_mistake_of_ours(context, kind, given, said):
    node = kind()
    node.values.update(given)
    if node.trigger_configure().name == "SUCCESS":
        assert node.trigger_activate().name == "FAILURE"
    assert said in node.health.summary("").sentence
    assert "failed:" not in node.health.last_error
    node.destroy_node()


def screen(state_dir):
    """The actuator of a robot without joints."""
    node = ActuatorNode()
    node.values.update(robot="screen", state_dir=str(state_dir), lock_dir="")
    return node


def test_a_stop_that_cannot_be_kept_acts_and_says_so(running, tmp_path):
    (tmp_path / "file").write_text("")
    node = running(lambda: screen(tmp_path / "file"))
    answer = node._on_stop(None, SimpleNamespace())
    assert answer.success
    assert "but a software stop cannot be kept" in answer.message
    until(lambda: node._actuation.state.software_stop, "the stop")


def test_the_actuator_says_who_can_reach_its_robot(monkeypatch, running, tmp_path):
    # Nothing leaves this machine here: only the name of the distribution makes its settings look too wide.
    monkeypatch.setenv("ROS_DISTRO", "humble")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.delenv("ROS_LOCALHOST_ONLY", raising=False)
    node, logged = screen(tmp_path), []
    monkeypatch.setattr(node.get_logger(), "warning", lambda sentence, event="": logged.append(sentence))
    running(lambda: node)
    said = wider_than_this_machine(os.environ)
    node.report()
    node.report()
    assert logged.count(said) == 1
    # Another warning is what the user must know first.
    assert "it has no joints" in node.health.summary("").sentence
    node.solved("obstacles")
    assert node.health.summary("") == (Level.WARN, said)


def test_a_condition_that_cannot_run_or_be_read_is_not_named(monkeypatch, context, capfd, tmp_path):
    monkeypatch.setenv(CONDITION_VARIABLE, "no veil")
    with pytest.raises(ConfigError, match="condition cannot be read"):
        BlindReactionNode()
    gc.collect()
    secret = Condition("warm", "p01", "seal", {"policy": "model"})
    monkeypatch.setenv(CONDITION_VARIABLE, veil(secret, bytes(16)))
    node = BlindReactionNode()
    node.values["model_dir"] = str(tmp_path)
    assert node.trigger_configure().name == "FAILURE"
    assert node.life == "unconfigured"
    said = node.health.last_error + "".join(capfd.readouterr())
    assert "cannot run" in said
    assert "study check" in said
    assert not re.search(r"weights|rules|model\b", said)
    node.destroy_node()
