"""Simulated speakers: events as often as people's, announced, in pairs; and what perception delivers of them."""

import shutil
from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics.events import smile_curve
from reactdiff_ros.model.diffusion.tokens import blank, featurize
from reactdiff_ros.perception.voice import UtteranceTracker
from reactdiff_ros.simulator import motion, voices
from reactdiff_ros.simulator.behaviour import SLOW, TALKER
from reactdiff_ros.simulator.dyads import simulate
from reactdiff_ros.simulator.observation import appearance, observe
from reactdiff_ros.simulator.resampled import Recorded
from reactdiff_ros.simulator.speaker import PLACEBOS, Insertion, Speakers, make_speakers, stimulus_of
from reactdiff_ros.simulator.voices import COLUMNS, TAIL, load_bank, make_bank
from reactdiff_ros.types import FloatArray

FRAME = motion.FRAME_S
RATES = {  # name: a mask of what happens, of whom, and how often a minute that is in people
    "laugh": (lambda p: p.laughing, 0.5, (0.7, 1.6)),
    "brow raise": (lambda p: p.brow_up > 0.12, 0.5, (1.6, 3.0)),
    "frown": (lambda p: p.frown > 0.12, 0.5, (0.3, 1.2)),
    "nod": (lambda p: p.nod > 0.5, 0.0, (2.0, 5.5)),
    "blink": (lambda p: p.blink > 0.5, 0.0, (17, 28)),
}


@pytest.fixture(scope="module")
def people() -> Speakers:
    return make_speakers(5, 160, 3000)


def runs(mask):
    """World and length of every run of true frames."""
    steps = np.diff(np.pad(mask.astype(int), ((0, 0), (1, 1))), axis=1)
    world, first = np.where(steps == 1)
    return world, np.where(steps == -1)[1] - first


def differing(a, b, frames=None):
    """Names of the fields that differ (before a frame, where they have frames)."""
    differs = set()
    for f in fields(a):
        x, y = getattr(a, f.name), getattr(b, f.name)
        if isinstance(x, np.ndarray):
            before = np.s_[:, :frames] if frames and x.ndim > 1 and x.shape[1] == a.present.shape[1] else ...
            if not np.array_equal(x[before], y[before], equal_nan=x.dtype.kind == "f"):
                differs.add(f.name)
    return differs


def test_speakers_smile_talk_and_move_as_people_do(people):
    def per_minute(mask):
        return np.bincount(runs(mask)[0], minlength=160) / (3000 * FRAME / 60)

    alive, smiling = people.lively > 0.2, people.smile > 0.12
    # 3 to 12 a minute and .05 to .6 of the time, very different between people; quartiles 0.8 / 1.8 / 3.9 s.
    for found, low, high in (
        (np.percentile(per_minute(smiling)[alive], [10, 50, 90]), [2.2, 4.5, 8.5], [4.5, 8.5, 13]),
        (np.percentile(smiling.mean(axis=1)[alive], [5, 50, 95]), [0, 0.2, 0.5], [0.16, 0.42, 0.8]),
    ):
        assert ((low < found) & (found < high)).all(), found
    for name, (mask, lively, (least, most)) in RATES.items():
        assert least < per_minute(mask(people))[people.lively > lively].mean() < most, name
    phrases = people.speech[people.kind == TALKER]
    assert 0.45 < phrases.mean() < 0.7
    assert not people.speech[people.kind > SLOW].any()
    for mask, seconds in ((smiling, [0.85, 1.8, 3.6]), (phrases, [1.0, 1.6, 2.5])):
        np.testing.assert_allclose(np.percentile(runs(mask)[1] * FRAME, [25, 50, 75]), seconds, rtol=0.25)


def test_without_precursors_all_else_is_bit_equal():
    a, b = make_speakers(8, 60, 600), make_speakers(8, 60, 600, precursors=False)
    assert differing(a, b) == {"cheek", "brighten", "bright", "breath", "low_pitch", "contact", "head"}
    for name in ("brighten", "cheek", "breath"):
        assert getattr(a, name).any()
        assert not getattr(b, name).any()
    # Gaze that returns with its cue has returned early or not at all: never later.
    assert (a.contact | ~b.contact).all()


@pytest.mark.parametrize("kind", ["smile", "flat_smile", "ambivalent", "cue", *PLACEBOS])
def test_an_insertion_changes_nothing_before_its_frame_and_a_placebo_what_is_read_alone(kind):
    frame = 260
    a, b = (make_speakers(12, 60, 500, insertion=event) for event in (None, Insertion(kind, frame)))
    assert differing(a, b, frame) <= {"took"}
    smile, cue = {"smile", "bright", "flat"}, {"cue", "low_pitch", "contact"}
    changed = {"smile": smile, "flat_smile": smile, "cue": cue, "ambivalent": {"speech", "contact"}}.get(kind, set())
    assert changed - {"flat"} <= differing(a, b) - {"took"}
    assert kind == "ambivalent" or differing(a, b) - {"took"} <= changed
    assert b.took.any()
    for plain, other in ((stimulus_of(a), stimulus_of(b)), (observe(4, a), observe(4, b))):
        for f in fields(plain):
            np.testing.assert_array_equal(getattr(plain, f.name)[:, :frame], getattr(other, f.name)[:, :frame])
    read = differing(plain, other)
    if kind in PLACEBOS:
        assert ("mesh" if kind == "lost_frame" else "coefficients") in read
        assert not read & {"speaking", "mfcc", "pitch_hz", "camera", "microphone", "face"}


