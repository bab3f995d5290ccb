"""Long runs: verdicts on made-up journals, the journal itself, the stream of visits, and the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipPicture, ClipSound
from reactdiff_ros.cli.main import main
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError
from reactdiff_ros.resources import demo_clip_path
from tools.soak import stream as module
from tools.soak.figures import assemble, counted, lip_lag_ms, part_figures
from tools.soak.journal import KILLED, Leg, LongRun, OpenLeg, read_journal
from tools.soak.stream import Visits


def leg(number: int = 1, minutes: int = 60, **grows: float) -> Leg:
    """A process in which what is named grows by so much every minute."""
    rng = np.random.default_rng(number)
    done = []
    for i in range(minutes):
        ms = (10.0 + grows.get("ms", 0.0) * i) * rng.uniform(0.5, 1.0, 500)
        memory = 200.0 + grows.get("memory", 0.0) * i
        done.append(
            {
                "at_s": 60.0 * i, "seconds": 60.0, "wall_s": 70.0, "cpu_s": 30.0, "load": 1.0, "visit": i,
                "processes": {"session": {
                    "rss_mb": memory, "anonymous_mb": memory / 2, "files": 10 + int(grows.get("files", 0.0) * i),
                    "threads": 7 + int(grows.get("threads", 0.0) * i),
                }},
                "times": {"cost": counted(ms)}, "apart_ms": 20.0 + grows.get("apart", 0.0) * i,
                "met": [["a.mp4", 0.05, 0.09 + 1e-3 * grows.get("met", 0.0) * i], ["b.mp4", 0.05, None]],
                "behaviour": {"rate of nods": 5.0 + grows.get("nods", 0.0) * i + rng.normal(0.0, 0.5)},
                "counts": {"rejected": 0, "dropped": int(grows.get("dropped", 0.0) * i)},
            }
        )  # fmt: skip
    return Leg(number, {"clips": ["a.mp4"], "at": "2030-01-01T00:00:00", "commit": "abc"}, done, "done")


@pytest.mark.parametrize(
    ("begins", "grows"),
    [
        ("", {}), ("", {"memory": 0.1}), ("memory after", {"memory": 0.3}), ("open files", {"files": 0.1}),
        ("threads", {"threads": 0.1}), ("p99", {"ms": 0.03}), ("stamps of voice", {"apart": 0.3}),
        ("a person's voice", {"met": 0.6}), ("statistics of behaviour", {"nods": 0.2}),
        ("inputs rejected", {"dropped": 0.1}),
    ],
)  # fmt: skip
def test_what_changes_is_found_and_nothing_else(begins: str, grows: dict[str, float]) -> None:
    figures = assemble({"stream": part_figures([leg(**grows)], 3600.0)}, hardware={}, date="")
    broken = [row["name"] for row in figures["bounds"] if row["holds"] is not True]
    assert len(figures["bounds"]) == 9
    assert [name.startswith(begins) for name in broken] == ([True] if begins else [])


@pytest.mark.parametrize("late", [-3, 0, 4])
def test_the_lag_of_a_mouth_is_found(late: int) -> None:
    rng = np.random.default_rng(1)
    curve = np.convolve(rng.normal(size=600), np.hanning(7), "same")
    mouth = np.roll(curve, late) + 0.3 * rng.normal(size=600)
    lag = lip_lag_ms((-30.0 + curve).tolist(), mouth.tolist())
    assert lag == pytest.approx(40.0 * late, abs=12.0)


MINUTE: dict[str, Any] = {"seconds": 60.0, "processes": {}}


def adds(*minutes: dict[str, Any]) -> Callable[[OpenLeg], None]:
    return lambda open_leg: [open_leg.add(minute) for minute in minutes] and None


def test_legs_follow_each_other_and_record_how_they_ended(tmp_path: Path) -> None:
    run = LongRun(tmp_path / "a" / "b.jsonl", 200.0)
    assert read_journal(run.path) == []
    assert not run.resume(adds(MINUTE, {**MINUTE, "times": [float("nan"), {"a": float("inf")}, 1.0]}), clips=["x"])

    def fail(open_leg: OpenLeg) -> None:
        open_leg.add(MINUTE)
        raise ZeroDivisionError("of no use")

    with pytest.raises(ZeroDivisionError):
        run.resume(fail)
    assert run.resume(adds(MINUTE))
    assert run.resume(fail)  # there is nothing left to do
    legs = read_journal(run.path)
    assert [(one.number, one.seconds, one.ended) for one in legs] == [
        (1, 120.0, "stopped"), (2, 60.0, "of no use"), (3, 60.0, "done"),
    ]  # fmt: skip
    assert legs[0].begun["clips"] == ["x"]
    assert legs[0].minutes[1]["times"] == [None, {"a": None}, 1.0]


def test_a_kill_loses_no_minute_and_half_a_line_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tools.soak.journal import LongRun\n"
        f"def work(leg):\n    leg.add({MINUTE!r})\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "LongRun(Path(sys.argv[1]), 999.0).resume(work)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60, cwd=root)
    assert done.returncode == -signal.SIGKILL
    with path.open("a") as file:
        file.write('{"leg": 1, "minute": {"sec')
    (killed,) = read_journal(path)
    assert (killed.seconds, killed.ended) == (60.0, KILLED)
    LongRun(path, 999.0).resume(adds(MINUTE))
    assert [one.seconds for one in read_journal(path)] == [60.0, 60.0]
    assert all(json.loads(line) for line in path.read_text().splitlines())


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
                yield ClipPicture(i * NS // 50, np.zeros((8, 8, 3), np.uint8))
            yield ClipSound(i * NS // 50, 16000, np.ones((320, 1), np.int16))


def clips_of(names: str) -> list[Any]:
    return [Short(name) for name in names]


def test_visits_last_half_a_minute_with_absences_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VISIT_S", (5.0, 20.0))
    monkeypatch.setattr(module, "ABSENT_S", (6.0, 40.0))
    people = Visits(clips_of("ab"), 1, 0, 7 * NS, print, 0.5)
    items = list(islice(people.items(), 75 * 30))
    offsets = [item.offset_ns for item in items]
    assert offsets[0] == 7 * NS
    assert all(b >= a for a, b in pairwise(offsets))
    assert max(b - a for a, b in pairwise(offsets)) <= NS // 25
    loud = [item.offset_ns for item in items if isinstance(item, ClipSound) and item.samples.any()]
    assert loud[149] - loud[0] == 3 * NS - NS // 50  # three whole passes
    assert 3.0 <= (loud[150] - loud[149]) / NS <= 20.1
    assert people.now.number > 0

    def names(first: int, count: int) -> list[str]:
        later = Visits(clips_of("abcde"), 3, first, 0, print)
        return [later._visit(first + i, 0).clip.path.name for i in range(count)]

    # Every round has each clip once, and a later run continues with the next.
    whole = names(0, 20)
    assert all(sorted(whole[i : i + 5]) == list("abcde") for i in range(0, 20, 5))
    assert len({tuple(whole[i : i + 5]) for i in range(0, 20, 5)}) > 1
    assert names(7, 13) == whole[7:]


@pytest.mark.slow
def test_a_stream_that_is_stopped_is_resumed_and_makes_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, shares = tmp_path / "stream.jsonl", [0.0]
    run = LongRun(path, 4.0, 1.0, shares.append, stopped=lambda: shares[-1] > 0.5)
    clips, listener = module.open_clips([demo_clip_path()]), {"policy": "rules", "seed": 3}
    assert not module.run_stream(clips, listener, run)
    assert module.run_stream(clips, listener, LongRun(path, 4.0, 1.0))
    first, second = read_journal(path)
    assert (first.ended, second.ended) == ("stopped", "done")
    assert 4.0 <= first.seconds + second.seconds < 7.0
    assert second.begun["policy"] == "rules"
    kept, target = tmp_path / "docs" / "soak.json", tmp_path / "docs" / "soak.md"
    words = ["bench", "soak", "--judge", "--folder", str(tmp_path), "--stream-hours", "0.01", "--output", str(kept)]
    assert main([*words, "--json"]) == 1  # of 36 s, four were done
    figures = json.loads(capsys.readouterr().out)
    assert json.loads(kept.read_text()) == figures
    assert {row["name"]: row["holds"] for row in figures["bounds"]}["length, share of what was asked"] is False
    assert main(["dev", "docs", "soak", str(kept), "--output", str(target)]) == 0
    assert " in 2 legs" in target.read_text()
