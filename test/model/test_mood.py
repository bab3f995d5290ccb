"""Mood: who smiles much is smiled at more; slowly, causally, and from what can be seen alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from speaker_frames import session

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.model.conditions import CONTROL_NAMES
from reactdiff_ros.model.plan.mood import CONTAGION, MEMORY_S, ORDINARY_SMILE, Mood, in_mood
from reactdiff_ros.model.plan.sampler import ordinary
from reactdiff_ros.model.tokens import SpeakerBatch, blank, from_frame

SMILING = CONTROL_NAMES.index("smiling")


def showing(smile: float) -> SpeakerBatch:
    """One frame of a speaker."""
    return from_frame(next(iter(session(0.04, smile=smile))))


def after(seconds: float, speaker: SpeakerBatch, mood: Mood | None = None) -> float:
    """Mood after so long with the same frame."""
    mood = mood or Mood(1)
    return [float(mood.step(speaker)[0]) for _ in range(round(seconds * 25))][-1]


def test_a_long_smile_lifts_the_mood_and_a_straight_face_lowers_it() -> None:
    assert after(MEMORY_S, showing(0.8)) == pytest.approx(
        CONTAGION * (0.8 - ORDINARY_SMILE) * (1 - np.exp(-1)), rel=0.02
    )
    assert after(60, showing(0.0)) == pytest.approx(-CONTAGION * ORDINARY_SMILE, rel=0.01)
    assert abs(after(60, showing(ORDINARY_SMILE))) < 1e-3


def test_a_moment_changes_little() -> None:
    assert 0 < after(0.3, showing(0.8)) < 0.12


def broken(smile: float, value: float) -> SpeakerBatch:
    speaker = showing(smile)
    speaker.coefficients[:, SMILE[0]] = value
    return speaker


@pytest.mark.parametrize(
    "unseen", [blank(1), broken(0.8, np.nan), broken(0.8, np.inf), replace(showing(0.8), confidence=np.zeros((1, 58)))]
)
def test_what_cannot_be_seen_returns_to_the_ordinary(unseen: SpeakerBatch) -> None:
    mood = Mood(1)
    lifted = after(10, showing(0.8), mood)
    faded = after(MEMORY_S, unseen, mood)
    assert faded == pytest.approx(lifted / np.e, rel=0.02)


def test_wild_coefficients_stay_within_the_range_of_the_control() -> None:
    speaker = broken(0.5, 1e9)
    assert after(100, speaker) <= CONTAGION
    told = in_mood(ordinary(1), np.array([50.0], dtype=np.float32))
    assert told.controls[0, SMILING] == 1.0


def test_speakers_of_a_batch_do_not_mix_and_a_copy_is_independent() -> None:
    both = SpeakerBatch(
        **{n: np.concatenate([getattr(s, n) for s in (showing(0.8), showing(0.0))]) for n in SpeakerBatch.__slots__}
    )
    mood = Mood(2)
    kept = mood.copy()
    for _ in range(50):
        told = mood.step(both)
    assert told[0] == pytest.approx(after(2, showing(0.8)))
    assert told[1] == pytest.approx(after(2, showing(0.0)))
    assert kept.step(both)[0] == pytest.approx(after(0.04, showing(0.8)))


def test_mood_moves_smiling_alone() -> None:
    before = ordinary(2)
    told = in_mood(before, np.array([0.5, -0.25], dtype=np.float32))
    assert told.controls[:, SMILING].tolist() == [0.5, -0.25]
    others = [i for i in range(len(CONTROL_NAMES)) if i != SMILING]
    assert not told.controls[:, others].any()
    assert not before.controls.any()
