"""The evidence: parts are stored, used again and may fail; bounds are judged by one table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.cli.common import dumps
from reactdiff_ros.cli.evaluate import PARTS as NAMES
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bounds import BOUNDS, Bound, judge, verdict
from reactdiff_ros.evaluation.studies import evidence as module
from reactdiff_ros.evaluation.studies import evidence as parts_module
from reactdiff_ros.evaluation.studies.evidence import (
    PARTS,
    Measured,
    Sizes,
    Subject,
    choice,
    collect,
    settings_of,
)
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.voices import VoiceBank

EVIDENCE = Path(__file__).resolve().parents[3] / "docs" / "evidence.json"


def weights(folder: Path, digest: str = "digest") -> Any:
    known = {"name": "small", "simulator": "hash", "parameters": {"encoder": 5}, "nods": None}
    return SimpleNamespace(folder=folder, digest=digest, **known)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return Subject(weights(tmp_path), Sampling(), lambda: 0.0)


def run(subject: Subject, folder: Path, **more: Any) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    more = {"parts": ("response", "choice"), **more}
    return collect(subject, folder, date="2026-01-02", encode=dumps, log=said.append, **more), said


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two parts that record that they ran; the second one's figures hold what is not finite."""
    ran: list[str] = []

    def part(name: str, figures):
        def make(subject, progress):
            ran.append(name)
            progress(0.5)
            return Measured(dict(figures))

        return make

    fakes = {"response": part("response", {"natural": {"excess": 0.2}}), "choice": part("choice", {"x": math.nan})}
    monkeypatch.setattr(module, "PARTS", fakes)
    return ran


def test_a_stored_part_is_not_measured_again(subject: Subject, tmp_path: Path, parts: list[str]) -> None:
    first, _ = run(subject, tmp_path)
    again, _ = run(subject, tmp_path)
    assert parts == ["response", "choice"]
    assert again == first
    assert first["parts"] == {"response": {"natural": {"excess": 0.2}}, "choice": {"x": None}}


def test_only_the_named_parts_are_measured_and_stored_ones_included(
    subject: Subject, tmp_path: Path, parts: list[str]
) -> None:
    found, _ = run(subject, tmp_path, run=("choice",))
    assert (parts, list(found["parts"])) == (["choice"], ["choice"])
    found, _ = run(subject, tmp_path, run=("response",))
    assert (parts, list(found["parts"])) == (["choice", "response"], ["response", "choice"])


