"""REACT2025's and 2026's way: lists of targets with a stated seed, clips of any length, the forced ground truth."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import evaluate_mars, export_mars, target_lists
from reactdiff_ros.evaluation.bench.metrics import example_set


def clips(lengths: tuple[int, ...]) -> tuple[list[np.ndarray], list[list[np.ndarray]], list[np.ndarray]]:
    made, real, heard = example_set(4, len(lengths), 3, 3, max(lengths))
    return (
        [m[:, :n] for m, n in zip(made, lengths, strict=True)],
        [[t[: n + i] for i, t in enumerate(r)] for r, n in zip(real, lengths, strict=True)],
        [h[:n] for h, n in zip(heard, lengths, strict=True)],
    )


def test_lists_begin_with_the_own_reaction_and_are_those_of_the_stated_seed() -> None:
    sessions, names = ["session1"] * 4 + ["session0"] * 2 + ["session2"], ["d", "a", "c", "b", "x", "y", "z"]
    lists = target_lists(sessions, names, count=3, seed=7)
    assert lists[:, 0].tolist() == list(range(7))
    generator = random.Random(7)
    # In order of session and name: x, y, then a, b, c, d.
    assert lists[4].tolist() == [4, *generator.choices([5], k=2)]
    assert lists[5].tolist() == [5, *generator.choices([4], k=2)]
    assert lists[1].tolist() == [1, *generator.sample([3, 2, 0], 2)]
    assert lists[6].tolist() == [6, 6, 6]
    assert all(sessions[j] == sessions[i] for i, row in enumerate(lists) for j in row)
    assert (target_lists(sessions, names, count=3, seed=7) == lists).all()


def test_clips_of_several_lengths_are_measured() -> None:
    pytest.importorskip("numba")
    made, real, heard = clips((80, 61))
    found = evaluate_mars(made, real, heard, workers=2)
    assert np.isnan(found.figures["FRDvs"])
    assert found.per_speaker["FRD"].shape == (2,)
    assert found.figures["FRSyn_ms"] == pytest.approx(found.figures["FRSyn"] / 30 * 1e3)
    cut = [[t[: len(h)] for t in r] for r, h in zip(real, heard, strict=True)]
    assert evaluate_mars(made, cut, heard).figures["FRC"] == pytest.approx(found.figures["FRC"])
    wanted = np.mean([
        np.mean([np.abs(p[:, 15:] - t[:, 15:]).mean() for p in m for t in c]) for m, c in zip(made, cut, strict=True)
    ])  # fmt: skip
    assert found.figures["MAE"] == pytest.approx(wanted, rel=1e-5)
    assert found.settings["forced_identity"] is False


def test_the_ground_truth_is_perfect_even_where_a_channel_is_constant() -> None:
    pytest.importorskip("numba")
    made, _, heard = clips((60, 50))
    for rows in made:
        rows[..., 3] = 0.0
    truth = [list(rows) for rows in made]
    found = evaluate_mars(made, truth, heard)
    assert found.settings["forced_identity"] is True
    assert found.figures["FRC"] == 3.0
    assert found.figures["FRD"] == pytest.approx(0.0, abs=1e-3)
    made[0] = made[0] + 0.01
    assert evaluate_mars(made, truth, heard).figures["FRC"] < 3.0


def test_export_writes_ten_streams_a_speaker_and_overwrites_nothing(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((10, 33, 25))
    (path,) = export_mars(tmp_path, {"speaker/session0/a": rows})
    assert path == tmp_path / "speaker/session0/a.npy"
    found = np.load(path)
    assert found.dtype == np.float32
    assert np.array_equal(found, rows.astype(np.float32))
    for name, values, sentence in (
        ("speaker/session0/a", rows, "there already"),
        ("../a", rows, "out of the folder"),
        ("b", rows[:9], "is not .10, frames, 25"),
    ):
        with pytest.raises(ReactdiffError, match=sentence):
            export_mars(tmp_path, {name: values})
