"""What the listener knows of the speaker: a frame as numbers, and the grid (any picture rate in, one token a slot)."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speaker_frames import SLOT, START_NS, frame, session, voice

from reactdiff_ros.model.diffusion.tokens import (
    READ,
    STREAM_COUNT,
    STREAMS,
    Featurizer,
    SpeakerBatch,
    blank,
    from_frame,
)
from reactdiff_ros.model.speaker.grid import BACKLOG, FORGET_SLOTS, HOLD_SLOTS, SpeakerGrid
from reactdiff_ros.model.streams import speaker_tokens
from reactdiff_ros.types import Voice

FIRST = START_NS // SLOT
wild = st.floats(width=32, allow_nan=True, allow_infinity=True)


def features(speaker_frame):
    return Featurizer(1).step(from_frame(speaker_frame))


def test_unobserved_is_neither_silence_nor_a_neutral_face_and_low_confidence_hides_a_smile():
    assert features(frame(START_NS, None, None))[1].sum() == 0
    assert features(frame(START_NS, 0.0, voice(False)))[1].sum() == STREAM_COUNT
    smiling, place = frame(START_NS, 0.8, None), READ.index("mouthSmileLeft")
    values, camera = features(smiling)
    np.testing.assert_array_equal(camera[0], [1, 1, 1, 0, 0])
    assert (values[0, -STREAMS[3][2] - STREAMS[4][2] :] == 0).all()
    assert values[0, place] == np.float32(0.8)
    smiling.confidence[:] = 0.0
    assert features(smiling)[0][0, place] == 0


def test_voices_are_made_comparable():
    def after(pitch, last):
        featurizer = Featurizer(1)
        for hz in (*[pitch] * 60, last):
            heard = Voice(0.95, True, voice(True).mfcc, hz, -20.0, 0.0, 1.0)
            values, _ = featurizer.step(from_frame(frame(START_NS, None, heard)))
        return values[0, -STREAMS[4][2] :]

    np.testing.assert_allclose(after(110.0, 88.0), after(220.0, 176.0), atol=1e-3)
    assert after(110.0, 88.0)[3] < -0.3


@given(values=st.lists(wild, min_size=58, max_size=58), number=wild, size=st.sampled_from([0, 26, 27]))
def test_wild_input_stays_finite(values, number, size):
    array = np.array(values, dtype=np.float32)
    heard = Voice(number, True, np.full(size, number, dtype=np.float32), number, number, number, number)
    base = frame(START_NS, 0.3, heard)
    bad = replace(base, coefficients=array, confidence=array[::-1].copy(), neutral_confidence=number)
    featurizer = Featurizer(1)
    for _ in range(3):
        out, observed = featurizer.step(from_frame(bad))
        assert np.isfinite(out).all()
        assert np.isfinite(observed).all()
        assert np.abs(out).max() <= 4
    clean, _ = featurizer.step(from_frame(base if math.isfinite(number) else frame(START_NS, 0.3)))
    assert np.isfinite(clean).all()


def filled(networks, frames):
    grid = SpeakerGrid(networks, keep=64)
    for item in frames:
        grid.push(item)
    grid.settle()
    return grid


def test_gaps_are_held_then_unobserved_and_long_ones_start_anew(networks):
    """As in a stream without gaps, where the same is said frame by frame."""
    grid = filled(networks, session(1, smile=0.9))
    grid.advance(FIRST + 24 + 20)
    seen = [from_frame(f) for f in session(1, smile=0.9)]
    batches = seen + [seen[-1]] * HOLD_SLOTS + [blank(1)] * (20 - HOLD_SLOTS)
    joined = SpeakerBatch(**{
        name: np.stack([getattr(batch, name) for batch in batches], axis=1) for name in SpeakerBatch.__slots__
    })  # fmt: skip
    expected = speaker_tokens(networks, joined)[0]
    np.testing.assert_allclose(grid.tokens(FIRST + 44, np.arange(44, -1, -1))[0], expected[:, :-1], atol=1e-5)
    broad = [grid.broad(FIRST + slot) for slot in range(45)]
    assert broad == pytest.approx(expected[:, -1].tolist())
    assert 0 < broad[-1] < broad[24] == pytest.approx(1.0)
    grid.advance(FIRST + 224)
    tokens, missing = grid.tokens(FIRST + 224, np.arange(49, -1, -1))
    assert not missing.any()
    assert (tokens == tokens[-1]).all()
    late = frame(START_NS + (FORGET_SLOTS + 225) * SLOT, 0.2)
    grid.push(late)
    grid.settle()
    assert len(grid.slots) == 1
    np.testing.assert_array_equal(grid.slots[-1].token, filled(networks, [late]).slots[-1].token)


def test_whenever_it_is_encoded_the_tokens_are_the_same_and_the_last_frame_of_a_slot_counts(networks):
    """Two frames in each slot, a gap, and settled at once, at times or as late as may be."""
    frames = [f for f in session(2, smile=0.4, talk=True) if not 20 <= f.stamp_ns // SLOT - FIRST < 25]
    newest, ages, tokens = frames[-1].stamp_ns // SLOT, np.arange(44, -1, -1), []
    for every in (1, 3, 1000):
        grid = SpeakerGrid(networks, keep=64)
        for i, item in enumerate(frames):
            grid.push(replace(item, coefficients=np.ones(58, np.float32)))
            grid.push(replace(item, stamp_ns=item.stamp_ns + SLOT // 3))
            assert len(grid.staged) <= BACKLOG
            if i % every == 0:
                grid.settle()
        tokens.append(grid.tokens(newest, ages)[0])
    np.testing.assert_array_equal(tokens[1], tokens[0])
    np.testing.assert_array_equal(tokens[2], tokens[0])
    np.testing.assert_allclose(tokens[0], filled(networks, frames).tokens(newest, ages)[0], atol=1e-5)
