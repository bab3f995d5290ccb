"""Attention as computed from the tensors is the networks' own, and cues are the frames that they name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.evaluation.studies.behaviour import (
    MAPS,
    attention_maps,
    read_fusion,
)
from reactdiff_ros.model.tokens import featurize
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.simulator.dyads import simulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from random_model import write_random_weights

    return write_random_weights(tmp_path_factory.mktemp("weights"))


def test_it_is_the_attention_of_the_networks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from random_model import random_model

    from reactdiff_ros.training import layers

    features, observed = featurize(simulate(4, 4, 40).speaker)
    x, o = features[:, 20:].reshape(-1, features.shape[-1]), observed[:, 20:].reshape(-1, observed.shape[-1])
    seen: list[np.ndarray] = []

    def attend(q, k, v, mask=None):  # type: ignore[no-untyped-def]
        share = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + mask, dim=-1)
        seen.append(share.mean(1)[:, 0].numpy())
        return share @ v

    monkeypatch.setattr(layers, "attend", attend)
    with torch.no_grad():
        random_model().encoder.fuse(torch.from_numpy(x), torch.from_numpy(o))
    maps = attention_maps(read_fusion(find_weights(folder)), x.astype(float), o.astype(float))
    for name, wanted in zip(MAPS, seen, strict=True):
        np.testing.assert_allclose(maps[name], wanted, atol=2e-3)  # tensors are shipped in half precision
        np.testing.assert_allclose(maps[name].sum(-1), 1, atol=1e-6)
