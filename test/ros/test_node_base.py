"""What every node shares: problems, stamps, its log, and worker threads. No graph, no waiting."""

import json
import threading
from types import SimpleNamespace

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
    Repeats,
    StampWatch,
)
from reactdiff_ros.worker import Worker


def test_worst_problem_in_force_is_what_is_said():
    health = Health()
    assert health.problem("sound", "no sound", Level.WARN)
    assert health.problem("camera", "no camera", Level.ERROR)
    assert not health.problem("camera", "no camera", Level.ERROR), "the same again is no news"
    assert health.summary("works") == (Level.ERROR, "no camera")
    assert health.solved("camera") == "no camera"
    assert health.summary("works") == (Level.WARN, "no sound")
    health.solved("sound")
    assert (health.summary("works").level, health.last_error) == (Level.OK, "no camera")


def test_late_evidence_is_a_matter_of_clocks_if_no_load_explains_it_or_none_is_ever_in_time():
    for late_s in (-1.1, -3.0, 10.0, 1e9):
        assert "synchronise the clocks" in StampWatch().sentence("a", int(late_s * NS), 0), late_s
    watch = StampWatch()
    for t in range(20):  # now and then in time: a busy machine
        assert "overloaded" in watch.sentence("a", 3 * NS, t * NS)
        assert not watch.sentence("a", NS // 2, t * NS + 1)
    assert ["clocks" in watch.sentence("b", 2 * NS, t * NS) for t in range(8)] == [False] * 5 + [True] * 3


def test_while_the_clock_stands_nothing_is_missed_and_one_sentence_says_why():
    watch = ClockWatch()
    watch.look(300 * NS, NS)  # at any speed
    watch.look(300 * NS, 11 * NS)
    assert ("is frozen" in watch.sentence(), watch.running_ns(11 * NS)) == (True, NS)
    watch.look(301 * NS, 12 * NS)
    assert (watch.sentence(), watch.running_ns(13 * NS)) == ("", 3 * NS)


# The log


def test_what_is_said_again_and_again_is_held_back_and_counted_and_takes_no_memory_without_end():
    repeats = Repeats()
    assert [repeats.held_back("a", i) for i in range(BURST + 7)] == [0] * BURST + [None] * 7
    assert [repeats.held_back("b", 0), repeats.held_back("a", PERIOD_NS)] == [0, 7]
    for i in range(5 * MOST_EVENTS):
        repeats.held_back(f"e{i}", 0)
    assert len(repeats._windows) <= MOST_EVENTS


def test_a_line_is_one_line_in_which_escape_sequences_do_nothing():
    logged, written = [], []
    log = EventLog(SimpleNamespace(error=logged.append), "/camera_node", as_json=True, write=written.append)
    log.error("two\nlines \x1b]0;pwned\x07 \x9b2J", "a")
    assert "\n" not in written[0]
    assert logged == [json.loads(written[0])["sentence"]]
    assert logged[0].endswith(r"lines \u001b]0;pwned\u0007 \u009b2J")
    assert str(ReactdiffError("\x1b[2J", where="a\x07", todo="b\x9b")) == r"\u001b[2J (a\u0007): b\u009b"


@pytest.mark.ros
def test_a_running_node_writes_json_lines_alone(graph, tmp_path):
    graph.environment["REACTDIFF_LOG"] = "json"
    node = graph.start("camera_node", device=str(tmp_path / "none"))
    graph.until(lambda: '"level": "error"' in node.log, 40.0, "the error")
    graph.wait_active("camera_node")
    lines = [json.loads(line) for line in node.log.rpartition("\n")[0].splitlines() if not line.startswith("\x1b")]
    error = next(line for line in lines if line["level"] == "error")
    assert list(error) == ["time", "level", "node", "event", "sentence"]
    assert (error["node"], error["sentence"]) == ("/camera_node", graph.sentence("camera_node"))
    assert error["event"] not in ("", "note")


def test_of_a_worker_newest_wins_drops_are_counted_a_failure_ends_nothing_and_stuck_is_seen():
    handled, failures, ticks = [], [], threading.Semaphore(0)
    gate, entered = threading.Event(), threading.Event()

    def handle(kind, item):
        entered.set()
        assert gate.wait(60.0)
        handled.append((kind, item))
        if item == "bad":
            raise ValueError("bad item")

    def tick():
        ticks.release()
        raise ValueError("bad tick")

    failed = lambda error, kind: failures.append((kind, str(error)))  # noqa: E731
    worker = Worker("test", handle, {"picture": 1, "sound": 3}, failed, tick=tick, tick_s=0.001)
    worker.start()
    worker.put("sound", 0)
    assert entered.wait(60.0), "it works on 0: all that follows waits"
    for item in (1, 2, 3):
        worker.put("picture", item)
    for item in (4, 5, "bad", 7):
        worker.put("sound", item)
    with pytest.raises(KeyError):
        worker.put("late", 8)
    worker.allow("late", 2)
    worker.put("late", 8)
    gate.set()
    until(lambda: len(handled) == 6)
    assert handled == [("sound", 0), ("picture", 3), ("sound", 5), ("sound", "bad"), ("sound", 7), ("late", 8)]
    assert worker.dropped == {"picture": 2, "sound": 1}
    for _ in range(5):
        assert ticks.acquire(timeout=60.0), "ticks go on between items and after failures"
    assert set(failures) == {("sound", "bad item"), ("test", "bad tick")}

    gate.clear()
    entered.clear()
    worker.put("sound", 9)
    assert entered.wait(60.0)
    assert worker.busy_s() > 0.0
    assert not worker.stop(0.01), "it is stuck"
    gate.set()
    assert worker.stop(60.0)
