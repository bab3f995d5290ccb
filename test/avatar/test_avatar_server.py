"""The server: addresses, checks, newest wins, many pages, pages that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import aiohttp
import numpy as np
import pytest
from serving import port_of, until, upgrade
from yarl import URL

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.web import BAD_INPUT_LIMIT, INPUT_RATE_LIMIT
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.types import ExpressionFrame, Sound, SpeakerFrame

Serve = Callable[..., Awaitable[AvatarServer]]


def frame(number: int, mode: str = "listening") -> ExpressionFrame:
    values = np.full(58, 0.1, np.float32)
    return ExpressionFrame(number * 20_000_000, values, mode, ("gaze",), None, None, None, None)  # type: ignore[arg-type]


def told(server: AvatarServer, counter: str) -> int:
    """A counter of the status."""
    return int(server._report()["page"][counter])


def number_of(message: bytes) -> int:
    return int.from_bytes(message[4:8], "little")


@pytest.fixture
async def server(serve: Serve) -> AvatarServer:
    return await serve()


async def binary(ws: aiohttp.ClientWebSocketResponse) -> bytes:
    while True:
        message = await ws.receive(timeout=60)
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)


async def next_message(ws: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next message of that kind; in between, nothing but the status."""
    while (message := json.loads((await ws.receive(timeout=60)).data))["type"] != kind:
        assert message["type"] == "status", "nothing that was not asked for"
    return dict(message)


