"""Nods, tilts, eyes and blinks of simulated listeners as they were published or measured (docs/simulator.md).

One movement is told from all else by two runs with the same noise: what differs between them is it alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from quiet_people import controls, nothing

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, INDEX
from reactdiff_ros.evaluation.metrics.events import blinks, episodes
from reactdiff_ros.simulator.gazing import FULL_DEG
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.speaker import make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import TRAIT_NAMES, Temperament, draw_temperaments

FRAME_S = 0.04
AWAY_DEG = 6.5
CUE = 20


@pytest.fixture(scope="module")
def dips() -> list[np.ndarray]:
    """How far heads bow in answer to a cue, in degrees, from the cue on, a row a nod."""
    quiet = nothing(1600, 190)
    quiet.speech[:, 1:] = 1
    cue = quiet.cue.copy()
    cue[:, CUE : CUE + 6] = 1
    asked = controls(responsiveness=1.0, nodding=-1.0, liveliness=0.0, attitude=0.0)
    who = draw_temperaments(4, 1600, controls=asked)
    plain, after = listen(quiet, who, 3), listen(replace(quiet, cue=cue), who, 3)
    one = ~plain.onsets["nod"].any(1) & (after.onsets["nod"].sum(1) == 1)
    assert one.sum() > 600
    dip = (after.coefficients - plain.coefficients)[one, CUE:, HEAD_PITCH]
    return list(np.degrees(dip))


def peaks(dip: np.ndarray) -> np.ndarray:
    """The size of each cycle of a nod."""
    inner = dip[1:-1]
    return np.asarray(inner[(inner > dip[:-2]) & (inner >= dip[2:]) & (inner > 0.2)])


def test_nods_have_as_many_cycles_as_people_s(dips: list[np.ndarray]) -> None:
    counts = np.bincount([len(peaks(dip)) for dip in dips], minlength=6)[1:6]
    # Peaks of annotated nods: 0 or 1, 2, 3, 4, 5 and more, in 736 nods.
    np.testing.assert_allclose(counts / len(dips), np.array([400, 148, 80, 40, 68]) / 736, atol=0.04)


def test_the_first_cycle_is_larger_the_more_follow_then_they_decline_and_the_last_is_below_the_trend(
    dips: list[np.ndarray],
) -> None:
    sizes = {count: np.stack([peaks(d) for d in dips if len(peaks(d)) == count]) for count in range(1, 6)}
    first = np.array([peaks(dip)[0] for dip in dips])
    more = np.array([len(peaks(dip)) for dip in dips])
    assert 0.03 < np.polyfit(more, np.log(first), 1)[0] < 0.12
    assert first[more >= 3].mean() > 1.1 * first[more == 1].mean()
    for count in range(2, 6):
        assert (np.diff(sizes[count], axis=1) < 0).all()
    for count in range(3, 6):
        steps = sizes[count][:, 1:] / sizes[count][:, :-1]
        assert (steps[:, -1] < steps[:, :-1].min(1)).mean() > 0.95  # the last falls by more than those before


def test_nods_have_people_s_size_pace_and_latency(dips: list[np.ndarray]) -> None:
    largest = np.array([dip.max() for dip in dips])
    np.testing.assert_allclose(np.percentile(largest, [25, 50, 75]), [4.1, 5.2, 7.1], rtol=0.15)
    moving = [np.flatnonzero(dip > 1e-4) for dip in dips]
    hertz = [len(peaks(dip)) / ((at[-1] - at[0] + 1) * FRAME_S) for dip, at in zip(dips, moving, strict=True)]
    low, high = np.percentile(hertz, [10, 90])
    assert 1.1 < low < high < 2.2  # 1.2 to 2.1
    latency = np.array([at[0] for at in moving]) * FRAME_S
    assert latency.min() > 0.1
    assert latency.max() < 0.85
    assert 0.3 < np.median(latency) < 0.45


@pytest.fixture(scope="module")
def talked_to() -> tuple[Stimulus, Temperament]:
    """150 natural listeners to whom somebody talks who is there, a minute each."""
    told = stimulus_of(make_speakers(3, 300, 1500))
    rows = np.flatnonzero((told.seen.mean(1) > 0.9) & (told.speech.mean(1) > 0.3))[:150]
    return told.take(rows), draw_temperaments(1, len(rows))


@pytest.fixture(scope="module")
def face(talked_to: tuple[Stimulus, Temperament]) -> np.ndarray:
    return listen(*talked_to, 5).coefficients


def test_heads_are_tilted_as_often_as_people_s(talked_to: tuple[Stimulus, Temperament]) -> None:
    told, who = talked_to
    roll = []
    for rate in (0.0, -60.0):  # as often as ordinary people, and never
        traits = who.traits.copy()
        traits[:, TRAIT_NAMES.index("tilt_rate")] = rate
        roll.append(listen(told, Temperament(who.controls, traits), 5).coefficients[..., HEAD_ROLL])
    tilt = np.degrees(np.abs(roll[0] - roll[1]))
    found = episodes(tilt > 1.0, tilt)
    assert 0.8 < found.per_minute().mean() < 1.5
    low, high = np.percentile(found.size, [5, 95])
    assert 2.0 < low < high < 8.5
    assert 2.0 < np.median(found.length_s) < 4.0
    # In 22 % of windows of 10 s of real conversation.
    windows = (tilt > 1.0).reshape(len(tilt), -1, 250).any(2)
    assert 0.17 < windows.mean() < 0.29


def test_the_head_tilts_with_the_other_s_smile_a_little_later() -> None:
    quiet = nothing(150, 130)
    smiling = quiet.smile.copy()
    smiling[:, 20:] = 0.8
    who = draw_temperaments(4, 150)
    plain, after = (listen(s, who, 3).coefficients[..., HEAD_ROLL] for s in (quiet, replace(quiet, smile=smiling)))
    own_side = np.sign(who.trait("side"))[:, None]
    tilt = np.degrees((after - plain) * own_side).mean(0)
    assert not tilt[:20].any()
    assert 2.5 < tilt[-1] < 5.0
    assert 0.4 < (np.argmax(tilt > 0.632 * tilt[-1]) - 20) * FRAME_S < 0.8  # 0.6 s


def eyes(face: np.ndarray) -> np.ndarray:
    """Yaw and pitch of the eyes in degrees, (N, T, 2)."""
    sides = (("eyeLookOutLeft", "eyeLookInLeft"), ("eyeLookDownLeft", "eyeLookUpLeft"))
    return np.stack([face[..., INDEX[a]] - face[..., INDEX[b]] for a, b in sides], axis=-1) * FULL_DEG


def test_listeners_look_at_the_partner_as_people_do(face: np.ndarray) -> None:
    angles = eyes(face)
    away = (np.abs(angles) > AWAY_DEG).any(-1)
    share = 1 - away.mean(1)
    assert 0.75 < share.mean() < 0.95  # .75 and more while listening
    assert np.percentile(share, 5) > 0.65
    assert np.percentile(share, 95) < 0.97
    spread = angles[~away].std(0)
    np.testing.assert_allclose(spread, [2.9, 2.0], rtol=0.15)


def test_gaze_is_averted_for_as_long_as_people_s() -> None:
    quiet = nothing(100, 1500)
    quiet.speech[:] = 1
    angles = eyes(listen(quiet, draw_temperaments(1, 100), 5).coefficients)
    away = (np.abs(angles) > AWAY_DEG).any(-1)
    found = episodes(away, np.abs(angles).max(-1), shortest_s=0.3, bridge_s=0.12)
    inside = (found.start > 0) & (found.end < 1500)
    low, middle, high = np.percentile(found.length_s[inside], [10, 50, 90])
    assert 0.85 < middle < 1.15
    assert low > 0.4
    assert high < 2.4
    assert found.length_s[inside].max() < 3.6


def test_blinks_come_at_the_speaker_s_pauses(talked_to: tuple[Stimulus, Temperament], face: np.ndarray) -> None:
    told, _ = talked_to
    found = blinks(face)
    begins = found.onsets()
    ended = (told.phrase_end > 0.6) & (told.phrase_end < 0.95)
    within = (told.phrase_end == 0) & (told.speech > 0)
    ratio = begins[ended].mean() / begins[within].mean()
    assert 1.6 < ratio < 2.9
    low, middle, high = np.percentile(found.per_minute(), [2.5, 50, 97.5])
    assert low > 7
    assert 15 < middle < 23
    assert high < 35  # people: 10.5 to 32.5
    assert 0.02 < (found.length_s > 0.4).mean() < 0.09  # 5 % long
    assert 0.12 <= np.median(found.length_s) <= 0.2  # over half closed; 208 ms as a whole in people
