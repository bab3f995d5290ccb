"""The page of `reactdiff robot preview` in headless Chromium: the real command, its file changed while it runs."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium, Page, find_chromium

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.resources import share_path

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed"),
]


class Shown:
    """The command with a profile of its own, and a page that looks at it."""

    def __init__(self, browser: Chromium, folder: Path, robot: str, *arguments: str) -> None:
        self.path = folder / f"{robot}_of_mine.yaml"
        self.right = share_path(f"config/robots/{robot}.yaml").read_text()
        self.path.write_text(self.right)
        command = [sys.executable, "-m", "reactdiff_ros.cli.main", "robot", "preview", str(self.path)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready
        self.told = json.loads(self.process.stdout.readline())
        self.page: Page = browser.open(self.told["url"])
        self.page.until("window.preview && preview.drawn()", 20)

    def attribute(self, selector: str, name: str) -> str:
        return str(self.page.value(f"document.querySelector({selector!r}).getAttribute({name!r})"))

    def attempt(self, coefficient: str) -> None:
        self.page.value(f"document.querySelector('[data-coefficient=\"{coefficient}\"]').click()")
        self.page.until(f"preview.state().robot.playing === '{coefficient}'")

    def close(self) -> int:
        self.page.close()
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium((1280, 720)) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def shown(browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    shown = Shown(browser, tmp_path_factory.mktemp("profile"), "generic_12servo")
    yield shown
    assert shown.page.errors == []
    assert shown.close() == 0


def test_the_robot_moves_within_its_limits(shown: Shown) -> None:
    page = shown.page
    assert shown.told["robot"] == "generic_12servo"
    names = page.value("[...document.querySelectorAll('.joint')].map((row) => row.dataset.joint)")
    assert len(names) == 12 == shown.told["joints"]
    seen = []
    page.value("document.getElementById('again').click()")
    page.until("preview.state().time < 0.5")
    for _ in range(40):
        seen.append(page.value("preview.state().command"))
        time.sleep(0.05)
    joints = page.value("preview.state().robot.joints")
    for column, joint in zip(np.array(seen).T, joints, strict=True):
        assert column.min() >= joint["lower"]
        assert column.max() <= joint["upper"]
    assert np.ptp(np.array(seen), axis=0).max() > 20, "the clip plays"


def test_one_coefficient_moves_its_joints_and_its_parts(shown: Shown) -> None:
    page = shown.page
    page.value("document.getElementById('play').textContent === 'Pause' || document.getElementById('play').click()")
    rest = shown.attribute("#robot .mouth", "d")
    shown.attempt("mouthSmileLeft")
    page.until("preview.state().parts.cornerLeft > 0.8")
    assert abs(page.value("preview.state().parts.cornerRight")) < 0.05
    assert shown.attribute("#robot .mouth", "d") != rest
    left = "parseFloat(document.querySelector('[data-joint=corner_left] .command').style.left)"
    page.until(f"{left} > 85")
    shown.attempt("headYaw")
    page.until("Math.abs(preview.state().parts.yaw) > 0.4")
    assert "headYaw" in page.value("document.querySelector('.chip.tried').textContent")
    assert page.value("document.getElementById('try').value") == "headYaw"


def test_a_row_opens_to_its_formula_and_curve(shown: Shown) -> None:
    page = shown.page
    page.value("document.querySelector('[data-joint=lid_left] .name').click()")
    text = page.value("document.querySelector('[data-joint=lid_left] .more').innerText")
    assert "lid_left = 1600 + curve(1.00 eyeBlinkLeft" in text
    assert "0.40 × how far eyes_tilt is from neutral" in text
    assert "at most 4500µs/s" in text
    page.value("document.querySelector('[data-joint=brow_right] .name').click()")
    formula = page.value("document.querySelector('[data-joint=brow_right] .formula').innerText")
    assert formula.startswith("brow_right = 1500 − 150 browInnerUp − 150 ")
    assert page.value("document.querySelectorAll('[data-joint=lid_left] .plot .curve').length") == 1
    points = shown.attribute("[data-joint=lid_left] .curve", "points")
    assert len(points.split()) == 8


def test_the_profile_is_edited_while_it_is_shown(shown: Shown) -> None:
    page = shown.page
    error = "document.getElementById('error')"
    assert page.value(f"{error}.hidden")
    shown.path.write_text(shown.right.replace("{jawOpen: 400", "{jawopen: 400"))
    page.until(f"!{error}.hidden")
    sentence = page.value(f"{error}.innerText")
    assert "jawopen" in sentence
    line = (
        shown.path.read_text()
        .splitlines()
        .index(next(x for x in shown.path.read_text().splitlines() if "jawopen" in x))
    )
    assert f"line {line + 1}" in sentence
    page.until("preview.state().connected && preview.state().command.length === 12")
    shown.path.write_text(shown.right.replace("position: [1480, 1900]", "position: [1490, 1700]"))
    page.until(f"{error}.hidden && preview.state().robot.joints.find((j) => j.name === 'jaw').upper === 1700")
    page.until("preview.drawn()")
    shown.attempt("jawOpen")
    page.until("preview.state().command[6] > 1690")
    assert page.value("preview.state().command[6]") <= 1700
    page.until("document.querySelector('[data-joint=jaw]').classList.contains('cut')")


def test_other_sites_are_refused(shown: Shown) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        request = urllib.request.Request(shown.told["url"], headers=headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
        assert caught.value.code == 403
        caught.value.close()


@pytest.mark.parametrize("robot", ["reachy_mini", "screen"])
def test_a_clip_on_other_robots(browser: Chromium, tmp_path: Path, robot: str) -> None:
    values = np.zeros((100, 58), np.float32)
    values[:, INDEX["mouthSmileLeft"]] = values[:, INDEX["mouthSmileRight"]] = 1.0
    np.savez(tmp_path / "smile.npz", coefficients=values, times=np.arange(100) / 50)
    shown = Shown(browser, tmp_path, robot, "--frames", str(tmp_path / "smile.npz"))
    try:
        page = shown.page
        if robot == "reachy_mini":
            page.until("preview.state().parts.antennaLeft > 0.4 && preview.state().parts.antennaRight > 0.4")
            assert page.value("document.querySelector('#robot .mouth').classList.contains('pale')"), "it has none"
            assert page.value("document.querySelectorAll('#robot .brow').length") == 0
        else:
            page.until("preview.state().parts.cornerRight > 0.9")
            assert page.value("document.querySelectorAll('.joint').length") == 58
        assert "smile.npz" in page.value("document.getElementById('source').textContent")
        for width, height in ((1920, 1080), (800, 600), (390, 800)):
            page.resize(width, height)
            page.until(f"innerWidth === {width}")
            box = page.value(
                "(b => [b.left, b.right, b.height])(document.getElementById('robot').getBoundingClientRect())"
            )
            assert box[0] >= 0
            assert box[1] <= width
            assert box[2] > 150
        assert page.errors == []
    finally:
        code = shown.close()
    assert code == 0
    assert shown.process.stderr is not None
    assert shown.process.stderr.read().strip() == "reactdiff: stopping"
