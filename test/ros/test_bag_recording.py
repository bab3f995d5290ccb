"""The queue and thread behind a recorder, and a node's look at its clock: no ROS, no disk that is really full."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from reactdiff_ros.recordings.graph.recorder_node import Recording

Usage = namedtuple("Usage", "total used free")


class Sink:
    """Keeps what it is given; waits or fails where a test says so."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, int, bytes]] = []
        self.closed = 0
        self.fails_at: int | None = None
        self.begun, self.free = threading.Event(), threading.Event()
        self.free.set()

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        self.begun.set()
        assert self.free.wait(60.0)
        if len(self.kept) == self.fails_at:
            raise OSError(28, "No space left on device")
        self.kept.append((topic, stamp_ns, data))

    def close(self) -> None:
        self.closed += 1


def recording(sink: Sink, folder: Path, *, queue_bytes: int = 1000, keep_free: int = 0) -> tuple[Recording, list[str]]:
    said: list[str] = []
    return Recording(sink.write, sink.close, folder, queue_bytes, keep_free, said.append), said


def test_all_that_was_put_is_written_in_order_and_the_bag_is_completed(tmp_path):
    sink = Sink()
    record, said = recording(sink, tmp_path)
    for i in range(50):
        record.put("a" if i % 2 else "b", i, bytes([i]))
    assert record.close(10.0)
    assert [stamp for _, stamp, _ in sink.kept] == list(range(50))
    assert record.written == {"a": 25, "b": 25}
    assert (sink.closed, said, record.going_on) == (1, [], False)


def test_a_slow_disk_costs_messages_that_are_counted_and_never_the_caller(tmp_path):
    sink = Sink()
    sink.free.clear()
    record, _ = recording(sink, tmp_path, queue_bytes=100)
    record.put("a", 0, b"x")
    assert sink.begun.wait(60.0)  # that one is with the disk; what follows waits
    for i in range(1, 11):
        record.put("a", i, bytes(30))
    assert record.dropped == {"a": 7}
    sink.free.set()
    assert record.close(10.0)
    assert [stamp for _, stamp, _ in sink.kept] == [0, 1, 2, 3]


def test_a_disk_that_fails_ends_the_recording_with_one_sentence(tmp_path):
    sink = Sink()
    sink.fails_at = 3
    record, said = recording(sink, tmp_path)
    for i in range(10):
        record.put("a", i, b"x")
    assert record.close(10.0)
    assert len(said) == 1
    assert said[0] == record.ended
    assert "No space left on device" in said[0]
    assert str(tmp_path) in said[0]
    assert (len(sink.kept), sink.closed) == (3, 1)
    record.put("a", 11, b"x")  # harmless
    assert not record.going_on


def test_recording_ends_before_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 999, 50_000_000))
    sink = Sink()
    record, said = recording(sink, tmp_path, keep_free=200_000_000)
    record.put("a", 1, b"x")
    assert record.close(10.0)
    assert sink.kept == []
    assert sink.closed == 1
    assert "nearly full (50 MB" in said[0]
