"""The link of a page beyond this machine: who has it comes in, once and for the time of the browser's session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from serving import LINK

from reactdiff_ros.avatar import AvatarConfig, AvatarServer, access
from reactdiff_ros.avatar.access import LinkAccess, links, new_link_token
from reactdiff_ros.errors import ConfigError


@pytest.fixture
async def server(started: Callable[[AvatarServer], Awaitable[AvatarServer]]) -> AvatarServer:
    return await started(AvatarServer(AvatarConfig(port=0, host="0.0.0.0"), link_token=LINK))


def session() -> aiohttp.ClientSession:
    """A browser: cookies of numbers too."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(60))


async def status(browser: aiohttp.ClientSession, url: str, **headers: str) -> int:
    async with browser.get(url, headers=headers) as answer:
        return answer.status


async def test_the_link_opens_page_files_values_and_websocket(server: AvatarServer) -> None:
    async with session() as browser:
        async with browser.get(f"{server.url}?look=paper&token={LINK}") as answer:
            assert answer.status == 200
            assert "<title>" in await answer.text()
            assert str(answer.url) == server.url + "?look=paper", "no token in the address bar"
            cookie = answer.history[0].cookies[f"reactdiff-{answer.url.port}"]
            assert cookie["httponly"]
            assert cookie["samesite"] == "Lax"
            assert answer.history[0].headers["Cache-Control"] == "no-store"
        for path in ("", "operator", "main.js", "api/status", "api/expression"):
            assert await status(browser, server.url + path) == 200
        async with browser.ws_connect(server.url + "ws") as line:
            assert (await line.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT
    async with session() as other:
        async with other.get(server.url) as answer:
            assert (answer.status, answer.content_type) == (401, "text/html")
            assert "Open the link that the terminal printed" in await answer.text()
        for path in ("ws", "capture"):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await other.ws_connect(server.url + path)


async def test_programs_bring_the_token_as_a_bearer(server: AvatarServer) -> None:
    async with session() as program:
        assert await status(program, server.url + "api/status", Authorization=f"Bearer {LINK}") == 200
        for wrong in (f"Basic {LINK}", "Bearer", "Bearer x", LINK, f"Bearer {LINK.upper()}"):
            assert await status(program, server.url + "api/status", Authorization=wrong) == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
async def test_this_machine_needs_no_token(host: str) -> None:
    assert AvatarServer(AvatarConfig(port=0, host=host)).link_token == ""


@pytest.mark.parametrize("token", ["short", "x" * 129, "with space in it 123", "a&token=bbbbbbbbbbbbb", "é" * 20])
def test_a_token_that_is_none(token: str) -> None:
    with pytest.raises(ConfigError, match="REACTDIFF_LINK_TOKEN"):
        LinkAccess(token)


def test_links_name_addresses_that_others_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(link.endswith(":1/?token=t") for link in links("http://127.0.0.1:1/", "t"))
    addresses = ["127.0.0.1", "192.168.1.5", "10.1.2.3", "::1", "fe80::1%eth0", "fe80::2", "2001:db8::7", "no address"]
    monkeypatch.setattr(access, "own_addresses", lambda: iter(addresses))
    assert links("http://127.0.0.1:8765/", "t") == [
        "http://192.168.1.5:8765/?token=t",
        "http://10.1.2.3:8765/?token=t",
    ]
    assert links("https://[::1]:8765/", "t") == ["https://[2001:db8::7]:8765/?token=t"]
    assert links("http://robot.lab:8765/", "t") == ["http://robot.lab:8765/?token=t"]
    addresses.clear()
    assert links("http://127.0.0.1:8765/", "t") == ["http://127.0.0.1:8765/?token=t"]


def test_links_of_a_container_name_the_host_that_publishes_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "own_addresses", lambda: iter(["172.17.0.2"]))
    monkeypatch.setenv("REACTDIFF_PAGE_HOST", "localhost")
    assert links("http://127.0.0.1:8765/", "t") == ["http://localhost:8765/?token=t"]
    monkeypatch.setenv("REACTDIFF_PAGE_HOST", "")
    assert links("http://127.0.0.1:8765/", "t") == ["http://172.17.0.2:8765/?token=t"]
    assert LinkAccess(new_link_token()).token
