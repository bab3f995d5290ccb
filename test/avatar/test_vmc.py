"""What leaves over VMC, received by python-osc's own server."""

import numpy as np
import pytest
from outputs_kit import faces, frame
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from reactdiff_ros.avatar.outputs import Target, UdpOutput, VmcEncoder
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES


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
def receiver():
    made = Receiver()
    yield made
    made.server.server_close()


def play(receiver, values, **how):
    output = UdpOutput(Target("vmc", "127.0.0.1", receiver.port), VmcEncoder(**how).encode)
    for number, face in enumerate(values):
        output.send(frame(face, number), number)
        receiver.server.handle_request()
    output.close()
    assert (output.sent, output.dropped, output.problem) == (len(values), 0, "")


def test_two_seconds_at_50_hz_arrive_whole_and_in_order(receiver):
    values = faces(100)
    play(receiver, values)
    assert len(receiver.applied) == 100
    for applied, face in zip(receiver.applied, values, strict=True):
        assert tuple(applied) == BLENDSHAPE_NAMES
        np.testing.assert_array_equal(np.float32(list(applied.values())), face[:52])
    times = np.array([t for (t,) in receiver.of("/VMC/Ext/T")])
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)
    assert times[0] == 0.0
    assert receiver.of("/VMC/Ext/OK") == [(1,)] * 100


def test_one_frame_has_the_order_of_the_specification(receiver):
    play(receiver, faces(1))
    addresses = [address for address, _ in receiver.log]
    assert addresses == [
        "/VMC/Ext/OK",
        "/VMC/Ext/T",
        "/VMC/Ext/Bone/Pos",
        *["/VMC/Ext/Blend/Val"] * 52,
        "/VMC/Ext/Blend/Apply",
    ]


def test_head_bone_in_unitys_axes(receiver):
    values = np.zeros((4, 58), np.float32)
    values[1, 52], values[2, 53], values[3, 54] = 0.2, 0.2, 0.2
    play(receiver, values)
    half, rest = np.sin(0.1), np.cos(0.1)
    expected = [(0, 0, 0, 1), (half, 0, 0, rest), (0, -half, 0, rest), (0, 0, -half, rest)]
    for (name, *numbers), quaternion in zip(receiver.of("/VMC/Ext/Bone/Pos"), expected, strict=True):
        assert name == "Head"
        assert numbers[:3] == [0.0, 0.0, 0.0]
        np.testing.assert_allclose(numbers[3:], quaternion, atol=1e-6)


def test_wild_coefficients_leave_finite_and_in_range(receiver):
    wild = np.full((1, 58), np.nan, np.float32)
    wild[0, ::3], wild[0, 1::3] = np.inf, 1e9
    play(receiver, wild)
    numbers = [v for _, v in receiver.of("/VMC/Ext/Blend/Val")]
    assert all(0.0 <= v <= 1.0 for v in numbers)
    (_, *bone) = receiver.of("/VMC/Ext/Bone/Pos")[0]
    assert np.isfinite(bone).all()
    assert np.linalg.norm(bone[3:]) == pytest.approx(1.0, abs=1e-6)


def test_names_of_perfect_sync(receiver):
    play(receiver, faces(1), names="perfect_sync")
    assert tuple(receiver.applied[0]) == tuple(n[0].upper() + n[1:] for n in BLENDSHAPE_NAMES)
