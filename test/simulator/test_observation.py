"""What perception delivers of simulated speakers: its contract, devices, delays, errors, and the bank of voices."""

from __future__ import annotations

import shutil
from dataclasses import fields

import numpy as np
import pytest

from reactdiff_ros.affect import CLASSES
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.diffusion.tokens import blank, featurize
from reactdiff_ros.simulator import voices
from reactdiff_ros.simulator.motion import since
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.speaker import Insertion, make_speakers
from reactdiff_ros.simulator.voices import COLUMNS, TAIL, load_bank, make_bank

WORLDS, FRAMES = 480, 400

SMILES = [INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]


@pytest.fixture(scope="module")
def world():
    truth = make_speakers(9, WORLDS, FRAMES)
    return truth, observe(9, truth)


def test_the_batch_keeps_its_contract(world):
    _, b = world
    reference = blank(1)
    for f in fields(b):
        value, empty = getattr(b, f.name), getattr(reference, f.name)
        assert value.shape == (WORLDS, FRAMES, *empty.shape[1:]), f.name
        assert value.dtype == empty.dtype, f.name
        if f.name not in ("pause_s", "mfcc"):
            assert np.isfinite(value).all(), f.name
    assert (b.face <= b.camera).all()
    assert (b.mesh <= b.face).all()
    assert (b.gaze_observed <= b.mesh).all()
    assert (b.affect_observed <= b.mesh).all()
    assert not b.coefficients[~b.mesh].any()
    assert not b.mfcc[~b.microphone].any()
    assert (b.loudness_dbfs[~b.microphone] == -100).all()
    assert np.isnan(b.pause_s[~b.microphone]).all()
    shapes = b.coefficients[..., :52]
    assert shapes.min() >= 0
    assert shapes.max() <= 1
    assert not b.coefficients[b.confidence == 0].any()
    probabilities = b.affect[b.affect_observed][:, : len(CLASSES)]
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-4)
    assert (b.gaze[..., 2] >= 0).all()
    assert (b.gaze[..., 2] <= 1).all()
    assert ((b.pitch_hz == 0) | ((b.pitch_hz >= 60) & (b.pitch_hz <= 400))).all()
    assert (b.pause_s[b.speaking] == 0).all()
    assert not b.utterance_s[~b.speaking].any()
    features, observed = featurize(b)
    assert np.isfinite(features).all()
    assert observed.any(axis=(0, 1)).all()


def auc(positive, negative):
    """Chance that a positive value exceeds a negative one: the best that any threshold can use."""
    positive, negative = positive[np.isfinite(positive)], negative[np.isfinite(negative)]
    assert len(positive) > 20
    assert len(negative) > 20
    order = np.argsort(np.argsort(np.concatenate([positive, negative]), kind="stable"), kind="stable") + 1
    n = len(positive)
    return (order[:n].sum() - n * (n + 1) / 2) / (n * len(negative))


def recent(values, which, frames):
    """Mean over the last `frames` frames where `which`, NaN where there is too little."""
    total = np.cumsum(np.where(which, values, 0), axis=1)
    count = np.cumsum(which, axis=1)
    total = total - np.pad(total, ((0, 0), (frames, 0)))[:, :-frames]
    count = count - np.pad(count, ((0, 0), (frames, 0)))[:, :-frames]
    return np.where(count > frames // 5, total / np.maximum(count, 1), np.nan)


@pytest.fixture(scope="module")
def signs(world):
    """Causal features of one modality each: smile, gaze; relative pitch, loudness."""
    truth, b = world
    features, _ = featurize(b)
    prosody = features[..., -9:]
    voiced = prosody[..., 2] > 0
    return {
        "ok": b.camera & b.mesh & b.microphone & (truth.kind < 3)[:, None],
        "smile": recent(b.coefficients[..., SMILES].mean(-1), b.mesh, 12),
        "jaw": recent(b.coefficients[..., INDEX["jawOpen"]], b.mesh, 12),
        "gaze": recent(b.gaze[..., 2], b.gaze_observed, 6),
        "pitch": recent(prosody[..., 3], voiced & b.speaking, 25),
        "low": recent(prosody[..., 3], voiced, 8),
        "end": recent(prosody[..., 3], voiced, 18),
        "loud": recent(b.loudness_dbfs, b.microphone, 8),
    }


def near_chance(value):
    return abs(value - 0.5) < 0.12


def test_only_face_and_voice_together_tell_a_smile_over_a_flat_voice(world, signs):
    truth, _ = world
    spoken = truth.speech & signs["ok"] & (since(~truth.speech) > 0.8)
    smiling, neutral = spoken & (truth.smile > 0.3), spoken & (truth.smile < 0.03)
    flat, bright, rest = smiling & truth.flat, smiling & truth.bright, neutral & ~truth.bright
    assert near_chance(auc(signs["smile"][flat], signs["smile"][bright]))
    assert auc(signs["pitch"][bright], signs["pitch"][flat]) > 0.6  # .8 with voices of a bank
    assert near_chance(auc(signs["pitch"][flat], signs["pitch"][rest]))
    assert auc(signs["smile"][flat], signs["smile"][rest]) > 0.9


@pytest.mark.parametrize("kind", ["head_shift", "landmark_noise", "lost_frame", "light", "smile"])
def test_placebos_change_what_is_read_from_their_frame_on(kind):
    frame = 150
    plain = observe(4, make_speakers(4, 40, 300))
    other = observe(4, make_speakers(4, 40, 300, insertion=Insertion(kind, frame)))
    changed = set()
    for f in fields(plain):
        x, y = getattr(plain, f.name), getattr(other, f.name)
        np.testing.assert_array_equal(x[:, :frame], y[:, :frame])
        if not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
            changed.add(f.name)
    expected = {
        "head_shift": "coefficients", "landmark_noise": "coefficients", "lost_frame": "mesh", "light": "coefficients",
        "smile": "coefficients",
    }[kind]  # fmt: skip
    assert expected in changed
    if kind != "smile":
        assert not changed & {"speaking", "mfcc", "pitch_hz", "camera", "microphone", "face"}


def test_utterances_are_tracked_as_perception_does():
    pytest.importorskip("reactdiff_ros.perception.voice")
    from reactdiff_ros.perception.voice import UtteranceTracker

    rng = np.random.default_rng(1)
    loud = np.repeat(rng.random((20, 60)) < 0.5, 8, axis=1)
    probability = np.clip(np.where(loud, 0.95, 0.05) + 0.05 * rng.standard_normal(loud.shape), 0, 1).astype(np.float32)
    speaking, pause, utterance = voices.track_utterances(probability)
    for w in range(20):
        tracker = UtteranceTracker()
        for t, p in enumerate(probability[w]):
            now = (t + 1) * 40_000_000
            tracker.observe(float(p), now - 40_000_000, now)
            assert tracker.speaking == speaking[w, t]
            np.testing.assert_allclose(tracker.pause_s(now), pause[w, t], atol=1e-3)
            np.testing.assert_allclose(tracker.utterance_s(now), utterance[w, t], atol=1e-3)


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
    assert len(load_bank(_write(tmp_path / "good.npz")).frames)
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
