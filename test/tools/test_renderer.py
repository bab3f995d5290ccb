import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, INDEX, mirrored_order, neutral
from reactdiff_ros.perception.nets import FaceNets, region_of_landmarks
from tools.demo.readback import face
from tools.demo.renderer import HeadRenderer, Scene

SMALL = Scene(width=160, height=120)


@pytest.fixture(scope="module")
def renderer() -> HeadRenderer:
    return HeadRenderer()


@pytest.fixture(scope="module")
def nets() -> FaceNets:
    return FaceNets()


def test_every_expression_moves_its_own_side(renderer):
    rest = renderer.morphs.apply(neutral())
    for name in BLENDSHAPE_NAMES:
        if name in ("tongueOut", "mouthClose") or name.startswith(("eyeLookIn", "eyeLookOut")):
            continue  # a tongue is not drawn; closing needs an open jaw; looking aside moves the eyeball alone
        moved = np.linalg.norm(renderer.morphs.apply(face(**{name: 1.0})) - rest, axis=1)
        assert moved.max() > 0.001, name
        assert moved.max() < 0.05, name
        if name.endswith(("Left", "Right")) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            sign = 1 if name.endswith("Left") else -1
            own, foreign = rest[:, 0] * sign > 0.006, rest[:, 0] * sign < -0.006
            assert moved[own].max() > 3 * moved[foreign].max(), name


@given(st.lists(st.floats(0, 1), min_size=52, max_size=52), st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3))
def test_mirrored_coefficients_make_the_mirrored_face(renderer, shapes, turns):
    c = neutral()
    c[:52], c[52:55] = shapes, turns
    other = c[mirrored_order()]
    other[[INDEX["headYaw"], INDEX["headRoll"], INDEX["headX"]]] *= -1
    points, flipped = renderer.landmarks(c, SMALL), renderer.landmarks(other, SMALL)
    expected = points[renderer.mesh.mirror] * [-1, 1] + [SMALL.width - 1, 0]
    np.testing.assert_allclose(flipped, expected, atol=0.05)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=52, max_size=52),
    st.lists(st.floats(-0.6, 0.6), min_size=3, max_size=3),
    st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-0.5, 5)),
)
def test_any_face_anywhere_can_be_drawn(renderer, shapes, turns, place):
    c = neutral()
    c[:52], c[52:55] = shapes, turns
    picture = renderer.render(c, Scene(width=120, height=90, position_m=place))
    assert picture.shape == (90, 120, 3)


@pytest.mark.parametrize(
    ("shown", "scene"),
    [
        ({}, Scene()),
        ({"headYaw": 0.45}, Scene(noise_sd=4.0)),
        ({"headYaw": -0.45, "mouthSmile": 0.8}, Scene(position_m=(0.05, 0.0, 0.5))),
        ({"headPitch": 0.3, "headRoll": 0.2}, Scene(light_azimuth=1.0)),
        ({"headPitch": -0.3, "jawOpen": 0.6}, Scene(light=0.9, ambient=0.3)),
        ({"eyeBlink": 1.0}, Scene(position_m=(0.0, 0.0, 1.1))),
    ],
)
def test_face_networks_find_the_vertices_where_they_were_drawn(renderer, nets, shown, scene):
    c = face(**shown)
    rgb = np.ascontiguousarray(renderer.render(c, scene, np.random.default_rng(0))[..., ::-1])
    found = nets.detect(rgb, 0.5)
    assert len(found) == 1
    points = nets.mesh(rgb, found[0].region)
    assert points is not None
    points = nets.mesh(rgb, region_of_landmarks(points))
    true = renderer.landmarks(c, scene)
    eyes = np.linalg.norm(true[33] - true[263])
    assert np.linalg.norm(points[:468, :2] - true, axis=1).mean() < 0.10 * eyes
