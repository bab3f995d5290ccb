"""Perception as one object, with networks that see exactly: frames, who is there and who speaks, and to whom."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_face import MS, Actor, Stage, World, frontal_face, ids, mouth, one_talks

from reactdiff_ros import coefficients as c
from reactdiff_ros.errors import MessageError
from reactdiff_ros.perception import PerceptionConfig, SpeakerPerception, gaze_target
from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.types import Picture, Sound, SpeakerFrame


def sound(t_ms: float, length_ms: float = 20) -> Sound:
    return Sound(round(t_ms * MS), 16000, np.zeros((round(length_ms * 16), 1), np.int16))


def see(perception: SpeakerPerception, world: World, count: int, first: int = 0) -> list[SpeakerFrame]:
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
    target = gaze_target(frame)
    assert target.stamp_ns == frame.picture_stamp_ns
    assert target.position_m[2] == frame.position_m[2] == pytest.approx(expected, rel=0.03)
    assert target.position_m[0] == frame.position_m[0] == pytest.approx(100 / focal * expected, rel=0.05)
    _, perception = someone(world)
    for k in range(20):
        frame = perception.observe_picture(replace(world.picture(40 * k), focal_px=2 * focal))
    assert frame.position_m[2] == pytest.approx(2 * expected, rel=0.03)
    perception.reset()
    assert gaze_target(perception.observe_picture(world.picture(0))) is None


@pytest.mark.parametrize("mirror", [False, True])
def test_mirrored_pictures_are_turned_back_and_regions_are_those_of_the_picture_as_it_came(mirror, monkeypatch):
    world, perception = someone(World([Actor(160)]), mirror=mirror)
    assert perception.regions() == {}
    lefts, detect = [], world.detect
    monkeypatch.setattr(world, "detect", lambda rgb, score: lefts.append(rgb[0, 0, 0]) or detect(rgb, score))
    for k in range(25):
        shown = world.picture(40 * k)
        shown.bgr[:, :8] = 200
        perception.observe_picture(replace(shown, bgr=np.flip(shown.bgr, 1)) if mirror else shown)
    assert set(lefts) == {200}
    ((person, (left, top, right, bottom)),) = perception.regions().items()
    assert (person,) == perception.persons()
    assert 0.0 <= left < right <= 1.0
    assert 0.0 <= top < bottom <= 1.0
    assert (left + right) / 2 == pytest.approx(0.75 if mirror else 0.25, abs=0.02)


def test_a_jump_back_is_a_new_time_line():
    world, perception = someone()
    before = see(perception, world, 50, 250)[-1]
    perception.observe_sound(sound(11_900, 100))
    assert perception.observe_picture(world.picture(12_000)).voice is not None
    after = see(perception, world, 10)
    assert (after[0].person_id, after[0].picture_stamp_ns, after[0].voice) == (-1, 0, None)
    assert after[-1].person_id > before.person_id
    assert after[-1].neutral_confidence < before.neutral_confidence


def test_sound_makes_25_frames_a_second_while_no_pictures_come():
    world, ear = World([Actor(320)]), VoiceExtractor()
    perception = SpeakerPerception(voice=ear, nets=world)
    for k in range(25):
        frame = perception.observe_picture(world.picture(40 * k))
        assert perception.observe_sound(sound(40 * k, 40)) == []
    assert None not in (frame.sound_stamp_ns, frame.voice)
    made = [f for k in range(25) for f in perception.observe_sound(sound(1000 + 20 * k))]
    assert (960 + 100) * MS <= made[0].stamp_ns <= (960 + 180) * MS
    assert set(np.diff([f.stamp_ns for f in made])) == {40 * MS}
    assert made[0].person_id == frame.person_id == 1, "a hiccup of the camera is not the end of a person"
    assert next(f.person_id for f in made if f.stamp_ns > (960 + 400) * MS) == -1
    for frame in made:
        assert (frame.picture_stamp_ns, frame.face_present, frame.confidence.any()) == (None, False, False)
        assert frame.sound_stamp_ns <= frame.stamp_ns
    assert ear.holes == 0, "every sample is heard"
    assert perception.observe_picture(world.picture(1520)).picture_stamp_ns == 1520 * MS
    assert perception.observe_sound(sound(1520)) == []
    _, alone = someone(World())
    frames = [f for k in range(100) for f in alone.observe_sound(sound(20 * k))]
    assert 47 <= len(frames) <= 50
    assert {f.person_id for f in frames} == {-1}


@pytest.mark.parametrize("bad", [np.zeros((10, 10, 3), np.float32), np.zeros((10, 10, 2), np.uint8), "picture"])
def test_what_is_no_picture_is_named_and_leaves_no_trace(bad):
    world, perception = someone()
    with pytest.raises(MessageError, match="picture must"):
        perception.observe_picture(Picture(10**12, bad))
    assert perception.observe_picture(world.picture(0)).picture_stamp_ns == 0


@given(st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.sampled_from([np.nan, np.inf, -1e300, 0.0]))
def test_garbage_from_the_network_never_comes_through(seed, spread, odd):
    rng = np.random.default_rng(seed)

    def mesh(*_):
        points = rng.normal(0, spread, (478, 3))
        points[rng.integers(0, 478, 20)] = odd
        return points if np.isfinite(points).all() else None

    world, perception = someone()
    world.mesh = mesh
    for frame in see(perception, world, 12):
        assert np.isfinite(frame.confidence).all()
        assert frame.position_m is None or np.isfinite(frame.position_m).all()
        assert ((frame.coefficients >= c.LOWER - 1e-6) & (frame.coefficients <= c.UPPER + 1e-6)).all()


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


@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_a_face_becomes_a_person_who_is_lost_within_half_a_second_and_somebody_else_gets_a_new_id(yaw):
    stage = Stage(Actor(320, seed=1))
    frames = stage.play(1.0)
    assert ids(frames) == [-1, 1]
    assert (frames[4].person_id, frames[-1].face_present, frames[-1].mesh_present) == (1, True, True)
    stage.world.actors = []
    frames = stage.play(0.2)
    stage.world.actors = [Actor(320, seed=2, yaw=yaw)]
    assert ids(frames + stage.play(1.5)) == [1, -1, 2]
    stage.world.actors[0].detectable = False
    frames = stage.play(3.0)
    assert frames[20].person_id == 2, "a detector may miss a face for a while"
    assert frames[-1].person_id == -1, "a mesh that it does not confirm does not last"
    stage.world.actors = [Actor(320, seed=3)]
    assert stage.play(1.0)[-1].person_id == 3
    stage.world.actors = []
    frames = stage.play(0.6)
    assert (frames[0].face_present, frames[0].coefficients.any(), frames[0].confidence.any()) == (False,) * 3
    assert frames[round(0.5 * 25)].person_id == -1
    assert stage.perception.persons() == ()


def test_who_comes_back_within_a_minute_gets_the_same_id_and_neutral_and_a_stranger_does_not():
    stage = Stage(Actor(320, seed=1))
    learnt = stage.play(8.0)[-1].neutral_confidence
    stage.world.actors = []
    assert ids(stage.play(20.0)) == [1, -1]
    stage.world.actors = [Actor(200, seed=2)]
    stage.play(2.0)
    assert stage.perception.persons() == (2,)
    stage.world.actors = [Actor(420, y=240, seed=1, scale=50)]
    frames = stage.play(2.0)
    assert ids(frames)[-1] == 1
    assert frames[-1].neutral_confidence >= learnt
    stage.world.actors = []
    stage.play(61.0)
    stage.world.actors = [Actor(320, seed=1)]
    assert ids(stage.play(2.0))[-1] > 2, "a minute later everyone is a stranger"


@pytest.mark.parametrize("yaw", [0.0, 0.6])
@pytest.mark.parametrize("front", [0, 1])
def test_two_who_cross_before_each_other_keep_their_ids(front, yaw):
    actors = [Actor(120, seed=1, scale=44, yaw=yaw), Actor(520, seed=2, scale=44, yaw=-yaw)]
    stage = Stage(*actors)
    stage.play(1.0)

    def walk(t: float) -> None:
        way = min(1.0, (t - 1.0) / 3.0)
        actors[0].x, actors[1].x = 120 + 400 * way, 520 - 400 * way
        hidden = actors[1 - front]
        hidden.meshable = hidden.detectable = abs(actors[0].x - actors[1].x) > 110
        stage.world.actors = [hidden, actors[front]]

    stage.play(6.0, walk)
    middles = {i: (box[0] + box[2]) / 2 * 640 for i, box in stage.perception.regions().items()}
    assert middles == pytest.approx({1: 520, 2: 120}, abs=30)


@pytest.mark.parametrize("alone", [False, True])
def test_who_walks_past_without_a_look_is_nobody_and_who_stays_is_noticed(alone):
    walker = Actor(20, seed=2, scale=30, yaw=0.9)
    stage = Stage(*([] if alone else [Actor(320, seed=1, scale=60)]))
    stage.play(2.0)
    stage.world.actors.append(walker)

    def walk(t: float) -> None:
        walker.x = 20 + 300 * (t - 2.0)

    for _ in range(45):
        (frame,) = stage.play(0.04, walk)
        assert frame.person_id == (-1 if alone else 1)
        assert len(stage.perception.people.persons) == (0 if alone else 1)
    walker.yaw = 0.0
    stage.play(1.0)
    assert len(stage.perception.people.persons) == (1 if alone else 2)


def test_of_four_the_target_is_read_in_every_picture():
    stage = Stage(*(Actor(80 + 160 * k, seed=k, scale=28) for k in range(4)))
    stage.play(2.0)
    assert all(f.mesh_present for f in stage.play(4.0))
    assert [p.person_id for p in stage.perception.people.persons] == [1, 2, 3, 4]


def talking_pair() -> tuple[Stage, Actor, Actor, int]:
    """The second is to talk; the id of the first, who is the target."""
    one, two = Actor(330, scale=60, seed=1), Actor(80, scale=50, seed=2)
    stage = Stage(one, two)
    return stage, one, two, ids(stage.play(1.0))[-1]


def test_the_bigger_face_in_the_middle_is_the_target_until_another_speaks():
    stage, one, two, before = talking_pair()
    assert abs(stage.play(0.04)[-1].position_m[0]) < 0.05
    one.scale, two.scale = 25, 70
    assert ids(stage.play(1.0)) == [before], "it does not change because somebody else comes nearer"
    one.scale, two.scale = 60, 50
    stage.play(1.0)
    stage.voice.speaking = True
    frames = stage.play(2.5, one_talks(two, one))
    assert ids(frames) == [before, 3 - before]
    assert frames[round(0.8 * 25)].person_id == before, "hysteresis"


@pytest.mark.parametrize("reason", ["no voice", "target talks too", "locked", "it only stirs"])
def test_a_moving_mouth_alone_does_not_take_the_target(reason):
    stage, one, two, before = talking_pair()
    stage.voice.speaking = reason != "no voice"
    if reason == "locked":
        assert stage.perception.select(before, True)

    def talk(t: float) -> None:
        mouth(two, t, 0.012 if reason == "it only stirs" else 0.1)  # as far as the lips of silent people move
        mouth(one, t + 0.03, 0.1 if reason == "target talks too" else 0.0)

    assert ids(stage.play(3.0, talk)) == [before]


def test_choice_and_lock():
    stage, _, two, before = talking_pair()
    assert not stage.perception.select(99, True)
    assert stage.perception.select(3 - before, True)
    assert ids(stage.play(0.5)) == [3 - before]
    stage.world.actors.remove(two)
    assert stage.play(1.0)[-1].person_id == before, "a lock ends with its person"
    assert stage.perception.select(-1, False)


def speaking(stage: Stage) -> list[float]:
    return [p.speaking for p in stage.perception.people.persons]


def test_speaking_follows_the_voice_and_the_lips_and_who_is_addressed_is_who_is_looked_at():
    one, two = Actor(200, seed=1, scale=50), Actor(460, seed=2, scale=50)
    stage = Stage(one, two)
    stage.play(1.0)
    stage.voice.speaking = True
    stage.play(2.0)
    assert max(speaking(stage)) < 0.2, "a voice without a mouth belongs to no one here"
    stage.play(2.0, one_talks(one, two))
    first, second = speaking(stage)
    assert first > 0.8 > 0.2 > second
    for yaw, to_robot in ((0.0, True), (0.8, False)):
        one.yaw = yaw
        stage.play(3.0, one_talks(one, two))
        people = stage.perception.people
        itself, other = (p.addressed for p in people.persons)
        addressed = (people.robot_addressed, other) if to_robot else (other, people.robot_addressed)
        assert addressed[0] > 0.6 > 0.2 > addressed[1]
        assert itself < 0.05
    stage.play(2.0, one_talks(two, one))
    assert speaking(stage)[1] > 0.8
    stage.voice.speaking = False
    stage.play(0.2, one_talks(two, one))
    assert max(speaking(stage)) < 0.1


def test_the_robots_own_voice_belongs_to_no_one_and_moves_no_target_unless_its_echo_is_cancelled():
    stage, one, two, before = talking_pair()
    stage.voice.speaking = True
    chew = one_talks(two, one)

    def own_voice(t: float) -> None:
        chew(t)
        stage.perception.robot_speaking(True, round(t * 1e9))

    assert ids(stage.play(3.0, own_voice)) == [before]
    assert max(speaking(stage)) < 0.1
    stage.perception.robot_speaking(False, stage.t_ms * 10**6)
    assert ids(stage.play(0.48, chew)) == [before], "not in its tail"
    assert ids(stage.play(3.0, chew))[-1] == 3 - before
    stage.voice.clean = True
    stage.play(2.0, own_voice)
    assert speaking(stage)[1] > 0.8 > 0.2 > speaking(stage)[0]
