"""Pictures that show nothing, or nothing new, are told from those of a living camera."""

from __future__ import annotations

from itertools import islice

import cv2
import numpy as np
import pytest

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.nodes.perception_node import PictureWatch
from reactdiff_ros.simulator.rendered import demo_clip_path

FRAME_NS = NS // 30


def watched(perception_node, seconds: float) -> list[str]:
    """What is said of pictures, 30 a second, after each of them."""
    watch, said = PictureWatch(), []
    for i, picture in enumerate(islice(perception_node, round(30 * seconds))):
        watch.look(picture, 5 * NS + i * FRAME_NS)
        said.append(watch.sentence("camera"))
    return said


def camera(level: float, noise: float, seed: int = 0):
    """A still scene, dark or bright, as a camera takes it."""
    random = np.random.default_rng(seed)
    scene = level * (1.0 + np.linspace(0.0, 0.5, 64)[None, :, None])
    while True:
        yield np.clip(scene + random.normal(0.0, noise, (48, 64, 3)), 0, 255).astype(np.uint8)


def test_a_still_scene_is_no_frozen_picture():
    assert not any(watched(camera(100.0, 1.0), 4.0))


def test_the_same_picture_is_said_after_two_seconds_and_no_longer_than_it_lasts():
    one = next(camera(100.0, 1.0))
    said = watched((one for _ in iter(int, 1)), 4.0)
    assert not any(said[:60])
    assert all("all the same" in sentence for sentence in said[61:])
    watch = PictureWatch()
    for i in range(90):
        watch.look(one, i * FRAME_NS)
    watch.look(next(camera(100.0, 1.0, seed=1)), 90 * FRAME_NS)
    assert watch.sentence("camera") == ""


@pytest.mark.parametrize(("level", "noise"), [(0.0, 0.0), (2.0, 1.5), (255.0, 0.0)])
def test_a_picture_of_one_colour_is_said(level, noise):
    said = watched(camera(level, noise), 2.0)
    assert not any(said[:30])
    assert all("one colour" in sentence for sentence in said[31:])


def test_another_size_is_another_picture():
    watch = PictureWatch()
    watch.look(next(camera(100.0, 1.0)), NS)
    watch.look(cv2.resize(next(camera(100.0, 1.0)), (320, 200)), 2 * NS)
    assert watch.sentence("camera") == ""


def test_nothing_is_said_of_the_speaker_that_ships():
    clip = MediaClip(demo_clip_path()).pictures_and_sound()
    assert not any(watched((item.bgr for item in clip if isinstance(item, ClipPicture)), 12.0))
