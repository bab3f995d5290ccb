"""Work in advance changes neither the order nor the errors, and ends with who asked for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from reactdiff_ros.recordings.replay.replay import in_thread


def test_the_same_items_in_the_same_order() -> None:
    assert list(in_thread(iter(range(500)), 4)) == list(range(500))
    assert list(in_thread(iter(()), 4)) == []


def test_an_error_comes_after_what_was_before_it() -> None:
    def breaks() -> Iterator[int]:
        yield from range(3)
        raise ValueError("broken")

    ahead = in_thread(breaks(), 1)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_who_leaves_early_leaves_no_thread_and_closes_the_source_in_its_own() -> None:
    closed_in: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed_in.append(threading.current_thread().name)

    ahead = in_thread(endless(), 3)
    assert next(ahead) == 1
    ahead.close()  # type: ignore[attr-defined]
    assert closed_in == ["decode_0"]
    assert "decode_0" not in [thread.name for thread in threading.enumerate()]
