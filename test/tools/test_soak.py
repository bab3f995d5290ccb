"""Long runs: verdicts on made-up journals, and the journal itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.soak.figures import assemble, counted, part_figures
from tools.soak.journal import Leg, LongRun, OpenLeg, read_journal


def leg(**grows: float) -> Leg:
    """An hour of a process in which what is named grows by so much every minute."""
    rng = np.random.default_rng(1)

    def minute(i: int) -> dict[str, Any]:
        by = {name: grows.get(name, 0.0) * i for name in ("ms", "memory", "files", "threads", "apart", "met", "nods")}
        process = {
            "rss_mb": 200.0 + by["memory"], "anonymous_mb": 100.0 + by["memory"] / 2, "files": 10 + int(by["files"]),
            "threads": 7 + int(by["threads"]),
        }  # fmt: skip
        return {
            "at_s": 60.0 * i, "seconds": 60.0, "wall_s": 70.0, "cpu_s": 30.0, "load": 1.0, "visit": i,
            "processes": {"session": process}, "apart_ms": 20.0 + by["apart"],
            "times": {"cost": counted((10.0 + by["ms"]) * rng.uniform(0.5, 1.0, 500))},
            "met": [["a.mp4", 0.05, 0.09 + 1e-3 * by["met"]], ["b.mp4", 0.05, None]],
            "behaviour": {"rate of nods": 5.0 + by["nods"] + rng.normal(0.0, 0.5)},
            "counts": {"rejected": 0, "dropped": int(grows.get("dropped", 0.0) * i)},
        }  # fmt: skip

    return Leg(1, {"clips": ["a.mp4"], "at": "2030-01-01T00:00:00", "commit": "abc"}, [*map(minute, range(60))], "done")


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


def test_a_leg_that_fails_or_is_killed_loses_no_minute_and_the_next_one_goes_on(tmp_path: Path) -> None:
    run = LongRun(tmp_path / "a" / "b.jsonl", 100.0)

    def fail(leg: OpenLeg) -> None:
        leg.add({"seconds": 60.0, "processes": {}, "times": [float("nan"), 1.0]})
        raise ZeroDivisionError("of no use")

    with pytest.raises(ZeroDivisionError):
        run.resume(fail, clips=["x"])
    with run.path.open("a") as file:
        file.write('{"leg": 1, "minute": {"sec')  # as a kill leaves it
    assert run.resume(lambda leg: leg.add({"seconds": 60.0, "processes": {}}))
    first, second = read_journal(run.path)
    assert (first.seconds, first.ended, first.begun["clips"]) == (60.0, "of no use", ["x"])
    assert first.minutes[0]["times"] == [None, 1.0]
    assert (second.seconds, second.ended) == (60.0, "done")
