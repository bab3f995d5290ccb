"""What makes the demo speaker: its voice where the script has it, and the head that ships."""

from __future__ import annotations

import av
import numpy as np
import pytest

from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.simulator.rendered.head import load_head
from reactdiff_ros.types import Sound
from tools.demo import script
from tools.demo.make_mesh import make_head


@pytest.fixture(scope="module")
def sound_of_the_clip() -> tuple[int, np.ndarray]:
    with av.open(str(demo_clip_path())) as clip:
        stream = clip.streams.audio[0]
        parts = [frame.to_ndarray()[0] for frame in clip.decode(stream)]
        return stream.rate, np.clip(np.concatenate(parts) * 32767, -32768, 32767).astype(np.int16)


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
