"""What tests of pages share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from stage import Sheet, Stage

from tools.chromium import Chromium


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
        yield session


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium((1280, 720)) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def sheet(browser: Chromium, stage: Stage) -> Iterator[Sheet]:
    sheet = Sheet(browser, stage.url)
    yield sheet
    errors = sheet.page.errors
    sheet.page.close()
    assert errors == []
