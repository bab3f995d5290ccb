"""The drawn face, read from the drawing in headless Chromium: coefficients come in over the websocket.

The face's own left is at the viewer's right; screen y points down.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from chromium import Chromium, Page
from stage import IN_BROWSER, Stage
from with_us import wait

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.config import LOOKS
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, NAMES, SMILE
from reactdiff_ros.types import ExpressionFrame

pytestmark = IN_BROWSER

# What moves nothing by itself, by its definition: closing the lips over a jaw that is shut.
NEEDS_JAW = {"mouthClose"}


class Drawing(Stage):
    """Shows one expression, and a page that looks at it."""

    def __init__(self, browser: Chromium) -> None:
        self.feed(np.zeros(58, np.float32))
        super().__init__()
        self.frame = self._face
        self.page: Page = browser.open(self.url)
        self.page.until("window.reactdiff && reactdiff.fresh()")

    def _face(self, number: int) -> ExpressionFrame | None:
        values = self._values
        if values is None:
            return None
        if self._swing:
            values = np.abs(np.sin(number * 0.06 + np.arange(58))).astype(np.float32) * values
        return ExpressionFrame(number * 20_000_000, values, "listening", (), None, None, None, None)

    def feed(self, values: np.ndarray | None, swing: bool = False) -> None:
        self._values, self._swing = values, swing

    def drawn(self, **coefficients: float) -> dict[str, Any]:
        """Show these coefficients (mouthSmile sets both sides); the drawing once they have arrived."""
        values = np.zeros(58, np.float32)
        for name, value in coefficients.items():
            for part in (name,) if name in INDEX else (name + "Left", name + "Right"):
                values[INDEX[part]] = value
        self.feed(values)
        wanted = [round(float(v), 4) for v in values]
        self.page.until(f"(shown => {wanted}.every((v, i) => Math.abs(v - shown[i]) < 1e-3))(reactdiff.values())")
        return dict(self.page.value("reactdiff.state().drawn"))

    def state(self) -> dict[str, Any]:
        return dict(self.page.value("reactdiff.state()"))

    def close(self) -> None:
        self.page.close()
        super().close()


@pytest.fixture(scope="module")
def shared_stage(browser: Chromium) -> Iterator[Drawing]:
    stage = Drawing(browser)
    yield stage
    errors = stage.page.errors
    stage.close()
    assert errors == []


@pytest.fixture
def stage(shared_stage: Drawing) -> Drawing:
    shared_stage.page.front()
    shared_stage.drawn()
    return shared_stage


def test_a_smile_lifts_the_corners_each_on_its_own(stage: Drawing) -> None:
    rest = stage.drawn()["mouth"]
    assert rest["left"]["x"] > 640 > rest["right"]["x"]
    both = stage.drawn(mouthSmile=1.0)["mouth"]
    for side, outward in (("left", 1), ("right", -1)):
        assert rest[side]["y"] - both[side]["y"] > 15
        assert (both[side]["x"] - rest[side]["x"]) * outward > 10
        one = stage.drawn(**{f"mouthSmile{side.capitalize()}": 1.0})
        other = "right" if side == "left" else "left"
        assert rest[side]["y"] - one["mouth"][side]["y"] > 15
        assert abs(rest[other]["y"] - one["mouth"][other]["y"]) < 4
        assert one["cheeks"][side] > one["cheeks"][other] + 0.2
    frown = stage.drawn(mouthFrown=1.0)["mouth"]
    assert frown["left"]["y"] - rest["left"]["y"] > 15
    assert frown["right"]["y"] - rest["right"]["y"] > 15


def test_the_pupils_follow_the_gaze(stage: Drawing) -> None:
    rest = stage.drawn()["eyes"]
    to_own_left = stage.drawn(eyeLookOutLeft=0.8, eyeLookInRight=0.8)["eyes"]
    to_own_right = stage.drawn(eyeLookInLeft=0.8, eyeLookOutRight=0.8)["eyes"]
    up, down = stage.drawn(eyeLookUp=0.8)["eyes"], stage.drawn(eyeLookDown=0.8)["eyes"]
    for side in ("left", "right"):
        assert to_own_left[side]["pupil"]["x"] - rest[side]["pupil"]["x"] > 15
        assert rest[side]["pupil"]["x"] - to_own_right[side]["pupil"]["x"] > 15
        assert rest[side]["pupil"]["y"] - up[side]["pupil"]["y"] > 10
        assert down[side]["pupil"]["y"] - rest[side]["pupil"]["y"] > 10
        assert down[side]["opening"] < rest[side]["opening"]
    cross = stage.drawn(eyeLookInLeft=0.5)["eyes"]
    assert cross["left"]["pupil"]["x"] < rest["left"]["pupil"]["x"] - 5
    assert cross["right"]["pupil"]["x"] == pytest.approx(rest["right"]["pupil"]["x"], abs=0.5)


def test_a_blink_closes_the_lids_each_on_its_own(stage: Drawing) -> None:
    rest = stage.drawn()["eyes"]
    assert rest["left"]["opening"] > 100
    wink = stage.drawn(eyeBlinkLeft=1.0)["eyes"]
    assert wink["left"]["box"]["height"] < 0.2 * rest["left"]["opening"]  # what is left is the lid's own curve
    assert wink["right"]["opening"] == pytest.approx(rest["right"]["opening"], rel=0.02)
    half = stage.drawn(eyeBlink=0.5)["eyes"]
    assert 0.3 < half["left"]["opening"] / rest["left"]["opening"] < 0.9
    assert stage.drawn(eyeWide=1.0)["eyes"]["right"]["opening"] > rest["right"]["opening"] + 5
    assert stage.drawn(eyeSquint=1.0)["eyes"]["right"]["opening"] < 0.8 * rest["right"]["opening"]


def test_the_head_turns_with_depth(stage: Drawing) -> None:
    rest = stage.drawn()

    def middle(box: dict[str, float], axis: str) -> float:
        return box[axis] + box["width" if axis == "x" else "height"] / 2

    for name, axis, sign in (("headYaw", "x", 1), ("headPitch", "y", 1)):
        for angle in (0.25, -0.25):
            turned = stage.drawn(**{name: angle})
            nose = (turned["nose"][axis] - rest["nose"][axis]) * sign * np.sign(angle)
            mouth_x = (middle(turned["mouth"]["lips"], axis) - middle(rest["mouth"]["lips"], axis)) * np.sign(angle)
            head = (middle(turned["outline"], axis) - middle(rest["outline"], axis)) * np.sign(angle)
            assert nose > mouth_x > head, "what lies nearer moves farther"
            assert nose > 20
    far, near = (stage.drawn(headYaw=0.4)["eyes"][side]["box"]["width"] for side in ("left", "right"))
    assert far < 0.95 * near
    tilted = stage.drawn(headRoll=0.3)["eyes"]  # to its own right: that eye goes down
    assert tilted["right"]["pupil"]["y"] > tilted["left"]["pupil"]["y"] + 30
    moved = stage.drawn(headX=0.05, headY=0.03)["nose"]
    assert moved["x"] > rest["nose"]["x"] + 30
    assert moved["y"] < rest["nose"]["y"] - 15
    assert stage.drawn(headZ=0.1)["outline"]["width"] > 1.05 * rest["outline"]["width"]


@pytest.mark.parametrize("look", LOOKS)
def test_every_coefficient_can_be_seen_in_every_look(browser: Chromium, shared_stage: Drawing, look: str) -> None:
    page = browser.open(f"{shared_stage.url}?look={look}")
    try:
        page.until("window.reactdiff && reactdiff.fresh()")
        assert page.value("document.documentElement.dataset.look") == look
        script = """
          Promise.all([import('/draw.js'), import('/looks.js')]).then(([{Face}, {lookNamed}]) => {
            const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
            const face = new Face(svg);
            face.wear(lookNamed('LOOK'));
            const sketch = (i, v) => {
              const c = new Float32Array(58);
              if (i >= 0) c[i] = v;
              face.draw(c);
              return svg.innerHTML;
            };
            const rest = sketch(-1, 0);
            const out = [];
            for (let i = 0; i < 58; i++) {
              const full = sketch(i, i < 52 ? 1 : 0.1);
              out.push([full !== rest, !/NaN|undefined|Infinity/.test(full), sketch(-1, 0) === rest]);
            }
            return out;
          })""".replace("LOOK", look)
        for name, (moves, clean, returns) in zip(NAMES, page.value(script), strict=True):
            assert clean, f"{name} draws something that is no number"
            assert returns, f"{name} leaves a trace"
            assert moves or name in NEEDS_JAW, f"{name} shows nothing"
        assert page.errors == []
    finally:
        page.close()


def test_wild_combinations_are_drawable(stage: Drawing) -> None:
    script = """
      Promise.all([import('/draw.js'), import('/looks.js')]).then(([{Face}, {LOOKS, lookNamed}]) => {
        const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
        const face = new Face(svg);
        const rows = ROWS;
        for (const name of Object.keys(LOOKS)) {
          face.wear(lookNamed(name));
          for (const row of rows) {
            face.draw(row.map((v) => v === null ? NaN : v));
            if (/NaN|undefined|Infinity/.test(svg.innerHTML)) return row;
          }
        }
        return 'fine';
      })"""
    generator = np.random.default_rng(7)
    rows = [[1.0] * 58, [None] * 58, [1e30] * 58, [-1e30] * 58]
    rows += [[round(float(v), 3) for v in generator.uniform(-0.5, 1.5, 58)] for _ in range(60)]
    assert stage.page.value(script.replace("ROWS", str(rows).replace("None", "null"))) == "fine"


def test_neutral_after_half_a_second_without_frames(stage: Drawing) -> None:
    rest = stage.drawn()["mouth"]["left"]["y"]
    assert stage.drawn(mouthSmile=1.0, headYaw=0.3)["mouth"]["left"]["y"] < rest - 15
    stage.feed(None)
    stopped = time.monotonic()
    at_first = """new Promise((done) => {
      const look = () => reactdiff.fresh() ? requestAnimationFrame(look) : done(reactdiff.state().reason);
      look(); })"""
    told = re.fullmatch(r"no expression for ([\d.]+) s", stage.page.value(at_first))
    assert told is not None
    assert float(told[1]) >= stage.server.config.stale_s, "a shorter gap changes nothing"
    stage.page.until("!reactdiff.fresh() && reactdiff.values().every((v) => v === 0)", 5)
    assert time.monotonic() - stopped < 2.5
    state = stage.state()
    assert (state["mode"], state["drawn"]["mouth"]["left"]["y"]) == ("neutral", pytest.approx(rest, abs=0.5))
    assert state["reason"].startswith("no expression for")
    assert stage.drawn(mouthSmile=1.0)["mouth"]["left"]["y"] < rest - 15


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
    page.until("document.getElementById('panel').innerText.includes('the microphone is gone')")
    text = page.value("document.getElementById('panel').innerText")
    for expected in ("present", "speaking", "speaker/frame", "41.5", "<b>happy</b>"):
        assert expected in text
    page.value("document.getElementById('panel-button').click()")
    assert page.value("document.getElementById('panel').hidden")


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
    assert not stage.server.wants_candidates(), "closed: nobody asks"
    page.value("document.querySelector('#candidates summary').click()")
    wait(stage.server.wants_candidates)
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
    wait(lambda: not stage.server.wants_candidates())


def test_the_page_comes_back_after_a_restart(stage: Drawing) -> None:
    port = int(stage.url.rsplit(":", 1)[1].strip("/"))
    before = stage.state()["connections"]
    stage.drawn(mouthSmile=1.0)
    stage.on_loop(stage.server.stop())
    stage.page.until("!reactdiff.connected() && reactdiff.values().every((v) => v === 0)", 5)
    assert "trying again" in stage.state()["reason"]
    assert "trying again" in stage.page.value("document.getElementById('notice').textContent")
    stage.page.errors.clear()
    stage.server = AvatarServer(AvatarConfig(port=port))
    assert stage.on_loop(stage.server.start()) == stage.url
    stage.page.until("reactdiff.fresh()", 10)
    assert stage.state()["connections"] == before + 1
    stage.drawn(mouthSmile=0.5)
    stage.page.value("0")
    stage.page.errors.clear()  # refused connections while the server was away are what was asked for


def test_it_fits_any_screen(browser: Chromium, stage: Drawing) -> None:
    rest = stage.drawn()
    assert rest["outline"]["width"] > 350
    page = stage.page
    try:
        for width, height in ((800, 480), (480, 800), (1920, 1080), (320, 240)):
            page.resize(width, height)
            page.until(f"innerWidth === {width} && innerHeight === {height}")
            box = page.value("reactdiff.state().drawn.outline")
            assert box["x"] > 0
            assert box["x"] + box["width"] < width
            assert box["y"] > 0
            assert box["y"] + box["height"] < height
            assert box["width"] > 0.4 * min(width, height)
    finally:
        page.resize(1280, 720)