@pytest.mark.parametrize("error", [ReactdiffError("no voices", where="x"), ZeroDivisionError("by zero")])
def test_a_part_that_fails_is_reported_and_the_others_go_on(
    subject: Subject, tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(subject, told):
        raise error

    monkeypatch.setitem(module.PARTS, "response", fails)
    found, said = run(subject, tmp_path)
    assert (list(found["failed"]), list(found["parts"])) == (["response"], ["choice"])
    assert len(said) == 1
    assert str(error) in said[0]
    assert str(error) in found["failed"]["response"]


# --- sessions, stored group by group

ARRAYS = {"second rate of smiles": np.arange(3.0), "clamped": np.array(0.25)}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Groups that were run; the third of all ends the run, as a user does."""
    ran: list[str] = []

    def sessions(listener: Any, *, sessions: int, stored: Any, **_: Any) -> dict[str, Any]:
        def measure(group: int) -> dict[str, np.ndarray]:
            if group == 2 and "ended" not in ran:
                ran.append("ended")
                raise KeyboardInterrupt
            ran.append(f"group {group}")
            return {"n": np.array(group)}

        found = [stored(f"group {group}", lambda group=group: measure(group)) for group in range(sessions)]
        assert [int(arrays["n"]) for arrays in found] == list(range(sessions))
        return {"sessions": sessions}

    monkeypatch.setattr(parts_module, "evaluate_sessions", sessions)
    monkeypatch.setattr(Subject, "listener", lambda self: None)
    return ran


def test_interrupted_sessions_resume_and_more_sessions_need_only_the_new_ones(
    subject: Subject, tmp_path: Path, ran: list[str]
) -> None:
    three = replace(subject, sizes=Sizes(sessions=3))
    with pytest.raises(KeyboardInterrupt):
        run(three, tmp_path, parts=("sessions",))
    assert run(three, tmp_path, parts=("sessions",))[0]["parts"] == {"sessions": {"sessions": 3}}
    four = run(replace(subject, sizes=Sizes(sessions=4)), tmp_path, parts=("sessions",))[0]
    assert four["parts"] == {"sessions": {"sessions": 4}}
    assert ran == ["group 0", "group 1", "ended", "group 2", "group 3"]


# --- bounds


def bound(low=-math.inf, high=math.inf, strict=False) -> Bound:
    return Bound("p", "n", lambda f: f, "w", low, high, strict)


def test_what_of_a_bound_was_not_measured_is_named() -> None:
    got = verdict(bound(0.1, 0.3), {"a": None, "b": 0.2, "c": math.nan})
    assert (got.holds, got.unknown) == (True, ("a", "c"))
    nothing = verdict(bound(0.1, 0.3), {"a": None})
    assert (nothing.holds, nothing.value, nothing.unknown) == (None, None, ("a",))
    assert got.as_dict()["unknown"] == ["a", "c"]


def leaves(figures: Any) -> Iterator[tuple[Any, Any]]:
    """Container and key of every number and truth value."""
    for key, value in figures.items() if isinstance(figures, dict) else enumerate(figures):
        if isinstance(value, (dict, list)):
            yield from leaves(value)
        elif isinstance(value, (bool, int, float)):
            yield figures, key


FAILING = {
    "power in three bands over the reference's, before smoothing",
    "last part over the second, 95 % intervals",
}
"""Bounds that the committed evidence does not keep."""


@pytest.mark.parametrize("part", PARTS)
def test_every_bound_fails_when_its_figure_moves_across_it(part: str) -> None:
    """Each figure of the committed evidence is moved far up and down."""
    figures = json.loads(EVIDENCE.read_text())["parts"][part]
    bounds = [bound for bound in BOUNDS if bound.part == part]
    assert {bound.name for bound in bounds if not verdict(bound, figures).holds} <= FAILING
    failed = set()
    for container, key in leaves(figures):
        before = container[key]
        for value in (not before,) if isinstance(before, bool) else (1e9, -1e9):
            container[key] = value
            failed |= {bound.name for bound in bounds if verdict(bound, figures).holds is False}
        container[key] = before
    assert failed == {bound.name for bound in bounds}


@given(
    low=st.floats(-100, 100), width=st.floats(0.01, 100), above=st.booleans(), strict=st.booleans(),
    shares=st.lists(st.floats(0.05, 0.95), min_size=1, max_size=5),
)  # fmt: skip
def test_a_value_that_moves_across_its_bound_flips_the_verdict(
    low: float, width: float, above: bool, strict: bool, shares: list[float]
) -> None:
    band = bound(low, low + width, strict)
    inside = {str(i): low + share * width for i, share in enumerate(shares)}
    assert (verdict(band, inside).holds, verdict(band, inside).out) == (True, 0)
    end = low + width if above else low
    assert verdict(band, {**inside, "0": end}).holds is not strict
    got = verdict(band, {**inside, "0": end + (width / 10 if above else -width / 10)})
    assert (got.holds, got.of, got.out, got.count) == (False, "0", 1, len(inside))


def test_every_part_has_a_bound_and_every_bound_a_part() -> None:
    assert {b.part for b in BOUNDS} == set(PARTS) == set(NAMES)
    assert tuple(PARTS) == NAMES
    assert len({(b.part, b.name) for b in BOUNDS}) == len(BOUNDS)
    assert all(v.holds is None for v in judge({name: {} for name in PARTS}))


# --- parts


def test_settings_hold_what_figures_depend_on(subject: Subject) -> None:
    base = settings_of("simulator", subject)
    assert settings_of("simulator", replace(subject, seed=1)) != base
    assert settings_of("simulator", replace(subject, how=Sampling(steps=3))) != base
    assert settings_of("simulator", replace(subject, bank=VoiceBank(np.ones((2, 3), np.float32)))) != base
    assert settings_of("simulator", replace(subject, workers=4)) == base
    assert settings_of("simulator", replace(subject, sizes=Sizes(trials=3))) == base


def test_a_real_part_gives_what_its_bounds_ask_for(any_weights: Path) -> None:
    small = Sizes(choice_items=4, stream_seconds=8.0, repeats=2)
    subject = Subject(find_weights(any_weights), Sampling(steps=2), lambda: 0.0, small)
    figures = json.loads(dumps(choice(subject, lambda share: None).figures))
    figures["smile_rate"] = figures["smile_rate"] or 1.0  # so short a stream may hold no smile
    figures_of_speed = json.loads(dumps(PARTS["speed"](subject, lambda share: None).figures))
    verdicts = judge({"choice": figures, "speed": figures_of_speed})
    assert None not in [v.holds for v in verdicts if v.bound.part in ("choice", "speed")]
