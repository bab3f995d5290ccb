"""Hours of stream, some seconds of them: who comes when, what is written down, and how a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipPicture, ClipSound, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.soak import visits as module
from reactdiff_ros.evaluation.soak.journal import read_journal
from reactdiff_ros.evaluation.soak.long_run import LongRun
from reactdiff_ros.evaluation.soak.stream import open_clips, run_stream
from reactdiff_ros.evaluation.soak.visits import Visits
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from reactdiff_ros.simulator.rendered import demo_clip_path


class Short:
    """A clip of a second, of pictures and sound without content."""

    has_picture = True

    def __init__(self, name: str, *, broken_after: int = 10**9) -> None:
        self.path = Path(name)
        self.readings = 0
        self._broken_after = broken_after

    def pictures_and_sound(self) -> Iterator[Any]:
        self.readings += 1
        if self.readings > self._broken_after:
            raise MediaError("gone", where=str(self.path))
        for i in range(50):
            if i % 2 == 0:
                yield ClipPicture("picture", i * NS // 50, np.zeros((8, 8, 3), np.uint8))
            yield ClipSound("sound", i * NS // 50, 16000, np.ones((320, 1), np.int16))


def clips(*names: str) -> list[Any]:
    return [Short(name) for name in names]


def test_visits_are_half_a_minute_and_nobody_is_there_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VISIT_S", (5.0, 20.0))
    monkeypatch.setattr(module, "ABSENT_S", (6.0, 40.0))
    people = Visits(clips("a", "b"), 1, 0, 7 * NS, print, 0.5)
    items = list(islice(people.items(), 75 * 30))
    offsets = [item.offset_ns for item in items]
    assert offsets[0] == 7 * NS
    assert all(b >= a for a, b in pairwise(offsets))
    assert max(b - a for a, b in pairwise(offsets)) <= NS // 25
    loud = [item.offset_ns for item in items if isinstance(item, ClipSound) and item.samples.any()]
    assert loud[149] - loud[0] == 3 * NS - NS // 50  # three whole passes
    pause_s = (loud[150] - loud[149]) / NS
    assert 3.0 <= pause_s <= 20.1
    assert people.now.number > 0


def test_every_round_has_each_clip_once_and_a_later_run_goes_on_with_the_next() -> None:
    def names(first: int, count: int) -> list[str]:
        people = Visits(clips(*"abcde"), 3, first, 0, print)
        return [people._visit(first + i, 0).clip.path.name for i in range(count)]

    whole = names(0, 20)
    assert all(sorted(whole[i : i + 5]) == list("abcde") for i in range(0, 20, 5))
    assert len({tuple(whole[i : i + 5]) for i in range(0, 20, 5)}) > 1
    assert names(7, 13) == whole[7:]


def test_a_clip_that_breaks_is_told_once_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VISIT_S", (1.0, 10.0))
    monkeypatch.setattr(module, "ABSENT_S", (0.1, 0.2))
    told: list[str] = []
    bad: Any = Short("bad", broken_after=1)
    people = Visits([*clips("good"), bad], 1, 0, 0, told.append)
    list(islice(people.items(), 1000))
    assert people.now.number > 10
    assert told == ["gone (bad): it is left out"]
    nothing: Any = [Short("bad", broken_after=0)]
    with pytest.raises(MediaError, match="gone"):
        list(islice(Visits(nothing, 1, 0, 0, told.append).items(), 10))


def test_clips_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such media file"):
        open_clips([demo_clip_path(), tmp_path / "none.mp4"])
    settings, _ = settings_as_live({"policy": "rules"})
    with pytest.raises(MediaError, match="no clip"):
        run_stream([], settings, LongRun(tmp_path / "x.jsonl", 1.0))


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    settings, _ = settings_as_live({"policy": "rules", "seed": 3})
    path, opened = tmp_path / "stream.jsonl", [MediaClip(demo_clip_path())]
    shares: list[float] = []

    def go(stopped: Callable[[], bool] = lambda: False) -> bool:
        run = LongRun(path, 8.0, 2.0, {"seed": 3}, shares.append, stopped=stopped)
        return run_stream(opened, settings, run)

    assert not go(lambda: bool(shares) and shares[-1] > 0.6)
    (leg,) = read_journal(path)
    assert leg.ended == "stopped"
    assert 2.0 <= leg.seconds < 8.0
    assert go()
    first, second = read_journal(path)
    assert (first, second.ended) == (leg, "done")
    assert 8.0 <= first.seconds + second.seconds < 14.0
    assert second.minutes[-1]["visit"] > first.minutes[-1]["visit"]
    assert [name for minute in second.minutes for name, _, _ in minute["met"]]
    assert go()
    assert len(read_journal(path)) == 2  # there was nothing left to do
    minute = second.minutes[-1]
    held = minute["processes"]["session"]
    assert held["rss_mb"] > 20
    assert held["threads"] >= 1
    assert held["files"] > 2
    assert sum(minute["times"]["cost"].values()) == pytest.approx(25 * minute["seconds"], abs=4)
    assert abs(minute["apart_ms"]) < 60.0
    assert minute["behaviour"]["rate of smiles"] >= 0.0
    assert 0.9 < shares[-1] < 2.0
