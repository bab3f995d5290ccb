"""Perception as one object: frames with their stamps, whatever comes in and in whatever order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_face import MS, Actor, World, frontal_face

from reactdiff_ros import coefficients as c
from reactdiff_ros.errors import MessageError
from reactdiff_ros.perception import PerceptionConfig, SpeakerPerception, gaze_target
from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.types import Picture, Sound, SpeakerFrame


def sound(t_ms: float, length_ms: float = 20) -> Sound:
    return Sound(round(t_ms * MS), 16000, np.zeros((round(length_ms * 16), 1), np.int16))


def see(perception: SpeakerPerception, world: World, count: int, first: int = 0) -> list[SpeakerFrame]:
    """So many pictures, 25 a second."""
    return [perception.observe_picture(world.picture(40 * k)) for k in range(first, first + count)]


def someone(world: World | None = None, **settings: float) -> tuple[World, SpeakerPerception]:
    """One actor before the camera, or this world."""
    world = world or World([Actor(320)])
    return world, SpeakerPerception(PerceptionConfig(**settings), nets=world)


def test_a_frame_carries_its_picture_and_then_a_smile_and_late_pictures_are_dropped():
    world, perception = someone()
    frame = see(perception, world, 75)[24]
    assert frame.picture_stamp_ns == frame.stamp_ns == 960 * MS
    assert frame.sound_stamp_ns is frame.voice is None
    assert frame.coefficients.dtype == np.float32
    assert frame.coefficients.shape == frame.confidence.shape == (58,)
    assert frame.gaze.contact > 0.9
    assert frame.affect.label == "neutral"
    assert 0 < frame.neutral_confidence < 0.5
    world.actors[0].face = frontal_face(mouthSmile=1.0, cheekSquint=0.8, jawOpen=0.4, mouthUpperUp=0.3)
    frames = see(perception, world, 40, 75)
    smile = c.INDEX["mouthSmileLeft"]
    assert frames[1].coefficients[smile] > 0.4, "seen within two pictures"
    assert frames[-1].coefficients[smile] > 0.6
    assert frames[-1].confidence[smile] > 0.6
    assert frames[-1].affect.label == "happy"
    assert frames[-1].affect.valence > 0.3
    for late_ms in (4520, 4560):  # an earlier one, and the same once more
        assert perception.observe_picture(world.picture(late_ms)) is frames[-1]
    assert perception.dropped_pictures == 2


def test_the_position_follows_the_field_of_view_and_camera_info():
    world, perception = someone(World([Actor(420, scale=60)]), horizontal_fov_deg=60.0)
    focal = 320 / np.tan(np.radians(30))
    expected = focal * 0.063 / 60
    frame = see(perception, world, 15)[-1]
    assert frame.position_m[2] == pytest.approx(expected, rel=0.03)
    assert frame.position_m[0] == pytest.approx(100 / focal * expected, rel=0.05)
    target = gaze_target(frame)
    assert (target.position_m == frame.position_m).all()
    assert target.stamp_ns == frame.picture_stamp_ns
    _, perception = someone(world)
    for k in range(20):
        frame = perception.observe_picture(replace(world.picture(40 * k), focal_px=2 * focal))
    assert frame.position_m[2] == pytest.approx(2 * expected, rel=0.03)
    perception.reset()
    assert gaze_target(perception.observe_picture(world.picture(0))) is None


class Looks(World):
    """Remembers the colour at the left edge of what the networks get."""

    def detect(self, rgb, min_score):
        self.left = int(rgb[0, 0, 0])
        return super().detect(rgb, min_score)


@pytest.mark.parametrize("mirror", [False, True])
def test_mirrored_pictures_are_turned_back_and_regions_are_those_of_the_picture_as_it_came(mirror):
    world, perception = someone(Looks([Actor(160)]), mirror=mirror)
    assert perception.regions() == {}
    for k in range(25):
        shown = world.picture(40 * k)
        shown.bgr[:, :8] = 200
        perception.observe_picture(replace(shown, bgr=np.flip(shown.bgr, 1)) if mirror else shown)
    assert world.left == 200
    ((person, (left, top, right, bottom)),) = perception.regions().items()
    assert (person,) == perception.persons()
    assert 0.0 <= left < right <= 1.0
    assert 0.0 <= top < bottom <= 1.0
    middle = 160 / world.width
    assert (left + right) / 2 == pytest.approx(1.0 - middle if mirror else middle, abs=0.02)


def test_a_jump_back_is_a_new_time_line():
    world, perception = someone()
    before = see(perception, world, 50, 250)[-1]
    perception.observe_sound(sound(11_900, 100))
    assert perception.observe_picture(world.picture(12_000)).voice is not None
    after = see(perception, world, 10)
    assert (after[0].person_id, after[0].picture_stamp_ns, after[0].voice) == (-1, 0, None)
    assert after[-1].person_id > before.person_id
    assert after[-1].neutral_confidence < before.neutral_confidence


def test_without_pictures_sound_alone_makes_25_frames_a_second():
    _, perception = someone(World())
    frames = [f for k in range(100) for f in perception.observe_sound(sound(20 * k))]
    assert 47 <= len(frames) <= 50
    assert set(np.diff([f.stamp_ns for f in frames])) == {40 * MS}
    for frame in frames:
        assert (frame.picture_stamp_ns, frame.person_id, frame.face_present) == (None, -1, False)
        assert frame.voice is not None
        assert frame.sound_stamp_ns <= frame.stamp_ns
        assert frame.confidence.max() == 0.0


def test_sound_makes_no_frames_while_pictures_come_and_soon_after_they_stop():
    world, ear = World([Actor(320)]), VoiceExtractor()
    perception = SpeakerPerception(voice=ear, nets=world)
    for k in range(25):
        frame = perception.observe_picture(world.picture(40 * k))
        assert perception.observe_sound(sound(40 * k, 40)) == []
    assert frame.sound_stamp_ns is not None
    assert frame.voice is not None
    made = [f for k in range(25) for f in perception.observe_sound(sound(1000 + 20 * k))]
    assert (960 + 100) * MS <= made[0].stamp_ns <= (960 + 180) * MS
    assert made[0].person_id == frame.person_id == 1, "a hiccup of the camera is not the end of a person"
    assert next(f.person_id for f in made if f.stamp_ns > (960 + 400) * MS) == -1
    assert ear.holes == 0, "every sample is heard"
    assert perception.observe_picture(world.picture(1520)).picture_stamp_ns == 1520 * MS
    assert perception.observe_sound(sound(1520)) == []


@pytest.mark.parametrize("bad", [np.zeros((10, 10, 3), np.float32), np.zeros((10, 10, 2), np.uint8), "picture"])
def test_what_is_no_picture_is_named_and_leaves_no_trace(bad):
    world, perception = someone()
    with pytest.raises(MessageError, match="picture must"):
        perception.observe_picture(Picture(10**12, bad))
    assert perception.observe_picture(world.picture(0)).picture_stamp_ns == 0


@given(st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.sampled_from([np.nan, np.inf, -1e300, 0.0]))
def test_garbage_from_the_network_never_comes_through(seed, spread, odd):
    rng = np.random.default_rng(seed)

    class Garbage(World):
        def mesh(self, rgb, region):
            points = rng.normal(0, spread, (478, 3))
            points[rng.integers(0, 478, 20)] = odd
            return points if np.isfinite(points).all() else None

    world, perception = someone(Garbage([Actor(320)]))
    for frame in see(perception, world, 12):
        assert np.isfinite(frame.confidence).all()
        assert frame.position_m is None or np.isfinite(frame.position_m).all()
        assert (frame.coefficients >= c.LOWER - 1e-6).all()
        assert (frame.coefficients <= c.UPPER + 1e-6).all()


def test_the_future_changes_nothing():
    def play(jaw_after: float) -> list[SpeakerFrame]:
        world, perception = someone()
        frames = []
        for k in range(60):
            jaw = 0.1 + 0.1 * np.sin(k) if k < 40 else jaw_after
            world.actors[0].face = frontal_face(jawOpen=jaw, mouthSmile=k / 60)
            frames += see(perception, world, 1, k)
        return frames

    one, two = play(0.1), play(0.7)
    for a, b in zip(one[:40], two[:40], strict=True):
        assert (a.coefficients == b.coefficients).all()
        assert (a.confidence == b.confidence).all()
    assert (one[-1].coefficients != two[-1].coefficients).any()
