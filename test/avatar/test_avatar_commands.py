"""What a page may ask for (commands to a robot, styles, gestures, the end of a visit) and who may; a stop wins."""

import asyncio
import itertools
import re
import threading
from typing import Any

import aiohttp
import deadline
import pytest
from stage import LINK, TOKEN, Stage, in_browser, opened, port_of, text, until

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.arming import COMMANDS, STOP_TRIES, Answer, RobotConsole
from reactdiff_ros.errors import DeviceError
from tools.chromium import Page

CONNECTED = "window.reactdiff && reactdiff.connected()"
OFFERED = {"style": {"warm": {"mouthSmileLeft": 0.3}}, "gesture": {"nod": {"headPitch": 0.2}}}


class Actuator:
    """Does what it is asked, and ends visits; `gates` hold requests up, the next of `troubles` is raised or said."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.troubles: list[Exception | str] = []

    async def __call__(self, what: str) -> tuple[bool, str]:
        if gate := self.gates.get(what):
            await gate.wait()
        trouble = self.troubles.pop(0) if self.troubles else ""
        if isinstance(trouble, Exception):
            raise trouble
        if trouble:
            return False, trouble
        self.done.append(what)
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
def actuator():
    return Actuator()


@pytest.fixture
async def server(actuator, started):
    return await started(actuator.server())


async def ask(server: AvatarServer, path: str, body: object = None, **headers: str) -> tuple[int, str]:
    """Status and sentence of the answer to a command that brings this JSON, from who has the link."""
    async with aiohttp.ClientSession() as session:
        given = {"Authorization": f"Bearer {LINK}", **headers}
        async with session.post(f"{server.url}api/{path}", json=body or {}, headers=given) as answer:
            return answer.status, (await answer.json())["message"] if "json" in answer.content_type else ""


async def test_the_right_token_moves_the_robot_and_no_other_does(server, actuator):
    """Wrong ones lock out no one."""
    bodies = [{}, {"token": ""}, {"token": None}, {"token": 5}, {"token": TOKEN[:-1]}, {"token": "ä"}]
    for command, body in itertools.product(COMMANDS, bodies):
        status, sentence = await ask(server, f"robot/{command}", body)
        assert (status, "the terminal prints" in sentence) == (403, True)
    assert actuator.done == []
    for command in COMMANDS:  # as typed
        assert await ask(server, f"robot/{command}", {"token": f" {TOKEN.upper()} "}) == (200, f"{command} done")
    assert actuator.done == list(COMMANDS)
    actuator.troubles = ["the position of a joint is unknown: jaw"]
    assert await ask(server, "robot/arm", {"token": TOKEN}) == (409, "the position of a joint is unknown: jaw")
    assert (await ask(server, "robot/dance", {"token": TOKEN}))[0] == 404


async def test_other_sites_reach_neither_the_robot_nor_the_page(server, actuator, session):
    port = port_of(server.url)
    for headers in (
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


async def test_a_stop_wins_over_a_command_under_way(actuator):
    desk = RobotConsole(actuator, TOKEN)
    actuator.gates["arm"] = asyncio.Event()
    arming = asyncio.ensure_future(desk.command("arm", TOKEN))
    await until(lambda: bool(desk._busy))
    assert await desk.command("arm", TOKEN) == Answer(409, "Another command is under way.")
    assert (await desk.stop()).done, "it does not wait for the other"
    assert actuator.done == ["stop"]
    assert await desk.command("reset", TOKEN) == Answer(409, "The robot is being stopped.")
    actuator.gates.pop("arm").set()
    await arming
    await until(lambda: actuator.done == ["stop", "arm", "stop"])  # the stop has the last word
    await until(lambda: desk._last_word is not None and desk._last_word.done())
    assert (await desk.command("reset", TOKEN)).done


async def test_a_stop_is_tried_until_it_is_confirmed_and_else_says_to_cut_the_power(actuator, monkeypatch):
    desk = RobotConsole(actuator, TOKEN)
    actuator.troubles = [DeviceError("the actuator does not answer"), RuntimeError("the handle was destroyed")]
    assert [a.status for a in await asyncio.gather(desk.stop(), desk.stop())] == [200, 200]
    assert actuator.done == ["stop"], "two pages, one stop"
    actuator.troubles = [DeviceError("the actuator does not answer")] * STOP_TRIES
    lost = await desk.stop()
    assert lost.status == 503
    assert re.search("NOT confirmed .*does not answer.*cut the power", lost.message)
    monkeypatch.setattr("reactdiff_ros.avatar.arming.COMMAND_S", 0.02)
    monkeypatch.setattr("reactdiff_ros.avatar.arming.STOP_TRY_S", 0.02)
    actuator.gates = {what: asyncio.Event() for what in ("arm", "stop")}  # never opened
    answer = await desk.command("arm", TOKEN)
    assert (answer.status, "has not answered" in answer.message) == (503, True)
    assert (await desk.stop()).status == 503


@pytest.mark.parametrize(("path", "does"), [("visitor/pass", "pass on"), ("choose/gesture/nod", "gesture nod")])
async def test_beyond_this_machine_only_the_operator_asks_for_more(actuator, started, session, path, does):
    shared = await started(actuator.server("0.0.0.0"))
    async with session.get(f"{shared.url}api/choices", headers={"Authorization": f"Bearer {LINK}"}) as answer:
        assert await answer.json() == {}, "nothing is offered there"
    for wrong in ({}, {"token": LINK}, {"token": 5}):
        assert (await ask(shared, path, wrong))[0] == 403
    assert (await ask(shared, path, {"token": TOKEN}, Authorization="Bearer x"))[0] == 401
    assert actuator.done == []
    assert (await ask(shared, path, {"token": TOKEN.upper()}))[0] == 200
    assert actuator.done == [does]


async def test_on_this_machine_no_token_is_needed_to_end_a_visit_or_to_choose(server, actuator, session):
    async with session.get(f"{server.url}api/choices") as answer:
        assert await answer.json() == OFFERED
    for path, status in (("style/warm", 200), ("style/nod", 404), ("torque/on", 404)):
        assert (await ask(server, f"choose/{path}"))[0] == status
    assert await ask(server, "visitor/pass") == (200, "pass on done")
    assert actuator.done == ["style warm", "pass on"]
    actuator.troubles = [DeviceError("the node does not answer", where="browser_node"), asyncio.TimeoutError()]
    assert await ask(server, "visitor/pass") == (503, "the node does not answer (browser_node)")
    assert await ask(server, "visitor/pass") == (503, "The visitors' node does not answer.")
    server.status({"listener": {}})
    assert (await ask(server, "robot/arm", {"token": TOKEN}))[0] == 404, "there is no robot any more"


# ---- in a browser


@in_browser
def test_the_operators_screen_says_who_is_there_and_its_button_ends_the_visit(actuator, browser):
    complete = "document.readyState === 'complete'"
    with Stage(actuator.server()) as stage, opened(browser, stage.url + "operator", complete) as page:
        stage.server.status({"stages": {}, "visitor": "taken", "visitors_waiting": 3})
        page.until("document.getElementById('seat-state').textContent.endsWith('3 visitors wait.')")
        assert text(page, "seat-button") == "Next visitor"
        assert page.value("document.getElementById('seat-token').hidden")  # this machine's own page
        page.value("document.getElementById('seat-button').click()")
        page.until("document.getElementById('seat-answer').textContent === 'pass on done'")


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
def robot():
    with Robot() as robot:
        yield robot


@pytest.fixture
def page(robot, browser):
    """The page of a robot that can be armed, with its panel; it knows no token."""
    robot.calm()
    with opened(browser, robot.url, CONNECTED) as page:
        page.key("p")
        page.until("!document.getElementById('robot').hidden")
        yield page


def says(page: Page, name: str, words: str) -> None:
    """Waits until that part of the page says these words."""
    page.until(f"document.getElementById('{name}').innerText.includes('{words}')", 15.0)


def click(page: Page, name: str) -> None:
    """A real click of the mouse in the middle of the element."""
    box = page.value(f"document.getElementById('{name}').getBoundingClientRect().toJSON()")
    at = {"x": box["left"] + box["width"] / 2, "y": box["top"] + box["height"] / 2}
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)


def types(page: Page, token: str) -> None:
    page.value(f"document.getElementById('robot-token').value = '{token}'")


@in_browser
def test_the_token_arms_and_disarms_and_is_kept_in_the_tab(robot, page):
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
def test_one_click_or_key_stops(robot, page, how, focus):
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
def test_a_stop_that_is_not_confirmed_or_hangs_says_to_cut_the_power(robot, page):
    robot.confirms = False
    page.key(" ")
    says(page, "stopped", "cut the power")
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
def test_what_is_wrong_with_the_robot_is_shown(robot, page):
    robot.tell(torque=True, message="neck: torque is on")
    says(page, "robot-state", "joints have or may have torque")
    assert text(page, "robot-faults") == "neck: torque is on"
    page.until("!document.getElementById('robot-disarm').disabled")
    robot.tell(torque=False, state="stopped", fault="half of the bus is gone", joint_faults={"jaw": "<b>81 C</b>"})
    says(page, "robot-faults", "half of the bus is gone\\njaw: <b>81 C</b>")
    robot.tell(fault="", joint_faults={}, state="disarmed", obstacles=["ohbot is not calibrated: run it"])
    says(page, "robot-faults", "ohbot is not calibrated: run it")
    assert page.value("document.getElementById('robot-arm').disabled")
    robot.tell(obstacles=[], joint_faults={}, silent=True)
    says(page, "robot-state", "nothing is heard")
    assert page.value("document.getElementById('stop').offsetHeight") > 0, "a stop is tried all the same"
