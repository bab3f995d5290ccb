"""The demo speaker: its voice is where the script has it."""

from __future__ import annotations

import av
import numpy as np

from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import Sound
from tools.demo import script


def test_speech_is_heard_where_the_script_has_it() -> None:
    with av.open(str(demo_clip_path())) as clip:
        stream = clip.streams.audio[0]
        parts = [frame.to_ndarray()[0] for frame in clip.decode(stream)]
        rate, samples = stream.rate, np.clip(np.concatenate(parts) * 32767, -32768, 32767).astype(np.int16)
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
