"""The evaluation on recorded calls: folds are asserted, styles are other people's, and the real figures come out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics import coupling as measures
from reactdiff_ros.evaluation.studies.dyads import Calls, evaluate_dyads, read_calls
from reactdiff_ros.model.diffusion.sampler import Conditions
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch

PAIRS, ROWS = 8, 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pairs of 50 s: B follows A by a second."""
    out = tmp_path_factory.mktemp("calls")
    rng = np.random.default_rng(0)
    for pair in range(PAIRS):
        noise = rng.normal(size=(2, ROWS + 100)).cumsum(1)
        slow = (noise[:, 60:] - noise[:, :-60])[:, : ROWS + 30]
        a, own = np.clip(1 + slow / slow.std(), 0, 5)
        b = 0.6 * np.r_[np.zeros(30), a[:-30]] + 0.4 * own
        au12 = np.stack([a, b], 1)[:ROWS]
        tables = {"au12_r": au12, "au06_r": au12 * 0.5, "gaze": np.full((ROWS, 2), 3), "body_motion": au12 * 100}
        for name, table in tables.items():
            np.savetxt(out / f"p{pair}_{name}.csv", table, fmt="%.2f", header="A B", comments="")
    return out


@pytest.fixture(scope="module")
def calls(folder: Path) -> Calls:
    return read_calls(folder)


class Follower:
    """A stand-in for a model, with a manifest that says what it was trained on."""

    def __init__(self, folder: Path, fold: str, *, real: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"real": real, "fold": fold, "ablate": [], "seed": 0, "steps": 1}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        self.name, self.fold = "model", fold
        self.weights: Any = SimpleNamespace(folder=folder, name="stand-in", simulator="none")
        self.conditions: list[Conditions] = []
        self.speakers: list[np.ndarray] = []

    def run(self, speaker: SpeakerBatch, conditions: Conditions, seeds: np.ndarray, truth: object = None) -> np.ndarray:
        self.conditions.append(conditions)
        smile = speaker.coefficients[..., list(SMILE)]
        self.speakers.append(smile[..., 0])
        out = np.zeros((*smile.shape[:2], 58), dtype=np.float32)
        own = np.random.default_rng(int(seeds[0])).normal(size=(*smile.shape[:2], 1)).cumsum(1) * 0.02
        out[:, 20:, list(SMILE)] = np.clip(0.4 * smile[:, :-20] + 0.15 + own[:, 20:] % 0.4, 0, 1)
        return out


def test_real_people_pass_and_strangers_a_still_face_and_the_mime_fail(calls: Calls) -> None:
    figures = evaluate_dyads(calls, [], systems=("real", "random", "still", "mime"), permutations=500).figures
    assert figures["real"]["C"] > 0.2
    assert figures["real"]["p"] < 0.01
    assert not any(figures[name]["passes"] for name in ("random", "still", "mime"))
    assert figures["mime"]["C"] > figures["real"]["C"]
    assert abs(figures["random"]["C"]) < figures["real"]["C"] / 2
    assert figures["still"]["D_marg"] > 2


def test_four_models_are_each_tested_on_their_own_pairs(calls: Calls, tmp_path: Path) -> None:
    models: list[Any] = [Follower(tmp_path / f"{i}", f"{i}/4") for i in (3, 1, 4, 2)]
    figures = evaluate_dyads(calls, models, systems=("model",), permutations=200).figures["model"]
    assert figures["C"] > 0.1
    assert figures["saw_these_pairs"] is False
    assert sum(len(m.speakers[0]) for m in models) == len(calls.recordings)
    held = calls.fold_rows(0, 4)
    np.testing.assert_array_equal(models[1].speakers[0], calls.speaker.coefficients[held][..., SMILE[0]])
    for folds in (("1/4", "1/4", "2/4", "3/4"), ("1/3", "2/3", "3/3", "")):
        others: list[Any] = [Follower(tmp_path / f"{i}", name) for i, name in enumerate(folds)]
        with pytest.raises(ReactdiffError, match="fold"):
            evaluate_dyads(calls, others, systems=("model",), permutations=100)


