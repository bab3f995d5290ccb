"""What a page may ask for: commands to a robot, the end of a visit, a style or a gesture; who may, that a stop wins.
The robot's part of the panel: its token, and one click or key that stops.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import deadline
import pytest
from stage import LINK, TOKEN, Stage, in_browser, opened, port_of, text, until

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.arming import STOP_TRIES, RobotConsole
from reactdiff_ros.errors import ConfigError, DeviceError
from tools.chromium import Chromium, Page

CONNECTED = "window.reactdiff && reactdiff.connected()"
COMMANDS = ("arm", "disarm", "reset")
OFFERED = {"style": {"warm": {"mouthSmileLeft": 0.3}}, "gesture": {"nod": {"headPitch": 0.2}}}


class Actuator:
    """Takes requests in the order in which they come; some are held up, refused or lost. It ends visits, too."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.fails: list[Exception | None] = []
        self.refuses = ""
        self.armed = self.stopped = False

    async def __call__(self, what: str) -> tuple[bool, str]:
        if gate := self.gates.get(what):
            await gate.wait()
        if self.fails and (error := self.fails.pop(0)) is not None:
            raise error
        if self.refuses:
            return False, self.refuses
        self.done.append(what)
        self.stopped = {"stop": True, "reset": False}.get(what, self.stopped)
        self.armed = {"stop": False, "arm": True, "disarm": False}.get(what, self.armed)
        return True, f"{what} done"

    def server(self, host: str = "127.0.0.1") -> AvatarServer:
        """A page whose visits it ends, and which offers a style and a gesture."""
        options = {
            "link_token": LINK, "choices": OFFERED, "pass_on": lambda: self("pass on"),
            "choose": lambda kind, name: self.done.append(f"{kind} {name}"),
        }  # fmt: skip
        server = AvatarServer(AvatarConfig(port=0, host=host), RobotConsole(self, TOKEN), **options)  # type: ignore[arg-type]
        server.status({"actuator": {"robot": "ohbot", "state": "disarmed", "armed": False}})
        return server


@pytest.fixture
def actuator() -> Actuator:
    return Actuator()


@pytest.fixture
async def server(actuator: Actuator, started: Callable[[Any], Awaitable[Any]]) -> AvatarServer:
    return await started(actuator.server())


async def ask(server: AvatarServer, path: str, body: object = None, **headers: str) -> tuple[int, str]:
    """Status and sentence of the answer to a command that brings this JSON, from who has the link."""
    async with aiohttp.ClientSession() as session:
        given = {"Authorization": f"Bearer {LINK}", **headers}
        async with session.post(f"{server.url}api/{path}", json=body or {}, headers=given) as answer:
            return answer.status, (await answer.json())["message"] if "json" in answer.content_type else ""


async def test_the_right_token_moves_the_robot_and_no_other_does(server: AvatarServer, actuator: Actuator) -> None:
    """Wrong ones lock out no one."""
    bodies = [{}, {"token": ""}, {"token": None}, {"token": 5}, {"token": TOKEN[:-1]}, {"token": "ä"}]
    for command, body in itertools.product(COMMANDS, bodies):
        status, sentence = await ask(server, f"robot/{command}", body)
        assert status == 403
        assert "the terminal prints" in sentence
    assert actuator.done == []
    for command in COMMANDS:  # as typed
        assert await ask(server, f"robot/{command}", {"token": f" {TOKEN.upper()} "}) == (200, f"{command} done")
    assert actuator.done == list(COMMANDS)
    actuator.refuses = "the position of a joint is unknown: jaw"
    assert await ask(server, "robot/arm", {"token": TOKEN}) == (409, actuator.refuses)
    assert (await ask(server, "robot/dance", {"token": TOKEN}))[0] == 404


async def test_other_sites_reach_neither_the_robot_nor_the_page(
    server: AvatarServer, actuator: Actuator, session: aiohttp.ClientSession
) -> None:
    port = port_of(server.url)
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://localhost:{port + 1}"},
        {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},  # DNS rebinding
    ):
        for path in ("robot/arm", "robot/stop", "visitor/pass", "choose/style/warm"):
            assert (await ask(server, path, {"token": TOKEN}, **headers))[0] == 403
        for path in ("", "ws", "capture", "api/status", "healthz"):
            async with session.get(server.url + path, headers=headers) as answer:
                assert answer.status == 403
    async with session.post(server.url + "api/visitor/pass", data={"a": "b"}) as answer:  # as a form of another site
        assert answer.status == 415
    assert actuator.done == []