def test_some_speakers_smile_and_look_as_recorded_people_and_the_others_are_the_same_without() -> None:
    second = np.arange(750) % 250
    smile = np.where((second > 50) & (second < 100), 0.6, 0.05).astype(np.float32)[None]
    with_them = make_speakers(5, 60, 750, recorded=Recorded(smile, smile > 0.5, share=0.4))
    plain = make_speakers(5, 60, 750)
    calm = ~(with_them.smile == plain.smile).all(1)
    assert 12 <= calm.sum() <= 36
    assert differing(with_them.take(np.flatnonzero(~calm)), plain.take(np.flatnonzero(~calm))) == set()
    taken = with_them.take(np.flatnonzero(calm & (with_them.episodes.level == 0).all(1)))
    world, long = runs(taken.smile > 0.2)
    assert np.bincount(world, minlength=len(taken.smile)).mean() == pytest.approx(3, abs=0.5)
    assert np.median(long) == pytest.approx(49, abs=8)
    assert (taken.smiles.on & (taken.smiles.start < 30)).sum(1).mean() == pytest.approx(3, abs=0.5)
    assert taken.contact[taken.smile > 0.3].mean() > taken.contact[taken.smile < 0.1].mean() + 0.2


def test_who_is_ambivalent_falters_and_looks_away_and_smiles_a_second_later() -> None:
    at, one_s = 250, 25
    smiles, falters = (make_speakers(5, 600, 500, insertion=Insertion(k, at)) for k in ("smile", "ambivalent"))
    took = np.flatnonzero(falters.took & smiles.took)
    sincere, ambivalent = (stimulus_of(s.take(took)) for s in (smiles, falters))
    before, smiling = np.s_[:, at + 10 : at + one_s], np.s_[:, at + 2 * one_s : at + 3 * one_s]
    assert ambivalent.smile[before].max() < 0.1
    size = sincere.smile[:, at + one_s : at + 2 * one_s].mean()
    assert ambivalent.smile[smiling].mean() == pytest.approx(size, rel=0.1)
    assert ambivalent.ambivalence[before].mean() > 0.9
    assert not sincere.ambivalence.any()
    for part in (before, smiling):
        assert not ambivalent.contact[part].any()
        assert 0.3 < ambivalent.speech[part].mean() < 0.8
    low, usual = (observe(5, s).pitch_hz[took][before] for s in (falters, smiles))
    assert np.log(low[low > 0]).mean() < np.log(usual[usual > 0]).mean() - 0.1


def test_the_stimulus_is_in_bounds_and_what_no_device_observes_is_not_in_it(people):
    stimulus = stimulus_of(people)
    for f in fields(stimulus):
        value = getattr(stimulus, f.name)
        assert (value.dtype, value.shape) == (np.float32, people.speech.shape), f.name
        assert ((value >= 0) & (value <= 1 + 1e-6)).all(), f.name
    nowhere = np.zeros_like(people.present)
    blind, deaf = stimulus_of(people, camera=nowhere), stimulus_of(people, microphone=nowhere)
    unseen = ("seen", "smile", "brighten", "brow_up", "frown", "sad", "doubt", "nod", "contact", "laugh", "cue")
    for stimulus, names in ((blind, unseen), (deaf, ("heard", "laugh", "cue"))):
        assert not any(getattr(stimulus, name).any() for name in names)
    assert blind.speech.any()
    assert deaf.smile.any()
    assert (deaf.sincerity == 1).all()


SHOWN = {
    "angry": ("browDown",), "disgust": ("noseSneer", "mouthUpperUp", "cheekSquint"),
    "fear": ("browInnerUp", "eyeWide", "mouthStretch"), "sad": ("browInnerUp", "mouthFrown"),
    "surprise": ("browInnerUp", "browOuterUp", "eyeWide", "jawOpen"), "contempt": ("mouthDimple",),
}  # fmt: skip
"""What makes an expression, by EMFACS."""


