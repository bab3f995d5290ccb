"""The face's page in headless Chromium: coefficients come over the websocket, what the robot does in its status."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from deadline import until
from serving import port_of
from stage import IN_BROWSER, Shown, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.config import LOOKS
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, SMILE
from reactdiff_ros.types import Explanation
from tools.chromium import Chromium

pytestmark = IN_BROWSER


class Drawing(Shown):
    """Shows one expression, and a page that looks at it."""

    def drawn(self, **coefficients: float) -> dict[str, Any]:
        """The drawing of these coefficients."""
        self.show(**coefficients)
        return dict(self.page.value("reactdiff.state().drawn"))

    def state(self) -> dict[str, Any]:
        return dict(self.page.value("reactdiff.state()"))


@pytest.fixture(scope="module")
def shared_stage(browser: Chromium) -> Iterator[Drawing]:
    with Drawing(browser) as stage:
        yield stage
        assert stage.page.errors == []


@pytest.fixture
def stage(shared_stage: Drawing) -> Drawing:
    shared_stage.page.front()
    shared_stage.drawn()
    return shared_stage


def test_neutral_after_half_a_second_without_frames(stage: Drawing) -> None:
    rest = stage.drawn()["mouth"]["left"]["y"]
    assert stage.drawn(mouthSmile=1.0, headYaw=0.3)["mouth"]["left"]["y"] < rest - 15
    stage.feed(None)
    stopped = time.monotonic()
    at_first = """new Promise((done) => {
      const look = () => reactdiff.fresh() ? requestAnimationFrame(look) : done(reactdiff.state().reason);
      look(); })"""
    match = re.fullmatch(r"no expression for ([\d.]+) s", stage.page.value(at_first))
    assert float(match[1]) >= stage.server.config.stale_s, "a shorter gap changes nothing"
    stage.page.until("!reactdiff.fresh() && reactdiff.values().every((v) => v === 0)", 20)
    assert time.monotonic() - stopped < 20
    state = stage.state()
    assert (state["mode"], state["drawn"]["mouth"]["left"]["y"]) == ("neutral", pytest.approx(rest, abs=8))
    assert state["reason"].startswith("no expression for")
    assert stage.drawn(mouthSmile=1.0)["mouth"]["left"]["y"] < rest - 15


def test_without_a_robot_the_face_falls_asleep(stage: Drawing) -> None:
    awake = stage.drawn()["eyes"]["left"]["opening"]
    stage.feed(None)
    stage.page.until(f"reactdiff.state().drawn.eyes.left.opening < {0.5 * awake}", 30)
    assert stage.state()["state"] == "asleep"
    stage.feed(np.zeros(58, np.float32))
    stage.page.until(f"reactdiff.state().drawn.eyes.left.opening > {0.9 * awake}", 30)


SPEAKER = {"present": True, "camera": True, "microphone": True, "speaking": False}
BLIND = {**SPEAKER, "camera": False}
DIM = {"level": 1, "message": "fewer than half of the camera's pictures come: the room is dark, the cable slow"}


def perceived(**fault: str) -> dict[str, Any]:
    return {"perception_node": {"level": 1, "message": "", **fault}}


@pytest.mark.parametrize(
    ("status", "state", "sentence"),
    [
        ({"speaker": SPEAKER}, "attentive", ""),
        ({"speaker": {**SPEAKER, "speaking": True, "loudness_dbfs": -25}}, "hearing", ""),
        ({"speaker": SPEAKER, "listener": {"turn": "robot_speaking"}}, "speaking", ""),
        ({"speaker": SPEAKER, "stages": perceived(picture_fault="blank")}, "squinting", "too dark"),
        ({"speaker": SPEAKER, "stages": perceived(sound_fault="silent")}, "deaf", "microphone is mute"),
        ({"speaker": {**SPEAKER, "microphone": False}, "stages": {"clip_node": {"level": 0}}}, "attentive", ""),
        ({"speaker": SPEAKER, "stages": {"camera_node": DIM}}, "attentive", ""),
        ({"speaker": SPEAKER, "stages": perceived(picture_fault="frozen", sound_fault="clipped")}, "attentive", ""),
        ({"speaker": BLIND}, "attentive", "No camera"),
        ({"speaker": BLIND, "visitor": "free"}, "attentive", "press the button “Use my camera”"),
    ],
)
def test_it_shows_what_it_does_and_what_it_lacks(
    stage: Drawing, status: dict[str, Any], state: str, sentence: str
) -> None:
    arrived = str(status)[:100]
    stage.server.status({**status, "recording": arrived})
    stage.page.until(f"document.getElementById('recording').innerText === {json.dumps(arrived)}")
    shown = stage.state()
    assert (shown["state"], shown["sentence"] != "") == (state, sentence != "")
    assert sentence in shown["sentence"]
    stage.server.status({})
    stage.page.until("!reactdiff.state().sentence && document.getElementById('recording').hidden")


def test_a_pause_after_speech_is_a_thought(stage: Drawing) -> None:
    stage.server.status({"speaker": {**SPEAKER, "speaking": True}})
    stage.page.until("reactdiff.state().state === 'hearing'")
    time.sleep(1.6)
    stage.server.status({"speaker": SPEAKER})
    stage.page.until("reactdiff.state().state === 'thinking'")
    stage.page.until("reactdiff.state().state === 'attentive'")
    stage.server.status({})


def test_an_empty_room_is_searched_and_an_idle_face_without_a_camera_sleeps(stage: Drawing) -> None:
    stage.mode = "idle"
    stage.server.status({"speaker": {**SPEAKER, "present": False}})
    stage.page.until("reactdiff.state().state === 'searching'")
    assert stage.state()["sentence"] == "No one is here."
    stage.server.status({"speaker": {"present": False, "seen": "nothing comes from perception"}})
    stage.page.until("reactdiff.state().state === 'asleep'")
    assert "No camera" in stage.state()["sentence"]
    stage.server.status({"speaker": {"present": False}, "visitor": "free"})
    stage.page.until("reactdiff.state().sentence.includes('press the button “Use my camera”')")
    assert stage.state()["state"] == "asleep"
    stage.mode = "listening"
    stage.server.status({})
    stage.page.until("reactdiff.state().state === 'attentive'")


def test_a_finger_reaches_look_and_full_screen(stage: Drawing) -> None:
    page = stage.page
    for name in ("look-button", "screen-button", "panel-button"):
        box = page.value(f"(b => [b.width, b.height])(document.getElementById('{name}').getBoundingClientRect())")
        assert min(box) >= 44
    page.value("document.getElementById('look-button').click()")
    page.until("reactdiff.state().look === 'paper'")
    for _ in range(page.value("reactdiff.looks.length") - 1):
        before = page.value("reactdiff.state().look")
        page.key("l")
        page.until(f"reactdiff.state().look !== '{before}'")
    assert stage.state()["look"] == "soft"


def test_the_panel_opens_and_tells(stage: Drawing) -> None:
    page = stage.page
    assert page.value("document.getElementById('panel').hidden")
    stage.server.status(
        {
            "speaker": {"present": True, "speaking": False, "expression": "<b>happy</b>"},
            "rates_hz": {"speaker/frame": 25.0},
            "latency_ms": {"p50": 41.5},
            "last_error": "the microphone is gone",
        }
    )
    page.key("p")
    robot = "[...document.querySelectorAll('.choices button')].find(b => b.textContent === 'robot')"
    page.until(f"{robot}.querySelectorAll('path').length > 3")  # looks are chosen by their faces
    page.value(f"{robot}.click()")
    page.until(f"reactdiff.state().look === 'robot' && {robot}.getAttribute('aria-pressed') === 'true'")
    page.value("reactdiff.wear('soft')")
    page.until("document.getElementById('panel').innerText.includes('the microphone is gone')")
    assert "41.5" not in page.value("document.getElementById('panel').innerText"), "a second click"
    page.value("document.querySelector('#numbers summary').click()")
    page.until("document.getElementById('panel').innerText.includes('41.5')")
    text = page.value("document.getElementById('panel').innerText")
    for expected in ("present", "speaking", "speaker/frame", "41.5", "<b>happy</b>"):
        assert expected in text
    page.value("document.getElementById('panel-button').click()")
    assert page.value("document.getElementById('panel').hidden")


MESH = """import("./mesh.js").then(({ Mesh, wires }) => {
  const mesh = new Mesh(document.createElement("canvas"), { videoWidth: 640, videoHeight: 480 });
  const centre = (place) => {
    mesh.show({ place, face: new Array(58).fill(0) });
    const { data } = mesh.pen.getImageData(0, 0, 320, 240), xs = [];
    for (let i = 0; i < data.length; i += 4) if (data[i + 3]) xs.push((i / 4) % 320);
    return xs.length && [Math.min(...xs), Math.max(...xs)];
  };
  const face = (name) => reactdiff.names.map((n) => (n.startsWith(name) ? 1 : 0));
  const corner = (f) => wires(f).bold.at(-1)[0];
  return { near: centre([0, 0, 0.4]), far: centre([0.1, 0, 0.8]),
    none: [centre(null), centre([0, null, 0.6]), centre([0, 0, -1])],
    smile: corner(face("mouthSmile"))[1] - corner(face("x"))[1] };
})"""


def test_the_mesh_lies_where_the_face_is(stage: Drawing) -> None:
    drawn = stage.page.value(MESH)
    near, far = drawn["near"], drawn["far"]
    assert sum(near) / 2 == pytest.approx(160, abs=2)
    assert near[1] - near[0] == pytest.approx(2 * (far[1] - far[0]), rel=0.15)  # nearer is larger
    assert sum(far) / 2 == pytest.approx(160 + 0.1 / 0.8 * 160 / np.tan(np.pi / 6), abs=3)
    assert drawn["none"] == [0, 0, 0]
    assert drawn["smile"] > 0.005


def test_a_first_visit_is_small(browser: Chromium, stage: Drawing) -> None:
    with opened(browser, stage.url) as first:  # nothing of it may be kept from another page: it would count as 0
        first.call("Network.setCacheDisabled", cacheDisabled=True)
        first.go(stage.url)
        first.until("window.reactdiff && reactdiff.fresh() && reactdiff.state().drawn")
        sizes = first.value(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".map(each => each.transferSize)"
        )
        assert len(sizes) < 40
        assert 50_000 < sum(sizes) < 400_000
        assert first.value("fetch('icon-192.png').then(answer => answer.headers.get('content-type'))") == "image/png"


def test_people_are_told_that_they_are_recorded(stage: Drawing) -> None:
    page = stage.page
    sign = "document.getElementById('recording')"
    assert page.value(f"{sign}.hidden")
    stage.server.status({"recording": "recording, with <i>pictures</i> and sound"})
    page.until(f"!{sign}.hidden && {sign}.innerText === 'recording, with <i>pictures</i> and sound'")
    page.value("document.body.classList.add('quiet')")
    box = page.value(f"(b => [b.left, b.top, b.width, b.height])({sign}.getBoundingClientRect())")
    assert 0 <= box[0] <= 40
    assert 0 <= box[1] <= 40
    assert box[2] > 100
    assert box[3] > 15
    assert page.value(f"getComputedStyle({sign}).opacity") == "1"
    stage.server.status({})
    page.until(f"{sign}.hidden")


def candidates(count: int) -> np.ndarray:
    """Plans that smile the more the higher their number, raise their brows in turn, and nod."""
    plans = np.zeros((count, 16, 58), np.float32)
    time_s = np.arange(16) / 25.0
    for k in range(count):
        plans[k, :, list(SMILE)] = 0.2 + 0.6 * (k + 1) / count * time_s / time_s[-1]
        plans[k, :, INDEX["browInnerUp"]] = 0.5 * np.sin(np.pi * time_s / time_s[-1]) * (k % 2)
        plans[k, :, HEAD_PITCH] = np.radians(2.0 * (k + 1)) * (1 - np.cos(2 * np.pi * 1.6 * time_s)) / 2
    return plans


def test_candidates_are_shown_only_while_they_are_looked_at(stage: Drawing) -> None:
    page = stage.page
    lines = "document.querySelectorAll('#candidates polyline:not(.zero)').length"
    stage.server.status({"listener": {"policy": "model"}})
    stage.server.candidates(candidates(4), 2, 25.0)
    page.key("p")
    assert not stage.server.wanted("candidates"), "closed: nobody asks"
    page.value("document.querySelector('#candidates summary').click()")
    until(lambda: stage.server.wanted("candidates"), timeout_s=5.0)
    page.until("document.querySelector('#candidates p').textContent.includes('waiting')")
    assert page.value(lines) == 0
    stage.server.candidates(candidates(4), 2, 25.0)
    page.until(f"{lines} === 12")
    assert "4 candidates, the next 0.64 s" in page.value("document.querySelector('#candidates p').textContent")
    smiles = "[...document.querySelectorAll('#candidates svg')[0].querySelectorAll('polyline:not(.zero)')]"
    assert page.value(f"{smiles}.filter((l) => l.className.baseVal === 'chosen').length") == 1
    assert page.value(f"{smiles}.at(-1).className.baseVal") == "chosen", "on top of the others"
    ends = page.value(f"{smiles}.map((l) => Number(l.getAttribute('points').split(/[ ,]/).at(-1)))")
    assert len(set(ends)) == 4, "each has a curve of its own"
    page.until(f"{lines} === 0", 5.0)  # none came any more
    stage.server.status({"listener": {"policy": "rules"}})
    page.until("document.querySelector('#candidates p').textContent.includes('rules draws no candidates')")
    page.key("p")
    until(lambda: not stage.server.wanted("candidates"), timeout_s=5.0)


def test_it_tells_why_only_while_that_is_looked_at(stage: Drawing) -> None:
    page = stage.page
    cues = ("plan", "face", "head_and_gaze", "voice", "0-0.5 s")
    why = Explanation(
        1, cues, np.array([0.5, 0.1, 0.48, 0.5, 0.3], np.float32), np.zeros(5, np.float32), np.full(5, 2.0, np.float32)
    )
    assert not stage.server.wanted("explanation")
    page.key("p")
    page.value("document.querySelector('#why summary').click()")
    try:
        until(lambda: stage.server.wanted("explanation"), timeout_s=5.0)
        stage.server.explain(replace(why, smile=np.full(5, np.nan, np.float32)))  # a page takes no such numbers
        stage.server.explain(why)
        page.until("document.querySelector('#why p').textContent.startsWith('Smile: 50 %. Without your face it would')")
        assert page.value("document.querySelectorAll('.cause').length") == 12
        widths = page.value(
            "[...document.querySelectorAll('.cause i')].slice(0, 4).map(bar => parseFloat(bar.style.width))"
        )
        assert widths == pytest.approx([33.3, 1.7, 0, 16.7], abs=0.2)
    finally:
        page.value("document.querySelector('#why summary').click()")
        page.key("p")
    until(lambda: not stage.server.wanted("explanation"), timeout_s=5.0)


def test_the_page_comes_back_after_a_restart(stage: Drawing) -> None:
    before = stage.state()["connections"]
    stage.drawn(mouthSmile=1.0)
    stage.on_loop(stage.server.stop())
    stage.page.until("!reactdiff.connected() && reactdiff.values().every((v) => v === 0)", 5)
    assert "trying again" in stage.state()["reason"]
    assert "trying again" in stage.page.value("document.getElementById('notice').textContent")
    stage.page.errors.clear()
    stage.server = AvatarServer(AvatarConfig(port=port_of(stage.url)))
    assert stage.on_loop(stage.server.start()) == stage.url
    stage.page.until("reactdiff.fresh()", 10)
    assert stage.state()["connections"] == before + 1
    stage.drawn(mouthSmile=0.5)
    stage.page.value("0")
    stage.page.errors.clear()  # refused connections while the server was away are what was asked for


@pytest.mark.parametrize("look", LOOKS)
def test_sixty_pictures_a_second(stage: Drawing, record_property: Any, look: str) -> None:
    """At 1280x720 with everything moving; on a busy machine no more than a sign of life is asked for."""
    values = np.full(58, 0.6, np.float32)
    values[52:] = 0.1
    stage.feed(values, swing=True)
    stage.page.until(f"reactdiff.wear('{look}').then(() => reactdiff.state().look === '{look}')")
    count = """new Promise((done) => { let n = 0; const start = performance.now();
      const tick = () => { n += 1; const t = performance.now() - start;
        if (t > 700) done(n * 1000 / t); else requestAnimationFrame(tick); };
      requestAnimationFrame(tick); })"""
    fps = stage.page.value(count)
    record_property("fps", fps)
    print(f"{look}: {fps:.1f} pictures and {stage.state()['rate']} frames a second at 1280x720")
    stage.page.value("reactdiff.wear('soft')")
    assert fps > 5


def test_it_fits_any_screen(browser: Chromium, stage: Drawing) -> None:
    rest = stage.drawn()
    assert rest["outline"]["width"] > 450
    page = stage.page
    try:
        for width, height in ((800, 480), (480, 800), (1920, 1080), (320, 240)):
            page.resize(width, height)
            page.until(f"innerWidth === {width} && innerHeight === {height}")
            page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            box = page.value("reactdiff.state().drawn.outline")
            assert box["x"] > 0
            assert box["x"] + box["width"] < width
            assert box["y"] > 0
            assert box["y"] + box["height"] < height
            assert box["width"] > (0.8 * width if width < height else 0.4 * height)
    finally:
        page.resize(1280, 720)
