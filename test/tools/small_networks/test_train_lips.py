"""Training of the lips: synthesised voices carry the table's curves, a run resumes with the same bits."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.speech import lips as running
from reactdiff_ros.speech.visemes import CLOSED, phones_of
from reactdiff_ros.types import Sound
from tools.small_networks.known_lips import KnownLips
from tools.small_networks.lips import (
    CLOSURE,
    FILE,
    JAW,
    LipConfig,
    Take,
    augmented,
    draw,
    load_takes,
    material,
    moved,
    offset_of,
    real_take,
    run,
    shown,
    train,
)
from tools.small_networks.timed_voices import LANGUAGES, espeak, espeak_jobs, flite

needs_voices = pytest.mark.skipif(
    shutil.which("espeak-ng") is None or shutil.which("flite") is None, reason="espeak-ng and flite are not installed"
)
pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = LipConfig(sentences=8, steps=6, batch=4)


@pytest.fixture(scope="module")
def takes() -> list[Take]:
    """Noise whose loudness is the jaw: no voices are needed to train on it."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(6):
        jaw = np.clip(np.sin(np.arange(500) / 9 + number), 0, 1)
        targets = np.repeat(jaw[:, None], len(running.OUTPUTS), axis=1).astype(np.float16)
        mels = (6 * jaw[:, None] - 3 + rng.normal(0, 0.2, (500, running.BANDS))).astype(np.float16)
        found.append(Take(str(number), mels, targets, (jaw > 0.5).astype(np.int8), max(number - 3, 0), number == 5))
    return found


@needs_voices
def test_synthesised_voices_have_sound_where_their_sounds_are() -> None:
    rng = np.random.default_rng(0)
    spoken = [*espeak(espeak_jobs(rng, len(LANGUAGES))), flite("rms", "maybe my puppet"), flite("slt", "five more")]
    assert len(spoken) >= len(LANGUAGES)
    for one in spoken:
        phones = phones_of(one.timing)
        assert phones.unknown == ()
        assert 0.0 <= phones.starts_s.min() <= phones.ends_s.max() <= len(one.samples) / one.rate_hz + 0.1
        assert (phones.ends_s >= phones.starts_s).all()
    assert any(CLOSED[phones_of(one.timing).shape].max() == 1.0 for one in spoken)


@needs_voices
def test_stops_of_espeak_are_silent_before_their_burst() -> None:
    """Its events come at the burst: the closure is before it."""
    job = {"voice": "en-us", "speed": 140, "pitch": 50, "range": 50, "text": "a paper"}
    (spoken,) = espeak([job])
    level = np.convolve(np.square(spoken.samples), np.ones(100) / 100, "same")
    for start, end in phones_of(spoken.timing).closures():
        inside = level[int((start + 0.01) * spoken.rate_hz) : int((end - 0.015) * spoken.rate_hz)]
        assert inside.mean() < 0.1 * level.mean()


def test_real_lips_are_put_on_the_grid_of_the_sound() -> None:
    coefficients = np.zeros((60, 52), np.float32)
    coefficients[30:, 24] = 1.0  # jawOpen
    take = real_take(KnownLips("x", Sound(0, 16000, np.zeros((32000, 1), np.int16)), coefficients, 30.0))
    assert take.known == 1  # rounding stands still
    assert take.targets[90, JAW] == 0.0
    assert take.targets[110, JAW] == 1.0


def test_other_voices_are_finite_and_of_the_seed(takes: list[Take]) -> None:
    weights = np.full(len(takes), 1 / len(takes))
    one, same = (draw(takes, weights, 8, np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(one.mels, same.mels)
    assert torch.isfinite(one.mels).all()
    extreme = augmented(np.full((4, 320, running.BANDS), 30.0, np.float32), np.random.default_rng(0))
    assert np.isfinite(extreme).all()


@pytest.mark.slow
def test_it_learns_resumes_and_writes_what_runs(takes: list[Take], tmp_path: Path) -> None:
    config = replace(CONFIG, steps=120, batch=8)
    losses: list[float] = []
    whole = train(takes, config, tmp_path, progress=lambda step, loss: losses.append(loss))
    late = replace(takes[1], targets=np.roll(takes[1].targets, 9, axis=0))
    assert offset_of(whole, late) == pytest.approx(9, abs=1)
    np.testing.assert_array_equal(moved(late, 9).targets[:-9], takes[1].targets[:-9])
    after = shown(whole, takes[0])
    assert np.corrcoef(after[:, JAW], takes[0].targets[:, JAW].astype(float))[0, 1] > 0.8
    calls, halves = iter(range(10_000)), tmp_path / "halves"
    halves.mkdir()
    run(takes, config, halves, resume=False, stopped=lambda: next(calls) >= 60, progress=lambda text: None)
    assert run(takes, config, halves, resume=True, stopped=lambda: False, progress=lambda text: None) == 120
    weights = running.read_weights(halves / FILE)
    half = whole.out.weight.detach().numpy()  # the same bits before they were rounded
    np.testing.assert_allclose(weights.out.T, half, atol=2e-3)
    mouth = running.Lips(weights).whole(Sound(0, 16000, np.full((16000, 1), 9000, np.int16)))
    assert np.isfinite(mouth.coefficients).all()
    assert len(running.OUTPUTS) - 2 == CLOSURE
    with pytest.raises(ReactdiffError, match="holds a run already"):
        run(takes, config, halves, resume=False, stopped=lambda: True, progress=lambda text: None)
    with pytest.raises(ReactdiffError, match="no checkpoint"):
        run(takes, config, tmp_path / "none", resume=True, stopped=lambda: True, progress=lambda text: None)


@needs_voices
def test_material_is_kept(tmp_path: Path) -> None:
    made = material(CONFIG, tmp_path, None, None, (), None, lambda share: None)
    kept = load_takes(tmp_path / "takes.npz")
    assert len(made) == len(kept) > 8
    for one, other in zip(made, kept, strict=True):
        np.testing.assert_array_equal(one.mels, other.mels)
        np.testing.assert_array_equal(one.targets, other.targets)
