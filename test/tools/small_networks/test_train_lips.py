"""Training of the lips: known lips are put on the grid of the sound, a run resumes with the same bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.speech import lips as running
from reactdiff_ros.types import Sound
from tools.small_networks.known_lips import KnownLips

lips = pytest.importorskip("tools.small_networks.lips", reason="torch is not installed (requirements/train.txt)")
pytestmark = pytest.mark.usefixtures("one_thread")


def test_real_lips_are_put_on_the_grid_of_the_sound() -> None:
    coefficients = np.zeros((60, 52), np.float32)
    coefficients[30:, 24] = 1.0  # jawOpen
    take = lips.real_take(KnownLips("x", Sound(0, 16000, np.zeros((32000, 1), np.int16)), coefficients, 30.0))
    assert take.known == 1  # rounding stands still
    assert (take.targets[90, lips.JAW], take.targets[110, lips.JAW]) == (0.0, 1.0)


@pytest.mark.slow
def test_it_learns_resumes_and_writes_what_runs(tmp_path: Path) -> None:
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
    mouth = running.Lips(weights).whole(Sound(0, 16000, np.full((16000, 1), 9000, np.int16)))
    assert np.isfinite(mouth.coefficients).all()
    with pytest.raises(ReactdiffError, match="holds a run already"):
        lips.run(takes, config, halves, resume=False, **again)
    with pytest.raises(ReactdiffError, match="no checkpoint"):
        lips.run(takes, config, tmp_path / "none", resume=True, **again)
