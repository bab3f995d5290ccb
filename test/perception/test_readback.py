"""Known faces are rendered, both sides alike, and read back; bounds are docs/perception_noise.md with some room."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, INDEX, ROTATION, mirrored_order, neutral, sides
from reactdiff_ros.perception.nets import FaceNets
from tools.demo.head import EYE_PITCH_RAD, EYE_YAW_RAD
from tools.demo.readback import Readback, face, looking
from tools.demo.renderer import HeadRenderer, Scene


@pytest.fixture(scope="module")
def run(nets: FaceNets) -> Readback:
    """Somebody whose neutral has been learnt, near a camera with some noise."""
    run = Readback(Scene(width=400, height=380, focal_px=554.0, noise_sd=2.0), 3, nets=nets)
    run.hold(neutral(), 40)
    return run


@pytest.mark.parametrize(("name", "least", "most"), [
    ("jawOpen", 0.60, 1.0), ("mouthSmileLeft", 0.45, 1.0), ("mouthSmileRight", 0.45, 1.0),
    ("mouthFrownLeft", 0.35, 1.0), ("mouthPucker", 0.45, 1.0), ("mouthFunnel", 0.35, 1.0),
    ("mouthStretch", 0.40, 1.0), ("mouthPress", 0.20, 0.9), ("mouthUpperUp", 0.35, 1.0), ("mouthLeft", 0.50, 1.0),
    ("browDown", 0.35, 1.0), ("browInnerUp", 0.40, 1.0), ("browOuterUpLeft", 0.40, 1.0),
    ("browOuterUpRight", 0.40, 1.0), ("eyeBlinkLeft", 0.70, 1.0), ("eyeBlinkRight", 0.70, 1.0),
    ("eyeWide", 0.30, 1.0), ("eyeSquint", 0.12, 0.9),
])  # fmt: skip
def test_what_is_shown_comes_back(run: Readback, name: str, least: float, most: float) -> None:
    """`least` and `most`: how far its reading rises where 0.85 is shown."""
    rest = run.read(neutral(), 4)
    half, strong = (run.read(face(**{name: level}), 5) for level in (0.45, 0.85))
    for i in sides(name):
        assert rest[i] < 0.2
        assert least <= strong[i] - rest[i] <= most
        assert rest[i] - 0.03 < half[i] < strong[i] + 0.03
    other = name.replace("Left", "Right") if name.endswith("Left") else name.replace("Right", "Left")
    if other != name and name != "mouthLeft":
        assert strong[INDEX[other]] < 0.5 * strong[INDEX[name]]
    # Mouth and brows stay quiet where they are not meant. (Brows and cheeks do move the lids.)
    for part in (("mouth", "jaw"), ("brow",)):
        its = [i for i, n in enumerate(BLENDSHAPE_NAMES) if n.startswith(part)]
        assert name.startswith(part) or np.abs(strong - rest)[its].max() < 0.40


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("name", "size"), [("headYaw", 0.35), ("headPitch", 0.22), ("headRoll", 0.3)])
def test_head_turns_come_back_within_a_few_degrees(run: Readback, name: str, size: float, sign: int) -> None:
    rest = run.read(neutral(), 6)
    turned = face(**{name: sign * size})
    off = np.degrees(run.read(turned, 8) - rest - turned)
    assert abs(off[INDEX[name]]) < 4
    assert np.abs(off[ROTATION]).max() < 5


@pytest.mark.parametrize(("yaw", "pitch"), [(0.6, 0.0), (-0.6, 0.0), (0.0, 0.45), (0.0, -0.45)])
def test_gaze_comes_back_with_its_sign_and_size(run: Readback, yaw: float, pitch: float) -> None:
    rest = run.hold(neutral(), 6)[-1].gaze
    seen = run.hold(looking(yaw, pitch), 7)[-1].gaze
    assert rest.contact > 0.6
    if yaw:
        assert 0.5 < (seen.yaw_rad - rest.yaw_rad) / (yaw * EYE_YAW_RAD) < 1.5
        assert seen.contact < 0.5
    else:
        assert 0.3 < (seen.pitch_rad - rest.pitch_rad) / (pitch * EYE_PITCH_RAD) < 1.5


@given(st.lists(st.floats(0, 1), min_size=52, max_size=52), st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3))
def test_mirrored_coefficients_make_the_mirrored_face(shapes, turns):
    c = neutral()
    c[:52], c[52:55] = shapes, turns
    other = c[mirrored_order()]
    other[[INDEX["headYaw"], INDEX["headRoll"], INDEX["headX"]]] *= -1
    small, renderer = Scene(width=160, height=120), HeadRenderer()
    points, flipped = renderer.landmarks(c, small), renderer.landmarks(other, small)
    expected = points[renderer.mesh.mirror] * [-1, 1] + [small.width - 1, 0]
    np.testing.assert_allclose(flipped, expected, atol=0.05)
