"""The head comes from formulas alone, and comes out the same way again."""

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.simulator.rendered.head import load_head
from reactdiff_ros.simulator.rendered.make_mesh import FaceMesh, face_triangles, make_head


def test_triangles_close_the_face_but_for_eyes_and_mouth():
    triangles = face_triangles()
    assert triangles.shape == (852, 3)
    edges = np.sort(np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    assert (uses == 1).sum() == 36 + 20 + 16 + 16  # outline, mouth, eyes
    assert {tuple(sorted(t)) for t in load_head().triangles.tolist()} == {tuple(sorted(t)) for t in triangles.tolist()}


def test_two_rounds_lead_near_the_head_that_ships():
    head, moved = make_head(rounds=2)
    assert len(moved) == 2
    assert moved[1] < moved[0] < 0.002
    np.testing.assert_array_equal(head.mirror, load_head().mirror)
    assert np.linalg.norm(head.vertices - load_head().vertices, axis=1).mean() < 0.0015


def test_a_picture_without_a_face_is_one_sentence():
    with pytest.raises(ReactdiffError, match="no face"):
        FaceMesh().fit(np.full((200, 200, 3), 128, np.uint8))
