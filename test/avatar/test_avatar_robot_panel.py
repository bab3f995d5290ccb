"""The robot's part of the panel in headless Chromium: what is shown, the token, and one click or key that stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from deadline import until
from serving import TOKEN
from stage import IN_BROWSER, Stage, opened, text

from tools.chromium import Chromium, Page

pytestmark = IN_BROWSER


class Robot(Stage):
    """An actuator whose state the page shows."""

    def __init__(self) -> None:
        self.deaf = False
        self.state: dict[str, Any] = {}
        super().__init__()
        self.calm()
        self.tell()

    def calm(self) -> None:
        """A robot that can be armed."""
        self.state = {"robot": "ohbot", "state": "disarmed", "armed": False, "software_stop": False, "fault": "",
                      "obstacles": [], "joint_faults": {}, "silent": False, "torque": False, "message": ""}  # fmt: skip
        self.asked, self.deaf = [], False

    def tell(self, **changed: Any) -> None:
        self.state |= changed
        self.server.status({"actuator": dict(self.state), "listener": {"policy": "model"}})

    async def command(self, what: str) -> tuple[bool, str]:
        if self.deaf:
            await asyncio.sleep(60)
        following = {"state": "following", "armed": True, "software_stop": False}
        disarmed = {"state": "disarmed", "armed": False, "software_stop": False, "fault": "", "joint_faults": {}}
        stopped = {"state": "stopped", "armed": False, "software_stop": True}
        self.tell(**{"arm": following, "disarm": disarmed, "reset": disarmed, "stop": stopped}[what])
        return await super().command(what)


@pytest.fixture(scope="module")
def robot() -> Iterator[Robot]:
    with Robot() as robot:
        yield robot


READY = "window.reactdiff && reactdiff.connected()"


@pytest.fixture(scope="module")
def tab(robot: Robot, browser: Chromium) -> Iterator[Page]:
    with opened(browser, robot.url, READY) as page:
        yield page


@pytest.fixture
def page(robot: Robot, tab: Page) -> Page:
    """The page, opened anew with its panel; it knows no token."""
    robot.calm()
    robot.tell()
    tab.front()
    tab.value("sessionStorage.clear()")
    reload(tab, robot.url, READY)
    tab.key("p")
    tab.until("!document.getElementById('robot').hidden")
    return tab


def reload(page: Page, url: str, ready: str) -> None:
    page.value("window.before = true")
    page.go(url)
    page.until(f"!window.before && {ready}")


def hidden(page: Page, name: str) -> bool:
    return bool(page.value(f"document.getElementById('{name}').offsetParent === null && "
                           f"getComputedStyle(document.getElementById('{name}')).display === 'none'"))  # fmt: skip


def click(page: Page, name: str) -> None:
    """A real click of the mouse in the middle of the element."""
    middle = "(b => [b.left + b.width / 2, b.top + b.height / 2])"
    x, y = page.value(f"{middle}(document.getElementById('{name}').getBoundingClientRect())")
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def arm(page: Page) -> None:
    page.value(f"document.getElementById('robot-token').value = '{TOKEN}'")
    click(page, "robot-arm")
    page.until("document.getElementById('robot-state').innerText.includes('follows the face')")


def test_arm_and_disarm_with_the_token(robot: Robot, page: Page) -> None:
    assert text(page, "robot-state") == "ohbot: disarmed: no joint has torque"
    click(page, "robot-arm")
    page.until("document.getElementById('robot-answer').innerText.startsWith('The token is missing')")
    page.value("document.getElementById('robot-token').value = 'wrong'")
    click(page, "robot-arm")
    page.until("document.getElementById('robot-answer').innerText.startsWith('The token is wrong')")
    assert robot.asked == []
    arm(page)
    page.until("document.getElementById('robot-answer').innerText === 'arm: done'")
    assert page.value("document.getElementById('robot-arm').disabled")
    reload(page, robot.url, f"{READY} && document.getElementById('robot-token').value !== ''")  # it is kept in the tab
    page.key("p")
    page.until("!document.getElementById('robot-disarm').disabled")
    click(page, "robot-disarm")
    page.until("document.getElementById('robot-state').innerText.includes('disarmed')")
    assert robot.asked == ["arm", "disarm"]


def test_torque_of_a_disarmed_robot_is_shown_and_let_go(robot: Robot, page: Page) -> None:
    assert page.value("document.getElementById('robot-disarm').disabled")
    robot.tell(torque=True, message="disarmed: it can be enabled; neck: torque is on")
    page.until("document.getElementById('robot-state').innerText.includes('joints have or may have torque')")
    assert text(page, "robot-faults") == "disarmed: it can be enabled; neck: torque is on"
    page.value(f"document.getElementById('robot-token').value = '{TOKEN}'")
    click(page, "robot-disarm")
    page.until("document.getElementById('robot-answer').innerText === 'disarm: done'")
    assert robot.asked == ["disarm"]
    robot.tell(torque=False)
    page.until("document.getElementById('robot-state').innerText === 'ohbot: disarmed: no joint has torque'")


@pytest.mark.parametrize(("how", "focus"), [("click", "robot-token"), (" ", "robot-arm"), ("Escape", "panel-button")])
def test_one_click_or_key_stops(robot: Robot, page: Page, how: str, focus: str) -> None:
    robot.tell(state="following", armed=True)
    page.until("document.getElementById('robot-state').innerText.includes('follows')")
    page.value(f"document.getElementById('{focus}').disabled = false, document.getElementById('{focus}').focus()")
    click(page, "stop") if how == "click" else page.key(how)
    page.until("document.getElementById('stopped').innerText === 'stop: done'")
    page.until("document.getElementById('robot-state').innerText.includes('stopped by a person')")
    assert robot.asked == ["stop"], "and nothing that had the focus was pressed"
    page.value(f"document.getElementById('robot-token').value = '{TOKEN}'")
    assert page.value("document.getElementById('robot-arm').disabled")
    page.until("!document.getElementById('robot-reset').disabled")
    click(page, "robot-reset")
    page.until("document.getElementById('robot-state').innerText.includes('disarmed')")


def test_a_stop_that_is_not_confirmed_says_so(robot: Robot, page: Page) -> None:
    robot.tell(state="following", armed=True)
    robot.deaf = True
    page.key(" ")
    page.until("document.getElementById('stopped').innerText.includes('cut the power')", 15)
    assert page.value("document.getElementById('stopped').className") == "failed"
    robot.deaf = False
    page.until("document.getElementById('stopped').innerText === 'stop: done'", 15)  # it went on trying


def test_a_stop_that_hangs_says_to_cut_the_power(robot: Robot, page: Page) -> None:
    """The server takes the connection and never answers: before, the page said "Stopping …" as long as it hung."""
    robot.tell(state="following", armed=True)
    page.until("document.getElementById('robot-state').innerText.includes('follows')")
    end = threading.Event()
    robot.loop.call_soon_threadsafe(end.wait, 60)
    try:
        page.key(" ")
        page.until("document.getElementById('stopped').innerText === 'Stopping …'")
        page.until("document.getElementById('stopped').innerText.includes('cut the power')", 15)
        assert page.value("document.getElementById('stopped').className") == "failed"
    finally:
        end.set()
    until(lambda: "stop" in robot.asked, timeout_s=5.0)


def test_what_is_wrong_with_the_robot_is_shown(robot: Robot, page: Page) -> None:
    robot.tell(state="stopped", fault="half of the bus is gone", joint_faults={"jaw": "<b>81 C</b>, too hot"})
    page.until("document.getElementById('robot-faults').innerText.includes('too hot')")
    assert text(page, "robot-faults").split("\n") == ["half of the bus is gone", "jaw: <b>81 C</b>, too hot"]
    six = {name: "no answer" for name in ("brow", "lid_left", "lid_right", "jaw", "neck", "eyes")}
    robot.tell(fault="", joint_faults=six)
    page.until(
        "document.getElementById('robot-faults').innerText === 'brow, lid_left, lid_right and 3 more: no answer'"
    )
    robot.tell(state="disarmed", obstacles=["ohbot is not calibrated: run it"])
    page.until("document.getElementById('robot-faults').innerText === 'ohbot is not calibrated: run it'")
    assert page.value("document.getElementById('robot-arm').disabled")
    robot.tell(obstacles=[], joint_faults={}, silent=True)
    page.until("document.getElementById('robot-state').innerText.includes('nothing is heard')")
    assert not hidden(page, "stop"), "a stop is tried all the same"


def test_without_an_actuator_nothing_of_it_is_shown(robot: Robot, page: Page) -> None:
    robot.server.status({"listener": {"policy": "model"}})
    page.until("document.getElementById('robot').hidden && document.getElementById('stop').hidden")
    for name in ("robot", "stop", "stopped"):
        assert hidden(page, name)
    assert "torque" not in page.value("document.body.innerText").lower()
    asked = list(robot.asked)
    page.key(" ")
    page.key("Escape")
    page.until("reactdiff.connected()")
    assert robot.asked == asked
