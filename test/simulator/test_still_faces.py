"""Noise of readings of recorded people: found where somebody holds still, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, NAMES
from reactdiff_ros.simulator.rendered import readback, still_faces
from reactdiff_ros.simulator.rendered.readback import Response
from reactdiff_ros.simulator.rendered.still_faces import MEASURED, Readings, people_table, read_clip, still_deviations

BROW = INDEX["browInnerUp"]
NOISE = 0.012


def readings(seconds: float = 60.0, noise: float = NOISE) -> Readings:
    """A person who holds brows of .4, and all else at .3, with white noise."""
    times = np.arange(0.0, seconds, 0.04)
    values = np.random.default_rng(5).normal(0.3, noise, (len(times), len(NAMES)))
    values[:, BROW] += 0.1
    return Readings(times, values.astype(np.float32), np.ones(values.shape, bool))


def test_the_noise_of_a_still_face_is_found() -> None:
    found = still_deviations(readings())
    assert all(len(some) > 100 for some in found)
    for some in found:
        assert np.sqrt(np.mean(np.square(some))) == pytest.approx(NOISE, rel=0.1)
    assert not any(still_deviations(readings(seconds=0.9)))


def test_a_slow_drift_is_no_noise() -> None:
    made = readings(noise=0.0)
    made.coefficients[:, BROW] = 0.3 + 0.005 * made.times_s
    assert max(still_deviations(made)[BROW]) < 1e-6


def test_what_moves_is_left_out_and_a_turning_head_spoils_all() -> None:
    made = readings()
    made.coefficients[:, BROW] += 0.3 * np.sin(2 * made.times_s).astype(np.float32)
    found = still_deviations(made)
    assert len(found[BROW]) < 0.4 * len(found[BROW + 1])
    made.coefficients[:, HEAD_PITCH] = 0.5 * made.times_s
    assert not any(still_deviations(made))


def test_bounds_and_lost_faces_are_left_out() -> None:
    made = readings()
    made.coefficients[:, BROW] = np.maximum(made.coefficients[:, BROW] - 0.4, 0.0)
    made.coefficients[:, HEAD_PITCH] -= 0.3
    made.observed[::20, INDEX["jawOpen"]] = False
    found = still_deviations(made)
    assert not found[BROW]
    assert len(found[HEAD_PITCH]) > 100, "a turn of the head has no bound at 0"
    assert 0 < len(found[INDEX["jawOpen"]]) < 0.6 * len(found[INDEX["jawLeft"]])


def test_the_page_has_a_row_for_each_group(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = readings(seconds=0.5)
    monkeypatch.setattr(still_faces, "FaceNets", lambda: None)
    monkeypatch.setattr(still_faces, "read_clip", lambda path, nets: readings() if path.stem == "anna" else silent)
    text = people_table([Path("anna.mp4"), Path("bert.mp4")], {"browInnerUp": 0.03, "browDownLeft": 0.04})
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in text[-7:]}
    assert [name.removesuffix(", rad") for name in rows] == [name for name, _ in MEASURED]
    stretches, clips, quiet, median, loud, rendered = rows["brows"]
    assert (clips, rendered) == ("1", "0.0354")
    assert int(stretches) > 500
    assert float(quiet) < float(median) < float(loud)
    assert rows["gaze"][-1] == "-"
    none = people_table([Path("bert.mp4")], {})[-1]
    assert none == "| head, rad | 0 | 0 | - | - | - | - |"


def test_the_page_tells_of_people_only_with_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        readback, "measure_responses", lambda: [Response("jawOpen", 1.0, 0.0, 0.007, 0.1, "jawLeft", 0.2)]
    )
    monkeypatch.setattr(readback, "measure_pose", lambda: [("headPitch", 0.9, 0.0, 0.0008, 0.004)])
    seen = []
    monkeypatch.setattr(readback, "people_table", lambda clips, noise: seen.append((clips, noise)) or ["## People"])
    assert "People" not in readback.table()
    assert readback.table([Path("anna.mp4")]).endswith("| headPitch | 0.90 | +0.000 | 0.0008 | 0.004 |\n## People\n")
    assert seen == [([Path("anna.mp4")], {"jawOpen": 0.007, "headPitch": 0.0008})]


def test_a_recorded_person_trembles_less_than_a_tenth(clips: Callable[[str], Path]) -> None:
    pytest.importorskip("mediapipe")
    made = read_clip(clips("real3dportrait_may_5s.mp4"))
    assert made.coefficients.shape == made.observed.shape == (len(made.times_s), len(NAMES))
    assert made.observed.any(0).sum() > 40
    found = [deviation for some in still_deviations(made)[:52] for deviation in some]
    assert found
    assert 0.0 < np.median(found) < 0.1
