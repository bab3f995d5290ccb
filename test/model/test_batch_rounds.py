"""Rounds drawn elsewhere: timed from when they were due, counted when late, and made to fit a slow machine."""

from __future__ import annotations

import pytest
from model_drive import LATENCY
from speaker_frames import session

from reactdiff_ros.model.batch_rounds import Done, Rounds
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.factory import make_listener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.plan.quality import DEADLINE_S, Quality, QualityChoice
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.weights import find_weights


@pytest.fixture(scope="module")
def networks(any_weights):
    return Networks(find_weights(any_weights))


@pytest.fixture
def make(any_weights, networks):
    def make(seed=0, **settings):
        given = {"model_dir": str(any_weights), "steps": 4, "candidates": 4, **settings}
        return DiffusionListener(seed=seed, config=ListenerConfig(**given), networks=networks)

    return make


class SlowRuntime:
    """Draws really, in an imagined time of so many ms for a step of a candidate, one job after another."""

    def __init__(self, rounds: Rounds, step_ms: float) -> None:
        self.rounds, self.step_ms, self.now_s = rounds, step_ms, 50.0
        self.times: list[float] = []
        self.sizes: list[tuple[int, int]] = []

    def play(self, frames, first: int, last: int) -> None:
        """Frames `first` .. `last` of every listener at 25 Hz; each job ends before what comes after it."""
        job, ready_s, drawn = None, 0.0, {}
        for k in range(first, last):
            at_s = 50.0 + 0.04 * k
            while job is not None and ready_s <= at_s:
                job, ready_s, drawn = self._finish(job, ready_s, drawn, frames, k - 1)
            self.now_s = at_s
            for name, mine in frames.items():
                self.rounds.batch.observe(name, mine[k])
            started = self._start(frames, k)
            if started is not None:
                job, ready_s, drawn = started
        if job is not None:
            self._finish(job, ready_s, drawn, frames, last - 1)

    def _start(self, frames, k):
        job = self.rounds.due({name: mine[k].stamp_ns + LATENCY for name, mine in frames.items()}, self.now_s)
        if job is None:
            return None
        drawn = job.round.draw()
        work = [
            a.draft.how.steps * (1 + 0.35 * (a.draft.noise.shape[1] - 1)) for a in job.round.asked.values() if a.draft
        ]
        self.sizes += [(a.draft.how.steps, a.draft.noise.shape[1]) for a in job.round.asked.values() if a.draft]
        return job, self.now_s + 1e-3 * self.step_ms * max(work, default=0.0), drawn

    def _finish(self, job, ready_s, drawn, frames, k):
        self.now_s = ready_s
        self.rounds.finished(Done(job, drawn, 0.0), ready_s)
        self.times.append(ready_s - job.due_s)
        return self._start(frames, k) or (None, 0.0, {})


def people(count: int, seconds: float):
    return {f"r{i}": list(session(seconds, smile=0.3, talk=i % 2 == 0)) for i in range(count)}


def test_a_slow_runtime_gets_fewer_candidates_and_steps_and_then_no_deadline_is_missed(make):
    rounds, frames = Rounds(QualityChoice(4, 4)), people(2, 10.0)
    for i, name in enumerate(frames):
        rounds.join(name, make(seed=i))
    runtime = SlowRuntime(rounds, 9.0)
    runtime.play(frames, 0, 100)
    assert rounds.misses > 0
    assert rounds.choice.quality == Quality(3, 1)
    missed = rounds.misses
    runtime.play(frames, 100, 250)
    assert rounds.misses == missed
    assert set(runtime.sizes[-20:]) == {(3, 1)}
    assert max(runtime.times[-20:]) <= DEADLINE_S
    told = rounds.figures()
    assert told["quality"] == "4 of 5"
    assert (told["quality_steps"], told["quality_candidates"]) == ("3", "1")
    state = rounds.batch.members()[0].state()
    assert (state.settings["steps"], state.settings["candidates"]) == (3, 1)


def test_who_joins_a_slow_machine_plans_as_the_others_do(make):
    choice = QualityChoice(4, 4)
    choice.level = 2
    rounds, late = Rounds(choice), make()
    rounds.join("late", late)
    assert late.state().settings["candidates"] == choice.quality.candidates == 1


def test_a_fixed_quality_stays_and_misses_are_counted(make):
    rounds, frames = Rounds(), people(1, 4.0)
    rounds.join("r0", make())
    SlowRuntime(rounds, 30.0).play(frames, 0, 100)
    assert rounds.misses > 5
    assert rounds.plans >= rounds.misses
    assert rounds.figures()["quality"] == "fixed"
    assert rounds.batch.members()[0].state().settings["steps"] == 4


def test_the_wait_behind_a_round_of_others_counts(make):
    rounds, frames = Rounds(), people(2, 1.0)
    for name in frames:
        rounds.join(name, make())
    first, second = (mine[0] for mine in frames.values())
    rounds.batch.observe("r0", first)
    job = rounds.due({"r0": first.stamp_ns + LATENCY}, 1.0)
    rounds.batch.observe("r1", second)
    assert rounds.due({"r1": second.stamp_ns + LATENCY}, 1.01) is None
    assert rounds.busy
    assert not rounds.batch.members()[1].grid.staged  # encoded meanwhile
    rounds.finished(Done(job, job.round.draw(), 0.02), 1.03)
    later = rounds.due({"r1": second.stamp_ns + LATENCY}, 1.03)
    assert later.due_s == 1.01
    rounds.finished(Done(later, later.round.draw(), 0.03), 1.06)
    assert (rounds.plans, rounds.misses) == (2, 1)


def test_a_drawing_that_failed_is_asked_for_again_and_says_nothing_of_speed(make):
    rounds, frames = Rounds(QualityChoice(4, 4)), people(1, 2.0)["r0"]
    rounds.join("r0", make())
    for k in range(30):
        rounds.batch.observe("r0", frames[k])
        job = rounds.due({"r0": frames[k].stamp_ns + LATENCY}, 0.04 * k)
        if job is not None:
            assert rounds.finished(Done(job, {}, 0.0), 0.04 * k + 9.0) == {}
    assert rounds.plans == rounds.choice.changes == 0


def test_rules_need_no_drawing():
    rounds, frames = Rounds(QualityChoice(8, 4)), people(1, 1.0)["r0"]
    rounds.join("r0", make_listener("rules", seed=0))
    rounds.batch.observe("r0", frames[0])
    job = rounds.due({"r0": frames[0].stamp_ns + LATENCY}, 0.0)
    assert job.round.draw() == {}
    assert set(rounds.finished(Done(job, {}, 0.0), 0.001)) == {"r0"}
    assert rounds.plans == 1
