"""The read-out of expressions: rendered faces, labelled recordings, and what it does to a smile."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reactdiff_ros.perception.expression import FEATURES, WEIGHTS, ExpressionReader, FadingMean, shipped_weights
from reactdiff_ros.perception.person import features_of_face
from reactdiff_ros.types import EXPRESSION_CLASSES
from tools.demo.head import Morphs, load_head
from tools.demo.readback import face
from tools.small_networks.expression import CRYING_FACE

HEAD = Morphs(load_head())


def rendered(**shown: float) -> np.ndarray:
    """Features of the demo head with these coefficients, both sides alike, against its own neutral."""
    rest, moved = (features_of_face(HEAD.landmarks(f)) for f in (face(), face(**shown)))
    return moved - rest


BARED = {
    "mouthSmile": 0.3, "mouthStretch": 0.4, "mouthUpperUp": 0.7, "mouthLowerDown": 0.5, "browDown": 0.9,
    "noseSneer": 0.6, "eyeSquint": 0.6, "jawOpen": 0.3,
}  # fmt: skip
LAUGH = {"mouthSmile": 1.0, "cheekSquint": 0.8, "jawOpen": 0.4, "mouthUpperUp": 0.3}


def test_bared_teeth_are_no_smile_and_laughter_is_one():
    reader = ExpressionReader()
    reader.read(0, rendered(**BARED))
    assert reader.smile(np.array([0.6]))[0] < 0.1
    reader = ExpressionReader()
    laughing = reader.read(0, rendered(**LAUGH))
    assert EXPRESSION_CLASSES[laughing.argmax()] == "happy"
    assert reader.smile(np.array([0.9]))[0] > 0.85


def test_who_cries_is_sad_though_lips_and_cheeks_are_as_in_a_smile():
    tears = {name: sum(ends) / 2 for name, ends in CRYING_FACE.items()}
    reader = ExpressionReader()
    assert EXPRESSION_CLASSES[reader.read(0, rendered(**tears)).argmax()] == "sad"
    assert reader.smile(np.array([0.9]))[0] < 0.1
    reader.read(0, rendered(**LAUGH, eyeBlink=0.9, eyeSquint=0.5))
    assert reader.smile(np.array([0.9]))[0] > 0.85


def test_an_expression_needs_longer_than_a_vowel():
    reader, happy = ExpressionReader(), EXPRESSION_CLASSES.index("happy")
    for stamp in range(0, 1000, 40):
        rest = reader.read(stamp * 1_000_000, rendered())[happy]
    for stamp in range(1000, 1120, 40):
        vowel = reader.read(stamp * 1_000_000, rendered(**LAUGH))[happy]
    for stamp in range(1120, 4000, 40):
        held = reader.read(stamp * 1_000_000, rendered(**LAUGH))[happy]
    assert rest < vowel < 0.5 * held


def test_the_mean_begins_with_all_alike_and_forgets():
    mean = FadingMean(1.0)
    mean(0, np.array([2.0, 0.0]))
    assert mean(1_000_000, np.array([4.0, 0.0])) == pytest.approx([3.0, 0.0], abs=0.01)
    assert mean(60_000_000_000, np.array([7.0, 1.0])) == pytest.approx([7.0, 1.0])


def test_the_height_of_the_brows_is_distinguished_from_their_tilt():
    tilt = FEATURES.index("browTilt")
    raised, worried = rendered(browInnerUp=0.6, browOuterUp=0.6), rendered(browInnerUp=0.6)
    assert worried[tilt] > 2 * abs(raised[tilt])
    assert worried[tilt] > 0.3


@given(arrays(np.float64, len(FEATURES), elements=st.floats(-50, 50)))
@settings(max_examples=50, deadline=None)
def test_always_a_distribution(x):
    reader = ExpressionReader()
    for stamp in (0, 40_000_000):
        probabilities = reader.read(stamp, x)
        assert probabilities.sum() == pytest.approx(1.0)
        assert np.isfinite(probabilities).all()
        assert (reader.smile(np.array([0.0, 0.3, 1.0])) >= 0.0).all()
        assert (reader.smile(np.array([0.0, 0.3, 1.0])) <= [0.0, 0.3, 1.0]).all()


def test_the_shipped_read_out_says_how_well_it_reads_people_it_has_not_met():
    found = json.loads(WEIGHTS.read_text())
    assert shipped_weights().weights.shape == (len(EXPRESSION_CLASSES) + 1, len(FEATURES) + 1)
    left_out = found["people_not_trained_on"]
    assert found["features"] == [*FEATURES, "constant"]
    right = dict(zip(EXPRESSION_CLASSES, np.diagonal(left_out["confusion"]), strict=True))
    assert min(right["neutral"], right["happy"]) >= 0.8  # what people show most of the time
    assert left_out["balanced_accuracy"] >= 0.54  # every person counts the same
    assert abs(left_out["mean_confidence"] - left_out["accuracy"]) < 0.1
    assert found["trained_on"]["people"] >= 60
