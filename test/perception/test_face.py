from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthetic_face import frontal_face, in_picture, rotation_of

from reactdiff_ros.perception import face as geometry

ANGLE = st.floats(-0.6, 0.6)


@given(ANGLE, ANGLE, ANGLE, st.floats(5, 500), st.floats(-300, 2000), st.floats(-300, 2000))
def test_pose_size_and_place_of_a_rigid_face_come_back(pitch, yaw, roll, scale, x, y):
    points = in_picture(frontal_face(), x=x, y=y, scale=scale, pitch=pitch, yaw=yaw, roll=roll)
    fit = geometry.fit_head(points)
    assert fit.angles == pytest.approx((pitch, yaw, roll), abs=1e-6)
    assert fit.scale == pytest.approx(scale, rel=1e-6)
    assert fit.origin[:2] == pytest.approx((x, y), abs=1e-3)
    assert fit.residual < 1e-6
    assert np.allclose(geometry.frontal(points, fit), frontal_face(), atol=1e-6)


@given(ANGLE, ANGLE, ANGLE)
def test_a_face_turned_inside_out_is_not_taken_for_a_mirror(pitch, yaw, roll):
    points = in_picture(frontal_face(), x=300, y=200, scale=50, pitch=pitch, yaw=yaw, roll=roll)
    fit = geometry.fit_head(points * (1.0, 1.0, -1.0))
    assert np.linalg.det(fit.rotation) == pytest.approx(1.0)


def test_signs_are_those_of_the_table():
    nose = np.array([0.0, 0.0, 1.0])
    assert (rotation_of(0.3, 0, 0) @ nose)[1] < 0, "positive pitch looks down"
    assert (rotation_of(0, 0.3, 0) @ nose)[0] > 0, "positive yaw turns to the face's own left"
    top = np.array([0.0, 1.0, 0.0])
    assert (rotation_of(0, 0, 0.3) @ top)[0] < 0, "positive roll tilts to the face's own right"


@given(arrays(np.float64, (478, 3), elements=st.floats(allow_nan=True, allow_infinity=True, width=64)))
def test_garbage_gives_a_finite_fit_or_none(points):
    with np.errstate(all="ignore"):
        fit = geometry.fit_head(points)
    if fit is not None:
        assert np.isfinite(fit.scale)
        assert fit.scale > 0


def test_position_is_in_the_optical_frame():
    where = geometry.position_m(np.array([420.0, 140.0, 0.0]), (640, 480), 500.0, 50.0, 0.063)
    assert where[2] == pytest.approx(0.63)
    assert where[0] == pytest.approx(100 / 500 * 0.63), "right of the middle is +x"
    assert where[1] == pytest.approx(-100 / 500 * 0.63), "above the middle is -y"


def test_iris_has_its_true_size():
    points = in_picture(frontal_face(), scale=63.0)
    assert geometry.iris_diameter_px(points) == pytest.approx(11.7, rel=1e-6)
    assert geometry.iris_diameter_px(points * np.nan) == 0.0
