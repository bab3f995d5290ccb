"""What tests of pages share: requests, a browser's pages, and a served screen face with an actuator that obeys."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.arming import RobotConsole
from reactdiff_ros.avatar.web import EventLoop
from reactdiff_ros.coefficients import sides
from reactdiff_ros.types import ExpressionFrame
from tools.chromium import Chromium, Page, find_chromium

TOKEN = "abcde-fghjk-mnp23"
"""Of a robot's operator."""
LINK = "a-token_of-22-letters0"
"""Of a page's link."""
PHONE = (390, 844)
IN_BROWSER = [pytest.mark.browser, pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")]


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait on the event loop; without one: `deadline.until`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0)


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def upgrade(path: str) -> bytes:
    """The request for a websocket."""
    return (
        f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


def in_browser(test: Any) -> Any:
    """A test, or a class of them, that needs a browser."""
    for mark in IN_BROWSER:
        test = mark(test)
    return test


@contextmanager
def opened(
    browser: Chromium, url: str, ready: str = "window.reactdiff", seconds: float = 10.0, *, phone: bool = False
) -> Iterator[Page]:
    """A page that is `ready`, of the size of a screen or of a `phone`; it is closed afterwards."""
    page = browser.open(url)
    try:
        if phone:
            page.resize(*PHONE)
        page.until(ready, seconds)
        yield page
    finally:
        page.close()


class Stage:
    """A server on its own thread and event loop."""

    def __init__(self, server: AvatarServer | None = None) -> None:
        self._events = EventLoop()
        self.loop = self._events._loop
        self.asked: list[str] = []
        self.server = server or AvatarServer(AvatarConfig(port=0), RobotConsole(self.command, TOKEN))
        self.url = self.on_loop(self.server.start())

    async def command(self, what: str) -> tuple[bool, str]:
        """What the actuator does; tests override it."""
        self.asked.append(what)
        return True, f"{what}: done"

    def on_loop(self, work: Any) -> Any:
        return self._events.call(work, 10.0)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.on_loop(self.server.stop())
        self._events.close()


class Shown(Stage):
    """Shows one face, of a picture that is 60 ms old, and a page that looks at it."""

    def __init__(self, browser: Chromium, server: AvatarServer | None = None) -> None:
        super().__init__(server)
        self.feed(np.zeros(58, np.float32))
        self._done = threading.Event()
        self._feeder = threading.Thread(target=self._go_on, daemon=True)
        self._feeder.start()
        self.page: Page = browser.open(self.url)
        self.page.until("window.reactdiff && reactdiff.fresh() && reactdiff.state().drawn", 20)

    def _go_on(self) -> None:
        now_ns = 10**9
        while not self._done.wait(0.02):
            now_ns += 20_000_000
            values, swing = self._fed
            if values is not None and swing:
                values = np.abs(np.sin(now_ns * 3e-9 + np.arange(58))).astype(np.float32) * values
            if values is not None:
                frame = ExpressionFrame(now_ns, values, "listening", (), now_ns - 60_000_000, None, None, None)
                self.server.show(frame)

    def feed(self, values: np.ndarray | None, swing: bool = False) -> None:
        """The face from now on; None: none comes."""
        self._fed = values, swing

    def show(self, **coefficients: float) -> None:
        """Show these coefficients (mouthSmile sets both sides); returns once they have arrived."""
        values = np.zeros(58, np.float32)
        for name, value in coefficients.items():
            values[sides(name)] = value
        self.feed(values)
        wanted = [round(float(v), 4) for v in values]
        self.page.until(f"(shown => {wanted}.every((v, i) => Math.abs(v - shown[i]) < 1e-3))(reactdiff.values())", 20)

    def drawn(self, **coefficients: float) -> dict[str, Any]:
        """The drawing of these coefficients."""
        self.show(**coefficients)
        return dict(self.page.value("reactdiff.state().drawn"))

    def state(self) -> dict[str, Any]:
        return dict(self.page.value("reactdiff.state()"))

    def __exit__(self, *_: object) -> None:
        self.page.close()
        self._done.set()
        self._feeder.join()
        super().__exit__()


class Sheet:
    """A page that draws what it is told."""

    def __init__(self, browser: Chromium, url: str) -> None:
        self.page: Page = browser.open(url + "frame")
        self.page.until("window.reactdiff")

    def draw(self, look: str = "soft", time: float = 0.0, mood: dict[str, float] | None = None, **face: float) -> Any:
        """The drawing of these coefficients (mouthSmile sets both sides)."""
        arguments = ", ".join(json.dumps(value) for value in (face, time, look, mood or {}))
        return self.page.value(f"reactdiff.measured({arguments})")


def text(page: Any, name: str) -> str:
    return str(page.value(f"document.getElementById('{name}').innerText"))
