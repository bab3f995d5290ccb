"""Media files: stamps of pictures and sound, damage, and playing as if live."""

import struct
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipPicture, ClipSound, MediaClip, PacedClip
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError


def write_clip(
    path: Path, *, pictures: int = 10, sound_s: float = 0.4, sound_at_s: float = 0.0, pts: list[int] | None = None
) -> Path:
    """A clip whose picture i has grey level 20 * i, and whose sound is a ramp."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt, video.bit_rate = 64, 48, "yuv420p", 4_000_000
        audio = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        for i in range(pictures):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * i, np.uint8), format="bgr24")
            frame.pts = pts[i] if pts else i
            out.mux(video.encode(frame))
        out.mux(video.encode())
        samples = np.arange(int(sound_s * 16000), dtype=np.int16)[None]
        for at in range(0, samples.shape[1], 1000):
            part = av.AudioFrame.from_ndarray(samples[:, at : at + 1000], format="s16", layout="mono")
            part.sample_rate, part.pts = 16000, at + int(sound_at_s * 16000)
            out.mux(audio.encode(part))
        out.mux(audio.encode())
    return path


def parted(items: Iterable) -> tuple[list[ClipPicture], list[ClipSound]]:
    """Pictures and sounds, which come in the order of their times."""
    items = list(items)
    assert [i.offset_ns for i in items] == sorted(i.offset_ns for i in items)
    return [i for i in items if isinstance(i, ClipPicture)], [i for i in items if isinstance(i, ClipSound)]


@pytest.fixture
def clip(tmp_path):
    return MediaClip(write_clip(tmp_path / "a.mov"))


def test_pictures_and_sound_on_one_clock(clip):
    assert (clip.has_picture, clip.has_sound, clip.picture_size, clip.picture_rate_hz) == (True, True, (64, 48), 25)
    assert clip.duration_s == pytest.approx(0.4, abs=0.02)
    pictures, sounds = parted(clip.pictures_and_sound())
    assert [p.offset_ns for p in pictures] == [i * 40_000_000 for i in range(10)]
    assert [round(float(p.bgr.mean()) / 20) for p in pictures] == list(range(10))
    assert all(len(s.samples) <= s.rate_hz // 50 for s in sounds)
    np.testing.assert_array_equal(np.concatenate([s.samples for s in sounds])[:, 0], np.arange(6400))
    assert all(s.offset_ns == int(s.samples[0, 0]) * NS // 16000 for s in sounds), "the ramp's value is its time"
    assert (len(list(clip.pictures())), sum(len(s.samples) for s in clip.sound())) == (10, 6400)


def test_uneven_times_are_kept_and_sound_that_starts_late_stays_late(tmp_path):
    pts = [0, 1, 3, 4, 9, 10, 11, 15, 16, 30]
    clip = MediaClip(write_clip(tmp_path / "a.mkv", pts=pts, sound_s=0.2, sound_at_s=0.25))
    pictures, sounds = parted(clip.pictures_and_sound())
    assert [round(p.offset_ns / 40e6) for p in pictures] == pts
    assert sounds[0].offset_ns == pytest.approx(250_000_000, abs=1_000_000)


def test_a_clip_of_a_phone_that_was_turned_comes_upright(tmp_path):
    path = write_clip(tmp_path / "a.mov")
    data = bytearray(path.read_bytes())
    quarter_turn = 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30  # QuickTime's matrix of the track
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *quarter_turn)
    path.write_bytes(data)
    picture = next(iter(MediaClip(path).pictures())).bgr
    assert picture.shape == (64, 48, 3)
    assert picture.flags.c_contiguous


def test_broken_files_are_one_sentence_and_cut_ones_give_what_they_have(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "noise.wav").write_bytes(np.random.default_rng(0).bytes(5000))
    whole = write_clip(tmp_path / "whole.mov").read_bytes()
    (tmp_path / "headless.mov").write_bytes(whole[: len(whole) // 2])  # the index is at the end
    for name in ("none.mp4", "empty.mp4", "noise.wav", "headless.mov", "", "x" * 300):
        with pytest.raises(MediaError, match=rf"^[^\n]*{tmp_path}[^\n]*$"):
            list(MediaClip(tmp_path / name).pictures_and_sound())
    whole = write_clip(tmp_path / "whole.mkv", pictures=50, sound_s=2.0).read_bytes()
    for share in (0.3, 0.7, 0.95):
        (tmp_path / "cut.mkv").write_bytes(whole[: int(len(whole) * share)])
        pictures, sounds = parted(MediaClip(tmp_path / "cut.mkv").pictures_and_sound())
        assert 0 < len(pictures) < 50
        assert sounds


def play(paced: PacedClip, until_ns: int, step_ns: int = 5_000_000) -> list:
    given = []
    for now_ns in range(0, until_ns, step_ns):
        for item in paced.due(now_ns):
            assert now_ns - step_ns < item.offset_ns <= now_ns
            given.append(item)
    return given


def test_everything_comes_when_it_is_due_and_once_and_loops_go_on_without_a_gap(clip):
    paced = PacedClip(clip)
    assert paced.next_due_ns == 0
    given = play(paced, NS)
    assert [i.offset_ns for i in given] == [i.offset_ns for i in clip.pictures_and_sound()]
    assert (paced.finished, paced.next_due_ns, paced.dropped_pictures) == (True, None, 0)
    assert paced.due(10 * NS) == []
    paced = PacedClip(clip, loop=True)
    pictures, sounds = parted(play(paced, 2 * NS))
    assert [p.offset_ns for p in pictures] == [i * 40_000_000 for i in range(50)]
    assert [s.offset_ns for s in sounds[1:]] == [s.end_ns for s in sounds[:-1]]
    assert not paced.finished


def test_a_late_player_drops_pictures_and_never_sound_and_rushes_through_nothing_after_an_hour(clip):
    paced = PacedClip(clip, loop=True)
    paced.due(0)
    pictures, sounds = parted(paced.due(210_000_000))
    assert [p.offset_ns for p in pictures] == [200_000_000]
    assert paced.dropped_pictures == 4
    assert sum(len(s.samples) for s in sounds) == 10 * 320
    after = paced.due(3600 * NS)
    assert len(after) <= 2
    assert all(abs(i.offset_ns - 3600 * NS) < 40_000_000 for i in after)
    assert 3600 * NS < paced.next_due_ns < 3600 * NS + 40_000_001


@pytest.mark.clips
@pytest.mark.parametrize(("name", "size", "rate", "seconds", "sound"), [
    ("mimictalk_german_20s.mp4", (512, 512), 25, 20.0, True),
    ("emoface_angry_actor_3s.mov", (1080, 1920), 60, 3.37, True),
    ("facegood_selfie_speech_12s.mp4", (544, 960), 29.485, 12.24, True),
    ("emotions/dreamtalk_m030_happy.mp4", (256, 256), 25, 3.76, False),
])  # fmt: skip
def test_clips_of_many_kinds(clips, name, size, rate, seconds, sound):
    clip = MediaClip(clips(name))
    assert (clip.has_sound, clip.picture_size) == (sound, size)
    assert clip.picture_rate_hz == pytest.approx(rate, rel=0.01)
    last_ns, shapes, sound_s = 0, set(), 0.0
    for item in clip.pictures_and_sound():
        if isinstance(item, ClipPicture):
            last_ns = item.offset_ns
            shapes.add(item.bgr.shape)
        else:
            sound_s += len(item.samples) / item.rate_hz
    assert last_ns / NS == pytest.approx(seconds, abs=0.1)
    assert shapes == {(size[1], size[0], 3)}
    assert sound_s == pytest.approx(seconds if sound else 0.0, abs=0.1)
