from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reactdiff_ros import coefficients as c
from reactdiff_ros.perception.blendshapes import affect_of
from reactdiff_ros.types import EXPRESSION_CLASSES

SURE = np.full(58, 0.9)


def face(**values: float) -> np.ndarray:
    out = np.zeros(58)
    for name, value in values.items():
        names = [n for n in c.NAMES if n == name or n in (f"{name}Left", f"{name}Right")]
        assert names, name
        out[list(c.index(*names))] = value
    return out


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("neutral", {}),
        ("happy", {"mouthSmile": 0.7, "cheekSquint": 0.4}),
        ("surprise", {"browInnerUp": 0.8, "browOuterUp": 0.8, "eyeWide": 0.7, "jawOpen": 0.4}),
        ("angry", {"browDown": 0.8, "mouthPress": 0.3, "eyeSquint": 0.3}),
        ("sad", {"mouthFrown": 0.8, "browInnerUp": 0.5}),
        ("fear", {"browInnerUp": 0.8, "eyeWide": 0.6, "mouthStretch": 0.8}),
        ("disgust", {"mouthUpperUp": 0.9, "eyeSquint": 0.5, "browDown": 0.3}),
    ],
)
def test_prototypes_read_as_themselves(label, shown):
    affect = affect_of(face(**shown), SURE)
    assert affect.label == label
    assert affect.probabilities.argmax() == EXPRESSION_CLASSES.index(label)


def test_valence_and_arousal_have_their_signs():
    smile, frown = affect_of(face(mouthSmile=0.8), SURE), affect_of(face(browDown=0.7, mouthFrown=0.7), SURE)
    assert smile.valence > 0.5
    assert frown.valence < -0.3
    assert affect_of(face(jawOpen=0.7, eyeWide=0.8), SURE).arousal > 0.3
    assert affect_of(face(), SURE).arousal < 0.0


@given(arrays(np.float64, 58, elements=st.floats(-10, 10) | st.sampled_from([np.nan, np.inf, -np.inf])))
@settings(max_examples=100, deadline=None)
def test_always_a_distribution(values):
    affect = affect_of(values, SURE)
    assert affect.probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.isfinite(affect.probabilities).all()
    assert -1 <= affect.valence <= 1
    assert -1 <= affect.arousal <= 1
