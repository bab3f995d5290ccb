"""Several people on one stage: who they are, who speaks, and to whom. Networks that see exactly; see also the clips."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_face import Actor, frontal_face
from test_tracking import Stage, ids, mouth, one_talks

from reactdiff_ros.perception import PerceptionConfig
from reactdiff_ros.perception.people import direction


def test_who_comes_back_gets_the_same_id_and_neutral_and_a_stranger_does_not():
    stage = Stage(Actor(320, seed=1))
    stage.play(8.0)
    learnt = stage.play(0.04)[0].neutral_confidence
    stage.world.actors = []
    assert ids(stage.play(20.0)) == [1, -1]
    stage.world.actors = [Actor(200, seed=2)]
    stage.play(2.0)
    assert stage.perception.persons() == (2,)
    stage.world.actors = [Actor(420, y=240, seed=1, scale=50)]
    frames = stage.play(2.0)
    assert ids(frames)[-1] == 1
    assert frames[-1].neutral_confidence >= learnt


def test_a_minute_later_everyone_is_a_stranger():
    stage = Stage(Actor(320, seed=1))
    stage.play(2.0)
    stage.world.actors = []
    stage.play(61.0)
    stage.world.actors = [Actor(320, seed=1)]
    assert ids(stage.play(2.0)) == [-1, 2]


@pytest.mark.parametrize("yaw", [0.0, 0.6])
@pytest.mark.parametrize("front", [0, 1])
def test_two_who_cross_before_each_other_keep_their_ids(front, yaw):
    actors = [Actor(120, seed=1, scale=44, yaw=yaw), Actor(520, seed=2, scale=44, yaw=-yaw)]
    stage = Stage(*actors)
    stage.play(1.0)
    places = {1: 120.0, 2: 520.0}

    def walk(t: float) -> None:
        way = min(1.0, (t - 1.0) / 3.0)
        actors[0].x, actors[1].x = 120 + 400 * way, 520 - 400 * way
        hidden = actors[1 - front]
        hidden.meshable = hidden.detectable = abs(actors[0].x - actors[1].x) > 110
        stage.world.actors = [actors[1 - front], actors[front]]

    stage.play(6.0, walk)
    boxes = {i: (box[0] + box[2]) / 2 * 640 for i, box in stage.perception.regions().items()}
    assert boxes.keys() == places.keys()
    assert boxes[1] == pytest.approx(520, abs=30)
    assert boxes[2] == pytest.approx(120, abs=30)


def test_of_four_the_target_is_read_in_every_picture_and_the_others_in_turn():
    actors = [Actor(80 + 160 * k, seed=k, scale=28) for k in range(4)]
    stage = Stage(*actors)
    stage.play(2.0)
    assert len(stage.perception.people.persons) == 4
    stage.world.calls.clear()
    frames = stage.play(4.0)
    assert all(f.mesh_present for f in frames)
    assert stage.world.calls.count("mesh") <= 3 * 100 + 20, "the detector's findings are compared, too"
    assert [p.person_id for p in stage.perception.people.persons] == [1, 2, 3, 4]


def test_who_walks_past_without_a_look_is_nobody_and_who_stays_is_noticed():
    stage = Stage(Actor(320, seed=1, scale=60))
    stage.play(2.0)
    walker = Actor(20, seed=2, scale=30, yaw=0.9)
    stage.world.actors.append(walker)

    def walk(t: float) -> None:
        walker.x = 20 + 300 * (t - 2.0)

    for _ in range(45):
        stage.play(0.04, walk)
        assert [p.person_id for p in stage.perception.people.persons] == [1]
    walker.yaw = 0.0
    stage.play(1.0)
    assert len(stage.perception.people.persons) == 2


def test_a_lone_passer_by_is_no_target():
    walker = Actor(20, seed=2, scale=30, yaw=0.9)
    stage = Stage(walker)

    def walk(t: float) -> None:
        walker.x = 20 + 300 * t

    assert {f.person_id for f in stage.play(2.0, walk)} == {-1}


def test_speaking_follows_the_voice_and_the_lips():
    one, two = Actor(200, seed=1, scale=50), Actor(460, seed=2, scale=50)
    stage = Stage(one, two)
    stage.play(1.0)
    stage.voice.speaking = True
    stage.play(2.0, one_talks(one, two))
    first, second = stage.perception.people.persons
    assert first.speaking > 0.8
    assert second.speaking < 0.2
    stage.play(2.0, one_talks(two, one))
    first, second = stage.perception.people.persons
    assert second.speaking > 0.8
    stage.voice.speaking = False
    stage.play(0.2, one_talks(two, one))
    assert max(p.speaking for p in stage.perception.people.persons) < 0.1
    stage.voice.speaking = True
    for _ in range(50):
        stage.perception.robot_speaking(True, stage.t_ms * 10**6)
        stage.play(0.04, one_talks(two, one))
    assert max(p.speaking for p in stage.perception.people.persons) < 0.1, "it is the robot's own voice"
    stage.voice.clean = True
    for _ in range(50):
        stage.perception.robot_speaking(True, stage.t_ms * 10**6)
        stage.play(0.04, one_talks(two, one))
    first, second = stage.perception.people.persons
    assert second.speaking > 0.8, "its echo is cancelled"
    assert first.speaking < 0.2


def test_a_voice_without_a_mouth_belongs_to_no_one_here():
    stage = Stage(Actor(320, seed=1))
    stage.play(1.0)
    stage.voice.speaking = True
    stage.play(4.0)
    assert stage.perception.people.persons[0].speaking < 0.2


def test_directions_are_seen_from_the_eyes_of_who_looks():
    left_in_picture, right_in_picture = np.array([-0.5, 0.0, 1.0]), np.array([0.5, 0.0, 1.0])
    yaw, pitch = direction(left_in_picture, right_in_picture)
    assert yaw > 0.9, "to their own left"
    assert abs(pitch) < 1e-6
    assert direction(right_in_picture, left_in_picture)[0] == pytest.approx(-yaw)
    assert direction(left_in_picture, np.zeros(3)) == pytest.approx((0.0, 0.0))
    assert direction(np.array([0.0, 0.0, 2.0]), np.array([0.0, 0.5, 0.0]))[1] > 0.2, "down"


@pytest.mark.parametrize(("yaw", "addressed"), [(0.0, "robot"), (0.8, "other")])
def test_who_is_addressed_is_who_is_looked_at(yaw, addressed):
    one, two = Actor(200, seed=1, scale=50, yaw=yaw), Actor(460, seed=2, scale=50)
    stage = Stage(one, two, config=PerceptionConfig())
    stage.play(1.0)
    stage.voice.speaking = True

    def talk(t: float) -> None:
        mouth(one, t, 0.1)
        two.face = frontal_face()

    stage.play(3.0, talk)
    people = stage.perception.people
    other = people.persons[1].addressed
    assert people.persons[0].addressed < 0.05
    if addressed == "robot":
        assert people.robot_addressed > 0.6 > 0.2 > other
    else:
        assert other > 0.6 > 0.2 > people.robot_addressed
