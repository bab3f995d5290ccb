"""Ending a visit: who may, and what the operator's screen shows of visitors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from serving import LINK, TOKEN
from stage import Stage, in_browser, opened, text

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.arming import RobotConsole
from reactdiff_ros.errors import DeviceError
from tools.chromium import Chromium, Page

Started = Callable[[AvatarServer], Awaitable[AvatarServer]]


class Visits:
    """A node that ends visits, or fails to."""

    def __init__(self) -> None:
        self.ended = 0
        self.error: Exception | None = None

    async def pass_on(self) -> tuple[bool, str]:
        if self.error is not None:
            raise self.error
        self.ended += 1
        return True, "The next visitor's turn begins."


async def unused(_what: str) -> tuple[bool, str]:
    raise AssertionError


def server(visits: Visits, host: str = "127.0.0.1") -> AvatarServer:
    config = AvatarConfig(port=0, host=host)
    return AvatarServer(config, RobotConsole(unused, TOKEN), link_token=LINK, pass_on=visits.pass_on)


async def ask(server: AvatarServer, body: Any = None, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session:
        given = {"Authorization": f"Bearer {LINK}", **headers}
        async with session.post(server.url + "api/visitor/pass", json=body or {}, headers=given) as answer:
            return answer.status, (await answer.json())["message"] if "json" in answer.content_type else ""


async def test_beyond_this_machine_only_the_operator_ends_a_visit(started: Started) -> None:
    visits = Visits()
    shared = await started(server(visits, "0.0.0.0"))
    for wrong in ({}, {"token": LINK}, {"token": 5}, {"token": "x"}):
        assert (await ask(shared, wrong))[0] == 403
    assert (await ask(shared, {"token": TOKEN}, Authorization="Bearer x"))[0] == 401
    assert (await ask(shared, {"token": TOKEN}, Origin="http://evil.example"))[0] == 403
    assert visits.ended == 0
    assert await ask(shared, {"token": TOKEN.upper()}) == (200, "The next visitor's turn begins.")
    assert visits.ended == 1


async def test_on_this_machine_no_token_is_needed_and_other_sites_cannot(
    started: Started, session: aiohttp.ClientSession
) -> None:
    visits = Visits()
    local = await started(server(visits))
    async with session.post(local.url + "api/visitor/pass", data={"a": "b"}) as answer:  # as a form of another site
        assert answer.status == 415
    async with session.get(local.url + "api/visitor/pass") as answer:
        assert answer.status in (404, 405)
    assert visits.ended == 0
    assert (await ask(local))[0] == 200
    visits.error = DeviceError("the node does not answer", where="browser_node")
    assert await ask(local) == (503, "the node does not answer (browser_node)")
    visits.error = asyncio.TimeoutError()
    assert await ask(local) == (503, "The visitors' node does not answer.")


async def test_without_visitors_there_is_nothing_to_end(serve: Callable[..., Awaitable[AvatarServer]]) -> None:
    assert (await ask(await serve()))[0] == 404


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(server(Visits())) as stage:
        yield stage


@pytest.fixture
def page(stage: Stage, browser: Chromium) -> Iterator[Page]:
    stage.server.status({"stages": {}})
    with opened(browser, stage.url + "operator", "document.readyState === 'complete'") as page:
        yield page
        assert page.errors == []


@in_browser
def test_the_operators_screen_says_who_is_there_and_its_button_ends_the_visit(stage: Stage, page: Page) -> None:
    assert page.value("document.getElementById('seat').hidden")
    for waiting, sentence, button in (
        (0, "No one waits.", "End the visit"),
        (1, "1 visitor waits.", "Next visitor"),
        (3, "3 visitors wait.", "Next visitor"),
    ):
        stage.server.status({"stages": {}, "visitor": "taken", "visitors_waiting": waiting})
        page.until(f"document.getElementById('seat-state').textContent.endsWith('{sentence}')")
        assert text(page, "seat-button") == button
    assert page.value("document.getElementById('seat-token').hidden")  # this machine's own page
    page.value("document.getElementById('seat-button').click()")
    page.until("document.getElementById('seat-answer').textContent === \"The next visitor's turn begins.\"")
    stage.server.status({"stages": {}, "visitor": "free", "visitors_waiting": 0})
    page.until("document.getElementById('seat-form').hidden")
    assert text(page, "seat-state") == "No visitor's camera is in use."


async def test_a_page_chooses_what_is_offered_and_beyond_this_machine_only_the_operator(started: Started) -> None:
    chosen: list[tuple[str, str]] = []
    offered = {"style": {"warm": {"mouthSmileLeft": 0.3}}, "gesture": {"nod": {"headPitch": 0.2}}}

    async def answered(host: str, path: str, body: Any = None, **headers: str) -> int:
        config = AvatarConfig(port=0, host=host)
        options = {"link_token": LINK, "choices": offered, "choose": lambda *what: chosen.append(what)}
        server = await started(AvatarServer(config, RobotConsole(unused, TOKEN), **options))  # type: ignore[arg-type]
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {LINK}"}) as session:
            async with session.post(f"{server.url}api/choose/{path}", json=body or {}, headers=headers) as answer:
                status = answer.status
            async with session.get(f"{server.url}api/choices") as answer:
                assert await answer.json() == (offered if host == "127.0.0.1" else {})
            async with session.get(f"{server.url}api/status") as answer:
                assert (await answer.json())["page"]["choices"] is (host == "127.0.0.1")
        return status

    assert await answered("127.0.0.1", "style/warm") == 200
    assert await answered("127.0.0.1", "style/nod") == 404
    assert await answered("127.0.0.1", "torque/on") == 404
    assert await answered("127.0.0.1", "style/warm", Origin="http://evil.example") == 403
    assert await answered("0.0.0.0", "gesture/nod") == 403
    assert chosen == [("style", "warm")]
    assert await answered("0.0.0.0", "gesture/nod", {"token": TOKEN}) == 200
    assert chosen[-1] == ("gesture", "nod")