@pytest.mark.parametrize(("real", "note"), [(True, "was trained on these calls"), (False, "not trained on recorded")])
def test_one_model_says_whether_it_saw_the_calls(calls: Calls, tmp_path: Path, real: bool, note: str) -> None:
    model: Any = Follower(tmp_path, "", real=real)
    found = evaluate_dyads(calls, [model], systems=("model",), permutations=100).figures["model"]
    assert found["saw_these_pairs"] is real
    assert note in found["note"]
    conditions = model.conditions[0]
    assert conditions.real.tolist() == [float(real)] * len(conditions), "a source they did not meet"
    assert bool(conditions.style_given.any()) is real
    assert bool(conditions.controls_given.any()) is not real


Cells = Callable[[list[list[str]]], list[list[str]]]


def altered(folder: Path, to: Path, pattern: str, cells: Cells) -> Path:
    """A copy of the calls; the rows of the files of `pattern` go through `cells`."""
    for path in sorted(folder.glob("*.csv")):
        head, *lines = path.read_text().splitlines()
        rows = [line.split() for line in lines]
        rows = cells(rows) if path.match(pattern) else rows
        (to / path.name).write_text("\n".join([head, *(" ".join(row) for row in rows)]) + "\n")
    return to


def lost(rows: list[list[str]]) -> list[list[str]]:
    """The first person's AU12 is lost for .4 s of every 3 s, and once for 4 s."""
    return [["NA", b] if i % 90 < 12 or 600 <= i < 720 else [a, b] for i, (a, b) in enumerate(rows)]


def never(rows: list[list[str]]) -> list[list[str]]:
    """The first person's AU12 is never known."""
    return [["NA", b] for _, b in rows]


def test_gaps_are_no_neutral_faces(calls: Calls, folder: Path, tmp_path: Path) -> None:
    """As zeros, these gaps would take C from .31 to .22, and the listeners .5 of a deviation away from themselves."""
    gappy = read_calls(altered(folder, tmp_path, "*_au12_r.csv", lost))
    assert not gappy.left_out
    assert np.isnan(gappy.speaker_smile).mean() > 0.1
    whole, found = (evaluate_dyads(c, [], systems=("real",), permutations=200).figures["real"] for c in (calls, gappy))
    assert found["C"] == pytest.approx(whole["C"], abs=0.03)
    assert found["p"] < 0.01
    assert measures.marginal_distance(gappy.real, calls.real) < 0.2


@pytest.mark.parametrize(
    ("pattern", "cells", "words"),
    [
        ("p3_au12_r.csv", never, r"au12_r of A is known in 0.0%.*p3_au"),
        ("p3_*.csv", lambda rows: rows[:360], r"it has 12.0 s where 25.0 s are needed"),
    ],
)
def test_one_poor_call_is_left_out_with_a_word_and_cuts_no_other(
    folder: Path, tmp_path: Path, pattern: str, cells: Cells, words: str, reactdiff
) -> None:
    altered(folder, tmp_path, pattern, cells)
    arguments = ["--folder", tmp_path, "--system", "real", "--permutations", 100, "--json"]
    found, error = reactdiff("evaluate", "dyads", *arguments)
    assert (found["calls"], found["pairs"], found["frames"]) == (7, 7, 1250)
    assert re.search(words, found["left_out"]["p3/first"])
    assert f"reactdiff: p3/first is left out: {found['left_out']['p3/first']}" in error


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (never, r"0 can be used.*au12_r of A.*and 5 more"),
        (lambda rows: [["0.7", "1.3"] for _ in rows], r"au12_r does not change in any of the calls"),
    ],
)
def test_calls_that_cannot_be_compared_are_one_sentence(
    folder: Path, tmp_path: Path, cells: Cells, words: str, reactdiff
) -> None:
    altered(folder, tmp_path, "*_au12_r.csv", cells)
    _, error = reactdiff("evaluate", "dyads", "--folder", tmp_path, "--system", "real", code=1)
    assert re.search(words, error)
    assert str(tmp_path) in error


@pytest.mark.slow
def test_the_published_calls_give_the_known_figures(clips: Any) -> None:
    figures = evaluate_dyads(read_calls(clips("dyads")), [], systems=("real", "random", "still"), permutations=1000)
    real, random, still = (figures.figures[name] for name in ("real", "random", "still"))
    assert real["C"] == pytest.approx(0.19, abs=0.015)
    assert real["p"] < 0.01
    assert real["D_marg"] == pytest.approx(0.36, abs=0.03)
    assert real["D_marg_95"] == pytest.approx(0.60, abs=0.06)
    assert abs(random["C"]) < 0.03
    assert random["p"] > 0.05
    assert still["D_marg"] == pytest.approx(3.6, abs=0.3)
