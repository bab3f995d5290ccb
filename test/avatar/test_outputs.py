"""Outputs to other avatars: settings, what is sent when, and what leaves over VMC, Live Link Face and ARKit."""

import re
import socket
import struct
from functools import partial
from unittest.mock import Mock

import aiohttp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_packet import OscPacket
from scipy.spatial.transform import Rotation
from stage import until

from reactdiff_ros.avatar.config import DEFAULTS, OutputsConfig, Target, parse_targets
from reactdiff_ros.avatar.formats import LiveLinkEncoder, VmcEncoder, eye_angles, head_quaternion
from reactdiff_ros.avatar.outputs import ArkitServer, Feed, UdpOutput
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, INDEX
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.types import ExpressionFrame

MS = 1_000_000
STEP_NS = 20 * MS
START_NS = 1_790_000_000_000_000_000
# In Unreal's order, written down once more from the documentation of EARFaceBlendShape.
_UNREAL = """
EyeBlinkLeft EyeLookDownLeft EyeLookInLeft EyeLookOutLeft EyeLookUpLeft EyeSquintLeft EyeWideLeft
EyeBlinkRight EyeLookDownRight EyeLookInRight EyeLookOutRight EyeLookUpRight EyeSquintRight EyeWideRight
JawForward JawLeft JawRight JawOpen MouthClose MouthFunnel MouthPucker MouthLeft MouthRight MouthSmileLeft
MouthSmileRight MouthFrownLeft MouthFrownRight MouthDimpleLeft MouthDimpleRight MouthStretchLeft MouthStretchRight
MouthRollLower MouthRollUpper MouthShrugLower MouthShrugUpper MouthPressLeft MouthPressRight MouthLowerDownLeft
MouthLowerDownRight MouthUpperUpLeft MouthUpperUpRight BrowDownLeft BrowDownRight BrowInnerUp BrowOuterUpLeft
BrowOuterUpRight CheekPuff CheekSquintLeft CheekSquintRight NoseSneerLeft NoseSneerRight TongueOut
HeadYaw HeadPitch HeadRoll LeftEyeYaw LeftEyePitch LeftEyeRoll RightEyeYaw RightEyePitch RightEyeRoll
"""
UNREAL = _UNREAL.split()


def frame(values: np.ndarray | float = 0.0, number: int = 0) -> ExpressionFrame:
    """A frame with these 58 coefficients, `number` steps of 20 ms after the first."""
    stamp_ns, coefficients = START_NS + number * STEP_NS, np.full(58, values, np.float32)
    return ExpressionFrame(stamp_ns, coefficients, "listening", ("reaction",), None, None, None, None)


def faces(count: int) -> np.ndarray:
    """Random faces (count, 58) inside the bounds."""
    values = np.random.default_rng(7).random((count, 58))
    values[:, 52:55] = values[:, 52:55] * 1.2 - 0.6
    values[:, 55:] = values[:, 55:] * 0.3 - 0.15
    return values.astype(np.float32)


# ---- what a user may write


@pytest.mark.parametrize(("text", "target"), [
    # everything stays on this machine unless another is named
    ("vmc", Target("vmc", "127.0.0.1", 39539)), ("live_link", Target("live_link", "127.0.0.1", 11111)),
    ("arkit", Target("arkit", "127.0.0.1", 8770)), ("topic", Target("topic", "", 0)),
    ("arkit@pc.local:12345", Target("arkit", "pc.local", 12345)), ("vmc@[::1]", Target("vmc", "::1", 39539)),
])  # fmt: skip
def test_targets_are_a_list_of_kinds_hosts_and_ports(text, target):
    assert parse_targets(text) == parse_targets(str(target)) == (target,)
    assert parse_targets(f"{text}, vmc@192.168.1.20") == (target, Target("vmc", "192.168.1.20", 39539))
    assert parse_targets("none") == ()


