"""Listeners in one batch: each reacts as alone, whoever else is there, joins, leaves or breaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from model_drive import LATENCY, SLOT, drive
from speaker_frames import session

import reactdiff_ros.model.batch as batch_module
import reactdiff_ros.model.plan.planner as planner_module
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.model.batch import ListenerBatch, draw_together, encode_together, padded, warm
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.factory import make_listener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.types import ListenerControl, Reaction, SpeakerFrame

QUICK = {"steps": 2, "candidates": 2}


@pytest.fixture(scope="module")
def networks(any_weights):
    return Networks(find_weights(any_weights))


@pytest.fixture(scope="module")
def make(any_weights, networks):
    def make(seed=0, **settings):
        config = ListenerConfig(model_dir=str(any_weights), **{**QUICK, **settings})
        return DiffusionListener(seed=seed, config=config, networks=networks)

    return make


def speakers(count: int, seconds: float = 3.0) -> dict[str, list[SpeakerFrame]]:
    """Frames of as many different people."""

    def of(i: int) -> list[SpeakerFrame]:
        return list(session(seconds, smile=lambda t: 0.7 * (int(2 * t + i) % 3 == 1), talk=i % 2 == 0))

    return {f"r{i}": of(i) for i in range(count)}


def together(
    batch: ListenerBatch, frames: dict[str, list[SpeakerFrame]], join: dict[str, int], leave: dict[str, int], make
) -> dict[str, list[Reaction]]:
    """All plans; `join` and `leave`: at which frame, for those who are not there from start to end."""
    out: dict[str, list[Reaction]] = {name: [] for name in frames}
    for k in range(len(next(iter(frames.values())))):
        for name, at in join.items():
            if at == k:
                batch.join(name, make(name))
        times = {}
        for name in frames:
            if leave.get(name) == k:
                batch.leave(name)
            if name in batch:
                batch.observe(name, frames[name][k])
                times[name] = frames[name][k].stamp_ns + LATENCY
        for name, plan in batch.plan(times).items():
            out[name].append(plan)
    return out


def same(one: list[Reaction], other: list[Reaction], tolerance: float = 1e-5) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert (a.start_ns, a.reason, a.engaged, a.seed) == (b.start_ns, b.reason, b.engaged, b.seed)
        np.testing.assert_allclose(a.coefficients, b.coefficients, atol=tolerance)


def test_the_same_reaction_alone_and_in_a_batch_with_people_who_come_and_go(make):
    settings = {"r0": {}, "r1": {"candidates": 1}, "r2": {"guidance": 1.5}, "r3": {"responsiveness": 0.9}}
    frames = speakers(4)
    join, leave = {"r0": 0, "r1": 0, "r2": 11, "r3": 30}, {"r1": 40}
    plans = together(ListenerBatch(), frames, join, leave, lambda name: make(seed=int(name[1]), **settings[name]))
    for name, mine in frames.items():
        alone = make(seed=int(name[1]), **settings[name])
        same(plans[name], drive(alone, mine[join[name] : leave.get(name)], int(name[1])))
    faces = [np.concatenate([p.coefficients for p in plans[name][:6]]) for name in ("r0", "r1")]
    assert np.abs(faces[0] - faces[1]).max() > 0.01


def test_controls_are_of_one_listener(make):
    frames = {"r0": speakers(1)["r0"], "r1": speakers(1)["r0"]}
    batch = ListenerBatch()
    warm_one = make(seed=0)
    warm_one.control(ListenerControl(attitude=1.0, smiling=1.0))
    batch.join("r0", make(seed=0))
    batch.join("r1", warm_one)
    plans = together(batch, frames, {}, {}, make)
    same(plans["r0"], drive(make(seed=0), frames["r0"]))
    apart = [np.abs(a.coefficients - b.coefficients).max() for a, b in zip(plans["r0"], plans["r1"], strict=False)]
    assert max(apart) > 0.01


def test_a_neighbour_whose_frames_are_broken_changes_nothing(make):
    frames = speakers(2)
    nothing = np.full(58, np.nan, np.float32)
    frames["r1"] = [replace(f, coefficients=nothing, confidence=nothing) for f in frames["r1"]]
    plans = together(ListenerBatch(), frames, {"r0": 0, "r1": 0}, {}, lambda name: make(seed=3))
    same(plans["r0"], drive(make(seed=3), frames["r0"], 3))
    assert all(np.isfinite(p.coefficients).all() for p in plans["r1"])


def test_a_malformed_frame_is_the_senders_own_trouble(make):
    batch, good = ListenerBatch(), speakers(2, 0.2)
    for name in good:
        batch.join(name, make())
    with pytest.raises(MessageError):
        batch.observe("r1", replace(good["r1"][0], coefficients=np.zeros(3, np.float32)))
    batch.observe("r0", good["r0"][0])
    assert set(batch.plan({"r0": good["r0"][0].stamp_ns + LATENCY})) == {"r0"}


def test_a_listener_that_raises_is_named_and_the_others_plan(make, monkeypatch):
    batch, frames = ListenerBatch(), speakers(2, 0.2)
    for name, mine in frames.items():
        batch.join(name, make())
        batch.observe(name, mine[0])
    broken = make()
    monkeypatch.setattr(broken, "due", lambda now_ns: 1 / 0)
    batch.join("r2", broken)
    now = frames["r0"][0].stamp_ns + LATENCY
    due = batch.ask({"r0": now, "r1": now, "r2": now})
    assert isinstance(due.failed["r2"], ZeroDivisionError)
    assert set(batch.answer(due, due.draw(), 0.01)) == {"r0", "r1"}


def asked(batch: ListenerBatch, frames: dict[str, list[SpeakerFrame]], k: int = 0):
    for name, mine in frames.items():
        batch.observe(name, mine[k])
    return batch.ask({name: mine[k].stamp_ns + LATENCY for name, mine in frames.items()})


def test_who_leaves_or_begins_anew_while_a_plan_is_drawn_has_none(make):
    batch, frames = ListenerBatch(), speakers(3, 1.0)
    members = {name: make() for name in frames}
    for name, member in members.items():
        batch.join(name, member)
    due = asked(batch, frames)
    assert set(due.asked) == set(frames)
    drawn = due.draw()
    batch.leave("r1")
    members["r2"].reset()
    answered = batch.answer(due, drawn, 0.02)
    assert set(answered) == {"r0"}
    assert answered["r0"].compute_s == 0.02
    assert set(batch.ask({"r2": frames["r2"][0].stamp_ns + LATENCY}).asked) == set()  # it knows nobody now


def test_nobody_is_asked_twice_at_a_time_and_a_failed_drawing_is_made_up_for(make):
    batch, frames = ListenerBatch(), speakers(2, 2.0)
    for name in frames:
        batch.join(name, make())
    due = asked(batch, frames)
    assert not asked(batch, frames, 5)
    assert batch.answer(due, {}, 0.0) == {}
    assert set(asked(batch, frames, 6).asked) == set(frames)


def test_while_a_plan_is_drawn_frames_are_taken_in_and_the_plan_does_not_change(make):
    frames = speakers(1, 2.0)
    batch, other = ListenerBatch(), ListenerBatch()
    batch.join("r0", make())
    other.join("r0", make())
    due, before = asked(batch, frames), asked(other, frames)
    expected = other.answer(before, before.draw(), 0.0)
    for k in range(1, 4):
        batch.observe("r0", frames["r0"][k])
        batch.settle()
    same([batch.answer(due, due.draw(), 0.0)["r0"]], [expected["r0"]], 0.0)


def test_listeners_without_networks_are_welcome(make):
    frames = speakers(2, 1.0)
    config = ListenerConfig()
    batch = ListenerBatch()
    batch.join("r0", make_listener("rules", seed=1, config=config))
    batch.join("r1", make())
    plans = together(batch, frames, {}, {}, make)
    same(plans["r0"], drive(make_listener("rules", seed=1, config=config), frames["r0"], 1), 0.0)
    assert plans["r1"][0].policy == "model"


def test_one_batch_has_one_set_of_networks(make, any_weights):
    batch = ListenerBatch()
    batch.join("r0", make())
    stranger = DiffusionListener(seed=0, config=ListenerConfig(model_dir=str(any_weights)))
    with pytest.raises(ConfigError, match="share"):
        batch.join("r1", stranger)
    batch.join("r0", stranger)  # takes the place of the only one
    assert len(batch) == 1


def test_large_batches_are_drawn_in_parts(make, monkeypatch):
    frames = speakers(5, 0.2)
    batch = ListenerBatch()
    for name in frames:
        batch.join(name, make(seed=int(name[1])))
    due = asked(batch, frames)
    whole = due.draw()
    monkeypatch.setattr(batch_module, "MOST", 2)
    for name, part in due.draw().items():
        np.testing.assert_allclose(part.shown, whole[name].shown, atol=1e-5)


def test_frames_are_encoded_together_as_alone(make):
    frames = speakers(3, 1.0)
    one, many = [make() for _ in frames], [make() for _ in frames]
    for k in range(20):
        for a, b, mine in zip(one, many, frames.values(), strict=True):
            a.grid.push(mine[k])
            a.grid.settle()
            if b is not many[2] or k >= 5:  # came later: looks at fewer frames
                b.grid.push(mine[k])
        encode_together([m.grid for m in many])
    for a, b in list(zip(one, many, strict=True))[:2]:
        np.testing.assert_allclose(a.grid.slots[-1].token, b.grid.slots[-1].token, atol=1e-5)
    assert not np.allclose(one[2].grid.slots[-1].token, many[2].grid.slots[-1].token, atol=1e-3)


def test_two_frames_in_one_slot_are_encoded_once(make):
    listener, frames = make(), speakers(1, 0.2)["r0"]
    listener.observe(frames[0])
    listener.observe(replace(frames[1], stamp_ns=frames[0].stamp_ns + SLOT // 4))
    assert len(listener.grid.staged) == 1
    assert len(listener.grid.slots) == 0
    listener.grid.settle()
    assert len(listener.grid.slots) == 1


def test_batches_are_filled_up_to_few_sizes():
    assert [padded(n) for n in (1, 2, 3, 5, 8, 33, 64)] == [1, 2, 4, 8, 8, 64, 64]
    assert padded(100) == 100


def test_warming_up_draws_every_size_once_with_and_without_guidance(networks, monkeypatch):
    drawn = []
    draw = planner_module.draw

    def noted(n, speaker, missing, past, conditions, noise, how, lead):
        guided = bool((batch_module.guided(conditions, how) != 1.0).all())
        drawn.append((len(speaker), noise.shape[1], guided))
        return draw(n, speaker, missing, past, conditions, noise, how, lead)

    monkeypatch.setattr(planner_module, "draw", noted)
    warm(networks, Sampling(steps=1, candidates=2), 5)
    # At a choice both candidates begin and one goes on.
    assert drawn == [
        (n, k, guided)
        for n in (1, 2, 4, 8) for begun in ((1,), (2, 1)) for guided in (False, True) for k in begun
    ]  # fmt: skip
    assert draw_together(networks, []) == []
