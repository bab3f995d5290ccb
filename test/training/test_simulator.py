import dataclasses

import numpy as np
import pytest

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, INDEX, LOWER, UPPER
from reactdiff_ros.model.tokens import FEATURE_COUNT, featurize
from reactdiff_ros.training.events import Events, envelope, ornstein, since, smooth_step
from reactdiff_ros.training.simulator import CONTROL_NAMES, simulate, simulator_hash
from reactdiff_ros.training.speakers import NOISY, QUIET, SLOW

SMILE = INDEX["mouthSmileLeft"]


@pytest.fixture(scope="module")
def dyads():
    return simulate(11, 96, 500)


def test_same_seed_same_bits_and_paired_speakers():
    a, b = simulate(3, 8, 200), simulate(3, 8, 200)
    np.testing.assert_array_equal(a.listener, b.listener)
    np.testing.assert_array_equal(a.speaker.coefficients, b.speaker.coefficients)
    warm = simulate(3, 8, 200, controls=np.ones((8, len(CONTROL_NAMES)), dtype=np.float32))
    for field in dataclasses.fields(a.speaker):
        np.testing.assert_array_equal(getattr(a.speaker, field.name), getattr(warm.speaker, field.name))
    assert not np.array_equal(a.listener, warm.listener)
    assert not np.array_equal(a.listener, simulate(4, 8, 200).listener)


def test_listener_is_a_face(dyads):
    assert np.isfinite(dyads.listener).all()
    assert (dyads.listener >= LOWER).all()
    assert (dyads.listener <= UPPER).all()
    assert (dyads.listener[..., [*EYE_LOOK, *BLINK]] == 0).all()
    assert np.abs(np.diff(dyads.listener[..., :52], axis=1)).max() < 0.2


def test_smiles_are_answered_with_human_lag(dyads):
    controls = np.zeros((96, 4), dtype=np.float32)
    d = simulate(11, 96, 500, controls=controls)
    lags, answered, onsets = [], 0, 0
    for b in np.flatnonzero(d.speaker.camera.all(1) & d.truth.present.all(1)):
        s, x = d.truth.smile[b], d.listener[b, :, SMILE]
        for t in np.flatnonzero((s[:-1] < 0.05) & (s[1:] >= 0.05)):
            if t + 45 >= len(s) or x[t] > 0.02 or s[t : t + 20].max() < 0.4:
                continue
            onsets += 1
            rise = np.flatnonzero(x[t : t + 45] > 0.05)
            if len(rise):
                answered += 1
                lags.append(rise[0] * 0.04)
    assert onsets > 20
    assert answered / onsets > 0.7
    assert 0.3 < np.median(lags) < 0.9
    assert np.percentile(lags, 2) > 0.2


def test_attitude_and_temperament_matter():
    def listener(column, value):
        controls = np.zeros((60, 4), dtype=np.float32)
        controls[:, column] = value
        return simulate(5, 60, 400, controls=controls).listener

    assert listener(0, 1.0)[..., SMILE].mean() > 2 * listener(0, -1.0)[..., SMILE].mean()
    nods = [np.abs(np.diff(listener(2, v)[..., 52], axis=1)).mean() for v in (-1.0, 1.0)]
    assert nods[1] > 1.2 * nods[0]


def test_no_reaction_to_music_silence_or_an_empty_room(dyads):
    nobody_speaks = (dyads.truth.kind == NOISY) | (dyads.truth.kind == QUIET)
    calm = nobody_speaks & (dyads.truth.smile.max(1) == 0)
    assert calm.sum() > 0
    assert dyads.listener[calm][..., SMILE].max() == 0
    unseen = ~dyads.speaker.camera.any(1) & nobody_speaks
    assert dyads.listener[unseen][..., :52].max() == 0


def test_nods(dyads):
    talks = (dyads.truth.kind <= SLOW) & dyads.truth.present.all(1)
    pitch = np.degrees(dyads.listener[talks][..., 52])
    slow = np.stack([np.convolve(row, np.ones(25) / 25, "same") for row in pitch])
    dips = (pitch - slow) > 1.5
    onsets = sum(int((np.diff(np.flatnonzero(np.diff(row.astype(int)) == 1), prepend=-99) > 30).sum()) for row in dips)
    assert 2 < onsets / (talks.sum() * 500 * 0.04 / 60) < 9


def test_features_are_bounded_and_masks_vary(dyads):
    features, observed = featurize(dyads.speaker)
    assert features.shape == (96, 500, FEATURE_COUNT)
    assert np.isfinite(features).all()
    assert np.abs(features).max() <= 4
    assert ((observed.mean((0, 1)) > 0.3) & (observed.mean((0, 1)) < 0.97)).all()


def test_events():
    e = Events(*(np.full((1, 1), v, dtype=np.float32) for v in (1.0, 0.8, 0.5, 1.0, 1.0)), on=np.ones((1, 1), bool))
    curve = envelope(e, 150)[0]
    assert curve[:25].max() == 0
    assert curve[40:60].min() == pytest.approx(0.8, abs=1e-3)
    assert curve[90:].max() == pytest.approx(0, abs=1e-3)
    assert smooth_step(np.array([-1.0, 0.5, 2.0])).tolist() == [0, 0.5, 1]


def test_building_blocks():
    x = ornstein(np.random.default_rng(0), 200, 500, 0.3)
    assert x.std() == pytest.approx(1, abs=0.05)
    mask = np.array([[False, True, False, False]])
    np.testing.assert_allclose(since(mask), [[np.inf, 0, 0.04, 0.08]], atol=1e-6)
    assert len(simulator_hash()) == 16
