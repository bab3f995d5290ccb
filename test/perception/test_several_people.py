"""One and several people: who they are, who is the target, who speaks, and to whom. The networks see exactly here."""

from __future__ import annotations

import pytest
from synthetic_face import Actor, Stage, ids, mouth, one_talks

# ---- Who is there


def test_one_face_becomes_one_person_after_a_moment():
    stage = Stage(Actor(320))
    frames = stage.play(2.0)
    assert ids(frames) == [-1, 1]
    assert frames[4].person_id == 1
    assert frames[-1].face_present
    assert frames[-1].mesh_present
    stage.world.actors[0].detectable = False
    frames = stage.play(3.0)
    assert frames[20].person_id == 1, "a detector may miss a face for a while"
    assert frames[-1].person_id == -1, "a mesh that it does not confirm does not last"


@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_who_has_gone_is_lost_within_half_a_second_and_somebody_else_gets_a_new_id(yaw):
    stage = Stage(Actor(320, seed=1))
    stage.play(1.0)
    stage.world.actors = []
    frames = stage.play(0.2)
    stage.world.actors = [Actor(320, seed=2, yaw=yaw)]
    assert ids(frames + stage.play(1.5)) == [1, -1, 2]
    stage.world.actors = []
    frames = stage.play(0.6)
    assert not frames[0].face_present
    assert not frames[0].coefficients.any()
    assert frames[0].confidence.max() == 0.0
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


# ---- Who is the target


def test_the_bigger_face_in_the_middle_is_chosen_and_kept():
    big, small = Actor(330, scale=70, seed=1), Actor(80, scale=25, seed=2)
    stage = Stage(big, small)
    frames = stage.play(1.0)
    assert abs(frames[-1].position_m[0]) < 0.05
    big.scale, small.scale = 25, 70
    assert ids(stage.play(1.0)) == [frames[-1].person_id], "it does not change because somebody else comes nearer"


STIRS = 0.012
"""How far lips open, in eye distances, that move at nearly 0.2 a second: the median of silent people."""


def talking_pair() -> tuple[Stage, Actor, Actor, int]:
    """The second is to talk; the id of the first, who is the target."""
    one, two = Actor(330, scale=60, seed=1), Actor(80, scale=50, seed=2)
    stage = Stage(one, two)
    return stage, one, two, ids(stage.play(1.0))[-1]


def test_who_speaks_becomes_the_target():
    stage, one, two, before = talking_pair()
    stage.voice.speaking = True
    frames = stage.play(2.5, one_talks(two, one))
    after = frames[-1].person_id
    assert after != -1
    assert ids(frames) == [before, after]
    assert frames[round(0.8 * 25)].person_id == before, "hysteresis"


@pytest.mark.parametrize("reason", ["no voice", "target talks too", "locked", "it only stirs"])
def test_a_moving_mouth_alone_does_not_take_the_target(reason):
    stage, one, two, before = talking_pair()
    stage.voice.speaking = reason != "no voice"
    if reason == "locked":
        assert stage.perception.select(before, True)

    def talk(t: float) -> None:
        mouth(two, t, STIRS if reason == "it only stirs" else 0.1)
        mouth(one, t + 0.03, 0.1 if reason == "target talks too" else 0.0)

    assert ids(stage.play(3.0, talk)) == [before]


def test_choice_and_lock():
    stage, _, two, before = talking_pair()
    other = next(i for i in stage.perception.persons() if i != before)
    assert not stage.perception.select(99, True)
    assert stage.perception.select(other, True)
    assert ids(stage.play(0.5)) == [other]
    stage.world.actors.remove(two)
    assert stage.play(1.0)[-1].person_id == before, "a lock ends with its person"
    assert stage.perception.select(-1, False)


# ---- Who speaks, and to whom


def speaking(stage: Stage) -> list[float]:
    return [p.speaking for p in stage.perception.people.persons]


def test_speaking_follows_the_voice_and_the_lips():
    one, two = Actor(200, seed=1, scale=50), Actor(460, seed=2, scale=50)
    stage = Stage(one, two)
    stage.play(1.0)
    stage.voice.speaking = True
    stage.play(2.0)
    assert max(speaking(stage)) < 0.2, "a voice without a mouth belongs to no one here"
    stage.play(2.0, one_talks(one, two))
    first, second = speaking(stage)
    assert first > 0.8 > 0.2 > second
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
    assert {f.person_id for f in stage.play(0.48, chew)} == {before}, "not in its tail"
    assert ids(stage.play(3.0, chew))[-1] not in (-1, before)
    stage.voice.clean = True
    stage.play(2.0, own_voice)
    assert speaking(stage)[1] > 0.8 > 0.2 > speaking(stage)[0]


@pytest.mark.parametrize(("yaw", "addressed"), [(0.0, "robot"), (0.8, "other")])
def test_who_is_addressed_is_who_is_looked_at(yaw, addressed):
    one, two = Actor(200, seed=1, scale=50, yaw=yaw), Actor(460, seed=2, scale=50)
    stage = Stage(one, two)
    stage.play(1.0)
    stage.voice.speaking = True
    stage.play(3.0, one_talks(one, two))
    people = stage.perception.people
    itself, other = (p.addressed for p in people.persons)
    assert itself < 0.05
    if addressed == "robot":
        assert people.robot_addressed > 0.6 > 0.2 > other
    else:
        assert other > 0.6 > 0.2 > people.robot_addressed
