"""Who may open a page: its hosts and origins, and beyond this machine who has its link."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from stage import LINK

from reactdiff_ros.avatar import AvatarConfig, AvatarServer, access
from reactdiff_ros.avatar.access import Guard, LinkAccess, links, new_link_token
from reactdiff_ros.errors import ConfigError


@pytest.fixture
async def server(started: Callable[[AvatarServer], Awaitable[AvatarServer]]) -> AvatarServer:
    return await started(AvatarServer(AvatarConfig(port=0, host="0.0.0.0"), link_token=LINK))


def browser() -> aiohttp.ClientSession:
    """With cookies of numbers too."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(60))


async def status(who: aiohttp.ClientSession, url: str, **headers: str) -> int:
    async with who.get(url, headers=headers) as answer:
        return answer.status


async def test_the_link_opens_page_files_values_and_websocket(server: AvatarServer) -> None:
    async with browser() as owner:
        async with owner.get(f"{server.url}?look=paper&token={LINK}") as answer:
            assert answer.status == 200
            assert "<title>" in await answer.text()
            assert str(answer.url) == server.url + "?look=paper", "no token in the address bar"
            cookie = answer.history[0].cookies[f"reactdiff-{answer.url.port}"]
            assert cookie["httponly"]
            assert cookie["samesite"] == "Lax"
            assert answer.history[0].headers["Cache-Control"] == "no-store"
        for path in ("", "operator", "main.js", "api/status", "api/expression"):
            assert await status(owner, server.url + path) == 200
        async with owner.ws_connect(server.url + "ws") as line:
            assert (await line.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT
    async with browser() as other:
        async with other.get(server.url) as answer:
            assert (answer.status, answer.content_type) == (401, "text/html")
            assert "Open the link" in await answer.text()
        for path in ("ws", "capture"):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await other.ws_connect(server.url + path)
        # Programs bring the token as a bearer.
        assert await status(other, server.url + "api/status", Authorization=f"Bearer {LINK}") == 200
        for wrong in (f"Basic {LINK}", "Bearer", "Bearer x", LINK, f"Bearer {LINK.upper()}"):
            assert await status(other, server.url + "api/status", Authorization=wrong) == 401


def test_this_machine_needs_no_token() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
        assert AvatarServer(AvatarConfig(port=0, host=host)).link_token == ""


@pytest.mark.parametrize("token", ["short", "x" * 129, "with space in it 123", "a&token=bbbbbbbbbbbbb", "é" * 20])
def test_a_token_that_is_none(token: str) -> None:
    with pytest.raises(ConfigError, match="REACTDIFF_LINK_TOKEN"):
        LinkAccess(token)
    assert LinkAccess(new_link_token()).token != LinkAccess("").token


def test_links_name_addresses_that_others_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(link.endswith(":1/?token=t") for link in links("http://127.0.0.1:1/", "t"))
    addresses = ["127.0.0.1", "192.168.1.5", "10.1.2.3", "::1", "fe80::1%eth0", "fe80::2", "2001:db8::7", "no address"]
    monkeypatch.setattr(access, "own_addresses", lambda: iter(addresses))
    here = "http://127.0.0.1:8765/"
    assert links(here, "t") == ["http://192.168.1.5:8765/?token=t", "http://10.1.2.3:8765/?token=t"]
    assert links("https://[::1]:8765/", "t") == ["https://[2001:db8::7]:8765/?token=t"]
    assert links("http://robot.lab:8765/", "t") == ["http://robot.lab:8765/?token=t"]
    monkeypatch.setenv("REACTDIFF_PAGE_HOST", "localhost")  # of a container: the host that publishes its port
    assert links(here, "t") == ["http://localhost:8765/?token=t"]
    monkeypatch.setenv("REACTDIFF_PAGE_HOST", "")
    addresses.clear()
    assert links(here, "t") == ["http://127.0.0.1:8765/?token=t"]


@pytest.mark.parametrize(
    ("bound", "host", "origin", "allowed"),
    [
        ("127.0.0.1", "localhost:8765", None, True),
        ("127.0.0.1", "127.0.0.1:8765", "http://127.0.0.1:8765", True),
        ("127.0.0.1", "localhost:8765", "http://localhost:3000", False),
        ("127.0.0.1", "localhost:8765", "http://evil.example", False),
        ("127.0.0.1", "evil.example:8765", "http://evil.example:8765", False),
        ("127.0.0.1", "192.168.1.5:8765", None, False),
        ("127.0.0.1", "robot.lab:8765", "http://robot.lab:8765", True),
        ("0.0.0.0", "192.168.1.5:8765", "http://192.168.1.5:8765", True),
        ("0.0.0.0", "evil.example:8765", None, False),
        ("192.168.1.5", "192.168.1.6:8765", None, False),
        ("face.lab.", "face.lab.:8765", None, True),
    ],
)
def test_who_may_talk_to_the_page(bound: str, host: str | None, origin: str | None, allowed: bool) -> None:
    assert (Guard(bound, ("robot.lab",)).refuses(host, origin) is None) is allowed
