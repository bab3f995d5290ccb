"""Attributes of faces: prototypes have their names, both sides count the same, and ranges hold for whatever comes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reactdiff_ros.attributes import ATTRIBUTE_NAMES, AU, EXPRESSION, EXPRESSIONS, VALENCE_AROUSAL, attributes_of
from reactdiff_ros.coefficients import mirrored_order, neutral
from tools.demo.readback import face

NAME = {name: i for i, name in enumerate(ATTRIBUTE_NAMES)}


def test_a_neutral_face_shows_nothing_and_is_called_neutral():
    rest = attributes_of(neutral())
    assert not rest[AU].any()
    assert rest[NAME["valence"]] == 0.0
    assert -0.3 < rest[NAME["arousal"]] < 0.0
    assert rest[NAME["Neutral"]] > 0.5


@pytest.mark.parametrize(("name", "moves", "valences"), [
    ("Happy", {"mouthSmile": 0.7, "cheekSquint": 0.5}, {0, 1}),
    ("Sad", {"mouthFrown": 0.7, "browInnerUp": 0.5}, {-1, 0}),
    ("Surprise", {"browInnerUp": 0.7, "browOuterUp": 0.7, "eyeWide": 0.6, "jawOpen": 0.4}, {-1, 0, 1}),
    ("Fear", {"browInnerUp": 0.7, "browOuterUp": 0.3, "eyeWide": 0.5, "mouthStretch": 0.8}, {-1, 0, 1}),
    ("Disgust", {"noseSneer": 0.8, "mouthUpperUp": 0.6, "browDown": 0.3}, {-1, 0}),
    ("Anger", {"browDown": 0.8, "eyeSquint": 0.4, "mouthPress": 0.4}, {-1, 0}),
    ("Contempt", {"mouthSmileLeft": 0.6, "mouthDimple": 0.5}, {-1, 0, 1}),
])  # fmt: skip
def test_prototypes_are_called_by_their_name(name, moves, valences):
    attributes = attributes_of(face(**moves))
    assert EXPRESSIONS[attributes[EXPRESSION].argmax()] == name
    assert np.sign(attributes[NAME["valence"]]) in valences


def test_either_side_counts_the_same_and_a_face_alone_as_in_a_batch():
    faces = np.random.default_rng(0).random((2, 3, 4, 58)).astype(np.float32)
    batch = attributes_of(faces)
    assert batch.shape == (2, 3, 4, 25)
    assert batch == pytest.approx(attributes_of(faces[..., mirrored_order()]), abs=1e-5)
    assert batch[1, 2, 3] == pytest.approx(attributes_of(faces[1, 2, 3]), abs=1e-5)


@given(hnp.arrays(np.float64, (3, 58), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_whatever_comes_in_the_ranges_hold(faces):
    out = attributes_of(faces)
    assert np.isfinite(out).all()
    assert ((out[:, AU] >= 0) & (out[:, AU] <= 1)).all()
    assert (np.abs(out[:, VALENCE_AROUSAL]) <= 1).all()
    assert out[:, EXPRESSION].sum(1) == pytest.approx(np.ones(3), abs=1e-5)
