"""`reactdiff study` and `reactdiff listen --study`, from a study file to opened bags."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.launching.condition import CONDITION_VARIABLE, unveil
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.blinding import SessionsFile

PLAN = """
name: warm
design: within
participants: 4
conditions:
  diffusion: {policy: model, style: warm}
  scripted: {policy: rules, smiling: 0.5, intensity: 1.2}
"""


@pytest.fixture
def sealed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    (tmp_path / "study.yaml").write_text(PLAN)
    assert main(["study", "seal", str(tmp_path / "study.yaml"), "-o", str(tmp_path)]) == 0
    capsys.readouterr()
    return tmp_path


def record(folder: Path, session: str, seal: str) -> Path:
    with BagWriter(folder, study=Study(session, study="warm", seal=seal)):
        pass
    return folder


def test_sealing_writes_two_files_and_never_twice(sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = sealed / "warm.key.json"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_text()
    assert main(["study", "seal", str(sealed / "study.yaml"), "-o", str(sealed)]) == 1
    assert "already sealed" in capsys.readouterr().err
    assert key.read_text() == before


def test_sessions_are_listed_without_conditions(sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(sealed / "warm.sessions.json")
    assert main(["study", "sessions", path, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["session"] for row in told["sessions"][:3]] == ["p01-1", "p01-2", "p02-1"]
    assert main(["study", "sessions", path]) == 0
    assert main(["study", "check", path]) == 0
    captured = capsys.readouterr()
    for word in ("diffusion", "scripted", "rules", "warm "):
        assert word not in captured.out


def test_bags_are_opened_and_what_does_not_fit_is_named(sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seals = {row["session"]: row["seal"] for row in SessionsFile(sealed / "warm.sessions.json").rows}
    record(sealed / "bags" / "p01-1", "p01-1", seals["p01-1"])
    record(sealed / "bags" / "p01-2", "p01-2", seals["p01-2"])
    key, bags = str(sealed / "warm.key.json"), str(sealed / "bags")
    assert main(["study", "open", bags, "--key", key, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["condition"] for row in told["recordings"]} == {"diffusion", "scripted"}
    assert told["not_recorded"] == sorted(seals.keys() - {"p01-1", "p01-2"})
    record(sealed / "bags" / "odd", "p02-1", seals["p01-1"])
    assert main(["study", "open", bags, "--key", key]) == 1
    captured = capsys.readouterr()
    assert "does not fit" in captured.err
    assert len(captured.out.splitlines()) == 2


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("policy: rules", "policy: rule", "one of model, rules"),
        ("smiling: 0.5", "smiling: 5", "outside -1 to 1"),
        ("smiling: 0.5", "seed: 5", "cannot set 'seed'"),
    ],
)
def test_a_condition_that_no_node_would_take_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, sentence: str
) -> None:
    (tmp_path / "study.yaml").write_text(PLAN.replace(old, new))
    assert main(["study", "seal", str(tmp_path / "study.yaml"), "-o", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "condition scripted" in error
    assert not list(tmp_path.glob("*.json"))


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the nodes of `reactdiff listen` would be given, without starting them."""
    given: list[str] = []
    # Set first, so that the test's end removes what the command sets.
    monkeypatch.setenv(CONDITION_VARIABLE, "")
    monkeypatch.setattr(
        "reactdiff_ros.cli.listen.run", lambda *_, **__: given.append(os.environ[CONDITION_VARIABLE]) or 0
    )
    return given


def test_listen_hands_the_veil_to_the_nodes(
    sealed: Path, listened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = sealed / "warm.sessions.json"
    assert main(["listen", "--study", str(path), "session:=p02-2", "record:=true"]) == 0
    assert unveil(listened[0]).session == "p02-2"
    captured = capsys.readouterr()
    assert "condition is hidden" in captured.err
    assert "not recorded" not in captured.err
    for word in ("diffusion", "scripted", "rules"):
        assert word not in captured.out + captured.err
    assert main(["study", "veil", str(path), "p02-2"]) == 0
    assert capsys.readouterr().out.strip() == listened[0]


@pytest.mark.parametrize("words", [["session:=p01-1", "--policy", "rules"], ["session:=p01-1", "--style", "warm"], []])
def test_listen_refuses_what_the_condition_decides(sealed: Path, listened: list[str], words: list[str]) -> None:
    assert main(["listen", "--study", str(sealed / "warm.sessions.json"), *words]) == 2
    assert not listened


def test_listen_refuses_an_unknown_session(sealed: Path, listened: list[str]) -> None:
    assert main(["listen", "--study", str(sealed / "warm.sessions.json"), "session:=p77"]) == 1
    assert not listened


def test_a_study_that_cannot_be_written_leaves_neither_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text(PLAN)
    out = tmp_path / "blind"
    for fails in ("key", "sessions"):

        def full(path: object, *how: object, mine: str = fails, real: Any = os.open) -> int:
            return real("/dev/full", os.O_WRONLY) if f".{mine}." in str(path) else int(real(path, *how))

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", full)
            assert main(["study", "seal", str(tmp_path / "study.yaml"), "-o", str(out)]) == 1
        assert "cannot be written" in capsys.readouterr().err
        assert list(out.iterdir()) == []
    assert main(["study", "seal", str(tmp_path / "study.yaml"), "-o", str(out)]) == 0


def test_a_study_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "seal", str(tmp_path / "none.yaml")]) == 1
    assert capsys.readouterr().err.strip().endswith("none.yaml): No such file or directory")
