"""The page's face drawn without a browser."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from reactdiff_ros.avatar.drawing import PAGE, FaceDrawing, looks, rasterised
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ConfigError
from tools.demo.readback import face


def test_the_same_faces_give_the_same_drawings() -> None:
    drawn = []
    for _ in range(2):
        drawing = FaceDrawing("soft", 100, 100, seed=3)
        drawn.append([drawing.svg(face(mouthSmile=0.1 * k), k / 25) for k in range(8)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 8


def test_a_drawing_refers_to_nothing_outside_itself() -> None:
    svg = FaceDrawing("soft", 100, 100).svg(face(), 0.0)
    assert not re.search(r"href|<image|<script|foreignObject", svg)
    names = set(re.findall(r'id="([^"]+)"', svg))
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= names
    assert "NaN" not in svg
    assert "undefined" not in svg
    assert rasterised(svg).shape == (100, 100, 3)


def test_a_look_that_cannot_be_drawn_is_refused_with_the_ones_that_can() -> None:
    for look in ("", "nosuch", "../soft", "keys", "pixel"):
        with pytest.raises(ConfigError, match="no look"):
            FaceDrawing(look)


def test_a_look_in_a_file_is_drawn_unless_it_is_of_pixels(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"colour": {"head": "#123456"}}')
    drawn = [FaceDrawing(look, 100, 100).svg(face(), 0.0) for look in ("soft", str(path))]
    assert ["#123456" in svg for svg in drawn] == [False, True]
    path.write_text('{"style": {"pixels": 12}}')
    with pytest.raises(ConfigError, match=r"only browsers draw a look of pixels .*style\.pixels.*use one of"):
        FaceDrawing(str(path))


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        FaceDrawing("soft", 100, 100).svg(np.full(COEFFICIENT_COUNT, np.nan), 0.0)


@pytest.mark.parametrize("side", [180, 192, 512])
def test_the_icons_are_what_their_drawing_shows(side: int) -> None:
    """For home screens that take no SVG: iOS, and Android's installer."""
    svg = (PAGE / "icon.svg").read_text().replace("<svg ", f'<svg width="{side}" height="{side}" ', 1)
    shipped = cv2.imdecode(np.fromfile(PAGE / f"icon-{side}.png", np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(rasterised(svg).astype(int) - shipped).max() <= 2


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
