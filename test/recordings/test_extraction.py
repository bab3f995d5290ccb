"""A style from a reference clip: of the person's face alone, and only of what was seen."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.errors import MediaError
from reactdiff_ros.model.diffusion.tokens import blank
from reactdiff_ros.recordings.extraction import Track, learn_reference, seen_face, unlike_in_length


def track(frames: int, *, seen: slice = slice(None)) -> Track:
    """So many frames, of which these show a face."""
    batch = blank(1, frames)
    batch.mesh[0, seen] = True
    batch.confidence[0] = 0.9
    return Track(0, batch, np.arange(frames, dtype=np.int64), np.zeros(frames, dtype=np.int64))


@pytest.mark.parametrize(("frames", "seen"), [(100, slice(None)), (2000, slice(0, 800))])
def test_too_little_of_a_face_is_one_sentence(frames: int, seen: slice) -> None:
    with pytest.raises(MediaError, match=r"a face was .*anna\.mp4"):
        seen_face(track(frames, seen=seen), "anna.mp4")
    assert seen_face(track(1500), "anna.mp4")[1].all()


def test_views_of_unlike_length_are_told() -> None:
    assert unlike_in_length(track(500), track(520)) == ""
    assert "ends 4.0 s before the speaker's" in unlike_in_length(track(500), track(400))
    assert "ends 20.0 s after the speaker's" in unlike_in_length(track(500), track(1000))


@pytest.mark.clips
def test_a_clip_of_a_person_gives_a_reference(clips) -> None:
    reference = learn_reference(MediaClip(clips("liveportrait_d9_webcam_silent_20s.mp4")))
    assert reference.seconds > 5
    assert reference.as_dict()["head_motion"] is not None
