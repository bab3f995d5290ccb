"""Rendered people who turn their heads: they stay who they are, and whom the one who speaks addresses is found.

Nothing was chosen on them: neither the settings of `perception/people.py` nor those of `perception/tracking.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest
from test_tracking import Talk

from reactdiff_ros import coefficients as c
from reactdiff_ros.clock import NS
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.perception.people import direction
from reactdiff_ros.types import PersonSeen, Picture
from tools.demo.head import EYE_YAW_RAD
from tools.demo.parts import Look
from tools.demo.readback import face
from tools.demo.renderer import HeadRenderer, Scene

PLACES: Final = np.array([[-0.22, 0.0, 0.8], [0.22, 0.0, 0.8]])
EYES_RAD: Final = 0.55
"""Farthest turn of the eyes. The head turns for the rest, and at least by HEAD_SHARE of the way."""
HEAD_SHARE: Final = 0.5
TURN_S: Final = 0.35
RATE_HZ: Final = 25
SCENES: Final = [Scene(width=640, height=320, position_m=tuple(map(float, place))) for place in PLACES]
LOOKS: Final = (Look(), Look(skin=(96, 128, 188), hair=(20, 24, 30), shirt=(60, 60, 150), lips=(84, 80, 150)))


def glances(addressee: str) -> Iterator[str]:
    """Where someone looks who speaks to the robot or to their neighbour for 4 s: at them, and twice away."""
    for at, seconds in ((addressee, 1.4), ("away", 0.6), (addressee, 1.4), ("away", 0.6)):
        yield from [at] * round(seconds * RATE_HZ)


def line_of_sight(who: int, at: str) -> float:
    """Yaw (rad) from the camera's ray, to the own left; "away" is to the outer side."""
    if at == "other":
        return direction(PLACES[who], PLACES[1 - who])[0]
    return 0.0 if at == "robot" else (0.5 if who else -0.5)


def pose(who: int, yaw: float, jaw: float) -> np.ndarray:
    """Coefficients of a person who looks into that direction."""
    head = max(abs(yaw) * HEAD_SHARE, abs(yaw) - EYES_RAD) * np.sign(yaw)
    values = np.zeros(c.COEFFICIENT_COUNT)
    values[c.HEAD_YAW] = head - np.arctan2(PLACES[who][0], PLACES[who][2])
    values[c.INDEX["jawOpen"]] = jaw
    eyes = (yaw - head) / EYE_YAW_RAD
    for name in ("eyeLookOutLeft", "eyeLookInRight") if eyes > 0 else ("eyeLookInLeft", "eyeLookOutRight"):
        values[c.INDEX[name]] = abs(eyes)
    return values


