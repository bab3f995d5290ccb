"""What tests of pages share."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from stage import Sheet, Stage

from tools.chromium import Chromium


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
        yield session


@pytest.fixture
async def started() -> AsyncIterator[Callable[[Any], Awaitable[Any]]]:
    """`await started(server)`: the server, started; it is stopped after the test."""
    servers: list[Any] = []

    async def start(server: Any) -> Any:
        servers.append(server)
        await server.start()
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    """One browser for all pages of a run; it has a camera and a microphone, and finds this machine as robot.lan."""
    media = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    alone = ("--autoplay-policy=no-user-gesture-required", "--host-resolver-rules=MAP robot.lan 127.0.0.1")
    with Chromium((1280, 720), (*media, *alone)) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


@pytest.fixture(scope="module")
def sheet(browser: Chromium, stage: Stage) -> Iterator[Sheet]:
    sheet = Sheet(browser, stage.url)
    yield sheet
    errors = sheet.page.errors
    sheet.page.close()
    assert errors == []
