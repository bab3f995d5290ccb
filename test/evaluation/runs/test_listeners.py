"""Listeners as functions: who they are, what they are told, and that the model runs as live."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, react
from run_tools import lab

from reactdiff_ros.cli.main import main
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, SMILE
from reactdiff_ros.evaluation.listeners import (
    LISTENERS,
    StreamListener,
    frames_of,
    natural_conditions,
    policy_streams,
)
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.model.tokens import SpeakerBatch, blank, from_frame
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.dyads import simulate

FRAMES = 60


@pytest.mark.parametrize("name", [name for name in LISTENERS if name != "model"])
def test_every_listener_gives_streams(name: str) -> None:
    dyads = simulate(5, 2, FRAMES, prior="natural")
    listener = StreamListener(name)
    first, second = (
        listener.run(dyads.speaker, natural_conditions(2), np.array([3, 4]), dyads.stimulus) for _ in range(2)
    )
    assert listener.name == name
    assert first.shape == (2, FRAMES, COEFFICIENT_COUNT)
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


def test_the_model_runs_from_tokens_as_from_speakers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from random_model import write_random_weights

    model = StreamListener("model", find_weights(write_random_weights(tmp_path)), Sampling(steps=2))
    dyads = simulate(6, 3, FRAMES)
    out = model.run(dyads.speaker, natural_conditions(3), np.arange(3))
    assert out.shape == (3, FRAMES, COEFFICIENT_COUNT)
    again = model.run(dyads.speaker.take(np.array([1])), natural_conditions(1), np.array([1]))
    np.testing.assert_allclose(again[0], out[1], atol=1e-4)
    other = model.run(dyads.speaker, natural_conditions(3), np.arange(3) + 10)
    assert np.abs(other - out).max() > 1e-3


def speakers(count: int, frames: int) -> SpeakerBatch:
    """Speakers with a camera whose smile comes at frame 100 and stays for 2 s."""
    flat = blank(count * frames)
    batch = SpeakerBatch(
        **{f.name: getattr(flat, f.name).reshape(count, frames, *getattr(flat, f.name).shape[1:]) for f in fields(flat)}
    )
    batch.camera[:] = batch.face[:] = batch.mesh[:] = True
    batch.confidence[:] = batch.neutral_confidence[:] = 1
    batch.gaze_observed[:] = True
    batch.gaze[..., 2] = 1
    batch.coefficients[:, 100:150, list(SMILE)] = 0.8
    return batch


def test_frames_carry_what_the_batch_holds() -> None:
    batch = speakers(1, 120)
    frame = list(frames_of(batch, 0))[110]
    back = from_frame(frame)
    for name in ("coefficients", "confidence", "gaze", "camera", "mesh", "microphone"):
        np.testing.assert_array_equal(getattr(back, name)[0], getattr(batch, name)[0, 110])


def test_the_mime_copies_later_and_the_idle_listener_does_nothing() -> None:
    batch = speakers(2, 250)
    seeds = np.arange(2)
    mime = policy_streams("mime", batch, seeds, mime_lag_s=0.6)
    smile = mime[0][:, list(SMILE)].mean(1)
    assert smile[:114].max() == 0
    assert smile[125:150].max() > 0.7
    assert not policy_streams("idle", batch, seeds).any()


PAGE = Path(__file__).resolve().parents[3] / "docs" / "bring_your_own_listener.md"


@pytest.fixture
def listener(tmp_path: Path) -> str:
    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert sum(bool(line.strip()) for line in found[1].partition("class ")[2].splitlines()) <= 32
    path = tmp_path / "my_listener.py"
    path.write_text(found[1])
    return f"{path}:SmileBack"


def test_it_is_strictly_online(listener: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "online", "--listener", listener, "--cuts", "8", "--seconds", "1.4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["holds"] is True
    assert told["acted"] > 0.8


def test_it_stands_in_a_table(listener: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba")
    data = react(tmp_path / "react", frames=101, sound=False, splits=("val",))
    lab(tmp_path / "lab", data, FACEVERSE_ORDER, chosen=(0, 2))
    arguments = ["evaluate", "recordings", str(tmp_path / "lab"), "--listener", listener, "--streams", "1"]
    assert main([*arguments, "--cuts", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["subject"] == "SmileBack"
    assert told["systems"]["SmileBack"]["causal"] is True
    assert told["systems"]["SmileBack"]["role"] == "listener"
    assert told["systems"]["shuffled"]["role"] == "control"
    assert told["systems"]["SmileBack"]["smile_coupling"] is not None
    assert told["systems"]["SmileBack"]["frame_ms"] > 0
