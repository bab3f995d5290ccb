"""One face and a few: who is followed, under which id, and who is the target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from synthetic_face import Actor, World, frontal_face

from reactdiff_ros.perception import PerceptionConfig, SpeakerPerception
from reactdiff_ros.types import SpeakerFrame, Voice

FRAME_MS = 40


class Talk:
    """A voice that speaks where `speaking` is set."""

    def __init__(self, speaking: bool = False) -> None:
        self.speaking, self.clean = speaking, False

    def push(self, sound) -> None:
        pass

    def reset(self) -> None:
        pass

    def latest(self, now_ns: int):
        voice = Voice(1.0 * self.speaking, self.speaking, np.zeros(26, np.float32), 0.0, -40.0, 0.0, 0.0, self.clean)
        return voice, now_ns


class Stage:
    """Plays a world picture by picture."""

    def __init__(self, *actors: Actor, config: PerceptionConfig | None = None) -> None:
        self.world = World(list(actors))
        self.voice = Talk()
        self.perception = SpeakerPerception(config, voice=self.voice, nets=self.world)
        self.t_ms = 0

    def play(self, seconds: float, act: Callable[[float], None] | None = None) -> list[SpeakerFrame]:
        frames = []
        for _ in range(round(seconds * 1000 / FRAME_MS)):
            if act is not None:
                act(self.t_ms / 1000)
            frames.append(self.perception.observe_picture(self.world.picture(self.t_ms)))
            self.t_ms += FRAME_MS
        return frames


def ids(frames: list[SpeakerFrame]) -> list[int]:
    """The targets in order, repetitions left out."""
    out: list[int] = []
    for frame in frames:
        if not out or out[-1] != frame.person_id:
            out.append(frame.person_id)
    return out


def test_one_face_becomes_one_person_after_a_moment():
    frames = Stage(Actor(320)).play(2.0)
    assert ids(frames) == [-1, 1]
    assert frames[4].person_id == 1
    assert frames[-1].face_present
    assert frames[-1].mesh_present


def test_lost_within_half_a_second():
    stage = Stage(Actor(320))
    stage.play(1.0)
    stage.world.actors = []
    frames = stage.play(0.6)
    assert not frames[0].face_present
    assert frames[0].coefficients.any() is np.False_
    assert frames[0].confidence.max() == 0.0
    assert frames[round(0.5 * 25)].person_id == -1
    assert stage.perception.persons() == ()


@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_somebody_else_gets_a_new_id(yaw):
    stage = Stage(Actor(320, seed=1))
    frames = stage.play(1.0)
    stage.world.actors = []
    frames += stage.play(0.2)
    stage.world.actors = [Actor(320, seed=2, yaw=yaw)]
    assert ids(frames + stage.play(1.5)) == [-1, 1, -1, 2]


def test_a_mesh_that_no_detector_confirms_does_not_last():
    stage = Stage(Actor(320))
    stage.play(1.0)
    stage.world.actors[0].detectable = False
    frames = stage.play(3.0)
    assert frames[20].person_id == 1, "a detector may miss a face for a while"
    assert frames[-1].person_id == -1


def test_two_people_keep_their_ids_while_they_change_sides():
    left, right = Actor(150, seed=1, scale=40), Actor(490, y=330, seed=2, scale=44)
    stage = Stage(left, right)

    def walk(t: float) -> None:
        left.x, right.x = 150 + 340 * t / 4, 490 - 340 * t / 4

    frames = stage.play(4.0, walk)
    assert ids(frames) in ([-1, 1], [-1, 2])
    assert stage.perception.persons() == (1, 2)


def test_the_bigger_face_in_the_middle_is_chosen_and_kept():
    big, small = Actor(330, scale=70, seed=1), Actor(80, scale=25, seed=2)
    stage = Stage(big, small)
    frames = stage.play(1.0)
    chosen = frames[-1].person_id
    assert abs(frames[-1].position_m[0]) < 0.05
    big.scale, small.scale = 25, 70
    assert ids(stage.play(1.0)) == [chosen], "a target does not change because somebody else comes nearer"


TALKS, RESTS, STIRS = 0.1, 0.0, 0.012
"""How far lips open, in eye distances. STIRS: at nearly 0.2 a second, the median of silent people."""


def mouth(actor: Actor, t: float, opening: float) -> None:
    actor.face = frontal_face(gap=0.07 + opening * (1 + np.sin(2 * np.pi * 4 * t)))


def talking_pair() -> tuple[Stage, Actor, Actor]:
    one, two = Actor(330, scale=60, seed=1), Actor(80, scale=50, seed=2)
    return Stage(one, two), one, two


def one_talks(who: Actor, other: Actor) -> Callable[[float], None]:
    """The mouth of one of them moves."""

    def talk(t: float) -> None:
        mouth(who, t, TALKS)
        mouth(other, t, RESTS)

    return talk


def test_who_speaks_becomes_the_target():
    stage, one, two = talking_pair()
    before = ids(stage.play(1.0))[-1]
    stage.voice.speaking = True
    frames = stage.play(2.5, one_talks(two, one))
    after = frames[-1].person_id
    assert after not in (-1, before)
    assert ids(frames) == [before, after]
    assert frames[round(0.8 * 25)].person_id == before, "hysteresis"


@pytest.mark.parametrize("reason", ["no voice", "target talks too", "locked", "it only stirs"])
def test_a_moving_mouth_alone_does_not_take_the_target(reason):
    stage, one, two = talking_pair()
    before = ids(stage.play(1.0))[-1]
    stage.voice.speaking = reason != "no voice"
    if reason == "locked":
        assert stage.perception.select(before, True)

    def talk(t: float) -> None:
        mouth(two, t, STIRS if reason == "it only stirs" else TALKS)
        mouth(one, t + 0.03, TALKS if reason == "target talks too" else RESTS)

    assert ids(stage.play(3.0, talk)) == [before]


def test_the_robots_own_voice_moves_no_target_and_the_next_voice_does():
    stage, one, two = talking_pair()
    before = ids(stage.play(1.0))[-1]
    stage.voice.speaking = True
    chew = one_talks(two, one)

    def own_voice(t: float) -> None:
        chew(t)
        stage.perception.robot_speaking(True, round(t * 1e9))

    assert ids(stage.play(3.0, own_voice)) == [before]
    stage.perception.robot_speaking(False, stage.t_ms * 10**6)
    frames = stage.play(3.0, chew)
    assert ids(frames)[-1] not in (-1, before)
    assert {f.person_id for f in frames[:12]} == {before}, "not in its tail"


def test_choice_and_lock():
    stage, _, two = talking_pair()
    before = ids(stage.play(1.0))[-1]
    other = next(i for i in stage.perception.persons() if i != before)
    assert not stage.perception.select(99, True)
    assert stage.perception.select(other, True)
    assert ids(stage.play(0.5)) == [other]
    stage.world.actors.remove(two)
    assert stage.play(1.0)[-1].person_id == before, "a lock ends with its person"
    assert stage.perception.select(-1, False)


def test_the_detector_works_next_to_the_mesh_where_it_is_due_and_only_there():
    stage = Stage(Actor(320))
    stage.play(0.4)
    stage.world.calls.clear()
    stage.play(1.0)
    pictures = " ".join(stage.world.calls).replace("begin mesh detect", "both")
    assert set(pictures.split()) == {"both", "mesh"}
    assert pictures.split().count("both") == 5
    stage.world.actors[0].meshable = False
    stage.world.calls.clear()
    stage.play(0.04)
    assert stage.world.calls[:2] == ["mesh", "detect"], "the mesh found no one: it was not known before"
