"""The face's page and the operator's screen in headless Chromium, over the real websocket."""

import json
import re
from typing import Any

import numpy as np
import pytest
from deadline import until
from stage import IN_BROWSER, Shown, opened, port_of, text

from reactdiff_ros.avatar.config import LOOKS
from reactdiff_ros.types import Explanation
from tools.chromium import Page

pytestmark = IN_BROWSER


@pytest.fixture(scope="module")
def shared_stage(browser):
    with Shown(browser) as stage:
        yield stage
        assert stage.page.errors == []


@pytest.fixture
def stage(shared_stage):
    shared_stage.page.front()
    shared_stage.server.status({})
    shared_stage.drawn()
    return shared_stage


def test_neutral_after_half_a_second_without_frames_and_then_asleep(stage):
    awake = stage.drawn()
    rest, opening = awake["mouth"]["left"]["y"], awake["eyes"]["left"]["opening"]
    assert stage.drawn(mouthSmile=1.0, headYaw=0.3)["mouth"]["left"]["y"] < rest - 15
    stage.feed(None)
    at_first = """new Promise((done) => {
      const look = () => reactdiff.fresh() ? requestAnimationFrame(look) : done(reactdiff.state().reason);
      look(); })"""
    match = re.fullmatch(r"no expression for ([\d.]+) s", stage.page.value(at_first))
    assert float(match[1]) >= stage.server.config.stale_s, "a shorter gap changes nothing"
    stage.page.until("!reactdiff.fresh() && reactdiff.values().every((v) => v === 0)", 20)
    state = stage.state()
    assert (state["mode"], state["drawn"]["mouth"]["left"]["y"]) == ("neutral", pytest.approx(rest, abs=8))
    stage.page.until(f"reactdiff.state().drawn.eyes.left.opening < {0.5 * opening}", 30)
    assert stage.state()["state"] == "asleep"
    stage.show(mouthSmile=1.0)
    stage.page.until(f"reactdiff.state().drawn.mouth.left.y < {rest - 15}", 30)


SPEAKER = {"present": True, "camera": True, "microphone": True, "speaking": False}
BLIND = {**SPEAKER, "camera": False}
DIM = {"level": 1, "message": "fewer than half of the camera's pictures come: the room is dark, the cable slow"}


def perceived(**fault: str) -> dict[str, Any]:
    return {"perception_node": {"level": 1, "message": "", **fault}}


@pytest.mark.parametrize(("status", "state", "sentence"), [
    ({"speaker": {**SPEAKER, "speaking": True, "loudness_dbfs": -25}}, "hearing", ""),
    ({"speaker": SPEAKER, "listener": {"turn": "robot_speaking"}}, "speaking", ""),
    ({"speaker": SPEAKER, "stages": perceived(picture_fault="blank")}, "squinting", "too dark"),
    ({"speaker": SPEAKER, "stages": perceived(sound_fault="silent")}, "deaf", "microphone is mute"),
    ({"speaker": {**SPEAKER, "microphone": False}, "stages": {"clip_node": {"level": 0}}}, "attentive", ""),
    ({"speaker": SPEAKER, "stages": {"camera_node": DIM}}, "attentive", ""),
    ({"speaker": BLIND}, "attentive", "No camera"),
    ({"speaker": BLIND, "visitor": "free"}, "attentive", "press the button “Use my camera”"),
])  # fmt: skip
def test_it_shows_what_it_does_and_lacks_and_that_it_records(stage, status, state, sentence):
    page, sign = stage.page, "document.getElementById('recording')"
    page.until(f"{sign}.hidden")
    arrived = f"recording <i>{str(status)[:100]}</i>"
    stage.server.status({**status, "recording": arrived})
    page.until(f"!{sign}.hidden && {sign}.innerText === {json.dumps(arrived)}")
    shown = stage.state()
    assert (shown["state"], shown["sentence"] != "") == (state, sentence != "")
    assert sentence in shown["sentence"]
    page.value("document.body.classList.add('quiet')")
    box = page.value(f"{sign}.getBoundingClientRect().toJSON()")
    assert 0 <= min(box["left"], box["top"]) <= max(box["left"], box["top"]) <= 40
    assert (box["width"] > 100, box["height"] > 15) == (True, True)
    assert page.value(f"getComputedStyle({sign}).opacity") == "1"
    stage.server.status({})
    page.until(f"!reactdiff.state().sentence && {sign}.hidden")


