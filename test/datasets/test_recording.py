"""The value that readers of datasets yield."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.datasets.recording import Recording, stack
from reactdiff_ros.model.tokens import SpeakerBatch, blank


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
