"""The video of a replay: both faces at their times, and the sound where its stamps put it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound, MediaClip
from reactdiff_ros.coefficients import INDEX, neutral
from reactdiff_ros.errors import MediaError
from reactdiff_ros.recordings.replay import video
from reactdiff_ros.recordings.replay.video import LISTENER_WIDTH, SPEAKER_WIDTH, write_video
from reactdiff_ros.types import ExpressionFrame

MS = 1_000_000
BEGIN_NS = 1_700_000_000_000_000_000
RATE = 16_000


class Flashes:
    """Grey pictures at 25 Hz and silence; at 0.4 s one white picture and one beep, the sound beginning 0.2 s late."""

    path = Path("flashes")
    duration_s = 1.0
    damaged_packets = 0
    has_picture = has_sound = True

    def pictures_and_sound(self) -> Iterator[ClipItem]:
        for i in range(50):
            at_ns = BEGIN_NS + i * 20 * MS
            if i % 2 == 0:
                yield ClipPicture(at_ns, np.full((60, 60, 3), 255 if i == 20 else 90, np.uint8))
            if i >= 10:
                tone = np.sin(np.arange(RATE // 50) * 0.4) * 20000 * (i == 20)
                yield ClipSound(at_ns, RATE, tone.astype(np.int16)[:, None])


def faces(frames: int, smiles_at: int = -1) -> list[ExpressionFrame]:
    made = []
    for i in range(frames):
        face = neutral()
        face[INDEX["jawOpen"]] = 0.9 * (i == smiles_at)
        made.append(ExpressionFrame(BEGIN_NS + i * 40 * MS, face, "listening", (), None, None, None, None))
    return made


def test_picture_sound_and_listener_are_in_step(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    assert write_video(path, Flashes(), faces(25, smiles_at=10), processes=0) == 1.0
    clip = MediaClip(path)
    assert clip.picture_size == (SPEAKER_WIDTH + LISTENER_WIDTH, 480)
    items = list(clip.pictures_and_sound())
    pictures = [item for item in items if isinstance(item, ClipPicture)]
    assert len(pictures) == 25
    speaker = [float(p.bgr[200:280, 280:360].mean()) for p in pictures]
    mouth = [float(p.bgr[280:400, SPEAKER_WIDTH + 180 : SPEAKER_WIDTH + 300].mean()) for p in pictures]
    middle = np.median(mouth)
    assert int(np.argmax(speaker)) == 10
    assert int(np.argmax(np.abs(np.array(mouth) - middle))) == 10
    sounds = [item for item in items if isinstance(item, ClipSound)]
    samples = np.concatenate([s.samples[:, 0] for s in sounds]).astype(float)
    loudest = sounds[0].offset_ns / 1e9 + np.abs(samples).argmax() / sounds[0].rate_hz
    assert 0.38 <= loudest <= 0.44
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]
    assert path.stat().st_mode & 0o077 == 0  # it shows a person


def test_it_can_be_stopped_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    assert write_video(path, Flashes(), faces(25), processes=0, progress=lambda share: share < 0.2) < 0.5
    assert MediaClip(path).has_picture
    with pytest.raises(MediaError, match="already"):
        write_video(path, Flashes(), faces(2), processes=0)
    with pytest.raises(MediaError, match="nothing to show"):
        write_video(tmp_path / "other.mp4", Flashes(), [], processes=0)


def test_a_process_that_draws_and_dies_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(svg: str) -> None:
        raise BrokenProcessPool("a child process terminated abruptly")

    monkeypatch.setattr(video, "rasterised", killed)
    with pytest.raises(MediaError, match="ended unexpectedly"):
        write_video(tmp_path / "film.mp4", Flashes(), faces(5), processes=0)
    assert list(tmp_path.iterdir()) == []
