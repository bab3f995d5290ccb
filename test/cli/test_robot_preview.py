"""reactdiff robot preview: which parts a profile moves, the clip, reading the file again, the picture file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.actuation.mapping import Mapping
from reactdiff_ros.actuation.profile import load_profile, shipped_profiles
from reactdiff_ros.actuation.simulate import Frames, simulate
from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.preview import PAUSED, TRY_S, Preview, effects, parts_of, sequence, share
from reactdiff_ros.coefficients import INDEX, LOWER, NAMES, UPPER
from reactdiff_ros.resources import share_path

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


def test_effects_are_those_of_the_mapping() -> None:
    profile = load_profile("generic_12servo")
    moved = effects(profile)
    assert moved["jaw"] == pytest.approx({"jawOpen": 400.0, "mouthClose": -150.0})
    assert moved["lid_left"]["eyeBlinkLeft"] == pytest.approx(-450.0), "through its curve"
    assert moved["lid_left"]["eyeLookUpLeft"] == pytest.approx(0.4 * 125.0), "through the joint that it follows"
    assert moved["neck_turn"] == pytest.approx({"headYaw": 637 * 0.6})
    jaw = profile.joints["jaw"]
    assert share(jaw, 400.0) == pytest.approx(1.0)
    assert share(jaw, -10.0) == pytest.approx(-0.5)


def test_the_sequence_moves_every_joint_of_every_robot() -> None:
    frames = sequence()
    assert np.all(frames.coefficients >= LOWER - 1e-6)
    assert np.all(frames.coefficients <= UPPER + 1e-6)
    assert not frames.coefficients[0].any()
    assert np.array_equal(frames.coefficients, sequence().coefficients)
    for robot in ROBOTS:
        if robot not in ("screen", "furhat"):  # those have a joint for every coefficient
            wanted = Mapping(load_profile(robot)).wanted(frames.coefficients)
            assert np.all(np.ptp(wanted, axis=0) > 0), robot


def own(tmp_path: Path, robot: str = "ohbot") -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(share_path(f"config/robots/{robot}.yaml").read_text())
    return path


def still(seconds: float = 2.0, **coefficients: float) -> Frames:
    times = np.arange(round(seconds * 50)) / 50
    values = np.zeros((len(times), 58))
    for name, value in coefficients.items():
        values[:, INDEX[name]] = value
    return Frames(values, times, 0)


def test_it_moves_as_robot_simulate_does(tmp_path: Path) -> None:
    frames = sequence()
    short = Frames(frames.coefficients[:600], frames.times[:600], 0)
    preview = Preview(own(tmp_path), short, "clip")
    told = [preview.tick()[0] for _ in range(600)]
    (block,) = simulate(preview.profile, short)
    assert np.array_equal(np.array([t.position for t in told]), block.command)
    assert np.array_equal(np.array([t.target for t in told]), block.target)


def test_the_clip_comes_again_and_the_robot_rests_between(tmp_path: Path) -> None:
    preview = Preview(own(tmp_path), still(1.0, jawOpen=1.0), "clip")
    neutral = preview.profile.joints["bottom_lip"].neutral
    place = list(preview.profile.joints).index("bottom_lip")
    ticks = [preview.tick()[0] for _ in range(120)]
    assert ticks[48].state == "following"
    assert ticks[75].state == "returning"
    assert ticks[97].position[place] == pytest.approx(neutral, abs=1e-3)
    assert ticks[110].state == "following"
    assert 0.3 < preview.position < 0.6


def test_one_coefficient_is_tried(tmp_path: Path) -> None:
    preview = Preview(own(tmp_path), still(), "clip")
    assert not preview.play("mouthGrin")
    assert preview.play("headYaw")
    asked = np.array([preview.tick()[1] for _ in range(round(TRY_S * 50))])
    assert asked[:, INDEX["headYaw"]].max() == pytest.approx(0.6, abs=0.01)
    assert asked[:, INDEX["headYaw"]].min() == pytest.approx(-0.6, abs=0.01)
    assert not np.delete(asked, INDEX["headYaw"], axis=1).any()
    assert preview.play("jawOpen")
    asked = np.array([preview.tick()[1] for _ in range(round(TRY_S * 50))])
    assert (asked.min(), asked.max()) == pytest.approx((0.0, 1.0), abs=0.01)
    assert preview.play(PAUSED)
    at = preview.position
    for _ in range(100):
        told, _ = preview.tick()
    assert (preview.position, told.state) == (at, "following")
    preview.seek(0.5)
    assert preview.position == pytest.approx(0.5, abs=0.02)


def test_pages_can_ask_for_little() -> None:
    preview = Preview(share_path("config/robots/ohbot.yaml"), still(), "clip")
    good = [{"play": "clip"}, {"play": "paused"}, {"play": "restart"}, {"play": "jawOpen"}, {"seek": 0}, {"seek": 1.0}]
    bad = [{"play": "../x"}, {"play": 3}, {"seek": 1.5}, {"seek": True}, {"seek": "0"}, {"seek": float("nan")}, {},
           {"play": "clip", "seek": 0}, {"arm": True}]  # fmt: skip
    assert [preview.obey({"fps": 0, **wish}) for wish in good] == [True] * len(good)
    assert [preview.obey({"fps": 0, **wish}) for wish in bad] == [False] * len(bad)


def test_the_file_is_read_again(tmp_path: Path) -> None:
    path = own(tmp_path)
    preview = Preview(path, still(), "clip")
    before = preview.profile
    assert not preview.reload()
    right = path.read_text()
    path.write_text(right.replace("{headRoll:", "{headroll:"))
    assert preview.reload()
    assert "headroll" in preview.error
    assert "line " in preview.error
    assert preview.error.count("\n") == 0
    assert preview.profile is before, "what was right before is shown"
    assert preview.description()["error"] == preview.error
    preview.tick()
    preview.seek(0.5)
    path.write_text(right.replace("position: [140, 700]", "position: [150, 690]"))
    assert preview.reload()
    assert (preview.error, preview.profile.joints["head_nod"].lower) == ("", 150.0)
    assert preview.generation == 2
    assert preview.position == pytest.approx(0.5, abs=0.02), "the clip goes on where it was"
    path.unlink()
    assert preview.reload()
    assert "cannot be read" in preview.error
    assert not preview.reload(), "said once"


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_description_is_plain(robot: str) -> None:
    preview = Preview(share_path(f"config/robots/{robot}.yaml"), sequence(), "clip")
    told = json.loads(json.dumps(preview.description(), allow_nan=False))
    assert [j["name"] for j in told["joints"]] == list(preview.profile.joints)
    assert sorted([*told["coefficients"], *told["unused"]]) == sorted(NAMES)


def test_the_mapping_as_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    path = tmp_path / "new" / "mapping.png"
    assert main(["robot", "preview", "generic_12servo", "--output", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["joints"] == 12
    with Image.open(path) as image:
        assert image.width > 800
        assert len(image.convert("L").resize((64, 64)).getcolors()) > 20
    written = path.read_bytes()
    assert main(["robot", "preview", "ohbot", "--output", str(path)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert path.read_bytes() == written
    assert main(["robot", "preview", "ohbot", "--output", str(path), "--force"]) == 0
    assert path.read_bytes() != written
    assert [p.name for p in path.parent.iterdir()] == ["mapping.png"]
    assert main(["robot", "preview", "ohbot", "--output", str(tmp_path / "mapping.doc")]) == 1
    assert ".png, .svg or .pdf" in capsys.readouterr().err
    mine = own(tmp_path)
    assert main(["robot", "preview", str(mine), "--output", str(mine), "--force"]) == 1
    assert mine.read_text() == share_path("config/robots/ohbot.yaml").read_text()
