"""The drawn face, read from the drawing of a browser, where each picture is drawn alone, without a server's line and
without a clock; looks; the same face drawn without a browser; and 3D avatars: what their files must have, and how a
page moves them.

The face's own left is at the viewer's right; screen y points down.
"""

import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from stage import Shown, Stage, in_browser, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.config import LOOKS
from reactdiff_ros.avatar.drawing import FaceDrawing, looks
from reactdiff_ros.avatar.model_file import ModelFile, coefficient, read_model_file
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, NAMES
from reactdiff_ros.errors import ConfigError
from tools.chromium import Chromium
from tools.demo.readback import face

SIDES = ("left", "right")


@in_browser
@pytest.mark.parametrize("look", LOOKS)
def test_pupils_and_lids_follow_the_gaze_and_each_eye_winks_alone(sheet, look):
    rest = sheet.draw(look)["eyes"]
    to_own_left = sheet.draw(look, eyeLookOutLeft=0.8, eyeLookInRight=0.8)["eyes"]
    to_own_right = sheet.draw(look, eyeLookInLeft=0.8, eyeLookOutRight=0.8)["eyes"]
    up, down = sheet.draw(look, eyeLookUp=0.8)["eyes"], sheet.draw(look, eyeLookDown=0.8)["eyes"]
    for side in SIDES:
        pupil = rest[side]["pupil"]
        assert to_own_left[side]["pupil"]["x"] - pupil["x"] > 12
        assert pupil["x"] - to_own_right[side]["pupil"]["x"] > 12
        assert pupil["y"] - up[side]["pupil"]["y"] > 10
        assert down[side]["pupil"]["y"] - pupil["y"] > 10
        assert down[side]["opening"] < 0.85 * rest[side]["opening"] < 0.95 * up[side]["opening"]
    assert rest["left"]["opening"] < 0.9 * sheet.draw(look, eyeWide=1.0)["eyes"]["left"]["opening"], "no stare"
    wink = sheet.draw(look, eyeBlinkLeft=1.0)["eyes"]
    assert 3 < wink["left"]["opening"] < 0.3 * rest["left"]["opening"], "what is left is the lids' curve"
    assert wink["right"]["opening"] == pytest.approx(rest["right"]["opening"], rel=0.03)
    assert sheet.draw(look, eyeSquint=1.0)["eyes"]["right"]["opening"] < 0.8 * rest["right"]["opening"]
    # A quarter of a radian to its own left and down, and the eyes back by as much: a straight gaze.
    back = {"eyeLookInLeft": 0.25 / 0.61, "eyeLookOutRight": 0.25 / 0.61, "eyeLookUp": 0.25 / 0.52}
    drawn = sheet.draw(look, headYaw=0.25, headPitch=0.25, **back)
    for axis in ("x", "y"):
        eyes = [drawn["eyes"][side]["gaze"][axis] for side in SIDES]
        assert drawn["head"][axis] + sum(eyes) / 2 == pytest.approx(0.0, abs=1.5)


@in_browser
@pytest.mark.parametrize("look", [look for look in LOOKS if look != "eyes"])
def test_corners_tell_smile_and_sadness_each_on_its_own(sheet, look):
    rest = sheet.draw(look)["mouth"]
    assert rest["left"]["x"] > rest["right"]["x"]
    for side, other, outward in (("left", "right", 1), ("right", "left", -1)):
        one = sheet.draw(look, **{f"mouthSmile{side.capitalize()}": 1.0})
        assert rest[side]["y"] - one["mouth"][side]["y"] > 15
        assert (one["mouth"][side]["x"] - rest[side]["x"]) * outward > 10
        assert abs(rest[other]["y"] - one["mouth"][other]["y"]) < 4
        assert one["cheeks"][side] > one["cheeks"][other] + 0.2
        assert sheet.draw(look, mouthFrown=1.0)["mouth"][side]["y"] - rest[side]["y"] > 15


@in_browser
def test_the_head_turns_with_depth(sheet):
    rest = sheet.draw()
    for name, axis in (("headYaw", "x"), ("headPitch", "y")):
        for angle in (0.25, -0.25):
            turned, sign = sheet.draw(**{name: angle}), np.sign(angle)
            nose, head = ((turned[part][axis] - rest[part][axis]) * sign for part in ("nose", "outline"))
            assert nose > max(head, 20), "what lies nearer moves farther"
    tilted = sheet.draw(headRoll=0.3)["eyes"]  # to its own right: that eye goes down
    assert tilted["right"]["pupil"]["y"] > tilted["left"]["pupil"]["y"] + 30
    moved = sheet.draw(headX=0.05, headY=0.03)["nose"]
    assert (moved["x"] > rest["nose"]["x"] + 30, moved["y"] < rest["nose"]["y"] - 15) == (True, True)
    assert sheet.draw(headZ=0.1)["outline"]["width"] > 1.05 * rest["outline"]["width"]


