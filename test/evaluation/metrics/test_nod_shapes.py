"""Shapes of nods: what a nod was made of is found, and tables that hold no nods are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.evaluation.metrics.nod_shapes import MEASURES, compared, quantiles, read_nods, shapes_of
from reactdiff_ros.recordings.datasets.recording import DatasetError

NAMES = ("length (seconds)", "peaks", "peaks per sec", "extremes amplitude", "velocity")


def nods(*cycles: int, degrees: float = 5.0, hz: float = 1.6) -> np.ndarray:
    pitch = np.zeros((len(cycles), 200))
    for row, n in zip(pitch, cycles, strict=True):
        t = np.arange(round(n / hz * 25)) / 25
        row[50 : 50 + len(t)] = np.radians(degrees) / 2 * (1 - np.cos(2 * np.pi * hz * t))
    return pitch


def table(path: Path, rows: dict[str, str], label: str = "feedback") -> Path:
    lines = [f"{name},{label},6,0,0,0,0,0,0,{values}" for name, values in rows.items()]
    path.write_text("\n".join(["Category,Label", *lines]))
    return path


def test_a_nod_has_the_peaks_the_length_and_the_size_that_it_was_made_with() -> None:
    found = shapes_of(nods(1, 2, 3, 5))
    assert found["peaks"].tolist() == [1, 2, 3, 5]
    assert found["length_s"] == pytest.approx(np.array([1, 2, 3, 5]) / 1.6, abs=0.15)
    assert found["peaks_per_s"] == pytest.approx(found["peaks"] / found["length_s"])
    assert np.degrees(found["amplitude"]) == pytest.approx(5.0, abs=0.5)
    assert np.degrees(found["velocity"]) == pytest.approx(2 * 5.0 * 1.6, rel=0.2)


def test_nods_are_at_no_distance_from_themselves_in_any_unit(tmp_path: Path) -> None:
    found = shapes_of(nods(1, 1, 2, 3, 4, 2))
    rows = dict.fromkeys(NAMES, "")
    for name, measure in zip(NAMES, MEASURES, strict=True):
        scale = 0.1 if measure in ("amplitude", "velocity") else 1.0
        rows[name] = ",".join(repr(float(v)) for v in found[measure] * scale)
    comparison = compared(found, read_nods(table(tmp_path / "nods.csv", rows)))
    assert comparison["count"] == 6
    assert comparison["quantiles"] == quantiles(found)
    for distance in comparison["distances"]["feedback"].values():
        assert distance["w1"] == pytest.approx(0.0, abs=1e-9)
    others = compared(shapes_of(nods(5, 5, 5, 5, 5)), {"feedback": found})["distances"]["feedback"]
    assert others["peaks"]["w1"] > 1.0
    assert others["peaks"]["ks"] == 1.0
    assert compared(shapes_of(nods(1)), {"feedback": found}) == {"count": 1}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (dict.fromkeys(NAMES[:-1], "1,1"), "lacks velocity"),
        ({**dict.fromkeys(NAMES, "1,1"), "peaks": "1,many"}, "line 3 .* not numeric"),
        ({**dict.fromkeys(NAMES, "1,1"), "peaks": "1,-1"}, "a value that no nod has"),
    ],
)
def test_a_table_without_nods_is_refused(tmp_path: Path, rows: dict[str, str], why: str) -> None:
    with pytest.raises(DatasetError, match=why):
        read_nods(table(tmp_path / "nods.csv", rows))


def test_a_label_with_few_nods_is_left_out(tmp_path: Path) -> None:
    assert read_nods(table(tmp_path / "nods.csv", dict.fromkeys(NAMES, "1,1"))) == {}
