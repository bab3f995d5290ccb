"""What makes the demo speaker and measures perception: script, voice, clip, head, and the noise of still faces."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, LOWER, NAMES, UPPER
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.simulator.rendered import demo_clip_path
from reactdiff_ros.simulator.rendered.head import load_head
from reactdiff_ros.types import Sound
from tools.demo import script, still_faces, voice
from tools.demo.make_mesh import face_triangles, make_head
from tools.demo.render_clip import write_clip
from tools.demo.still_faces import MEASURED, Readings, people_table, read_clip, still_deviations

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


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_the_voice_fits_its_places_and_is_the_same_every_time():
    sentences = script.SENTENCES[-1:]
    first = voice.sound_track(sentences, 60.0, np.random.default_rng(1))
    np.testing.assert_array_equal(first, voice.sound_track(sentences, 60.0, np.random.default_rng(1)))
    assert np.abs(first).max() <= 1
    crowded = (voice.Sentence(0.0, "This takes longer than that."), voice.Sentence(0.3, "No."))
    with pytest.raises(ReactdiffError, match="too long"):
        voice.sound_track(crowded, 5.0, np.random.default_rng(1))


def test_without_espeak_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ReactdiffError, match="apt-get install espeak-ng"):
        voice.speak(script.SENTENCES[0])


@pytest.fixture(scope="module")
def sound_of_the_clip() -> tuple[int, np.ndarray]:
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


def test_the_person_leaves_and_comes_back(pictures):
    nets = FaceNets()
    assert {second: len(nets.detect(rgb, 0.5)) for second, rgb in pictures.items() if second not in (47.9, 51.9)} == {
        1.0: 1, 21.5: 1, 50.0: 0, 56.0: 1
    }  # fmt: skip
    assert pictures[50.0].std(axis=(0, 1)).max() < 25  # an empty, plain background


@pytest.mark.parametrize(("place", "frames"), [("out.mp4", [np.zeros((10, 10), np.uint8)]), ("file/out.mp4", [])])
def test_a_clip_that_cannot_be_written_is_one_sentence(tmp_path, place, frames):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match="cannot be written"):
        write_clip(tmp_path / place, frames, np.zeros(882, np.float32))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_triangles_close_the_face_but_for_eyes_and_mouth():
    triangles = face_triangles()
    assert triangles.shape == (852, 3)
    edges = np.sort(np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    assert (uses == 1).sum() == 36 + 20 + 16 + 16  # outline, mouth, eyes
    assert {tuple(sorted(t)) for t in load_head().triangles.tolist()} == {tuple(sorted(t)) for t in triangles.tolist()}


def test_two_rounds_lead_near_the_head_that_ships():
    head, moved = make_head(rounds=2)
    assert len(moved) == 2
    assert moved[1] < moved[0] < 0.002
    np.testing.assert_array_equal(head.mirror, load_head().mirror)
    assert np.linalg.norm(head.vertices - load_head().vertices, axis=1).mean() < 0.0015


def readings(seconds: float = 60.0, noise: float = NOISE) -> Readings:
    """A person who holds brows of .4, and all else at .3, with white noise."""
    times = np.arange(0.0, seconds, 0.04)
    values = np.random.default_rng(5).normal(0.3, noise, (len(times), len(NAMES)))
    values[:, BROW] += 0.1
    return Readings(times, values.astype(np.float32), np.ones(values.shape, bool))


def test_the_noise_of_a_still_face_is_found() -> None:
    found = still_deviations(readings())
    assert all(len(some) > 100 for some in found)
    for some in found:
        assert np.sqrt(np.mean(np.square(some))) == pytest.approx(NOISE, rel=0.1)
    assert not any(still_deviations(readings(seconds=0.9)))


def test_what_moves_is_left_out_and_a_turning_head_spoils_all() -> None:
    made = readings()
    made.coefficients[:, BROW] += 0.3 * np.sin(2 * made.times_s).astype(np.float32)
    found = still_deviations(made)
    assert len(found[BROW]) < 0.4 * len(found[BROW + 1])
    made.coefficients[:, HEAD_PITCH] = 0.5 * made.times_s
    assert not any(still_deviations(made))


def test_bounds_and_lost_faces_are_left_out() -> None:
    made = readings()
    made.coefficients[:, BROW] = np.maximum(made.coefficients[:, BROW] - 0.4, 0.0)
    made.coefficients[:, HEAD_PITCH] -= 0.3
    made.observed[::20, INDEX["jawOpen"]] = False
    found = still_deviations(made)
    assert not found[BROW]
    assert len(found[HEAD_PITCH]) > 100, "a turn of the head has no bound at 0"
    assert 0 < len(found[INDEX["jawOpen"]]) < 0.6 * len(found[INDEX["jawLeft"]])


def test_the_page_has_a_row_for_each_group(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = readings(seconds=0.5)
    monkeypatch.setattr(still_faces, "FaceNets", lambda: None)
    monkeypatch.setattr(still_faces, "read_clip", lambda path, nets: readings() if path.stem == "anna" else silent)
    text = people_table([Path("anna.mp4"), Path("bert.mp4")], {"browInnerUp": 0.03, "browDownLeft": 0.04})
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in text[-7:]}
    assert [name.removesuffix(", rad") for name in rows] == [name for name, _ in MEASURED]
    stretches, clips, quiet, median, loud, rendered = rows["brows"]
    assert (clips, rendered) == ("1", "0.0354")
    assert int(stretches) > 500
    assert float(quiet) < float(median) < float(loud)
    assert rows["gaze"][-1] == "-"
    none = people_table([Path("bert.mp4")], {})[-1]
    assert none == "| head, rad | 0 | 0 | - | - | - | - |"


def test_a_recorded_person_trembles_less_than_a_tenth(clips: Callable[[str], Path]) -> None:
    pytest.importorskip("mediapipe")
    made = read_clip(clips("real3dportrait_may_5s.mp4"))
    assert made.coefficients.shape == made.observed.shape == (len(made.times_s), len(NAMES))
    assert made.observed.any(0).sum() > 40
    found = [deviation for some in still_deviations(made)[:52] for deviation in some]
    assert found
    assert 0.0 < np.median(found) < 0.1