@in_browser
@pytest.mark.parametrize("look", LOOKS)
def test_moods_are_seen_without_text(sheet, look):
    awake, asleep, squinting = (sheet.draw(look, mood=mood)["eyes"] for mood in ({}, {"asleep": 1}, {"squinting": 1}))
    for side in SIDES:
        assert asleep[side]["opening"] < 0.3 * awake[side]["opening"]
        assert squinting[side]["opening"] < 0.6 * awake[side]["opening"]
    gazes = [sheet.draw(look, float(t), {"searching": 1})["eyes"]["left"]["pupil"]["x"] for t in range(9)]
    assert np.ptp(gazes) > 20, "it looks around"
    shapes = """JSON.stringify([...document.querySelectorAll('#face > g path, #face > g > circle')]
      .map((node) => [node.getAttribute('d'), node.getAttribute('opacity')]))"""
    seen = set()
    for mood in ({}, {"hearing": 1, "level": 0.8}, {"thinking": 1}, {"speaking": 1}):
        sheet.draw(look, 0.4, mood)
        seen.add(sheet.page.value(shapes))
    assert len(seen) == 4


EACH_ALONE_AND_ALL = """
  Promise.all([import('/draw.js'), import('/looks.js')]).then(async ([{Face}, {lookNamed}]) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const face = new Face(svg);
    face.wear(await lookNamed('LOOK'));
    const drawn = (values, time = 0, mood = {}) => {
      face.draw(values, time, mood);
      return svg.innerHTML;
    };
    const fine = (drawing) => !/NaN|undefined|Infinity/.test(drawing);
    const rest = drawn(new Float32Array(58));
    const alone = [...Array(58).keys()].map((i) => {
      const one = drawn(new Float32Array(58).fill(i < 52 ? 1 : 0.1, i, i + 1));
      return [one !== rest, fine(one), drawn(new Float32Array(58)) === rest];
    });
    const wild = ROWS.filter((row, i) => {
      const mood = {asleep: row[0], deaf: row[1], level: row[2]};
      return !fine(drawn(row.map((v) => v === null ? NaN : v), i * 0.02, mood));
    });
    return [alone, wild];
  })"""


@in_browser
@pytest.mark.parametrize("look", LOOKS)
def test_every_coefficient_is_seen_and_no_combination_draws_what_is_no_number(sheet, look):
    generator = np.random.default_rng(7)
    rows = [[1.0] * 58, [None] * 58, [1e30] * 58, [-1e30] * 58]
    rows += [[round(float(v), 3) for v in generator.uniform(-0.5, 1.5, 58)] for _ in range(40)]
    script = EACH_ALONE_AND_ALL.replace("LOOK", look).replace("ROWS", json.dumps(rows))
    alone, wild = sheet.page.value(script)
    for name, (moves, clean, returns) in zip(NAMES, alone, strict=True):
        assert clean, f"{name} draws something that is no number"
        assert returns, f"{name} leaves a trace"
        assert moves or name == "mouthClose", f"{name} shows nothing"  # that one closes the lips over an open jaw
    assert wild == []


@in_browser
def test_a_look_of_ones_own_is_worn_and_a_broken_one_gives_its_sentence(browser, tmp_path):
    own = tmp_path / "mine.json"
    own.write_text('{"eye": {"width": 90}}')
    server = AvatarServer(AvatarConfig(port=0, look=str(own)))
    with Stage(server) as stage, opened(browser, stage.url, "window.reactdiff && reactdiff.state().drawn") as page:
        assert page.value("reactdiff.state().look") == "own"
        assert page.value("reactdiff.state().drawn.eyes.left.box.width") > 150
        own.write_text('{\n  "eye": {\n    "width": 900\n  }\n}')
        page.go(stage.url)
        page.until("document.getElementById('notice').innerText.includes('line 3')")
        assert page.value("reactdiff.state().look") == "soft"


