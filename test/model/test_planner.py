"""The memory of what was planned, candidates and their choice; streams of plans: test_streams."""

import numpy as np
import pytest

from reactdiff_ros.model.plan.planner import OwnPast, Planner
from reactdiff_ros.model.plan.sampler import Sampling, ordinary
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.weights import find_weights


@pytest.fixture
def past():
    memory = OwnPast(np.full(3, 7.0, dtype=np.float32), 2, keep=16)
    memory.add(100, np.arange(2 * 16 * 3, dtype=np.float32).reshape(2, 16, 3), np.ones((2, 16, 58), dtype=np.float32))
    return memory


def test_what_was_planned_is_remembered_slot_by_slot(past):
    assert past.latents(100, 16)[1, 2].tolist() == [54, 55, 56]
    np.testing.assert_array_equal(past.latents(95, 8)[:, :5], 7.0)
    np.testing.assert_array_equal(past.latents(95, 8)[:, 5:], past.latents(100, 3))
    assert (past.shown(90, 10) == 0).all()
    assert (past.shown(100, 16) == 1).all()


def test_after_the_end_of_a_plan_the_face_fades_and_the_latents_are_neutral(past):
    faded = past.shown(114, 30)[0, :, 0]
    assert (faded[:2] == 1).all()
    assert (np.diff(faded[1:]) < 0).all()
    assert faded[-1] < 0.01
    np.testing.assert_array_equal(past.latents(116, 5), 7.0)


def test_a_new_plan_takes_over_and_keeps_what_went_before(past):
    past.add(104, np.zeros((2, 16, 3), dtype=np.float32), np.full((2, 16, 58), 0.5, dtype=np.float32))
    assert past.shown(100, 8)[0, :, 0].tolist() == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]
    assert past.latents(100, 5)[1, :, 0].tolist() == [48, 51, 54, 57, 0]
    past.clear()
    assert (past.shown(100, 8) == 0).all()
    np.testing.assert_array_equal(past.latents(100, 8), 7.0)


@pytest.fixture(scope="module")
def networks(random_weights):
    return Networks(find_weights(random_weights))


def plan_of(planner, networks, slot, **more):
    s = networks.shape
    speaker = np.ones((1, s["speech"], s["width"]), dtype=np.float32)
    missing = np.zeros((1, s["speech"]), dtype=np.float32)
    return planner.plan(slot, speaker, missing, ordinary(1), lead=0, frames=16, **more)


def test_an_extreme_history_is_forgotten(networks):
    how = Sampling(steps=2, guidance=1.0, smooth=False, recall=4)
    quiet, wild = Planner(networks, [0], how), Planner(networks, [0], how)
    wild.begin(0, np.ones((1, 30, 58), dtype=np.float32))
    start = None
    for slot in range(0, 250, 4):
        apart = np.abs(plan_of(quiet, networks, slot).shown[0, 0] - plan_of(wild, networks, slot).shown[0, 0]).max()
        start = apart if start is None else start
    assert start > 0.01
    assert apart < 0.05 * start


def stream_of(planner):
    """The candidate that the planner's first listener follows."""
    return planner._choices[0].stream


def test_candidates_share_the_past_and_not_the_noise(networks):
    planner = Planner(networks, [0], Sampling(steps=2, candidates=3))
    plans = plan_of(planner, networks, 0, all_candidates=True)
    assert plans.faces.shape == (1, 3, 16, 58)
    assert np.abs(plans.faces[0, 0] - plans.faces[0, 1]).max() > 0.01
    held = plan_of(planner, networks, 4)
    assert held.faces.shape[1] == 1
    assert stream_of(planner) == int(plans.chosen[0])
    everything = plan_of(planner, networks, 8, all_candidates=True)
    assert everything.faces.shape[1] == 3
    assert everything.chosen[0] == plans.chosen[0]


def test_only_the_chosen_candidate_is_drawn_to_its_end(networks):
    how, streams = Sampling(steps=2, candidates=4), set()
    some, all_of_them = Planner(networks, [3], how), Planner(networks, [3], how)
    for slot in range(0, 100, 4):
        alone, among = plan_of(some, networks, slot), plan_of(all_of_them, networks, slot, all_candidates=True)
        assert alone.faces.shape[1] == 1
        assert among.faces.shape[1] == 4
        np.testing.assert_allclose(alone.of(alone.shown), among.of(among.shown), atol=1e-4)
        assert stream_of(some) == int(among.chosen[0])
        streams.add(stream_of(some))
    assert len(streams) > 1


def test_a_candidate_is_the_same_alone_and_among_others(networks):
    many = plan_of(Planner(networks, [5], Sampling(steps=2, candidates=3)), networks, 0, all_candidates=True)
    one = plan_of(Planner(networks, [5], Sampling(steps=2, candidates=1)), networks, 0)
    np.testing.assert_allclose(many.faces[:, :1], one.faces, atol=1e-4)


def test_fewer_candidates_leave_the_followed_one_in_force(networks):
    planner = Planner(networks, [0], Sampling(steps=2, candidates=4))
    slot, followed = 0, 0
    while followed < 2:  # until one of the later candidates is chosen
        plan_of(planner, networks, slot)
        followed = stream_of(planner)
        slot += 4
    planner.set_quality(1, 2)
    held = plan_of(planner, networks, slot, all_candidates=True)
    assert (held.faces.shape[1], held.chosen[0], stream_of(planner)) == (2, 1, followed)
    plan_of(planner, networks, slot + 20, all_candidates=True)
    last = stream_of(planner)
    assert last < 2
    planner.set_quality(1, 1)
    for i in range(1, 8):
        plan_of(planner, networks, slot + 20 + 4 * i)
        assert stream_of(planner) == last
