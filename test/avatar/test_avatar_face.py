"""The drawn face, read from the drawing: each picture is drawn alone, without a server's line and without a clock.

The face's own left is at the viewer's right; screen y points down.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stage import Sheet, Stage, in_browser, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.config import LOOKS
from reactdiff_ros.avatar.looks import keys, read_look, shipped
from reactdiff_ros.coefficients import NAMES
from reactdiff_ros.errors import ConfigError
from tools.chromium import Chromium

SIDES = ("left", "right")
WITH_MOUTH = [look for look in LOOKS if look != "eyes"]
WITH_HEAD = ["soft", "paper", "robot", "cub"]
# What moves nothing by itself, by its definition: closing the lips over a jaw that is shut.
NEEDS_JAW = {"mouthClose"}
DRAWN = "window.reactdiff && reactdiff.state().drawn"


def corners_above_middle(drawn: Any) -> float:
    """How far the mouth's corners stand above the middle of its outline, in pixels."""
    mouth = drawn["mouth"]
    return mouth["box"]["y"] + mouth["box"]["height"] / 2 - (mouth["left"]["y"] + mouth["right"]["y"]) / 2


@in_browser
class TestEyes:
    @pytest.mark.parametrize("look", LOOKS)
    def test_a_straight_gaze_is_straight(self, sheet: Sheet, look: str) -> None:
        for time in np.arange(0.0, 6.0, 0.8):
            eyes = sheet.draw(look, float(time))["eyes"]
            for side in SIDES:
                assert abs(eyes[side]["gaze"]["y"]) <= 3.0
                assert abs(eyes[side]["gaze"]["x"]) <= 3.0
            if look != "eyes":
                assert 2.0 <= eyes["right"]["gaze"]["x"] - eyes["left"]["gaze"]["x"] <= 6.0, "they meet near the viewer"

    @pytest.mark.parametrize("look", LOOKS)
    def test_the_eyes_make_up_for_the_turn_of_the_head_that_is_drawn(self, sheet: Sheet, look: str) -> None:
        """A quarter of a radian to its own left and down, and the eyes back by as much."""
        back = {"eyeLookInLeft": 0.25 / 0.61, "eyeLookOutRight": 0.25 / 0.61, "eyeLookUp": 0.25 / 0.52}
        drawn = sheet.draw(look, headYaw=0.25, headPitch=0.25, **back)
        for axis, turn in (("x", 14.3), ("y", -14.3)):
            eyes = [drawn["eyes"][side]["gaze"][axis] for side in SIDES]
            assert abs(drawn["head"][axis]) == pytest.approx(abs(turn), rel=0.3)
            assert drawn["head"][axis] * turn > 0
            assert drawn["head"][axis] + sum(eyes) / 2 == pytest.approx(0.0, abs=1.5)

    @pytest.mark.parametrize("look", LOOKS)
    def test_pupils_and_lids_follow_the_gaze(self, sheet: Sheet, look: str) -> None:
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

    @pytest.mark.parametrize("look", LOOKS)
    def test_lids_close_each_on_its_own_and_do_not_stare_at_rest(self, sheet: Sheet, look: str) -> None:
        rest = sheet.draw(look)["eyes"]
        wide = sheet.draw(look, eyeWide=1.0)["eyes"]
        wink = sheet.draw(look, eyeBlinkLeft=1.0)["eyes"]
        assert rest["left"]["opening"] < 0.9 * wide["left"]["opening"]
        assert wink["left"]["opening"] < 0.3 * rest["left"]["opening"], "what is left is the lids' curve"
        assert wink["left"]["opening"] > 3, "a wink is curved"
        assert wink["right"]["opening"] == pytest.approx(rest["right"]["opening"], rel=0.03)
        assert sheet.draw(look, eyeSquint=1.0)["eyes"]["right"]["opening"] < 0.8 * rest["right"]["opening"]

    @pytest.mark.parametrize("look", WITH_MOUTH)
    def test_pupils_tell_interest(self, sheet: Sheet, look: str) -> None:
        rest = sheet.draw(look)["eyes"]["left"]["radius"]
        assert sheet.draw(look, mouthSmile=0.8)["eyes"]["left"]["radius"] > 1.05 * rest
        assert sheet.draw(look, eyeWide=0.5)["eyes"]["left"]["radius"] > 1.05 * rest
        assert sheet.draw(look, browDown=0.8)["eyes"]["left"]["radius"] < 0.95 * rest
        sizes = [sheet.draw(look, float(t))["eyes"]["left"]["radius"] for t in range(8)]
        assert 0.005 < np.ptp(sizes) / rest < 0.08, "they are never still"


