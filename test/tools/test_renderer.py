"""The demo speaker: both sides are alike."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.coefficients import INDEX, mirrored_order, neutral
from tools.demo.renderer import HeadRenderer, Scene

SMALL = Scene(width=160, height=120)


RENDERER = HeadRenderer()


@given(st.lists(st.floats(0, 1), min_size=52, max_size=52), st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3))
def test_mirrored_coefficients_make_the_mirrored_face(shapes, turns):
    c = neutral()
    c[:52], c[52:55] = shapes, turns
    other = c[mirrored_order()]
    other[[INDEX["headYaw"], INDEX["headRoll"], INDEX["headX"]]] *= -1
    points, flipped = RENDERER.landmarks(c, SMALL), RENDERER.landmarks(other, SMALL)
    expected = points[RENDERER.mesh.mirror] * [-1, 1] + [SMALL.width - 1, 0]
    np.testing.assert_allclose(flipped, expected, atol=0.05)
