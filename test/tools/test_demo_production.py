"""What makes the demo speaker and measures perception: script, voice, clip, head, and the noise of still faces."""

from __future__ import annotations

import av
import numpy as np
import pytest

from reactdiff_ros.coefficients import INDEX, LOWER, UPPER
from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.simulator.rendered import demo_clip_path
from reactdiff_ros.simulator.rendered.head import load_head
from reactdiff_ros.types import Sound
from tools.demo import script, voice
from tools.demo.make_mesh import make_head

BROW = INDEX["browInnerUp"]
NOISE = 0.012


@pytest.fixture(scope="module")
def track() -> np.ndarray:
    """A stand-in for the voice: a tone that swells five times a second while a sentence is due."""
    t = np.arange(round(script.SECONDS * voice.RATE_HZ)) / voice.RATE_HZ
    due = np.zeros(len(t), dtype=bool)
    for sentence in script.SENTENCES:
        due |= (t >= sentence.start_s) & (t < sentence.start_s + 1.0)
    return (0.3 * due * np.sin(2 * np.pi * 200 * t) * np.abs(np.sin(np.pi * 2.5 * t))).astype(np.float32)


@pytest.fixture(scope="module")
def performance(track):
    return script.perform(track, voice.RATE_HZ)


def test_the_same_performance_every_time_within_bounds_and_without_a_seam(track, performance):
    c, places = performance
    np.testing.assert_array_equal(script.perform(track, voice.RATE_HZ)[0], c)
    assert np.abs(np.diff(c[:, 52:55], axis=0)).max() < 0.12
    assert np.abs(np.diff(places, axis=0)).max() < 0.08
    assert c.shape == (1500, 58)
    assert places.shape == (1500, 3)
    assert ((c >= LOWER) & (c <= UPPER)).all()
    assert np.abs(c[-1] - c[0])[:52].max() < 0.15
    assert np.abs(c[-1] - c[0])[52:].max() < 0.03
    np.testing.assert_allclose(places[-1], places[0], atol=1e-6)


def test_shows_what_the_script_says(performance):
    c, places = performance

    def at(second: float, name: str) -> float:
        return float(c[int(second * 25), INDEX[name]])

    assert at(4.5, "mouthSmileLeft") > 0.5
    assert at(21.5, "mouthSmileRight") > 0.8
    assert at(28.5, "mouthFrownLeft") > 0.5
    assert at(33.0, "headYaw") < -0.25
    assert at(36.5, "browOuterUpLeft") > 0.6 > at(36.5, "browOuterUpRight") + 0.3
    assert places[(50 * 25), 0] > 0.9
    assert abs(places[(55 * 25), 0]) < 0.01


@pytest.fixture(scope="module")
def sound_of_the_clip() -> tuple[int, np.ndarray]:
    with av.open(str(demo_clip_path())) as clip:
        stream = clip.streams.audio[0]
        parts = [frame.to_ndarray()[0] for frame in clip.decode(stream)]
        return stream.rate, np.clip(np.concatenate(parts) * 32767, -32768, 32767).astype(np.int16)


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


def test_speech_is_heard_where_the_script_has_it(sound_of_the_clip):
    rate, samples = sound_of_the_clip
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


def test_two_rounds_lead_near_the_head_that_ships():
    pytest.importorskip("mediapipe", reason="mediapipe is not installed (requirements/face-networks.txt)")
    head, moved = make_head(rounds=2)
    assert len(moved) == 2
    assert moved[1] < moved[0] < 0.002
    np.testing.assert_array_equal(head.mirror, load_head().mirror)
    assert np.linalg.norm(head.vertices - load_head().vertices, axis=1).mean() < 0.0015
