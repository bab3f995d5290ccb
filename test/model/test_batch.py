"""Many listeners in one batch: each as it is alone, with its own people, style and faults; rounds in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speaker_frames import LATENCY, drive, session

from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.batch import DEADLINE_S, ListenerBatch, Quality, QualityChoice
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.types import Reaction, SpeakerFrame

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
    return {
        f"r{i}": list(session(seconds, smile=lambda t, i=i: 0.7 * (int(2 * t + i) % 3 == 1), talk=i % 2 == 0))
        for i in range(count)
    }


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
        for name, plan in plans(batch, times).items():
            out[name].append(plan)
    return out


def plans(batch: ListenerBatch, times: dict[str, int], compute_s: float = 0.0) -> dict[str, Reaction]:
    """The plans that are due, drawn at once."""
    due = batch.due(times, 0.0)
    return {} if due is None else batch.finished(due.draw(), compute_s, 0.0)


def due(batch: ListenerBatch, frames: dict[str, list[SpeakerFrame]], k: int = 0, now_s: float = 0.0):
    """The round after frame `k` of everyone."""
    for name, mine in frames.items():
        batch.observe(name, mine[k])
    return batch.due({name: mine[k].stamp_ns + LATENCY for name, mine in frames.items()}, now_s)


def same(one: list[Reaction], other: list[Reaction], tolerance: float = 1e-5) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert (a.start_ns, a.reason, a.engaged, a.seed) == (b.start_ns, b.reason, b.engaged, b.seed)
        np.testing.assert_allclose(a.coefficients, b.coefficients, atol=tolerance)


def test_the_same_reaction_alone_and_in_a_batch_with_people_who_come_and_go(make):
    settings = {"r0": {}, "r1": {"candidates": 1}, "r2": {"guidance": 1.5}, "r3": {"responsiveness": 0.9}}
    frames = speakers(4)
    join, leave = {"r0": 0, "r1": 0, "r2": 11, "r3": 30}, {"r1": 40}
    shown = together(ListenerBatch(), frames, join, leave, lambda name: make(seed=int(name[1]), **settings[name]))
    for name, mine in frames.items():
        alone = make(seed=int(name[1]), **settings[name])
        same(shown[name], drive(alone, mine[join[name] : leave.get(name)], int(name[1])))
    faces = [np.concatenate([p.coefficients for p in shown[name][:6]]) for name in ("r0", "r1")]
    assert np.abs(faces[0] - faces[1]).max() > 0.01


def test_a_malformed_frame_is_the_fault_of_its_sender_alone(make):
    batch, good = ListenerBatch(), speakers(2, 0.2)
    for name in good:
        batch.join(name, make())
    with pytest.raises(MessageError):
        batch.observe("r1", replace(good["r1"][0], coefficients=np.zeros(3, np.float32)))
    batch.observe("r0", good["r0"][0])
    assert set(plans(batch, {"r0": good["r0"][0].stamp_ns + LATENCY})) == {"r0"}


def test_a_listener_that_raises_is_named_and_the_others_plan(make, monkeypatch):
    batch, frames = ListenerBatch(), speakers(2, 0.2)
    for name, mine in frames.items():
        batch.join(name, make())
        batch.observe(name, mine[0])
    broken = make()
    monkeypatch.setattr(broken, "due", lambda now_ns: 1 / 0)
    batch.join("r2", broken)
    now = frames["r0"][0].stamp_ns + LATENCY
    found = batch.due({"r0": now, "r1": now, "r2": now}, 0.0)
    assert isinstance(found.failed["r2"], ZeroDivisionError)
    assert set(batch.finished(found.draw(), 0.01, 0.0)) == {"r0", "r1"}


def test_a_listener_that_leaves_or_is_reset_while_its_plan_is_drawn_has_none(make):
    batch, frames = ListenerBatch(), speakers(3, 1.0)
    members = {name: make() for name in frames}
    for name, member in members.items():
        batch.join(name, member)
    found = due(batch, frames)
    assert set(found.requests) == set(frames)
    drawn = found.draw()
    batch.leave("r1")
    members["r2"].reset()
    answered = batch.finished(drawn, 0.02, 0.0)
    assert set(answered) == {"r0"}
    assert answered["r0"].compute_s == 0.02
    assert batch.due({"r2": frames["r2"][0].stamp_ns + LATENCY}, 0.0) is None  # it knows no one now


def test_one_round_is_drawn_at_a_time_and_a_failed_one_is_made_up_for(make):
    batch, frames = ListenerBatch(QualityChoice(4, 4)), speakers(2, 2.0)
    for name in frames:
        batch.join(name, make())
    assert due(batch, frames) is not None
    assert due(batch, frames, 5) is None
    assert batch.finished({}, 0.0, 9.0) == {}
    assert set(due(batch, frames, 6).requests) == set(frames)
    assert batch.plans == batch.choice.changes == 0  # a failure says nothing of speed


def test_while_a_plan_is_drawn_frames_are_taken_in_and_the_plan_does_not_change(make):
    frames = speakers(1, 2.0)
    batch, other = ListenerBatch(), ListenerBatch()
    batch.join("r0", make())
    other.join("r0", make())
    found, before = due(batch, frames), due(other, frames)
    expected = other.finished(before.draw(), 0.0, 0.0)
    for k in range(1, 4):
        assert due(batch, frames, k) is None
        assert not batch.members()[0].grid.staged  # encoded meanwhile
    same([batch.finished(found.draw(), 0.0, 0.0)["r0"]], [expected["r0"]], 0.0)


def test_listeners_without_networks_are_welcome(make):
    frames = speakers(2, 1.0)
    config = ListenerConfig()
    batch = ListenerBatch()
    batch.join("r0", make_listener("rules", seed=1, config=config))
    batch.join("r1", make())
    shown = together(batch, frames, {}, {}, make)
    same(shown["r0"], drive(make_listener("rules", seed=1, config=config), frames["r0"], 1), 0.0)
    assert shown["r1"][0].policy == "model"


def test_one_batch_has_one_set_of_networks(make, any_weights):
    batch = ListenerBatch()
    batch.join("r0", make())
    stranger = DiffusionListener(seed=0, config=ListenerConfig(model_dir=str(any_weights)))
    with pytest.raises(ConfigError, match="share"):
        batch.join("r1", stranger)
    batch.join("r0", stranger)  # takes the place of the only one
    assert len(batch) == 1


# Rounds and quality


def test_a_slow_runtime_gets_fewer_candidates_and_steps_and_then_no_deadline_is_missed(make):
    """Draws really, in an imagined time of 9 ms for a step of a candidate."""
    batch, frames = ListenerBatch(QualityChoice(4, 4)), speakers(2, 10.0)
    for i, name in enumerate(frames):
        batch.join(name, make(seed=i, steps=4, candidates=4))
    sizes, taken = [], []
    for k in range(250):
        now_s = 50.0 + 0.04 * k
        found = due(batch, frames, k, now_s)
        if found is not None:
            size = {(r.draft.how.steps, r.draft.noise.shape[1]) for r in found.requests.values()}
            took_s = max(0.009 * steps * (1 + 0.35 * (candidates - 1)) for steps, candidates in size)
            batch.finished(found.draw(), took_s, now_s + took_s)
            sizes.append(size)
            taken.append(took_s)
        if k == 100:
            missed = batch.misses
    assert batch.misses == missed > 0
    assert batch.choice.quality == Quality(3, 1)
    assert all(size == {(3, 1)} for size in sizes[-20:])
    assert max(taken[-20:]) <= DEADLINE_S
    figures = batch.figures()
    assert (figures["quality"], figures["quality_steps"], figures["quality_candidates"]) == ("4 of 5", "3", "1")
    late = make(steps=4, candidates=4)
    batch.join("late", late)
    assert (late.state().settings["steps"], late.state().settings["candidates"]) == (3, 1)


def test_the_wait_behind_a_round_of_others_counts(make):
    batch, frames = ListenerBatch(), speakers(2, 1.0)
    for name in frames:
        batch.join(name, make())
    first, second = (mine[0] for mine in frames.values())
    batch.observe("r0", first)
    found = batch.due({"r0": first.stamp_ns + LATENCY}, 1.0)
    batch.observe("r1", second)
    assert batch.due({"r1": second.stamp_ns + LATENCY}, 1.01) is None
    assert batch.busy
    batch.finished(found.draw(), 0.02, 1.03)
    later = batch.due({"r1": second.stamp_ns + LATENCY}, 1.03)
    assert later.due_s == 1.01
    batch.finished(later.draw(), 0.03, 1.06)
    assert (batch.plans, batch.misses) == (2, 1)


HOP_S = 0.16


def rounds(choice: QualityChoice, start_s: float, end_s: float, unit_s: float, fixed_s: float, share: float):
    """Times of rounds on a runtime that needs `unit_s` for a step, `share` more for each candidate beyond the first,
    and `fixed_s` for each plan; all candidates are drawn at every fifth only.
    """
    now_s, count, times = start_s, 0, []
    while now_s < end_s:
        count += 1
        drawn = choice.quality.candidates if count % 5 == 0 else 1
        times.append(fixed_s + unit_s * choice.quality.steps * (1 + share * (drawn - 1)))
        now_s += max(HOP_S, times[-1])
        choice.record(now_s, times[-1], drawn)
    return times


@given(
    unit_s=st.floats(1e-4, 0.015), fixed_s=st.floats(0.0, 0.006), share=st.floats(0.05, 1.0),
    steps=st.integers(1, 32), candidates=st.integers(1, 16),
)  # fmt: skip
def test_on_any_machine_that_can_plans_are_in_time_and_quality_settles(unit_s, fixed_s, share, steps, candidates):
    choice = QualityChoice(steps, candidates)
    rounds(choice, 0.0, 900.0, unit_s, fixed_s, share)
    changes = choice.changes
    late = rounds(choice, 901.0, 1200.0, unit_s, fixed_s, share)
    assert choice.changes - changes <= 2
    if fixed_s + unit_s * choice.rungs[-1].steps <= DEADLINE_S:
        allowed = 12 * (choice.changes - changes)  # those by which a try at a better quality is found too dear
        assert sum(t > DEADLINE_S for t in late) <= allowed
    else:
        assert choice.exhausted
