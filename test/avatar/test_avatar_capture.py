"""Visitors' cameras: what their pages send is passed on whole, nobody can fill the server's memory, and what goes wrong
with a camera or a visit has one sentence.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from stage import Stage, in_browser, opened, port_of, upgrade

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.capture import MESSAGE_BYTES, VISITORS
from reactdiff_ros.capture.browser import HEAD, PICTURE, acknowledge
from tools.chromium import Chromium, Page

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


WRONG = {
    "text": frame(0x81, b"{}"),
    "too large": frame(0x82, bytes(MESSAGE_BYTES + 1)),
    "in parts without end": frame(0x02, bytes(MESSAGE_BYTES // 8)) + 19 * frame(0, bytes(MESSAGE_BYTES // 8)),
}


@pytest.mark.parametrize("message", WRONG)
async def test_what_is_no_message_ends_the_visit(server: AvatarServer, node: Node, message: str) -> None:
    page, raw = await asyncio.open_connection("127.0.0.1", port_of(server.url), limit=1024)
    raw.write(upgrade("capture"))
    await page.readuntil(b"\r\n\r\n")
    line, writer = await node.lines.get()
    with suppress(ConnectionError):
        raw.write(WRONG[message])
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
        sent = 0
        with suppress(asyncio.TimeoutError):
            while sent < 10 * KERNEL_BYTES:
                await asyncio.wait_for(page.send_bytes(bytes(200_000)), 1.0)
                sent += 200_000
        assert sent < KERNEL_BYTES
        async with session.get(server.url + "healthz") as alive:
            assert alive.status == 200
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


async def test_a_robot_with_its_own_camera_says_so(session: aiohttp.ClientSession, started: Started) -> None:
    for capture in ("", "\0reactdiff_ros-test-capture/nobody"):
        server = await started(AvatarServer(AvatarConfig(port=0), capture=capture))
        async with session.ws_connect(server.url + "capture") as page:
            assert "its own camera and microphone" in str((await page.receive(timeout=10)).extra)


# ---- in a browser

READY = "window.reactdiff && !document.getElementById('visitor').hidden"


class Robot(Stage):
    """A page whose pictures are taken by the test, which answers each after `delay_s`."""

    def __init__(self) -> None:
        self.delay_s, self.pictures = 0.0, 0
        self.node = Node()
        config = AvatarConfig(port=0, extra_hosts=("robot.lan",))
        super().__init__(AvatarServer(config, capture=self.node.address))
        self.on_loop(self.node.start())
        self._taking = asyncio.run_coroutine_threadsafe(self._take(), self.loop)
        self.server.status({"visitor": "free"})

    async def _take(self) -> None:
        reader, self.writer = await self.node.lines.get()
        self.writer.write(framed(b'{"seat": true}'))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not self.writer.is_closing():
                message = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "little"))
                if HEAD.unpack_from(message)[1] == PICTURE:
                    self.pictures += 1
                    await asyncio.sleep(self.delay_s)
                    self.writer.write(framed(acknowledge(message)))

    def say(self, **said: Any) -> None:
        self.loop.call_soon_threadsafe(self.writer.write, framed(json.dumps(said).encode()))

    def close(self) -> None:
        self._taking.cancel()
        self.on_loop(self.node.stop())
        super().close()


@pytest.fixture
def robot() -> Iterator[Robot]:
    with Robot() as robot:
        yield robot


@pytest.fixture
def page(robot: Robot, browser: Chromium) -> Iterator[Page]:
    with opened(browser, robot.url, READY, phone=True) as page:
        yield page


def press(page: Page) -> None:
    page.value("document.getElementById('visit-button').click()")
    page.value("document.getElementById('consent').open && document.getElementById('consent-yes').click()")


def says(page: Page, words: str, state: str) -> None:
    """The sentence is shown, whole, and the visit is in this state."""
    page.until(f"document.getElementById('visit-sentence').innerText.includes({json.dumps(words)})", 20)
    assert page.value("reactdiff.visitor().state") == state
    assert page.value("document.getElementById('visitor').getBoundingClientRect().right") <= 390


@in_browser
def test_a_camera_that_cannot_be_opened(robot: Robot, page: Page, browser: Chromium) -> None:
    for error, words in (
        ("NotAllowedError", "not allowed for this page"),
        ("NotFoundError", "has no camera"),
        ("NotReadableError", "in use by another program"),
        ("OverconstrainedError", "choose another"),
        ("AbortError", "cannot be opened (why)"),
    ):
        refused = f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('why', '{error}'); }}"
        page.value(f"({refused}, 0)")
        press(page)
        says(page, words, "off")
        assert page.value("document.getElementById('visit-button').textContent") == "Use my camera"
    page.value("delete window.OffscreenCanvas")
    press(page)
    says(page, "too old", "off")
    with opened(browser, robot.url.replace("127.0.0.1", "robot.lan"), READY, phone=True) as other:
        press(other)
        says(other, "started with --https", "off")
    assert robot.pictures == 0


@in_browser
def test_a_visit_without_a_microphone_on_a_slow_line_with_a_clock_that_is_off_until_it_is_cut_off(
    robot: Robot, page: Page
) -> None:
    page.value(
        "((open) => { navigator.mediaDevices.getUserMedia = async (wanted) => { if (wanted.audio) throw "
        "new DOMException('', 'NotFoundError'); return open(wanted); }; })"
        "(navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices))"
    )
    robot.delay_s = 1.0  # a busy machine takes a few pictures a second only
    press(page)
    says(page, "The network is slow", "live")
    robot.delay_s = 0.0
    page.until("reactdiff.visitor().sent > 5 && document.getElementById('visit-sentence').innerText === ''", 20)
    assert page.value("reactdiff.visitor().sounds") == 0
    for ahead_s, words in ((5.0, "5 s ahead of the robot's"), (-61.2, "61 s behind the robot's")):
        robot.say(ahead_s=ahead_s)
        says(page, words, "live")
    assert page.errors == []
    robot.loop.call_soon_threadsafe(robot.writer.close)
    says(page, "The connection to the robot was lost", "off")
