import shutil

import numpy as np
import pytest

from reactdiff_ros.coefficients import BLINK, INDEX, LOWER, UPPER
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.simulator.rendered import script, voice


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


def test_same_performance_every_time(track, performance):
    again = script.perform(track, voice.RATE_HZ)
    np.testing.assert_array_equal(again[0], performance[0])
    np.testing.assert_array_equal(again[1], performance[1])


def test_within_bounds_and_without_a_seam(performance):
    c, places = performance
    assert c.shape == (1500, 58)
    assert places.shape == (1500, 3)
    assert ((c >= LOWER) & (c <= UPPER)).all()
    assert np.abs(c[-1] - c[0])[:52].max() < 0.15
    assert np.abs(c[-1] - c[0])[52:].max() < 0.03
    np.testing.assert_allclose(places[-1], places[0], atol=1e-6)


def test_moves_smoothly(performance):
    c, places = performance
    assert np.abs(np.diff(c[:, 52:55], axis=0)).max() < 0.12
    assert np.abs(np.diff(places, axis=0)).max() < 0.08


def test_mouth_follows_the_voice(performance):
    jaw = performance[0][:, INDEX["jawOpen"]]
    speaking = np.zeros(1500, dtype=bool)
    for sentence in script.SENTENCES:
        speaking[int(sentence.start_s * 25) : int((sentence.start_s + 1.0) * 25)] = True
    assert jaw[speaking].mean() > 0.12
    assert jaw[int(25 * 24.5) : (25 * 26)].max() < 0.03


def test_blinks_like_people_do(performance):
    lids = performance[0][:, BLINK[0]]
    closings = int(((lids[1:] >= 0.6) & (lids[:-1] < 0.6)).sum())
    assert 10 <= closings <= 33


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


def test_nods_dip_the_head(performance):
    pitch = performance[0][:, INDEX["headPitch"]]
    for start, depth, dips in script.NODS_S:
        part = pitch[int(start * 25) : int((start + dips / script.NOD_HZ) * 25) + 2]
        assert part.max() - part.min() > 0.6 * depth


def test_eyes_stay_on_the_camera_while_the_head_moves(performance):
    c, places = performance
    i = slice(int(12.2 * 25), int(14.8 * 25))
    eye = script.EYE_YAW_RAD * (c[i, INDEX["eyeLookOutLeft"]] - c[i, INDEX["eyeLookInLeft"]])
    assert np.abs(c[i, INDEX["headYaw"]] + eye - np.arctan2(-places[i, 0], places[i, 2])).max() < 0.08


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
