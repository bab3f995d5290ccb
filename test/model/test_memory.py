"""What a listener remembers of itself: the same whether it is followed frame by frame or over a whole stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_model import write_random_weights

from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.conditions import condition_count
from reactdiff_ros.model.diffusion.memory import MEANS_S, ROWS, at_rest, remembered, tokens, traced
from reactdiff_ros.model.plan.planner import OwnPast

LATENTS = 5


def stream(frames: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((count, frames, LATENTS)).astype(np.float32)


def test_frame_by_frame_is_as_the_whole_stream_and_in_torch() -> None:
    torch = pytest.importorskip("torch")
    latents = stream(90)
    start = at_rest(np.linspace(-1, 1, LATENTS).astype(np.float32), 2)
    whole = traced(latents, start)
    np.testing.assert_array_equal(whole[:, 0], start)
    np.testing.assert_allclose(remembered(start, latents[:, :60]), whole[:, 60], atol=1e-5)
    there = remembered(torch.from_numpy(start), torch.from_numpy(latents[:, :60]))
    np.testing.assert_allclose(there.numpy(), whole[:, 60], atol=1e-5)
    np.testing.assert_array_equal(start, at_rest(np.linspace(-1, 1, LATENTS).astype(np.float32), 2))  # as it was


def test_means_go_to_what_is_shown_within_their_times_and_the_deviation_to_its_size() -> None:
    rest = at_rest(np.zeros(LATENTS, np.float32), 1)
    for row, seconds in enumerate(MEANS_S):
        after = remembered(rest, np.ones((1, round(25 * seconds), LATENTS), np.float32))
        assert after[0, row, 0] == pytest.approx(1 - np.exp(-1), abs=0.01)
    lively = remembered(rest, 2 * stream(1000, 1))
    assert tokens(lively).shape == (1, ROWS, LATENTS)
    assert tokens(lively)[0, -1].mean() == pytest.approx(2.0, rel=0.2)
    assert (tokens(rest)[:, -1] == 0).all()
    still = remembered(rest, np.full((1, 3000, LATENTS), 1.5, np.float32))
    assert tokens(still)[0, -1].max() < 0.02


def test_a_planner_remembers_what_was_shown_and_not_what_was_planned_beyond() -> None:
    neutral, planned = np.zeros(LATENTS, np.float32), stream(16)
    past = OwnPast(neutral, 2, keep=8)
    past.add(100, planned, np.zeros((2, 16, 58), np.float32))
    past.add(104, stream(16), np.zeros((2, 16, 58), np.float32))
    np.testing.assert_allclose(past.memory(104), remembered(at_rest(neutral, 2), planned[:, :4]), atol=1e-6)
    np.testing.assert_array_equal(past.memory(10**6), at_rest(neutral, 2))
    past.clear()
    np.testing.assert_array_equal(past.memory(104), at_rest(neutral, 2))


def test_networks_see_it_unless_nothing_is_recalled(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    networks = Networks(find_weights(write_random_weights(tmp_path)))
    s = networks.shape
    given = (
        np.zeros((1, len(networks.ages), s["width"]), np.float32), np.zeros((1, len(networks.ages)), np.float32),
        np.zeros((1, s["past"], s["latent"]), np.float32),
        np.zeros((1, condition_count(s["max_lead"])), np.float32), np.ones((1, 1, 4, s["latent"]), np.float32),
    )  # fmt: skip
    happy = remembered(at_rest(networks.neutral, 1), 3 + np.zeros((1, 100, s["latent"]), np.float32))

    def drawn(recall: int, memory: np.ndarray | None) -> np.ndarray:
        return networks.sample(*given, memory=memory, steps=2, guidance=1.0, recall=recall)

    assert np.abs(drawn(4, happy) - drawn(4, None)).max() > 1e-3
    np.testing.assert_array_equal(drawn(0, happy), drawn(0, None))
