"""Health, meter and worker of a node: no ROS, no waiting."""

from __future__ import annotations

import math
import threading

import pytest

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.clock import NS
from reactdiff_ros.nodes.base import Worker
from reactdiff_ros.nodes.health import Health, Level, Limiter, Meter, StampWatch


def test_worst_problem_in_force_is_what_is_said():
    health = Health()
    assert health.summary("works").sentence == "works"
    assert health.problem("sound", "no sound", Level.WARN)
    assert health.problem("camera", "no camera", Level.ERROR)
    assert not health.problem("camera", "no camera", Level.ERROR), "the same again is no news"
    assert health.summary("works").sentence == "no camera"
    assert health.solved("camera") == "no camera"
    assert health.solved("camera") is None
    assert health.summary("works").level is Level.WARN
    assert health.solved("sound") == "no sound"
    assert health.summary("works").level is Level.OK
    assert health.last_error == "no camera"


def test_rate_and_latency_are_of_their_windows():
    meter = Meter()
    for i in range(100):
        meter.output(i * NS // 25, 10.0 if i < 50 else None)
    now = 100 * NS // 25
    assert meter.rate_hz(now) == pytest.approx(25, abs=1)
    assert meter.latency_ms(now) == (10.0, 10.0)
    assert all(math.isnan(v) for v in meter.latency_ms(now + 10 * NS))
    assert meter.rate_hz(now + 10 * NS) == 0.0


def test_repeated_remark_is_let_through_once_a_period():
    limiter = Limiter(10 * NS)
    assert [limiter.due("a", t * NS) for t in (0, 1, 9, 10, 11)] == [True, False, False, True, False]
    assert limiter.due("b", 11 * NS)


def test_a_remark_of_another_kind_is_held_back_for_less():
    limiter = Limiter(10 * NS)
    told = [(0.0, "cut"), (0.1, "cut"), (0.2, "huge"), (1.1, "huge"), (1.2, "cut"), (1.3, "huge"), (2.2, "huge")]
    assert [limiter.due("a", int(t * NS), kind) for t, kind in told] == [True, False, False, True, False, False, False]
    assert limiter.due("a", int(11.2 * NS), "huge")


def test_late_evidence_of_a_busy_machine_is_no_matter_of_clocks():
    watch = StampWatch()
    assert not watch.sentence("a", NS, 0)
    for t in range(20):  # now and then in time
        assert "overloaded" in watch.sentence("a", 3 * NS, t * NS)
        assert not watch.sentence("a", NS // 2, t * NS + 1)
    assert "overloaded" in watch.sentence("a", 2 * NS, 100 * NS)  # after a pause


@pytest.mark.parametrize("late_s", [-1.1, -3.0, 10.0, 1e9])
def test_evidence_that_no_load_explains_is_a_matter_of_clocks_at_once(late_s):
    assert "synchronise the clocks" in StampWatch().sentence("a", int(late_s * NS), 0)


def test_evidence_that_is_always_late_is_a_matter_of_clocks_after_a_while():
    watch = StampWatch()
    found = ["clocks" in watch.sentence("a", 2 * NS, t * NS) for t in range(8)]
    assert found == [False] * 5 + [True] * 3
    assert "overloaded" in watch.sentence("b", 2 * NS, 8 * NS)  # another topic


@pytest.fixture
def workshop():
    """A worker whose handler waits until it is let go; what it handled and what failed."""
    handled, failures, gate, entered = [], [], threading.Event(), threading.Event()

    def handle(kind, item):
        entered.set()
        assert gate.wait(60.0)
        handled.append((kind, item))
        if item == "bad":
            raise ValueError("bad item")

    worker = Worker("test", handle, {"picture": 1, "sound": 3}, lambda e, kind: failures.append((kind, str(e))))
    worker.start()
    yield worker, handled, failures, gate, entered
    gate.set()
    assert worker.stop(60.0)


def settle(worker, condition):
    """Put items until the worker has come that far; the put itself is what wakes it."""
    for _ in range(12000):
        if condition():
            return
        threading.Event().wait(0.005)
    pytest.fail("the worker did not get there")


def test_newest_wins_and_drops_are_counted(workshop):
    worker, handled, _, gate, entered = workshop
    worker.put("sound", 0)
    assert entered.wait(60.0)  # it works on 0: all that follows waits
    for i in (1, 2, 3):
        worker.put("picture", i)
    for i in (4, 5, 6, 7):
        worker.put("sound", i)
    gate.set()
    settle(worker, lambda: len(handled) == 5)
    assert handled == [("sound", 0), ("picture", 3), ("sound", 5), ("sound", 6), ("sound", 7)]
    assert worker.dropped == {"picture": 2, "sound": 1}


def test_a_picture_keeps_its_place_behind_late_sound(workshop):
    worker, handled, _, gate, entered = workshop
    worker.put("sound", 0)
    assert entered.wait(60.0)
    worker.put("picture", 1)
    worker.put("sound", 1)
    worker.put("picture", 2)
    worker.put("sound", 2)
    worker.put("picture", 3)
    gate.set()
    settle(worker, lambda: len(handled) == 4)
    assert handled == [("sound", 0), ("picture", 3), ("sound", 1), ("sound", 2)]


def test_failure_ends_nothing_and_names_its_kind(workshop):
    worker, handled, failures, gate, _ = workshop
    gate.set()
    worker.put("sound", "bad")
    worker.put("sound", "good")
    settle(worker, lambda: len(handled) == 2)
    assert failures == [("sound", "bad item")]


def test_stuck_worker_is_seen_and_stop_gives_up(workshop):
    worker, _, _, gate, entered = workshop
    assert worker.busy_s() == 0.0
    worker.put("picture", 1)
    assert entered.wait(60.0)
    assert worker.busy_s() >= 0.0
    assert not worker.stop(0.01)
    gate.set()


def test_tick_goes_on_beside_the_items_and_after_failures():
    ticks = threading.Semaphore(0)
    handled = []

    def tick():
        ticks.release()
        raise ValueError("tick")

    failures = []
    worker = Worker(
        "ticker",
        lambda kind, item: handled.append(item),
        {"item": 2},
        lambda error, kind: failures.append(kind),
        tick=tick,
        tick_s=0.001,
    )
    worker.start()
    worker.put("item", 1)
    for _ in range(5):
        assert ticks.acquire(timeout=60.0)
    assert worker.stop(60.0)
    assert handled == [1]
    assert set(failures) == {"ticker"}
