"""What leaves over VMC and Live Link Face, read by code of others, and the rotations in their axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outputs_kit import UNREAL, faces, frame, read_live_link, receiver
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer
from scipy.spatial.transform import Rotation

from reactdiff_ros.avatar.config import Target
from reactdiff_ros.avatar.formats import LiveLinkEncoder, VmcEncoder, eye_angles, head_quaternion
from reactdiff_ros.avatar.outputs import UdpOutput
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, INDEX


class Receiver:
    """A marionette: keeps the messages, and the faces that /Blend/Apply ends."""

    def __init__(self):
        self.log, self.applied, self._open = [], [], {}
        dispatcher = Dispatcher()
        dispatcher.set_default_handler(self._on)
        self.server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
        self.server.timeout = 60.0
        self.port = self.server.server_address[1]

    def _on(self, address, *arguments):
        self.log.append((address, arguments))
        if address == "/VMC/Ext/Blend/Val":
            name, value = arguments
            self._open[name] = value
        elif address == "/VMC/Ext/Blend/Apply":
            self.applied.append(self._open)
            self._open = {}

    def of(self, address):
        return [arguments for a, arguments in self.log if a == address]


@pytest.fixture
def marionette():
    made = Receiver()
    yield made
    made.server.server_close()


def play_vmc(marionette, values, **how):
    output = UdpOutput(Target("vmc", "127.0.0.1", marionette.port), VmcEncoder(**how).encode)
    for number, face in enumerate(values):
        output.send(frame(face, number), number)
        marionette.server.handle_request()
    output.close()
    assert (output.sent, output.dropped, output.problem) == (len(values), 0, "")


def test_vmc_frames_arrive_whole_and_in_order(marionette):
    values = faces(25)
    play_vmc(marionette, values)
    assert len(marionette.applied) == 25
    for applied, face in zip(marionette.applied, values, strict=True):
        assert tuple(applied) == BLENDSHAPE_NAMES
        np.testing.assert_array_equal(np.float32(list(applied.values())), face[:52])
    times = np.array([t for (t,) in marionette.of("/VMC/Ext/T")])
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)
    assert times[0] == 0.0
    assert marionette.of("/VMC/Ext/OK") == [(1,)] * 25


def test_head_bone_in_unitys_axes(marionette):
    """A face looks along +z there, its own right is +x, up is +y: nod, turn to its left, tilt to its right."""
    values = np.zeros((4, 58), np.float32)
    values[1, 52], values[2, 53], values[3, 54] = 0.2, 0.2, 0.2
    play_vmc(marionette, values)
    half, rest = np.sin(0.1), np.cos(0.1)
    expected = [(0, 0, 0, 1), (half, 0, 0, rest), (0, -half, 0, rest), (0, 0, -half, rest)]
    for (name, *numbers), quaternion in zip(marionette.of("/VMC/Ext/Bone/Pos"), expected, strict=True):
        assert name == "Head"
        assert numbers[:3] == [0.0, 0.0, 0.0]
        np.testing.assert_allclose(numbers[3:], quaternion, atol=1e-6)


def test_vmc_wild_coefficients_leave_finite_and_in_range(marionette):
    wild = np.full((1, 58), np.nan, np.float32)
    wild[0, ::3], wild[0, 1::3] = np.inf, 1e9
    play_vmc(marionette, wild)
    numbers = [v for _, v in marionette.of("/VMC/Ext/Blend/Val")]
    assert all(0.0 <= v <= 1.0 for v in numbers)
    (_, *bone) = marionette.of("/VMC/Ext/Bone/Pos")[0]
    assert np.isfinite(bone).all()
    assert np.linalg.norm(bone[3:]) == pytest.approx(1.0, abs=1e-6)


def test_names_of_perfect_sync(marionette):
    play_vmc(marionette, faces(1), names="perfect_sync")
    assert tuple(marionette.applied[0]) == tuple(n[0].upper() + n[1:] for n in BLENDSHAPE_NAMES)


@pytest.fixture
def play_live_link():
    opened = receiver()

    def send(values, subject="reactdiff"):
        output = UdpOutput(Target("live_link", "127.0.0.1", opened.getsockname()[1]), LiveLinkEncoder(subject).encode)
        packets = []
        for number, face in enumerate(values):
            output.send(frame(face, number), number)
            packets.append(read_live_link(opened.recv(2048)))
        output.close()
        assert (output.sent, output.dropped, output.problem) == (len(values), 0, "")
        return packets

    yield send
    opened.close()


def test_live_link_frames_arrive_whole_and_in_order(play_live_link):
    values = faces(25)
    packets = play_live_link(values)
    assert {(p.version, p.subject, p.rate) for p in packets} == {(6, "reactdiff", (50, 1))}
    assert len({p.device for p in packets}) == 1
    assert len(packets[0].device) == 36
    times = np.array([p.frame + p.subframe for p in packets])
    np.testing.assert_allclose(np.diff(times), 1.0, atol=1e-4)
    assert 0 <= packets[0].frame < 86_400 * 50
    assert all(0.0 <= p.subframe < 1.0 for p in packets)
    for packet, face in zip(packets, values, strict=True):
        for name in UNREAL[:52]:
            assert packet.values[name] == face[INDEX[name[0].lower() + name[1:]]]


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [("eyeLookOutLeft", (-0.61, 0.0), (0.0, 0.0)), ("eyeLookInLeft", (0.61, 0.0), (0.0, 0.0)),
     ("eyeLookOutRight", (0.0, 0.0), (0.61, 0.0)), ("eyeLookDownLeft", (0.0, 0.61), (0.0, 0.0)),
     ("eyeLookUpRight", (0.0, 0.0), (0.0, -0.61))],
)  # fmt: skip
def test_head_and_eyes_turn_right_and_down_positive(play_live_link, name, left, right):
    values = np.zeros((1, 58), np.float32)
    values[0, 52:55] = 0.1, 0.2, -0.3
    values[0, INDEX[name]] = 1.0
    assert eye_angles(values[0]) == (left, right)
    got = play_live_link(values)[0].values
    assert [got["HeadPitch"], got["HeadYaw"], got["HeadRoll"]] == pytest.approx([0.1, 0.2, -0.3])
    assert [got["LeftEyeYaw"], got["LeftEyePitch"], got["LeftEyeRoll"]] == pytest.approx([*left, 0.0])
    assert [got["RightEyeYaw"], got["RightEyePitch"], got["RightEyeRoll"]] == pytest.approx([*right, 0.0])


ANGLE = st.floats(-0.6, 0.6)


@given(ANGLE, ANGLE, ANGLE)
def test_quaternion_is_yaw_times_pitch_times_roll(pitch, yaw, roll):
    q = head_quaternion(np.array([0.0] * 52 + [pitch, yaw, roll, 0.0, 0.0, 0.0]))
    assert np.linalg.norm(q) == pytest.approx(1.0)
    expected = Rotation.from_euler("YXZ", [yaw, pitch, roll])
    np.testing.assert_allclose(Rotation.from_quat(q).as_matrix(), expected.as_matrix(), atol=1e-9)
