"""Commands of pages to the robot: the token, other sites, and the stop that wins."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from serving import TOKEN, port_of, until

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.arming import STOP_TRIES, RobotConsole
from reactdiff_ros.errors import ConfigError, DeviceError

Ask = Callable[..., Awaitable[tuple[int, str]]]
STATE = {"robot": "ohbot", "state": "disarmed", "armed": False}


class Actuator:
    """Takes requests in the order in which they come; some are held up, refused or lost."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.fails: list[Exception | None] = []
        self.refuses = ""
        self.armed = self.stopped = False

    async def __call__(self, what: str) -> tuple[bool, str]:
        if gate := self.gates.get(what):
            await gate.wait()
        if what == "stop" and self.fails and (error := self.fails.pop(0)) is not None:
            raise error
        if self.refuses:
            return False, self.refuses
        self.done.append(what)
        if what == "arm" and self.stopped:
            return False, "the robot is stopped"
        self.stopped = {"stop": True, "reset": False}.get(what, self.stopped)
        self.armed = {"stop": False, "arm": True, "disarm": False}.get(what, self.armed)
        return True, f"{what} done"


@pytest.fixture
def actuator() -> Actuator:
    return Actuator()


@pytest.fixture
async def server(actuator: Actuator, started: Callable[[Any], Awaitable[Any]]) -> AvatarServer:
    server = await started(AvatarServer(AvatarConfig(port=0), RobotConsole(actuator, TOKEN)))
    server.status({"actuator": STATE})
    return server


@pytest.fixture
def ask(server: AvatarServer, session: aiohttp.ClientSession) -> Ask:
    """Status and sentence of the answer to a command that brings this JSON."""

    async def post(command: str, body: object, **headers: str) -> tuple[int, str]:
        async with session.post(f"{server.url}api/robot/{command}", json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text)["message"] if text.startswith("{") else text

    return post


async def test_the_right_token_moves_the_robot(ask: Ask, actuator: Actuator) -> None:
    for command in ("arm", "disarm", "reset"):
        assert await ask(command, {"token": f" {TOKEN.upper()} "}) == (200, f"{command} done")  # as typed
    assert actuator.done == ["arm", "disarm", "reset"]
    actuator.refuses = "the position of a joint is unknown: jaw"
    assert await ask("arm", {"token": TOKEN}) == (409, actuator.refuses)
    status, sentence = await ask("dance", {"token": TOKEN})
    assert status == 404
    assert "arm, disarm, reset or stop" in sentence


async def test_no_servo_moves_without_the_token(ask: Ask, actuator: Actuator) -> None:
    """Wrong ones lock out no one: before, ten of them from anyone refused the right one too, for a minute."""
    bodies = [{}, {"token": ""}, {"token": None}, {"token": 5}, {"token": TOKEN[:-1]}, {"token": "ä"}]
    for command, body in itertools.product(("arm", "disarm", "reset"), bodies):
        status, sentence = await ask(command, body)
        assert status == 403
        assert sentence.count(".") == 1
        assert "the terminal prints" in sentence
    assert actuator.done == []
    assert (await ask("disarm", {"token": TOKEN}))[0] == 200


async def test_other_sites_do_not_reach_the_robot(ask: Ask, server: AvatarServer, actuator: Actuator) -> None:
    port = port_of(server.url)
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://localhost:{port + 1}"},
        {"Host": "evil.example"},  # DNS rebinding: the browser believes that this is where it came from
        {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
    ):
        for command in ("arm", "disarm", "reset", "stop"):
            status, sentence = await ask(command, {"token": TOKEN}, **headers)
            assert status == 403
            assert "another site" in sentence or "is not one that this page is served under" in sentence
    assert actuator.done == []


@pytest.mark.parametrize("token", ["", "1", "abcde-fgh23", "a" * 15, "a" * 129, "abcde fghjk mnp23", "ä" * 16])
def test_a_token_that_could_be_guessed_is_refused(actuator: Actuator, token: str) -> None:
    """As wrong ones are not counted: ten letters of a token were enough while they were."""
    with pytest.raises(ConfigError, match=r"REACTDIFF_PAGE_TOKEN.*16 to 128"):
        RobotConsole(actuator, token)


async def test_without_an_actuator_there_is_nothing_to_command(ask: Ask, server: AvatarServer) -> None:
    server.status({"listener": {}})
    for command in ("arm", "stop"):
        assert await ask(command, {"token": TOKEN}) == (404, "There is no robot with an actuator here.")


async def test_a_stop_wins_over_a_command_under_way(actuator: Actuator) -> None:
    desk = RobotConsole(actuator, TOKEN)
    actuator.gates["arm"] = asyncio.Event()
    arming = asyncio.ensure_future(desk.command("arm", TOKEN))
    await until(lambda: bool(desk._busy))
    second = await desk.command("arm", TOKEN)
    assert (second.status, second.message) == (409, "Another command is under way.")
    assert (await desk.stop()).done, "it does not wait for the other"
    assert actuator.done == ["stop"]
    refused = await desk.command("reset", TOKEN)
    assert (refused.status, refused.message) == (409, "The robot is being stopped.")
    actuator.stopped = False  # as if the arming had been heard before the stop
    actuator.gates.pop("arm").set()
    await arming
    await until(lambda: actuator.done == ["stop", "arm", "stop"])
    assert (actuator.armed, actuator.stopped) == (False, True), "the stop has the last word"
    await until(lambda: desk._last_word is not None and desk._last_word.done())
    assert (await desk.command("reset", TOKEN)).done


async def test_a_stop_is_tried_until_it_is_confirmed(actuator: Actuator) -> None:
    desk = RobotConsole(actuator, TOKEN)
    actuator.fails = [DeviceError("the actuator does not answer"), RuntimeError("the handle was destroyed"), None]
    answers = await asyncio.gather(desk.stop(), desk.stop())
    assert [a.status for a in answers] == [200, 200]
    assert actuator.done == ["stop"], "two pages, one stop"
    actuator.fails = [DeviceError("the actuator does not answer")] * STOP_TRIES
    lost = await desk.stop()
    assert lost.status == 503
    assert "NOT confirmed" in lost.message
    assert "cut the power" in lost.message


async def test_an_actuator_that_does_not_answer(actuator: Actuator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reactdiff_ros.avatar.arming.COMMAND_S", 0.02)
    monkeypatch.setattr("reactdiff_ros.avatar.arming.STOP_TRY_S", 0.02)
    desk = RobotConsole(actuator, TOKEN)
    for what in ("arm", "stop"):
        actuator.gates[what] = asyncio.Event()
    answer = await desk.command("arm", TOKEN)
    assert answer.status == 503
    assert "has not answered" in answer.message
    assert (await desk.stop()).status == 503
