"""Controls of the listener: every one acts monotonically on the rules, and becomes a condition of the model."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from policy_drive import FRAME, frame, run, shown, talk, voice

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, INDEX, SMILE
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.speaker.engagement import Engagement
from reactdiff_ros.types import ListenerControl, SpeakerFrame

BROW = INDEX["browOuterUpLeft"]


def speaker(time_s: float) -> SpeakerFrame:
    """Somebody who talks, smiles for 1.5 s every 8 s and raises the brows in between."""
    base = talk(time_s)
    values = np.zeros(58, np.float32)
    values[list(SMILE)] = 0.6 * (time_s % 8 > 6.5)
    values[[INDEX["browInnerUp"], BROW, INDEX["browOuterUpRight"]]] = 0.7 * (2.0 < time_s % 8 < 3.0)
    return frame(base.stamp_ns, heard=base.voice, coefficients=values)


def faces(seconds: float = 60.0, seeds: int = 2, policy: str = "rules", **control: float) -> np.ndarray:
    """What the policy shows under these controls, all seeds in a row."""
    parts = []
    for seed in range(seeds):
        listener = make_listener(policy, seed=seed, config=ListenerConfig(smile_share=0.35))
        listener.control(ListenerControl(**control))
        parts.append(shown(run(listener, seconds, speaker))[1])
    return np.concatenate(parts)


def smile(shown_faces: np.ndarray) -> float:
    return float(shown_faces[:, list(SMILE)].mean())


def nods(shown_faces: np.ndarray) -> float:
    return float((shown_faces[:, HEAD_PITCH] > np.radians(1.5)).mean())


def brows_and_head(shown_faces: np.ndarray) -> float:
    return float(shown_faces[:, BROW].mean() / 0.05 + np.abs(shown_faces[:, HEAD_ROLL]).mean() / 0.01)


@pytest.mark.parametrize(
    ("control", "values", "measure"),
    [
        ("attitude", (-1.0, 0.0, 1.0), smile),
        ("responsiveness", (0.0, 0.5, 1.0), smile),
        ("smiling", (-1.0, 0.0, 1.0), smile),
        ("nodding", (-1.0, 0.0, 1.0), nods),
        ("liveliness", (-1.0, 0.0, 1.0), brows_and_head),
    ],
)
def test_each_control_acts_monotonically_on_the_rules(control, values, measure) -> None:
    sizes = [measure(faces(**{control: value})) for value in values]
    assert all(b > 1.05 * a for a, b in pairwise(sizes)), sizes


def onset_s(policy: str, delay_s: float, seed: int = 0) -> float:
    """When the listener's smile begins after the speaker's at 4 s."""
    listener = make_listener(policy, seed=seed, config=ListenerConfig(smile_share=1.0))
    listener.control(ListenerControl(delay_s=delay_s))
    times, shown_faces = shown(run(listener, 9, lambda t: talk(t, smile=0.7 * (4 <= t < 7))))
    curve = shown_faces[:, list(SMILE)].mean(axis=1)
    return float(times[np.argmax(curve > 0.1)]) - 4.0


@pytest.mark.parametrize("policy", ["rules", "mime"])
def test_delay_is_seen_later_and_answered_later(policy) -> None:
    lags = [onset_s(policy, delay) for delay in (0.0, 0.4, 1.0)]
    assert lags[1] - lags[0] == pytest.approx(0.4, abs=0.1)
    assert lags[2] - lags[0] == pytest.approx(1.0, abs=0.1)


def test_with_a_delay_stamps_are_those_of_what_was_seen() -> None:
    listener = make_listener("rules", seed=1, config=ListenerConfig(delay_s=0.6))
    plans = run(listener, 5, talk)
    ages = [p.start_ns - p.picture_stamp_ns for p in plans if p.picture_stamp_ns is not None]
    assert min(ages) > 0.6e9
    assert max(ages) < 0.9e9


def test_a_delay_that_is_changed_while_it_runs_breaks_nothing() -> None:
    listener = make_listener("mime", seed=1)
    delays = np.random.default_rng(3).uniform(0.0, 1.0, 40)

    def make(time_s: float) -> SpeakerFrame:
        listener.control(ListenerControl(delay_s=float(delays[int(time_s * 2)])))
        return talk(time_s, smile=0.3)

    plans = run(listener, 20, make)
    starts = np.array([p.start_ns for p in plans])
    assert np.diff(starts).max() <= 4 * FRAME
    assert all(p.engaged for p in plans)
    assert listener.state().dropped == 0


def test_somebody_who_leaves_is_missed_at_once_with_any_delay() -> None:
    listener = make_listener("rules", seed=1, config=ListenerConfig(delay_s=1.0))
    plans = run(listener, 8, lambda t: frame(round(t * 25) * FRAME, face=t < 4.0, heard=voice()))
    gone = [p.start_ns / 1e9 for p in plans if p.start_ns > 4e9 and not p.engaged]
    assert gone[0] < 5.0


def test_start_values_go_before_the_style_also_where_they_are_zero() -> None:
    plain = make_listener("rules", seed=0, config=ListenerConfig(style="warm"))
    given = make_listener("rules", seed=0, config=ListenerConfig(style="warm", attitude=0.0, nodding=0.4))
    assert plain.state().settings["attitude"] == pytest.approx(0.7)
    assert given.state().settings["attitude"] == 0.0
    assert given.state().settings["nodding"] == pytest.approx(0.4)
    assert given.state().settings["style"] == "warm"
    for wrong in ({"nodding": 2.0}, {"delay_s": -0.1}, {"attitude": float("inf")}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ListenerConfig(**wrong)


def test_a_person_who_turns_away_for_a_moment_is_not_met_again() -> None:
    engagement = Engagement(ListenerConfig())
    assert engagement.met_s(0) == math.inf
    times = [*np.arange(0, 3, 0.04), *np.arange(8, 9, 0.04), *np.arange(30, 31, 0.04)]
    met = {}
    for t in times:
        engagement.observe(frame(round(t * 1e9)))
        met[round(t, 2)] = engagement.met_s(round(t * 1e9))
    assert met[2.0] == pytest.approx(2.0)
    assert met[8.4] == pytest.approx(8.4)
    assert met[30.0] == 0.0
