"""Listeners as functions: who they are, what they are told, and that the model runs as live."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, react
from run_tools import lab

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.evaluation.listeners import StreamListener, natural_conditions
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.simulator.dyads import simulate

FRAMES = 60


@pytest.mark.parametrize("name", ["simulator", "policy", "rules", "mime", "random", "idle"])
def test_every_listener_gives_streams_each_of_the_named_speaker(name: str) -> None:
    dyads, rows, seeds = simulate(5, 3, FRAMES, prior="natural"), np.array([2, 0]), np.array([3, 4])
    listener = StreamListener(name)
    shows = listener.before(dyads.speaker, dyads.stimulus)
    shown = shows(natural_conditions(2), seeds, rows)
    assert shown.shape == (2, FRAMES, COEFFICIENT_COUNT)
    assert np.isfinite(shown).all()
    some = listener.run(dyads.speaker.take(rows), natural_conditions(2), seeds, dyads.stimulus.take(rows))
    np.testing.assert_array_equal(shown, some)
    if name in ("simulator", "policy", "mime"):
        assert not np.array_equal(shown, shows(natural_conditions(2), seeds, np.array([0, 1])))


def test_the_model_runs_from_tokens_as_from_speakers(random_weights: Path) -> None:
    model = StreamListener("model", find_weights(random_weights), Sampling(steps=2))
    dyads = simulate(6, 3, FRAMES)
    out = model.run(dyads.speaker, natural_conditions(3), np.arange(3))
    assert out.shape == (3, FRAMES, COEFFICIENT_COUNT)
    again = model.run(dyads.speaker.take(np.array([1])), natural_conditions(1), np.array([1]))
    np.testing.assert_allclose(again[0], out[1], atol=1e-4)
    other = model.run(dyads.speaker, natural_conditions(3), np.arange(3) + 10)
    assert np.abs(other - out).max() > 1e-3


def test_the_listener_of_the_docs_is_strictly_online_and_stands_in_a_table(tmp_path: Path, reactdiff) -> None:
    pytest.importorskip("numba")
    page = Path(__file__).resolve().parents[3] / "docs" / "bring_your_own_listener.md"
    found = re.search(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "my_listener.py").write_text(found[1])
    listener = f"{tmp_path / 'my_listener.py'}:SmileBack"
    few = ["--cuts", 8, "--seconds", 1.4]
    report, _ = reactdiff("evaluate", "online", "--listener", listener, *few, "--json")
    assert report["holds"] is True
    assert report["acted"] > 0.8
    data = react(tmp_path / "react", frames=101, sound=False, splits=("val",))
    lab(tmp_path / "lab", data, FACEVERSE_ORDER, chosen=(0, 2))
    arguments = ["--listener", listener, "--streams", 1, "--cuts", 2, "--json"]
    report, _ = reactdiff("evaluate", "recordings", tmp_path / "lab", *arguments)
    own = report["systems"]["SmileBack"]
    assert (report["subject"], own["role"], own["causal"]) == ("SmileBack", "listener", True)
    assert report["systems"]["shuffled"]["role"] == "control"
    assert own["smile_coupling"] is not None
    assert own["frame_ms"] > 0
