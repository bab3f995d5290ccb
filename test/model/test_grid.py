"""The speaker's grid: any picture rate in, one token a slot out."""

from dataclasses import replace

import numpy as np
import pytest
from speaker_frames import START_NS, frame, session

from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion.tokens import blank, from_frame
from reactdiff_ros.model.plan.corrections import MOODS
from reactdiff_ros.model.speaker.grid import BACKLOG, DEAD_SLOTS, FORGET_SLOTS, HOLD_SLOTS, SpeakerGrid
from reactdiff_ros.model.streams import speaker_tokens

SLOT = 40_000_000
FIRST = START_NS // SLOT


@pytest.fixture(scope="module")
def networks(any_weights):
    return Networks(find_weights(any_weights))


def filled(networks, frames):
    grid = SpeakerGrid(networks, keep=64)
    for item in frames:
        grid.push(item)
    grid.settle()
    return grid


def batch_tokens_and_moods(networks, batches):
    """Tokens and moods of a sequence of one-frame batches, through the batched path."""
    names = type(batches[0]).__slots__
    joined = type(batches[0])(**{n: np.stack([getattr(b, n) for b in batches], axis=1) for n in names})
    tokens = speaker_tokens(networks, joined)[0]
    return tokens[:, :-MOODS], tokens[:, -MOODS:]


def batch_tokens(networks, batches):
    return batch_tokens_and_moods(networks, batches)[0]


def test_the_last_of_several_frames_in_a_slot_counts(networks):
    frames = list(session(1, smile=0.4))
    twice = [f for item in frames for f in (replace(item, coefficients=np.ones(58, np.float32)),
                                            replace(item, stamp_ns=item.stamp_ns + SLOT // 2))]  # fmt: skip
    once = filled(networks, frames).tokens(FIRST + 24, np.arange(24, -1, -1))[0]
    np.testing.assert_allclose(filled(networks, twice).tokens(FIRST + 24, np.arange(24, -1, -1))[0], once, atol=1e-5)


def test_gaps_are_held_and_then_unobserved(networks):
    grid = filled(networks, session(1, smile=0.4))
    last = FIRST + 24
    grid.advance(last + 20)
    seen = [from_frame(f) for f in session(1, smile=0.4)]
    expected = batch_tokens(networks, seen + [seen[-1]] * HOLD_SLOTS + [blank(1)] * (20 - HOLD_SLOTS))
    np.testing.assert_allclose(grid.tokens(last + 20, np.arange(44, -1, -1))[0], expected, atol=1e-5)


def test_whenever_it_is_encoded_the_tokens_are_the_same(networks):
    """Two frames in some slots, a gap, and settled at once, at times or as late as may be."""
    frames = [f for f in session(2, smile=0.4, talk=True) if not 20 <= f.stamp_ns // SLOT - FIRST < 25]
    frames = [f for item in frames for f in (item, replace(item, stamp_ns=item.stamp_ns + SLOT // 3))]
    tokens = []
    for every in (1, 3, 1000):
        grid = SpeakerGrid(networks, keep=64)
        for i, item in enumerate(frames):
            grid.push(item)
            assert len(grid.staged) <= BACKLOG
            if i % every == 0:
                grid.settle()
        tokens.append(grid.tokens(frames[-1].stamp_ns // SLOT, np.arange(44, -1, -1))[0])
    np.testing.assert_array_equal(tokens[1], tokens[0])
    np.testing.assert_array_equal(tokens[2], tokens[0])


def test_a_long_gap_starts_anew(networks):
    grid = filled(networks, session(1, smile=0.4))
    late = frame(START_NS + (FORGET_SLOTS + 30) * SLOT, 0.2)
    grid.push(late)
    grid.settle()
    assert len(grid.slots) == 1
    alone = filled(networks, [late])
    np.testing.assert_array_equal(grid.slots[-1].token, alone.slots[-1].token)


def test_a_gap_costs_no_more_than_a_second_of_frames(networks, monkeypatch):
    grid = filled(networks, session(1, smile=0.4))
    last, calls = FIRST + 24, []
    encode = networks.encode
    monkeypatch.setattr(networks, "encode", lambda *given: calls.append(1) or encode(*given))
    grid.advance(last + 200)
    grid.settle()
    assert len(calls) == DEAD_SLOTS
    tokens, missing = grid.tokens(last + 200, np.arange(49, -1, -1))
    assert not missing.any()
    assert (tokens == tokens[-1]).all()
    grid.push(frame(START_NS + 300 * SLOT, 0.4))
    grid.settle()
    assert len(calls) == DEAD_SLOTS + 1
    assert np.abs(grid.slots[-1].token - tokens[-1]).max() > 1e-3
