"""Dynamic time warping against its definition, and that leaving early never changes the nearest."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import evaluate_mars, evaluate_reactions, export_mars, target_lists
from reactdiff_ros.evaluation.metrics.react import Part, nearest_distances
from tools.speed.metrics import example_set

pytest.importorskip("numba")


def table(x: np.ndarray, y: np.ndarray) -> float:
    """DTW by its recursion, cell by cell."""
    cost = np.square(x[:, None] - y[None]).sum(-1)
    out = np.full((len(x) + 1, len(y) + 1), np.inf)
    out[0, 0] = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            out[i + 1, j + 1] = cost[i, j] + min(out[i, j], out[i, j + 1], out[i + 1, j])
    return float(np.sqrt(out[-1, -1]))


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (40, 40), (70, 34)])
def test_it_is_the_recursion(n: int, m: int, channels: int) -> None:
    rng = np.random.default_rng(n * 100 + m)
    x, y = rng.standard_normal((n, channels)), rng.standard_normal((m, channels))
    assert nearest_distances(x[None], [y], [Part(slice(0, channels), 1.0)]) == pytest.approx([table(x, y)], rel=1e-5)


def test_the_nearest_of_many_is_found_whatever_their_order() -> None:
    rng = np.random.default_rng(1)
    predictions = np.cumsum(rng.standard_normal((4, 50, 5)), 1)
    targets = [np.cumsum(rng.standard_normal((length, 5)), 0) for length in (50, 50, 44, 61, 50, 50)]
    parts = [Part(slice(0, 2), 1.0), Part(slice(2, 5), 0.25)]
    every = [[table(p[:, :2], t[:, :2]) + 0.25 * table(p[:, 2:], t[:, 2:]) for t in targets] for p in predictions]
    found = nearest_distances(predictions, targets, parts)
    assert found == pytest.approx(np.min(every, 1), rel=1e-5)
    assert nearest_distances(predictions, targets[::-1], parts) == pytest.approx(found, rel=1e-6)


DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
EXPECTED = DATA / "react_metrics_expected.json"


@pytest.mark.skipif(not EXPECTED.exists(), reason="the reference's figures (shared/data) are not here")
@pytest.mark.parametrize("name", ["react_metrics_a.npz", "react_metrics_b.npz"])
def test_they_are_the_reference_s(name: str) -> None:
    expected = json.loads(EXPECTED.read_text())[name]["expected"]
    with np.load(DATA / name) as data:
        four = [data[key] for key in ("prediction", "listener", "speaker", "neighbour")]
    found = evaluate_reactions(*four, compat="react2024", workers=2).figures
    # The reference's torch.cdist on float32 loses some digits of FRDiv and FRDvs.
    for metric, limit in {"FRC": 1e-7, "FRD": 1e-6, "FRDiv": 1e-5, "FRDvs": 1e-5, "FRVar": 1e-6}.items():
        assert found[metric] == pytest.approx(expected[metric], rel=limit), metric
    assert found["FRSyn"] == expected["FRSyn_all"]
    assert found["FRSyn_first"] == expected["FRSyn_first_prediction_only"]


def test_the_default_mode_tells_means_and_signed_milliseconds_and_refuses_what_does_not_fit() -> None:
    _, real, heard = example_set(0, 2, 3, 2, 80)
    made = np.stack([np.roll(heard, lag, 1) for lag in (2, 4, -3)], 1)
    made[..., 3] = 0.0
    data = {
        "prediction": made, "listener": real.reshape(4, 80, 25), "speaker": heard,
        "neighbour": np.array([[1, 1, 0, 0], [0, 0, 1, 1]]),
    }  # fmt: skip
    found = evaluate_reactions(**data, rate_hz=50.0)
    assert {name: found.figures[name] for name in ("FRSyn", "FRSyn_first", "FRSyn_size")} == pytest.approx(
        {"FRSyn": 20.0, "FRSyn_first": 40.0, "FRSyn_size": 60.0}
    )
    assert found.figures["FRC_mean"] == pytest.approx(found.figures["FRC"] / 3)
    assert found.figures["FRD_mean"] == pytest.approx(found.figures["FRD"] / 3)
    assert found.settings["FRSyn_unit"] == "ms"
    assert evaluate_reactions(**data, compat="react2024").figures["FRSyn"] == 49.0
    for change, sentence in (
        ({"speaker": heard[:, :79]}, "do not fit"), ({"listener": np.zeros((4, 81, 25))}, "reactions of 81"),
        ({"neighbour": np.array([[1, 1, 0, 0], [0, 0, 0, 0]])}, "no appropriate"),
        ({"compat": "react2024", "rate_hz": 30.0}, "25 frames a second only"),
    ):  # fmt: skip
        with pytest.raises(ReactdiffError, match=sentence):
            evaluate_reactions(**{**data, **change})  # type: ignore[arg-type]


def test_lists_begin_with_the_own_reaction_and_are_those_of_the_stated_seed() -> None:
    sessions, names = ["session1"] * 4 + ["session0"] * 2 + ["session2"], ["d", "a", "c", "b", "x", "y", "z"]
    lists = target_lists(sessions, names, count=3, seed=7).tolist()
    generator = random.Random(7)
    # In order of session and name: x, y, then a, b, c, d.
    assert lists[4] == [4, *generator.choices([5], k=2)]
    assert lists[5] == [5, *generator.choices([4], k=2)]
    assert lists[1] == [1, *generator.sample([3, 2, 0], 2)]
    assert lists[6] == [6, 6, 6]
    assert all(sessions[j] == sessions[row[0]] == sessions[i] for i, row in enumerate(lists) for j in row)


def test_clips_of_several_lengths_are_measured_and_the_ground_truth_is_perfect() -> None:
    made, real, heard = example_set(4, 2, 3, 3, 80)
    made, heard = [made[0], made[1][:, :61]], [heard[0], heard[1][:61]]
    real = [[t[: n + i] for i, t in enumerate(r)] for r, n in zip(real, (80, 61), strict=True)]
    found = evaluate_mars(made, real, heard, workers=2)
    assert np.isnan(found.figures["FRDvs"])
    assert found.per_speaker["FRD"].shape == (2,)
    assert found.figures["FRSyn_ms"] == pytest.approx(found.figures["FRSyn"] / 30 * 1e3)
    cut = [[t[: len(h)] for t in r] for r, h in zip(real, heard, strict=True)]
    assert evaluate_mars(made, cut, heard).figures["FRC"] == pytest.approx(found.figures["FRC"])
    errors = [[np.abs(p[:, 15:] - t[:, 15:]).mean() for p in m for t in c] for m, c in zip(made, cut, strict=True)]
    assert found.figures["MAE"] == pytest.approx(np.mean(errors), rel=1e-5)
    made = [rows * (np.arange(25) != 3) for rows in made]  # one channel is constant
    truth = [list(rows) for rows in made]
    perfect = evaluate_mars(made, truth, heard)
    assert (found.settings["forced_identity"], perfect.settings["forced_identity"]) == (False, True)
    assert (perfect.figures["FRC"], perfect.figures["FRD"]) == (3.0, pytest.approx(0.0, abs=1e-3))
    made[0] = made[0] + 0.01
    assert evaluate_mars(made, truth, heard).figures["FRC"] < 3.0


def test_export_writes_ten_streams_a_speaker_and_overwrites_nothing(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((10, 33, 25))
    (path,) = export_mars(tmp_path, {"speaker/session0/a": rows})
    assert path == tmp_path / "speaker/session0/a.npy"
    assert np.array_equal(np.load(path), rows.astype(np.float32))
    for name, values, sentence in (
        ("speaker/session0/a", rows, "there already"), ("../a", rows, "out of the folder"),
        ("b", rows[:9], "is not .10, frames, 25"),
    ):  # fmt: skip
        with pytest.raises(ReactdiffError, match=sentence):
            export_mars(tmp_path, {name: values})
