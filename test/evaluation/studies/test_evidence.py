"""The evidence: parts are stored, used again and may fail; bounds are judged by one table."""

import json
import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.cli import evaluate as command
from reactdiff_ros.cli.common import dumps
from reactdiff_ros.evaluation.bounds import BOUNDS, judge, verdict
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.evaluation.studies import dyads, simulator
from reactdiff_ros.evaluation.studies import evidence as module
from reactdiff_ros.evaluation.studies.evidence import PARTS, EvidencePart, Sizes, Subject, collect, settings_of
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.simulator.voices import VoiceBank

EVIDENCE = json.loads((Path(__file__).resolve().parents[3] / "docs" / "evidence.json").read_text())


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    known = {"name": "small", "simulator": "hash", "parameters": {"encoder": 5}, "nods": None}
    weights: Any = SimpleNamespace(folder=tmp_path, digest="digest", **known)
    return Subject(weights, Sampling(), lambda: 0.0)


def run(subject: Subject, folder: Path, *parts: str, **more: Any) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    return collect(subject, folder, parts=parts, date="2026-01-02", encode=dumps, log=said.append, **more), said


def test_a_stored_part_is_not_measured_again_and_one_that_fails_is_reported(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def streams(*_: object) -> Study:
        ran.append("streams")
        return Study({"x": math.nan})

    fakes = {"response": EvidencePart(lambda *_: Study({"a": 1 // 0})), "streams": EvidencePart(streams)}
    monkeypatch.setattr(module, "PARTS", fakes)
    only, _ = run(subject, tmp_path, *fakes, run=("streams",))
    assert (ran, only["parts"]) == (["streams"], {"streams": {"x": None}})
    found, said = run(subject, tmp_path, *fakes)
    assert (ran, found["parts"]) == (["streams"], only["parts"])
    assert list(found["failed"]) == ["response"]
    assert "ZeroDivisionError" in said[0]
    assert "ZeroDivisionError" in found["failed"]["response"]


def leaves(figures: Any) -> Iterator[tuple[Any, Any]]:
    """Container and key of every number and truth value."""
    for key, value in figures.items() if isinstance(figures, dict) else enumerate(figures):
        if isinstance(value, (dict, list)):
            yield from leaves(value)
        elif isinstance(value, (bool, int, float)):
            yield figures, key


def test_the_committed_evidence_keeps_all_bounds_but_four() -> None:
    """Several of them for its size alone (docs/evidence.md)."""
    kept = [found.holds for found in judge(EVIDENCE["parts"])]
    assert (kept.count(True), len(kept)) == (39, 43)


@pytest.mark.parametrize("part", PARTS)
def test_every_bound_fails_when_its_figure_moves_across_it(part: str) -> None:
    """Each figure of the committed evidence is moved far up and down."""
    figures = deepcopy(EVIDENCE["parts"][part])
    bounds, failed = [bound for bound in BOUNDS if bound.part == part], set()
    for container, key in leaves(figures):
        before = container[key]
        for value in (not before,) if isinstance(before, bool) else (1e9, -1e9):
            container[key] = value
            failed |= {bound.name for bound in bounds if verdict(bound, figures).holds is False}
        container[key] = before
    assert failed == {bound.name for bound in bounds} != set()


def test_what_figures_depend_on_is_stored_with_them(subject: Subject, tmp_path: Path) -> None:
    def changes(**what: Any) -> bool:
        return settings_of("simulator", replace(subject, **what)) != settings_of("simulator", subject)

    assert changes(seed=1)
    assert changes(how=Sampling(steps=3))
    assert changes(bank=VoiceBank(*(np.ones((2, 3)),) * 5))
    assert not changes(workers=4)
    assert not changes(sizes=Sizes(trials=3))
    keeping = replace(subject, keep=module.Keep(tmp_path / "kept"))
    assert keeping.stored("group 0", lambda: {"n": np.array(1)})["n"] == 1
    assert keeping.stored("group 0", lambda: {"n": np.array(2)})["n"] == 1
    assert replace(keeping, seed=1).stored("group 0", lambda: {"n": np.array(3)})["n"] == 3


def test_real_parts_give_what_their_bounds_ask_for(any_weights: Path, tmp_path: Path) -> None:
    small = Sizes(repeats=2)
    subject = Subject(find_weights(any_weights), Sampling(steps=2), lambda: 0.0, small)
    found, _ = run(subject, tmp_path, "speed")
    assert not found["failed"]
    offered = (command.PARTS, command.SYSTEMS, command.DYAD_SYSTEMS)
    assert offered == (tuple(PARTS), tuple(simulator.SYSTEMS), dyads.SYSTEMS)
    figures = found["parts"]
    assert None not in [v.holds for v in judge(figures) if v.bound.part in figures]
