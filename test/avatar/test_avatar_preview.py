"""The preview's server: what a page is given when it opens, what it may ask for, who may open it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from reactdiff_ros.avatar import AvatarConfig
from reactdiff_ros.avatar.server import PreviewServer
from reactdiff_ros.avatar.web import BAD_INPUT_LIMIT


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    return []


@pytest.fixture
async def server(asked: list[dict[str, Any]], started: Callable[[Any], Awaitable[Any]]) -> PreviewServer:
    def wants(report: dict[str, Any]) -> bool:
        asked.append(report)
        return report.get("play") == "clip"

    server = PreviewServer(wants, AvatarConfig(port=0))
    server.describe({"name": "ohbot"})
    return await started(server)


async def test_a_page_gets_the_robot_and_the_newest_tick(server: PreviewServer, session: aiohttp.ClientSession) -> None:
    assert not server.clients
    server.show(b"first")
    async with session.ws_connect(server.url + "ws") as ws:
        got = [await ws.receive(timeout=60), await ws.receive(timeout=60)]
        assert {m.data for m in got} == {b"first", '{"type":"robot","name":"ohbot"}'}
        assert server.clients == 1
        server.describe({"name": "ohbot", "error": "line 3: is missing"})
        assert "line 3" in (await ws.receive(timeout=60)).data
        server.show(b"second")
        assert (await ws.receive(timeout=60)).data == b"second"


async def test_what_a_page_wants(
    server: PreviewServer, session: aiohttp.ClientSession, asked: list[dict[str, Any]]
) -> None:
    async with session.ws_connect(server.url + "ws") as ws:
        await ws.send_str('{"fps": 60}')
        await ws.send_str('{"fps": 60, "play": "clip"}')
        for _ in range(BAD_INPUT_LIMIT):
            await ws.send_str('{"fps": 60, "arm": true}')
        while (message := await ws.receive(timeout=60)).type is not aiohttp.WSMsgType.CLOSE:
            pass
        assert "mean nothing here" in (message.extra or "")
    assert asked[0] == {"fps": 60, "play": "clip"}
    assert len(asked) == 1 + BAD_INPUT_LIMIT


async def test_the_page_is_the_robots_and_moves_none(server: PreviewServer, session: aiohttp.ClientSession) -> None:
    async with session.get(server.url) as answer:
        assert "robot.js" in await answer.text()
    for command in ("arm", "stop"):
        async with session.post(server.url + f"api/robot/{command}", json={}) as answer:
            assert answer.status in (404, 405)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await session.ws_connect(server.url + "ws", headers={"Origin": "http://evil.example"})
    assert caught.value.status == 403
