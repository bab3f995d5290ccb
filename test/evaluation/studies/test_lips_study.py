"""How lips are judged: figures that must be high for a mouth that follows, low for one that does not, and bad files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from reactdiff_ros.cli.evaluate import lips as command
from reactdiff_ros.coefficients import INDEX, MOUTH
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.studies import lips as study
from reactdiff_ros.recordings.lips import KnownLips, from_facegood, read_truth, sound_of
from reactdiff_ros.speech.lips import Lips
from reactdiff_ros.types import Sound

SHARED = Path(__file__).resolve().parents[4] / "shared" / "clips"
needs_clips = pytest.mark.skipif(not SHARED.is_dir(), reason="no clips here")


def syllables(seconds: float = 6.0) -> Sound:
    rng = np.random.default_rng(0)
    t = np.arange(int(16000 * seconds)) / 16000
    slow = np.interp(t, np.arange(0, seconds + 0.2, 0.2), rng.random(len(np.arange(0, seconds + 0.2, 0.2))))
    buzz = sum(np.sin(2 * np.pi * 110 * k * t) / k for k in range(1, 30))
    return Sound(0, 16000, np.asarray(3000 * buzz * np.clip(2 * slow - 0.6, 0, 1), np.int16)[:, None])


def test_a_mouth_is_like_itself_at_its_lag_and_unlike_other_moments() -> None:
    sound = syllables()
    own = Lips().whole(sound)
    table = np.zeros((len(own.level), 52), np.float32)
    table[:, MOUTH] = np.roll(own.coefficients, 8, axis=0)
    found = study.evaluate(KnownLips("own", sound, table, 100.0)).figures
    assert found["r"]["jawOpen"] > 0.98
    assert found["lag_ms"] == pytest.approx(80.0)
    assert found["shuffled"]["jawOpen"] < 0.75
    assert found["rms_error"]["network"] < found["rms_error"]["shuffled"]


def test_closures_count_once_each_within_40_ms() -> None:
    closure = np.zeros(300)
    closure[50:56] = closure[100:105] = closure[103:108] = closure[250:255] = 1.0
    truth = np.array([[0.5, 0.56], [0.98, 1.0], [1.9, 1.95]])
    assert study.closure_counts(closure, truth) == (2, 3, 3)
    assert study.f1(2, 3, 3) == pytest.approx(2 / 3)
    assert study.closure_counts(np.zeros(300), truth) == (0, 0, 3)
    assert np.isnan(study.f1(0, 0, 0))


def test_a_still_track_has_no_correlation() -> None:
    still, moving = np.zeros(100), np.sin(np.arange(100.0))
    assert np.isnan(study.correlation(still, moving))
    assert study.correlation(moving, 3 * moving + 1) == pytest.approx(1.0)


def test_silence_is_still() -> None:
    assert study.silent_mouth(seconds=2.0) == 0.0


def test_truth_of_many_forms_and_of_none(tmp_path: Path) -> None:
    table = np.random.default_rng(0).random((90, 58)).astype(np.float32)
    np.save(tmp_path / "arkit.npy", table)
    values, rate = read_truth(tmp_path / "arkit.npy", rate_hz=60.0)
    assert values.shape == (90, 52)
    assert rate == 60.0
    np.savez(tmp_path / "arkit.npz", coefficients=table[:, :52], rate_hz=25.0)
    assert read_truth(tmp_path / "arkit.npz")[1] == 25.0
    np.save(tmp_path / "facegood.npy", np.zeros((30, 116)))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros(30))
    (tmp_path / "text.npy").write_text("no array")
    for name in ("facegood.npy", "objects.npy", "flat.npy", "text.npy", "missing.npy"):
        with pytest.raises(MediaError, match="cannot be read"):
            read_truth(tmp_path / name)
    with pytest.raises(MediaError):
        from_facegood(np.zeros((30, 116)), [f"column_{i}" for i in range(116)])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"symbols": ["a"], "starts": [0], "ends": []}', '{"alphabet": "x", "symbols": []}']
)
def test_timings_that_are_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "timing.json"
    path.write_text(text)
    with pytest.raises(MediaError, match="timing"):
        study.read_timing(path)


@needs_clips
def test_the_command_on_facegood(tmp_path: Path) -> None:
    """Its timing is invented: it only has to be read."""
    timing = tmp_path / "timing.json"
    timing.write_text(json.dumps({"symbols": ["m", "a"], "starts": [1.0, 1.1], "ends": [1.1, 1.3]}))
    clip = str(SHARED / "facegood_1114_3_15")
    arguments = ["--sound", f"{clip}.wav", "--truth", f"{clip}_bs116_30fps.npy"]
    arguments += ["--names", str(SHARED / "facegood_bs116_names.npy"), "--timing", str(timing), "--json"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["r"]["jawOpen"] > found["shuffled"]["jawOpen"] + 0.2
    assert found["silence"]["jawOpen"] <= 0.01
    assert {"r", "closure_f1", "silence", "lag_ms", "shuffled", "table"} <= found.keys()
    assert len(sound_of(Path(f"{clip}.wav")).samples) > 40 * 16000
    assert from_facegood(np.ones((2, 116)), np.load(SHARED / "facegood_bs116_names.npy"))[0, INDEX["jawOpen"]] == 1.0


def test_options_that_need_each_other() -> None:
    assert CliRunner().invoke(command, ["--sound", "x.wav"]).exit_code == 2
    assert CliRunner().invoke(command, []).exit_code == 2
