"""Rendered people who turn their heads: whom the one who speaks addresses is found.

Nothing was chosen on them: neither the settings of `perception/people.py` nor those of `perception/tracking.py`.
"""

import functools

import numpy as np
import pytest
from synthetic_face import Talk

from reactdiff_ros import coefficients as c
from reactdiff_ros.clock import NS
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.perception.people import direction
from reactdiff_ros.types import Picture
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
OTHER = Look(skin=(96, 128, 188), hair=(20, 24, 30), shirt=(60, 60, 150), lips=(84, 80, 150))


@functools.cache
def renderer(who: int) -> HeadRenderer:
    return HeadRenderer(look=OTHER if who else Look())


@functools.lru_cache(64)
def half(who: int, yaw: float, jaw: float) -> np.ndarray:
    """Of a picture of two people 0.44 m apart at 0.8 m, each with a line of sight and moving lips or still ones."""
    head = max(abs(yaw) / 2, abs(yaw) - EYES_RAD) * np.sign(yaw)
    shown = looking((yaw - head) / EYE_YAW_RAD, 0.0)
    shown[c.HEAD_YAW] = head - np.arctan2(PLACES[who][0], PLACES[who][2])
    shown[c.INDEX["jawOpen"]] = jaw
    scene = Scene(width=640, height=320, position_m=tuple(map(float, PLACES[who])))
    return renderer(who).render(shown, scene)[:, slice(320, None) if who else slice(320)]


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_whom_the_speaker_addresses_is_found(nets):
    """Each speaks to the robot and to the other, for 4 s: they look at them, and twice away."""
    perception = SpeakerPerception(voice=Talk(speaking=True), nets=nets)
    rng, right, shown, seen, now = np.random.default_rng(3), {"robot": [], "other": []}, np.zeros(2), set(), NS
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
            jaws[who] = 0.25 * (1 + np.sin(2 * np.pi * 4 * (k % RATE_HZ) / RATE_HZ)) * rng.uniform(0.5, 1.0)
            picture = np.hstack([half(i, round(shown[i], 3), round(jaws[i], 2)) for i in (0, 1)])
            now += NS // RATE_HZ
            perception.observe_picture(Picture(now, picture))
            people = perception.people
            seen |= {p.person_id for p in people.persons}
            other = max((p.addressed for p in people.persons), default=0.0)
            right[addressee].append((people.robot_addressed > other) == (addressee == "robot"))
    figures = {name: float(np.mean(values)) for name, values in right.items()}
    print(figures)
    assert seen == {1, 2}
    assert np.mean(list(figures.values())) >= 0.85
    assert min(figures.values()) >= 0.8