@pytest.mark.parametrize(
    "text",
    ["vcm", "vmc@", "vmc@host:0", "vmc@host:65536", "vmc@host:port", "vmc@::1", "vmc@a b", "topic@host",
     "vmc,,live_link", "vmc,vmc", "vmc@[host]", "vmc:39539", "vmc@studio..local", "vmc@" + "x" * 64],
)  # fmt: skip
def test_what_is_no_output_is_said_in_one_sentence(text):
    with pytest.raises(ConfigError, match=r"^[^\n]*outputs[^\n]*$"):
        parse_targets(text)


@given(st.text(max_size=40))
def test_any_text_is_targets_or_one_error(text):
    try:
        targets = parse_targets(text)
    except ConfigError:
        return
    assert all(t.kind in DEFAULTS and 0 <= t.port <= 65535 for t in targets)


@pytest.mark.parametrize(
    "wrong",
    [{"vmc_names": "other"}, {"subject": ""}, {"subject": "x" * 65}, {"subject": "a\nb"}, {"origins": ("avatar.org",)}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} .*settings of the outputs"):
        OutputsConfig(**wrong)


# ---- which face is sent when


def test_the_face_fades_to_neutral_and_stays_there():
    feed, face = Feed(0.2, 0.3), faces(1)[0]
    first = feed.substitute(5, 17)
    assert first is not None, "neutral before the first frame"
    assert (first.mode, first.stamp_ns, bool(first.coefficients.any())) == ("neutral", 17, False)
    feed.take(frame(face), 0)
    assert [feed.substitute(age * MS, START_NS) for age in range(20, 201, 20)] == [None] * 10
    sent = [feed.substitute(age * MS, START_NS + age * MS) for age in range(201, 601, 20)]
    assert {each.mode for each in sent} == {"neutral"}
    assert [each.stamp_ns for each in sent] == [START_NS + age * MS for age in range(201, 601, 20)]
    weights = [float(np.linalg.norm(each.coefficients) / np.linalg.norm(face)) for each in sent]
    assert weights == sorted(weights, reverse=True)
    assert [weights[0], weights[7]] == pytest.approx([1.0, 1 - 141 / 300], abs=0.01)
    assert weights[-5:] == [0.0] * 5
    assert feed.take(frame(number=250), 5000 * MS)
    assert feed.substitute(9000 * MS, START_NS) is None, "the process stood still: frames wait to be taken"
    assert not feed.take(frame(number=249), 9001 * MS), "late"


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**18)), max_size=20), st.floats(0.0, 1.0))
def test_substitutes_are_finite_and_never_older_than_the_last_frame(times, fade_s):
    feed = Feed(0.1, fade_s)
    feed.take(frame(np.nan), 0)
    for sent in filter(None, (feed.substitute(now, stamp) for now, stamp in times)):
        assert np.isfinite(sent.coefficients).all()
        assert sent.stamp_ns >= START_NS


# ---- datagrams