@pytest.mark.parametrize("rate_hz", [10, 30])
@pytest.mark.parametrize("turn_s", [0.0, 0.3])
def test_who_turns_their_head_in_sight_stays_who_they_are(nets, rate_hz, turn_s):
    renderer, perception, now = HeadRenderer(), SpeakerPerception(nets=nets), NS
    scene = Scene(width=480, height=240, position_m=(0.0, 0.0, 0.8))

    @functools.cache
    def turned(yaw: float) -> np.ndarray:
        return renderer.render(face(headYaw=yaw), scene)

    frames = []
    for start, goal, seconds in ((0.0, 0.0, 1.0), (0.0, 0.75, 0.8), (0.75, 0.0, 0.8)):
        for k in range(round(seconds * rate_hz)):
            way = min(1.0, k / rate_hz / turn_s) if turn_s else 1.0
            frames.append(perception.observe_picture(Picture(now, turned(round(start + (goal - start) * way, 3)))))
            now += NS // rate_hz
    later = frames[rate_hz // 2 :]
    assert {f.person_id for f in later} == {1}
    assert all(f.mesh_present for f in later)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_whom_the_speaker_addresses_is_found(nets, record_property):
    """Two people 0.44 m apart at 0.8 m; each speaks to the robot and to the other."""
    rng = np.random.default_rng(3)
    renderers = [HeadRenderer(look=look) for look in LOOKS]
    perception = SpeakerPerception(voice=Talk(speaking=True), nets=nets)
    right: dict[str, list[bool]] = {"robot": [], "other": []}
    rests = [renderers[i].render(pose(i, 0.0, 0.0), SCENES[i]) for i in (0, 1)]
    shown, now, ids = np.zeros(2), NS, set()
    for who, addressee in ((0, "robot"), (0, "other"), (1, "other"), (1, "robot")):
        start, was, since = shown.copy(), "", 0.0
        for k, at in enumerate(glances(addressee)):
            if at != was:
                start, was, since = shown.copy(), at, k / RATE_HZ
            way = min(1.0, (k / RATE_HZ - since) / TURN_S)
            goal = np.array([line_of_sight(i, at) if i == who else 0.0 for i in (0, 1)])
            shown = start + (goal - start) * (3 * way**2 - 2 * way**3)
            jaw = 0.25 * (1 + np.sin(2 * np.pi * 4 * k / RATE_HZ)) * rng.uniform(0.5, 1.0)
            halves = [
                renderers[i].render(pose(i, shown[i], jaw * (i == who)), SCENES[i])
                if i == who or shown[i]
                else rests[i]
                for i in (0, 1)
            ]
            perception.observe_picture(Picture(now, np.hstack([halves[0][:, :320], halves[1][:, 320:]])))
            now += NS // RATE_HZ
            people = perception.people
            ids |= {p.person_id for p in people.persons}
            other = max((p.addressed for p in people.persons), default=0.0)
            right[addressee].append((people.robot_addressed > other) == (addressee == "robot"))
    figures = {name: float(np.mean(values)) for name, values in right.items()}
    print({name: round(value, 3) for name, value in figures.items()})
    for name, value in figures.items():
        record_property(f"right addressee, the {name}", value)
    assert ids == {1, 2}
    assert np.mean(list(figures.values())) >= 0.85
    assert min(figures.values()) >= 0.8


class Stage:
    """Both people, who look at the robot; each moves the lips or is a photograph, before a camera that has noise."""

    def __init__(self, nets: FaceNets) -> None:
        self.perception = SpeakerPerception(voice=Talk(speaking=True), nets=nets)
        self.now, self._rng = NS, np.random.default_rng(1)
        self._renderers = [HeadRenderer(look=look) for look in LOOKS]
        self.half = functools.cache(self._half)

    def _half(self, who: int, yaw: float, jaw: float) -> np.ndarray:
        picture = self._renderers[who].render(pose(who, yaw, jaw), SCENES[who])
        return picture[:, 320:] if who else picture[:, :320]

    def show(self, moving: tuple[int, ...], yaws: tuple[float, float] = (0.0, 0.0)) -> None:
        k = self.now * RATE_HZ // NS
        jaws = [0.25 * (1 + np.sin(2 * np.pi * 4 * (k % RATE_HZ) / RATE_HZ + i)) * (i in moving) for i in (0, 1)]
        picture = np.hstack([self.half(i, yaws[i], round(float(jaws[i]), 2)) for i in (0, 1)])
        picture = np.clip(picture + self._rng.normal(0.0, 3.0, picture.shape), 0, 255).astype(np.uint8)
        self.now += NS // RATE_HZ
        self.perception.observe_picture(Picture(self.now, picture))

    def at(self, who: int) -> PersonSeen:
        """What is known of the one on the left (0) or right (1) of the picture."""
        placed = [p for p in self.perception.people.persons if p.position_m is not None]
        return (max if who else min)(placed, key=lambda p: float(p.position_m[0]))


@pytest.mark.timeout(600)
def test_a_photograph_is_neither_speaker_nor_addressee(nets):
    stage = Stage(nets)
    for k in range(4 * RATE_HZ):  # a voice out of view
        stage.show(())
        assert k < 2 * RATE_HZ or max(stage.at(0).speaking, stage.at(1).speaking) < 0.3
    taken = 0
    for k in range(6 * RATE_HZ):  # who speaks looks at the robot, and for 1 s past it at the photograph
        stage.show((1,), yaws=(0.0, line_of_sight(1, "other") if 3 * RATE_HZ <= k < 4 * RATE_HZ else 0.0))
        people = stage.perception.people
        assert stage.at(0).speaking < 0.3
        assert k < 2 * RATE_HZ or people.target == stage.at(1).person_id
        taken += stage.at(0).addressed > people.robot_addressed
    assert taken <= 1.2 * RATE_HZ
    assert people.robot_addressed > 0.8 > 0.1 > stage.at(0).addressed