@pytest.mark.parametrize(("text", "sentence"), [
    (None, "no such file"),
    ("{", "line 1): expecting property name"),
    ('{"eyes": {}}', "line 1, eyes): did you mean 'eye'?"),
    ('{"eye": {\n\n"widht": 60}}', "has no key 'widht' (FILE, line 3, eye.widht): did you mean 'width'?"),
    ('{"eye": {\n"width": 900}}', "width cannot be 900 (FILE, line 2, eye.width): give a number from 20 to 130"),
    ('{"head": {"show": 1}}', "line 1, head.show): give true or false"),
    ('{"eye": {"x": 90},\n"colour": {"eye": "url(x)"}}', "line 2, colour.eye): give a colour such as #3fbfae"),
])  # fmt: skip
def test_a_broken_look_gives_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "look.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        AvatarConfig(look=str(path))
    assert sentence.replace("FILE", str(path)) in str(caught.value)


# ---- without a browser


def test_the_same_faces_give_the_same_drawings_which_refer_to_nothing_outside_themselves():
    drawings = [FaceDrawing("soft", 100, 100, seed=3) for _ in range(2)]
    drawn, again = ([one.svg(face(mouthSmile=0.1 * k), k / 25) for k in range(8)] for one in drawings)
    assert drawn == again
    assert len(set(drawn)) == 8
    assert not re.search(r"href|<image|<script|foreignObject|NaN|undefined", drawn[-1])
    assert set(re.findall(r"url\(#([^)]+)\)", drawn[-1])) <= set(re.findall(r'id="([^"]+)"', drawn[-1]))
    with pytest.raises(ConfigError, match="no look"):
        FaceDrawing("pixel")


@pytest.mark.parametrize("look", looks())
def test_a_smile_is_seen(look):
    drawing = FaceDrawing(look, 320, 240)
    neutral = drawing.picture(face(), 1.0)
    smiling = drawing.picture(face(mouthSmile=0.8, cheekSquint=0.5, eyeSquint=0.4), 5.0)
    assert neutral.shape == smiling.shape == (240, 320, 3)
    assert neutral.std() > 5
    assert 0.001 < (np.abs(neutral.astype(int) - smiling).max(axis=2) > 40).mean() < 0.5


# ---- 3D avatars

ALL = list(BLENDSHAPE_NAMES)
SHARED = Path(os.environ.get("REACTDIFF_CLIPS", "/nonexistent")).parent / "avatars" / "makehuman_head_arkit52.vrm"
FLAGS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The description in an avatar's file, and what follows it."""
    raw = path.read_bytes()
    end = 20 + struct.unpack_from("<I", raw, 12)[0]
    return json.loads(raw[20:end]), raw[end:]


def write(path: Path, tree: dict[str, Any], rest: bytes = b"") -> Path:
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON")
    path.write_bytes(head + text + rest)
    return path


