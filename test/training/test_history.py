"""The manifest tells by which runs the weights were made, without anybody's paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")

from reactdiff_ros.training.checkpoints import write_checkpoint
from reactdiff_ros.training.config import TrainConfig
from reactdiff_ros.training.history import people_seen, runs_of


def state(done: int, **settings) -> dict:
    rest = {"vae_step": 1, "model": {}, "average": {}}
    return {"config": TrainConfig(**settings).as_dict(), "simulator": "hash", "step": done, **rest}


def test_one_run(tmp_path: Path) -> None:
    runs = runs_of(state(70, seed=3, minutes=5.0, bank=str(tmp_path / "voices.npz"), threads=2))
    assert runs == [
        {"settings": {"seed": 3, "minutes": 5.0}, "steps": 70, "data": ["voices"], "from": False, "known": True}
    ]


def test_a_run_that_fine_tunes_names_the_one_before(tmp_path: Path) -> None:
    before = tmp_path / "checkpoint.pt"
    write_checkpoint(before, state(70, seed=3))
    runs = runs_of(state(20, dyads=str(tmp_path), start_from=str(before), steps=20, ablate=("voice",)))
    assert [run["steps"] for run in runs] == [70, 20]
    assert runs[1]["settings"] == {"steps": 20, "ablate": ["voice"]}
    assert runs[1]["data"] == ["dyads"]
    assert str(tmp_path) not in json.dumps(runs)


def test_a_run_before_that_is_gone_is_said(tmp_path: Path) -> None:
    runs = runs_of(state(20, start_from=str(tmp_path / "gone.pt")))
    assert [(run["from"], run["known"]) for run in runs] == [(True, False)]


def test_public_sets_are_told_by_kind_and_count_as_people(tmp_path: Path) -> None:
    sets = {"data": (f"mars:{tmp_path}", f"mars:{tmp_path / 'b'}", f"react:{tmp_path}"), "sound": False}
    runs = runs_of(state(1, **sets, expression_names=str(tmp_path / "names")))
    assert runs[0]["data"] == ["expression_names", "mars", "react"]
    assert runs[0]["settings"] == {"sound": False}
    assert str(tmp_path) not in json.dumps(runs)
    assert people_seen(runs) == (True, "")
    assert people_seen(runs_of(state(1, recordings=str(tmp_path), fold="1/2"))) == (True, "1/2")


def test_people_that_an_earlier_run_saw_were_seen(tmp_path: Path) -> None:
    calls = {"dyads": str(tmp_path)}
    assert people_seen(runs_of(state(1))) == (False, "")
    assert people_seen(runs_of(state(1, **calls, ablate=("real",)))) == (False, "")
    assert people_seen(runs_of(state(1, **calls, fold="2/4"))) == (True, "2/4")
    write_checkpoint(tmp_path / "before.pt", state(1, **calls, fold="1/4"))
    start = {"start_from": str(tmp_path / "before.pt")}
    assert people_seen(runs_of(state(1, **start))) == (True, "1/4")
    assert people_seen(runs_of(state(1, **start, **calls, fold="1/4"))) == (True, "1/4")
    assert people_seen(runs_of(state(1, **start, **calls, fold="2/4"))) == (True, "")
