"""Receivers that are not there, hosts that do not exist, networks that cannot be reached."""

import socket

import pytest
from outputs_kit import frame, receiver

from reactdiff_ros.avatar.outputs import LiveLinkEncoder, Target, UdpOutput
from reactdiff_ros.clock import NS


def output(host, port=40001, encode=None):
    return UdpOutput(Target("live_link", host, port), encode or LiveLinkEncoder().encode)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_nobody_listens_and_then_somebody_does():
    port = free_port()
    sender = output("127.0.0.1", port)
    for number in range(4):
        sender.send(frame(number=number), number)
    assert "nobody listens" in sender.problem
    assert "\n" not in sender.problem
    assert sender.dropped > 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.bind(("127.0.0.1", port))
        for number in range(4, 8):
            sender.send(frame(number=number), number)
        assert sender.problem == ""
        late.settimeout(60.0)
        assert late.recv(2048)
    sender.close()


def test_unknown_host_is_said_and_tried_again_every_two_seconds(monkeypatch):
    calls = []

    def resolver(host, port, **_):
        calls.append(host)
        if len(calls) < 3:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    sender = output("studio.invalid")
    for tick in range(150):  # three seconds
        sender.send(frame(number=tick), tick * NS // 50)
    assert len(calls) == 2
    assert sender.dropped == 150
    assert "studio.invalid" in sender.problem
    assert "host is not known" in sender.problem
    sender.send(frame(), 4 * NS)
    assert len(calls) == 3
    assert sender.sent == 1
    sender.close()


@pytest.mark.parametrize("host", ["255.255.255.255", "239.0.0.1", "0.0.0.0"])
def test_a_face_is_not_sent_to_everybody(host):
    sender = output(host)
    sender.send(frame(), 0)
    assert sender.sent == 0
    assert "many machines" in sender.problem


def test_what_cannot_leave_is_dropped_and_not_waited_for():
    class Full:
        def send(self, data):
            raise BlockingIOError

        def close(self):
            pass

    with receiver() as there:
        sender = output("127.0.0.1", there.getsockname()[1])
        sender.send(frame(), 0)
        sender._socket.close()
        sender._socket = Full()
        for _ in range(10):
            sender.send(frame(), 1)
        assert (sender.sent, sender.dropped) == (1, 10)


def test_a_network_that_goes_is_opened_again():
    class Gone:
        def send(self, data):
            raise OSError(101, "Network is unreachable")

        def close(self):
            pass

    with receiver() as there:
        sender = output("127.0.0.1", there.getsockname()[1])
        sender.send(frame(), 0)
        sender._socket.close()
        sender._socket = Gone()
        sender.send(frame(), NS)
        assert "Network is unreachable" in sender.problem
        sender.send(frame(), 2 * NS)
        assert sender.sent == 1
        for tick in range(3):
            sender.send(frame(), 4 * NS + tick)
        assert (sender.sent, sender.problem) == (4, "")
        sender.close()
        sender.close()
