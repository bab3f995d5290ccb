"""Visitors' cameras: what their pages send is passed on whole; what goes wrong with one or a visit is one sentence."""

import asyncio
import json
import os
import socket
from contextlib import suppress

import aiohttp
import pytest
from stage import Stage, in_browser, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.capture import MESSAGE_BYTES, VISITORS
from reactdiff_ros.capture.browser import HEAD, PICTURE, acknowledge
from tools.chromium import Page

KERNEL_BYTES = 20_000_000
"""More than the kernel's buffers and a few messages hold."""


class Node:
    """The other ends of visitors' lines."""

    def __init__(self) -> None:
        self._ours: asyncio.Queue[socket.socket] = asyncio.Queue()

    def connect(self) -> socket.socket:
        """The page's end of another line."""
        ours, pages = socket.socketpair()
        self._ours.put_nowait(ours)
        return pages

    async def line(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Our end of the oldest one that was not asked for yet."""
        return await asyncio.open_connection(sock=await self._ours.get())


def framed(message: bytes) -> bytes:
    """As the node reads and writes it."""
    return len(message).to_bytes(4, "little") + message


@pytest.fixture
def node():
    return Node()


@pytest.fixture
async def server(node, started):
    return await started(AvatarServer(AvatarConfig(port=0), capture=node.connect))


async def test_messages_pass_whole_both_ways_and_what_is_none_ends_the_visit(server, node, session):
    async with session.ws_connect(server.url + "capture") as page:
        reader, writer = await node.line()
        for sent in (b"x", os.urandom(MESSAGE_BYTES - 100)):
            await page.send_bytes(sent)
            assert await reader.readexactly(len(sent) + 4) == framed(sent)
        writer.write(framed(b'{"seat": true}') + framed(b"\x01\x02"))
        assert (await page.receive(timeout=10)).data == '{"seat": true}'
        assert (await page.receive(timeout=10)).data == b"\x01\x02"
        writer.close()
        assert (await page.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE  # the node is gone
    for end in ("close", "text", "too large"):
        async with session.ws_connect(server.url + "capture") as page:
            reader, writer = await node.line()
            if end == "close":
                await page.close()
            else:
                await (page.send_str("{}") if end == "text" else page.send_bytes(bytes(MESSAGE_BYTES + 1)))
            assert await asyncio.wait_for(reader.read(), 10) == b"", end  # and nothing of it was passed on
            writer.close()


async def test_a_node_that_does_not_read_holds_the_page_back(server, node, session):
    async with session.ws_connect(server.url + "capture") as page:
        _, writer = await node.line()
        sent = 0
        with suppress(asyncio.TimeoutError):
            while sent < 10 * KERNEL_BYTES:
                await asyncio.wait_for(page.send_bytes(bytes(200_000)), 1.0)
                sent += 200_000
        assert sent < KERNEL_BYTES
        async with session.get(server.url + "healthz") as alive:
            assert alive.status == 200
        writer.transport.abort()


async def test_there_is_a_limit_to_visitors_and_a_robot_with_its_own_camera_says_so(server, node, session, started):
    pages = [await session.ws_connect(server.url + "capture") for _ in range(VISITORS)]
    async with session.ws_connect(server.url + "capture") as late:
        assert "Too many visitors" in str((await late.receive(timeout=10)).extra)
    for page in pages:
        await page.close()
    async with session.ws_connect(server.url + "capture") as page:
        assert not page.closed
    for capture in ("", "\0reactdiff_ros-test-capture/nobody"):
        other = await started(AvatarServer(AvatarConfig(port=0), capture=capture))
        async with session.ws_connect(other.url + "capture") as page:
            assert "its own camera and microphone" in str((await page.receive(timeout=10)).extra)
        async with session.post(other.url + "api/visitor/pass", json={}) as answer:
            assert answer.status == 404


# ---- in a browser

READY = "window.reactdiff && !document.getElementById('visitor').hidden"


class Robot(Stage):
    """A page whose pictures are taken by the test."""

    def __init__(self) -> None:
        self.pictures = 0
        self.node = Node()
        config = AvatarConfig(port=0, extra_hosts=("robot.lan",))
        super().__init__(AvatarServer(config, capture=self.node.connect))
        self._taking = asyncio.run_coroutine_threadsafe(self._take(), self.loop)
        self.server.status({"visitor": "free"})

    async def _take(self) -> None:
        reader, self.writer = await self.node.line()
        self.writer.write(framed(b'{"seat": true}'))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not self.writer.is_closing():
                message = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "little"))
                if HEAD.unpack_from(message)[1] == PICTURE:
                    self.pictures += 1
                    self.writer.write(framed(acknowledge(message)))

    def __exit__(self, *_: object) -> None:
        self._taking.cancel()
        super().__exit__()


def press(page: Page) -> None:
    page.value("document.getElementById('visit-button').click()")
    page.value("document.getElementById('consent').open && document.getElementById('consent-yes').click()")


def says(page: Page, words: str, state: str) -> None:
    """The sentence is shown, whole, and the visit is in this state."""
    page.until(f"document.getElementById('visit-sentence').innerText.includes({json.dumps(words)})", 20)
    assert page.value("reactdiff.visitor().state") == state
    assert page.value("document.getElementById('visitor').getBoundingClientRect().right") <= 390


def answer_for_a_camera(page: Page, code: str) -> None:
    """What getUserMedia does from now on; `open` is the real one."""
    page.value(
        "((open) => { navigator.mediaDevices.open = open; navigator.mediaDevices.getUserMedia = async (wanted) => "
        f"{{ {code} }}; }})(navigator.mediaDevices.open ?? "
        "navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices))"
    )


@in_browser
def test_a_camera_that_cannot_be_opened_and_a_visit_without_a_microphone_until_it_is_cut_off(browser):
    with Robot() as robot, opened(browser, robot.url, READY, phone=True) as page:
        for error, words in (
            ("NotAllowedError", "not allowed for this page"),
            ("NotFoundError", "has no camera"),
            ("NotReadableError", "in use by another program"),
        ):
            answer_for_a_camera(page, f"throw new DOMException('why', '{error}');")
            press(page)
            says(page, words, "off")
        with opened(browser, robot.url.replace("127.0.0.1", "robot.lan"), READY, phone=True) as other:
            press(other)
            says(other, "started with --https", "off")
        page.front()
        answer_for_a_camera(page, "if (wanted.audio) throw new DOMException('', 'NotFoundError'); return open(wanted);")
        assert robot.pictures == 0
        press(page)
        page.until("reactdiff.visitor().sent > 5 && document.getElementById('visit-sentence').innerText === ''", 20)
        assert page.value("reactdiff.visitor().sounds") == 0
        robot.loop.call_soon_threadsafe(robot.writer.close)
        says(page, "The connection to the robot was lost", "off")
        page.value("delete window.OffscreenCanvas")
        press(page)
        says(page, "too old", "off")
        assert page.errors == []
