"""Smoothing, blending and the memory of what was planned; plans themselves: test_streams."""

import numpy as np
import pytest

from reactdiff_ros.coefficients import INDEX, SMILE
from reactdiff_ros.model.plan.planner import (
    AROUND,
    BLEND,
    LOOKAHEAD,
    SMILE_GAIN,
    SMILE_S,
    OwnPast,
    Planner,
    blend,
    finished,
    smooth,
    unhurried,
)
from reactdiff_ros.model.plan.sampler import LATENT_LIMIT, Sampling, ordinary, sane
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.weights import find_weights

RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_smoothing_keeps_nods_and_laughs_and_a_constant():
    t = np.arange(1000) / 25

    def kept(hz):
        wave = np.sin(2 * np.pi * hz * t + 0.3)[None, :, None]
        return smooth(wave).std() / wave[:, 3:-3].std()

    assert smooth(np.zeros((1, 100, 2))).shape == (1, 94, 2)
    assert [kept(hz) for hz in (2, 5, 6.25)] == pytest.approx([0.99, 0.72, 0.5], abs=0.01)
    assert kept(12.5) < 1e-6
    np.testing.assert_allclose(smooth(np.ones((2, 20, 3))), 1)
    assert smooth(noise(1, 5000, 1)).std() < 0.72


def test_blending_leads_over():
    plan = blend(np.ones((1, 8, 2)), np.zeros((1, 8, 2)))
    np.testing.assert_allclose(plan[0, :, 0], [*BLEND, 1, 1, 1, 1])
    np.testing.assert_allclose(blend(np.ones((2, 1)), np.zeros((2, 1)))[:, 0], BLEND[:2])


def test_smoothing_looks_no_further_ahead_than_it_says():
    how, hop = Sampling(smooth=True), 4
    plans, shown, before = 0.3 + 0.1 * noise(1, 1, 16, 58), noise(1, AROUND, 58), noise(1, 16, 58)
    whole = finished(plans, shown, before, how)
    part = finished(plans[:, :, : hop + LOOKAHEAD], shown, before[:, : hop + LOOKAHEAD], how)
    np.testing.assert_array_equal(whole[:, :, : hop + len(BLEND)], part[:, :, : hop + len(BLEND)])


def test_a_smile_is_larger_and_takes_its_time_and_other_muscles_do_not():
    plans, nothing = np.zeros((1, 1, 16, 58), dtype=np.float32), np.zeros((1, 16, 58), dtype=np.float32)
    plans[..., [*SMILE, INDEX["browInnerUp"]]] = 0.8
    out = finished(plans, nothing[:, :AROUND], nothing, Sampling(smooth=True))[0, 0]
    t = (np.arange(16) + 1) / 25
    np.testing.assert_allclose(out[:, SMILE[0]], 0.8 * SMILE_GAIN * (1 - np.exp(-t / SMILE_S)), atol=1e-6)
    np.testing.assert_allclose(out[len(BLEND) :, INDEX["browInnerUp"]], 0.8, atol=1e-6)


def test_a_smile_that_goes_on_is_the_same_in_one_plan_or_in_many():
    smiles = noise(2, 40, 3)
    whole, last, parts = unhurried(smiles, np.zeros((2, 3), dtype=np.float32)), np.zeros((2, 3), dtype=np.float32), []
    for start in range(0, 40, 4):
        parts.append(unhurried(smiles[:, start : start + 4], last))
        last = parts[-1][:, -1]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    assert whole.std() < 0.5 * smiles.std()


def test_without_smoothing_a_plan_is_only_bounded():
    plans = noise(1, 2, 16, 58)
    out = finished(plans, noise(1, AROUND, 58), noise(1, 16, 58), Sampling(smooth=False))
    inside = (plans[..., :52] >= 0) & (plans[..., :52] <= 1)
    np.testing.assert_array_equal(out[..., :52][inside], plans[..., :52][inside])
    assert out[..., :52].min() == 0


def test_latents_that_are_not_finite_are_neutral():
    bad = np.array([[np.nan, np.inf, -np.inf, 100.0, -100.0, 0.5]], dtype=np.float32)
    neutral = np.full(6, 0.25, dtype=np.float32)
    np.testing.assert_allclose(sane(bad, neutral)[0], [0.25, 0.25, 0.25, LATENT_LIMIT, -LATENT_LIMIT, 0.5])


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


def test_candidates_share_the_past_and_not_the_noise(networks):
    planner = Planner(networks, [0], Sampling(steps=2, candidates=3))
    plans = plan_of(planner, networks, 0, everyone=True)
    assert plans.drawn.shape == (1, 3, 16, 58)
    assert plans.streams == [[0, 1, 2]]
    assert np.abs(plans.drawn[0, 0] - plans.drawn[0, 1]).max() > 0.01
    held = plan_of(planner, networks, 4)
    assert held.drawn.shape[1] == 1
    assert held.streams == [[int(plans.chosen[0])]]
    everyone = plan_of(planner, networks, 8, everyone=True)
    assert everyone.drawn.shape[1] == 3
    assert everyone.chosen[0] == plans.chosen[0]


def test_only_the_chosen_candidate_is_drawn_to_its_end(networks):
    how, streams = Sampling(steps=2, candidates=4), set()
    some, all_of_them = Planner(networks, [3], how), Planner(networks, [3], how)
    for slot in range(0, 100, 4):
        alone, among = plan_of(some, networks, slot), plan_of(all_of_them, networks, slot, everyone=True)
        assert alone.drawn.shape[1] == 1
        assert among.drawn.shape[1] == 4
        np.testing.assert_allclose(alone.of(alone.shown), among.of(among.shown), atol=1e-4)
        assert alone.streams == [[int(among.chosen[0])]]
        streams.add(alone.streams[0][0])
    assert len(streams) > 1


def test_a_candidate_is_the_same_alone_and_among_others(networks):
    many = plan_of(Planner(networks, [5], Sampling(steps=2, candidates=3)), networks, 0, everyone=True)
    one = plan_of(Planner(networks, [5], Sampling(steps=2, candidates=1)), networks, 0)
    np.testing.assert_allclose(many.drawn[:, :1], one.drawn, atol=1e-4)


def test_fewer_candidates_leave_the_followed_one_in_force(networks):
    planner = Planner(networks, [0], Sampling(steps=2, candidates=4))
    slot, followed = 0, 0
    while followed < 2:  # until one of the later candidates is chosen
        followed = plan_of(planner, networks, slot).streams[0][0] if slot % 20 else 0
        slot += 4
    planner.afford(1, 2)
    held = plan_of(planner, networks, slot, everyone=True)
    assert held.streams == [[0, followed]]
    assert held.chosen[0] == 1
    assert plan_of(planner, networks, slot + 20, everyone=True).streams == [[0, 1]]
    planner.afford(1, 1)
    alone = [plan_of(planner, networks, slot + 20 + 4 * i) for i in range(1, 8)]
    assert {tuple(p.streams[0]) for p in alone} == {tuple(alone[0].streams[0])}
