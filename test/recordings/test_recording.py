"""The value that readers of datasets yield."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.model.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.datasets.recording import Recording, filled_in, stack


def speaker(frames: int) -> SpeakerBatch:
    one = blank(frames)
    return SpeakerBatch(**{name: getattr(one, name)[None] for name in SpeakerBatch.__slots__})


def recording(frames: int = 5, **changes: object) -> Recording:
    values = {
        "source": "s", "pair": "p", "session": "1", "role": "A", "speaker": speaker(frames),
        "listener": np.zeros((frames, 58), np.float32), "observed": np.arange(58) < 3,
    } | changes  # fmt: skip
    return Recording(**values)


def test_one_mask_for_all_frames_is_repeated() -> None:
    r = recording()
    assert r.observed.shape == (5, 58)
    assert r.observed[:, :3].all()
    assert not r.observed[:, 3:].any()
    assert (r.name, r.person) == ("s/p/1/A", "s/p/A")


@pytest.mark.parametrize(
    "changes",
    [
        {"listener": np.zeros((5, 57), np.float32)},
        {"observed": np.ones((4, 58), bool)},
        {"speaker": speaker(4)},
        {"attributes": np.zeros((5, 24), np.float32)},
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        recording(**changes)


def test_stacked_recordings_keep_their_order_and_are_cut() -> None:
    first, second = recording(5, listener=np.ones((5, 58), np.float32)), recording(7)
    batch, listeners, observed = stack([first, second], 4)
    assert batch.mfcc.shape == (2, 4, 26)
    assert listeners[:, 0, 0].tolist() == [1.0, 0.0]
    assert observed.shape == (2, 4, 58)
    with pytest.raises(ValueError, match="shorter than 6"):
        stack([first, second], 6)


def test_gaps_are_filled_in_on_a_line_and_ends_hold() -> None:
    known = np.array([False, True, False, False, True, False])
    assert filled_in(np.array([9.0, 1.0, 9.0, 9.0, 4.0, 9.0]), known).tolist() == [1, 1, 2, 3, 4, 4]
    with pytest.raises(ValueError, match="empty"):
        filled_in(np.zeros(3), np.zeros(3, bool))


def test_a_listener_is_seen_between_gaps_and_told_of_what_was_seen_often() -> None:
    """Ten frames: nothing at either end, a gap within, and a coefficient that is seen in four of them only."""
    values = np.zeros((10, 58), np.float32)
    observed = np.zeros((10, 58), bool)
    values[:, 0] = [0, 1, 2, 0, 0, 5, 6, 7, 8, 0]
    observed[:, 0] = values[:, 0] > 0
    values[1:5, 1] = observed[1:5, 1] = 1
    seen, often = recording(10, listener=values, observed=observed).listener_seen()
    assert seen[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert often.nonzero()[0].tolist() == [0]
    assert seen.dtype == np.float32
    assert values[3, 0] == 0, "the recording stays as it is"
    nobody, often = recording(10, observed=np.zeros(58, bool)).listener_seen()
    assert nobody.shape == (0, 58)
    assert not often.any()
