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
from rclpy.exceptions import InvalidHandle

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.msg import ActuatorState, ListenerStatus
from ros_harness import ask

from reactdiff_ros.avatar import AvatarConfig
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


@pytest.fixture
def context(domain):
    rclpy.init(args=[], domain_id=domain)
    yield
    rclpy.shutdown()
    gc.unfreeze()  # what an active node has frozen: ruckig's binding would say at the end that it leaks
    gc.collect()  # a node that could not be made is in the domain all the same


until = partial(deadline.until, timeout_s=30.0)


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


def test_what_another_thread_withdraws_is_heard_by_nobody_and_says_nothing(running):
    """A worker may still hold the publisher of a listener that just left, in the middle of a plan."""
    node = running(ExpressionNode)
    topic = node.spec.publishers[0].name
    publisher = node.advertise(topic, "robot1")
    publisher.on_activate(None)
    message = publisher.msg_type()
    assert not node.is_heard(publisher)
    node.publish(publisher, message)
    node.withdraw(topic, "robot1")
    assert not node.is_heard(publisher)
    node.publish(publisher, message)
    with pytest.raises(InvalidHandle):
        publisher.get_subscription_count()


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


def test_a_rate_far_below_the_nominal_one_is_a_warning(running, monkeypatch):
    node, clock = running(ExpressionNode), SimpleNamespace(ns=1000 * NS)
    monkeypatch.setattr(node, "steady_ns", lambda: clock.ns)
    node.meter = Meter()

    def levels(hz, seconds):
        """Whether it is said, once a second, while outputs come at that rate."""
        found = []
        for _ in range(seconds):
            for _ in range(hz):
                clock.ns += NS // hz
                node.meter.output(clock.ns)
            clock.ns += 0 if hz else NS
            node.report()
            found.append("rate" in node.health)
        return found

    assert not any(levels(1, 10))  # none are due
    monkeypatch.setattr(node, "nominal_hz", lambda: 25.0)
    assert not any(levels(13, 10))
    assert levels(1, 8)[4:] == [True] * 4
    assert node.health.summary("").level is Level.WARN
    assert all(levels(13, 8))  # just over half is not yet well
    assert not levels(25, 5)[-1]
    assert levels(0, 5)[-1]
    monkeypatch.setattr(node, "nominal_hz", lambda: 0.0)
    assert not levels(1, 1)[-1]


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

    def frozen_ns(self, _now_ns):
        return 0

    def close(self):
        self.closed += 1


@pytest.mark.parametrize(("module", "name"), [(camera_node, "Camera"), (microphone_node, "Microphone")])
def test_device_that_hangs_at_the_deactivation_has_one_reader_afterwards(monkeypatch, running, module, name):
    devices = [Hung(), Hung()]
    given = iter(devices)
    monkeypatch.setattr(module, name, lambda *_, **__: next(given))
    monkeypatch.setattr(base, "END_S", 0.05)
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


class Open(Hung):
    """A camera that gives a picture after each wait."""

    def __init__(self, wait_s, **picture):
        super().__init__()
        self.wait_s, self.picture = wait_s, picture

    def reconnect(self, _now_ns):
        self.is_open = True
        return True

    def read(self):
        threading.Event().wait(self.wait_s)
        return CameraFrame(time.time_ns(), **self.picture)


def test_a_camera_that_gives_few_of_its_pictures_is_not_well(monkeypatch, running):
    monkeypatch.setattr(camera_node, "Camera", lambda *_, **__: Open(0.2, jpeg=b"\xff\xd8"))
    node = running(camera_node.CameraNode)

    def said():
        node.report()
        return "rate" in node.health

    until(said, "the warning")
    assert "the room is dark" in node.health.summary("").sentence
    assert node.nominal_hz() == 30.0


@pytest.mark.parametrize("degrees", [0.0, 60.0])
def test_every_picture_of_a_camera_has_its_camera_info(monkeypatch, running, degrees):
    picture = np.zeros((90, 160, 3), np.uint8)
    monkeypatch.setattr(camera_node, "Camera", lambda *_, **__: Open(0.02, bgr=picture))
    node, published = camera_node.CameraNode(), []
    node.values["horizontal_fov_deg"] = degrees
    monkeypatch.setattr(node, "publish", lambda publisher, message: published.append((publisher.topic_name, message)))
    running(lambda: node)
    until(lambda: len(published) > 5, "pictures")
    (name, picture), (of_info, info) = published[:2]
    assert (name, of_info) == ("/camera/image_raw/compressed", "/camera/camera_info")
    assert (info.header, info.width, info.height) == (picture.header, 160, 90)
    decoder = perception_node.PictureDecoder()
    decoder.on_camera_info(info)
    known = decoder.compressed(picture).focal_px
    assert known == (pytest.approx(80.0 * 3**0.5) if degrees else None)  # what perception makes of it


