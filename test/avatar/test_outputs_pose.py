"""Rotations in other programs' axes, against matrices that are multiplied out here."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.avatar.outputs.pose import eye_angles, head_quaternion, unity_quaternion
from reactdiff_ros.coefficients import INDEX, NAMES

ANGLE = st.floats(-0.6, 0.6)


def head(pitch=0.0, yaw=0.0, roll=0.0):
    values = np.zeros(58)
    values[52:55] = pitch, yaw, roll
    return values


def matrix(q):
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@given(ANGLE, ANGLE, ANGLE)
def test_quaternion_is_yaw_times_pitch_times_roll(pitch, yaw, roll):
    (sp, cp), (sy, cy), (sr, cr) = ((math.sin(a), math.cos(a)) for a in (pitch, yaw, roll))
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    q = head_quaternion(head(pitch, yaw, roll))
    assert np.linalg.norm(q) == pytest.approx(1.0)
    np.testing.assert_allclose(matrix(q), about_y @ about_x @ about_z, atol=1e-9)


@given(ANGLE, ANGLE, ANGLE)
def test_unity_sees_the_same_rotation_in_a_mirror_of_x(pitch, yaw, roll):
    q = head_quaternion(head(pitch, yaw, roll))
    flip = np.diag([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(matrix(unity_quaternion(q)), flip @ matrix(q) @ flip, atol=1e-9)


@pytest.mark.parametrize(
    ("pose", "axis", "moves"),
    [
        # In Unity a face looks along +z, its own right is +x, up is +y.
        ({"pitch": 0.3}, (0, 0, 1), ("y", -1)),  # a nod: the nose goes down
        ({"yaw": 0.3}, (0, 0, 1), ("x", -1)),  # to its own left
        ({"roll": 0.3}, (0, 1, 0), ("x", 1)),  # the top of the head to its own right
    ],
)
def test_directions_in_unity(pose, axis, moves):
    moved = matrix(unity_quaternion(head_quaternion(head(**pose)))) @ np.array(axis, float)
    where, sign = moves
    assert sign * moved["xyz".index(where)] == pytest.approx(math.sin(0.3))


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("eyeLookOutLeft", (-0.61, 0.0), (0.0, 0.0)),
        ("eyeLookInLeft", (0.61, 0.0), (0.0, 0.0)),
        ("eyeLookOutRight", (0.0, 0.0), (0.61, 0.0)),
        ("eyeLookDownLeft", (0.0, 0.61), (0.0, 0.0)),
        ("eyeLookUpRight", (0.0, 0.0), (0.0, -0.61)),
    ],
)
def test_eyes_turn_right_and_down_positive(name, left, right):
    values = np.zeros(len(NAMES))
    values[INDEX[name]] = 1.0
    assert eye_angles(values) == (left, right)