async def closing(ws: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    while True:
        message = await ws.receive(timeout=60)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return message.data, message.extra or ""
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message


ELSEWHERE = ["nothing.js", "../server.py", "..%2fserver.py", "%2e%2e/config.py", "page/main.js", "__init__.py"]
MALFORMED = [
    "{", '{"fps":5,"voice":1}', '{"fps":5,"candidates":1}', '{"fps":true}', '{"fps":NaN}', "[" * 3000, b"\xff\0"
]  # fmt: skip


async def test_nothing_but_the_page_is_served(server: AvatarServer, session: aiohttp.ClientSession) -> None:
    for path in ELSEWHERE:
        async with session.get(URL(server.url + path, encoded=True)) as answer:
            assert answer.status == 404, path


async def test_rest(server: AvatarServer, session: aiohttp.ClientSession) -> None:
    async with session.get(server.url + "api/expression") as answer:
        assert await answer.json() == {"fresh": False, "expression": None}
    async with session.get(server.url + "api/status") as answer:
        assert "neutral" in (await answer.json())["page"]["reason"]
    server.show(frame(3))
    server.status({"speaker": {"present": True, "pitch_hz": float("nan")}, "last_error": "the camera is gone"})
    await until(server.fresh)
    async with session.get(server.url + "api/expression") as answer:
        answered = await answer.json()
        assert answered["fresh"]
        assert answered["expression"]["coefficients"]["jawOpen"] == pytest.approx(0.1)
    async with session.get(server.url + "api/status") as answer:
        answered = await answer.json()
        assert answered["graph"]["speaker"] == {"present": True, "pitch_hz": None}
        assert (answered["page"]["frames"], answered["page"]["reason"]) == (1, "")
    async with session.get(server.url + "healthz") as answer:
        assert (await answer.json())["ok"] is True
    async with session.post(server.url + "api/status", data=b"x" * 10_000) as answer:
        assert answer.status == 405


async def test_other_sites_are_refused(server: AvatarServer, session: aiohttp.ClientSession) -> None:
    for headers in (
        {"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil@localhost"},
    ):  # fmt: skip
        for path in ("", "api/status", "api/expression", "healthz"):
            async with session.get(server.url + path, headers=headers) as answer:
                assert answer.status == 403
                assert (await answer.text()).strip().endswith(".")
        for path in ("ws", "capture"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(server.url + path, headers=headers)
            assert caught.value.status == 403


async def test_a_taken_port_gives_the_next_free_one(serve: Serve) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        if port > 65000:
            pytest.skip("the system gave a port too close to the end")
        found = URL((await serve(port=port)).url)
        assert (found.scheme, found.host) == ("http", "127.0.0.1")
        assert port < (found.port or 0) < port + 20
        with pytest.raises(DeviceError, match="in use"):
            await AvatarServer(AvatarConfig(port=port, port_tries=1)).start()


async def test_start_and_stop_again(session: aiohttp.ClientSession) -> None:
    server = AvatarServer(AvatarConfig(port=0))
    for _ in range(2):
        url = await server.start()
        assert await server.start() == url
        async with session.ws_connect(url + "ws") as ws:
            server.show(frame(1))
            await binary(ws)
            await server.stop()
            code, reason = await closing(ws)
            assert (code, reason) == (1001, "The face's server stops.")
        await server.stop()
        server.show(frame(2))
        server.status({})
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(url)


async def test_show_from_other_threads(server: AvatarServer, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(server.url + "ws") as ws:

        def run() -> None:
            for number in range(200):
                server.show(frame(number))
                server.status({"number": number})

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        last = 0
        while last < told(server, "frames") or any(t.is_alive() for t in threads):
            now = number_of(await binary(ws))
            assert now > last
            last = now
        for thread in threads:
            thread.join()


async def test_no_stale_face_for_a_new_page(serve: Serve, session: aiohttp.ClientSession) -> None:
    server = await serve(stale_s=0.05)
    server.show(frame(1))
    await until(server.fresh)
    await until(lambda: not server.fresh())
    async with session.ws_connect(server.url + "ws") as ws:
        message = await ws.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.TEXT
        assert "neutral" in json.loads(message.data)["page"]["reason"]
        server.show(frame(2))
        assert number_of(await binary(ws)) == 2


async def test_fifty_pages_and_no_more(server: AvatarServer, session: aiohttp.ClientSession) -> None:
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(session.ws_connect(server.url + "ws")) for _ in range(50)]
        await until(lambda: server.clients == 50)
        extra = await stack.enter_async_context(session.ws_connect(server.url + "ws"))
        code, reason = await closing(extra)
        assert code == 1013
        assert "50 places are taken" in reason
        for number in range(1, 11):
            server.show(frame(number))
            await asyncio.sleep(0.002)
        server.show(frame(11))
        for page in pages:
            while number_of(await binary(page)) < 11:
                pass
        assert told(server, "clients_refused") == 1
    await until(lambda: server.clients == 0)
    async with session.ws_connect(server.url + "ws") as again:
        server.show(frame(12))
        while number_of(await binary(again)) < 12:  # the eleventh is fresh still, so a new page gets it first
            pass


async def test_a_page_that_does_not_read_holds_up_nobody(server: AvatarServer, session: aiohttp.ClientSession) -> None:
    sleeper = socket.socket()
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sleeper.connect(("127.0.0.1", port_of(server.url)))
    sleeper.sendall(upgrade("ws"))
    async with session.ws_connect(server.url + "ws") as ws:
        await until(lambda: server.clients == 2)
        for number in range(1, 1001):
            server.show(frame(number))
            assert number_of(await binary(ws)) == number
        assert server.dropped > 500  # the sleeper's: at most some hundred wait for it
    sleeper.close()


@pytest.mark.parametrize("sent", [*MALFORMED, "too many", "x" * 1_000_000], ids=lambda sent: str(sent)[:12])
async def test_pages_that_misbehave_are_closed_and_others_are_served(
    server: AvatarServer, session: aiohttp.ClientSession, sent: str | bytes
) -> None:
    messages, code, bad = [sent] * BAD_INPUT_LIMIT, 1008, BAD_INPUT_LIMIT
    if sent == "too many":
        messages, bad = ['{"fps":60}'] * (INPUT_RATE_LIMIT + 1), 0
    elif len(sent) > 10_000:
        messages, code, bad = [sent], 1009, 0
    async with session.ws_connect(server.url + "ws") as ws:
        for message in messages:
            await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_str(message))
        assert (await closing(ws))[0] == code
    await until(lambda: told(server, "bad_inputs") == bad)
    async with session.get(server.url, headers={"X-Big": "x" * 100_000}) as answer:
        assert answer.status == 400
    async with session.ws_connect(server.url + "ws") as ws:
        server.show(frame(1))
        await binary(ws)


async def test_the_voice_goes_to_the_pages_that_play_it_whole_and_in_order(
    server: AvatarServer, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(server.url + "ws") as plays, session.ws_connect(server.url + "ws") as other:
        await plays.send_str('{"fps":60,"voice":true}')
        await other.send_str('{"fps":60}')
        await until(lambda: server.wanted("voice"))
        pieces = [np.full((160, 2), i, np.int16) for i in range(60)]
        for i, samples in enumerate(pieces):
            server.voice(Sound(i * 10_000_000, 16000, samples))
        for i, samples in enumerate(pieces):
            while (message := await plays.receive(timeout=60)).type is not aiohttp.WSMsgType.BINARY:
                pass
            assert message.data == struct.pack("<BBHId", 3, 2, 0, 16000, i / 100) + samples.tobytes()
        server.status({})
        await next_message(other, "status")
    await until(lambda: not server.wanted("voice"))


async def test_candidates_go_to_the_pages_that_ask_for_them(
    server: AvatarServer, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(server.url + "ws") as asks, session.ws_connect(server.url + "ws") as other:
        await asks.send_str('{"fps":60,"candidates":true}')
        await other.send_str('{"fps":60,"candidates":false}')
        await until(lambda: server.wanted("candidates"))
        server.candidates(np.full((3, 16, 58), np.nan, np.float32), 1, 25.0)
        plan = await next_message(asks, "candidates")
        assert (plan["chosen"], len(plan["nod"]), len(plan["smile"][0])) == (1, 3, 16)
        server.status({"speaker": {}})
        while "speaker" not in (await next_message(other, "status"))["graph"]:
            pass
    await until(lambda: not server.wanted("candidates"))


async def test_what_is_seen_of_a_visitor_goes_to_the_page_that_asks(
    server: AvatarServer, session: aiohttp.ClientSession
) -> None:
    seen = SpeakerFrame(
        stamp_ns=1, picture_stamp_ns=1, sound_stamp_ns=None, person_id=0, face_present=True, mesh_present=True,
        coefficients=np.full(58, 0.25, np.float32), confidence=np.ones(58, np.float32), neutral_confidence=1.0,
        gaze=None, position_m=np.array([0.1, np.nan, 0.6], np.float32), affect=None, voice=None,
    )  # fmt: skip
    server.seen(seen)  # nobody asks
    async with session.ws_connect(server.url + "ws") as asks:
        await asks.send_str('{"fps":60,"seen":true}')
        await until(lambda: server.wanted("seen"))
        server.seen(seen)
        known = await next_message(asks, "seen")
        assert (known["face"], known["place"][1]) == ([0.25] * 58, None)
        server.seen(replace(seen, mesh_present=False))
        assert (await next_message(asks, "seen"))["place"] is None
    await until(lambda: not server.wanted("seen"))