@pytest.fixture
def receiver():
    """A UDP socket on a free port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(60.0)
        yield opened


def udp(host="127.0.0.1", port=40001, encode=None):
    return UdpOutput(Target("live_link", host, port), encode or LiveLinkEncoder().encode)


def received(receiver, values, encode):
    """The datagrams of these faces."""
    sender, packets = udp(port=receiver.getsockname()[1], encode=encode), []
    for number, face in enumerate(values):
        sender.send(frame(face, number), number)
        packets.append(receiver.recv(65536))
    sender.close()
    assert (sender.sent, sender.dropped, sender.problem) == (len(values), 0, "")
    return packets


def vmc(receiver, values, **how):
    """The bundles of these faces as a marionette hears them: addresses with their arguments."""
    packets = received(receiver, values, VmcEncoder(**how).encode)
    return [[(m.message.address, tuple(m.message.params)) for m in OscPacket(packet).messages] for packet in packets]


def only(bundle, address):
    return [arguments for found, arguments in bundle if found == address]


def test_vmc_frames_arrive_whole_and_in_order_with_the_head_in_unitys_axes(receiver):
    """A face looks along +z there, its own right is +x, up is +y: nod, turn to its left, tilt to its right."""
    values = faces(25)
    values[:4, 52:55] = np.eye(4, 3, -1) * 0.2
    half, rest = np.sin(0.1), np.cos(0.1)
    heads = [(0, 0, 0, 1), (half, 0, 0, rest), (0, -half, 0, rest), (0, 0, -half, rest)]
    bundles, near = vmc(receiver, values), partial(pytest.approx, abs=1e-6)
    for bundle, face in zip(bundles, values, strict=True):
        assert bundle[-1] == ("/VMC/Ext/Blend/Apply", ())
        shapes = dict(only(bundle, "/VMC/Ext/Blend/Val"))
        assert tuple(shapes) == BLENDSHAPE_NAMES
        np.testing.assert_array_equal(np.float32(list(shapes.values())), face[:52])
        assert only(bundle, "/VMC/Ext/OK") == [(1,)]
    for bundle, quaternion in zip(bundles, heads, strict=False):
        assert only(bundle, "/VMC/Ext/Bone/Pos") == [("Head", 0.0, 0.0, 0.0, *map(near, quaternion))]
    times = np.array([only(bundle, "/VMC/Ext/T")[0][0] for bundle in bundles])
    np.testing.assert_allclose(times, np.arange(25) * 0.02, atol=1e-6)
    (upper,) = vmc(receiver, values[:1], names="perfect_sync")
    assert [n for n, _ in only(upper, "/VMC/Ext/Blend/Val")] == [n[0].upper() + n[1:] for n in BLENDSHAPE_NAMES]


def read_live_link(data):
    """Version, device, subject, frame, sub-frame, rate and values by name, as Unreal reads a whole packet."""
    assert 264 <= len(data) <= 774  # what Unreal takes
    (length,) = struct.unpack_from(">i", data, 1)
    device, rest = data[5 : 5 + length].decode(), data[5 + length :]
    (length,) = struct.unpack_from(">i", rest)
    subject, rest = rest[4 : 4 + length].decode(), rest[4 + length :]
    number, subframe, numerator, denominator, count = struct.unpack_from(">ifiiB", rest)
    values = dict(zip(UNREAL, struct.unpack(f">{count}f", rest[17:]), strict=True))
    return data[0], device, subject, number, subframe, (numerator, denominator), values


def test_live_link_frames_arrive_whole_and_in_order(receiver):
    values = faces(25)
    packets = [read_live_link(packet) for packet in received(receiver, values, LiveLinkEncoder().encode)]
    for (version, device, subject, number, subframe, rate, shapes), face in zip(packets, values, strict=True):
        assert (version, device, subject, rate) == (6, packets[0][1], "reactdiff", (50, 1))
        assert len(device) == 36
        assert 0 <= number < 86_400 * 50
        assert 0.0 <= subframe < 1.0
        assert [shapes[name] for name in UNREAL[:52]] == [face[INDEX[n[0].lower() + n[1:]]] for n in UNREAL[:52]]
        assert [shapes[f"Head{axis}"] for axis in ("Pitch", "Yaw", "Roll")] == pytest.approx(face[52:55])
    times = np.array([number + subframe for _, _, _, number, subframe, _, _ in packets])
    np.testing.assert_allclose(np.diff(times), 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [("eyeLookOutLeft", (-0.61, 0.0), (0.0, 0.0)), ("eyeLookInLeft", (0.61, 0.0), (0.0, 0.0)),
     ("eyeLookOutRight", (0.0, 0.0), (0.61, 0.0)), ("eyeLookDownLeft", (0.0, 0.61), (0.0, 0.0)),
     ("eyeLookUpRight", (0.0, 0.0), (0.0, -0.61))],
)  # fmt: skip
def test_eyes_turn_right_and_down_positive(name, left, right):
    values = np.zeros(58, np.float32)
    values[INDEX[name]] = 1.0
    assert eye_angles(values) == (left, right)
    got = read_live_link(LiveLinkEncoder().encode(frame(values)))[-1]
    assert [got["LeftEyeYaw"], got["LeftEyePitch"], got["LeftEyeRoll"]] == pytest.approx([*left, 0.0])
    assert [got["RightEyeYaw"], got["RightEyePitch"], got["RightEyeRoll"]] == pytest.approx([*right, 0.0])


ANGLE = st.floats(-0.6, 0.6)


@given(ANGLE, ANGLE, ANGLE)
def test_the_quaternion_is_yaw_times_pitch_times_roll(pitch, yaw, roll):
    q = head_quaternion(np.array([0.0] * 52 + [pitch, yaw, roll, 0.0, 0.0, 0.0]))
    assert np.linalg.norm(q) == pytest.approx(1.0)
    expected = Rotation.from_euler("YXZ", [yaw, pitch, roll])
    np.testing.assert_allclose(Rotation.from_quat(q).as_matrix(), expected.as_matrix(), atol=1e-9)


def test_a_network_that_goes_is_opened_again_and_a_receiver_that_goes_and_comes_back_is_told(receiver):
    port = receiver.getsockname()[1]
    sender = udp(port=port)
    sender.send(frame(), 0)
    sender._socket.close()  # sending on it fails from now on, as where the network is gone
    sender.send(frame(), NS)
    assert "Bad file descriptor" in sender.problem
    sender.send(frame(), 2 * NS)
    assert sender.sent == 1
    for tick in range(3):
        sender.send(frame(), 4 * NS + tick)
    assert (sender.sent, sender.problem) == (4, "")
    receiver.close()
    for tick in range(4):
        sender.send(frame(), 5 * NS + tick)
    assert "no receiver is listening" in sender.problem
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.bind(("127.0.0.1", port))
        late.settimeout(60.0)
        for tick in range(4):
            sender.send(frame(), 6 * NS + tick)
        assert sender.problem == ""
        assert late.recv(2048)
    sender.close()


def test_an_unknown_host_is_said_and_tried_again_every_two_seconds(monkeypatch):
    answers = [socket.gaierror(-2, "Name or service not known")] * 2
    answers.append([(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 40001))])
    resolver = Mock(side_effect=answers)
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    sender = udp("studio.invalid")
    for tick in range(150):  # three seconds
        sender.send(frame(number=tick), tick * NS // 50)
    assert (resolver.call_count, sender.dropped) == (2, 150)
    assert re.search("host is not known.*studio.invalid", sender.problem)
    sender.send(frame(), 4 * NS)
    assert (resolver.call_count, sender.sent) == (3, 1)
    sender.close()


@pytest.mark.parametrize("host", ["255.255.255.255", "239.0.0.1", "0.0.0.0"])
def test_a_face_is_not_sent_to_everybody(host):
    sender = udp(host)
    sender.send(frame(), 0)
    assert (sender.sent, "many machines" in sender.problem) == (0, True)


# ---- ARKit's websocket


@pytest.fixture
async def server(started):
    return await started(ArkitServer(Target("arkit", "127.0.0.1", 0), ("https://avatar.example.org",)))


async def test_arkit_frames_arrive_whole_and_in_order(server, session):
    values, got = faces(25), []
    async with session.ws_connect(server.url) as client:
        await until(lambda: server.clients == 1)
        for number, face in enumerate(values):
            server.show(frame(face, number))
            got.append(await client.receive_json(timeout=60.0))
    np.testing.assert_allclose(np.diff([g["stamp"] for g in got]), STEP_NS / 1e9, atol=1e-5)
    assert [g["frame"] for g in got] == list(range(1, 26))
    for g, face in zip(got, values, strict=True):
        assert (g["type"], g["mode"]) == ("arkit", "listening")
        assert tuple(g["blendshapes"]) == BLENDSHAPE_NAMES
        head = [*(g["head"][k] for k in ("pitch", "yaw", "roll")), *g["head"]["position"]]
        np.testing.assert_allclose([*g["blendshapes"].values(), *head], face, atol=1e-5)
        np.testing.assert_allclose(g["head"]["quaternion"], head_quaternion(face), atol=1e-5)


async def test_pages_of_other_sites_are_refused(server, session):
    for origin in ("http://localhost:3000", "http://127.0.0.1", "https://avatar.example.org"):
        async with session.ws_connect(server.url, headers={"Origin": origin}):
            await until(lambda: server.clients == 1)
        await until(lambda: server.clients == 0)
    for origin in ("https://evil.example.com", "null", "http://localhost.evil.com", "http://["):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(server.url, headers={"Origin": origin})
        assert caught.value.status == 403
