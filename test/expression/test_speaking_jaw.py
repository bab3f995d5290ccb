"""Jaws of servos while the robot speaks: their lag is made up for by a lead that the profile gives."""

from __future__ import annotations

import numpy as np
import pytest
from engine_drive import TICK, run, stack
from own_speech import PLACE, sentence

from reactdiff_ros.actuation.robot.profile import load_profile, mouth_lead_s
from reactdiff_ros.actuation.simulate import Frames, simulate
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine

TEXT = "  ata pata tipa atatota pipapo fata tapo opatati apa  " * 2


def followed(robot: str, joint: str, lead_s: float, phone_ms: int) -> tuple[float, float, float]:
    """r of the joint with the sound's jaw at no delay, best r, and the delay of that in s (positive: late)."""
    profile = load_profile(robot)
    mouth = sentence(TEXT, 0, phone_ms=phone_ms)
    engine = ExpressionEngine(ExpressionConfig(stillness=1.0, mouth_lead_s=lead_s), seed=1)
    engine.on_mouth(mouth, 0)
    faces = stack(run(engine, len(mouth.level) / 100))
    place = list(profile.joints).index(joint)
    blocks = list(simulate(profile, Frames(faces, np.arange(len(faces)) * TICK / 1e9, 0)))
    moved = np.concatenate([block.command[:, place] for block in blocks])
    at = np.concatenate([block.time for block in blocks])
    grid = np.arange(0.5, len(mouth.level) / 100 - 0.5, 0.005)
    jaw = mouth.coefficients[:, PLACE["jawOpen"]] * (1.0 - mouth.closure)
    said = np.interp(grid, np.arange(len(jaw)) / 100, jaw)
    sign = np.sign(profile.joints[joint].map.sum["jawOpen"])
    r = {k: float(np.corrcoef(said, sign * np.interp(grid + k, at, moved))[0, 1]) for k in np.arange(-0.1, 0.25, 0.005)}
    best = max(r, key=lambda k: r[k])
    return float(r[min(r, key=abs)]), r[best], float(best)


@pytest.mark.parametrize(
    ("robot", "joint"),
    [("ohbot", "bottom_lip"), ("inmoov_head", "jaw"), ("generic_12servo", "jaw"), ("opsoro_ono", "mouth_middle")],
)
def test_a_servo_jaw_moves_with_the_sound(robot: str, joint: str) -> None:
    lead_s = mouth_lead_s(load_profile(robot))
    late, led = followed(robot, joint, 0.0, 110), followed(robot, joint, lead_s, 110)
    assert late[2] > 0.05, "without a lead it is late"
    assert abs(led[2]) <= 0.04
    assert led[0] > 0.6
    assert led[0] > late[0] + 0.1


@pytest.mark.parametrize("robot", ["screen", "reachy_mini"])
def test_a_robot_without_a_jaw_has_no_lead(robot: str) -> None:
    assert mouth_lead_s(load_profile(robot)) == 0.0
