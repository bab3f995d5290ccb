"""`reactdiff robot preview`: the picture moves as the face does, in numbers and in the browser."""

import json
import select
import signal
import subprocess
import sys

import numpy as np
import pytest

from reactdiff_ros.actuation.mapping import Mapping
from reactdiff_ros.actuation.robot.profile import load_profile, shipped_profiles
from reactdiff_ros.actuation.simulate import Frames, simulate
from reactdiff_ros.cli.preview import TRY_S, Preview, parts_of, sequence
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.resources import share_path
from tools.chromium import Chromium, find_chromium

MOVES = {
    # A part of the picture: (coefficients that move it, which way, in how many of the shipped robots)
    "cornerLeft": ("mouthSmileLeft", 1, 4), "cornerRight": ("mouthFrownRight", -1, 4),
    "lidLeft": ("eyeBlinkLeft eyeBlinkRight", 1, 6), "lidRight": ("eyeWideLeft eyeWideRight", -1, 6),
    "gazeXLeft": ("eyeLookOutLeft eyeLookInRight", 1, 7), "gazeXRight": ("eyeLookInLeft eyeLookOutRight", -1, 7),
    "gazeYLeft": ("eyeLookDownLeft eyeLookDownRight", -1, 7), "gazeYRight": ("eyeLookUpLeft eyeLookUpRight", 1, 7),
    "browInnerRight": ("browInnerUp", 1, 4), "browInnerLeft": ("browDownLeft browDownRight", -1, 4),
    "jaw": ("jawOpen", 1, 7), "antennaLeft": ("mouthSmileLeft mouthSmileRight", 1, 1),
    "antennaRight": ("mouthFrownRight", -1, 1), "pitch": ("headPitch", 1, 7), "yaw": ("headYaw", 1, 7),
    "roll": ("headRoll", 1, 5), "x": ("headX", 1, 2), "y": ("headY", 1, 2), "z": ("headZ", 1, 2),
}  # fmt: skip


def test_the_picture_moves_as_the_face_does():
    moved_in = dict.fromkeys(MOVES, 0)
    for robot in shipped_profiles():
        profile = load_profile(robot)
        parts = parts_of(profile)
        assert set(parts) == set(profile.joints)
        mapping = Mapping(profile)
        rest = mapping.wanted(np.zeros(58))
        for part, (coefficients, sign, _) in MOVES.items():
            frame = np.zeros(58)
            frame[[INDEX[name] for name in coefficients.split()]] = 0.1
            moved = dict(zip(profile.joints, mapping.wanted(frame) - rest, strict=True))
            amount = sum(gain * moved[joint] for joint, pairs in parts.items() for p, gain in pairs if p == part)
            if amount:
                moved_in[part] += 1
                assert amount * sign > 0.001, (robot, coefficients, part)
                if part in ("pitch", "yaw", "roll"):
                    assert amount == pytest.approx(0.1, rel=0.05), "the angle that was asked for"
    assert moved_in == {part: robots for part, (_, _, robots) in MOVES.items()}


OHBOT = share_path("config/robots/ohbot.yaml")


def test_it_moves_as_robot_simulate_does_and_tries_one_coefficient():
    frames = sequence()
    short = Frames(frames.coefficients[:600], frames.times[:600], 0)
    preview = Preview(OHBOT, short, "clip")
    commands = [preview.tick()[0] for _ in range(600)]
    (block,) = simulate(preview.profile, short)
    assert np.array_equal(np.array([t.position for t in commands]), block.command)
    assert np.array_equal(np.array([t.target for t in commands]), block.target)
    assert not preview.obey({"fps": 25, "play": "mouthGrin"})
    for name, ends in (("headYaw", (-0.6, 0.6)), ("jawOpen", (0.0, 1.0))):
        assert preview.obey({"fps": 25, "play": name})
        asked = np.array([preview.tick()[1] for _ in range(round(TRY_S * 50))])
        assert (asked[:, INDEX[name]].min(), asked[:, INDEX[name]].max()) == pytest.approx(ends, abs=0.01)
        assert not np.delete(asked, INDEX[name], axis=1).any()


def test_the_mapping_as_a_picture_that_replaces_no_file_unasked(tmp_path, reactdiff):
    mine, path, before = tmp_path / "mine.yaml", tmp_path / "new" / "mapping.png", OHBOT.read_bytes()
    mine.write_bytes(before)
    preview = ["robot", "preview", mine, "--output"]
    reactdiff(*preview, path)
    written = path.read_bytes()
    assert written[:8] == b"\x89PNG\r\n\x1a\n"
    # Never the profile itself.
    for words, said in (([path], "already exists"), ([mine, "--force"], "already exists"), (["x.doc"], ".png, .svg")):
        assert said in reactdiff(*preview, *words, code=1)[1]
    assert (path.read_bytes(), mine.read_bytes()) == (written, before)


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")
def test_the_clip_plays_and_the_profile_is_edited_while_it_is_shown(tmp_path):
    path, right = tmp_path / "mine.yaml", share_path("config/robots/generic_12servo.yaml").read_text()
    path.write_text(right)
    command = [sys.executable, "-u", "-m", "reactdiff_ros.cli.main", "robot", "preview", str(path)]
    process = subprocess.Popen([*command, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        assert select.select([process.stdout], [], [], 60)[0]
        report = json.loads(process.stdout.readline())
        assert report["robot"] == "generic_12servo"
        with Chromium((1280, 720)) as browser:
            page = browser.open(report["url"])
            page.until("window.preview && preview.drawn()", 20)
            page.value("window.least = [...preview.state().command]")
            page.until("preview.state().command.some((v, i) => Math.abs(v - least[i]) > 20)")
            error = "document.getElementById('error')"
            assert page.value(f"{error}.hidden")
            path.write_text(right.replace("{jawOpen: 400", "{jawopen: 400"))
            page.until(f"!{error}.hidden")
            line = path.read_text().partition("jawopen")[0].count("\n") + 1
            assert f"line {line}" in page.value(f"{error}.innerText")
            path.write_text(right.replace("position: [1480, 1900]", "position: [1490, 1700]"))
            page.until(f"{error}.hidden && preview.state().robot.joints.find((j) => j.name === 'jaw').upper === 1700")
            page.value("document.querySelector('[data-coefficient=\"jawOpen\"]').click()")
            page.until("preview.state().command[6] > 1690")
            assert page.value("preview.state().command[6]") <= 1700
            page.until("document.querySelector('[data-joint=jaw]').classList.contains('cut')")
            assert page.errors == []
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
