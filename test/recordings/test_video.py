"""The video of a replay: both faces at their times, and the sound where its stamps put it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound, MediaClip
from reactdiff_ros.errors import MediaError
from reactdiff_ros.recordings.replay.video import LISTENER_WIDTH, SPEAKER_WIDTH, write_video
from reactdiff_ros.types import ExpressionFrame
from tools.demo.readback import face

MS = 1_000_000
BEGIN_NS = 1_700_000_000_000_000_000
RATE = 16_000


class Flashes:
    """Grey pictures at 25 Hz and silence; at 0.4 s one white picture and one beep, the sound beginning 0.2 s late."""

    path, duration_s, damaged_packets = Path("flashes"), 1.0, 0
    has_picture = has_sound = True

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        for i in range(50):
            at_ns = BEGIN_NS + i * 20 * MS
            if i % 2 == 0:
                yield ClipPicture(at_ns, np.full((60, 60, 3), 255 if i == 20 else 90, np.uint8))
            if i >= 10:
                tone = np.sin(np.arange(RATE // 50) * 0.4) * 20000 * (i == 20)
                yield ClipSound(at_ns, RATE, tone.astype(np.int16)[:, None])


FACES = [
    ExpressionFrame(BEGIN_NS + i * 40 * MS, face(jawOpen=0.9 * (i == 10)), "listening", (), None, None, None, None)
    for i in range(25)
]


def test_picture_sound_and_listener_are_in_step(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    assert write_video(path, Flashes(), FACES, processes=0) == 1.0
    clip = MediaClip(path)
    assert clip.picture_size == (SPEAKER_WIDTH + LISTENER_WIDTH, 480)
    items = list(clip.pictures_and_sound())
    pictures = [item.bgr for item in items if isinstance(item, ClipPicture)]
    assert len(pictures) == 25
    assert int(np.argmax([bgr[200:280, 280:360].mean() for bgr in pictures])) == 10
    mouth = np.array([bgr[280:400, SPEAKER_WIDTH + 180 : SPEAKER_WIDTH + 300].mean() for bgr in pictures])
    assert int(np.argmax(np.abs(mouth - np.median(mouth)))) == 10
    sounds = [item for item in items if isinstance(item, ClipSound)]
    samples = np.concatenate([s.samples[:, 0] for s in sounds]).astype(float)
    assert 0.38 <= sounds[0].offset_ns / 1e9 + np.abs(samples).argmax() / sounds[0].rate_hz <= 0.44
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]
    assert path.stat().st_mode & 0o077 == 0  # it shows a person


def test_it_can_be_stopped_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    assert write_video(path, Flashes(), FACES, processes=0, progress=lambda share: share < 0.2) < 0.5
    assert MediaClip(path).has_picture
    for name, faces, sentence in (("film.mp4", FACES, "already"), ("other.mp4", [], "nothing to show")):
        with pytest.raises(MediaError, match=sentence):
            write_video(tmp_path / name, Flashes(), faces, processes=0)
