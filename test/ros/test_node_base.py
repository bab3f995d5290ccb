"""What every node shares: problems, rates, stamps, its log, and worker threads. No graph, no waiting."""

from __future__ import annotations

import json
import math
import threading

import pytest
from deadline import until

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.nodes.health import (
    BURST,
    MOST_EVENTS,
    PERIOD_NS,
    ClockWatch,
    EventLog,
    Health,
    Level,
    Limiter,
    Meter,
    Repeats,
    StampWatch,
    console_arguments,
)
from reactdiff_ros.worker import Worker


def test_worst_problem_in_force_is_what_is_said():
    health = Health()
    assert health.problem("sound", "no sound", Level.WARN)
    assert health.problem("camera", "no camera", Level.ERROR)
    assert not health.problem("camera", "no camera", Level.ERROR), "the same again is no news"
    assert health.summary("works").sentence == "no camera"
    assert health.solved("camera") == "no camera"
    assert health.solved("camera") is None
    assert health.summary("works").level is Level.WARN
    health.solved("sound")
    assert (health.summary("works").level, health.last_error) == (Level.OK, "no camera")


def test_rate_and_latency_are_of_their_windows():
    meter = Meter()
    for i in range(100):
        meter.output(i * NS // 25, 10.0 if i < 50 else None)
    now = 100 * NS // 25
    assert meter.rate_hz(now) == pytest.approx(25, abs=1)
    assert meter.latency_ms(now) == (10.0, 10.0)
    assert all(math.isnan(v) for v in meter.latency_ms(now + 10 * NS))
    assert meter.rate_hz(now + 10 * NS) == 0.0


def test_a_repeated_remark_is_let_through_once_a_period_and_another_kind_sooner():
    limiter = Limiter()
    assert [limiter.due("a", t * NS) for t in (0, 1, 9, 10, 11)] == [True, False, False, True, False]
    given = [(0.0, "cut"), (0.1, "cut"), (0.2, "huge"), (1.1, "huge"), (1.2, "cut"), (2.2, "huge")]
    assert [limiter.due("b", int(t * NS), kind) for t, kind in given] == [True, False, False, True, False, False]


@pytest.mark.parametrize("late_s", [-1.1, -3.0, 10.0, 1e9])
def test_evidence_that_no_load_explains_is_a_matter_of_clocks_at_once(late_s):
    assert "synchronise the clocks" in StampWatch().sentence("a", int(late_s * NS), 0)


def test_late_evidence_is_a_matter_of_clocks_only_if_none_is_ever_in_time():
    watch = StampWatch()
    for t in range(20):  # now and then in time: a busy machine
        assert "overloaded" in watch.sentence("a", 3 * NS, t * NS)
        assert not watch.sentence("a", NS // 2, t * NS + 1)
    found = ["clocks" in watch.sentence("b", 2 * NS, t * NS) for t in range(8)]
    assert found == [False] * 5 + [True] * 3


def test_while_the_clock_stands_nothing_is_missed_and_one_sentence_says_why():
    watch = ClockWatch()
    watch.look(0, 0)
    assert "waits for /clock" in watch.sentence()
    for second in range(1, 4):
        watch.look(100 * second * NS, second * NS)  # at any speed
    assert (watch.sentence(), watch.running_ns(3 * NS)) == ("", 3 * NS)
    for second in range(4, 14):
        watch.look(300 * NS, second * NS)
    assert "is frozen" in watch.sentence()
    assert watch.running_ns(13 * NS) == 3 * NS
    watch.look(301 * NS, 14 * NS)
    assert (watch.sentence(), watch.running_ns(15 * NS) - watch.running_ns(14 * NS)) == ("", NS)


# The log


class Logger:
    """In place of rclpy's."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.info = lambda text: self.lines.append(("info", text))
        self.warning = lambda text: self.lines.append(("warning", text))
        self.error = lambda text: self.lines.append(("error", text))


def test_repeats_are_held_back_counted_and_take_no_memory_without_end() -> None:
    repeats = Repeats()
    assert [repeats.held_back("a", i) for i in range(BURST + 7)] == [0] * BURST + [None] * 7
    assert repeats.held_back("b", 0) == 0
    assert repeats.held_back("a", PERIOD_NS) == 7
    for i in range(5 * MOST_EVENTS):
        repeats.held_back(f"e{i}", 0)
    assert len(repeats._windows) <= MOST_EVENTS
    logger = Logger()
    log = EventLog(logger, "/robot1/camera_node", as_json=False)
    for _ in range(BURST + 3):
        log.error("the camera is gone", "camera")
        log.info("a note")
    assert [line for line in logger.lines if line[0] == "error"] == [("error", "the camera is gone")] * BURST
    assert logger.lines.count(("info", "a note")) == BURST + 3, "notes are never held back"


def test_json_lines_are_objects_and_escape_sequences_do_nothing() -> None:
    logger, written = Logger(), list[str]()
    log = EventLog(logger, "/camera_node", as_json=True, write=written.append)
    log.warning('two\nlines "quoted" é', "drop audio")
    assert "\n" not in written[0]
    line = json.loads(written[0])
    assert list(line) == ["time", "level", "node", "event", "sentence"]
    assert (line["level"], line["node"], line["event"]) == ("warning", "/camera_node", "drop audio")
    assert logger.lines == [("warning", line["sentence"])]
    log.error("the robot \x1b]0;pwned\x07 \x9b2J stopped", "a")
    assert logger.lines[-1] == ("error", r"the robot \u001b]0;pwned\u0007 \u009b2J stopped")
    assert str(ReactdiffError("\x1b[2J", where="a\x07", todo="b\x9b")) == r"\u001b[2J (a\u0007): b\u009b"
    assert console_arguments(["node"], {}) == ["node"]
    assert console_arguments(["node"], {"REACTDIFF_LOG": " JSON"}) == ["node", "--ros-args", "--disable-stdout-logs"]


@pytest.mark.ros
def test_a_running_node_writes_json_lines_alone(graph, tmp_path) -> None:
    graph.environment["REACTDIFF_LOG"] = "json"
    node = graph.start("camera_node", device=str(tmp_path / "none"))
    graph.until(lambda: '"level": "error"' in node.log, 40.0, "the error")
    graph.wait_active("camera_node")
    lines = [json.loads(line) for line in node.log.splitlines() if not line.startswith("\x1b")]
    error = next(line for line in lines if line["level"] == "error")
    assert error["node"] == "/camera_node"
    assert error["event"] not in ("", "note")
    assert error["sentence"] == graph.sentence("camera_node")


# Worker threads


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
    worker.put("sound", 0)
    assert entered.wait(60.0)  # it works on 0: all that follows waits
    yield worker, handled, failures, gate
    gate.set()
    assert worker.stop(60.0)


def test_newest_wins_and_drops_are_counted(workshop):
    worker, handled, _, gate = workshop
    for i in (1, 2, 3):
        worker.put("picture", i)
    for i in (4, 5, 6, 7):
        worker.put("sound", i)
    gate.set()
    until(lambda: len(handled) == 5)
    assert handled == [("sound", 0), ("picture", 3), ("sound", 5), ("sound", 6), ("sound", 7)]
    assert worker.dropped == {"picture": 2, "sound": 1}


def test_a_failure_ends_nothing_and_a_kind_may_be_added_while_it_runs(workshop):
    worker, handled, failures, gate = workshop
    with pytest.raises(KeyError):
        worker.put("late", 1)
    worker.allow("late", 2)
    worker.put("late", 2)
    worker.put("sound", "bad")
    worker.put("sound", "good")
    gate.set()
    until(lambda: len(handled) == 4)
    assert handled[1] == ("late", 2)
    assert failures == [("sound", "bad item")]


def test_stuck_worker_is_seen_and_stop_gives_up(workshop):
    worker, _, _, gate = workshop
    until(lambda: worker.busy_s() > 0.0)
    assert not worker.stop(0.01)
    gate.set()


def test_ticks_go_on_between_items_and_after_failures():
    ticks, handled, failures = threading.Semaphore(0), [], []

    def tick():
        ticks.release()
        raise ValueError("tick")

    worker = Worker(
        "ticker", lambda _, item: handled.append(item), {"item": 2}, lambda _, kind: failures.append(kind),
        tick=tick, tick_s=0.001,
    )  # fmt: skip
    worker.start()
    worker.put("item", 1)
    for _ in range(5):
        assert ticks.acquire(timeout=60.0)
    assert worker.stop(60.0)
    assert handled == [1]
    assert set(failures) == {"ticker"}
