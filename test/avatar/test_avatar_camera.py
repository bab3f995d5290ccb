"""What the page says when its visitor's camera cannot be had, or a visit goes badly: one sentence each."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from stage import IN_BROWSER, Stage, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.capture.browser import HEAD, PICTURE, acknowledge
from tools.chromium import Chromium, Page

pytestmark = IN_BROWSER
READY = "window.reactdiff && !document.getElementById('visitor').hidden"
_numbers = itertools.count()


class Visited(Stage):
    """A page whose pictures are taken by the test: `says` at once, and an answer to each after `delay_s`."""

    def __init__(self) -> None:
        self.address = f"\0reactdiff_ros-test-camera/{os.getpid()}/{next(_numbers)}"
        self.says: list[dict[str, Any]] = [{"seat": True}]
        self.delay_s = 0.0
        self.pictures = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._hung_up: asyncio.StreamWriter | None = None
        config = AvatarConfig(port=0, extra_hosts=("robot.lan",))
        super().__init__(AvatarServer(config, capture=self.address))
        self._node = self.on_loop(asyncio.start_unix_server(self._take, self.address))

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        for said in self.says:
            self._send(writer, json.dumps(said).encode())
        try:
            while True:
                message = await reader.readexactly(struct.unpack("<I", await reader.readexactly(4))[0])
                if HEAD.unpack_from(message)[1] == PICTURE:
                    self.pictures += 1
                    await asyncio.sleep(self.delay_s)
                    if writer is not self._hung_up:
                        self._send(writer, acknowledge(message))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _send(self, writer: asyncio.StreamWriter, message: bytes) -> None:
        writer.write(struct.pack("<I", len(message)) + message)

    def say(self, **said: Any) -> None:
        self.loop.call_soon_threadsafe(self._send, self._writers[-1], json.dumps(said).encode())

    def hang_up(self) -> None:
        """As browser_node does: nothing more is sent, and what the page sends is heard until it ends."""
        self._hung_up = self._writers[-1]
        self.loop.call_soon_threadsafe(self._hung_up.write_eof)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._node.close)
        super().close()


@pytest.fixture
def stage() -> Iterator[Visited]:
    with Visited() as stage:
        stage.server.status({"visitor": "free"})
        yield stage


@pytest.fixture
def page(stage: Visited, browser: Chromium) -> Iterator[Page]:
    with opened(browser, stage.url, READY, phone=True) as page:
        yield page


def press(page: Page) -> None:
    page.value("document.getElementById('visit-button').click()")
    page.value("document.getElementById('consent').open && document.getElementById('consent-yes').click()")


def says(page: Page, words: str, state: str) -> None:
    """The sentence is shown, whole, and the visit is in this state."""
    page.until(f"document.getElementById('visit-sentence').innerText.includes({json.dumps(words)})", 20)
    assert page.value("reactdiff.visitor().state") == state
    assert page.value("document.getElementById('visitor').getBoundingClientRect().right") <= 390


def test_a_camera_that_cannot_be_opened(stage: Visited, page: Page) -> None:
    for error, words in (
        ("NotAllowedError", "not allowed for this page: allow it"),
        ("NotFoundError", "has no camera"),
        ("NotReadableError", "in use by another program: close it"),
        ("OverconstrainedError", "choose another"),
        ("AbortError", "cannot be opened (why)"),
    ):
        refused = f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('why', '{error}'); }}"
        page.value(f"({refused}, 0)")
        press(page)
        says(page, words, "off")
        assert page.value("document.getElementById('visit-button').textContent") == "Use my camera"
    assert stage.pictures == 0


def test_without_a_microphone_the_camera_alone(stage: Visited, page: Page) -> None:
    page.value(
        "((open) => { navigator.mediaDevices.getUserMedia = async (wanted) => { if (wanted.audio) throw "
        "new DOMException('', 'NotFoundError'); return open(wanted); }; })"
        "(navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices))"
    )
    press(page)
    page.until("reactdiff.visitor().sent > 5", 20)
    assert page.value("reactdiff.visitor().sounds") == 0
    assert page.errors == []


def test_a_slow_line_is_told_and_its_end_too(stage: Visited, page: Page) -> None:
    stage.delay_s = 1.0  # a busy machine takes a few pictures a second only
    press(page)
    says(page, "The network is slow", "live")
    stage.delay_s = 0.0
    page.until("document.getElementById('visit-sentence').innerText === ''", 20)
    assert page.value("reactdiff.visitor().state") == "live"


def test_a_clock_that_is_off_is_told(stage: Visited, page: Page) -> None:
    press(page)
    page.until("reactdiff.visitor().sent > 1", 20)
    for ahead_s, words in ((5.0, "5 s ahead of the robot's"), (-61.2, "61 s behind the robot's")):
        stage.say(ahead_s=ahead_s)
        says(page, words, "live")


def test_a_hidden_page_pauses_and_says_so(stage: Visited, page: Page, browser: Chromium) -> None:
    press(page)
    page.until("reactdiff.visitor().sent > 1", 20)
    other = browser.open(stage.url + "faces")
    page.until("reactdiff.visitor().state === 'off'")
    assert page.value("reactdiff.visitor().sentence") == "Paused: this page was hidden."
    other.close()
    page.front()
    page.until("reactdiff.visitor().state === 'live'", 20)


def test_who_waits_reads_how_many_come_first(stage: Visited, page: Page) -> None:
    stage.says = [{"waiting": 2}]
    press(page)
    says(page, "1 more before you", "waiting")
    stage.say(waiting=1)
    says(page, "you are next", "waiting")
    assert page.value("document.getElementById('visit-button').textContent") == "Cancel"
    assert page.value("document.getElementById('me').hidden")
    assert stage.pictures == 0
    stage.say(seat=True)
    page.until("reactdiff.visitor().sent > 1", 20)
    assert page.value("document.getElementById('visit-sentence').innerText") == ""


def test_the_end_of_a_visit_has_its_reason(stage: Visited, page: Page) -> None:
    press(page)
    page.until("reactdiff.visitor().sent > 1", 20)
    stage.say(sentence="The operator has ended this visit.")
    stage.hang_up()
    says(page, "The operator has ended this visit.", "off")
    press(page)
    page.until("reactdiff.visitor().state === 'live'", 20)
    stage.hang_up()
    says(page, "The connection to the robot was lost: press again.", "off")


def test_a_page_that_may_have_no_camera_and_a_browser_that_is_too_old_say_so(
    stage: Visited, page: Page, browser: Chromium
) -> None:
    page.value("delete window.OffscreenCanvas")
    press(page)
    says(page, "too old", "off")
    with opened(browser, stage.url.replace("127.0.0.1", "robot.lan"), READY, phone=True) as other:
        press(other)
        says(other, "started with --https", "off")
