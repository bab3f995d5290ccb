"""The drawn face, read from the drawing of a browser, where each picture is drawn alone, without a server's line and
without a clock; looks; and the same face drawn without a browser.

The face's own left is at the viewer's right; screen y points down.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from stage import Sheet, Stage, in_browser, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.config import LOOKS
from reactdiff_ros.avatar.drawing import FaceDrawing, looks, rasterised
from reactdiff_ros.avatar.looks import keys, read_look, shipped
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, NAMES
from reactdiff_ros.errors import ConfigError
from tools.chromium import Chromium
from tools.demo.readback import face

SIDES = ("left", "right")
WITH_MOUTH = [look for look in LOOKS if look != "eyes"]
# What moves nothing by itself, by its definition: closing the lips over a jaw that is shut.
NEEDS_JAW = {"mouthClose"}


@in_browser
@pytest.mark.parametrize("look", LOOKS)
class TestEyes:
    def test_a_straight_gaze_is_straight_and_makes_up_for_the_turn_of_the_head(self, sheet: Sheet, look: str) -> None:
        for time in np.arange(0.0, 6.0, 0.8):
            eyes = sheet.draw(look, float(time))["eyes"]
            for side in SIDES:
                assert abs(eyes[side]["gaze"]["y"]) <= 3.0
                assert abs(eyes[side]["gaze"]["x"]) <= 3.0
            if look != "eyes":
                assert 2.0 <= eyes["right"]["gaze"]["x"] - eyes["left"]["gaze"]["x"] <= 6.0, "they meet near the viewer"
        # A quarter of a radian to its own left and down, and the eyes back by as much.
        back = {"eyeLookInLeft": 0.25 / 0.61, "eyeLookOutRight": 0.25 / 0.61, "eyeLookUp": 0.25 / 0.52}
        drawn = sheet.draw(look, headYaw=0.25, headPitch=0.25, **back)
        for axis, turn in (("x", 14.3), ("y", -14.3)):
            assert drawn["head"][axis] == pytest.approx(turn, rel=0.3)
            eyes = [drawn["eyes"][side]["gaze"][axis] for side in SIDES]
            assert drawn["head"][axis] + sum(eyes) / 2 == pytest.approx(0.0, abs=1.5)

    def test_pupils_and_lids_follow_the_gaze_and_each_eye_winks_alone(self, sheet: Sheet, look: str) -> None:
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


@in_browser
@pytest.mark.parametrize("look", WITH_MOUTH)
class TestMouth:
    def test_corners_tell_smile_and_sadness_each_on_its_own(self, sheet: Sheet, look: str) -> None:
        rest = sheet.draw(look)["mouth"]
        assert rest["left"]["x"] > rest["right"]["x"]
        for side, outward in (("left", 1), ("right", -1)):
            other = "right" if side == "left" else "left"
            one = sheet.draw(look, **{f"mouthSmile{side.capitalize()}": 1.0})
            assert rest[side]["y"] - one["mouth"][side]["y"] > 15
            assert (one["mouth"][side]["x"] - rest[side]["x"]) * outward > 10
            assert abs(rest[other]["y"] - one["mouth"][other]["y"]) < 4
            assert one["cheeks"][side] > one["cheeks"][other] + 0.2
            assert sheet.draw(look, mouthFrown=1.0)["mouth"][side]["y"] - rest[side]["y"] > 15


@in_browser
class TestDrawing:
    def test_the_head_turns_with_depth(self, sheet: Sheet) -> None:
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

    @pytest.mark.parametrize("look", LOOKS)
    def test_moods_are_seen_without_text(self, sheet: Sheet, look: str) -> None:
        awake, asleep = sheet.draw(look), sheet.draw(look, mood={"asleep": 1})
        squinting = sheet.draw(look, mood={"squinting": 1})
        for side in SIDES:
            assert asleep["eyes"][side]["opening"] < 0.3 * awake["eyes"][side]["opening"]
            assert squinting["eyes"][side]["opening"] < 0.6 * awake["eyes"][side]["opening"]
        gazes = [sheet.draw(look, float(t), {"searching": 1})["eyes"]["left"]["pupil"]["x"] for t in range(9)]
        assert np.ptp(gazes) > 20, "it looks around"
        signal = """JSON.stringify([...document.querySelectorAll('#face > g path, #face > g > circle')]
          .map((node) => [node.getAttribute('d'), node.getAttribute('opacity')]))"""
        seen = set()
        for mood in ({}, {"hearing": 1, "level": 0.8}, {"thinking": 1}, {"speaking": 1}):
            sheet.draw(look, 0.4, mood)
            seen.add(sheet.page.value(signal))
        assert len(seen) == 4

    @pytest.mark.parametrize("look", LOOKS)
    def test_every_coefficient_is_seen_and_no_combination_draws_what_is_no_number(
        self, sheet: Sheet, look: str
    ) -> None:
        script = """
          Promise.all([import('/draw.js'), import('/looks.js')]).then(async ([{Face}, {lookNamed}]) => {
            const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
            const face = new Face(svg);
            face.wear(await lookNamed('LOOK'));
            const sketch = (i, v) => {
              const c = new Float32Array(58);
              if (i >= 0) c[i] = v;
              face.draw(c, 0);
              return svg.innerHTML;
            };
            const fine = () => !/NaN|undefined|Infinity/.test(svg.innerHTML);
            const rest = sketch(-1, 0);
            const out = [];
            for (let i = 0; i < 58; i++) {
              const full = sketch(i, i < 52 ? 1 : 0.1);
              out.push([full !== rest, fine(), sketch(-1, 0) === rest]);
            }
            const wild = ROWS.filter((row, i) => {
              const mood = {asleep: row[0], deaf: row[1], level: row[2]};
              face.draw(row.map((v) => v === null ? NaN : v), i * 0.02, mood);
              return !fine();
            });
            return [out, wild];
          })""".replace("LOOK", look)
        generator = np.random.default_rng(7)
        rows = [[1.0] * 58, [None] * 58, [1e30] * 58, [-1e30] * 58]
        rows += [[round(float(v), 3) for v in generator.uniform(-0.5, 1.5, 58)] for _ in range(40)]
        alone, wild = sheet.page.value(script.replace("ROWS", str(rows).replace("None", "null")))
        for name, (moves, clean, returns) in zip(NAMES, alone, strict=True):
            assert clean, f"{name} draws something that is no number"
            assert returns, f"{name} leaves a trace"
            assert moves or name in NEEDS_JAW, f"{name} shows nothing"
        assert wild == []

    def test_a_look_of_ones_own_is_worn_and_a_broken_one_gives_its_sentence(
        self, browser: Chromium, tmp_path: Path
    ) -> None:
        own = tmp_path / "mine.json"
        own.write_text('{"eye": {"width": 90}}')
        server = AvatarServer(AvatarConfig(port=0, look=str(own)))
        drawn = "window.reactdiff && reactdiff.state().drawn"
        with Stage(server) as own_stage, opened(browser, own_stage.url, drawn) as page:
            assert page.value("reactdiff.state().look") == "own"
            assert page.value("reactdiff.state().drawn.eyes.left.box.width") > 150
            own.write_text('{\n  "eye": {\n    "width": 900\n  }\n}')
            page.go(own_stage.url)
            page.until("document.getElementById('notice').innerText.includes('line 3')")
            assert page.value("reactdiff.state().look") == "soft"


def test_every_shipped_look_and_every_default_is_within_its_range() -> None:
    assert all(read_look(shipped(look)) for look in LOOKS)
    for part, entries in keys().items():
        for key, entry in entries.items():
            assert isinstance(entry[-1], str), f"{part}.{key} says what it is"
            if len(entry) == 4:
                assert entry[1] <= entry[0] <= entry[2], f"{part}.{key}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "no such file"),
        ("{", "line 1): expecting property name"),
        ("[]", "a look is an object of parts"),
        ('{"eyes": {}}', "line 1, eyes): did you mean 'eye'?"),
        ('{"eye": 3}', "line 1, eye): write its keys in braces"),
        ('{"eye": {\n\n"widht": 60}}', "has no key 'widht' (FILE, line 3, eye.widht): did you mean 'width'?"),
        ('{"eye": {\n"width": 900}}', "width cannot be 900 (FILE, line 2, eye.width): give a number from 20 to 130"),
        ('{"eye": {"width": NaN}}', "give a number"),
        ('{"head": {"show": 1}}', "line 1, head.show): give true or false"),
        ('{"eye": {"x": 90},\n"colour": {"eye": "url(x)"}}', "line 2, colour.eye): give a colour such as #3fbfae"),
    ],
)
def test_a_broken_look_gives_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "look.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        AvatarConfig(look=str(path))
    assert sentence.replace("FILE", str(path)) in str(caught.value)


# ---- without a browser


def test_the_same_faces_give_the_same_drawings_which_refer_to_nothing_outside_themselves() -> None:
    drawn = []
    for _ in range(2):
        drawing = FaceDrawing("soft", 100, 100, seed=3)
        drawn.append([drawing.svg(face(mouthSmile=0.1 * k), k / 25) for k in range(8)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 8
    svg = drawn[0][-1]
    assert not re.search(r"href|<image|<script|foreignObject|NaN|undefined", svg)
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= set(re.findall(r'id="([^"]+)"', svg))
    assert rasterised(svg).shape == (100, 100, 3)
    with pytest.raises(ValueError, match="JSON"):
        drawing.svg(np.full(COEFFICIENT_COUNT, np.nan), 0.0)


def test_a_look_is_a_name_or_a_file_and_not_of_pixels(tmp_path: Path) -> None:
    for look in ("", "nosuch", "../soft", "keys", "pixel"):
        with pytest.raises(ConfigError, match="no look"):
            FaceDrawing(look)
    path = tmp_path / "mine.json"
    path.write_text('{"colour": {"head": "#123456"}}')
    drawn = [FaceDrawing(look, 100, 100).svg(face(), 0.0) for look in ("soft", str(path))]
    assert ["#123456" in svg for svg in drawn] == [False, True]
    path.write_text('{"style": {"pixels": 12}}')
    with pytest.raises(ConfigError, match=r"only browsers draw a look of pixels .*style\.pixels"):
        FaceDrawing(str(path))


SOUNDS = {
    "p": face(mouthPress=0.45, mouthRollLower=0.25, mouthRollUpper=0.2),
    "f": face(jawOpen=0.02, mouthRollLower=0.5, mouthUpperUp=0.09),
    "ah": face(jawOpen=0.7, mouthLowerDown=0.35, mouthUpperUp=0.2),
    "ee": face(jawOpen=0.16, mouthStretch=0.45, mouthSmile=0.2, mouthLowerDown=0.25, mouthUpperUp=0.15),
    "o": face(jawOpen=0.38, mouthFunnel=0.35, mouthPucker=0.45),
    "oo": face(jawOpen=0.18, mouthFunnel=0.25, mouthPucker=0.75),
}


@pytest.mark.parametrize("look", looks())
def test_a_smile_is_seen_and_the_sounds_of_speech_are_told_apart(look: str) -> None:
    drawing = FaceDrawing(look, 320, 240)
    neutral = drawing.picture(face(), 1.0)
    smiling = drawing.picture(face(mouthSmile=0.8, cheekSquint=0.5, eyeSquint=0.4), 5.0)
    assert neutral.shape == smiling.shape == (240, 320, 3)
    assert neutral.std() > 5
    assert 0.001 < (np.abs(neutral.astype(int) - smiling).max(axis=2) > 40).mean() < 0.5
    if look == "eyes":  # it has no mouth
        return
    pictures = {name: drawing.picture(values, 10.0 * i).astype(int) for i, (name, values) in enumerate(SOUNDS.items())}
    for one, other in itertools.combinations(SOUNDS, 2):
        changed = (np.abs(pictures[one] - pictures[other]).max(axis=2) > 60).mean()
        assert changed > (0.0005 if {one, other} == {"p", "f"} else 0.001), f"{one} and {other} look alike"
