"""Training of the head for nods: it learns when simulated listeners nod, and what it writes is what runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import AGES, CARD, CONDITION_COUNT, LOOKS, NODS, find_weights
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.streams import free_run
from reactdiff_ros.training import nods
from reactdiff_ros.training.nods import Fit, NodNet, add_to, train_nods


@pytest.fixture(scope="module")
def fit(random_weights: Path) -> Fit:
    shares: list[float] = []
    with pytest.MonkeyPatch.context() as small:
        for name, size in (("SPEAKERS", 16), ("FRAMES", 400), ("LISTENERS", 3)):
            small.setattr(nods, name, size)
        networks = Networks(find_weights(random_weights))
        found = train_nods(networks, seed=0, pools=2, steps=100, batch=512, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    return found


def test_the_network_that_runs_is_the_one_that_was_trained() -> None:
    torch.manual_seed(3)
    net = NodNet(6)
    rng = np.random.default_rng(0)
    speaker = rng.standard_normal((5, 16, 6)).astype(np.float32)
    conditions = rng.standard_normal((5, CONDITION_COUNT)).astype(np.float32)
    missing = np.zeros((5, 16), dtype=np.float32)
    missing[0, :8] = 1.0
    speaker[0, :8] = 0.0
    ages = rng.integers(1, AGES, (5, 1))
    looks = torch.from_numpy(speaker[:, ::-1][:, ::2][:, :LOOKS].reshape(5, -1).copy())
    known = torch.from_numpy(1 - missing[:, ::-1][:, ::2][:, :LOOKS].copy())
    with torch.no_grad():
        net.bias.fill_(-4.0)
        expected = net(looks, known, torch.from_numpy(conditions), torch.from_numpy(ages[:, 0])).exp().clamp(max=0.1)
    np.testing.assert_allclose(net.head().rates(speaker, missing, conditions, ages)[:, 0], expected, rtol=1e-4)


def test_a_head_among_the_weights_nods_beside_the_networks(random_weights: Path, fit: Fit, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(random_weights, tmp_path / "with"))
    add_to(find_weights(folder), fit, {"seed": 0})
    card = json.loads((folder / CARD).read_text())
    found = find_weights(folder)
    assert found.nods is not None
    assert card["encoder"] == found.encoder == find_weights(random_weights).encoder
    assert card["sha256"].startswith(found.nods.digest)
    assert (card["seed"], card["parameters"]) == (0, fit.head.count)
    networks = Networks(found)
    tokens = np.zeros((1, 1000, networks.shape["width"] + 1), dtype=np.float32)

    def pitch() -> np.ndarray:
        rows = np.zeros(8, dtype=int)
        how = Sampling(steps=1)
        return free_run(networks, tokens, ordinary(8), speaker_of=rows, seeds=np.arange(8), how=how)[..., 52]

    nodding = pitch()
    assert networks.nods is not None
    object.__setattr__(networks.nods, "bias", np.float32(-50.0))
    still = pitch()
    dips = nodding - still
    assert dips.min() > -1e-5
    assert 1 <= (np.diff((dips > 0.005).astype(int), axis=1) == 1).sum() < 200
    (folder / NODS).write_bytes(b"broken")
    with pytest.raises(WeightsError, match="not the file that was put there"):
        find_weights(folder)
