"""Results of a blind study's bags tell their conditions, after the key was given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from reactdiff_ros.evaluation.results import Info, Item, Result, read_result, write_result
from reactdiff_ros.evaluation.runs.recordings import Source, unblinded
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.studies.allocation import StudyPlan, sessions_of
from reactdiff_ros.recordings.studies.blinding import Key, seal
from reactdiff_ros.recordings.studies.study import Study


def test_conditions_reach_the_result_file(tmp_path: Path) -> None:
    plan = StudyPlan("warm", "between", ("p01", "p02"), {"a": {"policy": "mime"}, "b": {"policy": "idle"}})
    sessions = sessions_of(plan, 1)
    public, private = seal(plan, sessions, 1, np.random.default_rng(1).bytes)
    (tmp_path / "key.json").write_text(json.dumps(private))
    seals = [row["seal"] for row in public["sessions"]]
    for name, mark in (("p01", seals[0]), ("p02", seals[0])):  # the second one's is another's
        with BagWriter(tmp_path / name, study=Study(name, study="warm", seal=mark)):
            pass
    found = [Source(name, tmp_path / name) for name in ("p01", "p02", "clip")]
    items = tuple(Item(source.id, 60.0, notes=("first",)) for source in found)
    result, conditions = unblinded(Result(Info("recordings", "t"), items, ()), found, Key(tmp_path / "key.json"))
    assert conditions == {"p01": sessions[0].condition}
    write_result(result, tmp_path / "r.npz")
    kept = read_result(tmp_path / "r.npz")
    assert kept.info.settings["conditions"] == conditions
    assert kept.items[0].notes == (f"recorded under the condition {sessions[0].condition} (session p01)", "first")
    assert "does not fit" in kept.items[1].notes[0]
    assert kept.items[2].notes == ("first",)
