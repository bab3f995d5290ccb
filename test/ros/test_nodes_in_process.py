"""Nodes in the test's own process: threads end, what was there is taken back or forgotten, what cannot be is said."""

import array
import gc
import os
import re
import sys
import threading
import time
from functools import partial
from types import ModuleType, SimpleNamespace

import deadline
import numpy as np
import pytest
import rclpy

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from rclpy.action import get_action_server_names_and_types_by_node
from reactdiff_ros.action import Say
from reactdiff_ros.msg import ActuatorState, ListenerStatus
from ros_harness import ask
from sensor_msgs.msg import CameraInfo, Image

from reactdiff_ros.capture.camera import CameraFrame
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.launching.condition import CONDITION_VARIABLE, Condition, veil
from reactdiff_ros.launching.process import wider_than_this_machine
from reactdiff_ros.nodes import avatar_node, base, camera_node, clip_node, perception_node
from reactdiff_ros.nodes.actuator_node import ActuatorNode
from reactdiff_ros.nodes.avatar_node import AvatarNode
from reactdiff_ros.nodes.expression_node import ExpressionNode
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.perception_node import Humans, PictureDecoder
from reactdiff_ros.nodes.reaction_node import BlindReactionNode
from reactdiff_ros.nodes.speech_node import SpeechNode
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import Affect, People, PersonSeen, SpeakerFrame

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


def test_a_clip_begins_again_when_simulated_time_jumps_back(running, monkeypatch):
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


class Hangs:
    """A device whose driver hangs until it is set, as V4L2's may for ten seconds."""

    def __init__(self):
        self.opens, self.reader, self.closed = threading.Event(), 0, threading.Event()

    def reconnect(self, _now_ns):
        self.reader = threading.get_ident()
        return self.opens.wait(60.0)

    def close(self):
        self.closed.set()


def test_device_that_hangs_at_the_deactivation_has_one_reader_afterwards(monkeypatch, running):
    first, second = devices = Hangs(), Hangs()
    given = iter(devices)

    class Node(base.ReactdiffNode):
        NAME = "camera_node"

        def start(self):
            self.read("device", next(given), lambda stopping: stopping.wait())

    monkeypatch.setattr(base, "END_S", 0.05)
    node = running(Node)
    until(lambda: first.reader, "the first reader")
    assert node.trigger_deactivate().name == "SUCCESS"
    assert node.trigger_activate().name == "SUCCESS"
    second.opens.set()
    first.opens.set()
    until(first.closed.is_set, "the end of the first reader")
    until(lambda: second.reader, "the second reader")
    assert first.reader != second.reader
    assert not second.closed.is_set()


@pytest.mark.parametrize("error", [ConfigError("no such style"), ValueError("an own mistake")])
def test_what_a_failed_configuration_began_is_ended(context, error):
    """As an engine that is being built for the GPU: configured again, the node would build two."""
    began = []

    class Node(ExpressionNode):
        def setup(self):
            began.append("began")
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
    assert began[-1] == "began"
    node.destroy_node()


def test_pictures_of_a_camera_have_their_camera_info_and_too_few_of_them_are_said(monkeypatch, running):
    camera = SimpleNamespace(
        is_open=True, paced=True, size=(160, 90), rate_hz=30.0, reconnect=lambda _: True, frozen_ns=lambda _: 0,
        read=lambda: time.sleep(0.2) or CameraFrame(time.time_ns(), bgr=np.zeros((90, 160, 3), np.uint8)),
        close=lambda: None,
    )  # fmt: skip
    monkeypatch.setattr(camera_node, "Camera", lambda *_, **__: camera)
    node, published = camera_node.CameraNode(), []
    node.values["horizontal_fov_deg"] = 60.0
    monkeypatch.setattr(node, "publish", lambda publisher, message: published.append((publisher.topic_name, message)))
    running(lambda: node)
    until(lambda: node.report() or "rate" in node.health, "the warning")
    assert "the room is dark" in node.health.summary("").sentence
    (name, picture), (of_info, info) = published[:2]
    assert (name, of_info) == ("/camera/image_raw/compressed", "/camera/camera_info")
    assert (info.header, info.width, info.height) == (picture.header, 160, 90)
    decoder = PictureDecoder()
    decoder.on_camera_info(info)
    assert decoder.compressed(picture).focal_px == pytest.approx(80.0 * 3**0.5), "what perception makes of it"


