"""Trials of inserted events, and sweeps of the controls on the simulator's listener, which obeys by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_YAW, INDEX, SMILE
from reactdiff_ros.evaluation.bounds import judge_study
from reactdiff_ros.evaluation.listeners import StreamListener, style_conditions
from reactdiff_ros.evaluation.metrics.bootstrap import swept
from reactdiff_ros.evaluation.studies import controls
from reactdiff_ros.evaluation.studies.controls import bench_response, evaluate_controls, evaluate_gains
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.conditions import CONTROL_NAMES, STYLE_NAMES
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.simulator.speaker import PLACEBOS
from reactdiff_ros.styles import EXPRESSION_CONTROLS, LISTENER_CONTROLS


def test_measures_count_what_they_say() -> None:
    faces = np.zeros((2, 1500, 58), np.float32)
    time_s = np.arange(1500) / 25.0
    faces[1][:, list(SMILE)] = (0.6 * (time_s % 6 < 2))[:, None]
    faces[1][:, HEAD_PITCH] = 0.05 * (1 - np.cos(2 * np.pi * 1.6 * time_s)) * (time_s % 10 < 1.25)
    found = {title: measure(faces) for rows in controls.MEASURES.values() for title, measure in rows}
    assert found["share of time with a smile"] == pytest.approx([0.0, 1 / 3], abs=0.03)
    assert found["nods a minute"].tolist() == [0.0, 6.0]
    assert found["brow raises a minute"].tolist() == [0.0, 0.0]
    still, lively = found["speed of the head, degrees/s"]
    assert still == 0.0
    assert 3.0 < lively < 12.0


def test_a_sweep_is_paired_and_tells_what_does_not_rise() -> None:
    base = np.random.default_rng(0).normal(size=40)
    rising = swept("x", (0.0, 1.0), np.stack([base, base + 0.1]))
    assert rising["rises"]
    assert rising["rise_low"] == pytest.approx(0.1), "the spread between streams is not in it"
    for rows in ([base, base + 0.2, base + 0.1], np.full((2, 3), np.nan)):
        flat = swept("x", (0.0,) * len(rows), np.stack(rows))
        assert (flat["monotonic"], flat["rises"]) == (False, False)


def test_every_control_rises_on_the_simulators_listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "LISTENERS", 2)  # whose faces go through the expression
    found = evaluate_controls(StreamListener("simulator"), seed=0, items=12, seconds=16.0, points=2)
    figures = found.figures
    assert set(figures["controls"]) == set(LISTENER_CONTROLS)
    assert figures["style"] == {}
    for name, parts in figures["controls"].items():
        assert parts[0]["rise_low"] > 0.0, name
    delay = figures["controls"]["delay_s"][0]["mean"]
    assert delay[-1] - delay[0] == pytest.approx(1.0, abs=0.25)
    assert found.pictures["controls.png"](tmp_path / "controls.png").stat().st_size > 10_000


@pytest.mark.slow
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


def test_what_the_expression_does_to_a_plan_rises_with_its_controls() -> None:
    wave = 0.5 * (1 - np.cos(2 * np.pi * 0.4 * np.arange(150) / 25.0))
    lively = np.zeros((2, len(wave), 58), np.float32)
    lively[..., [*SMILE, INDEX["browInnerUp"]]] = 0.4 * wave[:, None]
    lively[..., HEAD_YAW] = 0.1 * wave
    figures = evaluate_gains(lively, points=3, workers=2)
    assert set(figures) == set(EXPRESSION_CONTROLS)
    assert all(part["rises"] for part in figures.values()), figures
    smile = figures["intensity"]["mean"]
    assert smile[0] < 1e-3
    assert smile[2] == pytest.approx(2 * smile[1], rel=0.1)


class Answers(StreamListener):
    """Shows half of the smile that perception delivers, 0.4 s later, by its attitude; nods half a second after every
    cue of the speaker, and never else.
    """

    def run(self, speaker, conditions, seeds, truth=None):
        out = np.zeros((*speaker.camera.shape, 58), dtype=np.float32)
        gain = 0.5 * (1 + conditions.controls[:, CONTROL_NAMES.index("attitude")])
        smile = speaker.coefficients[..., list(SMILE)] * speaker.mesh[..., None]
        out[:, 10:, list(SMILE)] = smile[:, :-10] * gain[:, None, None]
        dip = 0.05 * (1 - np.cos(2 * np.pi * np.arange(15) / 15))
        began = np.diff((truth.cue > 0.5).astype(int), axis=1, prepend=0) == 1
        for row, frame in zip(*np.nonzero(began), strict=True):
            after = out[row, frame + 12 : frame + 12 + len(dip), HEAD_PITCH]
            after[:] = dip[: len(after)]
        return out


def test_answers_to_smiles_and_cues_are_seen_and_to_no_placebo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "POOL", 60)
    shares: list[float] = []
    figures = bench_response(Answers("answers"), seed=1, trials=30, progress=shares.append).figures
    assert figures["responsive_positive"]["rate"] > 0.8
    assert figures["negative"]["rate"] == 0
    assert figures["placebo"]["rate"] <= 0.1
    assert figures["placebo"]["nod_excess_by_kind"] == dict.fromkeys(PLACEBOS, 0.0)
    assert figures["natural"]["by_size"].keys() == {f"{s:g}" for s in controls.SIZES}
    assert figures["wiring"] is None
    for row in figures["nods"].values():
        assert row["rate"] > 0.8
        assert row["excess_low"] > 0.5
    bound = "nods answer cues, excess surely above 0"
    assert figures["within_bounds"][bound] is True
    deaf = {**figures, "nods": {"natural": {"excess_low": 0.0}}}
    assert judge_study("response", deaf)[bound].holds is False
    simulated = figures["nods_of_simulated"]
    assert list(simulated) == list(controls.REFERENCES)
    assert all(row["trials"] == 30 for rows in simulated.values() for row in rows.values())
    assert simulated["simulator"]["responsive_positive"]["excess"] > 0.1
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


class Smiles(StreamListener):
    """Shows one smile for ever."""

    def __init__(self, smile: float) -> None:
        super().__init__("smiles")
        self.smile = smile

    def run(self, speaker, conditions, seeds, truth=None):
        return np.full_like(speaker.coefficients, self.smile)


def test_listeners_of_one_name_share_no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "POOL", 20)
    trials = controls.find_trials(0, "smile", 2)
    shown = [trials.streams(Smiles(smile), style_conditions("natural", 1), None) for smile in (0.25, 0.75)]
    assert [float(faces.mean()) for faces in shown] == [0.25, 0.75]
