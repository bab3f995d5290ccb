"""The evidence: parts are kept, taken up again and may fail; bounds are judged by one table."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.cli.evaluate_evidence import PARTS as NAMES
from reactdiff_ros.cli.output import dumps
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.evidence import collection as module
from reactdiff_ros.evaluation.evidence.bounds import BOUNDS, judge
from reactdiff_ros.evaluation.evidence.collection import assemble, collect, read_evidence, write
from reactdiff_ros.evaluation.evidence.model_code import model_code
from reactdiff_ros.evaluation.evidence.parts import (
    PARTS,
    Made,
    Sizes,
    Subject,
    autoencoder,
    choice,
    settings_of,
    sizes_for,
)
from reactdiff_ros.evaluation.evidence.verdicts import Bound, verdict
from reactdiff_ros.model.sampler import Sampling
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.voices import VoiceBank


def weights(folder: Path, digest: str = "digest") -> Any:
    known = {"name": "small", "simulator": "hash", "parameters": {"encoder": 5}, "nods": None}
    return SimpleNamespace(folder=folder, digest=digest, **known)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return Subject(weights(tmp_path), Sampling(), lambda: 0.0)


def run(subject: Subject, folder: Path, **more):
    said: list[str] = []
    found = collect(subject, folder, parts=("response", "choice"), encode=dumps, tell=said.append, **more)
    return found, said


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two parts that write down that they ran; the second one's figures hold what is not finite."""
    ran: list[str] = []

    def part(name: str, figures):
        def make(subject, told):
            ran.append(name)
            told(0.5)
            return Made(dict(figures))

        return make

    fakes = {"response": part("response", {"natural": {"excess": 0.2}}), "choice": part("choice", {"x": math.nan})}
    monkeypatch.setattr(module, "PARTS", fakes)
    return ran


def test_a_part_is_kept_and_not_run_again(subject: Subject, tmp_path: Path, parts: list[str]) -> None:
    first, _ = run(subject, tmp_path)
    again, _ = run(subject, tmp_path)
    assert parts == ["response", "choice"]
    assert first.parts == again.parts == {"response": {"natural": {"excess": 0.2}}, "choice": {"x": None}}
    assert not list(tmp_path.glob(".*.part"))


def test_a_setting_of_several_numbers_is_the_same_when_read_again(
    subject: Subject, tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "settings_of", lambda part, subject: {"sampling": {"some": (1.0, 2.0)}})
    run(subject, tmp_path)
    run(subject, tmp_path)
    assert parts == ["response", "choice"]


def test_other_weights_settings_or_sizes_are_measured_anew(subject: Subject, tmp_path: Path, parts: list[str]) -> None:
    run(subject, tmp_path)
    run(replace(subject, weights=weights(tmp_path, "other")), tmp_path)
    assert parts == ["response", "choice"] * 2
    run(replace(subject, weights=weights(tmp_path, "other"), sizes=Sizes(trials=7)), tmp_path)
    assert parts[4:] == ["response"]