def test_speakers_show_their_emotion_and_sound_like_it() -> None:
    made = simulate(3, 160, 750, prior="natural", emotions=1.0)
    shown, b, episodes = appearance(3, made.truth)[0], made.speaker, made.truth.episodes

    def rise(kind: str, values: FloatArray, where: NDArray[np.bool_] = made.stimulus.seen > 0) -> float:
        """Mean of values (B, T) in episodes of a kind, minus where there is no episode."""
        inside = (episodes.of(kind) > 0.6) & where
        return float(values[inside].mean() - values[(episodes.level == 0) & where].mean())

    for kind, names in SHOWN.items():
        for name in names:
            sides = [name] if name in INDEX else [f"{name}Left", f"{name}Right"]
            assert rise(kind, shown[..., [INDEX[side] for side in sides]].mean(-1)) > 0.1, (kind, name)
        if kind in ("angry", "disgust", "fear", "sad"):
            assert rise(kind, smile_curve(shown)) < -0.1, kind  # no one smiles while crying
    # Perception reads a smile of .10 and less in recorded people who are angry or disgusted (docs/perception.md).
    for kind in ("angry", "disgust"):
        assert 0.01 < smile_curve(b.coefficients)[b.mesh & (episodes.of(kind) > 0.6)].mean() < 0.10
    heard = b.microphone & made.truth.speech & (b.pitch_hz > 0)
    assert rise("angry", b.loudness_dbfs, heard) > 3 > 0 > -2.5 > rise("sad", b.loudness_dbfs, heard)
    pitch = np.log(np.maximum(b.pitch_hz, 60))
    assert min(rise(kind, pitch, heard) for kind in ("angry", "fear", "surprise")) > 0.2
    assert rise("sad", pitch, heard) < -0.1


def test_the_batch_keeps_its_contract():
    b, reference = observe(9, make_speakers(9, 480, 400)), blank(1)
    for f in fields(b):
        value, empty = getattr(b, f.name), getattr(reference, f.name)
        assert (value.shape, value.dtype) == ((480, 400, *empty.shape[1:]), empty.dtype), f.name
        assert f.name in ("pause_s", "mfcc") or np.isfinite(value).all(), f.name
    for part, whole in ((b.face, b.camera), (b.mesh, b.face), (b.gaze_observed, b.mesh), (b.affect_observed, b.mesh)):
        assert (part <= whole).all()
    for empty in (b.coefficients[~b.mesh], b.coefficients[b.confidence == 0], b.mfcc[~b.microphone]):
        assert not empty.any()
    assert (b.loudness_dbfs[~b.microphone] == -100).all()
    assert np.isnan(b.pause_s[~b.microphone]).all()
    for shares in (b.coefficients[..., :52], b.gaze[..., 2]):
        assert ((shares >= 0) & (shares <= 1)).all()
    features, observed = featurize(b)
    assert np.isfinite(features).all()
    assert observed.any(axis=(0, 1)).all()


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
    path = tmp_path_factory.mktemp("bank") / "voices.npz"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sizes.items():
            patch.setattr(voices, name, value)
        make_bank(path, 1)
    return path


def test_a_bank_s_phrases_cues_and_laughs_are_heard_where_they_are(small):
    bank = load_bank(small)
    tracks = bank.phrases.reshape(-1, 2)
    assert min(bank.frames[first + 3 : first + count, 0].mean() for first, count in tracks) > 0.7
    assert max(bank.frames[first + count + TAIL - 1, 0] for first, count in tracks) < 0.5
    assert max(bank.frames[first : first + count, 0].mean() for first, count in bank.rooms) < 0.2
    truth = make_speakers(5, 60, 750)
    b = observe(5, truth, bank)
    heard = b.microphone & (truth.kind < 3)[:, None]
    voiced = (b.pitch_hz > 0) & heard & truth.speech
    assert b.speaking[voiced].mean() > 0.85
    pitch = np.where(voiced, np.log(np.maximum(b.pitch_hz, 60)), np.nan)
    talk = voiced.sum(1) > 50
    pitch = pitch[talk] - np.nanmedian(pitch[talk], axis=1, keepdims=True)
    for low, high in ((~truth.bright, truth.bright), (truth.low_pitch == 1, truth.low_pitch == 0)):
        assert np.nanmedian(pitch[low[talk]]) < np.nanmedian(pitch[high[talk]]) - 0.15
    room = heard & ~truth.speech & ~truth.burst
    assert b.loudness_dbfs[heard & truth.laughing].mean() > b.loudness_dbfs[room].mean() + 8


BANK = {
    "format": voices.FORMAT, "frames": np.zeros((40, COLUMNS), np.float32), "phrases": np.full((1, 1, 2, 2, 2), 5),
    "bursts": np.full((1, 1, 2), 5), "rooms": np.full((1, 2), 5), "noises": np.full((1, 2), 5),
}  # fmt: skip


def test_a_bad_bank_is_refused_with_one_sentence(tmp_path):
    path = tmp_path / "bank.npz"
    np.savez(path, **BANK)
    assert len(load_bank(path).frames) == 40
    for changes in (
        {"format": 1}, {"rooms": np.full((1, 2), 30)}, {"noises": np.zeros((0, 2), int)},
        {"frames": np.full((40, COLUMNS), np.nan, np.float32)},
    ):  # fmt: skip
        np.savez(path, **(BANK | changes))
        with pytest.raises(ReactdiffError, match=str(path)):
            load_bank(path)
    path.write_text("no bank")
    with pytest.raises(ReactdiffError, match=str(path)):
        load_bank(path)
