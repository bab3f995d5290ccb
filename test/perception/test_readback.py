"""Known faces are rendered and read back: perception's regression test.

Bounds are what docs/perception_noise.md shows, with some room.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX, neutral, sides
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.types import FloatArray
from tools.demo.head import EYE_PITCH_RAD, EYE_YAW_RAD
from tools.demo.readback import Readback, face, looking
from tools.demo.renderer import HeadRenderer, Scene

SCENE = Scene(width=400, height=380, focal_px=554.0, noise_sd=2.0)
HALF, STRONG = 0.45, 0.85

# What is shown at HALF and STRONG -> how far its reading must rise to STRONG.
RISES = {
    "jawOpen": (0.60, 1.0),
    "mouthSmileLeft": (0.45, 1.0),
    "mouthSmileRight": (0.45, 1.0),
    "mouthFrownLeft": (0.35, 1.0),
    "mouthPucker": (0.45, 1.0),
    "mouthFunnel": (0.35, 1.0),
    "mouthStretch": (0.40, 1.0),
    "mouthPress": (0.20, 0.9),
    "mouthUpperUp": (0.35, 1.0),
    "mouthLeft": (0.50, 1.0),
    "browDown": (0.35, 1.0),
    "browInnerUp": (0.40, 1.0),
    "browOuterUpLeft": (0.40, 1.0),
    "browOuterUpRight": (0.40, 1.0),
    "eyeBlinkLeft": (0.70, 1.0),
    "eyeBlinkRight": (0.70, 1.0),
    "eyeWide": (0.30, 1.0),
    "eyeSquint": (0.12, 0.9),
}


class NewRun(Protocol):
    """Makes a Readback that shares the costly parts with the others."""

    def __call__(self, scene: Scene, seed: int = 0) -> Readback: ...


@pytest.fixture(scope="module")
def new_run(nets: FaceNets) -> NewRun:
    renderer = HeadRenderer()
    return lambda scene, seed=0: Readback(scene, seed, renderer=renderer, nets=nets)


@pytest.fixture(scope="module")
def run(new_run: NewRun) -> Readback:
    """Somebody whose neutral has been learnt, near a camera with some noise."""
    run = new_run(SCENE)
    run.hold(neutral(), 40)
    return run


def part_of(name: str) -> str:
    """The part of the face that a coefficient belongs to."""
    for part, stems in {"brows": ("brow",), "eyes": ("eye",), "mouth": ("mouth", "jaw")}.items():
        if name.startswith(stems):
            return part
    return "cheeks and nose"


def other_side(name: str) -> str | None:
    swapped = {"Left": "Right", "Right": "Left"}
    return next((name[: -len(a)] + b for a, b in swapped.items() if name.endswith(a) and len(name) > 10), None)


@pytest.mark.parametrize("name", RISES)
def test_what_is_shown_comes_back(run: Readback, name: str) -> None:
    rest = run.read(neutral(), 4)
    half, strong = (run.read(face(**{name: level}), 5) for level in (HALF, STRONG))
    low, high = RISES[name]
    for i in sides(name):
        assert rest[i] < 0.2
        assert low <= strong[i] - rest[i] <= high
        assert rest[i] - 0.03 < half[i] < strong[i] + 0.03
    opposite = other_side(name)
    if opposite is not None and name != "mouthLeft":
        assert strong[INDEX[opposite]] < 0.5 * strong[INDEX[name]]
    # Other parts of the face stay quiet (not the eyes' small motions under brows and cheeks, which do move the lids).
    moved = {n: float(abs(strong[INDEX[n]] - rest[INDEX[n]])) for n in BLENDSHAPE_NAMES if part_of(n) != part_of(name)}
    foreign = {n: v for n, v in moved.items() if part_of(n) in ("mouth", "brows")}
    assert max(foreign.values()) < 0.40, max(foreign, key=lambda n: foreign[n])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("name", "size"), [("headYaw", 0.35), ("headPitch", 0.22), ("headRoll", 0.3)])
def test_head_turns_come_back_within_a_few_degrees(run: Readback, name: str, size: float, sign: int) -> None:
    rest, angle = run.read(neutral(), 6), sign * size
    turned = run.read(face(**{name: angle}), 8)
    moved = turned - rest
    assert moved[INDEX[name]] == pytest.approx(angle, abs=np.radians(4))
    others = [i for i in (HEAD_PITCH, HEAD_YAW, HEAD_ROLL) if i != INDEX[name]]
    assert np.abs(moved[others]).max() < np.radians(5)


@pytest.mark.parametrize(("yaw", "pitch"), [(0.6, 0.0), (-0.6, 0.0), (0.0, 0.45), (0.0, -0.45)])
def test_gaze_comes_back_with_its_sign_and_size(run: Readback, yaw: float, pitch: float) -> None:
    rest = run.hold(neutral(), 6)[-1].gaze
    seen = run.hold(looking(yaw, pitch), 7)[-1].gaze
    assert rest.contact > 0.6
    if yaw:
        shown = yaw * EYE_YAW_RAD
        assert 0.5 * abs(shown) < (seen.yaw_rad - rest.yaw_rad) * np.sign(shown) < 1.5 * abs(shown)
        assert seen.contact < 0.5
    else:
        shown = pitch * EYE_PITCH_RAD
        assert 0.3 * abs(shown) < (seen.pitch_rad - rest.pitch_rad) * np.sign(shown) < 1.5 * abs(shown)


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.5), (0.12, -0.06, 0.8), (-0.12, 0.08, 1.1)])
def test_position_of_the_eyes_comes_back(new_run: NewRun, place: tuple[float, float, float]) -> None:
    run = new_run(replace(SCENE, position_m=place))
    found = run.hold(neutral(), 9)[-1].position_m
    true = run.renderer.eyes_position(neutral(), run.scene)
    assert found[2] == pytest.approx(true[2], rel=0.17)
    # The direction is what a gaze needs: within two degrees.
    assert np.arctan2(found[0], found[2]) == pytest.approx(np.arctan2(true[0], true[2]), abs=np.radians(2))
    assert np.arctan2(found[1], found[2]) == pytest.approx(np.arctan2(true[1], true[2]), abs=np.radians(2))


CONDITIONS: dict[str, tuple[Scene, dict[str, float]]] = {
    "noisy and dark": (replace(SCENE, noise_sd=8.0, light=0.35, ambient=0.30), {}),
    "light from the side": (replace(SCENE, light_azimuth=1.2, light=0.85, ambient=0.30), {}),
    "far and turned": (replace(SCENE, noise_sd=3.0, position_m=(0.0, 0.0, 1.0)), {"headYaw": 0.20, "headPitch": 0.08}),
}


@pytest.mark.parametrize(
    "condition", [c if c == "noisy and dark" else pytest.param(c, marks=pytest.mark.slow) for c in CONDITIONS]
)
def test_strong_faces_come_back_whatever_the_conditions(new_run: NewRun, condition: str) -> None:
    scene, pose = CONDITIONS[condition]
    run = new_run(scene, seed=3)
    rest = run.hold(face(**pose), 25)[-1].coefficients

    def rise(**shown: float) -> FloatArray:
        return np.asarray(run.read(face(**pose, **shown), 5) - rest, dtype=np.float32)

    smile = rise(mouthSmile=0.8)
    assert smile[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]].min() > 0.3
    assert smile[INDEX["jawOpen"]] < 0.2
    jaw = rise(jawOpen=0.6)
    assert 0.3 < jaw[INDEX["jawOpen"]] < 0.9
    assert jaw[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]].max() < 0.35
    assert rise(eyeBlink=1.0)[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]].min() > 0.4
    assert rise(browInnerUp=0.9, browOuterUp=0.9)[INDEX["browInnerUp"]] > 0.3
