"""The encrypted page: who trusts its authority opens it, anybody gets the authority, and nobody fills it up."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from serving import LINK, port_of

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.connections import FEWEST_PLACES, HEADERS_S
from reactdiff_ros.errors import DeviceError, ReactdiffError

Started = Callable[[AvatarServer], Awaitable[AvatarServer]]


@pytest.fixture
async def server(tmp_path: Path, started: Started) -> AvatarServer:
    return await started(secured(tmp_path))


def secured(folder: Path, **settings: object) -> AvatarServer:
    given = {"port": 0, "host": "0.0.0.0", "https": True, "state_dir": str(folder), "extra_hosts": ("robot.lan",)}
    config = AvatarConfig(**given | settings)  # type: ignore[arg-type]
    return AvatarServer(config, link_token=LINK)


async def authority(server: AvatarServer) -> bytes:
    """As a device gets it."""
    async with aiohttp.ClientSession() as session, session.get(server.trust[0] + "reactdiff.crt") as answer:
        assert answer.content_type == "application/x-x509-ca-cert"
        return await answer.read()


def trusting(certificate: bytes) -> aiohttp.ClientSession:
    """A browser whose user has installed the authority."""
    context = ssl.create_default_context(cadata=certificate)
    connector = aiohttp.TCPConnector(ssl=context)
    jar = aiohttp.CookieJar(unsafe=True)
    return aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=aiohttp.ClientTimeout(60))


async def test_a_device_gets_the_authority_and_then_opens_page_and_websocket(server: AvatarServer) -> None:
    assert server.url.startswith("https://127.0.0.1:")
    async with aiohttp.ClientSession() as stranger:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await stranger.get(server.url)
    certificate = await authority(server)
    assert server.trust[1] == hashlib.sha256(certificate).digest().hex(":").upper()
    async with trusting(certificate) as browser:
        async with browser.get(f"{server.url}?token={LINK}") as answer:
            assert answer.status == 200
            assert answer.history[0].cookies[f"reactdiff-{answer.url.port}"]["secure"]
            assert "camera=(self)" in answer.headers["Permissions-Policy"]
        async with browser.ws_connect(server.url + "ws", origin=server.url.rstrip("/")) as line:
            assert (await line.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT
        async with browser.get(server.url + "link.svg") as answer:
            assert answer.content_type == "image/svg+xml"
            assert (await answer.text()).startswith("<?xml")
    for _ in range(3):  # the answer to a request that comes with the end of the handshake is not lost
        async with trusting(certificate) as other, other.get(server.url + "healthz") as answer:
            assert answer.status == 200


async def test_the_page_of_the_certificate_has_nothing_else(server: AvatarServer) -> None:
    page, fingerprint = server.trust
    assert page.startswith("http://")
    async with aiohttp.ClientSession() as session:
        async with session.get(page, headers={"Host": "robot.lan:80"}) as answer:
            text = await answer.text()
            assert answer.status == 200
            assert fingerprint in text
            assert f"https://robot.lan:{server.url.split(':')[2]}" in text
            assert "%" not in text
            assert LINK not in text
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        for path in ("api/status", "ws", "capture", "main.js", "authority.pem", "healthz", "../server.pem", "link.svg"):
            async with session.get(page + path) as answer:
                assert answer.status == 404, path
        async with session.get(page, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403


async def test_no_code_of_a_link_where_there_is_none_and_none_for_strangers(
    server: AvatarServer, serve: Callable[..., Awaitable[AvatarServer]], session: aiohttp.ClientSession
) -> None:
    async with trusting(await authority(server)) as stranger, stranger.get(server.url + "link.svg") as answer:
        assert answer.status == 401
    async with session.get((await serve()).url + "link.svg") as answer:
        assert answer.status == 404


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the end of a connection."""
    try:
        return await reader.read(1000)
    except ConnectionError:
        return b""


async def test_silent_handshakes_and_other_nonsense_leave_places(
    server: AvatarServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    certificate = await authority(server)
    port = port_of(server.url)
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4 * FEWEST_PLACES)]
    for i, (_, writer) in enumerate(lines):
        if i % 4:
            writer.write((b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02", bytes(400))[i % 4])
    oldest = lines[0][0]  # silent: as many may be in their handshake as have a place
    assert await asyncio.wait_for(ended(oldest), HEADERS_S / 2) == b""
    async with trusting(certificate) as browser:
        async with browser.post(server.url + "api/robot/stop") as answer:
            assert answer.status == 404  # there is no robot: it was answered
        async with browser.get(server.url + "healthz") as answer:
            assert answer.status == 200
    await server.stop()
    assert not any(b"200 OK" in end for end in await asyncio.gather(*(ended(reader) for reader, _ in lines)))
    for _, writer in lines:
        writer.close()
    assert [record.getMessage() for record in caplog.records] == []


async def test_what_cannot_be_had_has_one_sentence_and_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match=r"cannot be kept \(.*file/https\): Not a directory; set state_dir"):
        await secured(tmp_path / "file" / "https").start()
    first = secured(tmp_path)
    await first.start()
    port = port_of(first.url)
    with pytest.raises(DeviceError, match=rf"the port is in use \(0.0.0.0:{port}\): stop what uses it"):
        await secured(tmp_path, port=port, port_tries=1).start()
    await first.stop()
    assert first.trust == ("", "")
    again = secured(tmp_path, port=port, port_tries=1)
    await again.start()
    await again.stop()
