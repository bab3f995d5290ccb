from itertools import pairwise

import numpy as np
import pytest

from reactdiff_ros.model.plan.choice import HOLD_SLOTS, Choice, liveliness, ranked


def candidates(rng, count, frames=4):
    """Plans of a face that mostly rests and now and then smiles: skewed, as faces are."""
    plans = np.zeros((count, frames, 58), dtype=np.float32)
    smile = np.where(rng.random(count) < 0.25, rng.uniform(0.2, 0.9, count), 0.05 * rng.random(count))
    plans[:, :, 43:45] = smile[:, None, None]
    plans[:, :, 52] = 0.05 * rng.standard_normal((count, frames))
    return plans


def choose(choice, slot, plans):
    which = int(ranked(plans[None], np.array([choice.rank]))[0])
    choice.follow(slot, which)
    return which


def shown(choose, rounds=4000, count=10):
    rng = np.random.default_rng(0)
    return np.stack([plans[choose(i, plans)] for i in range(rounds) for plans in [candidates(rng, count)]])


def test_the_choice_shows_what_a_single_candidate_shows():
    choice = Choice(5, 10)
    chosen = shown(lambda i, plans: choose(choice, i * HOLD_SLOTS, plans))
    single = shown(lambda i, plans: 0)
    assert chosen[..., 43].var() == pytest.approx(single[..., 43].var(), rel=0.1)
    assert (chosen[:, 0, 43] > 0.15).mean() == pytest.approx((single[:, 0, 43] > 0.15).mean(), rel=0.1)
    assert chosen[..., 52].var() == pytest.approx(single[..., 52].var(), rel=0.1)


def test_the_smoothest_candidate_would_be_dull():
    dull = shown(lambda i, plans: int(np.argmin(liveliness(plans))))
    assert dull[..., 43].var() < 0.1 * shown(lambda i, plans: 0)[..., 43].var()


def test_dull_and_lively_are_spread_evenly():
    """Of ten choices in a row nearly every rank comes once: the mean of ten varies less than that of ten draws."""
    choice = Choice(1, 10)
    smile = shown(lambda i, plans: choose(choice, i * HOLD_SLOTS, plans))[:, 0, 43]
    single = shown(lambda i, plans: 0)[:, 0, 43]
    assert smile.reshape(-1, 10).mean(1).var() < 0.5 * single.reshape(-1, 10).mean(1).var()


def test_a_choice_is_held():
    choice, rng = Choice(0, 4), np.random.default_rng(0)
    made = []
    for slot in range(0, 400, 3):
        if choice.due(slot):
            choose(choice, slot, candidates(rng, 4))
            made.append(slot)
    assert made[0] == 0
    assert all(b - a >= HOLD_SLOTS for a, b in pairwise(made))
    assert len(made) > 15


def test_one_candidate_needs_no_choice():
    assert not Choice(0, 1).due(0)
    assert Choice(0, 1).stream == 0


def test_seed_decides():
    def ranks(seed):
        choice, rng = Choice(seed, 8), np.random.default_rng(0)
        return [choose(choice, slot, candidates(rng, 8)) for slot in range(0, 200, 20)]

    assert ranks(3) == ranks(3)
    assert ranks(3) != ranks(4)


def test_ranks_go_from_the_calmest_to_the_liveliest():
    plans = np.zeros((3, 4, 4, 58), dtype=np.float32)
    plans[..., 43] = np.array([0.3, 0.1, 0.4, 0.2])[None, :, None]
    np.testing.assert_array_equal(ranked(plans, np.array([0.0, 0.5, 1.0])), [1, 0, 2])


def test_liveliness():
    still, smile, nod, gaze = np.zeros((4, 8, 58), dtype=np.float32)
    smile[:, 43:45] = 0.5
    nod[:, 52] = 0.1 * np.sin(np.arange(8))
    gaze[:, 10:18] = 1.0
    levels = liveliness(np.stack([still, smile, nod, gaze]))
    assert levels[0] == levels[3] == 0
    assert (levels[1:3] > 0).all()
