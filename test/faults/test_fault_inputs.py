"""Pictures and sound gone wrong are wrong in the way that they say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reactdiff_ros.capture.decode import decode_compressed
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MessageError
from reactdiff_ros.evaluation.faults import inputs
from reactdiff_ros.types import Sound

PICTURE = np.full((48, 64, 3), 120, np.uint8)
JPEG = cv2.imencode(".jpg", PICTURE)[1].tobytes()
OTHER = cv2.imencode(".jpg", PICTURE // 2)[1].tobytes()


def test_pictures():
    assert inputs.nothing(1, JPEG) is None
    frozen = inputs.frozen()
    assert frozen(1, JPEG) == (1, JPEG)
    assert frozen(2, OTHER) == (2, JPEG)
    assert decode_compressed("jpeg", inputs.black(3, JPEG)[1]).max() < 3
    assert decode_compressed("jpeg", inputs.smaller(3, JPEG)[1]).shape == (29, 26, 3)
    assert decode_compressed("jpeg", inputs.grey(3, JPEG)[1]).shape == PICTURE.shape
    assert len(inputs.grey(3, JPEG)[1]) < len(JPEG)
    for broken in (inputs.cut, inputs.giant):
        with pytest.raises(MessageError):
            decode_compressed("jpeg", broken(3, JPEG)[1])
    assert len(inputs.giant(3, JPEG)[1]) > 8_000_000


def test_stamps():
    assert inputs.shifted(-60.0)(100 * NS, JPEG) == (40 * NS, JPEG)
    jumping = inputs.jumping(10.0)
    assert [jumping(k, JPEG)[0] for k in range(4)] == [10 * NS, 1, 10 * NS + 2, 3]


def test_sounds():
    sound = Sound(5, 16000, np.array([[-5], [0], [7], [100]] * 100, np.int16))
    assert inputs.mute(sound) is None
    assert not inputs.silent(sound).samples.any()
    assert set(np.unique(inputs.clipped(sound).samples)) == {-32768, 32767}
    other = inputs.other_rate(sound)
    assert (other.rate_hz, other.samples.shape) == (44100, (1102, 1))
