"""Parts and smaller copies of pictures: simple cases, and OpenCV's."""

import math

import numpy as np
import pytest

from reactdiff_ros.pictures import cut_out, shrunk

NOISE = np.random.default_rng(5).integers(0, 256, (90, 121, 3), dtype=np.uint8)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(
    ("side", "angle", "x", "y"),
    [(60, 0.0, 60, 45), (31.7, 0.4, 50.3, 40.9), (200, -1.1, 60, 45), (90, 2.5, 0, 89), (40, 0.1, 300, 45)],
)
def test_parts_are_those_that_opencv_cuts_out(side, angle, x, y, zeros):
    """Squares around (x, y)."""
    cv2 = pytest.importorskip("cv2", reason="opencv is not installed (requirements/devices.txt)")
    border = cv2.BORDER_CONSTANT if zeros else cv2.BORDER_REPLICATE
    cosine, sine = side / 192 * math.cos(angle), side / 192 * math.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    matrix = np.column_stack([turn, np.array([x, y]) - turn @ (96, 96)])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpPerspective(NOISE, np.vstack([matrix, [0, 0, 1]]), (192, 192), flags=flags, borderMode=border)
    np.testing.assert_array_equal(cut_out(NOISE, matrix, (192, 192), zeros=zeros), expected)


@pytest.mark.parametrize("factor", [1, 2, 3, 17])
def test_smaller_copies_are_means_of_squares(factor):
    height, width = 90 // factor, 121 // factor
    whole = NOISE[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    means = np.floor(whole.mean(axis=(1, 3)) + 0.5)
    np.testing.assert_array_equal(shrunk(NOISE, factor, (2, 1, 0)), means[..., ::-1])
    mirrored = shrunk(NOISE[:, : width * factor][:, ::-1], factor, (0,))
    np.testing.assert_array_equal(mirrored[..., 0], means[:, ::-1, 0])
    assert (shrunk(np.full((300, 300, 1), 255, np.uint8), 150, (0, 0, 0)) == 255).all(), "sums are not cut off"
