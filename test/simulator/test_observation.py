"""What perception delivers of simulated speakers: the contract, devices, conjunction cues, placebos."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX
from reactdiff_ros.model.tokens import blank, featurize
from reactdiff_ros.simulator import hearing, observation
from reactdiff_ros.simulator.motion import FRAME_S, since
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.speaker import Insertion, make_speakers
from reactdiff_ros.types import EXPRESSION_CLASSES

WORLDS, FRAMES = 480, 400
SMILES = [INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]


@pytest.fixture(scope="module")
def world():
    truth = make_speakers(9, WORLDS, FRAMES)
    return truth, observe(9, truth)


def test_same_seed_same_bits():
    truth = make_speakers(2, 5, 120)
    a, b, c = observe(2, truth), observe(2, truth), observe(3, truth)
    for f in fields(a):
        np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name))
    assert not np.array_equal(a.coefficients, c.coefficients)


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
    probabilities = b.affect[b.affect_observed][:, : len(EXPRESSION_CLASSES)]
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-4)
    assert (b.gaze[..., 2] >= 0).all()
    assert (b.gaze[..., 2] <= 1).all()
    assert ((b.pitch_hz == 0) | ((b.pitch_hz >= 60) & (b.pitch_hz <= 400))).all()
    assert (b.pause_s[b.speaking] == 0).all()
    assert not b.utterance_s[~b.speaking].any()
    features, observed = featurize(b)
    assert np.isfinite(features).all()
    assert observed.any(axis=(0, 1)).all()


def test_worlds_differ_in_their_devices(world):
    truth, b = world
    assert 0.04 < (~b.camera.any(axis=1)).mean() < 0.2
    assert 0.12 < (~b.microphone.any(axis=1)).mean() < 0.35
    assert (b.camera.any(axis=1) | b.microphone.any(axis=1)).all()
    held = (np.diff(b.coefficients, axis=1) == 0).all(axis=-1) & b.mesh[:, 1:] & b.mesh[:, :-1]
    rate = 1 - held.sum(axis=1) / np.maximum((b.mesh[:, 1:] & b.mesh[:, :-1]).sum(axis=1), 1)
    assert (rate > 0.95).any()
    assert (rate < 0.7).any()
    heads = b.coefficients[..., 53].sum(axis=1) / np.maximum(b.mesh.sum(axis=1), 1)
    assert heads[b.mesh.sum(axis=1) > 300].std() > 0.06
    speech = truth.speech & b.microphone
    assert b.speaking[speech].mean() > 0.8
    quiet = b.microphone & (truth.kind < 3)[:, None] & (since(truth.speech | truth.burst) > 0.6)
    assert b.speaking[quiet].mean() < 0.1


def test_what_is_shown_is_read_with_the_measured_gain(world):
    truth, b = world
    shown = truth.smile.ravel()
    read = b.coefficients[..., SMILES].mean(-1).ravel()
    ok = b.mesh.ravel() & ~truth.speech.ravel()
    slope = np.polyfit(shown[ok], read[ok], 1)[0]
    assert 0.55 < slope < 0.9  # 0.78, less what is late, or taken for the neutral
    gains = []
    for w in range(WORLDS):
        m = b.mesh[w] & ~truth.speech[w]
        if m.sum() > 200 and truth.smile[w][m].std() > 0.1:
            gains.append(np.polyfit(truth.smile[w][m], b.coefficients[w][:, SMILES].mean(-1)[m], 1)[0])
    assert np.std(gains) > 0.1
    assert np.corrcoef(truth.contact[b.gaze_observed], b.gaze[..., 2][b.gaze_observed])[0, 1] > 0.5


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


def test_only_face_and_voice_together_tell_a_laugh(world, signs):
    truth, _ = world
    shaking = signs["ok"] & (truth.shake > 0.5)
    laugh, silent = shaking & truth.laughing, shaking & truth.hush
    cough = shaking & truth.burst & ~truth.laughing
    assert near_chance(auc(signs["loud"][laugh], signs["loud"][cough]))
    assert auc(signs["smile"][laugh], signs["smile"][cough]) > 0.9
    assert near_chance(auc(signs["smile"][laugh], signs["smile"][silent]))
    assert near_chance(auc(signs["jaw"][laugh], signs["jaw"][silent]))
    assert auc(signs["loud"][laugh], signs["loud"][silent]) > 0.8


def test_only_gaze_and_pitch_together_tell_a_yield_and_a_cue(world, signs):
    truth, _ = world
    talk = truth.talk
    rows = np.broadcast_to(np.arange(WORLDS)[:, None], talk.end.shape)

    def sampled(time, which, name):
        at = np.round(time / FRAME_S)
        good = which & np.isfinite(at) & (at > 30) & (at < FRAMES - 2)
        frame = np.nan_to_num(np.where(good, at, 0)).astype(int)
        good &= signs["ok"][rows, frame]
        return signs[name][rows[good], frame[good]]

    paused = talk.on & (talk.resume - talk.end > 0.35) & (talk.end - talk.start > 0.8)
    late = talk.end + 0.3
    yields = paused & talk.yields
    looks, falls = paused & ~talk.yields & talk.returns, paused & ~talk.yields & talk.falling
    assert near_chance(auc(sampled(late, yields, "gaze"), sampled(late, looks, "gaze")))
    assert auc(sampled(late, looks, "end"), sampled(late, yields, "end")) > 0.7
    assert near_chance(auc(sampled(late, yields, "end"), sampled(late, falls, "end")))
    assert auc(sampled(late, yields, "gaze"), sampled(late, falls, "gaze")) > 0.75

    moment, real = talk.cue + 0.12, talk.cues
    low, gaze = talk.on & talk.cue_low & ~talk.cue_gaze, talk.on & ~talk.cue_low & talk.cue_gaze
    assert near_chance(auc(sampled(moment, real, "gaze"), sampled(moment, gaze, "gaze")))
    assert auc(sampled(moment, gaze, "low"), sampled(moment, real, "low")) > 0.75
    assert near_chance(auc(sampled(moment, real, "low"), sampled(moment, low, "low")))
    assert auc(sampled(moment, real, "gaze"), sampled(moment, low, "gaze")) > 0.7


def test_a_smile_s_precursor_can_be_seen(world, signs):
    truth, b = world
    cheek = recent(b.coefficients[..., [INDEX["cheekSquintLeft"], INDEX["cheekSquintRight"]]].mean(-1), b.mesh, 5)
    rise = cheek[:, 30:] - cheek[:, :-30]
    neutral = (truth.smile[:, 30:] < 0.02) & (truth.smile[:, :-30] < 0.02) & signs["ok"][:, 30:]
    announced, plain = neutral & (truth.brighten[:, 30:] > 0.8), neutral & (truth.brighten[:, 30:] == 0)
    assert auc(rise[announced], rise[plain]) > 0.8


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


def test_constants_are_perception_s_own():
    affect = pytest.importorskip("reactdiff_ros.perception.blendshapes")
    from reactdiff_ros.perception import blendshapes
    from reactdiff_ros.perception.voice import HANG_OVER_S, SPEECH_CERTAIN, SPEECH_END, SPEECH_START

    for name, trust in observation.TRUST.items():
        assert blendshapes.OBSERVED[name] == trust
    rng = np.random.default_rng(0)
    values = np.zeros((30, COEFFICIENT_COUNT), np.float32)
    trust = np.zeros_like(values)
    shown = [INDEX[name] for name in observation.SHOWN]
    values[:, shown], trust[:, shown] = rng.random((2, 30, len(shown)))
    ours = observation._affect(values, trust)
    for i in range(30):
        theirs = affect.affect_of(values[i].astype(float), trust[i].astype(float))
        np.testing.assert_allclose(ours[i, :7], theirs.probabilities, atol=1e-4)
        np.testing.assert_allclose(ours[i, 7:], [theirs.valence, theirs.arousal], atol=1e-4)
    assert (SPEECH_START, SPEECH_END, SPEECH_CERTAIN) == (hearing.START, hearing.END, hearing.CERTAIN)
    assert HANG_OVER_S == hearing.HANG_OVER_S


def test_utterances_are_tracked_as_perception_does():
    pytest.importorskip("reactdiff_ros.perception.voice")
    from reactdiff_ros.perception.voice import UtteranceTracker

    rng = np.random.default_rng(1)
    loud = np.repeat(rng.random((20, 60)) < 0.5, 8, axis=1)
    probability = np.clip(np.where(loud, 0.95, 0.05) + 0.05 * rng.standard_normal(loud.shape), 0, 1).astype(np.float32)
    speaking, pause, utterance = hearing.track_utterances(probability)
    for w in range(20):
        tracker = UtteranceTracker()
        for t, p in enumerate(probability[w]):
            now = (t + 1) * 40_000_000
            tracker.observe(float(p), now - 40_000_000, now)
            assert tracker.speaking == speaking[w, t]
            np.testing.assert_allclose(tracker.pause_s(now), pause[w, t], atol=1e-3)
            np.testing.assert_allclose(tracker.utterance_s(now), utterance[w, t], atol=1e-3)
