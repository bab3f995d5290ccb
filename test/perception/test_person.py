"""One person: from landmarks to pose, measures, coefficients with their confidence, expression and own neutral."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthetic_face import MS, frontal_face, in_picture

from reactdiff_ros import coefficients as c
from reactdiff_ros.affect import CLASSES, projected
from reactdiff_ros.perception import face as m
from reactdiff_ros.perception import person as p
from reactdiff_ros.perception.blendshapes import blendshapes, confidence
from reactdiff_ros.perception.expression import FEATURES, ExpressionReader
from reactdiff_ros.perception.person import PRIOR, SPREAD, OneEuro, PersonalNeutral
from tools.demo.readback import face

ANGLE = st.floats(-0.6, 0.6)
ANYTHING = st.floats(allow_nan=True, allow_infinity=True)
STEP = 40 * MS


@given(ANGLE, ANGLE, ANGLE, st.floats(5, 500), st.floats(-300, 2000), st.floats(-300, 2000))
def test_pose_size_and_place_of_a_rigid_face_come_back(pitch, yaw, roll, scale, x, y):
    points = in_picture(frontal_face(), x=x, y=y, scale=scale, pitch=pitch, yaw=yaw, roll=roll)
    fit = m.fit_head(points)
    assert fit.angles == pytest.approx((pitch, yaw, roll), abs=1e-6)
    assert fit.scale == pytest.approx(scale, rel=1e-6)
    assert fit.origin[:2] == pytest.approx((x, y), abs=1e-3)
    assert fit.residual == pytest.approx(m.fit_head(in_picture(frontal_face())).residual, abs=1e-6)
    assert np.allclose(m.frontal(points, fit), frontal_face(), atol=1e-6)
    inside_out = m.fit_head(points * (1.0, 1.0, -1.0))
    assert np.linalg.det(inside_out.rotation) == pytest.approx(1.0), "it is not taken for a mirror"


@given(arrays(np.float64, (478, 3), elements=ANYTHING))
def test_garbage_gives_a_finite_fit_or_none(points):
    with np.errstate(all="ignore"):
        fit = m.fit_head(points)
    assert fit is None or (np.isfinite(fit.scale) and fit.scale > 0)


@given(arrays(np.float64, m.COUNT, elements=ANYTHING))
def test_coefficients_of_anything_are_finite_and_between_0_and_1(displacement):
    with np.errstate(all="ignore"):
        values = blendshapes(displacement, PRIOR)
    assert values.shape == (52,)
    assert ((values >= 0) & (values <= 1)).all()


def test_confidence_falls_in_bad_conditions_and_what_landmarks_cannot_show_has_none():
    good = {"yaw": 0.0, "pitch": 0.0, "unit_px": 80.0, "residual": 0.03, "known": 1.0, "blink": (0.0, 0.0)}
    sure, smile = confidence(**good), list(c.SMILE)
    for name in ("cheekPuff", "tongueOut", "noseSneerLeft", "noseSneerRight", "jawForward"):
        assert sure[c.INDEX[name]] == 0.0, name
    for worse in ({"yaw": 0.7}, {"pitch": 0.7}, {"unit_px": 12.0}, {"residual": 0.2}, {"known": 0.0}):
        less = confidence(**good | worse)
        assert (less[smile] < 0.8 * sure[smile]).all(), worse
        assert (less <= sure + 1e-9).all(), worse


def test_affect_of_a_prototype_is_its_own():
    shown = {
        "neutral": face(),
        "happy": face(mouthSmile=0.7, cheekSquint=0.4),
        "surprise": face(browInnerUp=0.8, browOuterUp=0.8, eyeWide=0.7, jawOpen=0.4),
        "angry": face(browDown=0.8, mouthPress=0.3, eyeSquint=0.3),
        "sad": face(mouthFrown=0.8, browInnerUp=0.5),
        "fear": face(browInnerUp=0.8, eyeWide=0.6, mouthStretch=0.8),
        "disgust": face(mouthUpperUp=0.9, eyeSquint=0.5, browDown=0.3),
    }
    affect = {label: projected(values, np.full(58, 0.9)) for label, values in shown.items()}
    assert [CLASSES[int(np.argmax(read[:-2]))] for read in affect.values()] == list(affect)
    assert affect["happy"][-2] > 0.5 > -0.3 > max(affect["angry"][-2], affect["sad"][-2])
    assert affect["surprise"][-1] > 0.3 > 0.0 > affect["neutral"][-1]


@given(arrays(np.float64, len(FEATURES), elements=st.floats(-50, 50)))
def test_expressions_of_anything_are_a_distribution(x):
    reader, raised = ExpressionReader(), np.array([0.0, 0.3, 1.0])
    for stamp in (0, STEP):
        probabilities, smile = reader.read(stamp, x), reader.smile(raised)
        assert probabilities.sum() == pytest.approx(1.0)
        assert np.isfinite(probabilities).all()
        assert ((smile >= 0.0) & (smile <= raised)).all()


def test_smoothing_shrinks_noise_follows_a_quick_move_and_starts_again_after_a_pause_or_a_jump_back():
    smooth, noise = OneEuro(2.5, beta=5.0), np.random.default_rng(0).normal(0, 0.02, (500, 1))
    assert np.array([smooth(k * STEP, x) for k, x in enumerate(noise)])[50:].std() < 0.75 * noise.std()
    smooth = OneEuro(2.5, beta=5.0)
    still = [smooth(k * STEP, np.zeros(1))[0] for k in range(50)]
    first, second = (smooth((50 + k) * STEP, np.ones(1))[0] for k in range(2))
    assert first > 0.5 > max(still)
    assert second > 0.85
    for stamp in (51 * STEP + 10**9, 3 * STEP, 3 * STEP):
        assert smooth(stamp, np.full(1, float(stamp)))[0] == stamp


def feed(neutral: PersonalNeutral, measures: np.ndarray, seconds: float, *, start_s: float = 0.0, **kind: bool) -> None:
    for k in range(round(seconds * 25)):
        neutral.observe(round((start_s + k / 25) * 1e9), measures, 0.1, **kind)


def moved(name: str, by: float) -> np.ndarray:
    values = PRIOR.copy()
    values[m.INDEX[name]] += by
    return values


def test_a_person_is_learnt_within_seconds():
    neutral, i = PersonalNeutral(), m.INDEX["browInnerR"]
    feed(neutral, moved("browInnerR", 0.06), 4.0)
    assert neutral.value[i] - PRIOR[i] > 0.04
    assert 0.4 < neutral.confidence < 0.5
    feed(neutral, moved("browInnerR", 0.06), 20.0, start_s=4.0)
    assert neutral.value[i] - PRIOR[i] > 0.055
    assert neutral.confidence > 0.8


@pytest.mark.parametrize(("learnt_s", "smile_s", "most"), [(0.0, 60.0, 0.08), (20.0, 30.0, 0.02)])
def test_a_long_smile_stays_a_smile_and_moves_a_learnt_neutral_hardly(learnt_s, smile_s, most):
    neutral, i = PersonalNeutral(), m.INDEX["cornerUpL"]
    feed(neutral, PRIOR, learnt_s)
    feed(neutral, moved("cornerUpL", 0.12), smile_s, start_s=learnt_s, mouth=True)
    assert abs(neutral.value[i] - PRIOR[i]) < min(most, p.REACH * SPREAD[i] + 1e-9)


def test_speech_and_blinks_do_not_shift_the_neutral():
    neutral, rng, gap, lid = PersonalNeutral(), np.random.default_rng(0), m.INDEX["gap"], m.INDEX["lidR"]
    for k in range(1000):
        values = PRIOR.copy()
        values[gap] = 0.07 + max(0.0, rng.normal(0.1, 0.1))
        values[lid] = 0.08 if k % 50 < 4 else 0.31
        neutral.observe(k * STEP, values, 0.0)
    assert neutral.value[gap] < 0.10
    assert neutral.value[lid] == pytest.approx(0.31, abs=0.01)
