"""The bench of responses: trials are what they say, a mime passes as responsive, an idle face answers nothing."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, SMILE
from reactdiff_ros.evaluation.listeners import listener_named
from reactdiff_ros.evaluation.studies import response as response_bench
from reactdiff_ros.evaluation.studies.response import AT, REFERENCES, SIZES, bench_response, find_trials
from reactdiff_ros.model.conditions import CONTROL_NAMES
from reactdiff_ros.model.plan.sampler import Conditions
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.simulator.speaker import PLACEBOS
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.types import FloatArray


class Mirror:
    """Shows half of the smile that perception delivers, 0.4 s later, twice as much when told to be responsive."""

    name = "mirror"

    def run(
        self, speaker: SpeakerBatch, conditions: Conditions, seeds: object, truth: Stimulus | None = None
    ) -> FloatArray:
        out = np.zeros((*speaker.camera.shape, 58), dtype=np.float32)
        gain = 0.5 * (1 + conditions.controls[:, CONTROL_NAMES.index("attitude")])
        smile = speaker.coefficients[..., list(SMILE)] * speaker.mesh[..., None]
        out[:, 10:, list(SMILE)] = smile[:, :-10] * gain[:, None, None]
        return out


class Nodder:
    """Nods half a second after every cue of the speaker, and never else."""

    name = "nodder"

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


@pytest.fixture(autouse=True)
def small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_bench, "_POOL", 60)


def test_a_mirror_answers_smiles_by_attitude_and_no_placebo() -> None:
    told: list[float] = []
    report = bench_response(Mirror(), seed=1, trials=30, progress=told.append)
    figures = report.figures
    assert figures["responsive_positive"]["rate"] > 0.8
    assert figures["negative"]["rate"] == 0
    assert figures["placebo"]["rate"] <= 0.1
    assert figures["nods"]["natural"]["excess"] == 0
    assert figures["natural"]["by_size"].keys() == {f"{s:g}" for s in SIZES}
    assert figures["wiring"] is None
    assert figures["within_bounds"]["nods answer cues, excess surely above 0"] is False
    assert told[-1] == pytest.approx(1.0)
    assert set(report.curves) == {"natural", "responsive_positive", "negative"}


def test_a_listener_that_nods_after_cues_is_seen_to_and_simulated_ones_stand_beside_it() -> None:
    told: list[float] = []
    figures = bench_response(Nodder(), seed=1, trials=30, progress=told.append).figures
    for row in figures["nods"].values():
        assert row["rate"] > 0.8
        assert row["excess_low"] > 0.5
    assert figures["within_bounds"]["nods answer cues, excess surely above 0"] is True
    assert figures["placebo"]["nod_excess_by_kind"] == dict.fromkeys(PLACEBOS, 0.0)
    simulated = figures["nods_of_simulated"]
    assert list(simulated) == list(REFERENCES)
    assert all(row["trials"] == 30 for rows in simulated.values() for row in rows.values())
    assert simulated["simulator"]["responsive_positive"]["excess"] > 0.1
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_simulated_listeners_get_the_very_trials_of_the_listener() -> None:
    """The simulator's listener as the one under test stands beside itself with the same figures."""
    figures = bench_response(listener_named("simulator"), seed=2, trials=12).figures
    assert figures["nods"] == figures["nods_of_simulated"]["simulator"]


def test_the_simulators_listener_answers_a_smile_but_not_before_it() -> None:
    trials = find_trials(2, "smile", 40)
    runner = response_bench.Runner(listener_named("simulator"), None)
    paired = runner.paired(trials, "responsive_positive", response_bench.Insertion("smile", AT, 0.7))
    assert np.array_equal(paired.present[:, :AT], paired.absent[:, :AT])
    assert response_bench.smile_responses(paired)[0].mean() > 0.5