def test_looks_are_chosen_by_a_button_or_in_the_panel_which_tells_what_is_wrong(stage):
    page = stage.page
    page.value("document.getElementById('look-button').click()")
    page.until("reactdiff.state().look === 'paper'")
    page.key("p")
    soft = "[...document.querySelectorAll('.choices button')].find(b => b.textContent === 'soft')"
    page.until(f"{soft} && {soft}.querySelectorAll('path').length > 3")  # looks are chosen by their faces
    page.value(f"{soft}.click()")
    page.until("reactdiff.state().look === 'soft'")
    stage.server.status({"speaker": {"expression": "<b>happy</b>"}, "last_error": "the microphone is gone"})
    page.value("document.querySelector('#numbers summary').click()")
    for words in ("the microphone is gone", "<b>happy</b>"):
        page.until(f"document.getElementById('panel').innerText.includes('{words}')")
    page.value("document.getElementById('panel-button').click()")
    assert page.value("document.getElementById('panel').hidden")


def test_candidates_and_reasons_are_shown_only_while_they_are_looked_at(stage):
    page, cues = stage.page, ("plan", "face", "head_and_gaze", "voice", "0-0.5 s")
    plans = np.linspace(0.2, 0.8, 4)[:, None, None] * np.linspace(0.0, 1.0, 16)[:, None] * np.ones(58)
    smile = np.array([0.5, 0.1, 0.48, 0.5, 0.3], np.float32)
    why = Explanation(1, cues, smile, np.zeros(5, np.float32), np.full(5, 2.0, np.float32))
    page.key("p")
    assert not stage.server.wanted("candidates"), "closed: nobody asks"
    page.value("document.querySelectorAll('#candidates summary, #why summary').forEach((each) => each.click())")
    until(lambda: stage.server.wanted("candidates") and stage.server.wanted("explanation"), timeout_s=5.0)
    stage.server.candidates(plans, 2, 25.0)
    lines = "document.querySelectorAll('#candidates polyline:not(.zero)').length"
    page.until(f"{lines} === 12")
    stage.server.explain(why)
    page.until("document.querySelector('#why p').textContent.startsWith('Smile: 50 %. Without your face it would')")
    page.key("p")
    until(lambda: not stage.server.wanted("candidates"), timeout_s=5.0)


@pytest.mark.parametrize("look", LOOKS)
def test_sixty_pictures_a_second(stage, look):
    """At 1280x720 with everything moving; on a busy machine no more than a sign of life is asked for."""
    stage.feed(np.array([0.6] * 52 + [0.1] * 6, np.float32), swing=True)
    stage.page.until(f"reactdiff.wear('{look}').then(() => reactdiff.state().look === '{look}')")
    fps = stage.page.value("""new Promise((done) => { let n = 0; const start = performance.now();
      const tick = () => { n += 1; const t = performance.now() - start;
        if (t > 700) done(n * 1000 / t); else requestAnimationFrame(tick); };
      requestAnimationFrame(tick); })""")
    print(f"{look}: {fps:.1f} pictures and {stage.state()['rate']} frames a second at 1280x720")
    stage.page.value("reactdiff.wear('soft')")
    assert fps > 5


def test_it_fits_any_screen(stage):
    page = stage.page
    for width, height in ((480, 800), (1920, 1080), (320, 240), (1280, 720)):
        page.resize(width, height)
        page.until(f"innerWidth === {width} && innerHeight === {height}")
        page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        box = page.value("reactdiff.state().drawn.outline")
        assert 0 < box["x"] < width - box["width"]
        assert 0 < box["y"] < height - box["height"]
        assert box["width"] > (0.8 * width if width < height else 0.4 * height)


# ---- the operator's screen

STAGE = {"level": 0, "message": "works", "rate": 30.0, "latency": 12.0, "dropped": 0, "missed": None, "silent": False}
ROBOT = {"robot": "ohbot", "state": "following", "armed": True, "software_stop": False, "fault": "", "obstacles": [],
         "joint_faults": {}, "silent": False}  # fmt: skip


