"""One followed person: smoothing of landmarks and the personal neutral."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_face import frontal_face, in_picture

from reactdiff_ros.coefficients import SMILE, index
from reactdiff_ros.perception import PerceptionConfig
from reactdiff_ros.perception import face as m
from reactdiff_ros.perception.person import PRIOR, REACH, SPREAD, Camera, OneEuro, Person, PersonalNeutral

STEP = 40_000_000


def test_noise_of_a_still_face_shrinks():
    rng = np.random.default_rng(0)
    smooth = OneEuro(2.5, beta=5.0)
    noise = rng.normal(0, 0.02, (500, 1))
    out = np.array([smooth(k * STEP, x) for k, x in enumerate(noise)])
    assert out[50:].std() < 0.75 * noise.std()


def test_a_quick_move_arrives_within_two_pictures():
    smooth = OneEuro(2.5, beta=5.0)
    for k in range(50):
        smooth(k * STEP, np.zeros(1))
    first, second = (smooth((50 + k) * STEP, np.ones(1))[0] for k in range(2))
    assert first > 0.5
    assert second > 0.85


def test_a_pause_or_a_jump_back_starts_again():
    for stamp in (10 * STEP + 10**9, 3 * STEP, 10 * STEP):
        smooth = OneEuro(0.5)
        for k in range(11):
            smooth(k * STEP, np.zeros(1))
        assert smooth(stamp, np.ones(1))[0] == 1.0


MS = 1_000_000


def feed(neutral: PersonalNeutral, measures: np.ndarray, seconds: float, *, start_s: float = 0.0, **kind: bool) -> None:
    for k in range(round(seconds * 25)):
        neutral.observe(round((start_s + k / 25) * 1e9), measures, 0.1, **kind)


def moved(name: str, by: float) -> np.ndarray:
    values = PRIOR.copy()
    values[m.INDEX[name]] += by
    return values


def test_a_person_is_learnt_within_seconds():
    neutral = PersonalNeutral()
    feed(neutral, moved("browInnerR", 0.06), 4.0)
    assert neutral.value[m.INDEX["browInnerR"]] - PRIOR[m.INDEX["browInnerR"]] > 0.04
    assert 0.4 < neutral.confidence < 0.5
    feed(neutral, moved("browInnerR", 0.06), 20.0, start_s=4.0)
    assert neutral.value[m.INDEX["browInnerR"]] - PRIOR[m.INDEX["browInnerR"]] > 0.055
    assert neutral.confidence > 0.8


@pytest.mark.parametrize(("learnt_s", "smile_s", "most"), [(0.0, 60.0, 0.08), (20.0, 30.0, 0.02)])
def test_a_long_smile_stays_a_smile_and_moves_a_learnt_neutral_hardly(learnt_s, smile_s, most):
    neutral, i = PersonalNeutral(), m.INDEX["cornerUpL"]
    feed(neutral, PRIOR, learnt_s)
    feed(neutral, moved("cornerUpL", 0.12), smile_s, start_s=learnt_s, mouth=True)
    assert abs(neutral.value[i] - PRIOR[i]) < min(most, REACH * SPREAD[i] + 1e-9)


def test_speech_and_blinks_do_not_shift_it():
    neutral, rng = PersonalNeutral(), np.random.default_rng(0)
    for k in range(1000):
        values = PRIOR.copy()
        values[m.INDEX["gap"]] = 0.07 + max(0.0, rng.normal(0.1, 0.1))
        values[m.INDEX["lidR"]] = 0.08 if k % 50 < 4 else 0.31
        neutral.observe(k * 40 * MS, values, 0.0)
    assert neutral.value[m.INDEX["gap"]] < 0.10
    assert neutral.value[m.INDEX["lidR"]] == pytest.approx(0.31, abs=0.01)


@pytest.mark.parametrize(("smile", "least", "most"), [(0.0, 0.0, 0.1), (0.15, 0.3, 1.0)])
def test_cheeks_rise_no_further_than_the_corners_of_the_mouth(smile: float, least: float, most: float) -> None:
    """What a stranger's cheeks measure is half of a full movement off."""
    face = frontal_face(smile=smile)
    face[[50, 101, 205, 280, 330, 425], 1] += 0.06
    person = Person(PerceptionConfig())
    for k in range(5):
        read = person.read(k * STEP, in_picture(face), Camera((640.0, 480.0), 600.0))
    cheeks = read.coefficients[list(index("cheekSquintLeft", "cheekSquintRight"))]
    assert least <= cheeks.max() <= most
    assert cheeks.max() <= read.coefficients[list(SMILE)].max()
