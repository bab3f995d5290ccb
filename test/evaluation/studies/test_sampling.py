"""Streams against independent sampling, and ablations: identical ways agree, a damped one is caught."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.listeners import StreamListener
from reactdiff_ros.evaluation.studies import sampling
from reactdiff_ros.evaluation.studies.sampling import FULL, compare, difference, evaluate_ablations, grouped
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.conditions import CONTROL_COUNT, CONTROL_NAMES
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.simulator.dyads import simulate


@pytest.mark.slow
def test_the_simulator_against_itself_is_within_and_a_damped_copy_is_not() -> None:
    one, other = (simulate(seed, 30, 1000, prior="natural").listener for seed in (1, 2))
    alike = compare({"shown": one, "raw": one, "ancestral": one}, one, 0)
    assert alike["variance"]["raw_over_ancestral"]["smile"] == pytest.approx(1)
    assert alike["autocorrelation"]["raw_to_ancestral"]["head"] == pytest.approx(0)
    assert alike["events_over_ancestral"]["blinks"]["ratio"] == pytest.approx(1)
    same = alike["variance_intervals"]["raw_over_ancestral"]["smile"]
    assert [same["low"], same["high"]] == pytest.approx([1.0, 1.0])
    fresh = compare({"shown": other, "raw": other, "ancestral": other}, one, 0)
    assert 0.4 < fresh["bands_over_reference"]["raw"]["1.8-6.5 Hz"]["head"] < 2.5
    between = fresh["variance_intervals"]["shown_over_reference"]["brows"]
    assert between["low"] < fresh["variance"]["shown_over_reference"]["brows"] < between["high"]
    dull = compare({"shown": 0.5 * one, "raw": 0.5 * one, "ancestral": one}, one, 0)
    assert dull["variance"]["raw_over_ancestral"]["head"] == pytest.approx(0.25)
    assert dull["events_over_ancestral"]["nods"]["ratio"] < 0.5


@pytest.fixture
def model(random_weights: Path, tmp_path: Path) -> StreamListener:
    """With a manifest as the training writes it."""
    folder = shutil.copytree(random_weights, tmp_path / "weights")
    path = folder / "manifest.json"
    past = {"real": False, "fold": "", "ablate": [], "seed": 0, "steps": 1}
    path.write_text(json.dumps(json.loads(path.read_text()) | past))
    return StreamListener("model", find_weights(folder), Sampling(steps=2))


def test_all_figures_of_networks(model: StreamListener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "ANCESTRAL_STEPS", 3)
    found = sampling.evaluate_streams(model, items=3, seconds=8)
    assert len(found.figures["within_bounds"]) == 6
    assert np.isfinite(found.figures["plan_difference"]["smile"])
    assert found.pictures["spectra.png"](tmp_path / "spectra.png").stat().st_size > 10_000


def stand_in(folder: Path, *ablate: str, seed: int = 0) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"real": True, "fold": "", "ablate": list(ablate), "seed": seed, "steps": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return SimpleNamespace(weights=SimpleNamespace(folder=folder, name="x", simulator="y"))


def test_models_are_grouped_by_what_was_left_out(tmp_path: Path) -> None:
    models = [stand_in(tmp_path / "v", "voice"), stand_in(tmp_path / "a"), stand_in(tmp_path / "b", seed=1)]
    assert [(name, len(members)) for name, members in grouped(models).items()] == [(FULL, 2), ("voice", 1)]
    with pytest.raises(ReactdiffError, match="no full model"):
        grouped(models[:1])
    with pytest.raises(ReactdiffError, match="at once"):
        grouped([stand_in(tmp_path / "c", "voice", "face"), models[1]])


def test_what_is_below_the_spread_of_seeds_is_none() -> None:
    assert difference([0.5, 0.6, 0.7], [0.55, 0.65, 0.75])["verdict"] == "none"
    assert difference([0.1, 0.2, 0.15], [0.55, 0.65, 0.75])["verdict"] == "lower"
    assert difference([0.9], [0.55, 0.65, 0.6])["verdict"] == "higher"
    assert difference([0.9], [0.5])["verdict"].startswith("unknown")


def test_tables_of_networks(model: StreamListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SWEEP_STEPS", (1, 2))
    shares: list[float] = []
    table = evaluate_ablations([model, model], items=4, seconds=6, progress=shares.append).figures
    assert set(sampling.FIGURES) < set(table["groups"][FULL])
    assert table["groups"][FULL]["smile coupling"]["sd"] == 0
    assert shares == [0.5, 1.0]
    cells = sampling.sweep([model], items=4, seconds=6).figures["sweep"]
    assert set(cells) == {"1 steps", "2 steps"}


def test_a_stream_sees_the_speaker_as_late_as_its_lead_and_delay_say(model: StreamListener) -> None:
    generator = np.random.default_rng(5)
    before = generator.standard_normal((2, 60, model.networks.shape["width"] + 1)).astype(np.float32)
    after = before.copy()
    after[:, 20:] *= -1  # the speaker does something else from frame 20 on
    controls, seeds = np.zeros((2, CONTROL_COUNT), dtype=np.float32), np.array([1, 2])
    controls[1, CONTROL_NAMES.index("delay")] = 0.4
    now, then = (model.of_tokens(tokens, ordinary(2, controls), seeds) for tokens in (after, before))
    first = (np.abs(now - then) > 1e-6).any(axis=2).argmax(axis=1)
    # A plan starts every 4 frames; the first one that knows of it needs evidence that is 2 frames old, or 12.
    assert list(first) == [24, 32]
