"""A long part of the evidence that was ended goes on where it was, with its own code, weights and settings only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.cli.output import dumps
from reactdiff_ros.evaluation.evidence import collection, parts
from reactdiff_ros.evaluation.evidence.collection import KEPT, collect
from reactdiff_ros.evaluation.evidence.kept_groups import KeptGroups
from reactdiff_ros.evaluation.evidence.parts import Sizes, Subject
from reactdiff_ros.model.sampler import Sampling

ARRAYS = {"second rate of smiles": np.arange(3.0), "clamped": np.array(0.25)}


def test_what_is_kept_is_found_with_the_same_settings_only(tmp_path: Path) -> None:
    kept = KeptGroups(tmp_path / "kept", "a:b", {"seed": 0})
    assert kept.get("sessions 0 to 4") is None
    kept["sessions 0 to 4"] = ARRAYS
    found = KeptGroups(tmp_path / "kept", "a:b", {"seed": 0}).get("sessions 0 to 4")
    assert found is not None
    assert {name: array.tolist() for name, array in found.items()} == {n: a.tolist() for n, a in ARRAYS.items()}
    assert kept.get("sessions 5 to 9") is None
    assert KeptGroups(tmp_path / "kept", "a:b", {"seed": 1}).get("sessions 0 to 4") is None


def test_what_cannot_be_read_or_written_is_measured_again(tmp_path: Path) -> None:
    kept = KeptGroups(tmp_path, "a:b", {})
    kept["x"] = ARRAYS
    (tmp_path / "x.npz").write_bytes(b"half of it")
    assert kept.get("x") is None
    (tmp_path / "x.npz").unlink()
    (tmp_path / "x.npz").mkdir()
    kept["x"] = ARRAYS
    assert kept.get("x") is None


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    weights: Any = SimpleNamespace(folder=tmp_path, digest="of these", nods=None)
    return Subject(weights, Sampling(), lambda: 0.0)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Groups that were run; the third of all ends the run, as a user does."""
    ran: list[str] = []

    def sessions(listener: Any, *, sessions: int, kept: KeptGroups, **_: Any) -> dict[str, Any]:
        for number in range(sessions):
            if kept.get(f"group {number}") is None:
                if len(ran) == 2:
                    ran.append("ended")
                    raise KeyboardInterrupt
                ran.append(f"group {number}")
                kept[f"group {number}"] = ARRAYS
        return {"sessions": sessions}

    monkeypatch.setattr(parts, "evaluate_sessions", sessions)
    sessions.__module__, sessions.__name__ = "somewhere", "sessions"
    monkeypatch.setattr(Subject, "listener", lambda self: None)
    return ran


def run(subject: Subject, folder: Path) -> dict[str, Any]:
    return collect(subject, folder, parts=("sessions",), encode=dumps).parts


def test_an_ended_run_goes_on_and_more_sessions_need_the_new_ones_only(
    subject: Subject, tmp_path: Path, ran: list[str]
) -> None:
    three = replace(subject, sizes=Sizes(sessions=3))
    with pytest.raises(KeyboardInterrupt):
        run(three, tmp_path)
    assert {p.suffix for p in (tmp_path / KEPT).iterdir()} == {".npz"}
    assert len(ran) == 3
    assert run(three, tmp_path) == {"sessions": {"sessions": 3}}
    assert run(replace(subject, sizes=Sizes(sessions=4)), tmp_path) == {"sessions": {"sessions": 4}}
    assert ran == ["group 0", "group 1", "ended", "group 2", "group 3"]


def test_other_code_length_or_weights_begin_anew(
    subject: Subject, tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Sizes(sessions=1)
    run(replace(subject, sizes=one), tmp_path)
    run(replace(subject, sizes=replace(one, minutes=7.0)), tmp_path)
    assert ran == ["group 0"] * 2
    ran.append("so that none is ended")
    monkeypatch.setattr(collection, "model_code", lambda: "changed")
    run(replace(subject, sizes=one), tmp_path)
    other: Any = SimpleNamespace(folder=tmp_path, digest="of others", nods=None)
    run(replace(subject, sizes=one, weights=other), tmp_path)
    assert ran[3:] == ["group 0"] * 2