def test_speech_actions_of_other_packages_are_served_where_these_are_installed(monkeypatch, running):
    for package, name in (("tts_msgs", "TTS"), ("communication_skills", "Say")):
        monkeypatch.setitem(sys.modules, f"{package}.action", SimpleNamespace(**{name: Say}))
    node = SpeechNode()
    node.values.update(device="none", engine="espeak-ng")
    running(lambda: node)
    served = get_action_server_names_and_types_by_node(node, node.get_name(), node.get_namespace())
    assert {name for name, _ in served} == {"/say", "/tts_engine/tts", "/skill/say"}


def test_the_page_forgets_nodes_that_were_ended_but_not_a_robot_that_may_still_have_torque(monkeypatch, running):
    """Before, the last warning of a node stayed, and a robot that had vanished for 30 s could not be stopped."""
    node, now = running(AvatarNode), [0]
    monkeypatch.setattr(node, "steady_ns", lambda: now[0])
    page = lambda: node._tell() or ask(node._server.url)[1]["graph"]  # noqa: E731
    node._on_status(ListenerStatus(stage="perception_node", level=1, message="too dark"))
    node._on_actuator(ActuatorState(robot="head", state="following", armed=True))
    now[0] += NS
    node._on_status(ListenerStatus(stage="x", rate=1.0, latency_p50=5.0))
    assert page()["last_error"] == "too dark"
    assert "perception_node" in page()["stages"]
    now[0] += avatar_node.GONE_NS
    said = page()
    found = [said[name] for name in ("last_error", "stages", "rates_hz", "latency_ms")]
    assert found == ["", {}, {"x": 1.0}, {"x": 5.0}]
    assert said["actuator"]["silent"] is True
    status, answer = ask(node._server.url, "api/robot/stop", {})
    assert (status, "cut the power" in answer["message"]) == (503, True)


# What cannot be


def screen(state_dir):
    """The actuator of a robot without joints."""
    node = ActuatorNode()
    node.values.update(robot="screen", state_dir=str(state_dir), lock_dir="")
    return node


def test_a_stop_that_cannot_be_kept_acts_and_says_so_and_what_cannot_be_read_prevents_activation(running, tmp_path):
    (tmp_path / "file").write_text("")
    node = running(lambda: screen(tmp_path / "file"))
    answer = node._on_stop(None, SimpleNamespace())
    assert answer.success
    assert "but a software stop cannot be kept" in answer.message
    until(lambda: node._actuation.state.software_stop, "the stop")

    unknown = screen("x" * 300)
    assert unknown.trigger_configure().name == "SUCCESS"
    assert unknown.trigger_activate().name == "FAILURE"
    assert "whether the robot was stopped cannot be known" in unknown.health.summary("").sentence
    unknown.destroy_node()


def test_the_actuator_says_who_can_reach_its_robot(monkeypatch, running, tmp_path):
    # Nothing leaves this machine here: only the name of the distribution makes its settings look too wide.
    monkeypatch.setenv("ROS_DISTRO", "humble")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.delenv("ROS_LOCALHOST_ONLY", raising=False)
    node = running(lambda: screen(tmp_path))
    node.report()
    assert "it has no joints" in node.health.summary("").sentence, "another warning is what the user must know first"
    node.solved("obstacles")
    assert node.health.summary("") == (Level.WARN, wider_than_this_machine(os.environ))


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


# Parts of perception_node: packages that are not on every machine (stand-ins)


def frame(person: int) -> SpeakerFrame:
    values, confidence = np.zeros(58, np.float32), np.ones(58, np.float32)
    values[INDEX["mouthSmileLeft"]], values[INDEX["mouthSmileRight"]] = 0.4, 0.8
    confidence[INDEX["mouthSmileRight"]] = 0.25
    affect = Affect("fear", np.full(8, 0.4, np.float32), -0.5, 0.5)
    return SpeakerFrame(9, 9, None, person, person >= 0, person >= 0, values, confidence, 1.0, None, None, affect, None)


