"""The bundled clip as it ships: format, speech that is heard, a person who leaves and comes back."""

import av
import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.simulator.rendered import demo_clip_path, script
from reactdiff_ros.simulator.rendered.render_clip import write_clip
from reactdiff_ros.types import Sound


@pytest.fixture(scope="module")
def sound() -> tuple[int, np.ndarray]:
    with av.open(str(demo_clip_path())) as clip:
        stream = clip.streams.audio[0]
        parts = [frame.to_ndarray()[0] for frame in clip.decode(stream)]
        return stream.rate, np.clip(np.concatenate(parts) * 32767, -32768, 32767).astype(np.int16)


@pytest.fixture(scope="module")
def pictures() -> dict[float, np.ndarray]:
    """RGB pictures at a few times; only the seconds around them are decoded."""
    found = {}
    with av.open(str(demo_clip_path())) as clip:
        stream = clip.streams.video[0]
        for second in (1.0, 21.5, 47.9, 50.0, 51.9, 56.0):
            clip.seek(int(second / stream.time_base), stream=stream)
            frame = next(f for f in clip.decode(stream) if f.time >= second - 0.001)
            found[second] = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
    return found


def test_format():
    path = demo_clip_path()
    assert path.stat().st_size < 2_500_000
    with av.open(str(path)) as clip:
        video, audio = clip.streams.video[0], clip.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, float(video.average_rate)) == (640, 480, 25.0)
        assert abs(clip.duration / 1e6 - script.SECONDS) < 0.1
        keys = [float(p.pts * p.time_base) for p in clip.demux(video) if p.is_keyframe and p.pts is not None]
    assert keys[0] == 0.0
    assert np.diff(keys).max() <= 1.0


def test_picture_and_sound_lie_side_by_side_in_the_file():
    with av.open(str(demo_clip_path())) as clip:
        newest = {"video": 0.0, "audio": 0.0}
        for packet in clip.demux():
            if packet.pts is None:
                continue
            newest[packet.stream.type] = float(packet.pts * packet.time_base)
            assert abs(newest["video"] - newest["audio"]) < 1.5


def test_speech_is_heard_where_the_script_has_it(sound):
    rate, samples = sound
    extractor = VoiceExtractor()
    chunk = rate // 25
    speaking = np.zeros(round(script.SECONDS * 25), dtype=bool)
    for i in range(len(speaking)):
        extractor.push(Sound(i * 40_000_000, rate, samples[i * chunk : (i + 1) * chunk, None]))
        heard = extractor.latest((i + 1) * 40_000_000)
        speaking[i] = heard is not None and heard[0].speaking
    for sentence in script.SENTENCES:
        first = round(sentence.start_s * 25)
        # Laughter is no speech to the network, and need not be.
        if "Ha" not in sentence.text.split():
            assert speaking[first + 8 : first + 25].mean() > 0.7, sentence.text
    quiet = ((0.2, 2.6), (24.5, 26.0), (32.5, 34.4), (47.5, 54.0), (57.5, 59.5))
    for begin, end in quiet:
        assert speaking[int(begin * 25) : int(end * 25)].mean() < 0.15, (begin, end)
    assert 0.3 < speaking.mean() < 0.65


def test_the_person_leaves_and_comes_back(pictures):
    nets = FaceNets()
    assert {second: len(nets.detect(rgb, 0.5)) for second, rgb in pictures.items() if second not in (47.9, 51.9)} == {
        1.0: 1, 21.5: 1, 50.0: 0, 56.0: 1
    }  # fmt: skip
    assert pictures[50.0].std(axis=(0, 1)).max() < 25  # an empty, plain background


def test_a_clip_that_cannot_be_written_is_one_sentence(tmp_path):
    wrong_size = [np.zeros((10, 10), np.uint8)]
    with pytest.raises(ReactdiffError, match="cannot be written"):
        write_clip(tmp_path / "out.mp4", wrong_size, np.zeros(882, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match="cannot be written"):
        write_clip(tmp_path / "file" / "out.mp4", [], np.zeros(882, np.float32))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
