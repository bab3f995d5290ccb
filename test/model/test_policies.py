"""The listeners without networks: contract, movements, human delays and rates, controls and delay."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_drive import FRAME, MS, at, frame, run, shown, talk, voice
from speaker_frames import assert_face

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX, SMILE
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.model.plan.level import HORIZON_FRAMES
from reactdiff_ros.model.policies import fallback_listener, make_listener
from reactdiff_ros.model.policies.moves import Moves, Nod
from reactdiff_ros.types import ListenerControl, SpeakerFrame

SIMPLE = ("rules", "mime", "random", "idle")
BROW = INDEX["browOuterUpLeft"]


def smile_of(faces: np.ndarray) -> np.ndarray:
    return faces[:, list(SMILE)].mean(axis=1)


def nods(faces: np.ndarray) -> list[tuple[int, float]]:
    """First frame and greatest dip in degrees of each nod: pitch above 1.5 degrees, gaps under 0.4 s are one nod."""
    pitch = np.degrees(faces[:, HEAD_PITCH])
    dips = np.flatnonzero(pitch > 1.5)
    parts = np.split(dips, np.flatnonzero(np.diff(dips) > 10) + 1) if len(dips) else []
    return [(int(part[0]), float(pitch[part].max())) for part in parts]


@pytest.mark.parametrize("policy", SIMPLE)
def test_contract_of_plans(policy: str) -> None:
    listener = make_listener(policy, seed=7)
    assert isinstance(listener, Listener)
    assert listener.plan(0) is None, "nothing was observed yet"
    plans = run(listener, 100, lambda t: talk(t, smile=0.6 * (t % 9 > 6)))
    for plan in plans:
        assert plan.coefficients.shape == (HORIZON_FRAMES, 58)
        assert_face(plan.coefficients)
        assert (plan.start_ns % FRAME, plan.policy, plan.engaged) == (0, policy, True)
    hops = np.diff([p.start_ns for p in plans])
    assert hops.min() >= FRAME
    assert hops.max() == 160 * MS
    assert sum(p.reason == "hop" for p in plans) > 0.8 * len(plans)
    assert listener.state().plans == len(plans)
    limit = 0.4 if policy == "mime" else 0.25  # the mime copies this speaker, whose smile is a step
    for old, new in itertools.pairwise(plans):
        join = (new.start_ns - old.start_ns) // FRAME
        joined = np.concatenate([old.coefficients[join - 1 : join], new.coefficients])
        assert np.abs(np.diff(joined[:, :52], axis=0)).max() < limit, "a plan continues the last one"
        assert np.abs(joined[1, 52:] - joined[0, 52:]).max() < 0.05


@pytest.mark.parametrize("policy", SIMPLE)
def test_same_seed_same_bits_also_after_a_reset_and_a_jump_back_in_time(policy: str) -> None:
    def faces(listener: Listener) -> np.ndarray:
        return shown(run(listener, 40, lambda t: talk(t, smile=0.5 * (t % 8 > 5))))[1]

    listener = make_listener(policy, seed=11)
    first = faces(listener)
    assert np.array_equal(first, faces(make_listener(policy, seed=11)))
    assert np.array_equal(first, faces(listener)), "time begins anew"
    listener.reset()
    assert np.array_equal(first, faces(listener))
    if policy in ("rules", "random"):
        assert not np.array_equal(first, faces(make_listener(policy, seed=12)))


def test_rules_mirrors_smiles_after_a_human_delay_in_a_share_of_cases() -> None:
    lags, amplitudes = [], []
    for seed in range(40):
        times, faces = shown(run(make_listener("rules", seed=seed), 9, lambda t: talk(t, smile=0.7 * (4 <= t < 5.2))))
        smile = smile_of(faces)
        assert smile[times < 4.3].max() == 0.0
        if smile.max() > 0.1:
            lags.append(float(times[np.argmax(smile > 0.02)]) - 4.0)
            amplitudes.append(float(smile.max()))
            assert np.diff(smile).max() / 0.04 < 4.0
            assert smile[-5:].max() < 0.02, "it ends"
    assert 0.35 <= len(lags) / 40 <= 0.75
    assert 0.5 <= np.median(lags) <= 0.85
    assert max(lags) <= 1.0
    assert 0.25 <= np.median(amplitudes) <= 0.7


def test_without_a_microphone_a_moving_jaw_is_talk_and_silence_is_nodded_to_by_nobody() -> None:
    def silent_talk(time_s: float, *, jaw: bool) -> SpeakerFrame:
        opening = 0.15 + 0.12 * np.sin(time_s * 22) if jaw and time_s % 4.0 < 3.2 else 0.0
        return frame(at(time_s), coefficients=np.eye(58)[INDEX["jawOpen"]] * opening)

    moving = run(make_listener("rules", seed=2), 120, lambda t: silent_talk(t, jaw=True))
    still = run(make_listener("rules", seed=2), 60, lambda t: silent_talk(t, jaw=False))
    quiet = run(make_listener("rules", seed=2), 60, lambda t: frame(at(t), heard=voice()))
    assert len(nods(shown(moving)[1])) >= 4
    assert nods(shown(still)[1]) == nods(shown(quiet)[1]) == []


def test_mime_is_a_mirror_with_a_lag() -> None:
    face = np.zeros(58)
    face[[INDEX["mouthSmileLeft"], HEAD_YAW, HEAD_ROLL]] = 0.8, 0.3, 0.2
    listener = make_listener("mime", seed=0, config=ListenerConfig(mime_lag_s=0.6))
    times, faces = shown(run(listener, 6, lambda t: frame(at(t), coefficients=face * (t >= 3.0))))
    right = faces[:, INDEX["mouthSmileRight"]]
    assert 3.6 <= float(times[np.argmax(right > 0.4)]) <= 3.75
    assert right[-20] == pytest.approx(0.8, abs=0.01)
    assert faces[:, INDEX["mouthSmileLeft"]].max() == 0.0
    assert faces[-20, [HEAD_YAW, HEAD_ROLL]] == pytest.approx([-0.3, -0.2], abs=0.01)


def test_random_ignores_what_the_speaker_does_but_lives() -> None:
    calm = shown(run(make_listener("random", seed=4), 120, talk))[1]
    lively = shown(run(make_listener("random", seed=4), 120, lambda t: talk(t, smile=0.8)))[1]
    assert np.array_equal(calm, lively)
    assert 0.02 < float((smile_of(calm) > 0.15).mean()) < 0.4
    assert len(nods(calm)) >= 4


@pytest.mark.parametrize("policy", SIMPLE)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_wild_frames_make_no_wild_plan(policy: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    listener = make_listener(policy, seed=1)
    for i in range(60):
        values = rng.normal(size=58) * 10.0 ** rng.integers(-2, 30)
        values[rng.integers(0, 58, 3)] = rng.choice([np.nan, np.inf, -np.inf], 3)
        heard = voice(pitch_hz=float(rng.choice([np.nan, 1e9])))
        wild = frame(int(i * FRAME + rng.integers(-60, 60) * MS), heard=heard, coefficients=values)
        listener.observe(replace(wild, confidence=rng.random(58).astype(np.float32)))
        plan = listener.plan(i * FRAME)
        if plan is not None:
            assert_face(plan.coefficients)


def test_malformed_frames_are_refused_and_late_ones_dropped() -> None:
    listener = make_listener("rules", seed=1)
    with pytest.raises(MessageError, match="coefficients"):
        listener.observe(replace(frame(0), coefficients=np.zeros(57, np.float32)))
    with pytest.raises(MessageError, match="confidence"):
        listener.observe(replace(frame(0), confidence=np.zeros((1, 58), np.float32)))
    assert listener.plan(0) is None
    run(listener, 10, talk)
    listener.observe(talk(9.8))
    assert listener.state().dropped == 1


def test_wrong_names_and_settings_are_named_and_the_spare_listener_says_why_it_is_there() -> None:
    with pytest.raises(ConfigError, match="oracle"):
        make_listener("oracle", seed=0)
    for wrong in ({"hop_s": 9.0}, {"nodding": 2.0}, {"delay_s": -0.1}, {"attitude": float("inf")}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ListenerConfig(**wrong)
    spare = fallback_listener(seed=0, error="the model's weights are missing")
    assert spare.name == "rules"
    assert "weights" in spare.state().error


@pytest.mark.parametrize(("late_ms", "least_deg"), [(100, 4.8), (200, 0.0)])
def test_a_nod_that_missed_its_start_by_little_begins_now_and_whole_and_later_not_at_all(late_ms, least_deg) -> None:
    moves, start = Moves(), 1000 * MS
    moves.add(Nod(start, 1.6, (math.radians(5.0),)))
    now = start + late_ms * MS
    moves.planned(now)
    pitch = np.degrees([moves.value(now + i * FRAME)[HEAD_PITCH] for i in range(30)])
    assert pitch[0] == 0.0
    assert pitch.max() > least_deg if least_deg else not pitch.any()


# Controls and delay


def speaker(time_s: float) -> SpeakerFrame:
    """Somebody who talks, smiles for 1.5 s every 8 s and raises the brows in between."""
    base, values = talk(time_s), np.zeros(58, np.float32)
    values[list(SMILE)] = 0.6 * (time_s % 8 > 6.5)
    values[[INDEX["browInnerUp"], BROW, INDEX["browOuterUpRight"]]] = 0.7 * (2.0 < time_s % 8 < 3.0)
    return frame(base.stamp_ns, heard=base.voice, coefficients=values)


def faces_of(policy: str, make=speaker, *, seconds: float = 60.0, seed: int = 0, share: float = 0.35, **control: float):
    """Times and faces of a listener under these controls that answers such a share of smiles."""
    listener = make_listener(policy, seed=seed, config=ListenerConfig(smile_share=share))
    listener.control(ListenerControl(**control))
    return shown(run(listener, seconds, make))


def brows_and_head(faces: np.ndarray) -> float:
    return float(faces[:, BROW].mean() / 0.05 + np.abs(faces[:, HEAD_ROLL]).mean() / 0.01)


@pytest.mark.parametrize(
    ("control", "values", "measure"),
    [
        ("attitude", (-1.0, 0.0, 1.0), lambda faces: smile_of(faces).mean()),
        ("responsiveness", (0.0, 0.5, 1.0), lambda faces: smile_of(faces).mean()),
        ("smiling", (-1.0, 0.0, 1.0), lambda faces: smile_of(faces).mean()),
        ("nodding", (-1.0, 0.0, 1.0), lambda faces: (faces[:, HEAD_PITCH] > np.radians(1.5)).mean()),
        ("liveliness", (-1.0, 0.0, 1.0), brows_and_head),
    ],
)
def test_each_control_acts_monotonically_on_the_rules(control, values, measure) -> None:
    sizes = []
    for value in values:
        faces = np.concatenate([faces_of("rules", seed=seed, **{control: value})[1] for seed in range(2)])
        sizes.append(measure(faces))
    assert all(b > 1.05 * a for a, b in itertools.pairwise(sizes)), sizes


@pytest.mark.parametrize("policy", ["rules", "mime"])
def test_delay_is_seen_later_and_answered_later(policy) -> None:
    lags = []
    for delay_s in (0.0, 0.4, 1.0):
        smiles = lambda t: talk(t, smile=0.7 * (4 <= t < 7))  # noqa: E731
        times, faces = faces_of(policy, smiles, seconds=9, share=1.0, delay_s=delay_s)
        lags.append(float(times[np.argmax(smile_of(faces) > 0.1)]))
    assert np.subtract(lags, lags[0]) == pytest.approx([0.0, 0.4, 1.0], abs=0.1)


def test_with_a_delay_stamps_are_those_of_what_was_seen_but_who_leaves_is_missed_at_once() -> None:
    listener = make_listener("rules", seed=1, config=ListenerConfig(delay_s=0.6))
    plans = run(listener, 8, lambda t: talk(t) if t < 5.0 else frame(at(t), face=False, heard=voice()))
    ages = [p.start_ns - p.picture_stamp_ns for p in plans if p.picture_stamp_ns is not None and p.start_ns < 5e9]
    assert min(ages) > 0.6e9
    assert max(ages) < 0.9e9
    assert next(p.start_ns for p in plans if p.start_ns > 5e9 and not p.engaged) < 6e9


def test_start_values_go_before_the_style_also_where_they_are_zero() -> None:
    given = make_listener("rules", seed=0, config=ListenerConfig(style="warm", attitude=0.0, nodding=0.4))
    assert given.state().settings["attitude"] == 0.0
    assert given.state().settings["nodding"] == pytest.approx(0.4)
    assert given.state().settings["style"] == "warm"
