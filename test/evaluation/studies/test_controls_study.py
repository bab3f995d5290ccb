"""Trials of inserted events, and sweeps of the controls on the simulator's listener, which obeys by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_YAW, INDEX, SMILE
from reactdiff_ros.evaluation.listeners import StreamListener
from reactdiff_ros.evaluation.metrics.bootstrap import Sweep
from reactdiff_ros.evaluation.studies import controls
from reactdiff_ros.evaluation.studies.controls import bench_response, evaluate_controls, evaluate_gains
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.conditions import CONTROL_NAMES, STYLE_NAMES
from reactdiff_ros.model.diffusion.sampler import Conditions, Sampling
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.simulator.speaker import PLACEBOS
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.styles import EXPRESSION_CONTROLS, LISTENER_CONTROLS
from reactdiff_ros.types import FloatArray


def test_measures_count_what_they_say() -> None:
    faces = np.zeros((2, 1500, 58), np.float32)
    time_s = np.arange(1500) / 25.0
    faces[1][:, list(SMILE)] = (0.6 * (time_s % 6 < 2))[:, None]
    faces[1][:, HEAD_PITCH] = 0.05 * (1 - np.cos(2 * np.pi * 1.6 * time_s)) * (time_s % 10 < 1.25)
    assert controls.smile_share(faces) == pytest.approx([0.0, 1 / 3], abs=0.03)
    assert controls.nods_per_minute(faces).tolist() == [0.0, 6.0]
    still, lively = controls.head_speed(faces)
    assert still == 0.0
    assert 3.0 < lively < 12.0


def test_a_sweep_is_paired_and_tells_what_does_not_rise() -> None:
    base = np.random.default_rng(0).normal(size=40)
    rising = Sweep("x", (0.0, 1.0), np.stack([base, base + 0.1])).figures()
    assert rising["monotonic"]
    assert rising["rise_low"] == pytest.approx(0.1), "the spread between streams is not in it"
    assert rising["rises"]
    flat = Sweep("x", (0.0, 1.0, 2.0), np.stack([base, base + 0.2, base + 0.1])).figures()
    assert not flat["monotonic"]
    assert not flat["rises"]
    empty = Sweep("x", (0.0, 1.0), np.full((2, 3), np.nan)).figures()
    assert not empty["monotonic"]
    assert not empty["rises"]


def test_every_control_rises_on_the_simulators_listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "LISTENERS", 2)  # whose faces go through the expression
    shares: list[float] = []
    found = evaluate_controls(
        StreamListener("simulator"), seed=0, items=16, seconds=24.0, points=2, progress=shares.append
    )
    figures = found.figures
    assert set(figures["controls"]) == set(LISTENER_CONTROLS)
    assert figures["style"] == {}
    for name, parts in figures["controls"].items():
        assert parts[0]["rise_low"] > 0.0, name
    assert set(figures["gains"]) == set(EXPRESSION_CONTROLS)
    delay = figures["controls"]["delay_s"][0]["mean"]
    assert delay[-1] - delay[0] == pytest.approx(1.0, abs=0.25)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert found.pictures["controls.png"](tmp_path / "controls.png").stat().st_size > 10_000


def test_entries_of_a_style_are_swept_for_the_model_on_more_speakers(random_weights: Path) -> None:
    model = StreamListener("model", find_weights(random_weights), Sampling(steps=1), workers=2)
    shares: list[float] = []
    figures = evaluate_controls(model, seed=0, items=1, seconds=6.0, points=2, progress=shares.append).figures
    assert tuple(figures["style"]) == STYLE_NAMES
    assert figures["style_items"] == controls.STYLE_TIMES
    assert all(tuple(part["values"]) == controls.STYLE_VALUES for part in figures["style"].values())
    assert set(figures["not_rising"]) <= {*LISTENER_CONTROLS, *EXPRESSION_CONTROLS, *STYLE_NAMES}
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def lively(seconds: float) -> np.ndarray:
    """Two listeners who smile, raise brows and turn their heads."""
    wave = 0.5 * (1 - np.cos(2 * np.pi * 0.4 * np.arange(round(seconds * 25)) / 25.0))
    faces = np.zeros((2, len(wave), 58), np.float32)
    faces[..., [*SMILE, INDEX["browInnerUp"]]] = 0.4 * wave[:, None]
    faces[..., HEAD_YAW] = 0.1 * wave
    return faces


def test_what_the_expression_does_to_a_plan_rises_with_its_controls() -> None:
    figures = evaluate_gains(lively(8.0), points=3, workers=2)
    assert all(part["rises"] for part in figures.values()), figures
    smile = figures["intensity"]["mean"]
    assert smile[0] < 1e-3
    assert smile[2] == pytest.approx(2 * smile[1], rel=0.1)


class Mirror(StreamListener):
    """Shows half of the smile that perception delivers, 0.4 s later, twice as much when told to be responsive."""

    def run(
        self, speaker: SpeakerBatch, conditions: Conditions, seeds: object, truth: Stimulus | None = None
    ) -> FloatArray:
        out = np.zeros((*speaker.camera.shape, 58), dtype=np.float32)
        gain = 0.5 * (1 + conditions.controls[:, CONTROL_NAMES.index("attitude")])
        smile = speaker.coefficients[..., list(SMILE)] * speaker.mesh[..., None]
        out[:, 10:, list(SMILE)] = smile[:, :-10] * gain[:, None, None]
        return out


class Nodder(StreamListener):
    """Nods half a second after every cue of the speaker, and never else."""

    def run(
        self, speaker: SpeakerBatch, conditions: Conditions, seeds: object, truth: Stimulus | None = None
    ) -> FloatArray:
        assert truth is not None
        out = np.zeros((*speaker.camera.shape, 58), dtype=np.float32)
        dip = 0.05 * (1 - np.cos(2 * np.pi * np.arange(15) / 15))
        began = np.diff((truth.cue > 0.5).astype(int), axis=1, prepend=0) == 1
        for row, frame in zip(*np.nonzero(began), strict=True):
            after = out[row, frame + 12 : frame + 12 + len(dip), HEAD_PITCH]
            after[:] = dip[: len(after)]
        return out


def test_a_mirror_answers_smiles_by_attitude_and_no_placebo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "POOL", 60)
    shares: list[float] = []
    figures = bench_response(Mirror("mirror"), seed=1, trials=30, progress=shares.append).figures
    assert figures["responsive_positive"]["rate"] > 0.8
    assert figures["negative"]["rate"] == 0
    assert figures["placebo"]["rate"] <= 0.1
    assert figures["nods"]["natural"]["excess"] == 0
    assert figures["natural"]["by_size"].keys() == {f"{s:g}" for s in controls.SIZES}
    assert figures["wiring"] is None
    assert figures["within_bounds"]["nods answer cues, excess surely above 0"] is False
    assert shares[-1] == pytest.approx(1.0)


def test_a_listener_that_nods_after_cues_is_seen_to_and_simulated_ones_stand_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "POOL", 60)
    shares: list[float] = []
    figures = bench_response(Nodder("nodder"), seed=1, trials=30, progress=shares.append).figures
    for row in figures["nods"].values():
        assert row["rate"] > 0.8
        assert row["excess_low"] > 0.5
    assert figures["within_bounds"]["nods answer cues, excess surely above 0"] is True
    assert figures["placebo"]["nod_excess_by_kind"] == dict.fromkeys(PLACEBOS, 0.0)
    simulated = figures["nods_of_simulated"]
    assert list(simulated) == list(controls.REFERENCES)
    assert all(row["trials"] == 30 for rows in simulated.values() for row in rows.values())
    assert simulated["simulator"]["responsive_positive"]["excess"] > 0.1
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
