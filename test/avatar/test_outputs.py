"""Outputs: what a user may write, which face is sent when, receivers that are not there, and ARKit's websocket."""

from __future__ import annotations

import json
import socket

import aiohttp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outputs_kit import START_NS, STEP_NS, faces, frame, receiver
from serving import until

from reactdiff_ros.avatar.config import DEFAULTS, OutputsConfig, Target, parse_targets
from reactdiff_ros.avatar.formats import LiveLinkEncoder
from reactdiff_ros.avatar.outputs import ArkitServer, Feed, UdpOutput
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import ConfigError


def test_everything_stays_on_this_machine_unless_another_is_named():
    here = [Target("vmc", "127.0.0.1", 39539), Target("live_link", "127.0.0.1", 11111)]
    assert list(parse_targets("vmc, live_link,arkit,topic")) == [
        *here, Target("arkit", "127.0.0.1", 8770), Target("topic", "", 0)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("vmc@192.168.1.20", Target("vmc", "192.168.1.20", 39539)),
        ("live_link@studio-pc.local:12345", Target("live_link", "studio-pc.local", 12345)),
        ("arkit@0.0.0.0:9001", Target("arkit", "0.0.0.0", 9001)),
        ("vmc@[::1]:40000", Target("vmc", "::1", 40000)),
        ("vmc@[::1]", Target("vmc", "::1", 39539)),
        ("vmc@studio.example.org.", Target("vmc", "studio.example.org.", 39539)),
    ],
)
def test_named_targets(text, target):
    assert parse_targets(text) == (target,)
    assert parse_targets(str(target)) == (target,)


@pytest.mark.parametrize(
    "text",
    ["vcm", "vmc@", "vmc@:39539", "vmc@host:0", "vmc@host:65536", "vmc@host:port", "vmc@::1", "vmc@a b", "topic@host",
     "vmc,,live_link", "vmc,vmc", "vmc@[host]", "vmc:39539", "vmc@host:", "@host", "vmc@host@host",
     "vmc@studio..local", "vmc@" + "x" * 64, "vmc@" + "studio." * 40],
)  # fmt: skip
def test_what_is_no_output_is_said_in_one_sentence(text):
    with pytest.raises(ConfigError) as caught:
        parse_targets(text)
    assert "\n" not in str(caught.value)
    assert "outputs" in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_targets_or_one_error(text):
    try:
        targets = parse_targets(text)
    except ConfigError:
        return
    assert all(t.kind in DEFAULTS and 0 <= t.port <= 65535 for t in targets)


@pytest.mark.parametrize(
    "wrong",
    [{"vmc_names": "other"}, {"subject": ""}, {"subject": "x" * 65}, {"subject": "a\nb"}, {"origins": ("avatar.org",)},
     {"stale_s": 0.0}, {"fade_s": -1.0}, {"stale_s": float("nan")}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} .*settings of the outputs"):
        OutputsConfig(**wrong)


MS = 1_000_000


def test_the_face_fades_to_neutral_and_stays_there():
    feed, face = Feed(0.2, 0.3), faces(1)[0]
    first = feed.substitute(5, 17)
    assert first is not None, "neutral before the first frame"
    assert (first.mode, first.stamp_ns, bool(first.coefficients.any())) == ("neutral", 17, False)
    feed.take(frame(face), 0)
    assert [feed.substitute(age * MS, START_NS) for age in range(20, 201, 20)] == [None] * 10
    last, weights = face, []
    for age in range(201, 601, 20):
        sent = feed.substitute(age * MS, START_NS + age * MS)
        assert sent.mode == "neutral"
        assert sent.stamp_ns == START_NS + age * MS
        assert (np.abs(sent.coefficients) <= np.abs(last) + 1e-7).all()
        last = sent.coefficients
        weights.append(float(np.linalg.norm(last) / np.linalg.norm(face)))
    assert weights[0] == pytest.approx(1.0, abs=0.01)
    assert weights[7] == pytest.approx(1 - 141 / 300, abs=0.01)
    assert weights[-5:] == [0.0] * 5


def test_a_process_that_stood_still_takes_what_waits_before_it_fades():
    feed = Feed(0.2, 0.3)
    feed.take(frame(), 0)
    assert feed.substitute(5000 * MS, START_NS) is None  # frames of these 5 s wait to be taken
    assert feed.take(frame(number=250), 5001 * MS)
    ages = [feed.substitute((5001 + age) * MS, START_NS) is not None for age in range(20, 401, 20)]
    assert ages == [False] * 10 + [True] * 10  # and nothing waited: neutral after all


def test_late_frames_are_left_out_and_a_new_time_line_is_followed():
    feed = Feed(0.2, 0.3)
    assert feed.take(frame(number=100), 0)
    assert not feed.take(frame(number=99), 1)
    assert feed.take(frame(number=0), 2)  # a bag that begins again


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**18)), max_size=20), st.floats(0.0, 1.0))
def test_substitutes_are_finite_and_never_older_than_the_last_frame(times, fade_s):
    feed = Feed(0.1, fade_s)
    feed.take(frame(np.full(58, np.nan)), 0)
    for now, stamp in times:
        sent = feed.substitute(now, stamp)
        if sent is not None:
            assert np.isfinite(sent.coefficients).all()
            assert sent.stamp_ns >= START_NS


