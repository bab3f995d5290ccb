"""`reactdiff robot preview`: the picture moves as the face does, in numbers and in the browser."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.actuation.mapping import Mapping
from reactdiff_ros.actuation.robot.profile import load_profile, shipped_profiles
from reactdiff_ros.actuation.simulate import Frames, simulate
from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.preview import PAUSED, TRY_S, Preview, parts_of, sequence
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.resources import share_path
from tools.chromium import Chromium, Page, find_chromium

ROBOTS = sorted(shipped_profiles())
SHOWN = {
    "generic_12servo": "browInnerLeft lidLeft lidRight gazeXLeft gazeYRight jaw cornerLeft upperLip yaw pitch",
    "opsoro_ono": "browInnerLeft browOuterRight lidLeft gazeXLeft gazeYRight cornerRight jaw",
    "ohbot": "lidLeft lidRight gazeXLeft gazeYLeft upperLip jaw pitch yaw roll",
    "inmoov_head": "lidLeft gazeXRight jaw pitch yaw",
    "reachy_mini": "antennaLeft antennaRight pitch yaw roll x y z",
    "ros2_control": "gazeXLeft gazeYLeft jaw pitch yaw roll",
    "furhat": "browInnerLeft lidRight squintLeft gazeXLeft cornerLeft jaw cheekLeft pitch roll",
    "screen": "browOuterLeft lidRight squintLeft gazeYLeft cornerRight jaw mouthX x z",
}
"""Parts that each picture must have."""
MOVES = (
    # (coefficients, a part that they move, which way)
    ("mouthSmileLeft", "cornerLeft", 1),
    ("mouthFrownRight", "cornerRight", -1),
    ("eyeBlinkLeft eyeBlinkRight", "lidLeft", 1),
    ("eyeWideLeft eyeWideRight", "lidRight", -1),
    ("eyeLookOutLeft eyeLookInRight", "gazeXLeft", 1),
    ("eyeLookInLeft eyeLookOutRight", "gazeXRight", -1),
    ("eyeLookUpLeft eyeLookUpRight", "gazeYRight", 1),
    ("eyeLookDownLeft eyeLookDownRight", "gazeYLeft", -1),
    ("browInnerUp", "browInnerRight", 1),
    ("browDownLeft browDownRight", "browInnerLeft", -1),
    ("jawOpen", "jaw", 1),
    ("mouthSmileLeft mouthSmileRight", "antennaLeft", 1),
    ("mouthFrownRight", "antennaRight", -1),
    ("headPitch", "pitch", 1),
    ("headYaw", "yaw", 1),
    ("headRoll", "roll", 1),
    ("headX", "x", 1),
    ("headY", "y", 1),
    ("headZ", "z", 1),
)


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_picture_moves_as_the_face_does(robot: str) -> None:
    profile = load_profile(robot)
    parts = parts_of(profile)
    assert set(parts) == set(profile.joints)
    shown = {part for pairs in parts.values() for part, _ in pairs}
    assert set(SHOWN[robot].split()) <= shown
    mapping = Mapping(profile)
    rest = mapping.wanted(np.zeros(58))
    for coefficients, part, sign in MOVES:
        frame = np.zeros(58)
        frame[[INDEX[name] for name in coefficients.split()]] = 0.1
        moved = dict(zip(profile.joints, mapping.wanted(frame) - rest, strict=True))
        amount = sum(gain * moved[joint] for joint, pairs in parts.items() for p, gain in pairs if p == part)
        if part in shown and amount:
            assert amount * sign > 0.001, (coefficients, part)
            if part in ("pitch", "yaw", "roll"):
                assert amount == pytest.approx(0.1, rel=0.05), "the angle that was asked for"


def own(tmp_path: Path, robot: str = "ohbot") -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(share_path(f"config/robots/{robot}.yaml").read_text())
    return path


def test_it_moves_as_robot_simulate_does(tmp_path: Path) -> None:
    frames = sequence()
    short = Frames(frames.coefficients[:600], frames.times[:600], 0)
    preview = Preview(own(tmp_path), short, "clip")
    commands = [preview.tick()[0] for _ in range(600)]
    (block,) = simulate(preview.profile, short)
    assert np.array_equal(np.array([t.position for t in commands]), block.command)
    assert np.array_equal(np.array([t.target for t in commands]), block.target)


def test_one_coefficient_is_tried(tmp_path: Path) -> None:
    preview = Preview(own(tmp_path), Frames(np.zeros((100, 58)), np.arange(100) / 50, 0), "clip")
    assert not preview.obey({"fps": 25, "play": "mouthGrin"})
    assert preview.obey({"fps": 25, "play": "headYaw"})
    asked = np.array([preview.tick()[1] for _ in range(round(TRY_S * 50))])
    assert asked[:, INDEX["headYaw"]].max() == pytest.approx(0.6, abs=0.01)
    assert asked[:, INDEX["headYaw"]].min() == pytest.approx(-0.6, abs=0.01)
    assert not np.delete(asked, INDEX["headYaw"], axis=1).any()
    assert preview.obey({"fps": 25, "play": "jawOpen"})
    asked = np.array([preview.tick()[1] for _ in range(round(TRY_S * 50))])
    assert (asked.min(), asked.max()) == pytest.approx((0.0, 1.0), abs=0.01)
    assert preview.obey({"fps": 25, "play": PAUSED})
    at = preview.position
    for _ in range(100):
        commands, _ = preview.tick()
    assert (preview.position, commands.state) == (at, "following")
    preview.obey({"fps": 25, "seek": 0.5})
    assert preview.position == pytest.approx(0.5, abs=0.02)


def test_the_mapping_as_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    path = tmp_path / "new" / "mapping.png"
    assert main(["robot", "preview", "generic_12servo", "--output", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["joints"] == 12
    with Image.open(path) as image:
        assert image.width > 800
        assert len(image.convert("L").resize((64, 64)).getcolors()) > 20
    written, mine = path.read_bytes(), own(tmp_path)
    before = mine.read_bytes()
    there, other_kind = "already exists", ".png, .svg or .pdf"
    for output, words in ((path, there), (mine, there), (tmp_path / "x.doc", other_kind)):
        force = ["--force"] if output == mine else []  # never of the profile itself
        assert main(["robot", "preview", str(mine), "--output", str(output), *force]) == 1
        assert words in capsys.readouterr().err
    assert (path.read_bytes(), mine.read_bytes()) == (written, before)
    assert main(["robot", "preview", "ohbot", "--output", str(path), "--force"]) == 0
    assert path.read_bytes() != written
    assert [p.name for p in path.parent.iterdir()] == ["mapping.png"]


class Shown:
    """The command with a profile of its own, and a page that looks at it."""

    def __init__(self, browser: Chromium, folder: Path) -> None:
        self.path = own(folder, "generic_12servo")
        self.right = self.path.read_text()
        arguments = ["robot", "preview", str(self.path), "--port", "0", "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "reactdiff_ros.cli.main", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready
        self.report = json.loads(self.process.stdout.readline())
        self.page: Page = browser.open(self.report["url"])
        self.page.until("window.preview && preview.drawn()", 20)

    def close(self) -> int:
        self.page.close()
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    with Chromium((1280, 720)) as browser:
        one = Shown(browser, tmp_path)
        yield one
        errors, code = one.page.errors, one.close()
        assert (errors, code) == ([], 0)


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")
def test_the_clip_plays_and_the_profile_is_edited_while_it_is_shown(shown: Shown) -> None:
    page = shown.page
    assert (shown.report["robot"], shown.report["joints"]) == ("generic_12servo", 12)
    assert page.value("document.querySelectorAll('.joint').length") == 12
    page.value("window.least = [...preview.state().command]")
    page.until("preview.state().command.some((v, i) => Math.abs(v - least[i]) > 20)")
    error = "document.getElementById('error')"
    assert page.value(f"{error}.hidden")
    shown.path.write_text(shown.right.replace("{jawOpen: 400", "{jawopen: 400"))
    page.until(f"!{error}.hidden")
    sentence = page.value(f"{error}.innerText")
    assert "jawopen" in sentence
    line = shown.path.read_text().partition("jawopen")[0].count("\n") + 1
    assert f"line {line}" in sentence
    page.until("preview.state().connected && preview.state().command.length === 12")
    shown.path.write_text(shown.right.replace("position: [1480, 1900]", "position: [1490, 1700]"))
    page.until(f"{error}.hidden && preview.state().robot.joints.find((j) => j.name === 'jaw').upper === 1700")
    page.until("preview.drawn()")
    page.value("document.querySelector('[data-coefficient=\"jawOpen\"]').click()")
    page.until("preview.state().robot.playing === 'jawOpen'")
    page.until("preview.state().command[6] > 1690")
    assert page.value("preview.state().command[6]") <= 1700
    page.until("document.querySelector('[data-joint=jaw]').classList.contains('cut')")