@pytest.mark.parametrize("token", ["", "abcde-fgh23", "a" * 15, "a" * 129, "abcde fghjk mnp23", "ä" * 16])
def test_a_token_that_could_be_guessed_is_refused(actuator: Actuator, token: str) -> None:
    with pytest.raises(ConfigError, match=r"REACTDIFF_PAGE_TOKEN.*16 to 128"):
        RobotConsole(actuator, token)


async def test_without_an_actuator_or_visitors_there_is_nothing_to_command(
    server: AvatarServer, serve: Callable[..., Awaitable[AvatarServer]]
) -> None:
    server.status({"listener": {}})
    for command in ("arm", "stop"):
        assert (await ask(server, f"robot/{command}", {"token": TOKEN}))[0] == 404
    assert (await ask(await serve(), "visitor/pass"))[0] == 404


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


@pytest.mark.parametrize(("path", "does"), [("visitor/pass", "pass on"), ("choose/gesture/nod", "gesture nod")])
async def test_beyond_this_machine_only_the_operator_asks_for_more(
    actuator: Actuator, started: Callable[[Any], Awaitable[Any]], session: aiohttp.ClientSession, path: str, does: str
) -> None:
    shared = await started(actuator.server("0.0.0.0"))
    async with session.get(f"{shared.url}api/choices", headers={"Authorization": f"Bearer {LINK}"}) as answer:
        assert await answer.json() == {}, "nothing is offered there"
    for wrong in ({}, {"token": LINK}, {"token": 5}, {"token": "x"}):
        assert (await ask(shared, path, wrong))[0] == 403
    assert (await ask(shared, path, {"token": TOKEN}, Authorization="Bearer x"))[0] == 401
    assert actuator.done == []
    assert (await ask(shared, path, {"token": TOKEN.upper()}))[0] == 200
    assert actuator.done == [does]