@in_browser
class TestMouthAndBrows:
    @pytest.mark.parametrize("look", WITH_MOUTH)
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

    @pytest.mark.parametrize("look", WITH_MOUTH)
    def test_surprise_is_a_round_toothless_mouth_and_laughter_shows_teeth(self, sheet: Sheet, look: str) -> None:
        surprised, laugh = sheet.named("surprised", look)["mouth"], sheet.named("laugh", look)["mouth"]
        assert surprised["teeth"] < 0.05
        assert 0.7 < surprised["width"] / surprised["opening"] < 1.4
        assert laugh["width"] > 1.3 * laugh["opening"]
        assert laugh["teeth"] > (0.9 if look != "pixel" else -1)
        assert sheet.draw(look, mouthSmile=0.6, jawOpen=0.03)["mouth"]["teeth"] < 0.05, (
            "lips that hardly part show none"
        )

    @pytest.mark.parametrize("look", WITH_HEAD)
    def test_brows_stay_on_the_face(self, sheet: Sheet, look: str) -> None:
        for face in (
            {"browInnerUp": 1.0},
            {"browOuterUp": 1.0},
            {"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 1.0},
        ):
            drawn = sheet.draw(look, **face)
            area = drawn["plate"] or drawn["outline"]
            for side in SIDES:
                brow = drawn["eyes"][side]["brow"]
                assert brow["y"] > area["y"] + 2
                assert area["x"] < brow["x"]
                assert brow["x"] + brow["width"] < area["x"] + area["width"]

    @pytest.mark.parametrize("look", WITH_MOUTH)
    def test_puzzled_and_concerned_and_a_tilt_are_three_things(self, sheet: Sheet, look: str) -> None:
        def height(drawn: Any, side: str) -> float:
            """How far that brow stands above its eye."""
            eye = drawn["eyes"][side]
            return float(eye["centre"]["y"] - eye["brow"]["y"])

        tilt, rest = sheet.draw(look, headRoll=0.12), sheet.draw(look)
        puzzled = sheet.draw(look, browDownLeft=0.45, browOuterUpRight=0.6, mouthLeft=0.3, mouthPress=0.4)
        concerned = sheet.draw(look, browInnerUp=0.45, browDown=0.2, mouthPress=0.25)
        assert height(puzzled, "right") - height(puzzled, "left") > 18
        assert abs(height(concerned, "right") - height(concerned, "left")) < 5
        assert puzzled["mouth"]["left"]["y"] < puzzled["mouth"]["right"]["y"] - 8, "the lips are drawn to a side"
        for side in SIDES:
            assert height(concerned, side) > height(rest, side) + 3
            assert height(tilt, side) < height(rest, side) + 12


@in_browser
class TestDrawing:
    def test_the_head_turns_with_depth(self, sheet: Sheet) -> None:
        rest = sheet.draw()

        def middle(box: dict[str, float], axis: str) -> float:
            return box[axis] + box["width" if axis == "x" else "height"] / 2

        for name, axis in (("headYaw", "x"), ("headPitch", "y")):
            for angle in (0.25, -0.25):
                turned, sign = sheet.draw(**{name: angle}), np.sign(angle)
                nose = (turned["nose"][axis] - rest["nose"][axis]) * sign
                mouth = (middle(turned["mouth"]["box"], axis) - middle(rest["mouth"]["box"], axis)) * sign
                head = (middle(turned["outline"], axis) - middle(rest["outline"], axis)) * sign
                assert nose > mouth > head, "what lies nearer moves farther"
                assert nose > 20
        far, near = (sheet.draw(headYaw=0.4)["eyes"][side]["box"]["width"] for side in SIDES)
        assert far < 0.95 * near
        tilted = sheet.draw(headRoll=0.3)["eyes"]  # to its own right: that eye goes down
        assert tilted["right"]["pupil"]["y"] > tilted["left"]["pupil"]["y"] + 30
        moved = sheet.draw(headX=0.05, headY=0.03)["nose"]
        assert moved["x"] > rest["nose"]["x"] + 30
        assert moved["y"] < rest["nose"]["y"] - 15
        assert sheet.draw(headZ=0.1)["outline"]["width"] > 1.05 * rest["outline"]["width"]

    def test_large_moves_are_anticipated_and_overshoot_and_the_same_each_time(self, sheet: Sheet) -> None:
        def heights() -> list[float]:
            found = [sheet.draw(time=100.0)["outline"]["height"]]
            for n in range(1, 45):
                rise = min(1.0, n / 8)
                face = {"browInnerUp": rise, "browOuterUp": rise, "eyeWide": rise}
                found.append(sheet.draw(time=100.0 + n / 60, **face)["outline"]["height"])
            return found

        first = heights()
        assert first == heights()
        assert min(first[1:10]) < first[0] - 0.5, "the other way first"
        assert max(first) > first[-1] + 0.2, "then a little too far"

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
    def test_every_coefficient_can_be_seen_in_every_look(self, sheet: Sheet, look: str) -> None:
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
            const rest = sketch(-1, 0);
            const out = [];
            for (let i = 0; i < 58; i++) {
              const full = sketch(i, i < 52 ? 1 : 0.1);
              out.push([full !== rest, !/NaN|undefined|Infinity/.test(full), sketch(-1, 0) === rest]);
            }
            return out;
          })""".replace("LOOK", look)
        for name, (moves, clean, returns) in zip(NAMES, sheet.page.value(script), strict=True):
            assert clean, f"{name} draws something that is no number"
            assert returns, f"{name} leaves a trace"
            assert moves or name in NEEDS_JAW, f"{name} shows nothing"

    def test_wild_combinations_are_drawable(self, sheet: Sheet) -> None:
        script = """
          Promise.all([import('/draw.js'), import('/looks.js')]).then(async ([{Face}, {LOOKS, lookNamed}]) => {
            const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
            const face = new Face(svg);
            let time = 0;
            for (const name of LOOKS) {
              face.wear(await lookNamed(name));
              for (const row of ROWS) {
                const mood = {asleep: row[0], deaf: row[1], level: row[2]};
                face.draw(row.map((v) => v === null ? NaN : v), time += 0.02, mood);
                if (/NaN|undefined|Infinity/.test(svg.innerHTML)) return [name, row];
              }
            }
            return 'fine';
          })"""
        generator = np.random.default_rng(7)
        rows = [[1.0] * 58, [None] * 58, [1e30] * 58, [-1e30] * 58]
        rows += [[round(float(v), 3) for v in generator.uniform(-0.5, 1.5, 58)] for _ in range(40)]
        assert sheet.page.value(script.replace("ROWS", str(rows).replace("None", "null"))) == "fine"

    def test_faces_shows_all_looks_with_all_expressions(self, browser: Chromium, stage: Stage) -> None:
        with opened(browser, stage.url + "faces", "window.reactdiff && reactdiff.cells().length", 30) as page:
            cells = page.value("reactdiff.cells()")
            expressions = {cell["expression"] for cell in cells}
            assert {cell["look"] for cell in cells} == set(LOOKS)
            assert len(expressions) == 10
            assert len(cells) == 10 * len(LOOKS)
            drawn = {(cell["look"], cell["expression"]): cell["drawn"] for cell in cells}
            for look in WITH_MOUTH:
                heights = [corners_above_middle(drawn[look, name]) for name in ("sad", "small smile")]
                assert heights[0] < heights[1]
            page.value("document.querySelector('[title=\"paper, laugh\"]').click()")
            page.until("document.getElementById('caption').textContent === 'paper, laugh'")
            smile = "document.querySelector('input[name=mouthSmile]')"
            assert page.value(f"Number({smile}.value)") == pytest.approx(0.9)
            page.until("reactdiff.big().mouth.teeth > 0.9")
            page.value("""for (const input of document.querySelectorAll('#sliders input')) {
              input.value = 0;
              input.dispatchEvent(new Event('input'));
            }""")
            page.until("reactdiff.big().mouth.teeth < 0.1")
            assert page.errors == []

    def test_a_look_of_ones_own_is_worn_and_a_broken_one_gives_its_sentence(
        self, browser: Chromium, tmp_path: Path
    ) -> None:
        own = tmp_path / "mine.json"
        own.write_text('{"eye": {"width": 90}}')
        server = AvatarServer(AvatarConfig(port=0, look=str(own)))
        with Stage(server) as own_stage, opened(browser, own_stage.url, DRAWN) as page:
            url = own_stage.url
            assert page.value("reactdiff.state().look") == "own"
            assert page.value("reactdiff.state().drawn.eyes.left.box.width") > 150
            own.write_text('{\n  "eye": {\n    "width": 900\n  }\n}')
            page.go(url + "faces")
            page.until("!document.getElementById('wrong').hidden", 30)
            assert "line 3, eye.width): give a number from 20 to 130" in page.value(
                "document.getElementById('wrong').innerText"
            )
            page.go(url)
            page.until("document.getElementById('notice').innerText.includes('line 3')")
            assert page.value("reactdiff.state().look") == "soft"


@pytest.mark.parametrize("look", LOOKS)
def test_every_shipped_look_is_right(look: str) -> None:
    assert read_look(shipped(look))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "line 1): expecting property name"),
        ("[]", "a look is an object of parts"),
        ('{"eyes": {}}', "line 1, eyes): did you mean 'eye'?"),
        ('{"eye": 3}', "line 1, eye): write its keys in braces"),
        (
            '{"eye": {\n\n"widht": 60}}',
            "the part eye has no key 'widht' (FILE, line 3, eye.widht): did you mean 'width'?",
        ),
        ('{"eye": {\n"width": 900}}', "width cannot be 900 (FILE, line 2, eye.width): give a number from 20 to 130"),
        ('{"eye": {"width": NaN}}', "give a number"),
        ('{"head": {"show": 1}}', "line 1, head.show): give true or false"),
        ('{"eye": {"x": 90},\n"colour": {"eye": "url(x)"}}', "line 2, colour.eye): give a colour such as #3fbfae"),
    ],
)
def test_a_broken_look_gives_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "look.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        AvatarConfig(look=str(path))
    assert sentence.replace("FILE", str(path)) in str(caught.value)


def test_a_look_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        AvatarConfig(look=str(tmp_path / "nothing.json"))


def test_every_default_is_within_its_range() -> None:
    for part, entries in keys().items():
        for key, entry in entries.items():
            assert isinstance(entry[-1], str), f"{part}.{key} says what it is"
            if len(entry) == 4:
                assert entry[1] <= entry[0] <= entry[2], f"{part}.{key}"
