"""How lips are judged: figures that are high for a mouth that follows and low for one that does not, and bad files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import INDEX, MOUTH
from reactdiff_ros.errors import MediaError
from reactdiff_ros.speech.lips import Lips
from reactdiff_ros.types import Sound
from tools.small_networks import lips_study as study
from tools.small_networks.known_lips import KnownLips, from_facegood, read_truth


def test_a_mouth_is_like_itself_at_its_lag_and_unlike_other_moments() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(64000) / 16000
    syllables = np.interp(t, np.arange(0, 4.2, 0.2), rng.random(21))
    buzz = sum(np.sin(2 * np.pi * 110 * k * t) / k for k in range(1, 30))
    sound = Sound(0, 16000, np.asarray(3000 * buzz * np.clip(2 * syllables - 0.6, 0, 1), np.int16)[:, None])
    own = Lips().whole(sound)
    table = np.zeros((len(own.level), 52), np.float32)
    table[:, MOUTH] = np.roll(own.coefficients, 8, axis=0)
    found = study.evaluate(KnownLips("own", sound, table, 100.0)).figures
    assert found["r"]["jawOpen"] > 0.98
    assert found["lag_ms"] == pytest.approx(80.0)
    assert found["shuffled"]["jawOpen"] < 0.75
    assert found["rms_error"]["network"] < found["rms_error"]["shuffled"]
    assert study.silent_mouth(seconds=2.0) == 0.0


def test_truth_of_many_forms_and_of_none(tmp_path: Path) -> None:
    table = np.random.default_rng(0).random((90, 58)).astype(np.float32)
    np.save(tmp_path / "arkit.npy", table)
    values, rate = read_truth(tmp_path / "arkit.npy", rate_hz=60.0)
    assert (values.shape, rate) == ((90, 52), 60.0)
    np.savez(tmp_path / "arkit.npz", coefficients=table[:, :52], rate_hz=25.0)
    assert read_truth(tmp_path / "arkit.npz")[1] == 25.0
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros(30))
    for name in ("objects.npy", "flat.npy", "missing.npy"):
        with pytest.raises(MediaError, match="cannot be read"):
            read_truth(tmp_path / name)


def test_the_command_on_facegood(tmp_path: Path, clips, reactdiff) -> None:
    """Its timing is invented: it only has to be read."""
    timing = tmp_path / "timing.json"
    timing.write_text(json.dumps({"symbols": ["m", "a"], "starts": [1.0, 1.1], "ends": [1.1, 1.3]}))
    names = clips("facegood_bs116_names.npy")
    arguments = ["--sound", clips("facegood_1114_3_15.wav"), "--truth", clips("facegood_1114_3_15_bs116_30fps.npy")]
    arguments += ["--names", names, "--timing", timing, "--json"]
    found, _ = reactdiff("evaluate", "lips", *arguments)
    assert found["r"]["jawOpen"] > found["shuffled"]["jawOpen"] + 0.2
    assert found["silence"]["jawOpen"] <= 0.01
    assert {"closure_f1", "lag_ms", "table", "loudness", "rms_error"} <= found.keys()
    assert from_facegood(np.ones((2, 116)), np.load(names))[0, INDEX["jawOpen"]] == 1.0
    timing.write_text('{"symbols": ["a"], "starts": [0], "ends": []}')
    assert "timing" in reactdiff("evaluate", "lips", *arguments, code=1)[1]
    reactdiff("evaluate", "lips", "--sound", "x.wav", code=2)