def test_people_are_published_as_rep_155_has_it_where_hri_msgs_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "hri_msgs.msg", None)
    with pytest.raises(ImportError):
        Humans(lambda *_: None, lambda _: None, "a", 0.5)
    module = ModuleType("hri_msgs.msg")
    for name in ("EngagementLevel", "Expression", "FacialActionUnits", "IdsList", "NormalizedRegionOfInterest2D"):
        setattr(module, name, type(name, (SimpleNamespace,), {"DISENGAGED": 1, "ENGAGED": 3}))
    monkeypatch.setitem(sys.modules, "hri_msgs", ModuleType("hri_msgs"))
    monkeypatch.setitem(sys.modules, "hri_msgs.msg", module)
    sent, lasting, retired = [], set(), []

    def publisher(_, topic, lasts):
        lasting.update({topic} if lasts else ())
        return SimpleNamespace(topic=topic, publish=lambda message: sent.append((topic, message)))

    humans = Humans(publisher, lambda p: retired.append(p.topic), "abcde", 0.5)
    face, person, voice = "/humans/faces/abcde", "/humans/persons/abcdep", "/humans/voices/abcdev"
    tracked = [f"/humans/{kind}/tracked" for kind in ("faces", "persons", "voices")]
    regions = {3: (0.1, 0.2, 0.4, 0.6), 5: (0.5, 0.2, 0.7, 0.6)}
    people = People(9, (PersonSeen(3, None, 0.9, 0.9, 0.0), PersonSeen(5, None, 0.1, 0.2, 0.9)), 3, 0.1)
    humans.publish(frame(3), (3, 5, 7), regions, people)
    messages = dict(sent)
    ids = [["abcde3", "abcde5", "abcde7"], ["abcdep3", "abcdep5"], ["abcdev3", "abcdev5"]]
    assert [messages[topic].ids for topic in tracked] == ids
    expression, units = messages[f"{face}3/expression"], messages[f"{face}3/facs"]
    assert (expression.expression, expression.confidence) == ("scared", pytest.approx(0.4))
    assert units.intensity.shape == units.confidence.shape == (99,)
    assert (units.intensity[12], units.confidence[12]) == (pytest.approx(0.6), pytest.approx(0.25))
    roi = messages[f"{face}5/roi"]  # libhri wants one of every face
    assert (roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c) == (*regions[5], 0.5)
    assert f"{face}7/roi" not in messages  # it is not in this picture
    assert (messages[f"{person}3/face_id"].data, messages[f"{person}5/voice_id"].data) == ("abcde3", "abcdev5")
    assert [messages[f"{person}{i}/engagement_status"].level for i in (3, 5)] == [3, 1]
    assert [messages[f"{voice}{i}/is_speaking"].data for i in (3, 5)] == [True, False]
    assert {f"{person}3/face_id", f"{voice}3/is_speaking"} <= lasting

    humans.publish(frame(-1), (), {})
    assert {f"{face}3/facs", f"{face}5/roi", f"{person}3/face_id", f"{voice}5/is_speaking"} <= set(retired)
    humans.close()
    assert set(tracked) <= set(retired)


def image(encoding: str) -> Image:
    return Image(encoding=encoding, height=2, width=3, step=9, data=array.array("B", range(18)))


@pytest.mark.parametrize("installed", [False, True])
def test_cv_bridge_decodes_where_it_is_installed_and_our_decoder_what_it_refuses(monkeypatch, installed):
    class CvBridge:
        def imgmsg_to_cv2(self, message, desired_encoding):
            if message.encoding == "8UC3":
                raise RuntimeError("[8UC3] is not a color format")
            return np.frombuffer(message.data, np.uint8).reshape(2, 3, 3)

    monkeypatch.setattr(perception_node, "CvBridge", CvBridge if installed else None)
    decoder = PictureDecoder()
    assert decoder.raw(image("bgr8")).bgr.ravel().tolist() == list(range(18))
    assert decoder.raw(image("8UC3")).bgr.shape == (2, 3, 3)
    assert decoder.backend == ("cv_bridge" if installed else "opencv")
    assert decoder.raw(image("bgr8")).focal_px is None, "of an uncalibrated camera"
    decoder.on_camera_info(CameraInfo(width=6, k=[12.0, *[0.0] * 8]))
    assert decoder.raw(image("bgr8")).focal_px == pytest.approx(6.0), "it follows the picture"
    for bad in (-5.0, float("nan"), float("inf")):
        with pytest.raises(MessageError):
            decoder.on_camera_info(CameraInfo(width=6, k=[bad, *[0.0] * 8]))
