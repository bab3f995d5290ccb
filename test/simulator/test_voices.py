"""The bank of voices: made by perception's own extractor, laid along the phrases so that cues can be heard."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.simulator import voices
from reactdiff_ros.simulator.motion import FRAME_S
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.speaker import make_speakers
from reactdiff_ros.simulator.voices import COLUMNS, TAIL, VoiceBank, load_bank, make_bank


def shrink(patch, **sizes):
    for name, value in {**sizes, "BACKGROUND_S": 2}.items():
        patch.setattr(voices, name, value)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A bank of two voices; needs espeak-ng."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    pytest.importorskip("reactdiff_ros.perception.voice")
    patch = pytest.MonkeyPatch()
    shrink(patch, VOICES=("en-us", "de+f3"), PHRASES=2, BURSTS=2, ROOMS=2, NOISES=5)
    path = tmp_path_factory.mktemp("bank") / "voices.npz"
    seen = []
    count = make_bank(path, 1, progress=lambda done, all_: seen.append((done, all_)))
    patch.undo()
    assert seen[-1] == (count, count)
    return path


def test_a_bank_holds_phrases_that_end_as_they_say(small):
    bank = load_bank(small)
    assert not bank.empty
    assert bank.phrases.shape == (2, 2, 2, 2, 2)

    def stream(track):
        return bank.frames[track[0] : track[0] + track[1] + 2]

    for voice in bank.phrases:
        for phrase in voice:
            ends, pitch = {}, {}
            for bright in (0, 1):
                for falling in (0, 1):
                    hertz = stream(phrase[bright, falling])[:, 1]
                    hertz = np.log(hertz[hertz > 0])
                    ends[bright, falling] = np.median(hertz[-6:]) - np.median(hertz)
                    pitch[bright, falling] = np.median(hertz)
            for bright in (0, 1):
                assert ends[bright, 1] < ends[bright, 0] - 0.1
                assert abs(phrase[0, bright, 1] - phrase[1, bright, 1]) <= 2  # flat and bright run in step
            assert pitch[1, 0] > pitch[0, 0] + 0.2
    probability = [stream(track)[3:-2, 0].mean() for track in bank.phrases.reshape(-1, 2)]
    assert min(probability) > 0.7
    after = [bank.frames[first + count + TAIL - 1, 0] for first, count in bank.phrases.reshape(-1, 2)]
    assert max(after) < 0.5
    for first, count in bank.rooms:
        assert bank.frames[first : first + count, 0].mean() < 0.2


def test_the_same_seed_makes_the_same_bank(small, tmp_path, monkeypatch):
    shrink(monkeypatch, VOICES=("en-us",), PHRASES=1, BURSTS=1, ROOMS=1, NOISES=1)
    banks = []
    for name in ("a.npz", "b.npz"):
        make_bank(tmp_path / name, 3)
        banks.append(load_bank(tmp_path / name))
    np.testing.assert_array_equal(banks[0].frames, banks[1].frames)
    np.testing.assert_array_equal(banks[0].phrases, banks[1].phrases)


def test_phrases_cues_and_laughs_are_heard_where_they_are(small):
    bank = load_bank(small)
    truth = make_speakers(5, 60, 750)
    b = observe(5, truth, bank)
    heard = b.microphone & (truth.kind < 3)[:, None]
    late = np.zeros_like(truth.speech)
    late[:, 10:] = truth.speech[:, 10:] & truth.speech[:, :-10] & truth.speech[:, 5:-5]
    assert b.speaking[late & heard].mean() > 0.85
    voiced = (b.pitch_hz > 0) & heard & truth.speech
    log_pitch = np.log(np.maximum(b.pitch_hz, 60))
    centred = np.full(log_pitch.shape, np.nan)
    for w in range(60):
        if voiced[w].sum() > 50:
            centred[w] = log_pitch[w] - np.median(log_pitch[w][voiced[w]])
    steady = np.zeros_like(truth.bright)
    steady[:, 5:] = truth.bright[:, 5:] == truth.bright[:, :-5]
    bright, flat = (np.nanmedian(centred[voiced & steady & which]) for which in (truth.bright, ~truth.bright))
    assert bright > flat + 0.15
    low = np.nanmedian(centred[voiced & (truth.low_pitch == 1)])
    assert low < np.nanmedian(centred[voiced & (truth.low_pitch == 0)]) - 0.15
    laugh = heard & truth.laughing
    room = heard & ~truth.speech & ~truth.burst
    assert b.loudness_dbfs[laugh].mean() > b.loudness_dbfs[room].mean() + 8


def test_falling_ends_are_heard(small):
    truth = make_speakers(6, 80, 1000)
    b = observe(6, truth, load_bank(small))
    talk = truth.talk
    ends = {True: [], False: []}
    for w in range(80):
        for n in np.flatnonzero(talk.on[w] & (talk.start[w] > 1) & (talk.end[w] < 38)):
            if truth.kind[w] < 3 and talk.end[w, n] - talk.start[w, n] > 1.2:
                a, z = round(float(talk.start[w, n]) / FRAME_S), round(float(talk.end[w, n]) / FRAME_S) + 3
                hertz = b.pitch_hz[w, a:z]
                hertz = hertz[(hertz > 0) & b.microphone[w, a:z]]
                if len(hertz) > 15:
                    ends[bool(talk.falling[w, n])].append(np.log(np.median(hertz[-5:]) / np.median(hertz)))
    assert np.median(ends[True]) < np.median(ends[False]) - 0.12


def _write(path, **changes):
    arrays = {
        "format": voices.FORMAT, "frames": np.zeros((40, COLUMNS), np.float32),
        "phrases": np.full((1, 1, 2, 2, 2), 5), "bursts": np.full((1, 1, 2), 5), "rooms": np.full((1, 2), 5),
        "noises": np.full((1, 2), 5),
    }  # fmt: skip
    arrays.update(changes)
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_a_bad_bank_is_refused_with_one_sentence(tmp_path):
    assert load_bank(None).empty
    assert VoiceBank().empty
    assert not load_bank(_write(tmp_path / "good.npz")).empty
    (tmp_path / "text.npz").write_text("no bank")
    bad = [
        tmp_path / "missing.npz", tmp_path / "text.npz",
        _write(tmp_path / "old.npz", format=1), _write(tmp_path / "without.npz", format=None),
        _write(tmp_path / "field.npz", rooms=None),
        _write(tmp_path / "beyond.npz", rooms=np.full((1, 2), 30)),
        _write(tmp_path / "shape.npz", frames=np.zeros((40, 5), np.float32)),
        _write(tmp_path / "nan.npz", frames=np.full((40, COLUMNS), np.nan, np.float32)),
        _write(tmp_path / "none.npz", noises=np.zeros((0, 2), int)),
    ]  # fmt: skip
    for path in bad:
        with pytest.raises(ReactdiffError) as error:
            load_bank(path)
        assert str(path) in str(error.value)


def test_without_espeak_the_error_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("reactdiff_ros.perception.voice")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReactdiffError, match="espeak-ng"):
        make_bank(tmp_path / "bank.npz")
