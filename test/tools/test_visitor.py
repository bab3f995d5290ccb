"""A clip as a browser's fake camera and microphone."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import MediaError
from reactdiff_ros.resources import demo_clip_path
from tools import visitor
from tools.visitor import RATE_HZ, SIZE, SOUND_HZ, write_devices


def test_a_clip_becomes_pictures_at_the_cameras_rate_and_sound_of_the_same_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor, "LONGEST_S", 2.0)
    write_devices(demo_clip_path(), tmp_path / "c.y4m", tmp_path / "m.wav")
    head, _, rest = (tmp_path / "c.y4m").read_bytes().partition(b"\n")
    assert head.startswith(f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F{RATE_HZ}:1".encode())
    size = len(b"FRAME\n") + SIZE[0] * SIZE[1] * 3 // 2
    assert len(rest) == 2 * RATE_HZ * size
    pictures = np.frombuffer(rest, np.uint8).reshape(-1, size)
    assert bytes(pictures[7, :6]) == b"FRAME\n"
    changes = (pictures[1:] != pictures[:-1]).any(1)
    assert 40 <= changes.sum() <= 50  # 25 a second become 30: every sixth stands still
    with wave.open(str(tmp_path / "m.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (SOUND_HZ, 1, 2 * SOUND_HZ)
        assert np.abs(np.frombuffer(sound.readframes(2 * SOUND_HZ), np.int16)).max() > 20  # it breathes


def test_what_is_no_clip_has_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"nothing")
    for name in ("no.mp4", "missing.mp4"):
        with pytest.raises(MediaError, match="cannot be shown to a camera"):
            write_devices(tmp_path / name, tmp_path / "c.y4m", tmp_path / "m.wav")
