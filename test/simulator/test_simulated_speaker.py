"""A simulated speaker: events as often as people's, announced, causal for the listener; insertions in pairs."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from reactdiff_ros.simulator import motion
from reactdiff_ros.simulator.behaviour import SLOW, TALKER
from reactdiff_ros.simulator.speaker import Insertion, Speakers, make_speakers, stimulus_of

FRAME = motion.FRAME_S
RATES = {  # name: a mask of what happens, of whom, and how often a minute that is in people
    "laugh": (lambda p: p.laughing, 0.5, (0.7, 1.6)),
    "brow raise": (lambda p: p.brow_up > 0.12, 0.5, (1.6, 3.0)),
    "frown": (lambda p: p.frown > 0.12, 0.5, (0.3, 1.2)),
    "doubt": (lambda p: p.doubt > 0.12, 0.0, (0.1, 1.2)),
    "sadness": (lambda p: p.sad > 0.12, 0.0, (0.1, 1.2)),
    "nod": (lambda p: p.nod > 0.5, 0.0, (2.0, 5.5)),
}


@pytest.fixture(scope="module")
def people() -> Speakers:
    return make_speakers(5, 160, 3000)


def runs(mask):
    """World, first frame and length of every run of true frames."""
    steps = np.diff(np.pad(mask.astype(int), ((0, 0), (1, 1))), axis=1)
    world, first = np.where(steps == 1)
    return world, first, np.where(steps == -1)[1] - first


def per_minute(s, mask):
    return np.bincount(runs(mask)[0], minlength=len(mask)) / (s.speech.shape[1] * FRAME / 60)


def same(a, b, frames=None):
    """Names of the fields that differ (before a frame, where they have frames)."""
    differs = []
    for f in fields(a):
        x, y = getattr(a, f.name), getattr(b, f.name)
        if isinstance(x, np.ndarray):
            if frames is not None and x.ndim > 1 and x.shape[1] == a.present.shape[1]:
                x, y = x[:, :frames], y[:, :frames]
            if not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
                differs.append(f.name)
    return set(differs)


def test_smiles_are_as_human_ones(people):
    alive = people.lively > 0.2
    smiling = people.smile > 0.12
    rate, share = per_minute(people, smiling)[alive], smiling.mean(axis=1)[alive]
    length = runs(smiling)[2] * FRAME
    # 3 to 12 a minute and .05 to .6 of the time, very different between people; quartiles 0.8 / 1.8 / 3.9 s.
    for found, low, high in (
        (np.percentile(rate, [10, 50, 90]), [2.2, 4.5, 8.5], [4.5, 8.5, 13]),
        (np.percentile(share, [5, 50, 95]), [0, 0.2, 0.5], [0.16, 0.42, 0.8]),
    ):
        assert ((low < found) & (found < high)).all(), found
    np.testing.assert_allclose(np.percentile(length, [25, 50, 75]), [0.85, 1.8, 3.6], rtol=0.25)
    assert ((people.smiles.rise > 0.39) & (people.smiles.rise < 0.76)).all()
    still = people.lively <= 0.2
    assert per_minute(people, smiling)[still].mean() < 1.5


def test_laughs_brows_nods_and_blinks_are_as_often_as_people_s(people):
    for name, (mask, lively, (least, most)) in RATES.items():
        assert least < per_minute(people, mask(people))[people.lively > lively].mean() < most, name
    assert 0.8 < np.median(runs(people.brow_up > 0.12)[2]) * FRAME < 1.4  # 1.1 s
    low, middle, high = np.percentile(per_minute(people, people.blink > 0.5), [2.5, 50, 97.5])
    assert low > 7
    assert 17 < middle < 28  # 26, and 17 at rest
    assert high < 48


def test_conversation_has_turns_phrases_and_pauses(people):
    talkers = people.kind == TALKER
    talk = people.talk
    assert 0.45 < people.speech[talkers].mean() < 0.7
    assert not people.speech[people.kind > SLOW].any()
    phrase = np.percentile(runs(people.speech[talkers])[2] * FRAME, [25, 50, 75])
    np.testing.assert_allclose(phrase, [1.0, 1.6, 2.5], rtol=0.25)
    turns = []
    for b in np.flatnonzero(talkers):
        opened = None
        for n in range(talk.start.shape[1]):
            opened = talk.start[b, n] if talk.opens[b, n] else opened
            if talk.yields[b, n] and opened is not None:
                turns.append(talk.end[b, n] - opened)
    np.testing.assert_allclose(np.percentile(turns, [25, 50, 75]), [2.0, 4.0, 9.0], rtol=0.4)  # EgoCom
    yields = ((talk.end > 0) & (talk.end < 120) & talk.yields)[talkers].sum(axis=1) / 2
    assert 4 < yields.mean() < 9  # 7.3 switches a minute
    assert (talk.end > talk.start).all()
    assert (talk.resume > talk.end).all()
    assert (talk.start[:, 1:] >= talk.resume[:, :-1] - 1e-3).all()


def test_gaze_goes_with_the_turns(people):
    talk, frames = people.talk, people.speech.shape[1]
    there = people.present & (people.kind <= SLOW)[:, None]
    assert 0.4 < people.contact[there & people.speech].mean() < 0.52
    assert people.contact[people.present & ~people.speech].mean() > 0.62
    inside = talk.on & (talk.start > 1) & (talk.end < frames * FRAME - 1)
    world = np.broadcast_to(np.arange(len(there))[:, None], talk.end.shape)

    def at(time, which):
        return people.contact[world, np.clip((time / FRAME).astype(int), 0, frames - 1)][which].mean()

    assert at(talk.start, inside & talk.opens) < 0.35  # over 70 % begin looking away
    assert at(talk.end - 0.05, inside & talk.yields) > 0.7  # over 70 % end looking at the listener
    assert at(talk.end - 0.05, inside & ~talk.yields) < 0.4


def test_without_precursors_all_else_is_bit_equal():
    a, b = make_speakers(8, 60, 600), make_speakers(8, 60, 600, precursors=False)
    assert same(a, b) == {"cheek", "brighten", "bright", "breath", "low_pitch", "contact", "head"}
    assert not b.brighten.any()
    assert not b.cheek.any()
    assert not b.breath.any()
    for name in ("brighten", "cheek", "breath"):
        assert getattr(a, name).any()
    announced = (a.brighten > 0) | (a.bright == b.bright)
    assert announced.all()
    moved = np.abs(a.head - b.head).max(axis=-1) > 1e-6
    assert not moved[a.breath == 0].any()
    # Gaze that returns with its cue has returned early or not at all: never later.
    assert (a.contact | ~b.contact).all()


@pytest.mark.parametrize("kind", ["smile", "cue", "head_shift", "landmark_noise", "lost_frame", "light"])
def test_an_insertion_changes_nothing_before_its_frame(kind):
    frame = 260
    a, b = make_speakers(12, 60, 500), make_speakers(12, 60, 500, insertion=Insertion(kind, frame))
    assert same(a, b, frame) <= {"took"}
    changed = {"smile": {"smile", "bright", "flat"}, "cue": {"cue", "low_pitch", "contact"}}.get(kind, set())
    assert changed - {"flat"} <= same(a, b) - {"took"} <= changed
    x, y = stimulus_of(a), stimulus_of(b)
    for f in fields(x):
        np.testing.assert_array_equal(getattr(x, f.name)[:, :frame], getattr(y, f.name)[:, :frame])
    assert b.took.any()


def test_the_stimulus_is_causal_gated_and_in_bounds(people):
    stimulus = stimulus_of(people)
    for f in fields(stimulus):
        value = getattr(stimulus, f.name)
        assert value.dtype == np.float32, f.name
        assert value.shape == people.speech.shape
        assert np.isfinite(value).all()
        assert value.min() >= 0, f.name
        assert value.max() <= 1 + 1e-6, f.name
    camera = np.zeros_like(people.present)
    blind = stimulus_of(people, camera=camera)
    for name in ("seen", "smile", "brighten", "brow_up", "frown", "sad", "doubt", "nod", "contact", "laugh", "cue"):
        assert not getattr(blind, name).any(), name
    assert blind.speech.any()
    deaf = stimulus_of(people, microphone=camera)
    assert not deaf.heard.any()
    assert not deaf.laugh.any()
    assert not deaf.cue.any()
    assert (deaf.sincerity == 1).all()
    assert deaf.smile.any()
