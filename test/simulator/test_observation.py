"""What perception delivers of simulated speakers: its contract, devices, delays, errors, and the bank of voices."""

from __future__ import annotations

import shutil
from dataclasses import fields

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from reactdiff_ros.affect import CLASSES
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.diffusion.tokens import blank, featurize
from reactdiff_ros.perception.voice import UtteranceTracker
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
    assert min(len(positive), len(negative)) > 20
    return mannwhitneyu(positive, negative, method="asymptotic").statistic / (len(positive) * len(negative))


def recent(values, which, frames):
    """Mean over the last `frames` frames where `which`, NaN where there is too little."""
    total = np.cumsum(np.where(which, values, 0), axis=1)
    count = np.cumsum(which, axis=1)
    total = total - np.pad(total, ((0, 0), (frames, 0)))[:, :-frames]
    count = count - np.pad(count, ((0, 0), (frames, 0)))[:, :-frames]
    return np.where(count > frames // 5, total / np.maximum(count, 1), np.nan)


def near_chance(value):
    return abs(value - 0.5) < 0.12


def test_only_face_and_voice_together_tell_a_smile_over_a_flat_voice(world):
    truth, b = world
    prosody = featurize(b)[0][..., -9:]
    smile = recent(b.coefficients[..., SMILES].mean(-1), b.mesh, 12)
    pitch = recent(prosody[..., 3], (prosody[..., 2] > 0) & b.speaking, 25)
    known = b.camera & b.mesh & b.microphone & (truth.kind < 3)[:, None]
    spoken = truth.speech & known & (since(~truth.speech) > 0.8)
    smiling, neutral = spoken & (truth.smile > 0.3), spoken & (truth.smile < 0.03)
    flat, bright, rest = smiling & truth.flat, smiling & truth.bright, neutral & ~truth.bright
    assert near_chance(auc(smile[flat], smile[bright]))
    assert auc(pitch[bright], pitch[flat]) > 0.6  # .8 with voices of a bank
    assert near_chance(auc(pitch[flat], pitch[rest]))
    assert auc(smile[flat], smile[rest]) > 0.9


@pytest.fixture(scope="module")
def plain():
    return observe(4, make_speakers(4, 40, 300))


@pytest.mark.parametrize("kind", ["head_shift", "landmark_noise", "lost_frame", "light", "smile"])
def test_placebos_change_what_is_read_from_their_frame_on(plain, kind):
    frame, changed = 150, set()
    other = observe(4, make_speakers(4, 40, 300, insertion=Insertion(kind, frame)))
    for f in fields(plain):
        x, y = getattr(plain, f.name), getattr(other, f.name)
        np.testing.assert_array_equal(x[:, :frame], y[:, :frame])
        if not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
            changed.add(f.name)
    assert ("mesh" if kind == "lost_frame" else "coefficients") in changed
    if kind != "smile":
        assert not changed & {"speaking", "mfcc", "pitch_hz", "camera", "microphone", "face"}


def test_utterances_are_tracked_as_perception_does():
    rng = np.random.default_rng(1)
    loud = np.repeat(rng.random((20, 60)) < 0.5, 8, axis=1)
    probability = np.clip(np.where(loud, 0.95, 0.05) + 0.05 * rng.standard_normal(loud.shape), 0, 1).astype(np.float32)
    tracked = np.zeros((3, *probability.shape))
    for w, row in enumerate(probability):
        tracker = UtteranceTracker()
        for t, p in enumerate(row):
            now = (t + 1) * 40_000_000
            tracker.observe(float(p), now - 40_000_000, now)
            tracked[:, w, t] = tracker.speaking, tracker.pause_s(now), tracker.utterance_s(now)
    for ours, theirs in zip(voices.track_utterances(probability), tracked, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A bank of two voices; needs espeak-ng."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    sizes = {"VOICES": ("en-us", "de+f3"), "PHRASES": 2, "BURSTS": 2, "ROOMS": 2, "NOISES": 5, "BACKGROUND_S": 2}
    path, seen = tmp_path_factory.mktemp("bank") / "voices.npz", []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sizes.items():
            patch.setattr(voices, name, value)
        count = make_bank(path, 1, progress=lambda done, all_: seen.append((done, all_)))
    assert seen[-1] == (count, count)
    return path


def test_a_bank_holds_phrases_that_end_as_they_say(small):
    bank = load_bank(small)
    assert bank.phrases.shape == (2, 2, 2, 2, 2)

    def stream(track):
        return bank.frames[track[0] : track[0] + track[1] + 2]

    for phrase in bank.phrases.reshape(-1, 2, 2, 2):
        ends, pitch = np.zeros((2, 2, 2))
        for bright, falling in np.ndindex(2, 2):
            hertz = stream(phrase[bright, falling])[:, 1]
            hertz = np.log(hertz[hertz > 0])
            pitch[bright, falling] = np.median(hertz)
            ends[bright, falling] = np.median(hertz[-6:]) - np.median(hertz)
        assert (ends[:, 1] < ends[:, 0] - 0.1).all()
        assert abs(phrase[0, :, 1] - phrase[1, :, 1]).max() <= 2  # flat and bright run in step
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


BANK = {
    "format": voices.FORMAT, "frames": np.zeros((40, COLUMNS), np.float32), "phrases": np.full((1, 1, 2, 2, 2), 5),
    "bursts": np.full((1, 1, 2), 5), "rooms": np.full((1, 2), 5), "noises": np.full((1, 2), 5),
}  # fmt: skip


def test_a_bad_bank_is_refused_with_one_sentence(tmp_path):
    path = tmp_path / "bank.npz"
    for changes in (
        {"format": 1}, {"format": None}, {"rooms": None}, {"rooms": np.full((1, 2), 30)},
        {"frames": np.zeros((40, 5), np.float32)}, {"frames": np.full((40, COLUMNS), np.nan, np.float32)},
        {"noises": np.zeros((0, 2), int)},
    ):  # fmt: skip
        np.savez(path, **{name: value for name, value in (BANK | changes).items() if value is not None})
        with pytest.raises(ReactdiffError, match=str(path)):
            load_bank(path)
    np.savez(path, **BANK)
    assert len(load_bank(path).frames) == 40
    path.write_text("no bank")
    for other in (path, tmp_path / "missing.npz"):
        with pytest.raises(ReactdiffError, match=str(other)):
            load_bank(other)
