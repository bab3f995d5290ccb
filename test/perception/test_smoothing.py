from __future__ import annotations

import numpy as np

from reactdiff_ros.perception.person import OneEuro

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


def test_a_pause_or_a_jump_back_starts_anew():
    for stamp in (10 * STEP + 10**9, 3 * STEP, 10 * STEP):
        smooth = OneEuro(0.5)
        for k in range(11):
            smooth(k * STEP, np.zeros(1))
        assert smooth(stamp, np.ones(1))[0] == 1.0