def healthy() -> dict[str, Any]:
    """What avatar_node tells when all is well."""
    return {
        "speaker": {**SPEAKER, "person": 3, "speaking": True, "looks_here": 0.9},
        "stages": {
            "camera_node": {**STAGE},
            "perception_node": {**STAGE, "latency": 31.0, "message": "one person"},
            "expression_node": {**STAGE, "rate": 50.0, "missed": 4},
        },
        "listener": {"policy": "model"}, "recording": "",
    }  # fmt: skip


@pytest.fixture(scope="module")
def operators_page(shared_stage, browser):
    with opened(browser, shared_stage.url + "operator", "document.readyState === 'complete'") as page:
        yield page


@pytest.fixture
def operator(stage, operators_page):
    stage.server.status(healthy())
    operators_page.front()
    kind(operators_page, "ok")
    return operators_page


def kind(page: Page, wanted: str) -> None:
    page.until(f"document.getElementById('state').dataset.kind === '{wanted}'", 5)


def test_the_operators_screen_has_the_worst_first_in_the_nodes_own_words(stage, operator):
    assert (text(operator, "title"), text(operator, "text")) == ("Listening", "to person 3, who speaks")
    assert (text(operator, "messages"), text(operator, "recording")) == ("", "not recorded")
    operator.until("Number(document.getElementById('tiles').innerText.match(/faces a second\\s+(\\d+)/)[1]) > 40")
    lines = [line for line in text(operator, "tiles").split("\n") if line]
    tiles = dict(zip(lines[::2], lines[1::2], strict=True))
    assert (tiles["seen"], tiles["gaze"], tiles["voice"]) == ("person 3", "here", "speaks")
    assert (tiles["picture to face"], tiles["faces missed"]) == ("60 ms", "4")
    status = healthy()
    status["stages"]["perception_node"] |= {"level": 1, "message": "no sound comes: microphone_node is missing"}
    stage.server.status(status)
    kind(operator, "warn")
    assert text(operator, "messages") == "Perception: no sound comes: microphone_node is missing"
    status["stages"]["camera_node"] |= {"level": 2, "message": "gone <img src=x onerror=alert(1)>"}
    stage.server.status(status)
    kind(operator, "bad")
    assert text(operator, "title") == "Camera: error"
    assert text(operator, "messages").split("\n")[0] == "Camera: gone <img src=x onerror=alert(1)>"
    assert operator.value("document.images.length") == 0
    assert operator.errors == []


def test_one_key_of_the_operators_screen_stops_the_robot(stage, operator):
    operator.until("document.getElementById('stop').hidden", 5)
    stage.server.status(healthy() | {"actuator": ROBOT})
    operator.until("!document.getElementById('stop').hidden", 5)
    operator.key(" ")
    operator.until("document.getElementById('stopped').innerText === 'stop: done'", 5)
    assert stage.asked[-1:] == ["stop"]
    stage.server.status(healthy() | {"actuator": ROBOT | {"state": "stopped", "armed": False, "software_stop": True}})
    operator.until("document.getElementById('title').textContent === 'Robot stopped'", 5)


def test_a_server_that_is_gone_is_told_and_both_pages_come_back(stage, operator):
    before = stage.state()["connections"]
    stage.feed(None)
    operator.until("document.getElementById('title').textContent === 'Face neutral'", 5)
    kind(operator, "bad")
    stage.on_loop(stage.server.stop())
    operator.until("document.getElementById('title').textContent === 'No connection'", 5)
    stage.page.front()
    stage.page.until("!reactdiff.connected() && reactdiff.values().every((v) => v === 0)", 5)
    assert "trying again" in text(stage.page, "notice")
    stage.server._ports = [port_of(stage.url)]
    stage.on_loop(stage.server.start())
    stage.server.status(healthy())
    stage.drawn(mouthSmile=0.5)
    assert stage.state()["connections"] == before + 1
    operator.front()
    kind(operator, "ok")
    stage.page.errors.clear()  # refused connections while the server was away are what was asked for
