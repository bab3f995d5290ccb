"""Lips: a network learns known ones, and figures judge whether it follows."""

import json
from dataclasses import replace

import numpy as np
import pytest

from reactdiff_ros.coefficients import MOUTH
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.speech import lips as running
from reactdiff_ros.types import Sound
from tools.small_networks import lips_study as study
from tools.small_networks.known_lips import KnownLips


def test_a_mouth_is_like_itself_at_its_lag_and_unlike_other_moments():
    rng = np.random.default_rng(0)
    t = np.arange(64000) / 16000
    syllables = np.interp(t, np.arange(0, 4.2, 0.2), rng.random(21))
    buzz = sum(np.sin(2 * np.pi * 110 * k * t) / k for k in range(1, 30))
    sound = Sound(0, 16000, np.asarray(3000 * buzz * np.clip(2 * syllables - 0.6, 0, 1), np.int16)[:, None])
    own = running.Lips().whole(sound)
    table = np.zeros((len(own.level), 52), np.float32)
    table[:, MOUTH] = np.roll(own.coefficients, 8, axis=0)
    found = study.evaluate(KnownLips("own", sound, table, 100.0)).figures
    assert found["r"]["jawOpen"] > 0.98
    assert found["lag_ms"] == pytest.approx(80.0)
    assert found["shuffled"]["jawOpen"] < 0.75
    assert found["rms_error"]["network"] < found["rms_error"]["shuffled"]
    assert study.silent_mouth(seconds=2.0) == 0.0


def test_the_study_on_facegood(tmp_path, clips, reactdiff):
    """Its timing is invented: it only has to be read."""
    timing = tmp_path / "timing.json"
    timing.write_text(json.dumps({"symbols": ["m", "a"], "starts": [1.0, 1.1], "ends": [1.1, 1.3]}))
    arguments = ["--sound", clips("facegood_1114_3_15.wav"), "--truth", clips("facegood_1114_3_15_bs116_30fps.npy")]
    arguments += ["--names", clips("facegood_bs116_names.npy"), "--timing", timing, "--json"]
    found, _ = reactdiff("evaluate", "lips", *arguments)
    assert found["r"]["jawOpen"] > found["shuffled"]["jawOpen"] + 0.2
    assert found["silence"]["jawOpen"] <= 0.01
    assert {"closure_f1", "lag_ms", "table", "loudness", "rms_error"} <= found.keys()
    np.save(tmp_path / "flat.npy", np.zeros(30))
    assert "cannot be read" in reactdiff("evaluate", "lips", *arguments, "--truth", tmp_path / "flat.npy", code=1)[1]
    timing.write_text('{"symbols": ["a"], "starts": [0], "ends": []}')
    assert "timing" in reactdiff("evaluate", "lips", *arguments, code=1)[1]
    reactdiff("evaluate", "lips", "--sound", "x.wav", code=2)


@pytest.fixture
def lips(request):
    module = pytest.importorskip("tools.small_networks.lips", reason="torch is not installed (requirements/train.txt)")
    request.getfixturevalue("one_thread")
    return module


@pytest.mark.slow
def test_it_learns_resumes_with_the_same_bits_and_writes_what_runs(lips, tmp_path):
    """On noise whose loudness is the jaw: no voices are needed."""
    rng, takes = np.random.default_rng(0), []
    for number in range(6):
        jaw = np.clip(np.sin(np.arange(500) / 9 + number), 0, 1)
        targets = np.repeat(jaw[:, None], len(running.OUTPUTS), axis=1).astype(np.float16)
        mels = (6 * jaw[:, None] - 3 + rng.normal(0, 0.2, (500, running.BANDS))).astype(np.float16)
        labels = (jaw > 0.5).astype(np.int8)
        takes.append(lips.Take(str(number), mels, targets, labels, max(number - 3, 0), number == 5))
    config = lips.LipConfig(sentences=8, steps=120, batch=8)
    whole = lips.train(takes, config, tmp_path)
    late = replace(takes[1], targets=np.roll(takes[1].targets, 9, axis=0))
    assert lips.offset_of(whole, late) == pytest.approx(9, abs=1)
    learnt = lips.shown(whole, takes[0])[:, lips.JAW]
    assert np.corrcoef(learnt, takes[0].targets[:, lips.JAW].astype(float))[0, 1] > 0.8
    calls, halves = iter(range(10_000)), tmp_path / "halves"
    halves.mkdir()
    lips.run(takes, config, halves, resume=False, stopped=lambda: next(calls) >= 60, progress=lambda text: None)
    again = {"stopped": lambda: False, "progress": lambda text: None}
    assert lips.run(takes, config, halves, resume=True, **again) == 120
    weights = running.read_weights(halves / lips.FILE)
    # The same bits before they were rounded.
    np.testing.assert_allclose(weights.out.T, whole.out.weight.detach().numpy(), atol=2e-3)
    with pytest.raises(ReactdiffError, match="holds a run already"):
        lips.run(takes, config, halves, resume=False, **again)
