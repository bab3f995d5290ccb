"""The model plays its own listeners, and training goes on from there."""

import numpy as np
import pytest
from small_run import CONFIG, SHAPE, config

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")

from reactdiff_ros.training.data import MARGIN, cut_at, simulated_pool  # noqa: E402
from reactdiff_ros.training.nets import Model  # noqa: E402
from reactdiff_ros.training.objective import draw_plans  # noqa: E402
from reactdiff_ros.training.rollout import HOP, RollOuts, continue_from, roll_out  # noqa: E402


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Model(SHAPE).eval()


@pytest.fixture(scope="module")
def pool(model):
    return simulated_pool(5, CONFIG, None).to_latents(model.vae)


@pytest.fixture(scope="module")
def played(model, pool):
    return roll_out(model, pool, CONFIG, np.random.default_rng(1))


def test_a_roll_out_begins_where_the_simulator_stopped_and_goes_its_own_way(model, pool, played) -> None:
    assert played.frames == CONFIG.roll_frames
    for row in range(4):
        begin = int(played.begin[row])
        assert torch.equal(played.latents[row, :MARGIN], pool.latents[row, begin : begin + MARGIN])
        later = pool.latents[row, begin + MARGIN : begin + MARGIN + CONFIG.roll_frames]
        assert not torch.allclose(played.latents[row, MARGIN:], later, atol=0.1)
    assert torch.isfinite(played.faces).all()
    assert played.faces[..., :52].min() >= 0


def test_the_same_generator_plays_the_same(model, pool, played) -> None:
    again = roll_out(model, pool, CONFIG, np.random.default_rng(1))
    assert torch.equal(again.latents, played.latents)


def test_a_roll_out_is_causal_in_the_speaker(model, pool, played) -> None:
    other = simulated_pool(5, CONFIG, None).to_latents(model.vae)
    first = int(played.begin.max()) + 20
    other.features[:, first:] += 1
    changed = roll_out(model, other, CONFIG, np.random.default_rng(1))
    assert torch.equal(changed.begin, played.begin)
    for row in range(4):
        same = (first - int(played.begin[row])) // HOP * HOP
        assert torch.equal(changed.latents[row, : MARGIN + same], played.latents[row, : MARGIN + same])
    assert not torch.equal(changed.latents, played.latents)


def sequences(pool, played):
    rows = np.arange(4)
    offset = np.clip(played.begin.numpy() - 5, 0, 150 - 50 - SHAPE.horizon - SHAPE.max_lead - 1)
    return cut_at(pool, rows, offset, 50, SHAPE), rows, offset


def test_plans_continue_what_was_played(model, pool, played) -> None:
    s, rows, offset = sequences(pool, played)
    within = np.clip(played.window(rows, offset, SHAPE.horizon), 2, 50)
    plans = draw_plans(s, CONFIG, np.random.default_rng(0), within)
    before = plans.past.clone()
    share = continue_from(played, pool, s, plans, torch.tensor([True, True, False, True]), model)
    assert 0.4 < share <= 0.75
    changed = (plans.past != before).flatten(1).any(1)
    assert not changed[plans.which == 2].any()
    i = int(torch.nonzero(changed)[0, 0])
    row = int(plans.which[i])
    since = int(s.offset[row] + plans.start[i] - played.begin[row])
    assert since >= HOP
    assert torch.equal(plans.past[i], played.latents[row, MARGIN + since - SHAPE.past : MARGIN + since])
    assert (plans.weight[changed] <= 1).all()
    assert (plans.weight[~changed] == 1).all()
    assert torch.isfinite(plans.target).all()


def test_a_listener_who_did_exactly_this_is_continued_as_he_went_on(model, pool) -> None:
    """If what was played is what a twin did, the future is that twin's, at full weight."""
    twin = pool.twins[:, 2]
    begin = torch.tensor([10, 20, 0, 30])
    stretch = torch.stack([twin[r, int(b) : int(b) + MARGIN + CONFIG.roll_frames] for r, b in enumerate(begin)])
    with torch.no_grad():
        whole = model.vae.encode(twin)
    latents = torch.stack([whole[r, int(b) : int(b) + MARGIN + CONFIG.roll_frames] for r, b in enumerate(begin)])
    played = RollOuts(begin, latents, stretch)
    s, rows, offset = sequences(pool, played)
    plans = draw_plans(s, CONFIG, np.random.default_rng(2), np.clip(played.window(rows, offset, SHAPE.horizon), 2, 50))
    assert continue_from(played, pool, s, plans, torch.ones(4, dtype=torch.bool), model) > 0.5
    for i in range(len(plans.which)):
        row = int(plans.which[i])
        at = int(s.offset[row] + plans.start[i])
        if HOP <= at - int(begin[row]) <= CONFIG.roll_frames:
            wanted = whole[row, MARGIN + at : MARGIN + at + plans.target.shape[1]]
            torch.testing.assert_close(plans.target[i], wanted, atol=2e-3, rtol=1e-3)
            assert plans.weight[i].min() > 0.99


def test_no_roll_outs_where_none_are_wanted() -> None:
    assert simulated_pool(5, config(roll_worlds=0), None).twins.shape[0] == 0