def glb(path: Path, names: list[str], **parts: Any) -> Path:
    """A file that describes morph targets of these names, without their data."""
    shape = {"attributes": {"POSITION": 0}, "targets": [{"POSITION": 0} for _ in names]}
    scene = {"scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}]}
    mesh = {"primitives": [shape], "extras": {"targetNames": names}}
    return write(path, {"asset": {"version": "2.0"}, **scene, "meshes": [mesh], **parts})


def test_what_an_avatar_lacks_is_said_and_a_vrm_without_single_features_is_moved_by_its_presets(tmp_path):
    names = {"EyeBlinkLeft": "eyeBlinkLeft", "eyeBlink_L": "eyeBlinkLeft", "blend1.mouthSmile_R": "mouthSmileRight",
             "head_jawOpen": "jawOpen", "mouthLeft": "mouthLeft", "Fcl_MTH_A": None, "": None}  # fmt: skip
    assert {name: coefficient(name) for name in names} == names
    assert read_model_file(glb(tmp_path / "all.glb", ALL)).sentence == ""
    found = read_model_file(glb(tmp_path / "half.glb", ALL[:26]))
    assert found.missing == [n for n in ALL[26:] if n != "tongueOut"]
    assert "lacks 25 of 52" in found.sentence
    new = {"VRMC_vrm": {"expressions": {"preset": {"happy": {}, "aa": {}}}}}
    assert read_model_file(glb(tmp_path / "new.vrm", ["A"], extensions=new)) == ModelFile(1, frozenset(), True)
    groups = [{"name": "Joy", "presetName": "joy"}, *({"name": n, "presetName": "unknown"} for n in ALL)]
    old = {"VRM": {"blendShapeMaster": {"blendShapeGroups": groups}}}
    assert read_model_file(glb(tmp_path / "old.vrm", ["A"], extensions=old)) == ModelFile(0, frozenset(ALL), False)


@pytest.mark.parametrize(("make", "says"), [
    (lambda p: p.write_bytes(glb(p, ALL).read_bytes()[:-20]), "cut off"),
    (lambda p: p.write_bytes(b"glTF"), "not a binary glTF"),
    (lambda p: glb(p, ["Fcl_MTH_A", "x"]), "no morph targets that are named"),
    (lambda p: glb(p, ALL, buffers=[{"uri": "http://elsewhere/a.bin"}]), "refers to other files"),
    (lambda p: glb(p, [f"x{i}" for i in range(257)]), "more than 256"),
    (lambda p: glb(p, ALL, meshes=[{"primitives": 3}]), "malformed"),
    (lambda p: p.write_bytes(b"\0" * (64 * 1024 * 1024 + 1)), "larger than 64 MB"),
    (lambda p: None, "cannot be read"),
])  # fmt: skip
def test_a_file_that_cannot_be_shown_says_why(make, says, tmp_path):
    path = tmp_path / "a.glb"
    make(path)
    with pytest.raises(ConfigError, match=says) as raised:
        AvatarConfig(look=str(path))
    assert str(path) in str(raised.value)


class Avatar(Shown):
    """A page with an avatar, fed with one face."""

    def __init__(self, browser: Chromium, path: Path | str) -> None:
        super().__init__(browser, AvatarServer(AvatarConfig(port=0, look=str(path))))

    def avatar(self) -> dict[str, Any]:
        return dict(self.page.until("reactdiff.state().avatar", 30.0))

    def picture(self, folder: Path, **face: float) -> np.ndarray:
        """What is seen with these coefficients."""
        self.show(**face)
        self.page.value("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        return np.asarray(cv2.imread(str(self.page.screenshot(folder / "shot.png"))), dtype=np.int16)


@pytest.fixture(scope="module")
def drawn():
    with Chromium((640, 480), FLAGS) as chromium:
        yield chromium


@in_browser
def test_what_cannot_be_loaded_leaves_the_drawn_face_and_a_sentence(drawn, tmp_path):
    with Avatar(drawn, glb(tmp_path / "a.glb", ALL)) as shown:
        shown.page.until("document.getElementById('notice').textContent.includes('drawn face replaces')", 30.0)
        assert shown.page.value("reactdiff.state().avatar") is None
        assert not shown.page.value("document.getElementById('face').hasAttribute('hidden')")


@in_browser
def test_the_shipped_avatar_is_drawn_and_moves(drawn, tmp_path):
    with Avatar(drawn, "head") as shown:
        assert shown.avatar()["moved"] >= 51
        rest = shown.picture(tmp_path)
        for face in ({"mouthSmile": 1.0}, {"eyeBlinkLeft": 1.0}, {"headRoll": 0.3}):
            assert (np.abs(shown.picture(tmp_path, **face) - rest).max(2) > 25).sum() > 100, face
        assert not shown.page.errors


@pytest.mark.clips
@in_browser
@pytest.mark.skipif(not SHARED.is_file(), reason="the avatar for tests is not there: set REACTDIFF_CLIPS")
@pytest.mark.parametrize("kind", ["perfect sync", "presets"])
def test_a_real_head_smiles_and_turns(kind, drawn, tmp_path):
    tree, data = read(SHARED)
    if kind == "presets":
        del tree["extensions"]["VRMC_vrm"]["expressions"]["custom"]
    with Avatar(drawn, write(tmp_path / "head.vrm", tree, data)) as shown:
        assert shown.avatar()["presets"] == (kind == "presets")
        rest = shown.picture(tmp_path)
        shown.page.value("new Promise(r => setTimeout(r, 400))")
        for face in ({"mouthSmile": 1.0}, {"jawOpen": 0.8}, {"headYaw": 0.5}):
            for coefficients, changed in ((face, True), ({}, False)):
                pictures = (shown.picture(tmp_path, **coefficients) for _ in range(20))  # presets are smoothed
                counts = ((np.abs(picture - rest).max(2) > 25).sum() for picture in pictures)
                assert any((count > 300) == changed for count in counts), face
        assert not shown.page.errors
