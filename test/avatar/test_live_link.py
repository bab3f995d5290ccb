"""What leaves as Live Link Face packets, decoded from the published layout."""

import numpy as np
import pytest
from outputs_kit import UNREAL, faces, frame, read_live_link, receiver

from reactdiff_ros.avatar.outputs import LiveLinkEncoder, Target, UdpOutput
from reactdiff_ros.avatar.outputs.live_link import NAMES
from reactdiff_ros.coefficients import INDEX


@pytest.fixture
def play():
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


def test_two_seconds_at_50_hz_arrive_whole_and_in_order(play):
    values = faces(100)
    packets = play(values)
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


def test_61_names_in_unreals_order():
    assert [n[0].upper() + n[1:] for n in NAMES] == UNREAL
    assert len(UNREAL) == 61


def test_head_and_eyes(play):
    values = np.zeros((1, 58), np.float32)
    values[0, 52:55] = 0.1, 0.2, -0.3
    values[0, INDEX["eyeLookOutLeft"]] = values[0, INDEX["eyeLookInRight"]] = 0.5  # both to the own left
    values[0, INDEX["eyeLookDownLeft"]] = values[0, INDEX["eyeLookDownRight"]] = 1.0
    got = play(values)[0].values
    assert [got["HeadPitch"], got["HeadYaw"], got["HeadRoll"]] == pytest.approx([0.1, 0.2, -0.3])
    assert [got["LeftEyeYaw"], got["RightEyeYaw"]] == pytest.approx([-0.305, -0.305])
    assert [got["LeftEyePitch"], got["RightEyePitch"]] == pytest.approx([0.61, 0.61])
    assert got["LeftEyeRoll"] == got["RightEyeRoll"] == 0.0


def test_wild_coefficients_leave_finite_and_in_range(play):
    wild = np.full((2, 58), np.nan, np.float32)
    wild[1] = -1e9
    for packet in play(wild):
        numbers = np.array(list(packet.values.values()))
        assert np.isfinite(numbers).all()
        assert (np.abs(numbers) <= 1.0).all()


def test_subjects_are_told_apart(play):
    one, two = play(faces(1), "left robot")[0], play(faces(1), "Roboter ü")[0]
    assert (one.subject, two.subject) == ("left robot", "Roboter ü")
    assert one.device != two.device
