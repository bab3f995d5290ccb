"""Long sessions: a listener that stays passes, one that drifts or sticks at a bound does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reactdiff_ros.coefficients import ROTATION, SMILE
from reactdiff_ros.evaluation.bounds import FORGOTTEN
from reactdiff_ros.evaluation.listeners import StreamListener
from reactdiff_ros.evaluation.studies import sessions
from reactdiff_ros.evaluation.studies.sessions import PARTS, VISIT, evaluate_sessions, forgetting
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.streams import free_run
from reactdiff_ros.types import FloatArray


def test_every_part_has_the_same_speakers_in_an_order_of_its_own() -> None:
    smile = sessions.make_session(0, 1, 2 * PARTS).smile.reshape(PARTS, 2, VISIT)
    first, second = smile[0]
    assert not np.array_equal(first, second)
    orders = [np.array_equal(one, first) for one, _ in smile]
    assert all(np.array_equal(two, second if same else first) for same, (_, two) in zip(orders, smile, strict=True))
    assert {*orders} == {True, False}


class Smiles(StreamListener):
    """A smile that comes and goes, and grows by `drift` within the session; a head that nods and sinks by `bow`."""

    def __init__(self, drift: float = 0.0, bow: float = 0.0) -> None:
        super().__init__("smiles")
        self.drift, self.bow = drift, bow

    def run(self, speaker, conditions, seeds, truth=None):
        rows, frames = speaker.camera.shape
        out = np.zeros((rows, frames, 58), dtype=np.float32)
        t = np.arange(frames) / 25
        out[..., list(SMILE)] = (0.4 * (1 + self.drift * t / t[-1]) * np.sin(np.pi * t / 4) ** 2)[None, :, None]
        out[..., ROTATION.start] = 0.1 * np.sin(np.pi * t / 2) + self.bow * t / t[-1]
        return out


def test_drift_and_a_head_that_sinks_are_seen_and_a_steady_listener_is_not_accused() -> None:
    drifts, steady = (evaluate_sessions(Smiles(*of), sessions=2, minutes=2).figures for of in ((1.0, 0.05), ()))
    ratios, head = "every ratio's interval within .8 to 1.25", "head within .25 s.d. of where it was"
    assert not drifts["within_bounds"][ratios]
    assert drifts["ratios"]["s.d. of smile"]["ratio"] > 1.25
    assert steady["ratios"]["s.d. of smile"]["within"]
    assert steady["ratios"]["rate of smiles"]["ratio"] == pytest.approx(1)
    assert "rate of laughs" in steady["not_judged"], "nobody laughs, and that is told"
    assert "rate of laughs" not in steady["ratios"]
    assert steady["clamped"] == 0
    assert steady["within_bounds"][head]
    assert all(abs(row["difference"]) < 1e-3 for row in steady["pose"].values())
    assert not drifts["within_bounds"][head]
    pitch = drifts["pose"]["headPitch"]
    assert pitch["last"] - pitch["second"] == pytest.approx(0.05 * 4 / 6, rel=0.01)
    assert pitch["difference"] == pytest.approx(0.05 * 4 / 6 / np.sqrt(0.005), rel=0.02)
    assert not pitch["within"]
    assert drifts["pose"]["headYaw"]["within"]
    assert drifts["ratios"]["s.d. of head"]["within"], "no ratio would have told"


@pytest.mark.timeout(1800)  # the networks of what ships: ten seconds of an idle processor
@pytest.mark.slow
def test_the_shipped_listener_forgets_an_extreme_history_and_one_that_does_not_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shipped, runs = StreamListener("model", find_weights("")), list[FloatArray]()

    def remembered(*args: Any, **given: Any) -> FloatArray:
        runs.append(free_run(*args, **given))
        return runs[-1]

    monkeypatch.setattr(sessions, "free_run", remembered)
    figures = forgetting(shipped, 0, streams=4)
    assert figures["left"] < FORGOTTEN
    assert figures["left"] < figures["after_1_s"] < 1

    again = iter(runs)

    def stuck(*args: Any, shown: FloatArray, **given: Any) -> FloatArray:
        """As before, and a tenth of the last face of the history stays for good."""
        return np.asarray(next(again) + 0.1 * shown[:, -1:])

    monkeypatch.setattr(sessions, "free_run", stuck)
    assert forgetting(shipped, 0, streams=4)["left"] > FORGOTTEN