async def test_on_this_machine_no_token_is_needed_to_end_a_visit_or_to_choose_what_is_offered(
    server: AvatarServer, actuator: Actuator, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{server.url}api/choices") as answer:
        assert await answer.json() == OFFERED
    for path, status in (("style/warm", 200), ("style/nod", 404), ("torque/on", 404)):
        assert (await ask(server, f"choose/{path}"))[0] == status
    assert await ask(server, "visitor/pass") == (200, "pass on done")
    assert actuator.done == ["style warm", "pass on"]
    actuator.fails = [DeviceError("the node does not answer", where="browser_node"), asyncio.TimeoutError()]
    assert await ask(server, "visitor/pass") == (503, "the node does not answer (browser_node)")
    assert await ask(server, "visitor/pass") == (503, "The visitors' node does not answer.")


# ---- in a browser


@in_browser
def test_the_operators_screen_says_who_is_there_and_its_button_ends_the_visit(
    actuator: Actuator, browser: Chromium
) -> None:
    complete = "document.readyState === 'complete'"
    with Stage(actuator.server()) as stage, opened(browser, stage.url + "operator", complete) as page:
        stage.server.status({"stages": {}, "visitor": "taken", "visitors_waiting": 3})
        page.until("document.getElementById('seat-state').textContent.endsWith('3 visitors wait.')")
        assert text(page, "seat-button") == "Next visitor"
        assert page.value("document.getElementById('seat-token').hidden")  # this machine's own page
        page.value("document.getElementById('seat-button').click()")
        page.until("document.getElementById('seat-answer').textContent === 'pass on done'")
        stage.server.status({"stages": {}, "visitor": "free", "visitors_waiting": 0})
        page.until("document.getElementById('seat-form').hidden")
        assert page.errors == []


class Robot(Stage):
    """An actuator whose state the page shows."""

    def __init__(self) -> None:
        super().__init__()
        self.calm()

    def calm(self) -> None:
        """A robot that can be armed."""
        self.asked, self.confirms = [], True
        self.state: dict[str, Any] = {
            "robot": "ohbot", "state": "disarmed", "armed": False, "software_stop": False, "fault": "",
            "obstacles": [], "joint_faults": {}, "silent": False, "torque": False, "message": "",
        }  # fmt: skip
        self.tell()

    def tell(self, **changed: Any) -> None:
        self.state |= changed
        self.server.status({"actuator": dict(self.state), "listener": {"policy": "model"}})

    async def command(self, what: str) -> tuple[bool, str]:
        if not self.confirms:
            return False, "it does not answer"
        state = {"arm": "following", "stop": "stopped"}.get(what, "disarmed")
        self.tell(state=state, armed=what == "arm", software_stop=what == "stop")
        return await super().command(what)


@pytest.fixture(scope="module")
def shared_robot() -> Iterator[Robot]:
    with Robot() as robot:
        yield robot


@pytest.fixture
def robot(shared_robot: Robot) -> Robot:
    shared_robot.calm()
    return shared_robot


@pytest.fixture
def page(robot: Robot, browser: Chromium) -> Iterator[Page]:
    """The page with its panel; it knows no token."""
    with opened(browser, robot.url, CONNECTED) as page:
        page.key("p")
        page.until("!document.getElementById('robot').hidden")
        yield page


def says(page: Page, name: str, words: str, seconds: float = 15.0) -> None:
    """Waits until that part of the page says these words."""
    page.until(f"document.getElementById('{name}').innerText.includes('{words}')", seconds)


def click(page: Page, name: str) -> None:
    """A real click of the mouse in the middle of the element."""
    middle = "(b => [b.left + b.width / 2, b.top + b.height / 2])"
    x, y = page.value(f"{middle}(document.getElementById('{name}').getBoundingClientRect())")
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def types(page: Page, token: str) -> None:
    page.value(f"document.getElementById('robot-token').value = '{token}'")


@in_browser
def test_the_token_arms_and_disarms_and_is_kept_in_the_tab(robot: Robot, page: Page) -> None:
    assert text(page, "robot-state") == "ohbot: disarmed: no joint has torque"
    for token, words in (("", "The token is missing"), ("wrong", "The token is wrong")):
        types(page, token)
        click(page, "robot-arm")
        says(page, "robot-answer", words)
    assert robot.asked == []
    types(page, TOKEN)
    click(page, "robot-arm")
    says(page, "robot-state", "follows the face")
    says(page, "robot-answer", "arm: done")
    assert page.value("document.getElementById('robot-arm').disabled")
    page.value("window.before = true")
    page.go(robot.url)
    page.until(f"!window.before && {CONNECTED} && document.getElementById('robot-token').value !== ''")
    page.key("p")
    page.until("!document.getElementById('robot-disarm').disabled")
    click(page, "robot-disarm")
    says(page, "robot-state", "disarmed")
    assert robot.asked == ["arm", "disarm"]


@in_browser
@pytest.mark.parametrize(("how", "focus"), [("click", "robot-token"), (" ", "robot-arm"), ("Escape", "panel-button")])
def test_one_click_or_key_stops(robot: Robot, page: Page, how: str, focus: str) -> None:
    robot.tell(state="following", armed=True)
    says(page, "robot-state", "follows")
    page.value(f"document.getElementById('{focus}').disabled = false, document.getElementById('{focus}').focus()")
    click(page, "stop") if how == "click" else page.key(how)
    says(page, "stopped", "stop: done")
    says(page, "robot-state", "stopped by a person")
    assert robot.asked == ["stop"], "and nothing that had the focus was pressed"
    types(page, TOKEN)
    assert page.value("document.getElementById('robot-arm').disabled")
    page.until("!document.getElementById('robot-reset').disabled")
    click(page, "robot-reset")
    says(page, "robot-state", "disarmed")


@in_browser
def test_a_stop_that_is_not_confirmed_or_hangs_says_to_cut_the_power(robot: Robot, page: Page) -> None:
    robot.confirms = False
    page.key(" ")
    says(page, "stopped", "cut the power")
    assert page.value("document.getElementById('stopped').className") == "failed"
    robot.confirms = True
    says(page, "stopped", "stop: done")  # it went on trying
    robot.calm()
    end = threading.Event()
    robot.loop.call_soon_threadsafe(end.wait, 60)  # the server takes the connection and never answers
    try:
        page.key(" ")
        says(page, "stopped", "Stopping …")
        says(page, "stopped", "cut the power")
        assert page.value("document.getElementById('stopped').className") == "failed"
    finally:
        end.set()
    deadline.until(lambda: "stop" in robot.asked, timeout_s=5.0)


@in_browser
def test_what_is_wrong_with_the_robot_is_shown(robot: Robot, page: Page) -> None:
    robot.tell(torque=True, message="disarmed: it can be enabled; neck: torque is on")
    says(page, "robot-state", "joints have or may have torque")
    assert text(page, "robot-faults") == "disarmed: it can be enabled; neck: torque is on"
    page.until("!document.getElementById('robot-disarm').disabled")
    robot.tell(torque=False, state="stopped", fault="half of the bus is gone", joint_faults={"jaw": "<b>81 C</b>"})
    says(page, "robot-faults", "half of the bus is gone\\njaw: <b>81 C</b>")
    robot.tell(fault="", joint_faults={}, state="disarmed", obstacles=["ohbot is not calibrated: run it"])
    says(page, "robot-faults", "ohbot is not calibrated: run it")
    assert page.value("document.getElementById('robot-arm').disabled")
    robot.tell(obstacles=[], joint_faults={}, silent=True)
    says(page, "robot-state", "nothing is heard")
    assert page.value("document.getElementById('stop').offsetHeight") > 0, "a stop is tried all the same"