def udp(host, port=40001, encode=None):
    return UdpOutput(Target("live_link", host, port), encode or LiveLinkEncoder().encode)


def test_nobody_listens_and_then_somebody_does():
    with receiver() as probe:
        port = probe.getsockname()[1]
    sender = udp("127.0.0.1", port)
    for number in range(4):
        sender.send(frame(number=number), number)
    assert "no receiver is listening" in sender.problem
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
    sender = udp("studio.invalid")
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


def test_a_face_is_not_sent_to_everybody():
    for host in ("255.255.255.255", "239.0.0.1", "0.0.0.0"):
        sender = udp(host)
        sender.send(frame(), 0)
        assert sender.sent == 0
        assert "many machines" in sender.problem


def test_a_network_that_goes_is_opened_again():
    class Gone:
        def send(self, data):
            raise OSError(101, "Network is unreachable")

        def close(self):
            pass

    with receiver() as there:
        sender = udp("127.0.0.1", there.getsockname()[1])
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


@pytest.fixture
async def server(started):
    return await started(ArkitServer(Target("arkit", "127.0.0.1", 0), ("https://avatar.example.org",)))


async def test_arkit_frames_arrive_whole_and_in_order(server, session):
    values = faces(25)
    async with session.ws_connect(server.url) as client:
        await until(lambda: server.clients == 1)
        got = []
        for number, face in enumerate(values):
            server.show(frame(face, number))
            message = await client.receive(timeout=60.0)
            assert message.type is aiohttp.WSMsgType.TEXT
            got.append(json.loads(message.data))
    stamps = np.array([g["stamp"] for g in got])
    np.testing.assert_allclose(np.diff(stamps), STEP_NS / 1e9, atol=1e-5)
    assert [g["frame"] for g in got] == list(range(1, 26))
    for g, face in zip(got, values, strict=True):
        assert g["type"] == "arkit"
        assert g["mode"] == "listening"
        assert tuple(g["blendshapes"]) == BLENDSHAPE_NAMES
        np.testing.assert_allclose(list(g["blendshapes"].values()), face[:52], atol=1e-5)
        np.testing.assert_allclose([g["head"][k] for k in ("pitch", "yaw", "roll")], face[52:55], atol=1e-5)
        np.testing.assert_allclose(g["head"]["position"], face[55:], atol=1e-5)
        assert np.linalg.norm(g["head"]["quaternion"]) == pytest.approx(1.0, abs=1e-5)


async def test_pages_of_other_sites_are_refused(server, session):
    for origin in ("http://localhost:3000", "http://127.0.0.1", "https://avatar.example.org"):
        async with session.ws_connect(server.url, headers={"Origin": origin}):
            await until(lambda: server.clients == 1)
        await until(lambda: server.clients == 0)
    for origin in ("https://evil.example.com", "null", "http://localhost.evil.com", "http://["):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(server.url, headers={"Origin": origin})
        assert caught.value.status == 403
