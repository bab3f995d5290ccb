"""The operator's screen in headless Chromium: one big state, sentences, figures, recording, the stop; at two sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import port_of
from stage import IN_BROWSER, PHONE, Stage, opened, text

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.types import ExpressionFrame
from tools.chromium import Chromium, Page

pytestmark = IN_BROWSER
STAGE = {"level": 0, "message": "works", "rate": 30.0, "latency": 12.0, "dropped": 0, "missed": None, "silent": False}


def healthy() -> dict[str, Any]:
    """What avatar_node tells when all is well."""
    return {
        "speaker": {
            "present": True, "person": 3, "camera": True, "microphone": True, "speaking": True, "looks_here": 0.9,
        },
        "stages": {
            "camera_node": {**STAGE},
            "perception_node": {**STAGE, "latency": 31.0, "message": "one person"},
            "reaction_node": {**STAGE, "rate": 6.9, "message": "model on onnxruntime-cpu"},
            "expression_node": {**STAGE, "rate": 50.0, "missed": 4},
        },
        "listener": {"policy": "model"}, "recording": "",
    }  # fmt: skip


class Listening(Stage):
    """Shows a neutral face of the mode `mode`; none where it is empty."""

    def __init__(self) -> None:
        self.mode = "listening"
        super().__init__()
        self.frame = self._neutral

    def _neutral(self, number: int) -> ExpressionFrame | None:
        face, now = np.zeros(58, np.float32), number * 20_000_000 + 10**9
        return ExpressionFrame(now, face, self.mode, (), now - 60_000_000, None, None, None) if self.mode else None


@pytest.fixture(scope="module")
def stage() -> Iterator[Listening]:
    with Listening() as stage:
        yield stage


@pytest.fixture(scope="module")
def shared_page(stage: Listening, browser: Chromium) -> Iterator[Page]:
    stage.server.status(healthy())
    with opened(browser, stage.url + "operator", "document.getElementById('state').dataset.kind === 'ok'") as page:
        yield page


@pytest.fixture
def page(stage: Listening, shared_page: Page) -> Page:
    stage.mode = "listening"
    stage.server.status(healthy())
    shared_page.front()
    kind(shared_page, "ok")
    return shared_page


def kind(page: Page, wanted: str) -> None:
    page.until(f"document.getElementById('state').dataset.kind === '{wanted}'", 5)


def test_all_is_well(page: Page) -> None:
    assert text(page, "title") == "Listening"
    assert text(page, "text") == "to person 3, who speaks"
    assert text(page, "messages") == ""
    page.until("Number(document.getElementById('tiles').innerText.match(/faces a second\\s+(\\d+)/)[1]) > 40")
    tiles = text(page, "tiles").split("\n")
    tiles = dict(zip(*[iter(line for line in tiles if line)] * 2, strict=True))
    assert (tiles["seen"], tiles["gaze"], tiles["voice"]) == ("person 3", "here", "speaks")
    assert (tiles["picture to face"], tiles["faces missed"]) == ("60 ms", "4")
    assert text(page, "recording") == "not recorded"
    assert "Perception" in text(page, "stages")
    assert page.errors == []


@pytest.mark.parametrize(("look", "ground"), [("paper", "#f6ead2"), ("own.json", "#123456"), ("head", "#fff8ee")])
def test_the_face_has_the_look_that_it_was_started_with(
    browser: Chromium, tmp_path: Path, look: str, ground: str
) -> None:
    """In place of a 3D avatar it is the drawn face."""
    if look == "own.json":
        (tmp_path / look).write_text('{"colour": {"ground": "#123456"}}')
        look = str(tmp_path / look)
    with (
        Stage(AvatarServer(AvatarConfig(port=0, look=look))) as stage,
        opened(browser, stage.url + "operator", "document.getElementById('face').children.length > 1") as page,
    ):
        page.until(f"document.getElementById('face').style.getPropertyValue('--ground') === '{ground}'", 5)


def test_the_worst_comes_first_in_the_nodes_own_words(stage: Listening, page: Page) -> None:
    status = healthy()
    status["stages"]["perception_node"] |= {"level": 1, "message": "no sound comes: microphone_node is missing"}
    stage.server.status(status)
    kind(page, "warn")
    assert text(page, "title") == "Listening"
    assert text(page, "messages") == "Perception: no sound comes: microphone_node is missing"
    status["stages"]["camera_node"] |= {"level": 2, "message": "the camera is gone (/dev/video0)"}
    stage.server.status(status)
    kind(page, "bad")
    assert text(page, "title") == "Camera: error"
    assert text(page, "messages").split("\n")[0] == "Camera: the camera is gone (/dev/video0)"
    status["stages"]["camera_node"] |= {"level": 0, "silent": True}
    stage.server.status(status)
    page.until("document.getElementById('messages').innerText.includes('not heard any more')", 5)


ROBOT = {"robot": "ohbot", "state": "following", "armed": True, "software_stop": False, "fault": "", "obstacles": [],
         "joint_faults": {}, "silent": False}  # fmt: skip


def test_one_key_or_click_stops_the_robot(stage: Listening, page: Page) -> None:
    page.until("document.getElementById('stop').hidden", 5)
    stage.server.status(healthy() | {"actuator": ROBOT})
    page.until("!document.getElementById('stop').hidden", 5)
    stage.asked.clear()
    page.key(" ")
    page.until("document.getElementById('stopped').innerText === 'stop: done'", 5)
    assert stage.asked == ["stop"]
    stage.server.status(healthy() | {"actuator": ROBOT | {"state": "stopped", "armed": False, "software_stop": True}})
    page.until("document.getElementById('title').textContent === 'Robot stopped'", 5)


@pytest.mark.parametrize("size", [(1280, 720), PHONE])
def test_it_fits_the_screen_and_is_readable(stage: Listening, page: Page, size: tuple[int, int]) -> None:
    status = healthy() | {"actuator": ROBOT, "recording": "recording, without pictures and sound"}
    status["stages"]["perception_node"] |= {"level": 1, "message": "x" * 290}
    stage.server.status(status)
    page.resize(*size)
    page.until("document.getElementById('messages').innerText.includes('xxx')", 5)
    assert page.value("document.documentElement.scrollWidth") <= size[0]
    sizes = {name: page.value(f"parseFloat(getComputedStyle(document.querySelector('{name}')).fontSize)") for name in
             ("#title", "#text", "#tiles dd", "#messages li", "#stop")}  # fmt: skip
    # Two metres: 0.3 degrees of height are 10 mm, about 40 px of a screen of 13 inches; sentences are read nearer.
    assert sizes["#title"] >= 44
    lines = page.value("document.getElementById('title').getBoundingClientRect().height") / sizes["#title"]
    assert lines < 1.5  # A word is not broken.
    assert min(sizes["#text"], sizes["#tiles dd"]) >= 24
    assert sizes["#messages li"] >= 20
    stop = page.value(
        "(b => [b.left, b.top, b.right, b.bottom])(document.getElementById('stop').getBoundingClientRect())"
    )
    assert stop[0] >= 0
    assert stop[2] <= size[0]
    assert stop[3] <= size[1]
    assert stop[2] - stop[0] > 0.9 * size[0]


def test_texts_of_nodes_are_no_html(stage: Listening, page: Page) -> None:
    status = healthy()
    status["stages"]["camera_node"] |= {"level": 2, "message": "<img src=x onerror=alert(1)>"}
    stage.server.status(status)
    page.until("document.getElementById('messages').innerText.includes('<img')", 5)
    assert page.value("document.images.length") == 0


def test_a_face_that_does_not_come_and_a_server_that_is_gone(stage: Listening, page: Page) -> None:
    stage.mode = ""
    page.until("document.getElementById('title').textContent === 'Face neutral'", 5)
    kind(page, "bad")
    page.value("WebSocket.prototype.send = () => {}")
    stage.on_loop(stage.server.stop())
    page.until("document.getElementById('title').textContent === 'No connection'", 5)
    stage.server._ports = [port_of(stage.url)]
    stage.on_loop(stage.server.start())
    stage.mode = "listening"
    stage.server.status(healthy())
    kind(page, "ok")