def test_a_node_that_was_ended_is_no_trouble_on_the_page_for_ever(monkeypatch, running):
    """Before, its last warning stayed, and so did whatever name was said on the topic."""
    node, statuses, now = running(AvatarNode), [], [0]
    monkeypatch.setattr(node, "steady_ns", lambda: now[0])
    monkeypatch.setattr(node._server, "status", statuses.append)
    node._on_status(ListenerStatus(stage="recorder_node", level=1, message="the disk is too slow"))
    now[0] += NS
    node._on_status(ListenerStatus(stage="x", rate=1.0, latency_p50=5.0))
    node._tell()
    assert statuses[-1]["last_error"] == "the disk is too slow"
    assert set(statuses[-1]["rates_hz"]) == {"recorder_node", "x"}
    assert set(statuses[-1]["stages"]) == {"recorder_node"}
    now[0] += avatar_node.GONE_NS
    node._tell()
    assert statuses[-1]["last_error"] == ""
    last = statuses[-1]
    assert (last["rates_hz"], last["latency_ms"], last["stages"]) == ({"x": 1.0}, {"x": 5.0}, {})


def test_the_page_gets_what_is_wrong_with_pictures_and_sound_as_values(monkeypatch, running):
    node, statuses = running(AvatarNode), []
    monkeypatch.setattr(node._server, "status", statuses.append)
    for faults in ({"picture_fault": "blank", "sound_fault": ""}, {"picture_fault": "", "sound_fault": "silent"}):
        settings = [f"{name}={value}" for name, value in faults.items()]
        node._on_status(ListenerStatus(stage="perception_node", settings=settings))
        node._on_status(ListenerStatus(stage="camera_node"))
        node._tell()
        stages = statuses[-1]["stages"]
        assert {name: stages["perception_node"][name] for name in faults} == faults
        assert not faults.keys() & stages["camera_node"].keys()


def test_a_stop_of_a_robot_that_has_vanished_says_to_cut_the_power(monkeypatch, running):
    """It may still have torque. Before, 30 s later, the page had no stop, and the answer was that there is no robot."""
    node, now = running(AvatarNode), [0]
    monkeypatch.setattr(node, "steady_ns", lambda: now[0])
    node._tell()
    status, answer = ask(node._server.url, "api/robot/stop", {})
    assert (status, answer["message"]) == (404, "There is no robot with an actuator here.")
    node._on_actuator(ActuatorState(robot="head", state="following", armed=True))
    now[0] += 3600 * NS
    node._tell()
    status, answer = ask(node._server.url, "api/robot/stop", {})
    assert (status, "NOT confirmed" in answer["message"], "cut the power" in answer["message"]) == (503, True, True)
    assert ask(node._server.url)[1]["graph"]["actuator"]["silent"] is True


def test_a_page_compares_the_listener_with_another(running):
    node = running(AvatarNode)
    node._on_status(ListenerStatus(stage="reaction_node", settings=["seed=7"]))
    assert node._listener_seed() == 7
    node._choose("compare", "rules")
    node._tell()
    assert ask(node._server.url)[1]["graph"]["compared"] == "rules"
    node._choose("compare", "nothing")
    assert node._compared.name == ""


def test_parameters_are_the_settings_of_the_same_names_and_lists_are_their_parts(context):
    node = AvatarNode()
    node.values.update(extra_hosts="robot.lab, face.lab,", stale_s=1.5)
    try:
        config = node.configured(AvatarConfig)
    finally:
        node.destroy_node()
    assert (config.extra_hosts, config.stale_s, config.port) == (("robot.lab", "face.lab"), 1.5, 8765)


def test_a_token_that_could_be_guessed_does_not_arm(monkeypatch, context):
    """Before, `REACTDIFF_PAGE_TOKEN=1` did."""
    monkeypatch.setenv("REACTDIFF_PAGE_TOKEN", "1")
    node = AvatarNode()
    assert node.trigger_configure().name == "FAILURE"
    assert "(REACTDIFF_PAGE_TOKEN): give 16 to 128 letters" in node.health.last_error
    node.destroy_node()


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
        (recorder_node.RecorderNode, {"output": LONG}, "nothing can be recorded there"),
        (recorder_node.RecorderNode, {"output": "/etc/passwd/x"}, "the bag cannot be written"),
        (ActuatorNode, {"robot": LONG}, "there is no such robot"),
        (ActuatorNode, {"robot": "screen", "state_dir": LONG}, "whether the robot was stopped cannot be known"),
        (ActuatorNode, {"robot": "screen", "lock_dir": "~nobody-here"}, "home folder of an unknown user"),
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


@pytest.mark.parametrize("veiled", [False, True])
def test_a_condition_that_cannot_run_or_be_read_is_not_named(monkeypatch, context, capfd, tmp_path, veiled):
    secret = Condition("warm", "p01", "seal", {"policy": "model"})
    monkeypatch.setenv(CONDITION_VARIABLE, veil(secret, bytes(16)) if veiled else "no veil")
    if not veiled:
        with pytest.raises(ConfigError, match="condition cannot be read"):
            BlindReactionNode()
        return
    node = BlindReactionNode()
    node.values["model_dir"] = str(tmp_path)
    assert node.trigger_configure().name == "FAILURE"
    assert node.life == "unconfigured"
    said = node.health.last_error + "".join(capfd.readouterr())
    assert "cannot run" in said
    assert "study check" in said
    assert not re.search(r"weights|rules|model\b", said)
    node.destroy_node()
