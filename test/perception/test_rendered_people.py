"""Rendered people who turn their heads: whom the one who speaks addresses is found.

Nothing was chosen on them: neither the settings of `perception/people.py` nor those of `perception/tracking.py`.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from synthetic_face import Talk

from reactdiff_ros import coefficients as c
from reactdiff_ros.clock import NS
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.perception.people import direction
from reactdiff_ros.types import PersonSeen, Picture
from tools.demo.head import EYE_YAW_RAD
from tools.demo.parts import Look
from tools.demo.readback import looking
from tools.demo.renderer import HeadRenderer, Scene

RATE_HZ = 25
PLACES = np.array([[-0.22, 0.0, 0.8], [0.22, 0.0, 0.8]])
TO_OTHER = [direction(PLACES[who], PLACES[1 - who])[0] for who in (0, 1)]
"""Yaw (rad) from the camera's ray to the neighbour, to the own left."""
EYES_RAD = 0.55
"""Farthest turn of the eyes. The head turns for the rest, and at least half of the way."""


class Stage:
    """Two people 0.44 m apart at 0.8 m, each with a line of sight and moving lips or still ones."""

    def __init__(self, nets: FaceNets, noise_sd: float = 0.0) -> None:
        self.perception = SpeakerPerception(voice=Talk(speaking=True), nets=nets)
        self._now, self._noise_sd, self._rng = NS, noise_sd, np.random.default_rng(1)
        other = Look(skin=(96, 128, 188), hair=(20, 24, 30), shirt=(60, 60, 150), lips=(84, 80, 150))
        self._renderers = [HeadRenderer(look=Look()), HeadRenderer(look=other)]

    @functools.lru_cache(64)  # noqa: B019
    def _half(self, who: int, yaw: float, jaw: float) -> np.ndarray:
        head = max(abs(yaw) / 2, abs(yaw) - EYES_RAD) * np.sign(yaw)
        shown = looking((yaw - head) / EYE_YAW_RAD, 0.0)
        shown[c.HEAD_YAW] = head - np.arctan2(PLACES[who][0], PLACES[who][2])
        shown[c.INDEX["jawOpen"]] = jaw
        scene = Scene(width=640, height=320, position_m=tuple(map(float, PLACES[who])))
        return self._renderers[who].render(shown, scene)[:, slice(320, None) if who else slice(320)]

    def show(self, yaws: tuple[float, float], jaws: tuple[float, float]) -> None:
        """One picture."""
        picture = np.hstack([self._half(who, round(yaws[who], 3), round(jaws[who], 2)) for who in (0, 1)])
        if self._noise_sd:
            noise = self._rng.normal(0.0, self._noise_sd, picture.shape)
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        self._now += NS // RATE_HZ
        self.perception.observe_picture(Picture(self._now, picture))

    def at(self, who: int) -> PersonSeen:
        """What is known of the one on the left (0) or right (1) of the picture."""
        placed = [p for p in self.perception.people.persons if p.position_m is not None]
        return (max if who else min)(placed, key=lambda p: float(p.position_m[0]))


def lips(k: int) -> float:
    """Of somebody who talks, in picture k."""
    return 0.25 * (1 + np.sin(2 * np.pi * 4 * (k % RATE_HZ) / RATE_HZ))


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_whom_the_speaker_addresses_is_found(nets):
    """Each speaks to the robot and to the other, for 4 s: they look at them, and twice away."""
    rng, stage, right = np.random.default_rng(3), Stage(nets), {"robot": [], "other": []}
    shown, seen = np.zeros(2), set()
    for who, addressee in ((0, "robot"), (0, "other"), (1, "other"), (1, "robot")):
        looked_at = TO_OTHER[who] if addressee == "other" else 0.0
        start = shown.copy()
        for k in range(4 * RATE_HZ):
            at = k % (2 * RATE_HZ)
            if at in (0, round(1.4 * RATE_HZ)):
                start, since = shown.copy(), k
            way = min(1.0, (k - since) / RATE_HZ / 0.35)
            goal = np.zeros(2)
            goal[who] = looked_at if at < round(1.4 * RATE_HZ) else (-0.5, 0.5)[who]
            shown = start + (goal - start) * (3 * way**2 - 2 * way**3)
            jaws = [0.0, 0.0]
            jaws[who] = lips(k) * rng.uniform(0.5, 1.0)
            stage.show(tuple(shown), tuple(jaws))
            people = stage.perception.people
            seen |= {p.person_id for p in people.persons}
            other = max((p.addressed for p in people.persons), default=0.0)
            right[addressee].append((people.robot_addressed > other) == (addressee == "robot"))
    figures = {name: float(np.mean(values)) for name, values in right.items()}
    print(figures)
    assert seen == {1, 2}
    assert np.mean(list(figures.values())) >= 0.85
    assert min(figures.values()) >= 0.8


@pytest.mark.timeout(600)
def test_a_photograph_is_neither_speaker_nor_addressee(nets):
    stage = Stage(nets, noise_sd=3.0)
    for k in range(4 * RATE_HZ):  # a voice out of view
        stage.show((0.0, 0.0), (0.0, 0.0))
        assert k < 2 * RATE_HZ or max(stage.at(0).speaking, stage.at(1).speaking) < 0.3
    taken = 0
    for k in range(6 * RATE_HZ):  # who speaks looks at the robot, and for 1 s past it at the photograph
        stage.show((0.0, TO_OTHER[1] if 3 * RATE_HZ <= k < 4 * RATE_HZ else 0.0), (0.0, lips(k)))
        people = stage.perception.people
        assert stage.at(0).speaking < 0.3
        assert k < 2 * RATE_HZ or people.target == stage.at(1).person_id
        taken += stage.at(0).addressed > people.robot_addressed
    assert taken <= 1.2 * RATE_HZ
    assert people.robot_addressed > 0.8 > 0.1 > stage.at(0).addressed
