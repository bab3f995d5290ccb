"""Long runs: verdicts on made-up journals, the journal itself, the stream of visits, and the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
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
from tools.soak import stream as module
from tools.soak.figures import assemble, counted, lip_lag_ms, part_figures
from tools.soak.journal import KILLED, Leg, LongRun, OpenLeg, read_journal
from tools.soak.stream import Visits

NAMES = {
    "length": "length, share of what was asked",
    "memory": "memory after warm-up, growth of a process",
    "files": "open files, more in a process",
    "threads": "threads, more in a process",
    "p99": "p99 of the last tenth over that of the first",
    "stamps": "stamps of voice and picture, drift in ms",
    "met": "a person's voice after their face, drift in ms",
    "behaviour": "statistics of behaviour that left 0.8 to 1.25",
    "dropped": "inputs rejected or dropped",
}


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


def verdicts(*legs: Leg, asked_s: float = 3600.0) -> dict[str, Any]:
    figures = assemble({"stream": part_figures(legs, asked_s)}, hardware={}, date="")
    found = {row["name"]: row for row in figures["bounds"]}
    return {short: found[name] for short, name in NAMES.items()}


@pytest.mark.parametrize(
    ("short", "grows"),
    [
        ("", {}),
        ("", {"memory": 0.1}),
        ("memory", {"memory": 0.3}),
        ("files", {"files": 0.1}),
        ("threads", {"threads": 0.1}),
        ("p99", {"ms": 0.03}),
        ("stamps", {"apart": 0.3}),
        ("met", {"met": 0.6}),
        ("behaviour", {"nods": 0.2}),
        ("dropped", {"dropped": 0.1}),
    ],
)
def test_what_changes_is_found_and_nothing_else(short: str, grows: dict[str, float]) -> None:
    found = verdicts(leg(**grows))
    assert [name for name, row in found.items() if row["holds"] is not True] == ([short] if short else [])


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
                yield ClipPicture("picture", i * NS // 50, np.zeros((8, 8, 3), np.uint8))
            yield ClipSound("sound", i * NS // 50, 16000, np.ones((320, 1), np.int16))


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


SOAK = (sys.executable, "-m", "reactdiff_ros.cli.main", "bench", "soak", "--short", "--part", "stream")


def test_a_run_that_is_killed_is_resumed_and_makes_its_page(tmp_path: Path) -> None:
    command = [*SOAK, "--policy", "rules", "--folder", str(tmp_path), "--output", str(tmp_path / "docs" / "soak.json")]
    path = tmp_path / "stream.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        end_s = time.monotonic() + 90.0
        while not (path.exists() and path.read_bytes().count(b"\n") >= 3):
            assert run.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.05)
        run.kill()
    (before,) = read_journal(path)
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    figures = json.loads(done.stdout)
    one, two = figures["parts"]["stream"]["legs"]
    assert (one["seconds"], one["ended"], two["ended"]) == (pytest.approx(before.seconds), KILLED, "done")
    assert 30.0 <= figures["parts"]["stream"]["done_s"] < 36.0
    assert {row["name"]: row["holds"] for row in figures["bounds"]}["length, share of what was asked"] is True
    kept, target = tmp_path / "docs" / "soak.json", tmp_path / "docs" / "soak.md"
    assert json.loads(kept.read_text()) == figures
    assert main(["dev", "docs", "soak", str(kept), "--output", str(target)]) == 0
    assert " in 2 legs" in target.read_text()
