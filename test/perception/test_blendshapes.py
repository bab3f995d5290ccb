"""From landmarks to coefficients with their confidence, and on to affect."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthetic_face import frontal_face

from reactdiff_ros import coefficients as c
from reactdiff_ros.affect import CLASSES, projected
from reactdiff_ros.perception import blendshapes as b
from reactdiff_ros.perception import face as m
from reactdiff_ros.perception.person import PRIOR
from tools.demo.readback import face


def read(**moves: float) -> dict[str, float]:
    neutral = m.measure(frontal_face())
    values = b.blendshapes(m.measure(frontal_face(**moves)) - neutral, neutral)
    return dict(zip(c.BLENDSHAPE_NAMES, values.tolist(), strict=True))


def test_the_schematic_face_measures_the_population_neutral():
    measured = m.measure(frontal_face())
    for name in ("gap", "cornerUpR", "cornerUpL", "lidR", "lidL", "browInnerR", "browMidL", "upperThick", "irisYR"):
        assert measured[m.INDEX[name]] == pytest.approx(PRIOR[m.INDEX[name]], abs=0.02), name


@pytest.mark.parametrize(
    ("move", "value", "names"),
    [
        ("smile", 0.09, ("mouthSmileLeft", "mouthSmileRight")),
        ("blink", 1.0, ("eyeBlinkLeft", "eyeBlinkRight")),
        ("brow", 0.08, ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")),
        ("brow", -0.08, ("browDownLeft", "browDownRight")),
        ("gap", 0.5, ("jawOpen",)),
        ("iris", 0.06, ("eyeLookOutLeft", "eyeLookInRight")),
        ("iris", -0.06, ("eyeLookInLeft", "eyeLookOutRight")),
    ],
)
def test_a_move_reads_as_its_coefficient_and_nothing_else_as_strongly(move, value, names):
    full, half = read(**{move: value}), read(**{move: value / 2})
    for name in names:
        assert full[name] > 0.6, name
        assert 0.1 < half[name] < full[name], name
    opposite = {"mouthSmileLeft": "mouthFrownLeft", "browInnerUp": "browDownLeft", "browDownLeft": "browInnerUp",
                "eyeLookOutLeft": "eyeLookInLeft", "eyeLookInLeft": "eyeLookOutLeft"}  # fmt: skip
    for name in set(names) & set(opposite):
        assert full[opposite[name]] == 0.0


@given(arrays(np.float64, m.COUNT, elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_always_finite_and_between_0_and_1(displacement):
    with np.errstate(all="ignore"):
        values = b.blendshapes(displacement, PRIOR)
    assert values.shape == (52,)
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1


GOOD = {"yaw": 0.0, "pitch": 0.0, "unit_px": 80.0, "residual": 0.03, "known": 1.0, "blink": (0.0, 0.0)}


def test_what_landmarks_cannot_show_is_never_observed():
    sure = b.confidence(**GOOD)
    for name in ("cheekPuff", "tongueOut", "noseSneerLeft", "noseSneerRight", "jawForward"):
        assert sure[c.INDEX[name]] == 0.0, name
    assert 20 <= (sure[:52] > 0.3).sum() <= 40


@pytest.mark.parametrize("worse", [{"yaw": 0.7}, {"pitch": 0.7}, {"unit_px": 12.0}, {"residual": 0.2}, {"known": 0.0}])
def test_confidence_falls_in_bad_conditions(worse):
    good, bad = b.confidence(**GOOD), b.confidence(**{**GOOD, **worse})
    smile = list(c.SMILE)
    assert (bad[smile] < 0.8 * good[smile]).all()
    assert (bad <= good + 1e-9).all()


def test_the_far_side_of_a_turned_face_is_less_sure():
    sure = b.confidence(**{**GOOD, "yaw": 0.5})
    assert sure[c.INDEX["mouthSmileLeft"]] < sure[c.INDEX["mouthSmileRight"]]


SURE = np.full(58, 0.9)


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
    assert CLASSES[projected(face(**shown), SURE)[:-2].argmax()] == label


def test_valence_and_arousal_have_their_signs():
    smile, frown = projected(face(mouthSmile=0.8), SURE), projected(face(browDown=0.7, mouthFrown=0.7), SURE)
    assert smile[-2] > 0.5
    assert frown[-2] < -0.3
    assert projected(face(jawOpen=0.7, eyeWide=0.8), SURE)[-1] > 0.3
    assert projected(face(), SURE)[-1] < 0.0


@given(arrays(np.float64, 58, elements=st.floats(-10, 10) | st.sampled_from([np.nan, np.inf, -np.inf])))
def test_always_a_distribution(values):
    affect = projected(values, SURE)
    assert np.isfinite(affect).all()
    assert affect[:-2].sum() == pytest.approx(1.0, abs=1e-5)
    assert (np.abs(affect[-2:]) <= 1).all()
