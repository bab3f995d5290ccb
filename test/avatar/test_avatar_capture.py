"""What visitors' pages send is handed on as it is; neither they nor the node can fill the server's memory."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import aiohttp
import pytest
from serving import port_of, upgrade

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.capture import MESSAGE_BYTES, VISITORS

Started = Callable[[AvatarServer], Awaitable[AvatarServer]]
KERNEL_BYTES = 20_000_000
"""More than the kernel's buffers and a few messages hold."""
_numbers = itertools.count()


class Node:
    """The other end of the abstract socket; `lines` are those of visitors."""

    def __init__(self) -> None:
        self.address = f"\0reactdiff_ros-test-capture/{os.getpid()}/{next(_numbers)}"
        self.lines: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(lambda *line: self.lines.put_nowait(line), self.address)

    async def stop(self) -> None:
        self._server.close()
        while not self.lines.empty():
            self.lines.get_nowait()[1].close()


def framed(message: bytes) -> bytes:
    """As the node reads and writes it."""
    return len(message).to_bytes(4, "little") + message


def frame(first: int, content: bytes) -> bytes:
    """Of a websocket, with a mask of zeros; `first`: 0x80 for the last part, and 1 text, 2 binary, 0 goes on."""
    return bytes([first, 0xFF]) + len(content).to_bytes(8, "big") + bytes(4) + content


async def opened(server: AvatarServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A page of which every byte is ours."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server.url), limit=1024)
    writer.write(upgrade("capture"))
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def poured(send: Callable[[], Awaitable[None]], size: int) -> int:
    """How many bytes are taken before it stalls, in messages of `size`."""
    sent = 0
    with suppress(asyncio.TimeoutError):
        while sent < 10 * KERNEL_BYTES:
            await asyncio.wait_for(send(), 1.0)
            sent += size
    return sent


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    await node.start()
    yield node
    await node.stop()


@pytest.fixture
async def server(node: Node, started: Started) -> AvatarServer:
    return await started(AvatarServer(AvatarConfig(port=0), capture=node.address))


async def test_messages_pass_whole_both_ways(server: AvatarServer, node: Node, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(server.url + "capture") as page:
        reader, writer = await node.lines.get()
        for sent in (b"x", bytes(1000), os.urandom(MESSAGE_BYTES - 100)):
            await page.send_bytes(sent)
            assert await reader.readexactly(len(sent) + 4) == framed(sent)
        writer.write(framed(b'{"seat": true}') + framed(b"\x01\x02"))
        assert (await page.receive(timeout=10)).data == '{"seat": true}'
        assert (await page.receive(timeout=10)).data == b"\x01\x02"
        writer.close()
        assert (await page.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE  # the node is gone
    async with session.ws_connect(server.url + "capture") as page:
        reader, writer = await node.lines.get()
        await page.close()
        assert await asyncio.wait_for(reader.read(), 10) == b""  # the page is gone
        writer.close()


@pytest.mark.parametrize("message", ["text", "too large", "in parts without end"])
async def test_what_is_no_message_ends_the_visit(server: AvatarServer, node: Node, message: str) -> None:
    page, raw = await opened(server)
    line, writer = await node.lines.get()
    with suppress(ConnectionError):
        if message == "text":
            raw.write(frame(0x81, b"{}"))
        elif message == "too large":
            raw.write(frame(0x82, bytes(MESSAGE_BYTES + 1)))
        else:
            for number in range(20):
                raw.write(frame(0 if number else 0x02, bytes(MESSAGE_BYTES // 8)))
        await raw.drain()
    assert len(await asyncio.wait_for(line.read(), 10)) <= MESSAGE_BYTES
    with suppress(ConnectionError):
        assert len(await asyncio.wait_for(page.read(), 10)) < 200
    raw.transport.abort()
    writer.close()


async def test_a_node_that_does_not_read_holds_the_page_back(
    server: AvatarServer, node: Node, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(server.url + "capture") as page:
        _, writer = await node.lines.get()
        assert await poured(lambda: page.send_bytes(bytes(200_000)), 200_000) < KERNEL_BYTES
        async with session.get(server.url + "healthz") as answer:
            assert answer.status == 200
        writer.transport.abort()


async def test_a_page_that_does_not_read_holds_the_node_back(
    server: AvatarServer, node: Node, session: aiohttp.ClientSession
) -> None:
    _, raw = await opened(server)
    raw.transport.pause_reading()  # type: ignore[attr-defined]
    _, writer = await node.lines.get()

    async def answer() -> None:
        writer.write(framed(bytes(50_000)))
        await writer.drain()

    assert await poured(answer, 50_000) < KERNEL_BYTES
    async with session.get(server.url + "healthz") as alive:
        assert alive.status == 200
    raw.transport.abort()
    writer.transport.abort()


async def test_there_is_a_limit_to_visitors(server: AvatarServer, node: Node, session: aiohttp.ClientSession) -> None:
    pages = [await session.ws_connect(server.url + "capture") for _ in range(VISITORS)]
    async with session.ws_connect(server.url + "capture") as late:
        end = await late.receive(timeout=10)
        assert end.type is aiohttp.WSMsgType.CLOSE
        assert "Too many visitors" in str(end.extra)
    for page in pages:
        await page.close()
    async with session.ws_connect(server.url + "capture") as page:
        assert not page.closed
    while not node.lines.empty():
        node.lines.get_nowait()[1].close()


async def test_a_robot_with_its_own_camera_says_so(session: aiohttp.ClientSession, started: Started) -> None:
    for capture in ("", "\0reactdiff_ros-test-capture/nobody"):
        server = await started(AvatarServer(AvatarConfig(port=0), capture=capture))
        async with session.ws_connect(server.url + "capture") as page:
            assert "its own camera and microphone" in str((await page.receive(timeout=10)).extra)
