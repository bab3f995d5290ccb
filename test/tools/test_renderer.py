"""The demo speaker: both sides are alike, networks find its vertices where they were drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.coefficients import INDEX, mirrored_order, neutral
from reactdiff_ros.perception.nets import FaceNets, region_of_landmarks
from tools.demo.readback import face
from tools.demo.renderer import HeadRenderer, Scene

SMALL = Scene(width=160, height=120)


@pytest.fixture(scope="module")
def renderer() -> HeadRenderer:
    return HeadRenderer()


@given(st.lists(st.floats(0, 1), min_size=52, max_size=52), st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3))
def test_mirrored_coefficients_make_the_mirrored_face(renderer, shapes, turns):
    c = neutral()
    c[:52], c[52:55] = shapes, turns
    other = c[mirrored_order()]
    other[[INDEX["headYaw"], INDEX["headRoll"], INDEX["headX"]]] *= -1
    points, flipped = renderer.landmarks(c, SMALL), renderer.landmarks(other, SMALL)
    expected = points[renderer.mesh.mirror] * [-1, 1] + [SMALL.width - 1, 0]
    np.testing.assert_allclose(flipped, expected, atol=0.05)


@pytest.mark.parametrize(
    ("shown", "scene"),
    [
        ({"headYaw": 0.45}, Scene(noise_sd=4.0)),
        ({"headYaw": -0.45, "mouthSmile": 0.8}, Scene(position_m=(0.05, 0.0, 0.5))),
        ({"headPitch": 0.3, "headRoll": 0.2}, Scene(light_azimuth=1.0)),
        ({"eyeBlink": 1.0}, Scene(position_m=(0.0, 0.0, 1.1))),
    ],
)
def test_face_networks_find_the_vertices_where_they_were_drawn(renderer, shown, scene):
    nets, c = FaceNets(), face(**shown)
    rgb = np.ascontiguousarray(renderer.render(c, scene, np.random.default_rng(0))[..., ::-1])
    (found,) = nets.detect(rgb, 0.5)
    points = nets.mesh(rgb, region_of_landmarks(nets.mesh(rgb, found.region)))
    true = renderer.landmarks(c, scene)
    eyes = np.linalg.norm(true[33] - true[263])
    assert np.linalg.norm(points[:468, :2] - true, axis=1).mean() < 0.10 * eyes
