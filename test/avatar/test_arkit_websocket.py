"""ARKit JSON, received by plain websocket clients."""

import asyncio
import json
import socket

import aiohttp
import numpy as np
import pytest
from outputs_kit import STEP_NS, faces, frame

from reactdiff_ros.avatar.outputs import ArkitServer, Target
from reactdiff_ros.avatar.outputs.websocket import MAX_CLIENTS, QUEUE
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import DeviceError


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
async def server():
    made = ArkitServer(Target("arkit", "127.0.0.1", free_port()), ("https://avatar.example.org",))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as made:
        yield made


async def until(condition, timeout_s=60.0):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def test_two_seconds_at_50_hz_arrive_whole_and_in_order(server, session):
    values = faces(100)
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
    assert [g["frame"] for g in got] == list(range(1, 101))
    for g, face in zip(got, values, strict=True):
        assert g["type"] == "arkit"
        assert g["mode"] == "listening"
        assert tuple(g["blendshapes"]) == BLENDSHAPE_NAMES
        np.testing.assert_allclose(list(g["blendshapes"].values()), face[:52], atol=1e-5)
        np.testing.assert_allclose([g["head"][k] for k in ("pitch", "yaw", "roll")], face[52:55], atol=1e-5)
        np.testing.assert_allclose(g["head"]["position"], face[55:], atol=1e-5)
        assert np.linalg.norm(g["head"]["quaternion"]) == pytest.approx(1.0, abs=1e-5)


async def test_quaternion_is_right_handed_x_y_z_w(server, session):
    values = np.zeros(58, np.float32)
    values[53] = 0.4
    server.show(frame(values))
    async with session.ws_connect(server.url) as client:
        server.show(frame(values, 1))
        got = json.loads((await client.receive(timeout=60.0)).data)
    np.testing.assert_allclose(got["head"]["quaternion"], [0, np.sin(0.2), 0, np.cos(0.2)], atol=1e-6)


async def test_wild_coefficients_leave_as_plain_json(server, session):
    async with session.ws_connect(server.url) as client:
        await until(lambda: server.clients == 1)
        server.show(frame(np.full(58, np.nan)))
        text = (await client.receive(timeout=60.0)).data
    assert "NaN" not in text
    assert not any(json.loads(text)["blendshapes"].values())


async def test_a_client_that_does_not_read_loses_the_oldest_and_holds_up_nobody(server, session):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.target.port, limit=1024)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = (
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    writer.write(request.encode())
    assert b"101" in await reader.readline()
    async with session.ws_connect(server.url) as client:
        await until(lambda: server.clients == 2)
        for number, face in enumerate(faces(1000)):
            server.show(frame(face, number))
            message = await client.receive(timeout=60.0)
            assert json.loads(message.data)["frame"] == number + 1
        stuck = next(c for c in server._clients if c.dropped)
        assert server.dropped == stuck.dropped > 500
        assert len(stuck._queue) <= QUEUE
        assert json.loads(stuck._queue[-1])["frame"] == 1000
    writer.transport.abort()
    await until(lambda: server.clients == 0)


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [(None, True), ("http://localhost:3000", True), ("http://127.0.0.1", True), ("https://avatar.example.org", True),
     ("https://evil.example.com", False), ("null", False), ("http://localhost.evil.com", False), ("http://[", False)],
)  # fmt: skip
async def test_pages_of_other_sites_are_refused(server, session, origin, welcome):
    headers = {} if origin is None else {"Origin": origin}
    if welcome:
        async with session.ws_connect(server.url, headers=headers):
            await until(lambda: server.clients == 1)
    else:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(server.url, headers=headers)
        assert caught.value.status == 403


async def test_port_in_use_is_one_sentence_and_no_crash(server):
    second = ArkitServer(server.target)
    with pytest.raises(DeviceError, match="port is in use") as caught:
        await second.start()
    assert str(server.target.port) in str(caught.value)
    assert "\n" not in str(caught.value)
    second.show(frame())
    await second.stop()


async def test_address_of_another_machine_cannot_be_served():
    with pytest.raises(DeviceError, match="cannot be served"):
        await ArkitServer(Target("arkit", "203.0.113.7", free_port())).start()


async def test_clients_are_told_when_it_ends(server, session):
    async with session.ws_connect(server.url) as client:
        await until(lambda: server.clients == 1)
        await server.stop()
        message = await client.receive(timeout=60.0)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == aiohttp.WSCloseCode.GOING_AWAY
    await server.stop()


async def test_plain_http_is_told_what_this_is(server, session):
    async with session.get(server.url.replace("ws://", "http://")) as answer:
        assert answer.status == 426
        assert "ws://" in await answer.text()


async def test_of_those_who_come_at_once_no_more_are_let_in_than_there_may_be(server, session):
    answers = await asyncio.gather(
        *(session.ws_connect(server.url) for _ in range(MAX_CLIENTS + 5)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, aiohttp.WSServerHandshakeError)]
    assert [answer.status for answer in refused] == [503] * 5
    let_in = [answer for answer in answers if isinstance(answer, aiohttp.ClientWebSocketResponse)]
    assert len(let_in) == server.clients == MAX_CLIENTS
    for client in let_in:
        await client.close()
    await until(lambda: server.clients == 0)
    async with session.ws_connect(server.url):
        await until(lambda: server.clients == 1)
