"""Many listeners in one batch: each as it is alone, with its own people, style and faults; rounds in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speaker_frames import LATENCY, drive, session

from reactdiff_ros.errors import MessageError
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


def joined(make, names, choice: QualityChoice | None = None, **settings) -> ListenerBatch:
    batch = ListenerBatch(choice)
    for seed, name in enumerate(names):
        batch.join(name, make(seed, **settings))
    return batch


def plans(batch: ListenerBatch, times: dict[str, int]) -> dict[str, Reaction]:
    """The plans that are due, drawn at once."""
    found = batch.due(times, 0.0)
    return {} if found is None else batch.finished(found.draw(), 0.0, 0.0)


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
    """One of them without networks; r1 leaves at frame 40, r2 and r3 join later."""
    settings = {"r0": {}, "r1": {"candidates": 1}, "r2": {"guidance": 1.5}, "r3": {"responsiveness": 0.9}, "r4": None}
    frames, batch = speakers(5), ListenerBatch()
    join, leave = {"r0": 0, "r1": 0, "r2": 11, "r3": 30, "r4": 0}, {"r1": 40}
    shown: dict[str, list[Reaction]] = {name: [] for name in frames}

    def listener(name: str):
        own = settings[name]
        return make_listener("rules", seed=4, config=ListenerConfig()) if own is None else make(int(name[1]), **own)

    for k in range(75):
        for name in [name for name, at in join.items() if at == k]:
            batch.join(name, listener(name))
        for name in [name for name, at in leave.items() if at == k]:
            batch.leave(name)
        here = {name: mine[k] for name, mine in frames.items() if name in batch}
        for name, frame in here.items():
            batch.observe(name, frame)
        for name, plan in plans(batch, {name: frame.stamp_ns + LATENCY for name, frame in here.items()}).items():
            shown[name].append(plan)
    for name, mine in frames.items():
        same(shown[name], drive(listener(name), mine[join[name] : leave.get(name)], int(name[1])))
    faces = [np.concatenate([p.coefficients for p in shown[name][:6]]) for name in ("r0", "r1")]
    assert np.abs(faces[0] - faces[1]).max() > 0.01


def test_a_malformed_frame_and_a_listener_that_raises_are_the_fault_of_one_alone(make, monkeypatch):
    frames = speakers(3, 0.2)
    batch, broken = joined(make, ["r0", "r1"]), make()
    monkeypatch.setattr(broken, "due", lambda now_ns: 1 / 0)
    batch.join("r2", broken)
    with pytest.raises(MessageError):
        batch.observe("r1", replace(frames["r1"][0], coefficients=np.zeros(3, np.float32)))
    batch.observe("r0", frames["r0"][0])
    found = batch.due({name: mine[0].stamp_ns + LATENCY for name, mine in frames.items()}, 0.0)
    assert isinstance(found.failed["r2"], ZeroDivisionError)
    assert set(batch.finished(found.draw(), 0.01, 0.0)) == {"r0"}


def test_a_listener_that_leaves_or_is_reset_while_its_plan_is_drawn_has_none(make):
    frames = speakers(3, 1.0)
    batch = joined(make, frames)
    drawn = due(batch, frames).draw()
    batch.leave("r1")
    batch.members()[-1].reset()
    answered = batch.finished(drawn, 0.02, 0.0)
    assert set(answered) == {"r0"}
    assert answered["r0"].compute_s == 0.02
    assert batch.due({"r2": frames["r2"][0].stamp_ns + LATENCY}, 0.0) is None  # it knows no one now


def test_a_failed_round_is_made_up_for_and_says_nothing_of_speed(make):
    batch, frames = joined(make, ["r0", "r1"], QualityChoice(4, 4)), speakers(2, 2.0)
    assert due(batch, frames) is not None
    assert due(batch, frames, 5) is None, "one round is drawn at a time"
    assert batch.finished({}, 0.0, 9.0) == {}
    assert set(due(batch, frames, 6).requests) == set(frames)
    assert batch.plans == batch.choice.changes == 0


# Rounds and quality


def test_a_slow_runtime_gets_fewer_candidates_and_steps_and_then_no_deadline_is_missed(make):
    """Draws really, in an imagined time of 9 ms for a step of a candidate."""
    frames = speakers(2, 10.0)
    batch = joined(make, frames, QualityChoice(4, 4), steps=4, candidates=4)
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