def test_other_code_of_the_model_is_measured_anew_and_never_taken_for_today_s(
    subject: Subject, tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = run(subject, tmp_path)
    monkeypatch.setattr(module, "model_code", lambda: "changed")
    found, _ = run(subject, tmp_path, run=("choice",))
    assert parts == ["response", "choice", "choice"]
    assert found.settings["choice"]["code"] == "changed"
    assert found.settings["response"] == first.settings["response"], "taken, and told with which code it was made"
    assert found.settings["response"]["code"] == model_code()
    run(subject, tmp_path)
    assert parts[3:] == ["response"]


def test_a_part_without_a_hash_of_code_is_earlier_code(subject: Subject, tmp_path: Path, parts: list[str]) -> None:
    run(subject, tmp_path)
    old = json.loads((tmp_path / "choice.json").read_text())
    del old["settings"]["code"], old["seconds"]
    (tmp_path / "choice.json").write_text(json.dumps(old))
    found, _ = run(subject, tmp_path, run=())
    assert parts == ["response", "choice"]
    assert "code" not in found.settings["choice"]
    assert list(found.seconds) == ["response"]
    run(subject, tmp_path)
    assert parts[2:] == ["choice"]


def test_what_a_part_took_is_kept_with_it(subject: Subject, tmp_path: Path, parts: list[str]) -> None:
    ticks = iter(range(0, 100, 7))
    timed = replace(subject, timer=lambda: float(next(ticks)))
    first, _ = run(timed, tmp_path)
    assert first.seconds == {"response": 7.0, "choice": 7.0}
    assert json.loads((tmp_path / "choice.json").read_text())["seconds"] == 7.0
    again, _ = run(subject, tmp_path)
    assert again.seconds == first.seconds
    assert assemble(again, subject, date="2026-01-02")["seconds"] == first.seconds


def test_a_damaged_file_is_made_anew(subject: Subject, tmp_path: Path, parts: list[str]) -> None:
    run(subject, tmp_path)
    (tmp_path / "choice.json").write_text('{"settings"')
    run(subject, tmp_path)
    assert parts == ["response", "choice", "choice"]


def test_only_the_parts_asked_for_are_run_and_the_others_taken(
    subject: Subject, tmp_path: Path, parts: list[str]
) -> None:
    found, _ = run(subject, tmp_path, run=("choice",))
    assert (parts, list(found.parts)) == (["choice"], ["choice"])
    found, _ = run(subject, tmp_path, run=("response",))
    assert (parts, list(found.parts)) == (["choice", "response"], ["response", "choice"])


@pytest.mark.parametrize("error", [ReactdiffError("no voices", where="x"), ZeroDivisionError("by zero")])
def test_a_part_that_fails_tells_a_sentence_and_the_others_go_on(
    subject: Subject, tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(subject, told):
        raise error

    monkeypatch.setitem(module.PARTS, "response", fails)
    found, said = run(subject, tmp_path)
    assert list(found.failed) == ["response"]
    assert list(found.parts) == ["choice"]
    assert len(said) == 1
    assert str(error) in said[0]
    assert not (tmp_path / "response.json").exists()


def test_a_full_disk_loses_no_figures(
    subject: Subject, tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    found, said = run(subject, tmp_path)
    assert set(found.parts) == {"response", "choice"}
    assert ["No space left" in sentence for sentence in said] == [True, True]


def test_a_picture_that_cannot_be_drawn_is_told_only(
    subject: Subject, tmp_path: Path, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(folder):
        raise ValueError("nothing to draw")

    monkeypatch.setitem(module.PARTS, "response", lambda subject, told: Made({"a": 1}, [draw]))
    found, said = run(subject, tmp_path)
    assert found.parts["response"] == {"a": 1}
    assert "nothing to draw" in said[0]


def test_what_is_written_is_read(subject: Subject, tmp_path: Path, parts: list[str]) -> None:
    found, _ = run(subject, tmp_path)
    whole = assemble(found, subject, date="2026-01-02")
    write(tmp_path / "evidence.json", dumps(whole))
    read = read_evidence(tmp_path / "evidence.json")
    write(tmp_path / "odd.json", dumps({**whole, "seconds": []}))
    with pytest.raises(ReactdiffError, match="another version"):
        read_evidence(tmp_path / "odd.json")
    assert read["weights"]["digest"] == "digest"
    row = next(row for row in read["bounds"] if row["name"].startswith("natural"))
    assert (row["holds"], row["value"]) == (True, 0.2)
    # A bound without a figure is not measured, and does not count as held.
    assert any(row["holds"] is None for row in read["bounds"])
    assert read["held"] == 1


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 99, "parts": {}, "failed": {}}'])
def test_no_evidence_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(text)
    with pytest.raises(ReactdiffError, match="evidence"):
        read_evidence(path)


# --- bounds


def bound(low=-math.inf, high=math.inf, strict=False) -> Bound:
    return Bound("p", "n", lambda f: f, "w", low, high, strict)


@pytest.mark.parametrize(
    ("found", "holds", "worst"),
    [
        ({"": 0.2}, True, 0.2),
        ({"": 0.1}, True, 0.1),
        ({"": 0.31}, False, 0.31),
        ({"a": 0.2, "b": 0.05, "c": 0.32}, False, 0.05),
        ({"a": 0.2, "b": 0.29}, True, 0.29),
        ({"a": None, "b": 0.2}, True, 0.2),
        ({"": math.nan}, None, None),
        ({}, None, None),
    ],
)
def test_a_band(found, holds, worst) -> None:
    got = verdict(bound(0.1, 0.3), found)
    assert (got.holds, got.value) == (holds, worst)


def test_what_of_a_bound_was_not_measured_is_named() -> None:
    got = verdict(bound(0.1, 0.3), {"a": None, "b": 0.2, "c": math.nan})
    assert (got.holds, got.unknown) == (True, ("a", "c"))
    nothing = verdict(bound(0.1, 0.3), {"a": None})
    assert (nothing.holds, nothing.value, nothing.unknown) == (None, None, ("a",))
    assert got.as_dict()["unknown"] == ["a", "c"]


def test_how_many_of_several_are_outside_is_counted() -> None:
    got = verdict(bound(0.1, 0.3), {"a": None, "b": 0.2, "c": 0.05, "d": 0.9})
    assert (got.of, got.out, got.count, got.holds) == ("d", 2, 3, False)
    assert (verdict(bound(0.1, 0.3), {"": 0.2}).out, verdict(bound(0.1, 0.3), {}).count) == (0, 0)


def test_a_part_that_is_not_there_does_not_make_the_bounds_fewer() -> None:
    assert len(judge({})) == len(BOUNDS)
    assert all(v.holds is None for v in judge({}))


def test_a_ratio_without_an_interval_is_not_measured() -> None:
    row = {"ratio": 1.0, "low": 0.9, "high": 1.1}
    ratios = {"mean of smile": row, "rate of laughs": dict.fromkeys(row)}
    by_name = {v.bound.name: v for v in judge({"sessions": {"ratios": ratios, "not_judged": {"rate of nods": {}}}})}
    told = by_name["last part over the second, 95 % intervals"]
    assert (told.holds, set(told.unknown)) == (True, {"rate of laughs", "rate of nods"})


def test_ends_that_do_not_pass() -> None:
    assert not bound(high=0.01, strict=True).holds(0.01)
    assert bound(high=0.01).holds(0.01)
    assert not bound(0.0, strict=True).holds(0.0)
    assert verdict(bound(0, 0), {"": False}).holds
    assert not verdict(bound(0, 0), {"": True}).holds


def test_the_words_of_bounds() -> None:
    assert [bound(*b).text() for b in [(0, 0), (1, 1), (0.4,), (0.4, math.inf, True), (-math.inf, 3), (0.1, 0.3)]] == [
        "no", "yes", "at least 0.4", "above 0.4", "at most 3", "0.1 to 0.3",
    ]  # fmt: skip


def test_every_part_has_a_bound_and_every_bound_a_part() -> None:
    assert {b.part for b in BOUNDS} == set(PARTS) == set(NAMES)
    assert tuple(PARTS) == NAMES
    assert len({(b.part, b.name) for b in BOUNDS}) == len(BOUNDS)
    assert all(v.holds is None for v in judge({name: {} for name in PARTS}))


def test_rows_of_reflexes_do_not_count() -> None:
    ratios = {"smile": 1.0, "gaze": 5.0, "blinks": 9.0}
    by_name = {v.bound.name: v for v in judge({"choice": {"variance": ratios, "smile_rate": 1.05}})}
    assert by_name["variance with choice over without"].holds


# --- parts


def test_sizes() -> None:
    assert sizes_for(200) == Sizes()
    assert (sizes_for(200, hours=20).sessions, sizes_for(200, hours=20).minutes) == (20, 60.0)
    assert sizes_for(8).items == 8
    assert sizes_for(200, short=True).items < 20


def test_settings_hold_what_figures_depend_on(subject: Subject) -> None:
    base = settings_of("simulator", subject)
    assert settings_of("simulator", replace(subject, seed=1)) != base
    assert settings_of("simulator", replace(subject, how=Sampling(steps=3))) != base
    assert settings_of("simulator", replace(subject, bank=VoiceBank(np.ones((2, 3), np.float32)))) != base
    assert settings_of("simulator", replace(subject, workers=4)) == base
    assert settings_of("simulator", replace(subject, sizes=Sizes(trials=3))) == base


def test_the_manifest_tells_of_the_autoencoder(subject: Subject, tmp_path: Path) -> None:
    facts = {"explained": {"smile": 0.99}, "active_units": {"smile": 3}}
    (tmp_path / "manifest.json").write_text(json.dumps({"autoencoder": facts}))
    assert autoencoder(subject, lambda share: None).figures == facts
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ReactdiffError, match="autoencoder"):
        autoencoder(subject, lambda share: None)


def test_a_real_part_gives_what_its_bounds_ask_for(any_weights: Path) -> None:
    small = Sizes(choice_items=4, stream_seconds=8.0, repeats=2)
    subject = Subject(find_weights(any_weights), Sampling(steps=2), lambda: 0.0, small)
    figures = json.loads(dumps(choice(subject, lambda share: None).figures))
    figures["smile_rate"] = figures["smile_rate"] or 1.0  # so short a stream may hold no smile
    figures_of_speed = json.loads(dumps(PARTS["speed"](subject, lambda share: None).figures))
    verdicts = judge({"choice": figures, "speed": figures_of_speed})
    assert None not in [v.holds for v in verdicts if v.bound.part in ("choice", "speed")]
