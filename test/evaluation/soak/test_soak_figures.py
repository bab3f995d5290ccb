"""What grows, drifts or slows in a made-up journal is found, and what does not is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.evaluation.pages import page
from reactdiff_ros.evaluation.soak.figures import assemble, part_figures
from reactdiff_ros.evaluation.soak.journal import Leg
from reactdiff_ros.evaluation.soak.measures import behaviour, counted, footprint, lip_lag_ms, percentile

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


def test_what_stays_is_held() -> None:
    found = verdicts(leg())
    assert {short for short, row in found.items() if row["holds"] is not True} == set()


@pytest.mark.parametrize(
    ("short", "grows"),
    [
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
    assert [name for name, row in found.items() if row["holds"] is not True] == [short]


def test_growth_of_less_than_the_bound_is_held() -> None:
    row = verdicts(leg(memory=0.1))["memory"]
    assert row["holds"] is True
    assert 0.02 < row["value"] < 0.05


def test_what_grows_in_the_warm_up_is_none() -> None:
    warm = leg()
    for i, minute in enumerate(warm.minutes[:5]):
        minute["processes"]["session"]["rss_mb"] = 100.0 + 20 * i
    assert verdicts(warm)["memory"]["value"] == 0.0


def test_legs_are_judged_apart_and_the_worst_is_told() -> None:
    found = verdicts(leg(1, 30), leg(2, 30, threads=0.2), asked_s=3600.0)
    assert found["threads"]["of"] == "session, leg 2"
    assert found["length"]["holds"] is True
    # A new process that has more than the one before has not leaked.
    fat = leg(2, 30)
    for minute in fat.minutes:
        minute["processes"]["session"]["rss_mb"] = 900.0
    assert verdicts(leg(1, 30), fat)["memory"]["value"] == 0.0


def test_what_was_too_short_is_not_judged() -> None:
    found = verdicts(leg(minutes=14, memory=5.0))
    assert found["memory"]["holds"] is None
    assert found["behaviour"]["holds"] is None
    assert found["length"] == {**found["length"], "holds": False, "value": pytest.approx(14 / 60)}


def test_behaviour_of_a_wide_interval_is_left_open() -> None:
    noisy = leg(minutes=20)
    for i, minute in enumerate(noisy.minutes):
        minute["behaviour"] = {"rate of nods": 10.0 * (i % 3 == 0)}
    part = part_figures([noisy], 60.0)
    assert part["behaviour"]["rate of nods"]["stable"] is None


def test_few_events_tell_nothing() -> None:
    quiet = leg(minutes=45)
    for i, minute in enumerate(quiet.minutes):
        nods = (0.1 if i < 25 else 0.4) + 0.01 * (i % 2)
        minute["behaviour"] = {"rate of nods": nods, "share of nods": 0.01 * nods}
    part = part_figures([quiet], 60.0)["behaviour"]
    assert (part["rate of nods"]["events"], part["rate of nods"]["stable"]) == (10, None)
    assert part["share of nods"]["stable"] is None
    for minute in quiet.minutes:
        minute["behaviour"]["rate of nods"] *= 10
    assert part_figures([quiet], 60.0)["behaviour"]["rate of nods"]["stable"] is False


def test_the_page_shows_what_ran_and_what_failed(tmp_path: Path) -> None:
    parts = {"stream": part_figures([leg(1, 30), leg(2, 20, threads=0.5)], 8 * 3600.0)}
    path = tmp_path / "soak.json"
    path.write_text(json.dumps(assemble(parts, hardware={"cpu": "C", "cores": 2}, date="2030-01-01")))
    text = page("soak", path)
    assert "50 min of 8 h 0 min (10 %) in 2 legs" in text
    assert "| session | threads, more in a process | at most 0 | 7 (session, leg 2) | **fail** |" in text


def test_percentiles_of_counts_are_right_to_a_bin() -> None:
    times = np.random.default_rng(0).lognormal(3.0, 0.5, 20000)
    halves = [counted(times[::2]), counted(times[1::2])]
    for percent in (50, 99):
        assert percentile(halves, percent) == pytest.approx(np.percentile(times, percent), rel=0.02)
    assert percentile([{}], 99) is None


@pytest.mark.parametrize("late", [-3, 0, 4])
def test_the_lag_of_a_mouth_is_found(late: int) -> None:
    rng = np.random.default_rng(1)
    curve = np.convolve(rng.normal(size=600), np.hanning(7), "same")
    mouth = np.roll(curve, late) + 0.3 * rng.normal(size=600)
    lag = lip_lag_ms((-30.0 + curve).tolist(), mouth.tolist())
    assert lag == pytest.approx(40.0 * late, abs=12.0)


def test_a_mouth_that_does_not_move_has_no_lag() -> None:
    assert lip_lag_ms([-30.0, -20.0] * 300, [0.0] * 600) is None
    assert lip_lag_ms([-30.0] * 20, [0.0] * 20) is None


def test_a_footprint_is_that_of_living_processes(tmp_path: Path) -> None:
    import os

    before = footprint([os.getpid()])
    with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
        assert footprint([os.getpid()])["files"] == before["files"] + 2
    assert before["rss_mb"] > before["anonymous_mb"] > 1.0
    assert footprint([2**22 + 1])["threads"] == 0


def test_behaviour_needs_two_seconds() -> None:
    assert behaviour(np.zeros((49, 58), dtype=np.float32)) == {}
    assert behaviour(np.zeros((50, 58), dtype=np.float32))["rate of smiles"] == 0.0
